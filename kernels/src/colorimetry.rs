//! How the numbers of a YUV picture mean colours.

/// The luma weights a YUV picture was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum YuvMatrix {
    /// ITU-R BT.601: Kr = 0.299, Kb = 0.114. Standard definition, and JPEG.
    Bt601,
    /// ITU-R BT.709: Kr = 0.2126, Kb = 0.0722. High definition.
    Bt709,
}

/// The range of 8-bit values a YUV picture uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum YuvRange {
    /// Luma 16..=235, chroma 16..=240: video.
    Limited,
    /// All of 0..=255: JPEG, and cameras that say so.
    Full,
}

/// What a YUV picture needs to become RGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Colorimetry {
    /// Luma weights.
    pub matrix: YuvMatrix,
    /// Range of values.
    pub range: YuvRange,
}

/// Binary places of the coefficients in [`YuvToRgb`].
pub(crate) const COEFFICIENT_BITS: u32 = 16;

/// The conversion of one pixel in integers, exact and the same on every machine:
///
/// ```text
/// l = luma_gain * (Y - luma_offset) + 2^15        u = U - 128        v = V - 128
/// R = clamp((l + red_v * v) >> 16)
/// G = clamp((l - green_u * u - green_v * v) >> 16)
/// B = clamp((l + blue_u * u) >> 16)
/// ```
///
/// with an arithmetic shift and a clamp to 0..=255. The gains are the real numbers below times 2^16, rounded
/// half away from zero, so a channel is within 0.51 levels of the real-valued conversion:
///
/// ```text
/// limited: luma 255/219, chroma 255/224, offset 16;  full: luma 1, chroma 1, offset 0
/// red_v   = chroma * 2 * (1 - Kr)               blue_u  = chroma * 2 * (1 - Kb)
/// green_u = chroma * 2 * (1 - Kb) * Kb / Kg     green_v = chroma * 2 * (1 - Kr) * Kr / Kg,   Kg = 1 - Kr - Kb
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct YuvToRgb {
    pub(crate) luma_offset: i32,
    pub(crate) luma_gain: i32,
    pub(crate) red_v: i32,
    pub(crate) green_u: i32,
    pub(crate) green_v: i32,
    pub(crate) blue_u: i32,
}

impl YuvToRgb {
    pub(crate) fn new(colorimetry: Colorimetry) -> Self {
        let (kr, kb) = match colorimetry.matrix {
            YuvMatrix::Bt601 => (0.299, 0.114),
            YuvMatrix::Bt709 => (0.2126, 0.0722),
        };
        let kg = 1.0 - kr - kb;
        let (luma, chroma, luma_offset) = match colorimetry.range {
            YuvRange::Limited => (255.0 / 219.0, 255.0 / 224.0, 16),
            YuvRange::Full => (1.0, 1.0, 0),
        };
        let fixed = |gain: f64| (gain * f64::from(1 << COEFFICIENT_BITS)).round() as i32;
        let (red, blue) = (chroma * 2.0 * (1.0 - kr), chroma * 2.0 * (1.0 - kb));
        YuvToRgb {
            luma_offset,
            luma_gain: fixed(luma),
            red_v: fixed(red),
            green_u: fixed(blue * kb / kg),
            green_v: fixed(red * kr / kg),
            blue_u: fixed(blue),
        }
    }
}
