//! The engine's face: pictures and prompts go in, sequences come out.

use std::collections::BTreeMap;
use std::sync::Arc;

use belvedere_kernels::device::{Device, DeviceSlice, Memory, PinnedMemory};

use super::admission::Admission;
use super::cross_source::{CrossPlace, CrossSource};
use super::memory_plan::{HEADROOM_BYTES, MemoryPlan, ScratchBytes};
use super::open::{scratch_bytes, smallest};
use super::picture_encoder::{PictureEncoder, to_f32};
use super::pool::{Lease, Pool};
use super::prompt_encoder::{PromptEncoder, PromptItem};
use super::running_batch::RunningBatch;
use super::sequence::{RowPlan, Stopwatch};
use super::step_kernels::fill_tables;
use super::waiting::{Waiting, WaitingSource};
use super::workspace::{Workspace, failed, failure};
use super::{ModelShape, Networks, Profiles};
use crate::ModelError;
use crate::checkpoint::FlorenceConfig;
use crate::decode::{BeamSearch, DecoderConfig, Opening};
use crate::engine::{
    BatchLimits, CancelToken, DecodeBatch, Ended, Engine, How, ImageFeatures, InFlight, KeptPrompt, Pixels,
    Source, Ticket,
};
use crate::graph::Element;

/// Steps that are put into the stream before the first of them has been read. A sequence that ends is noticed as many
/// steps late at most.
const STEPS_AHEAD: usize = 6;

/// Florence-2 on a device with memory of its own. Sequences about any pictures join and leave a running batch; steps are
/// captured, replayed, and read behind.
pub struct DeviceEngine<D: Device, N: Networks<D>> {
    /// First, so that it waits for the streams before anything else goes.
    pub(super) workspace: Workspace<D>,
    pub(super) networks: N,
    plan: MemoryPlan,
    decoder: DecoderConfig,
    pictures: PictureEncoder<D, N::Network>,
    pub(super) prompts: PromptEncoder<D, N::Network>,
    pub(super) features: Pool<D>,
    /// By the tokens that prompts are padded to.
    pub(super) kept: BTreeMap<usize, Pool<D>>,
    pub(super) batch: RunningBatch<D, N>,
    pub(super) admission: Admission<D::Event>,
    next_ticket: Ticket,
    /// Sequences that ended while something else was waited for.
    ended: Vec<Ended>,
    /// Why nothing can be decoded any more.
    broken: Option<String>,
}

/// Features on the device.
struct DeviceFeatures(Arc<Lease>);

/// A prompt on the device, padded to so many tokens.
struct DeviceKept {
    memory: Arc<Lease>,
    prompt: usize,
}

impl<D: Device, N: Networks<D>> DeviceEngine<D, N> {
    /// Plans memory for a model and takes it: for as many sequences at once as `profiles` have, or fewer where there is
    /// not so much. `size_px` is the pictures' width and height, and `element` that of the networks' graphs.
    ///
    /// # Errors
    /// A size that the model cannot take, profiles of another model, too little memory for a single sequence, a device
    /// that refuses.
    pub fn new(
        device: D,
        networks: N,
        config: &FlorenceConfig,
        size_px: (u32, u32),
        profiles: &Profiles,
        element: Element,
    ) -> Result<Self, ModelError> {
        let shape = ModelShape::new(config, size_px.0, size_px.1, element)?;
        let longest = profiles.buckets.last().map_or(0, |bucket| shape.bucket_source(bucket));
        if profiles.image_tokens != shape.image_tokens || longest > shape.positions {
            let reason = format!("{profiles:?} for {shape:?}");
            return Err(ModelError::Request { what: "profiles", reason });
        }
        let (profiles, plan) = fitting(&device, &networks, &shape, profiles)?;
        tracing::info!(%plan, device = device.description(), "planned");
        let workspace = Workspace::new(device, shape, profiles, &plan)?;
        fill_tables(&workspace, plan.rows())?;
        let decoder = DecoderConfig::new(config);
        let kept = workspace.profiles.buckets.iter().map(|bucket| bucket.prompt);
        let kept = kept.map(|prompt| (prompt, Pool::new(shape.kept_bytes(prompt)))).collect();
        Ok(Self {
            pictures: PictureEncoder::new(&workspace)?,
            prompts: PromptEncoder::new(&workspace)?,
            features: Pool::new(shape.features_bytes()),
            kept,
            batch: RunningBatch::new(&workspace, decoder.clone(), precision(element), STEPS_AHEAD)?,
            admission: Admission::default(),
            next_ticket: Ticket::FIRST,
            ended: Vec::new(),
            broken: None,
            workspace,
            networks,
            plan,
            decoder,
        })
    }

