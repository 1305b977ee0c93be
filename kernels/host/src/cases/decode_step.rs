//! The kernels of a greedy decoding step, with memory for a model's shapes and no model.

use std::collections::VecDeque;

use belvedere_kernels::KernelError;
use belvedere_kernels::device::{Device, DeviceSlice, Launch, Memory, PinnedMemory};
use belvedere_kernels::launch::{
    CacheAppend, CacheElement, CachePair, ChosenToken, DecodeState, NextToken, PastMask, RowLimits, RowMode,
};

use crate::random::Random;

/// Sizes of a decoder and its batch.
#[derive(Debug, Clone, Copy)]
pub struct DecoderSizes {
    /// Sequences at once.
    pub rows: usize,
    /// Layers of the decoder.
    pub layers: usize,
    /// Heads of its attention.
    pub heads: usize,
    /// Elements of a head.
    pub head_size: usize,
    /// Places in a row's caches.
    pub capacity: usize,
    /// Tokens.
    pub vocabulary: usize,
}

/// Appending to the caches and choosing the next token, over logits that never change: what a step costs beside the model,
/// and whether it can be captured. The bans alone make one token follow another.
#[derive(Debug)]
pub struct DecodeStep<D: Device> {
    launches: Vec<Launch>,
    rows: usize,
    ring: D::Pinned,
    _memory: Vec<D::Memory>,
}

impl<D: Device> DecodeStep<D> {
    /// Steps that the ring holds.
    const RING_STEPS: usize = 64;

    /// A batch whose rows all begin now, with numbers from `seed`.
    ///
    /// # Errors
    /// [`KernelError`]: what the kernels or the device refuse.
    pub fn new(device: &D, sizes: DecoderSizes, seed: u64) -> Result<Self, KernelError> {
        let DecoderSizes { rows, layers, heads, head_size, capacity, vocabulary } = sizes;
        let (mut random, element) = (Random(seed), CacheElement::F16);
        let stream = device.stream()?;
        let mut memory: Vec<D::Memory> = Vec::new();
        let mut take = |bytes: usize| -> Result<DeviceSlice, KernelError> {
            let taken = device.allocate(bytes)?;
            let slice = taken.slice();
            memory.push(taken);
            Ok(slice)
        };
        let put = |slice: DeviceSlice, bytes: &[u8]| -> Result<(), KernelError> {
            let mut staging = device.pinned(bytes.len())?;
            staging.write(0, bytes)?;
            device.copy(&stream, slice.part(0, bytes.len())?, staging.slice())?;
            Ok(device.wait(&device.record(&stream)?)?)
        };
        let numbers =
            |values: &[i32]| values.iter().flat_map(|value| value.to_ne_bytes()).collect::<Vec<u8>>();

        let history_length = capacity + 1;
        let state =
            DecodeState::inside(take(DecodeState::bytes(rows, history_length))?, rows, history_length)?;
        let limits = RowLimits {
            max_length: history_length as i32,
            least_length: 0,
            mode: RowMode::Generate,
            forced_eos: None,
        };
        put(state.limits, &numbers(&limits.entry().repeat(rows)))?;
        put(state.forced, &numbers(&vec![-1; rows * history_length]))?;
        let mask = PastMask { memory: take(rows * capacity * element.bytes())?, capacity };
        let mut pairs = Vec::new();
        for _ in 0..2 * layers {
            let new = take(rows * heads * head_size * element.bytes())?;
            pairs
                .push(CachePair { new, cache: take(rows * heads * capacity * head_size * element.bytes())? });
        }
        let table_bytes = CacheAppend::table(element, &pairs, [rows, heads, capacity, head_size])?;
        let table = take(table_bytes.len())?;
        put(table, &table_bytes)?;
        let logits = take(4 * rows * vocabulary)?;
        let values = (0..rows * vocabulary).map(|_| random.below(1 << 20) as f32 / 1e5);
        put(logits, &values.flat_map(f32::to_ne_bytes).collect::<Vec<u8>>())?;
        let ring = device.pinned(Self::RING_STEPS * rows * ChosenToken::BYTES)?;
        let choose = NextToken {
            logits,
            columns: vocabulary,
            vocabulary,
            no_repeat_ngram: 3,
            eos: 2,
            scratch: take(NextToken::scratch_bytes(rows, vocabulary))?,
            ring: ring.slice(),
            ring_steps: Self::RING_STEPS,
        };
        let append = CacheAppend { element, table, pairs: pairs.len(), heads, head_size, mask };
        let [scan, choose] = choose.launches(&state)?;
        device.launch(&stream, &mask.reset(element, state.position, rows, -30000.0)?)?;
        device.wait(&device.record(&stream)?)?;
        Ok(DecodeStep { launches: vec![append.launch(&state)?, scan, choose], rows, ring, _memory: memory })
    }

