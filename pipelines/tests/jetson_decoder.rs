//! The chain behind a Jetson's decoder, with elements of our own that have its names and its pads. A process of its own: it
//! registers elements under their names.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::atomic::Ordering;

use belvedere_pipelines::{available_decoders, probe};
use gstreamer as gst;
use gstreamer::prelude::*;
use support::{DEADLINE, RtspTestServer, TestStream, spec};

mod jetson {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, Ordering};

    use gstreamer as gst;
    use gstreamer::glib;
    use gstreamer::prelude::*;
    use gstreamer::subclass::prelude::*;

    pub(super) static IS_AT_FULL_SPEED: AtomicBool = AtomicBool::new(false);

    const WIDTH: i32 = 64;
    const HEIGHT: i32 = 48;

    fn metadata() -> &'static gst::subclass::ElementMetadata {
        static METADATA: OnceLock<gst::subclass::ElementMetadata> = OnceLock::new();
        METADATA.get_or_init(|| {
            gst::subclass::ElementMetadata::new("Made up", "Video", "As on a Jetson", "Belvedere")
        })
    }

    fn template(name: &str, direction: gst::PadDirection, caps: &str) -> gst::PadTemplate {
        gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps.parse().unwrap()).unwrap()
    }

    fn add_pads(element: &gst::Element, sink: gst::PadBuilder<gst::Pad>, source: &gst::PadTemplate) {
        element.add_pad(&sink.build()).unwrap();
        element.add_pad(&gst::Pad::from_template(source)).unwrap();
    }

    fn source(parent: Option<&gst::Object>) -> gst::Pad {
        parent.unwrap().downcast_ref::<gst::Element>().unwrap().static_pad("src").unwrap()
    }

    fn nv12_in(features: &str) -> gst::Caps {
        format!("video/x-raw{features},format=NV12,width={WIDTH},height={HEIGHT},framerate=10/1")
            .parse()
            .unwrap()
    }

    /// Each buffer that goes in becomes a picture in NVMM, by its caps.
    #[derive(Default)]
    pub(super) struct Decoder;

    #[glib::object_subclass]
    impl ObjectSubclass for Decoder {
        const NAME: &'static str = "BelvedereTestNvv4l2Decoder";
        type Type = DecoderElement;
        type ParentType = gst::Element;
    }

    glib::wrapper! {
        pub(super) struct DecoderElement(ObjectSubclass<Decoder>) @extends gst::Element, gst::Object;
    }

    impl ObjectImpl for Decoder {
        fn properties() -> &'static [glib::ParamSpec] {
            static PROPERTIES: OnceLock<Vec<glib::ParamSpec>> = OnceLock::new();
            PROPERTIES.get_or_init(|| vec![glib::ParamSpecBoolean::builder("enable-max-performance").build()])
        }

        fn set_property(&self, _: usize, value: &glib::Value, _: &glib::ParamSpec) {
            IS_AT_FULL_SPEED.store(value.get().unwrap(), Ordering::SeqCst);
        }

        fn property(&self, _: usize, _: &glib::ParamSpec) -> glib::Value {
            IS_AT_FULL_SPEED.load(Ordering::SeqCst).to_value()
        }

        fn constructed(&self) {
            self.parent_constructed();
            let templates = <Self as ElementImpl>::pad_templates();
            let sink = gst::Pad::builder_from_template(&templates[0])
                .chain_function(|_, parent, encoded| {
                    let size = (WIDTH * HEIGHT * 3 / 2) as usize;
                    let mut picture = gst::Buffer::with_size(size).unwrap();
                    picture.get_mut().unwrap().set_pts(encoded.pts());
                    source(parent).push(picture)
                })
                .event_function(|pad, parent, event| match event.view() {
                    gst::EventView::Caps(_) => {
                        source(parent).push_event(gst::event::Caps::new(&nv12_in("(memory:NVMM)")))
                    }
                    _ => gst::Pad::event_default(pad, parent, event),
                });
            add_pads(self.obj().upcast_ref(), sink, &templates[1]);
        }
    }

    impl GstObjectImpl for Decoder {}

    impl ElementImpl for Decoder {
        fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
            Some(metadata())
        }

        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: OnceLock<Vec<gst::PadTemplate>> = OnceLock::new();
            TEMPLATES.get_or_init(|| {
                let sink = "video/x-h264,stream-format=byte-stream,alignment=au; video/x-h265; image/jpeg";
                vec![
                    template("sink", gst::PadDirection::Sink, sink),
                    template("src", gst::PadDirection::Src, "video/x-raw(memory:NVMM)"),
                ]
            })
        }
    }

    /// Brings pictures down in the first format that whoever stands behind it takes.
    #[derive(Default)]
    pub(super) struct Converter;

    #[glib::object_subclass]
    impl ObjectSubclass for Converter {
        const NAME: &'static str = "BelvedereTestNvvidconv";
        type Type = ConverterElement;
        type ParentType = gst::Element;
    }

    glib::wrapper! {
        pub(super) struct ConverterElement(ObjectSubclass<Converter>) @extends gst::Element, gst::Object;
    }

    impl ObjectImpl for Converter {
        fn constructed(&self) {
            self.parent_constructed();
            let templates = <Self as ElementImpl>::pad_templates();
            let sink = gst::Pad::builder_from_template(&templates[0])
                .chain_function(|_, parent, picture| source(parent).push(picture))
                .event_function(|pad, parent, event| match event.view() {
                    gst::EventView::Caps(_) => {
                        let source = source(parent);
                        let size: gst::Caps =
                            format!("video/x-raw,width={WIDTH},height={HEIGHT},framerate=10/1")
                                .parse()
                                .unwrap();
                        let mut caps = source.allowed_caps().unwrap().intersect(&size);
                        caps.fixate();
                        source.push_event(gst::event::Caps::new(&caps))
                    }
                    _ => gst::Pad::event_default(pad, parent, event),
                });
            add_pads(self.obj().upcast_ref(), sink, &templates[1]);
        }
    }

    impl GstObjectImpl for Converter {}

    impl ElementImpl for Converter {
        fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
            Some(metadata())
        }

        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: OnceLock<Vec<gst::PadTemplate>> = OnceLock::new();
            TEMPLATES.get_or_init(|| {
                // Another format first: it must be told which.
                let formats = "format=(string){ BGRx, NV12, I420 }";
                let source = format!("video/x-raw(memory:NVMM); video/x-raw,{formats}");
                vec![
                    template("sink", gst::PadDirection::Sink, "video/x-raw(memory:NVMM)"),
                    template("src", gst::PadDirection::Src, &source),
                ]
            })
        }
    }
}