    /// How many steps are put into the stream before the first of them has been read; 1 to 8.
    pub fn with_steps_ahead(mut self, steps: usize) -> Self {
        self.batch.set_steps_ahead(steps.clamp(1, 8));
        self
    }

    /// The device memory that was planned, and taken.
    pub fn memory_plan(&self) -> &MemoryPlan {
        &self.plan
    }

    /// Admits who waits, puts steps into the stream, and reads those that have been made.
    fn pump(&mut self) -> Result<(), ModelError> {
        self.admit()?;
        while self.batch.wants_step() {
            self.batch.enqueue_step(&self.workspace, &mut self.networks)?;
        }
        self.note_encoded()?;
        self.ended.extend(self.batch.read(&self.workspace)?);
        Ok(())
    }

    /// The same; after an error nothing can be decoded any more.
    fn go_on(&mut self) -> Result<(), ModelError> {
        self.check()?;
        self.pump().inspect_err(|error| {
            self.broken = Some(error.to_string());
            self.admission = Admission::default();
            self.batch.clear();
        })
    }

    fn check(&self) -> Result<(), ModelError> {
        match &self.broken {
            Some(reason) => Err(failure("decoding, after an earlier failure", reason)),
            None => Ok(()),
        }
    }

    /// Waits until the encoders' stream has passed `event`; what is being decoded goes on meanwhile.
    fn wait_for(&mut self, event: &D::Event) -> Result<(), ModelError> {
        let doing = "waiting for the encoders";
        while self.broken.is_none() && self.batch.is_live() {
            if self.workspace.device.is_past(event).map_err(failed(doing))? {
                return Ok(());
            }
            self.go_on()?;
        }
        self.workspace.device.wait(event).map_err(failed(doing))
    }

    /// Features that this engine made.
    fn own_features(&self, features: &ImageFeatures) -> Result<Arc<Lease>, ModelError> {
        let lease = features.storage::<DeviceFeatures>().map(|DeviceFeatures(lease)| lease);
        match lease.filter(|lease| self.features.slice(lease).is_some()) {
            Some(lease) => Ok(Arc::clone(lease)),
            None => Err(other_engine("image features")),
        }
    }

    pub(super) fn features_slice(&self, lease: &Lease) -> Result<DeviceSlice, ModelError> {
        self.features.slice(lease).ok_or_else(|| other_engine("image features"))
    }

    fn check_prompt(&self, prompt: &[u32]) -> Result<(), ModelError> {
        let refuse = |reason| Err(ModelError::Request { what: "prompt", reason });
        let longest = self.workspace.profiles.buckets.last().map_or(0, |bucket| bucket.prompt);
        if prompt.is_empty() {
            return refuse("has no tokens".to_owned());
        }
        if prompt.len() > longest {
            let tokens = prompt.len();
            return refuse(format!("{tokens} tokens, the model takes at most {longest} beside the picture"));
        }
        self.check_tokens("prompt", prompt)
    }

    fn check_tokens(&self, what: &'static str, tokens: &[u32]) -> Result<(), ModelError> {
        let columns = self.workspace.shape.columns;
        match tokens.iter().find(|id| **id as usize >= columns) {
            Some(id) => {
                let reason = format!("token {id} has no embedding, there are {columns}");
                Err(ModelError::Request { what, reason })
            }
            None => Ok(()),
        }
    }
}

/// The profiles for as many sequences as there is memory for, and the plan for them.
fn fitting<D: Device, N: Networks<D>>(
    device: &D,
    networks: &N,
    shape: &ModelShape,
    profiles: &Profiles,
) -> Result<(Profiles, MemoryPlan), ModelError> {
    let doing = "planning memory";
    let memory = device.memory_info().map_err(failed(doing))?;
    let mib = |bytes: usize| bytes as f64 / (1 << 20) as f64;
    let mut smallest_plan = None;
    for rows in profiles.rows.iter().rev() {
        let fewer = profiles.up_to(*rows);
        let scratch: ScratchBytes = scratch_bytes(networks, &fewer)?;
        let plan = MemoryPlan::new(shape, &fewer, scratch);
        if plan.total_bytes().saturating_add(HEADROOM_BYTES) <= memory.free {
            if let Some(too_large) = smallest_plan {
                tracing::warn!(
                    free_mib = mib(memory.free),
                    rows,
                    "too little device memory for more sequences at once: {too_large}"
                );
            }
            return Ok((fewer, plan));
        }
        smallest_plan = Some(plan);
    }
    let needed = smallest_plan.map(|plan| plan.to_string()).unwrap_or_default();
    let reason = format!(
        "{needed}, and {:.0} MiB beside it; {:.1} MiB of {:.1} MiB are free",
        mib(HEADROOM_BYTES),
        mib(memory.free),
        mib(memory.total)
    );
    Err(failure(doing, reason))
}

