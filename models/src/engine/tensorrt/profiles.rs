//! The shapes that engines are built for: every symbol of a graph gets a number.

use std::collections::BTreeMap;
use std::fmt;

use super::GraphName;
use crate::graph::{Dim, Port};

/// Numbers for the symbols of one graph's shapes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Profile(BTreeMap<&'static str, usize>);

impl Profile {
    /// Of a vision graph: pictures at once.
    pub fn vision(batch: usize) -> Profile {
        Profile([("batch", batch)].into())
    }

    /// Of an encoder: prompts at once, each with a picture of its own, and their tokens beside the `image_tokens`.
    pub fn encoder(items: usize, prompt: usize, image_tokens: usize) -> Profile {
        Profile(
            [("images", items), ("items", items), ("prompt", prompt), ("source", image_tokens + prompt)]
                .into(),
        )
    }

    /// Of a decoder step: rows, each an item of its own, places in their caches, and length of what they attend to.
    pub fn decoder(rows: usize, capacity: usize, source: usize) -> Profile {
        Profile([("rows", rows), ("items", rows), ("capacity", capacity), ("source", source)].into())
    }

    /// The number of a symbol.
    pub fn get(&self, symbol: &str) -> Option<usize> {
        self.0.get(symbol).copied()
    }

    /// The shape of an input or output; `None` where it has a symbol that the profile does not know.
    pub fn shape(&self, port: &Port) -> Option<Vec<usize>> {
        let side = |dim: &Dim| match dim {
            Dim::Fixed(side) => Some(*side),
            Dim::Named(symbol) => self.get(symbol),
        };
        port.shape.iter().map(side).collect()
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (symbol, number)) in self.0.iter().enumerate() {
            write!(f, "{}{symbol} {number}", if place == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// The profiles of a model's graphs. The decoder's are every batch with every pair of a cache capacity and a source
/// length; a longer prompt or a longer answer moves the whole running batch to a larger pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profiles {
    /// Pictures that the vision graph takes at once, ascending.
    pub pictures: Vec<usize>,
    /// Prompts that the encoder takes at once, ascending.
    pub prompts: Vec<usize>,
    /// Rows that a decoder step takes at once, ascending. The last is how many sequences can run together.
    pub rows: Vec<usize>,
    /// Cache capacity and prompt tokens that belong together, ascending in both.
    pub buckets: Vec<Bucket>,
    /// Tokens of a picture, the pooled one included.
    pub image_tokens: usize,
}

/// How long answers and prompts may get before a batch must move to the next bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Places in the self-attention caches.
    pub capacity: usize,
    /// Tokens of a prompt, beside the picture's.
    pub prompt: usize,
}

impl Profiles {
    /// Those for a model with `positions` positions in encoder and decoder, on a device for up to `rows` sequences at
    /// once. Prompts are short or as long as they can be; source lengths are multiples of 8 where the positions allow it.
    pub fn new(image_tokens: usize, positions: usize, rows: usize) -> Profiles {
        let doubled = |up_to: usize| -> Vec<usize> {
            let powers = std::iter::successors(Some(1_usize), |n| n.checked_mul(2));
            powers.take_while(|n| *n < up_to).chain([up_to.max(1)]).collect()
        };
        let longest = positions.saturating_sub(image_tokens).max(1);
        let short = ((image_tokens + 32).next_multiple_of(64) - image_tokens).min(longest);
        let mut buckets = Vec::new();
        for capacity in [64, 256] {
            if capacity < positions {
                buckets.push(Bucket { capacity, prompt: short });
            }
        }
        buckets.push(Bucket { capacity: positions.max(1), prompt: longest });
        Profiles {
            pictures: doubled(rows.min(4)),
            prompts: doubled(rows.min(4)),
            rows: doubled(rows),
            buckets,
            image_tokens,
        }
    }

    /// Those of them for no more than `rows` sequences at once.
    pub fn up_to(&self, rows: usize) -> Profiles {
        let cut = |sides: &[usize]| sides.iter().copied().filter(|side| *side <= rows).collect();
        let (pictures, prompts) = (cut(&self.pictures), cut(&self.prompts));
        Profiles { pictures, prompts, rows: cut(&self.rows), ..self.clone() }
    }

    /// All profiles of a graph.
    pub fn of(&self, graph: GraphName) -> Vec<Profile> {
        let mut profiles: Vec<Profile> = match graph {
            GraphName::Vision => self.pictures.iter().map(|&batch| Profile::vision(batch)).collect(),
            GraphName::Encoder => {
                let lengths = self.buckets.iter().map(|bucket| bucket.prompt);
                let encoder = |prompt| {
                    self.prompts.iter().map(move |&items| Profile::encoder(items, prompt, self.image_tokens))
                };
                lengths.flat_map(encoder).collect()
            }
            GraphName::DecoderStep => {
                let source = |bucket: &Bucket| self.image_tokens + bucket.prompt;
                let decoder = |bucket: &Bucket| {
                    let (capacity, source) = (bucket.capacity, source(bucket));
                    self.rows.iter().map(move |&rows| Profile::decoder(rows, capacity, source))
                };
                self.buckets.iter().flat_map(decoder).collect()
            }
        };
        // Buckets may share a prompt length.
        profiles.sort();
        profiles.dedup();
        profiles
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_cover_every_prompt_and_answer_that_the_model_takes() {
        for (image_tokens, positions, rows) in [(577, 1024, 8), (37, 1024, 3), (17, 64, 1), (1023, 1024, 4)] {
            let profiles = Profiles::new(image_tokens, positions, rows);
            assert_eq!(profiles.rows.last(), Some(&rows));
            let last = profiles.buckets.last().copied();
            assert_eq!(last, Some(Bucket { capacity: positions, prompt: positions - image_tokens }));
            assert!(profiles.buckets.is_sorted_by_key(|bucket| (bucket.capacity, bucket.prompt)));
            for graph in GraphName::ALL {
                let all = profiles.of(graph);
                assert!(!all.is_empty() && all.windows(2).all(|pair| pair[0] < pair[1]));
            }
        }
    }

    #[test]
    fn base_at_768_pixels_has_short_and_long_sources() {
        let profiles = Profiles::new(577, 1024, 8);
        assert_eq!(profiles.rows, [1, 2, 4, 8]);
        let sources: Vec<_> = profiles.buckets.iter().map(|bucket| 577 + bucket.prompt).collect();
        assert_eq!(sources, [640, 640, 1024]);
        assert_eq!(profiles.of(GraphName::DecoderStep).len(), 12);
        assert_eq!(profiles.of(GraphName::Encoder).len(), 6);
    }

    #[test]
    fn a_shape_is_the_ports_with_its_symbols_replaced() {
        let port = Port { name: "past_key.0".into(), element: None, shape: vec!["rows".into(), 12.into()] };
        assert_eq!(Profile::decoder(4, 64, 640).shape(&port), Some(vec![4, 12]));
        assert_eq!(Profile::vision(4).shape(&port), None);
    }
}
