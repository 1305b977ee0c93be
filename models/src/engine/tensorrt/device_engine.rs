//! The engine's face: pictures and prompts go in, sequences come out.

use std::collections::BTreeMap;
use std::sync::Arc;

use belvedere_kernels::device::{Device, DeviceSlice, Memory, PinnedMemory};
use belvedere_kernels::launch::{FrameRoom, PixelsIn};

use super::admission::Admission;
use super::cross_source::{CrossPlace, CrossSource};
use super::device_batch::DeviceBatch;
use super::fitting::fitting;
use super::held_memory::{DeviceFeatures, DeviceKept, other_engine};
use super::memory_plan::MemoryPlan;
use super::memory_reading::MemoryReading;
use super::open::smallest;
use super::picture_encoder::{PictureEncoder, to_f32};
use super::pool::Pool;
use super::prompt_encoder::{PromptEncoder, PromptItem};
use super::running_batch::RunningBatch;
use super::step_kernels::{BLOCK_ROWS, fill_tables};
use super::workspace::{Workspace, failed, failure};
use super::{ModelShape, Networks, Profiles};
use crate::ModelError;
use crate::checkpoint::FlorenceConfig;
use crate::decode::DecoderConfig;
use crate::engine::{
    BatchLimits, CancelToken, DecodeBatch, DeviceMemory, Ended, Engine, ImageFeatures, InFlight, KeptPrompt,
    Pixels, Ticket, ViewEncoder,
};
use crate::graph::Element;

/// Steps that are put into the stream before the first of them has been read. A sequence that ends is noticed as many
/// steps late at most.
const STEPS_AHEAD: usize = 6;

/// Width and height in pixels of the largest frame that memory is planned for where nobody says otherwise.
pub const LARGEST_FRAME_PX: (u32, u32) = (3840, 2160);

/// Florence-2 on a device with memory of its own. Sequences about any pictures join and leave a running batch; steps are
/// captured, replayed, and read behind.
pub struct DeviceEngine<D: Device, N: Networks<D>> {
    /// First, so that it waits for the streams before anything else goes.
    pub(super) workspace: Workspace<D>,
    pub(super) networks: N,
    plan: MemoryPlan,
    memory: MemoryReading,
    pub(super) decoder: DecoderConfig,
    pub(super) pictures: PictureEncoder<D, N::Network>,
    pub(super) prompts: PromptEncoder<D, N::Network>,
    pub(super) features: Pool<D>,
    /// By the tokens that prompts are padded to.
    pub(super) kept: BTreeMap<usize, Pool<D>>,
    pub(super) batch: RunningBatch<D, N>,
    pub(super) admission: Admission<D::Event>,
    pub(super) next_ticket: Ticket,
    /// Sequences that ended while something else was waited for.
    pub(super) ended: Vec<Ended>,
    /// Why nothing can be done any more: the first error after which that was so.
    pub(super) broken: Option<String>,
    /// Sizes of pictures of which the log has said that the CPU prepares them.
    pub(super) said_not_taken: Vec<(u32, u32)>,
}

impl<D: Device, N: Networks<D>> DeviceEngine<D, N> {
    /// As [`for_frames`](Self::for_frames), with [`LARGEST_FRAME_PX`].
    ///
    /// # Errors
    /// The same.
    pub fn new(
        device: D,
        networks: N,
        config: &FlorenceConfig,
        size_px: (u32, u32),
        profiles: &Profiles,
        element: Element,
    ) -> Result<Self, ModelError> {
        Self::for_frames(device, networks, config, size_px, profiles, element, LARGEST_FRAME_PX)
    }

