//! What can go wrong, with TensorRT's own words.

use std::fmt;

use crate::{Flavour, Version};

/// A library that was asked for and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Name or path, as the loader was given it.
    pub library: String,
    /// What the loader said, or what is wrong with the library.
    pub reason: String,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.library, self.reason)
    }
}

/// An error of this crate.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TensorRtError {
    /// No headers were there when this was compiled.
    #[error(
        "this build has no TensorRT: its headers (10.3 to 11, or TensorRT-RTX 1.7) were not installed where it was built"
    )]
    NotBuilt,
    /// No library could be used.
    #[error("no usable TensorRT library; tried {}", listed(.tried))]
    LibraryMissing {
        /// Every library that was tried, in order.
        tried: Vec<Attempt>,
    },
    /// Something that the library makes could not be made.
    #[error("{flavour} {version}: no {object}{}", said(.messages))]
    NotMade {
        /// Whose library.
        flavour: Flavour,
        /// Which version.
        version: Version,
        /// What was to be made: "builder", "runtime", an engine with the name of its graph.
        object: String,
        /// What TensorRT said.
        messages: Vec<String>,
    },
    /// The parser does not take a graph.
    #[error("graph {graph}: {flavour} {version} does not parse it{}", said(.messages))]
    NotParsed {
        /// The graph.
        graph: String,
        /// Whose library.
        flavour: Flavour,
        /// Which version.
        version: Version,
        /// What the parser said, with the node of each.
        messages: Vec<String>,
    },
    /// The builder makes no engine of a graph.
    #[error("graph {graph}: {flavour} {version} does not build it{}", said(.messages))]
    NotBuiltGraph {
        /// The graph.
        graph: String,
        /// Whose library.
        flavour: Flavour,
        /// Which version.
        version: Version,
        /// What the builder said.
        messages: Vec<String>,
    },
    /// A build was stopped by its listener.
    #[error("graph {graph}: building was stopped")]
    Stopped {
        /// The graph.
        graph: String,
    },
    /// Something was asked of an input or output that it does not have or cannot take.
    #[error("graph {graph}, tensor {tensor}: {reason}{}", said(.messages))]
    Tensor {
        /// The graph.
        graph: String,
        /// The tensor.
        tensor: String,
        /// What is wrong.
        reason: String,
        /// What TensorRT said.
        messages: Vec<String>,
    },
    /// A request that the builder or an execution refuses.
    #[error("graph {graph}, {doing}: refused{}", said(.messages))]
    Refused {
        /// The graph.
        graph: String,
        /// What was asked.
        doing: String,
        /// What TensorRT said.
        messages: Vec<String>,
    },
}

fn listed(tried: &[Attempt]) -> String {
    let tried: Vec<String> = tried.iter().map(Attempt::to_string).collect();
    tried.join("; ")
}

fn said(messages: &[String]) -> String {
    if messages.is_empty() { ", without saying why".to_owned() } else { format!(": {}", messages.join("; ")) }
}
