//! All the device memory that the engine takes, known before any of it is.

use std::collections::BTreeMap;
use std::fmt;

use belvedere_kernels::launch::FrameRoom;

use super::step_kernels::token_scratch_bytes;
use super::{ModelShape, Profiles};

/// Bytes left to others where the plan is made to fit: the runtime's own, and prompts that are kept. Where that is too little for
/// all of them, whoever keeps prompts goes on with fewer.
pub const HEADROOM_BYTES: usize = 96 << 20;

/// What a piece of device memory is for. Every input and output of a graph has one of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Keys or values of one decoder layer, `[R, h, capacity, hd]`: key of layer l at 2l, value at 2l + 1.
    SelfCache {
        /// Places.
        capacity: usize,
        /// Which.
        tensor: usize,
    },
    /// Mask over the self-attention caches, `[R, 1, 1, capacity]`.
    PastMask {
        /// Places.
        capacity: usize,
    },
    /// Addresses of new entries and caches, `[2 * layers, 2]`.
    CacheTable {
        /// Places of the caches.
        capacity: usize,
    },
    /// Addresses of the caches, `[2 * layers]`.
    ReorderTable {
        /// Places of the caches.
        capacity: usize,
    },
    /// Cross keys or values of one decoder layer, `[R, h, source, hd]`.
    CrossCache {
        /// Prompt tokens beside the picture's.
        prompt: usize,
        /// Which.
        tensor: usize,
    },
    /// Mask over the cross caches, `[R, 1, 1, source]`.
    CrossMask {
        /// Prompt tokens beside the picture's.
        prompt: usize,
    },
    /// New keys or values of one decoder layer, `[R, h, 1, hd]`.
    NewEntry(usize),
    /// Logits, f32 `[R, V]`.
    Logits,
    /// The next token of every row, i64 `[R]`.
    Token,
    /// Tokens in every row's caches, i64 `[R]`.
    Position,
    /// All tokens of every row, i32 `[R, H]`.
    History,
    /// Tokens that must stand at a place, or -1, i32 `[R, H]`.
    Forced,
    /// Longest length, least length, mode and forced end of every row, i32 `[R, 4]`.
    Limits,
    /// Whether a row has ended, i32 `[R]`.
    Done,
    /// Steps so far, u32 `[1]`.
    Step,
    /// What choosing tokens uses between its kernels.
    TokenScratch,
    /// Which row each row continues, i32 `[R]`.
    Parents,
    /// Masked places: what mask rows are ended with.
    Masked,
    /// Zeros: what a row's caches are wiped with.
    Zeros,
    /// Filters for the sizes of frames, and what levels become.
    FrameFilters,
    /// Frames as their decoders give them, and the table that tells of them.
    FramePixels,
    /// Frames between the two passes of resizing.
    FrameBetween,
    /// Pictures for the vision graph.
    PixelValues,
    /// What the vision graph makes of them.
    PictureFeatures,
    /// Pictures for the encoder.
    PromptFeatures,
    /// Which picture a prompt is about, i64 `[I]`.
    PromptPicture,
    /// Prompts, i64 `[I, L]`.
    PromptTokens,
    /// Mask over the prompts, i64 `[I, L]`.
    PromptMask,
    /// Cross keys or values of one decoder layer as the encoder makes them, `[I, h, S, hd]`.
    Encoded(usize),
    /// Their mask, `[I, 1, 1, S]`.
    EncodedMask,
    /// What decoder steps use while they run; only one is in flight at a time.
    DecodeScratch,
    /// What vision and encoder use while they run; only one of them is in flight at a time.
    EncodeScratch,
}

impl Purpose {
    /// In a word, for people.
    fn group(self) -> &'static str {
        use Purpose as P;
        match self {
            P::SelfCache { .. } | P::PastMask { .. } => "caches",
            P::CrossCache { .. } | P::CrossMask { .. } => "cross caches",
            P::Encoded(_) | P::EncodedMask => "encoder results",
            P::DecodeScratch | P::EncodeScratch => "scratch",
            P::FrameFilters | P::FramePixels | P::FrameBetween => "frames",
            P::PixelValues | P::PictureFeatures | P::PromptFeatures => "pictures",
            _ => "state",
        }
    }
}

/// Device memory by purpose. Weights are not in it: they are the networks' own and have been taken before; neither are
/// features and kept prompts that callers hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryPlan {
    bytes: BTreeMap<Purpose, usize>,
    rows: usize,
    /// Of the host.
    pinned: usize,
}

/// Bytes that executions of the graphs need for themselves, the most of any profile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScratchBytes {
    /// Decoder steps.
    pub decode: usize,
    /// Vision and encoder.
    pub encode: usize,
}

/// Memory comes in pieces of this many bytes.
const GRAIN_BYTES: usize = 256;

fn in_grains(bytes: usize) -> usize {
    bytes.max(1).next_multiple_of(GRAIN_BYTES)
}