fn precision(element: Element) -> &'static str {
    match element {
        Element::F16 => "fast",
        Element::F32 => "exact",
    }
}

fn other_engine(what: &'static str) -> ModelError {
    ModelError::Request { what, reason: "made by another engine".to_owned() }
}

impl<D: Device, N: Networks<D>> Engine for DeviceEngine<D, N>
where
    Self: Send,
{
    fn description(&self) -> String {
        let Self { workspace, networks, plan, .. } = self;
        let element = match workspace.shape.element {
            Element::F16 => "float16",
            Element::F32 => "f32",
        };
        format!("{}, {}, {element}; {plan}", workspace.device.description(), networks.description())
    }

    fn precision(&self) -> &'static str {
        precision(self.workspace.shape.element)
    }

    fn encode_image(
        &mut self,
        pixels: Pixels<'_>,
        cancel: &CancelToken,
    ) -> Result<ImageFeatures, ModelError> {
        let features = self.encode_images(&[pixels], cancel)?;
        features.into_iter().next().ok_or_else(|| failure("graph vision", "no features"))
    }

    fn encode_images(
        &mut self,
        pictures: &[Pixels<'_>],
        cancel: &CancelToken,
    ) -> Result<Vec<ImageFeatures>, ModelError> {
        let shape = self.workspace.shape;
        for Pixels { width, height, data } in pictures {
            if (*width, *height) != (shape.width_px, shape.height_px) || data.len() != 3 * width * height {
                let reason = format!(
                    "{width}x{height} pixels ({} values), the model was loaded for {}x{}",
                    data.len(),
                    shape.width_px,
                    shape.height_px
                );
                return Err(ModelError::Request { what: "picture", reason });
            }
        }
        let at_once = smallest(&self.workspace.profiles.pictures, usize::MAX);
        let mut all = Vec::with_capacity(pictures.len());
        for pictures in pictures.chunks(at_once) {
            cancel.check()?;
            let leases = pictures.iter().map(|_| self.features.lease(&self.workspace.device));
            let leases: Vec<Lease> = leases.collect::<Result<_, _>>()?;
            let slices = leases.iter().map(|lease| self.features_slice(lease));
            let slices: Vec<DeviceSlice> = slices.collect::<Result<_, _>>()?;
            let event = self.pictures.encode(&self.workspace, &mut self.networks, pictures, &slices)?;
            self.wait_for(&event)?;
            all.extend(leases.into_iter().map(|lease| {
                let storage = Arc::new(DeviceFeatures(Arc::new(lease)));
                ImageFeatures::new(shape.image_tokens, shape.dim, storage)
            }));
        }
        cancel.check()?;
        Ok(all)
    }

    fn read_features(&mut self, features: &ImageFeatures) -> Result<Vec<f32>, ModelError> {
        let doing = "reading image features";
        let lease = self.own_features(features)?;
        let from = self.features_slice(&lease)?;
        let Workspace { device, encode, shape, .. } = &self.workspace;
        let pinned = device.pinned(from.bytes()).map_err(failed(doing))?;
        device.copy(encode, pinned.slice(), from).map_err(failed(doing))?;
        let event = device.record(encode).map_err(failed(doing))?;
        device.wait(&event).map_err(failed(doing))?;
        let mut bytes = vec![0; from.bytes()];
        pinned.read(0, &mut bytes).map_err(failed(doing))?;
        Ok(to_f32(&bytes, shape.element))
    }

    fn in_flight(&mut self) -> Option<&mut dyn InFlight> {
        Some(self)
    }

    fn start<'e>(
        &'e mut self,
        _: &ImageFeatures,
        _: &[&[u32]],
        _: BatchLimits,
        _: &CancelToken,
    ) -> Result<Box<dyn DecodeBatch + 'e>, ModelError> {
        Err(only_in_flight())
    }

    fn keep(
        &mut self,
        features: &ImageFeatures,
        prompt: &[u32],
        cancel: &CancelToken,
    ) -> Result<KeptPrompt, ModelError> {
        cancel.check()?;
        self.check()?;
        self.check_prompt(prompt)?;
        let lease = self.own_features(features)?;
        // The encoder's results lie where those of sequences that are about to begin still may.
        self.begin_encoded()?;
        self.await_copies()?;
        let item = PromptItem { features: self.features_slice(&lease)?, prompt };
        let padded = self.prompts.encode(&self.workspace, &mut self.networks, &[item])?;
        let pool = self.kept.get_mut(&padded).ok_or_else(|| failure("keeping a prompt", "no such length"))?;
        let memory = pool.lease(&self.workspace.device)?;
        let slice = pool.slice(&memory).ok_or_else(|| failure("keeping a prompt", "no memory"))?;
        let encoded = CrossSource { prompt: padded, place: CrossPlace::Encoded(0) };
        encoded.copy_to_kept(&self.workspace, slice)?;
        let Workspace { device, encode, .. } = &self.workspace;
        let event = device.record(encode).map_err(failed("keeping a prompt"))?;
        self.wait_for(&event)?;
        Ok(KeptPrompt::new(Arc::new(DeviceKept { memory: Arc::new(memory), prompt: padded })))
    }

    fn resume<'e>(
        &'e mut self,
        _: &[&KeptPrompt],
        _: BatchLimits,
    ) -> Result<Box<dyn DecodeBatch + 'e>, ModelError> {
        Err(only_in_flight())
    }
}

