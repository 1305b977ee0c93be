use std::fmt;

/// A video codec that Belvedere decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// H.264, AVC.
    H264,
    /// H.265, HEVC.
    H265,
    /// JPEG pictures one after another.
    Mjpeg,
    /// Pictures that need no decoder (some webcams, the test picture).
    Raw,
}

impl Codec {
    /// From the `encoding-name` of an RTP stream (RFC 6184, RFC 7798, RFC 2435).
    pub(crate) fn from_rtp_encoding(name: &str) -> Option<Self> {
        match name {
            "H264" => Some(Self::H264),
            "H265" => Some(Self::H265),
            "JPEG" => Some(Self::Mjpeg),
            _ => None,
        }
    }

    /// Its caps media type.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::H264 => "video/x-h264",
            Self::H265 => "video/x-h265",
            Self::Mjpeg => "image/jpeg",
            Self::Raw => "video/x-raw",
        }
    }

    /// From a caps media type.
    pub(crate) fn from_media_type(name: &str) -> Option<Self> {
        match name {
            "video/x-h264" => Some(Self::H264),
            "video/x-h265" => Some(Self::H265),
            "image/jpeg" => Some(Self::Mjpeg),
            "video/x-raw" => Some(Self::Raw),
            _ => None,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::H264 => "H.264",
            Self::H265 => "H.265",
            Self::Mjpeg => "MJPEG",
            Self::Raw => "raw",
        })
    }
}
