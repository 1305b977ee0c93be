//! What the user says about decoders.

use std::fmt;
use std::str::FromStr;

use crate::PipelineError;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_understood_as_it_is_said_and_nothing_else_is() {
        for word in ["auto", "software", "nvv4l2", "nvcodec", "va", "element:avdec_h264"] {
            assert_eq!(word.parse::<DecoderChoice>().unwrap().to_string(), word);
        }
        assert!(DecoderChoice::from_str("gpu").is_err() && DecoderChoice::from_str("element:a ! b").is_err());
    }
}
