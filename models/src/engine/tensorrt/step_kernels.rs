//! What a decoder step is made of: the graph with its bindings, and the kernels that follow it.

use belvedere_kernels::device::{Device, DeviceSlice};
use belvedere_kernels::launch::{
    BestToken, BestTokens, CacheAppend, CachePair, CacheReorder, NextToken, Parents, PastMask,
};

use super::memory_plan::Purpose;
use super::open::open;
use super::prompt_encoder::tensor_names;
use super::row_state::{cache_element, decode_state};
use super::staging::Staging;
use super::step_ring::RING_STEPS;
use super::step_variant::StepVariant;
use super::workspace::{Workspace, failed};
use super::{Bucket, GraphName, Network, Networks, Profile};
use crate::ModelError;
use crate::decode::DecoderConfig;

/// What follows the graph in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum StepKind {
    /// Every row gets its most likely token.
    Greedy,
    /// The same, and the `best` tokens of every row for the host to choose among.
    Beams { best: usize },
}

/// Most candidates of a row.
const MOST_BEST: usize = 32;

/// Rows among which sequences can be continued: those of a beam search lie in one such block.
pub(super) const BLOCK_ROWS: usize = 16;

/// Bytes of the candidates of `rows` rows.
pub(super) fn best_bytes(rows: usize) -> usize {
    rows * MOST_BEST * BestToken::BYTES
}

/// Bytes that choosing tokens uses between its kernels.
pub(super) fn token_scratch_bytes(rows: usize, vocabulary: usize) -> usize {
    let best = BestTokens::scratch_bytes(rows, vocabulary, MOST_BEST);
    best.max(NextToken::scratch_bytes(rows, vocabulary))
}

/// The candidates of one row, best first.
pub(super) fn candidates(bytes: &[u8]) -> Vec<(f32, u32)> {
    let entries = bytes.as_chunks().0.iter().map(|entry| BestToken::from_bytes(*entry));
    let token = |entry| match entry {
        BestToken::Token { id, log_prob } => Some((log_prob, id)),
        BestToken::None | BestToken::NotFinite => None,
    };
    entries.filter_map(token).collect()
}

/// A step of `rows` rows in a bucket, with everything bound.
pub(super) fn open_step<D: Device, N: Networks<D>>(
    workspace: &Workspace<D>,
    networks: &mut N,
    decoder: &DecoderConfig,
    rows: usize,
    bucket: &Bucket,
    kind: StepKind,
    [ring, best]: [DeviceSlice; 2],
) -> Result<StepVariant<D, N::Network>, ModelError> {
    let shape = &workspace.shape;
    let (capacity, prompt) = (bucket.capacity, bucket.prompt);
    let source = shape.bucket_source(bucket);
    let profile = Profile::decoder(rows, capacity, source);
    let mut network = open(workspace, networks, GraphName::DecoderStep, &profile)?;
    let mut bind = |name: &str, purpose, row_bytes: usize| {
        network.bind(name, workspace.first(purpose, rows * row_bytes)?)
    };
    bind("input_ids", Purpose::Token, 8)?;
    bind("positions", Purpose::Position, 8)?;
    bind("past_mask", Purpose::PastMask { capacity }, shape.mask_bytes(capacity))?;
    bind("cross_mask", Purpose::CrossMask { prompt }, shape.mask_bytes(source))?;
    bind("logits", Purpose::Logits, 4 * shape.columns)?;
    let names = ["past", "cross", "new"].map(|kind| tensor_names(kind, shape.layers));
    for (tensor, name) in names.into_iter().flat_map(Iterator::enumerate) {
        let (purpose, row_bytes) = match name.split('_').next() {
            Some("past") => (Purpose::SelfCache { capacity, tensor }, shape.row_bytes(capacity)),
            Some("cross") => (Purpose::CrossCache { prompt, tensor }, shape.row_bytes(source)),
            _ => (Purpose::NewEntry(tensor), shape.row_bytes(1)),
        };
        bind(&name, purpose, row_bytes)?;
    }

    let state = decode_state(workspace, rows)?;
    let append = cache_append(workspace, capacity, rows)?;
    let logits = workspace.first(Purpose::Logits, rows * 4 * shape.columns)?;
    let scratch = token_scratch_bytes(rows, decoder.vocabulary);
    let scratch = workspace.first(Purpose::TokenScratch, scratch)?;
    let (columns, eos) = (shape.columns, decoder.eos as i32);
    let DecoderConfig { vocabulary, no_repeat_ngram, .. } = *decoder;
    let next = NextToken {
        logits,
        columns,
        vocabulary,
        no_repeat_ngram,
        eos,
        scratch,
        ring,
        ring_steps: RING_STEPS,
    };
    let mut launches = vec![append.launch(&state).map_err(failed("cache_append"))?];
    if let StepKind::Beams { best: count } = kind {
        // Before the next token, which lets the histories grow that the bans are read from.
        let best = BestTokens { logits, columns, vocabulary, no_repeat_ngram, eos, count, scratch, best };
        launches.extend(best.launches(&state).map_err(failed("best_tokens"))?);
    }
    launches.extend(next.launches(&state).map_err(failed("next_token"))?);
    Ok(StepVariant::new(network, launches, profile))
}

