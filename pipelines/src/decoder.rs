use std::fmt;
use std::str::FromStr;

use gstreamer as gst;

use crate::{Codec, PipelineError};

/// Which decoder to use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DecoderChoice {
    /// The first that this machine has and that starts: nvv4l2, nvcodec, VA, software. If one fails before
    /// its first frame the next one is tried, and a warning says so.
    #[default]
    Auto,
    /// FFmpeg's or libjpeg's, on the CPU.
    Software,
    /// NVIDIA Jetson's hardware decoder.
    Nvv4l2,
    /// NVIDIA desktop GPUs.
    Nvcodec,
    /// VA-API: Intel and AMD GPUs.
    Va,
    /// A GStreamer element by its name.
    Element(String),
}

impl FromStr for DecoderChoice {
    type Err = PipelineError;

    /// `auto`, `software`, `nvv4l2`, `nvcodec`, `va`, or `element:NAME`.
    fn from_str(word: &str) -> Result<Self, PipelineError> {
        let element = |name: &&str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        };
        match word {
            "auto" => Ok(Self::Auto),
            "software" => Ok(Self::Software),
            "nvv4l2" => Ok(Self::Nvv4l2),
            "nvcodec" => Ok(Self::Nvcodec),
            "va" => Ok(Self::Va),
            _ => match word.strip_prefix("element:").filter(element) {
                Some(name) => Ok(Self::Element(name.to_owned())),
                None => Err(PipelineError::UnknownWord {
                    what: "decoder",
                    value: word.to_owned(),
                    known: "auto, software, nvv4l2, nvcodec, va, element:NAME".to_owned(),
                }),
            },
        }
    }
}

impl fmt::Display for DecoderChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Software => "software",
            Self::Nvv4l2 => "nvv4l2",
            Self::Nvcodec => "nvcodec",
            Self::Va => "va",
            Self::Element(name) => return write!(f, "element:{name}"),
        })
    }
}

/// A decoder element and what has to stand behind it for the pixels to be in ordinary memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decoder {
    /// The decoder's factory.
    pub(crate) element: String,
    /// The factory that brings the pixels down, if one is needed.
    pub(crate) download: Option<&'static str>,
    /// Its output buffers are few: a frame that is held is copied.
    pub(crate) small_pool: bool,
}

/// One row a decoder: what the user calls it, the codec, the element, the download.
const KNOWN: [(DecoderChoice, Codec, &str, Option<&str>); 14] = [
    (DecoderChoice::Nvv4l2, Codec::H264, "nvv4l2decoder", Some("nvvidconv")),
    (DecoderChoice::Nvv4l2, Codec::H265, "nvv4l2decoder", Some("nvvidconv")),
    (DecoderChoice::Nvcodec, Codec::H264, "nvh264dec", Some("cudadownload")),
    (DecoderChoice::Nvcodec, Codec::H265, "nvh265dec", Some("cudadownload")),
    (DecoderChoice::Nvcodec, Codec::Mjpeg, "nvjpegdec", Some("cudadownload")),
    (DecoderChoice::Va, Codec::H264, "vah264dec", Some("vapostproc")),
    (DecoderChoice::Va, Codec::H265, "vah265dec", Some("vapostproc")),
    (DecoderChoice::Va, Codec::H264, "vaapih264dec", Some("vaapipostproc")),
    (DecoderChoice::Va, Codec::H265, "vaapih265dec", Some("vaapipostproc")),
    (DecoderChoice::Va, Codec::Mjpeg, "vajpegdec", Some("vapostproc")),
    (DecoderChoice::Software, Codec::H264, "avdec_h264", None),
    (DecoderChoice::Software, Codec::H265, "avdec_h265", None),
    (DecoderChoice::Software, Codec::Mjpeg, "jpegdec", None),
    (DecoderChoice::Software, Codec::Mjpeg, "avdec_mjpeg", None),
];

