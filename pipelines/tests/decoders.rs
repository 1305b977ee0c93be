//! Hardware decoders that do not work. A process of its own: it registers elements under their names.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use belvedere_pipelines::{Camera, FailureKind, PipelineError, Scheduler, available_decoders, probe};
use gstreamer as gst;
use gstreamer::prelude::*;
use support::{DEADLINE, RtspTestServer, TestStream, next_frame, soon, spec};

mod broken {
    use gstreamer as gst;
    use gstreamer::glib;
    use gstreamer::prelude::*;
    use gstreamer::subclass::prelude::*;

    fn templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: std::sync::OnceLock<Vec<gst::PadTemplate>> = std::sync::OnceLock::new();
        TEMPLATES.get_or_init(|| {
            let template = |name, direction, media: &str| {
                let caps = gst::Caps::builder(media).build();
                gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps).unwrap()
            };
            vec![
                template("sink", gst::PadDirection::Sink, "video/x-h264"),
                template("src", gst::PadDirection::Src, "video/x-raw"),
            ]
        })
    }

    /// No element is registered without.
    fn metadata() -> &'static gst::subclass::ElementMetadata {
        static METADATA: std::sync::OnceLock<gst::subclass::ElementMetadata> = std::sync::OnceLock::new();
        METADATA.get_or_init(|| {
            gst::subclass::ElementMetadata::new(
                "Broken decoder",
                "Decoder/Video",
                "Does not work",
                "Belvedere",
            )
        })
    }

    fn add_pads<T: ElementImpl>(element: &T, sink: gst::PadBuilder<gst::Pad>) {
        element.obj().upcast_ref::<gst::Element>().add_pad(&sink.build()).unwrap();
        let source = gst::Pad::from_template(&templates()[1]);
        element.obj().upcast_ref::<gst::Element>().add_pad(&source).unwrap();
    }

    /// Has no device to open.
    #[derive(Default)]
    pub(super) struct NoDevice;

    #[glib::object_subclass]
    impl ObjectSubclass for NoDevice {
        const NAME: &'static str = "BelvedereTestNoDevice";
        type Type = NoDeviceElement;
        type ParentType = gst::Element;
    }

    glib::wrapper! {
        pub(super) struct NoDeviceElement(ObjectSubclass<NoDevice>) @extends gst::Element, gst::Object;
    }

    impl ObjectImpl for NoDevice {
        fn constructed(&self) {
            self.parent_constructed();
            add_pads(self, gst::Pad::builder_from_template(&templates()[0]));
        }
    }

    impl GstObjectImpl for NoDevice {}

    impl ElementImpl for NoDevice {
        fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
            Some(metadata())
        }

        fn pad_templates() -> &'static [gst::PadTemplate] {
            templates()
        }

        fn change_state(
            &self,
            transition: gst::StateChange,
        ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
            match transition {
                gst::StateChange::NullToReady => Err(gst::StateChangeError),
                other => self.parent_change_state(other),
            }
        }
    }

    /// Fails at the first data.
    #[derive(Default)]
    pub(super) struct NoPicture;

    #[glib::object_subclass]
    impl ObjectSubclass for NoPicture {
        const NAME: &'static str = "BelvedereTestNoPicture";
        type Type = NoPictureElement;
        type ParentType = gst::Element;
    }

    glib::wrapper! {
        pub(super) struct NoPictureElement(ObjectSubclass<NoPicture>) @extends gst::Element, gst::Object;
    }

    impl ObjectImpl for NoPicture {
        fn constructed(&self) {
            self.parent_constructed();
            let sink = gst::Pad::builder_from_template(&templates()[0]).chain_function(|_, parent, _| {
                if let Some(element) = parent.and_then(|parent| parent.downcast_ref::<gst::Element>()) {
                    gst::element_error!(element, gst::StreamError::Decode, ["out of surfaces"]);
                }
                Err(gst::FlowError::Error)
            });
            add_pads(self, sink);
        }
    }

    impl GstObjectImpl for NoPicture {}

    impl ElementImpl for NoPicture {
        fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
            Some(metadata())
        }

        fn pad_templates() -> &'static [gst::PadTemplate] {
            templates()
        }
    }
}

#[tokio::test]
async fn a_hardware_decoder_that_fails_is_an_error_if_asked_for_and_passed_over_if_not() {
    belvedere_pipelines::start_gstreamer().unwrap();
    let rank = gst::Rank::NONE;
    gst::Element::register(None, "nvh264dec", rank, broken::NoDeviceElement::static_type()).unwrap();
    gst::Element::register(None, "vah264dec", rank, broken::NoPictureElement::static_type()).unwrap();
    let found = available_decoders().unwrap();
    assert!(found[0].1.iter().any(|element| element == "nvh264dec"), "{found:?}");
    let server = RtspTestServer::start(None);
    let mut spec = spec("a", &server.url(TestStream::H264));

    let report = probe(&spec, DEADLINE).await.unwrap();
    assert_eq!(report.decoder.as_deref(), Some("avdec_h264"));
    let failed = ["nvh264dec: it does not start", "vah264dec: it failed before its first frame"];
    assert_eq!(report.decoders_failed, failed);

    let scheduler = Scheduler::new();
    let camera = Camera::spawn(spec.clone(), &scheduler).unwrap();
    next_frame(&scheduler).await;
    soon(camera.stop()).await;

    for choice in ["nvcodec", "va", "element:nvh264dec"] {
        spec.decoder = choice.parse().unwrap();
        match probe(&spec, DEADLINE).await.unwrap_err() {
            PipelineError::Stream { failure, .. } => assert_eq!(failure.kind, FailureKind::DecoderFailed),
            other => panic!("{choice}: {other}"),
        }
    }
}
