use std::collections::BTreeSet;

use url::Url;

/// A picture made by GStreamer's `videotestsrc`, for trying things out without a camera.
///
/// Written `test://PATTERN?width=640&height=480&rate=10`, where `PATTERN` is `bars`, `ball`, `snow`, or
/// `rrggbb`, six hexadecimal digits of one solid colour. The query may be left out; the values shown are
/// the defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct TestPicture {
    /// What is shown.
    pub pattern: TestPattern,
    /// Width in pixels, 16 to 8192.
    pub width_px: u32,
    /// Height in pixels, 16 to 8192.
    pub height_px: u32,
    /// Frames per second made, 1 to 240.
    pub rate: u32,
}

/// What a [`TestPicture`] shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestPattern {
    /// Colour bars.
    Bars,
    /// A white ball that moves over black.
    Ball,
    /// Noise.
    Snow,
    /// One colour, 0xRRGGBB.
    Solid(u32),
}

impl TestPicture {
    pub(crate) fn from_url(url: &Url) -> Result<Self, String> {
        let name = url.host_str().unwrap_or("");
        let pattern = match name {
            "" | "bars" => TestPattern::Bars,
            "ball" => TestPattern::Ball,
            "snow" => TestPattern::Snow,
            _ => TestPattern::Solid(
                (name.len() == 6)
                    .then(|| u32::from_str_radix(name, 16).ok())
                    .flatten()
                    .ok_or("the picture is one of bars, ball, snow or a colour as rrggbb")?,
            ),
        };
        let mut picture = Self { pattern, width_px: 640, height_px: 480, rate: 10 };
        let mut seen = BTreeSet::new();
        for (key, value) in url.query_pairs() {
            let (field, low, high) = match key.as_ref() {
                "width" => (&mut picture.width_px, 16, 8192),
                "height" => (&mut picture.height_px, 16, 8192),
                "rate" => (&mut picture.rate, 1, 240),
                _ => return Err("a test picture takes width, height and rate".to_owned()),
            };
            let number = value.parse().ok().filter(|n| (low..=high).contains(n));
            *field = number.ok_or(format!("{key} is a whole number from {low} to {high}"))?;
            if !seen.insert(key.clone()) {
                return Err(format!("{key} is given twice"));
            }
        }
        Ok(picture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<TestPicture, String> {
        TestPicture::from_url(&Url::parse(text).unwrap())
    }

    #[test]
    fn a_test_picture_has_defaults_for_all_it_is_not_told() {
        let bars = TestPicture { pattern: TestPattern::Bars, width_px: 640, height_px: 480, rate: 10 };
        assert_eq!(parse("test://bars"), Ok(bars.clone()));
        assert_eq!(parse("test://"), Ok(bars));
        let red = parse("test://c01020?width=320&height=240&rate=25").unwrap();
        assert_eq!(
            red,
            TestPicture { pattern: TestPattern::Solid(0xc01020), width_px: 320, height_px: 240, rate: 25 }
        );
    }

    #[test]
    fn a_test_picture_that_cannot_be_made_is_refused() {
        for wrong in ["test://moon", "test://bars?width=0", "test://bars?w=1", "test://bars?rate=2&rate=3"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