fn cache_append<D: Device>(
    workspace: &Workspace<D>,
    capacity: usize,
    rows: usize,
) -> Result<CacheAppend, ModelError> {
    let shape = &workspace.shape;
    let mask = workspace.first(Purpose::PastMask { capacity }, rows * shape.mask_bytes(capacity))?;
    Ok(CacheAppend {
        element: cache_element(shape.element),
        table: workspace.first(Purpose::CacheTable { capacity }, 16 * shape.tensors())?,
        pairs: shape.tensors(),
        heads: shape.heads,
        head_size: shape.head_dim,
        mask: PastMask { memory: mask, capacity },
    })
}

/// Fills the tables of addresses that the kernels read, and the constants.
pub(super) fn fill_tables<D: Device>(workspace: &Workspace<D>, rows: usize) -> Result<(), ModelError> {
    let shape = &workspace.shape;
    let element = cache_element(shape.element);
    for bucket in &workspace.profiles.buckets {
        let capacity = bucket.capacity;
        let pairs = (0..shape.tensors()).map(|tensor| {
            Ok(CachePair {
                new: workspace.first(Purpose::NewEntry(tensor), rows * shape.row_bytes(1))?,
                cache: workspace
                    .first(Purpose::SelfCache { capacity, tensor }, rows * shape.row_bytes(capacity))?,
            })
        });
        let pairs: Vec<CachePair> = pairs.collect::<Result<_, ModelError>>()?;
        let sides = [rows, shape.heads, capacity, shape.head_dim];
        let table = CacheAppend::table(element, &pairs, sides).map_err(failed("cache_append"))?;
        let to = workspace.first(Purpose::CacheTable { capacity }, table.len())?;
        upload(workspace, to, &table)?;
        let caches: Vec<DeviceSlice> = pairs.iter().map(|pair| pair.cache).collect();
        let table = CacheReorder::table(element, &caches, sides).map_err(failed("cache_reorder"))?;
        upload(workspace, workspace.first(Purpose::ReorderTable { capacity }, table.len())?, &table)?;
    }
    let longest = workspace.profiles.buckets.last().map_or(0, |bucket| shape.bucket_source(bucket));
    let mut masked = Vec::new();
    super::picture_encoder::append(&mut masked, &vec![crate::graph::MASKED; rows * longest], shape.element);
    upload(workspace, workspace.first(Purpose::Masked, masked.len())?, &masked)
}

/// Puts bytes where they belong and waits until they are there.
fn upload<D: Device>(workspace: &Workspace<D>, to: DeviceSlice, bytes: &[u8]) -> Result<(), ModelError> {
    let mut staging = Staging::new(&workspace.device, bytes.len(), 1)?;
    staging.upload(&workspace.device, &workspace.decode, &[(to, bytes)])?;
    staging.wait(&workspace.device)
}

/// Lets row r continue what row `parents[r]` held, for the rows that there are parents for.
pub(super) fn reorder<D: Device>(
    workspace: &Workspace<D>,
    staging: &mut Staging<D>,
    bucket: &Bucket,
    parents: &[i32],
) -> Result<(), ModelError> {
    let doing = "cache_reorder";
    let Workspace { device, decode, shape, .. } = workspace;
    let (rows, capacity) = (parents.len(), bucket.capacity);
    let bytes: Vec<u8> = parents.iter().flat_map(|parent| parent.to_ne_bytes()).collect();
    let memory = workspace.first(Purpose::Parents, bytes.len())?;
    staging.upload(device, decode, &[(memory, &bytes)])?;
    let reorder = CacheReorder {
        table: workspace.first(Purpose::ReorderTable { capacity }, 8 * shape.tensors())?,
        caches: shape.tensors(),
        element: cache_element(shape.element),
        heads: shape.heads,
        capacity,
        head_size: shape.head_dim,
        parents: Parents { memory, group: rows.min(BLOCK_ROWS) },
    };
    let launch = reorder.launch(&decode_state(workspace, rows)?).map_err(failed(doing))?;
    device.launch(decode, &launch).map_err(failed(doing))
}
