//! Which TensorRT.

use std::fmt;

/// A line of TensorRT with interfaces of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flavour {
    /// TensorRT 10, from 10.3 on: JetPack 6 and 7, desktops.
    TensorRt10,
    /// TensorRT 11.
    TensorRt11,
    /// TensorRT-RTX, for GeForce and RTX cards.
    Rtx,
}

impl Flavour {
    /// The major version in the names of its libraries.
    pub(crate) fn soname_major(self) -> u32 {
        match self {
            Flavour::TensorRt10 => 10,
            Flavour::TensorRt11 => 11,
            Flavour::Rtx => 1,
        }
    }

    /// The library that builds and runs engines.
    pub(crate) fn library_name(self) -> String {
        match self {
            Flavour::Rtx => format!("libtensorrt_rtx.so.{}", self.soname_major()),
            _ => format!("libnvinfer.so.{}", self.soname_major()),
        }
    }

    /// The library that reads ONNX.
    pub(crate) fn parser_name(self) -> String {
        match self {
            Flavour::Rtx => format!("libtensorrt_onnxparser_rtx.so.{}", self.soname_major()),
            _ => format!("libnvonnxparser.so.{}", self.soname_major()),
        }
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flavour::TensorRt10 | Flavour::TensorRt11 => "TensorRT",
            Flavour::Rtx => "TensorRT-RTX",
        })
    }
}

/// A version, as libraries and headers count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Another major is another interface.
    pub major: u32,
    /// A later minor takes what an earlier one was compiled for, but in TensorRT-RTX.
    pub minor: u32,
    /// Repairs.
    pub patch: u32,
}

impl Version {
    /// Of the number that `getInferLibVersion` returns and `NV_TENSORRT_VERSION` is.
    pub(crate) fn from_number(number: i32) -> Version {
        let number = number.unsigned_abs();
        Version { major: number / 10_000, minor: number / 100 % 100, patch: number % 100 }
    }

    /// Why a library of this version cannot be used by what was compiled against `headers`; `None` if it can.
    pub(crate) fn mismatch(self, flavour: Flavour, headers: Version) -> Option<String> {
        let is_usable = match flavour {
            // Virtual tables are reordered between minor versions.
            Flavour::Rtx => (self.major, self.minor) == (headers.major, headers.minor),
            // They only grow within a major.
            _ => self.major == headers.major && self >= headers,
        };
        let needed = if flavour == Flavour::Rtx { "the same minor version" } else { "at least that" };
        (!is_usable).then(|| {
            format!("it is {flavour} {self}, this build was compiled against {headers} and needs {needed}")
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_number_is_taken_apart() {
        assert_eq!(Version::from_number(100_300).to_string(), "10.3.0");
        assert_eq!(Version::from_number(110_401), Version { major: 11, minor: 4, patch: 1 });
        assert_eq!(Version::from_number(10_701).to_string(), "1.7.1");
    }

    #[test]
    fn a_later_minor_is_taken_but_for_rtx() {
        let [v10_3, v10_16, v11_0, v1_7, v1_8] =
            [100_300, 101_602, 110_000, 10_701, 10_800].map(Version::from_number);
        assert_eq!(v10_16.mismatch(Flavour::TensorRt10, v10_3), None);
        let older = v10_3.mismatch(Flavour::TensorRt10, v10_16).unwrap_or_default();
        assert!(older.contains("10.3.0") && older.contains("10.16.2"), "{older}");
        assert!(v11_0.mismatch(Flavour::TensorRt10, v10_3).is_some());
        assert_eq!(v1_7.mismatch(Flavour::Rtx, Version { patch: 9, ..v1_7 }), None);
        assert!(v1_8.mismatch(Flavour::Rtx, v1_7).is_some());
    }
}
