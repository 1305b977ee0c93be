//! NVIDIA's boards and their software.

use serde::Serialize;

/// A Jetson.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Jetson {
    /// The board, as the device tree calls it.
    pub board: String,
    /// The release of its Linux (L4T), such as `36.4.3`; absent where it does not say, as in most containers.
    pub l4t: Option<String>,
}

impl Jetson {
    /// The JetPack that an L4T belongs to; NVIDIA's table.
    pub fn jetpack(&self) -> Option<&'static str> {
        let (major, minor) = self.release()?;
        Some(match (major, minor) {
            (..=33, _) => "4 or older",
            (34, _) => "5.0",
            (35, _) => "5.1",
            (36, ..=3) => "6.0",
            (36, _) => "6.1 or 6.2",
            (37, _) => return None,
            (38, ..=3) => "7.0",
            (38, _) => "7.1",
            (39.., _) => "7.2 or later",
        })
    }

    /// Whether its TensorRT is older than 10.3, and cannot be brought up to that without a newer JetPack.
    pub fn is_too_old(&self) -> bool {
        self.release().is_some_and(|release| release < (36, 4))
    }

    fn release(&self) -> Option<(u32, u32)> {
        let mut numbers = self.l4t.as_deref()?.split('.').map(|number| number.parse().ok());
        Some((numbers.next()??, numbers.next().flatten().unwrap_or(0)))
    }

    /// The release in the text of `/etc/nv_tegra_release`: `# R36 (release), REVISION: 4.3, GCID: ...`.
    pub(super) fn l4t_in(text: &str) -> Option<String> {
        let major = text.strip_prefix("# R")?.split_whitespace().next()?;
        let revision = text.split_once("REVISION:")?.1.split(',').next()?.trim();
        let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
        (is_number(major) && is_number(revision)).then(|| format!("{major}.{revision}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jetson(l4t: &str) -> Jetson {
        Jetson { board: "NVIDIA Jetson".to_owned(), l4t: Some(l4t.to_owned()) }
    }

    #[test]
    fn the_release_is_read_from_its_file() {
        let text = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n";
        assert_eq!(Jetson::l4t_in(text).as_deref(), Some("36.4.3"));
        for wrong in ["", "# R36", "R36, REVISION: 4.3", "# Rx (release), REVISION: y, "] {
            assert_eq!(Jetson::l4t_in(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn jetpack_6_1_is_the_first_whose_tensorrt_will_do() {
        let is_too_old = |l4t| jetson(l4t).is_too_old();
        assert_eq!(
            ["35.6.1", "36.3.0", "36.4.0", "38.2", "39.2"].map(is_too_old),
            [true, true, false, false, false]
        );
        let jetpack = |l4t| jetson(l4t).jetpack();
        assert_eq!(jetpack("35.4.1"), Some("5.1"));
        assert_eq!(jetpack("36.4.3"), Some("6.1 or 6.2"));
        assert_eq!(jetpack("39.2"), Some("7.2 or later"));
    }

    #[test]
    fn a_release_that_is_not_known_is_not_held_against_it() {
        let unknown = Jetson { board: String::new(), l4t: None };
        assert_eq!((unknown.jetpack(), unknown.is_too_old()), (None, false));
        assert!(!jetson("new").is_too_old());
    }
}