    /// Plans memory for a model and takes it: for as many sequences at once as `profiles` have, or fewer where there is
    /// not so much. `size_px` is the pictures' width and height, `element` that of the networks' graphs, and `frame_px` the
    /// size of the largest frame that is prepared on the device.
    ///
    /// # Errors
    /// A size that the model cannot take, profiles of another model, too little memory for a single sequence, a device
    /// that refuses.
    pub fn for_frames(
        device: D,
        networks: N,
        config: &FlorenceConfig,
        size_px: (u32, u32),
        profiles: &Profiles,
        element: Element,
        frame_px: (u32, u32),
    ) -> Result<Self, ModelError> {
        let shape = ModelShape::new(config, size_px.0, size_px.1, element)?;
        let longest = profiles.buckets.last().map_or(0, |bucket| shape.bucket_source(bucket));
        if profiles.image_tokens != shape.image_tokens || longest > shape.positions {
            let reason = format!("{profiles:?} for {shape:?}");
            return Err(ModelError::Request { what: "profiles", reason });
        }
        if let Some(odd) = profiles.rows.iter().find(|rows| **rows > BLOCK_ROWS && **rows % BLOCK_ROWS != 0) {
            let reason = format!("{odd} rows are more than {BLOCK_ROWS} and no multiple of it");
            return Err(ModelError::Request { what: "profiles", reason });
        }
        let pixels_in = if device.shares_memory() { PixelsIn::PinnedMemory } else { PixelsIn::DeviceMemory };
        let frames = FrameRoom { largest: frame_px, target: size_px, pixels_in };
        let (profiles, plan) = fitting(&device, &networks, &shape, profiles, &frames)?;
        tracing::info!(%plan, device = device.description(), "planned");
        let workspace = Workspace::new(device, shape, profiles, &plan)?;
        fill_tables(&workspace, plan.rows())?;
        let decoder = DecoderConfig::new(config);
        let kept = workspace.profiles.buckets.iter().map(|bucket| bucket.prompt);
        let kept = kept.map(|prompt| (prompt, Pool::new(shape.kept_bytes(prompt)))).collect();
        Ok(Self {
            pictures: PictureEncoder::new(&workspace, frames)?,
            prompts: PromptEncoder::new(&workspace)?,
            features: Pool::new(shape.features_bytes()),
            kept,
            batch: RunningBatch::new(&workspace, decoder.clone(), precision(element), STEPS_AHEAD)?,
            admission: Admission::default(),
            next_ticket: Ticket::FIRST,
            ended: Vec::new(),
            broken: None,
            said_not_taken: Vec::new(),
            workspace,
            networks,
            plan,
            memory: MemoryReading::default(),
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
    pub(super) fn pump(&mut self) -> Result<(), ModelError> {
        self.batch.forget_overrun();
        self.admit()?;
        while self.batch.wants_step() {
            self.batch.enqueue_step(&self.workspace, &mut self.networks)?;
        }
        self.note_encoded()?;
        self.ended.extend(self.batch.read(&self.workspace)?);
        Ok(())
    }

    /// Waits until the encoders' stream has passed `event`; what is being decoded goes on meanwhile.
    pub(super) fn wait_for(&mut self, event: &D::Event) -> Result<(), ModelError> {
        let doing = "waiting for the encoders";
        while self.broken.is_none() && self.batch.is_live() {
            if self.workspace.device.is_past(event).map_err(failed(doing))? {
                return Ok(());
            }
            self.go_on()?;
        }
        self.workspace.device.wait(event).map_err(failed(doing))
    }

    /// The values of what the encoders' stream leaves in `from`.
    pub(super) fn read(&self, from: DeviceSlice) -> Result<Vec<f32>, ModelError> {
        let doing = "reading values";
        let Workspace { device, encode, shape, .. } = &self.workspace;
        let pinned = device.pinned(from.bytes()).map_err(failed(doing))?;
        device.copy(encode, pinned.slice(), from).map_err(failed(doing))?;
        let event = device.record(encode).map_err(failed(doing))?;
        device.wait(&event).map_err(failed(doing))?;
        let mut bytes = vec![0; from.bytes()];
        pinned.read(0, &mut bytes).map_err(failed(doing))?;
        Ok(to_f32(&bytes, shape.element))
    }

    /// Features of pictures that the host has prepared.
    fn encode_pixels(
        &mut self,
        pictures: &[Pixels<'_>],
        cancel: &CancelToken,
    ) -> Result<Vec<ImageFeatures>, ModelError> {
        let shape = self.workspace.shape;
        let at_once = smallest(&self.workspace.profiles.pictures, usize::MAX);
        let mut all = Vec::with_capacity(pictures.len());
        for pictures in pictures.chunks(at_once) {
            cancel.check()?;
            let (leases, slices) = self.lease_features(pictures.len())?;
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

    fn keep_encoded(&mut self, item: PromptItem<'_>) -> Result<KeptPrompt, ModelError> {
        // The encoder's results lie where those of sequences that are about to begin still may.
        self.begin_waiting()?;
        self.await_copies()?;
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

    pub(super) fn check_prompt(&self, prompt: &[u32]) -> Result<(), ModelError> {
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

    pub(super) fn check_tokens(&self, what: &'static str, tokens: &[u32]) -> Result<(), ModelError> {
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

fn precision(element: Element) -> &'static str {
    match element {
        Element::F16 => "fast",
        Element::F32 => "exact",
    }
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
        self.check()?;
        let encoded = self.encode_pixels(pictures, cancel);
        self.unless_lost(encoded)
    }

    fn read_features(&mut self, features: &ImageFeatures) -> Result<Vec<f32>, ModelError> {
        let lease = self.own_features(features)?;
        self.read(self.features_slice(&lease)?)
    }

    fn view_encoder(&mut self) -> Option<&mut dyn ViewEncoder> {
        Some(self)
    }

    fn in_flight(&mut self) -> Option<&mut dyn InFlight> {
        Some(self)
    }

    fn device_memory(&mut self) -> Option<DeviceMemory> {
        let memory = self.memory.read(&self.workspace.device)?;
        Some(DeviceMemory {
            total_bytes: memory.total as u64,
            free_bytes: memory.free as u64,
            planned_bytes: self.plan.total_bytes() as u64,
            pictures_bytes: self.features.bytes() as u64,
            prompts_bytes: self.kept.values().map(|pool| pool.bytes() as u64).sum(),
        })
    }

    fn start<'e>(
        &'e mut self,
        features: &ImageFeatures,
        prompts: &[&[u32]],
        limits: BatchLimits,
        cancel: &CancelToken,
    ) -> Result<Box<dyn DecodeBatch + 'e>, ModelError> {
        cancel.check()?;
        self.check()?;
        prompts.iter().try_for_each(|prompt| self.check_prompt(prompt))?;
        let lease = self.own_features(features)?;
        let features = self.features_slice(&lease)?;
        let items: Vec<PromptItem<'_>> =
            prompts.iter().map(|prompt| PromptItem { features, prompt }).collect();
        let mut batch = DeviceBatch::new(self, items.len(), limits)?;
        batch.encode(&items)?;
        Ok(Box::new(batch))
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
        let item = PromptItem { features: self.features_slice(&lease)?, prompt };
        let kept = self.keep_encoded(item);
        self.unless_lost(kept)
    }

    fn resume<'e>(
        &'e mut self,
        prompts: &[&KeptPrompt],
        limits: BatchLimits,
    ) -> Result<Box<dyn DecodeBatch + 'e>, ModelError> {
        self.check()?;
        let sources = prompts.iter().map(|kept| {
            let (memory, prompt) = self.own_kept(kept)?;
            let slice = self.kept.get(&prompt).and_then(|pool| pool.slice(&memory));
            let place = CrossPlace::Kept(slice.ok_or_else(|| other_engine("kept prompts"))?);
            Ok(CrossSource { prompt, place })
        });
        let sources: Vec<CrossSource> = sources.collect::<Result<_, ModelError>>()?;
        let mut batch = DeviceBatch::new(self, sources.len(), limits)?;
        for (item, source) in sources.iter().enumerate() {
            batch.attend(item, source)?;
        }
        Ok(Box::new(batch))
    }
}
