use belvedere_kernels::{Colorimetry, YuvMatrix, YuvRange};
use gstreamer_video::{VideoColorMatrix, VideoColorRange, VideoColorimetry};

/// The colorimetry of a YUV picture from its caps.
///
/// What a stream leaves unsaid is taken as receivers commonly do: BT.709 above 576 lines, else BT.601, and
/// limited range. BT.2020 is read as BT.709, the nearer of the two that are converted.
pub(crate) fn colorimetry(said: &VideoColorimetry, height_px: u32) -> Colorimetry {
    let matrix = match said.matrix() {
        VideoColorMatrix::Bt601 | VideoColorMatrix::Fcc => YuvMatrix::Bt601,
        VideoColorMatrix::Bt709 | VideoColorMatrix::Smpte240m | VideoColorMatrix::Bt2020 => YuvMatrix::Bt709,
        _ if height_px > 576 => YuvMatrix::Bt709,
        _ => YuvMatrix::Bt601,
    };
    let range = match said.range() {
        VideoColorRange::Range0_255 => YuvRange::Full,
        _ => YuvRange::Limited,
    };
    Colorimetry { matrix, range }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    fn read(said: &str, height_px: u32) -> Colorimetry {
        gstreamer::init().unwrap();
        colorimetry(&VideoColorimetry::from_str(said).unwrap(), height_px)
    }

    #[test]
    fn what_a_stream_says_is_taken() {
        let full_601 = Colorimetry { matrix: YuvMatrix::Bt601, range: YuvRange::Full };
        let limited_709 = Colorimetry { matrix: YuvMatrix::Bt709, range: YuvRange::Limited };
        assert_eq!(read("1:4:0:0", 1080), full_601);
        assert_eq!(read("bt709", 240), limited_709);
        assert_eq!(read("bt2020", 2160), limited_709);
    }

    #[test]
    fn what_a_stream_leaves_unsaid_depends_on_its_lines() {
        assert_eq!(read("0:0:0:0", 576), Colorimetry { matrix: YuvMatrix::Bt601, range: YuvRange::Limited });
        assert_eq!(read("0:0:0:0", 720), Colorimetry { matrix: YuvMatrix::Bt709, range: YuvRange::Limited });
    }
}