    /// Appends a step.
    ///
    /// # Errors
    /// What the device says.
    pub fn enqueue(&self, device: &D, stream: &D::Stream) -> Result<(), KernelError> {
        self.launches.iter().try_for_each(|launch| Ok(device.launch(stream, launch)?))
    }

    /// Captures a step.
    ///
    /// # Errors
    /// What the device says.
    pub fn capture(&self, device: &D, stream: &D::Stream) -> Result<D::Graph, KernelError> {
        device.begin_capture(stream)?;
        let enqueued = self.enqueue(device, stream);
        let graph = device.end_capture(stream);
        enqueued?;
        Ok(graph?)
    }

    /// What step `step` chose for every row, once it has been waited for and while the ring holds it.
    ///
    /// # Errors
    /// What the device says.
    pub fn chosen(&self, step: usize) -> Result<Vec<ChosenToken>, KernelError> {
        let mut bytes = vec![0; self.rows * ChosenToken::BYTES];
        self.ring.read(step % Self::RING_STEPS * bytes.len(), &mut bytes)?;
        Ok(bytes.as_chunks().0.iter().map(|entry| ChosenToken::from_bytes(*entry)).collect())
    }
}

/// Decodes a random batch twice, step by step and by replaying a captured step some steps ahead of the host, and compares
/// what was chosen.
///
/// # Errors
/// What differs, or what the device says.
pub fn replayed_steps<D: Device>(device: &D, seed: u64) -> Result<(), String> {
    let [plain, replayed] = [1, 4].map(|ahead| decoded(device, seed, ahead));
    super::same(|| format!("seed {seed}: tokens of replayed steps"), replayed?, plain?)
}

fn decoded<D: Device>(device: &D, seed: u64, ahead: usize) -> Result<Vec<Vec<ChosenToken>>, String> {
    let mut random = Random(seed);
    let sizes = DecoderSizes {
        rows: 1 + random.below(4),
        layers: 1 + random.below(2),
        heads: 1 + random.below(3),
        head_size: 8,
        capacity: 4 + random.below(30),
        vocabulary: 3 + random.below(20),
    };
    let run = || -> Result<_, KernelError> {
        let step = DecodeStep::new(device, sizes, seed)?;
        let stream = device.stream()?;
        let graph = if ahead > 1 { Some(step.capture(device, &stream)?) } else { None };
        let mut chosen = Vec::new();
        let mut events = VecDeque::new();
        for number in 0..sizes.capacity + 6 {
            match &graph {
                Some(graph) => device.replay(&stream, graph)?,
                None => step.enqueue(device, &stream)?,
            }
            events.push_back(device.record(&stream)?);
            if events.len() == ahead
                && let Some(oldest) = events.pop_front()
            {
                device.wait(&oldest)?;
                chosen.push(step.chosen(number + 1 - ahead)?);
            }
        }
        for (place, event) in events.iter().enumerate() {
            device.wait(event)?;
            chosen.push(step.chosen(sizes.capacity + 6 - events.len() + place)?);
        }
        Ok(chosen)
    };
    run().map_err(|error| error.to_string())
}