/// The decoders to try for `codec`, best first, of those for which `installed` holds.
pub(crate) fn candidates(
    choice: &DecoderChoice,
    codec: Codec,
    installed: impl Fn(&str) -> bool,
) -> Result<Vec<Decoder>, String> {
    if let DecoderChoice::Element(name) = choice {
        let known = KNOWN.iter().find(|(_, _, element, _)| element == name);
        let download = known.and_then(|(_, _, _, download)| *download).filter(|name| installed(name));
        let decoder =
            Decoder { element: name.clone(), download, small_pool: known.is_none() || download.is_some() };
        return if installed(name) { Ok(vec![decoder]) } else { Err(name.clone()) };
    }
    let wanted = |row: &&(DecoderChoice, Codec, &str, Option<&str>)| {
        row.1 == codec && (*choice == DecoderChoice::Auto || row.0 == *choice)
    };
    let found: Vec<Decoder> = KNOWN
        .iter()
        .filter(wanted)
        .filter(|(_, _, element, _)| installed(element))
        .map(|(kind, _, element, download)| Decoder {
            element: (*element).to_owned(),
            // The decoders but nvv4l2decoder can write to ordinary memory themselves.
            download: download.filter(|name| installed(name)),
            small_pool: *kind != DecoderChoice::Software,
        })
        .collect();
    if found.is_empty() {
        let names: Vec<&str> = KNOWN.iter().filter(wanted).map(|row| row.2).collect();
        return Err(if names.is_empty() { format!("{choice} for {codec}") } else { names.join(" or ") });
    }
    Ok(found)
}

/// Whether GStreamer has an element of this name here.
pub(crate) fn is_installed(element: &str) -> bool {
    gst::ElementFactory::find(element).is_some()
}

/// The decoders this machine has for each codec, in the order in which they are tried. Having one does not mean that it
/// works: that shows when it starts.
pub fn available_decoders() -> Result<Vec<(Codec, Vec<String>)>, PipelineError> {
    crate::start_gstreamer()?;
    let found = |codec| candidates(&DecoderChoice::Auto, codec, is_installed).unwrap_or_default();
    let codecs = [Codec::H264, Codec::H265, Codec::Mjpeg];
    Ok(codecs
        .map(|codec| (codec, found(codec).into_iter().map(|decoder| decoder.element).collect()))
        .to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(choice: &str, codec: Codec, installed: &[&str]) -> Result<Vec<String>, String> {
        let found = candidates(&choice.parse().unwrap(), codec, |name| installed.contains(&name))?;
        Ok(found.into_iter().map(|decoder| decoder.element).collect())
    }

    #[test]
    fn auto_takes_jetson_then_nvidia_then_va_then_software() {
        let all = ["avdec_h264", "vah264dec", "vaapih264dec", "nvh264dec", "nvv4l2decoder", "avdec_h265"];
        let order = ["nvv4l2decoder", "nvh264dec", "vah264dec", "vaapih264dec", "avdec_h264"];
        assert_eq!(names("auto", Codec::H264, &all).unwrap(), order);
        assert_eq!(names("auto", Codec::H264, &all[..1]).unwrap(), ["avdec_h264"]);
    }

    #[test]
    fn a_decoder_asked_for_and_missing_is_an_error_that_names_it() {
        assert_eq!(names("va", Codec::H265, &["avdec_h265"]), Err("vah265dec or vaapih265dec".to_owned()));
        assert_eq!(names("nvv4l2", Codec::Mjpeg, &["jpegdec"]), Err("nvv4l2 for MJPEG".to_owned()));
        assert_eq!(names("element:foo", Codec::H264, &["avdec_h264"]), Err("foo".to_owned()));
        assert!(DecoderChoice::from_str("gpu").is_err() && DecoderChoice::from_str("element:a ! b").is_err());
    }

    #[test]
    fn a_download_stands_behind_a_decoder_where_it_is_installed() {
        let found = candidates(&DecoderChoice::Nvcodec, Codec::H264, |_| true).unwrap();
        assert_eq!(found[0].download, Some("cudadownload"));
        let found = candidates(&DecoderChoice::Nvcodec, Codec::H264, |name| name == "nvh264dec").unwrap();
        assert_eq!((found[0].download, found[0].small_pool), (None, true));
    }
}