fn only_in_flight() -> ModelError {
    failure("decode", "sequences of this engine join a running batch")
}

impl<D: Device, N: Networks<D>> InFlight for DeviceEngine<D, N> {
    fn slots(&self) -> usize {
        self.batch.slots.len()
    }

    fn join(&mut self, source: Source<'_>, how: How<'_>) -> Result<Ticket, ModelError> {
        self.check()?;
        let clock = Stopwatch::start();
        let source = match source {
            Source::Prompt { features, prompt } => {
                self.check_prompt(prompt)?;
                WaitingSource::Prompt { features: self.own_features(features)?, prompt: prompt.into() }
            }
            Source::Kept(kept) => {
                let DeviceKept { memory, prompt } =
                    kept.storage().ok_or_else(|| other_engine("kept prompts"))?;
                let is_own = self.kept.get(prompt).is_some_and(|pool| pool.slice(memory).is_some());
                if !is_own {
                    return Err(other_engine("kept prompts"));
                }
                WaitingSource::Kept { memory: Arc::clone(memory), prompt: *prompt }
            }
        };
        let ticket = self.next_ticket;
        let (plan, search) = match how {
            How::Generate(options) => {
                let opening = Opening::new(&self.decoder, options)?;
                if options.beams > self.slots() {
                    let reason = format!(
                        "{} beams take as many rows, and there is memory for {}",
                        options.beams,
                        self.slots()
                    );
                    return Err(ModelError::Request { what: "beams", reason });
                }
                if let Some(complete) = opening.complete() {
                    self.ended.push(Ended { ticket, result: Ok(complete) });
                    self.next_ticket = ticket.next();
                    return Ok(ticket);
                }
                let plan = RowPlan::generate(&opening);
                let Opening { processors, prefix } = opening;
                let search = (options.beams > 1).then(|| BeamSearch::new(options, processors, &prefix));
                (plan, search.map(|search| (search, options.beams)))
            }
            How::Follow(tokens) => {
                let most = self.workspace.shape.history();
                if !(1..=most).contains(&tokens.len()) {
                    let reason = format!("{} tokens, 1 to {most} can be judged", tokens.len());
                    return Err(ModelError::Request { what: "answer", reason });
                }
                self.check_tokens("answer", tokens)?;
                (RowPlan::follow(tokens), None)
            }
        };
        self.next_ticket = ticket.next();
        if plan.max_length() < 2 {
            let generation = crate::decode::Generation {
                token_ids: plan.prefix,
                log_probs: Vec::new(),
                timing: clock.stop(),
            };
            self.ended.push(Ended { ticket, result: Ok(generation) });
            return Ok(ticket);
        }
        self.admission.waiting.push_back(Waiting { ticket, clock, source, plan, search });
        Ok(ticket)
    }

    fn turn(&mut self) -> Result<Vec<Ended>, ModelError> {
        self.check()?;
        if self.ended.is_empty() {
            self.go_on()?;
        }
        Ok(std::mem::take(&mut self.ended))
    }

    fn leave(&mut self, ticket: Ticket) {
        self.ended.retain(|ended| ended.ticket != ticket);
        let freed = self.admission.leave(ticket);
        self.batch.free(&freed);
        if self.broken.is_none()
            && let Err(error) = self.batch.leave(&self.workspace, ticket)
        {
            self.broken = Some(error.to_string());
        }
    }
}
