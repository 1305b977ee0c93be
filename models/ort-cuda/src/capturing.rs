//! Who captures runs.

use std::fmt;
use std::str::FromStr;

/// Who captures runs into a CUDA graph.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Capturing {
    /// The engine, around the run and its own kernels.
    #[default]
    Engine,
    /// ONNX Runtime, its own part alone. The engine, which then cannot, launches the rest piece by piece.
    Provider,
    /// Nobody.
    Nobody,
}

impl fmt::Display for Capturing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Capturing::Engine => "engine",
            Capturing::Provider => "provider",
            Capturing::Nobody => "nobody",
        })
    }
}

impl FromStr for Capturing {
    type Err = String;

    fn from_str(text: &str) -> Result<Capturing, String> {
        let all = [Capturing::Engine, Capturing::Provider, Capturing::Nobody];
        let found = all.into_iter().find(|capturing| capturing.to_string() == text);
        found.ok_or_else(|| format!("{text:?} is none of engine, provider, nobody"))
    }
}