#[tokio::test]
async fn a_jetsons_pictures_leave_its_memory_as_nv12_with_the_decoder_at_full_speed() {
    belvedere_pipelines::start_gstreamer().unwrap();
    let rank = gst::Rank::NONE;
    gst::Element::register(None, "nvv4l2decoder", rank, jetson::DecoderElement::static_type()).unwrap();
    let found = available_decoders().unwrap();
    assert!(
        found.iter().all(|(_, elements)| elements[0] != "nvv4l2decoder"),
        "nothing reads its memory: {found:?}"
    );
    gst::Element::register(None, "nvvidconv", rank, jetson::ConverterElement::static_type()).unwrap();
    let found = available_decoders().unwrap();
    assert!(found.iter().all(|(_, elements)| elements[0] == "nvv4l2decoder"), "{found:?}");

    let server = RtspTestServer::start(None);
    let report = probe(&spec("a", &server.url(TestStream::H264)), DEADLINE).await.unwrap();
    assert_eq!(report.decoder.as_deref(), Some("nvv4l2decoder"));
    assert_eq!((report.pixel_format.as_str(), report.width_px, report.height_px), ("NV12", 64, 48));
    assert!(report.decoders_failed.is_empty(), "{report:?}");
    assert!(jetson::IS_AT_FULL_SPEED.load(Ordering::SeqCst));
}