impl MemoryPlan {
    /// What a model takes at all these profiles.
    pub fn new(shape: &ModelShape, profiles: &Profiles, scratch: ScratchBytes) -> MemoryPlan {
        let most = |sides: &[usize]| sides.last().copied().unwrap_or(1);
        let (rows, pictures, prompts) =
            (most(&profiles.rows), most(&profiles.pictures), most(&profiles.prompts));
        let longest_prompt = profiles.buckets.last().map_or(1, |bucket| bucket.prompt);
        let capacity = profiles.buckets.last().map_or(1, |bucket| bucket.capacity);
        let source = shape.source(longest_prompt);
        let history_bytes = 4 * rows * shape.history();
        let mut bytes = BTreeMap::from([
            (Purpose::Logits, 4 * rows * shape.columns),
            (Purpose::Token, 8 * rows),
            (Purpose::Position, 8 * rows),
            (Purpose::History, history_bytes),
            (Purpose::Forced, history_bytes),
            (Purpose::Limits, 16 * rows),
            (Purpose::Done, 4 * rows),
            (Purpose::Step, 4),
            (Purpose::TokenScratch, token_scratch_bytes(rows, shape.columns)),
            (Purpose::Parents, 4 * rows),
            (Purpose::Masked, rows * shape.mask_bytes(source)),
            (Purpose::Zeros, shape.row_bytes(capacity.max(source))),
            (Purpose::PixelValues, pictures * shape.pixels_bytes()),
            (Purpose::PictureFeatures, pictures * shape.features_bytes()),
            (Purpose::PromptFeatures, prompts * shape.features_bytes()),
            (Purpose::PromptPicture, 8 * prompts),
            (Purpose::PromptTokens, 8 * prompts * longest_prompt),
            (Purpose::PromptMask, 8 * prompts * longest_prompt),
            (Purpose::EncodedMask, prompts * shape.mask_bytes(source)),
            (Purpose::DecodeScratch, scratch.decode),
            (Purpose::EncodeScratch, scratch.encode),
        ]);
        for tensor in 0..shape.tensors() {
            bytes.insert(Purpose::NewEntry(tensor), rows * shape.row_bytes(1));
            bytes.insert(Purpose::Encoded(tensor), prompts * shape.row_bytes(source));
            for bucket in &profiles.buckets {
                let (capacity, prompt) = (bucket.capacity, bucket.prompt);
                let cache = rows * shape.row_bytes(capacity);
                bytes.insert(Purpose::SelfCache { capacity, tensor }, cache);
                let cross = rows * shape.row_bytes(shape.bucket_source(bucket));
                bytes.insert(Purpose::CrossCache { prompt, tensor }, cross);
            }
        }
        for bucket in &profiles.buckets {
            let (capacity, prompt) = (bucket.capacity, bucket.prompt);
            bytes.insert(Purpose::PastMask { capacity }, rows * shape.mask_bytes(capacity));
            bytes.insert(Purpose::CacheTable { capacity }, 16 * shape.tensors());
            bytes.insert(Purpose::ReorderTable { capacity }, 8 * shape.tensors());
            let mask = rows * shape.mask_bytes(shape.bucket_source(bucket));
            bytes.insert(Purpose::CrossMask { prompt }, mask);
        }
        for bytes in bytes.values_mut() {
            *bytes = in_grains(*bytes);
        }
        MemoryPlan { bytes, rows, pinned: 0 }
    }

    /// The same with what it takes to prepare frames.
    pub fn with_frames(mut self, room: &FrameRoom) -> MemoryPlan {
        self.bytes.extend([
            (Purpose::FrameFilters, in_grains(room.filters_bytes())),
            (Purpose::FramePixels, in_grains(room.pixels_bytes())),
            (Purpose::FrameBetween, in_grains(room.between_bytes())),
        ]);
        self.pinned = room.pinned_bytes();
        self
    }

    /// Sequences that run at once.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of everything.
    pub fn total_bytes(&self) -> usize {
        self.bytes.values().sum()
    }

    /// Bytes of the host's memory that frames pass through, pinned, in addition.
    pub fn pinned_bytes(&self) -> usize {
        self.pinned
    }

    /// Every piece and its bytes.
    pub fn pieces(&self) -> impl Iterator<Item = (Purpose, usize)> {
        self.bytes.iter().map(|(purpose, bytes)| (*purpose, *bytes))
    }
}

impl fmt::Display for MemoryPlan {
    /// The whole and what it is for, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
        for (purpose, bytes) in self.pieces() {
            *groups.entry(purpose.group()).or_default() += bytes;
        }
        let mut groups: Vec<(&str, usize)> = groups.into_iter().collect();
        groups.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        let mib = |bytes: usize| bytes as f64 / (1 << 20) as f64;
        let plural = if self.rows == 1 { "" } else { "s" };
        let total = mib(self.total_bytes());
        write!(f, "{total:.1} MiB of device memory for {} sequence{plural} at once", self.rows)?;
        for (place, (group, bytes)) in groups.into_iter().enumerate() {
            write!(f, "{}{group} {:.1}", if place == 0 { ": " } else { ", " }, mib(bytes))?;
        }
        if self.pinned > 0 {
            write!(f, "; {:.1} MiB of pinned memory for frames", mib(self.pinned))?;
        }
        Ok(())
    }
}
