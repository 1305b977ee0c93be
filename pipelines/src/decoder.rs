//! Which decoder elements there are, in the order in which they are tried.

use crate::element_facts::ElementFacts;
use crate::{Codec, DecoderChoice, PipelineError};

/// A decoder element and what has to stand behind it for the pixels to be in ordinary memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decoder {
    /// The decoder's factory.
    pub(crate) element: String,
    /// Switches to turn on, of those that the element turns out to have.
    pub(crate) switches: &'static [&'static str],
    /// What brings the pixels down, if that is needed.
    pub(crate) download: Option<&'static Download>,
    /// Its output buffers are few: a frame that is held is copied.
    pub(crate) small_pool: bool,
}

/// An element that brings pictures from a device's memory down to ordinary memory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Download {
    /// The memory it reads, as caps have it.
    memory: &'static str,
    /// Its factory.
    pub(crate) element: &'static str,
    /// The format to insist on behind it: it converts, and would be free to choose another.
    pub(crate) format: Option<&'static str>,
}

/// What brings pictures down, by the memory they are in.
///
/// None of them scales, though `nvvidconv` and `vapostproc` could: results are to be those of Pillow's bicubic on the whole
/// frame, and a hardware scaler's filter is another one on each board.
static DOWNLOADS: [Download; 5] = [
    Download { memory: "memory:NVMM", element: "nvvidconv", format: Some("NV12") },
    Download { memory: "memory:NVMM", element: "nvvideoconvert", format: Some("NV12") },
    Download { memory: "memory:CUDAMemory", element: "cudadownload", format: None },
    Download { memory: "memory:VAMemory", element: "vapostproc", format: None },
    Download { memory: "memory:VASurface", element: "vaapipostproc", format: None },
];

/// A row of the ladder.
struct Known {
    kind: DecoderChoice,
    codec: Codec,
    element: &'static str,
    /// The memory that the element must be able to write: two plug-ins have an element of the same name.
    memory: Option<&'static str>,
    switches: &'static [&'static str],
}

const fn row(
    kind: DecoderChoice,
    codec: Codec,
    element: &'static str,
    memory: Option<&'static str>,
    switches: &'static [&'static str],
) -> Known {
    Known { kind, codec, element, memory, switches }
}

/// The best first. `enable-max-performance` keeps the decoder's clock from falling between the frames of a camera; `mjpeg`
/// is what opens nvv4l2decoder for JPEG.
static LADDER: [Known; 16] = {
    use Codec::{H264, H265, Mjpeg};
    use DecoderChoice::{Nvcodec, Nvv4l2, Software, Va};
    [
        row(Nvv4l2, H264, "nvv4l2decoder", None, &["enable-max-performance"]),
        row(Nvv4l2, H265, "nvv4l2decoder", None, &["enable-max-performance"]),
        row(Nvv4l2, Mjpeg, "nvv4l2decoder", None, &["mjpeg", "enable-max-performance"]),
        row(Nvv4l2, Mjpeg, "nvjpegdec", Some("memory:NVMM"), &[]),
        row(Nvcodec, H264, "nvh264dec", None, &[]),
        row(Nvcodec, H265, "nvh265dec", None, &[]),
        row(Nvcodec, Mjpeg, "nvjpegdec", Some("memory:CUDAMemory"), &[]),
        row(Va, H264, "vah264dec", None, &[]),
        row(Va, H265, "vah265dec", None, &[]),
        row(Va, H264, "vaapih264dec", None, &[]),
        row(Va, H265, "vaapih265dec", None, &[]),
        row(Va, Mjpeg, "vajpegdec", None, &[]),
        row(Software, H264, "avdec_h264", None, &[]),
        row(Software, H265, "avdec_h265", None, &[]),
        row(Software, Mjpeg, "jpegdec", None, &[]),
        row(Software, Mjpeg, "avdec_mjpeg", None, &[]),
    ]
};

/// The decoders to try for `codec`, best first, by what `look` knows of each element that is installed.
///
/// # Errors
/// There is none: the names of those that would do.
pub(crate) fn candidates(
    choice: &DecoderChoice,
    codec: Codec,
    look: impl Fn(&str) -> Option<ElementFacts>,
) -> Result<Vec<Decoder>, String> {
    if let DecoderChoice::Element(name) = choice {
        let facts = look(name).ok_or_else(|| name.clone())?;
        let known = LADDER.iter().find(|known| known.element == name && known.codec == codec);
        let download = download(&facts, &look);
        return Ok(vec![Decoder {
            element: name.clone(),
            switches: known.map_or(&[], |known| known.switches),
            download,
            small_pool: known.is_none_or(|known| known.kind != DecoderChoice::Software),
        }]);
    }
    let wanted =
        |known: &&Known| known.codec == codec && (*choice == DecoderChoice::Auto || known.kind == *choice);
    let found: Vec<Decoder> = LADDER.iter().filter(wanted).filter_map(|known| known.found(&look)).collect();
    if found.is_empty() {
        let mut names: Vec<&str> = LADDER.iter().filter(wanted).map(|known| known.element).collect();
        names.dedup();
        return Err(if names.is_empty() { format!("{choice} for {codec}") } else { names.join(" or ") });
    }
    Ok(found)
}

