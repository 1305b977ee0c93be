//! How far building has come.

use std::fmt;
use std::sync::Arc;

use super::GraphName;

/// A sign of life while engines are built, which takes from seconds to tens of minutes.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildProgress {
    /// The graph being built.
    pub graph: GraphName,
    /// Its place among those to be built, from 0.
    pub place: usize,
    /// How many are to be built.
    pub graphs: usize,
    /// The builder's own name for what it is doing; empty before it says.
    pub phase: String,
    /// How far the graph has come, 0 to 1; what is left may take longer than what was done.
    pub done: f32,
}

impl BuildProgress {
    /// How far everything has come, 0 to 1.
    pub fn overall(&self) -> f32 {
        (self.place as f32 + self.done.clamp(0.0, 1.0)) / self.graphs.max(1) as f32
    }
}

/// Called with every [`BuildProgress`], from threads of the builder's own; returns at once.
#[derive(Clone)]
pub struct OnBuild(Arc<dyn Fn(&BuildProgress) + Send + Sync>);

impl OnBuild {
    /// Calls `listener`.
    pub fn new(listener: impl Fn(&BuildProgress) + Send + Sync + 'static) -> OnBuild {
        OnBuild(Arc::new(listener))
    }

    /// Passes it on.
    pub fn tell(&self, progress: &BuildProgress) {
        (self.0)(progress);
    }
}

impl Default for OnBuild {
    /// Nobody listens.
    fn default() -> OnBuild {
        OnBuild::new(|_| ())
    }
}

impl fmt::Debug for OnBuild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnBuild")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphs_count_alike_in_the_whole() {
        let progress = |place, done| BuildProgress {
            graph: GraphName::Vision,
            place,
            graphs: 4,
            phase: String::new(),
            done,
        };
        assert_eq!(progress(0, 0.0).overall(), 0.0);
        assert_eq!(progress(1, 0.5).overall(), 0.375);
        assert_eq!(progress(3, 7.0).overall(), 1.0);
    }
}