impl Known {
    /// As a decoder, where the element is installed, takes the codec, and its pictures can be brought down.
    fn found(&self, look: &impl Fn(&str) -> Option<ElementFacts>) -> Option<Decoder> {
        let facts = look(self.element)?;
        let is_the_one = self.memory.is_none_or(|memory| facts.device_memory.contains(memory));
        if !is_the_one || !facts.takes(self.codec.media_type()) {
            return None;
        }
        let download = download(&facts, look);
        (download.is_some() || facts.gives_ordinary_memory).then(|| Decoder {
            element: self.element.to_owned(),
            switches: self.switches,
            download,
            small_pool: self.kind != DecoderChoice::Software,
        })
    }
}

/// The first element that is installed and reads memory which the decoder writes.
fn download(facts: &ElementFacts, look: &impl Fn(&str) -> Option<ElementFacts>) -> Option<&'static Download> {
    DOWNLOADS
        .iter()
        .find(|download| facts.device_memory.contains(download.memory) && look(download.element).is_some())
}

/// The decoders this machine has for each codec, in the order in which they are tried. Having one does not mean that it
/// works: that shows when it starts.
pub fn available_decoders() -> Result<Vec<(Codec, Vec<String>)>, PipelineError> {
    crate::start_gstreamer()?;
    let found = |codec| candidates(&DecoderChoice::Auto, codec, ElementFacts::of).unwrap_or_default();
    let codecs = [Codec::H264, Codec::H265, Codec::Mjpeg];
    Ok(codecs
        .map(|codec| (codec, found(codec).into_iter().map(|decoder| decoder.element).collect()))
        .to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An element that takes these media types and writes these kinds of memory, `""` being the ordinary one.
    type Fake = (&'static str, &'static [&'static str], &'static [&'static str]);

    const H264: &str = "video/x-h264";
    const H265: &str = "video/x-h265";
    const JPEG: &str = "image/jpeg";
    const RAW: &str = "video/x-raw";
    const NVMM: &str = "memory:NVMM";
    const CUDA: &str = "memory:CUDAMemory";

    const SOFTWARE: [Fake; 4] = [
        ("avdec_h264", &[H264], &[""]),
        ("avdec_h265", &[H265], &[""]),
        ("jpegdec", &[JPEG], &[""]),
        ("avdec_mjpeg", &[JPEG], &[""]),
    ];
    /// JetPack 6 on Orin.
    const ORIN: [Fake; 3] = [
        ("nvv4l2decoder", &[H264, H265, JPEG], &[NVMM]),
        ("nvvidconv", &[RAW], &[NVMM, ""]),
        ("nvjpegdec", &[JPEG], &[NVMM, ""]),
    ];
    /// JetPack 7 on Thor.
    const THOR: [Fake; 2] = [("nvv4l2decoder", &[H264, H265], &[NVMM]), ("nvvidconv", &[RAW], &[NVMM, ""])];
    /// A desktop.
    const DESKTOP: [Fake; 4] = [
        ("nvh264dec", &[H264], &[CUDA, ""]),
        ("nvh265dec", &[H265], &[CUDA, ""]),
        ("nvjpegdec", &[JPEG], &[CUDA, ""]),
        ("cudadownload", &[RAW], &[""]),
    ];
    const VA: [Fake; 3] = [
        ("vah264dec", &[H264], &["memory:VAMemory", ""]),
        ("vaapih264dec", &[H264], &["memory:VASurface", ""]),
        ("vapostproc", &[RAW], &["memory:VAMemory", ""]),
    ];

    fn found(choice: &str, codec: Codec, installed: &[&[Fake]]) -> Result<Vec<Decoder>, String> {
        candidates(&choice.parse().unwrap(), codec, |name| {
            let (_, takes, memory) = *installed.iter().copied().flatten().find(|fake| fake.0 == name)?;
            Some(ElementFacts {
                takes: Some(takes.iter().map(ToString::to_string).collect()),
                device_memory: memory
                    .iter()
                    .filter(|name| !name.is_empty())
                    .map(ToString::to_string)
                    .collect(),
                gives_ordinary_memory: memory.contains(&""),
            })
        })
    }

    fn names(choice: &str, codec: Codec, installed: &[&[Fake]]) -> Result<Vec<String>, String> {
        Ok(found(choice, codec, installed)?.into_iter().map(|decoder| decoder.element).collect())
    }

    #[test]
    fn auto_takes_jetson_then_nvidia_then_va_then_software() {
        let order = ["nvv4l2decoder", "nvh264dec", "vah264dec", "vaapih264dec", "avdec_h264"];
        assert_eq!(names("auto", Codec::H264, &[&SOFTWARE, &VA, &DESKTOP, &ORIN]).unwrap(), order);
        assert_eq!(names("auto", Codec::H264, &[&SOFTWARE]).unwrap(), ["avdec_h264"]);
    }

    #[test]
    fn a_decoder_asked_for_and_missing_is_an_error_that_names_it() {
        assert_eq!(names("va", Codec::H265, &[&SOFTWARE]), Err("vah265dec or vaapih265dec".to_owned()));
        assert_eq!(names("nvv4l2", Codec::Mjpeg, &[&SOFTWARE]), Err("nvv4l2decoder or nvjpegdec".to_owned()));
        assert_eq!(names("element:foo", Codec::H264, &[&SOFTWARE]), Err("foo".to_owned()));
    }

    #[test]
    fn a_jetsons_pictures_come_down_through_nvvidconv_as_nv12() {
        let decoders = found("nvv4l2", Codec::H265, &[&ORIN]).unwrap();
        let download = decoders[0].download.unwrap();
        assert_eq!((download.element, download.format), ("nvvidconv", Some("NV12")));
        assert_eq!(
            (decoders[0].switches, decoders[0].small_pool),
            (["enable-max-performance"].as_slice(), true)
        );
        assert!(names("nvv4l2", Codec::H264, &[&ORIN[..1]]).is_err(), "nothing else reads its memory");
    }

    #[test]
    fn jpeg_goes_to_a_jetsons_decoder_where_it_takes_it_and_not_on_thor() {
        let orin = found("auto", Codec::Mjpeg, &[&ORIN, &SOFTWARE]).unwrap();
        let elements: Vec<&str> = orin.iter().map(|decoder| decoder.element.as_str()).collect();
        assert_eq!(elements, ["nvv4l2decoder", "nvjpegdec", "jpegdec", "avdec_mjpeg"]);
        assert_eq!(orin[0].switches, ["mjpeg", "enable-max-performance"]);
        assert_eq!(names("auto", Codec::Mjpeg, &[&THOR, &SOFTWARE]).unwrap(), ["jpegdec", "avdec_mjpeg"]);
    }

    #[test]
    fn the_two_plugins_with_an_nvjpegdec_are_told_apart_by_their_memory() {
        let decoders = found("nvcodec", Codec::Mjpeg, &[&DESKTOP]).unwrap();
        assert_eq!(decoders[0].download.map(|download| download.element), Some("cudadownload"));
        assert!(names("nvv4l2", Codec::Mjpeg, &[&DESKTOP]).is_err());
        assert!(names("nvcodec", Codec::Mjpeg, &[&ORIN]).is_err());
    }

    #[test]
    fn a_download_stands_behind_a_decoder_where_it_is_installed_and_needed() {
        let decoders = found("nvcodec", Codec::H264, &[&DESKTOP]).unwrap();
        assert_eq!(decoders[0].download.map(|download| download.element), Some("cudadownload"));
        let decoders = found("nvcodec", Codec::H264, &[&DESKTOP[..1]]).unwrap();
        assert_eq!((decoders[0].download, decoders[0].small_pool), (None, true));
        let decoders = found("software", Codec::H264, &[&SOFTWARE, &ORIN]).unwrap();
        assert_eq!((decoders[0].download, decoders[0].small_pool), (None, false));
        let decoders = found("element:nvv4l2decoder", Codec::Mjpeg, &[&ORIN]).unwrap();
        assert_eq!(decoders[0].download.map(|download| download.element), Some("nvvidconv"));
        assert_eq!(decoders[0].switches, ["mjpeg", "enable-max-performance"]);
    }

    #[test]
    fn the_decoders_of_this_machine_give_what_stands_behind_them_takes() {
        crate::start_gstreamer().unwrap();
        let templates = |element: &str, direction| -> gstreamer::Caps {
            let factory = gstreamer::ElementFactory::find(element).unwrap();
            let templates = factory.static_pad_templates();
            let templates = templates.iter().filter(|template| template.direction() == direction);
            templates.map(|template| template.caps()).fold(gstreamer::Caps::new_empty(), |mut all, caps| {
                all.merge(caps);
                all
            })
        };
        for codec in [Codec::H264, Codec::H265, Codec::Mjpeg] {
            for decoder in candidates(&DecoderChoice::Auto, codec, ElementFacts::of).unwrap() {
                let behind = decoder.download.map_or("videoconvert", |download| download.element);
                let given = templates(&decoder.element, gstreamer::PadDirection::Src);
                let taken = templates(behind, gstreamer::PadDirection::Sink);
                assert!(given.can_intersect(&taken), "{} ! {behind}", decoder.element);
            }
        }
    }
}
