//! Pictures as their decoders give them: the host copies their planes, the device does the rest.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use belvedere_kernels::device::Device;
use belvedere_kernels::launch::{FrameRoom, PreprocessTimes};
use belvedere_kernels::{ImageView, PreprocessSpec};

use super::Networks;
use super::device_engine::DeviceEngine;
use super::held_memory::DeviceFeatures;
use super::memory_plan::Purpose;
use super::open::smallest;
use super::workspace::failed;
use crate::ModelError;
use crate::engine::{CancelToken, EncodedViews, ImageFeatures, ViewEncoder};

/// So many sizes that are not taken are said.
const MOST_SAID: usize = 16;

impl<D: Device, N: Networks<D>> ViewEncoder for DeviceEngine<D, N> {
    fn takes(&mut self, picture: &ImageView<'_>, spec: &PreprocessSpec) -> bool {
        let shape = &self.workspace.shape;
        let is_input_size = (spec.width as usize, spec.height as usize) == (shape.width_px, shape.height_px);
        let room = self.pictures.room();
        if is_input_size && room.holds(picture) {
            return true;
        }
        let size = (picture.width(), picture.height());
        if self.said_not_taken.len() < MOST_SAID && !self.said_not_taken.contains(&size) {
            self.said_not_taken.push(size);
            let (width, height) = room.largest;
            let planned_for = format!("{width}x{height} as NV12");
            tracing::warn!(
                picture = format!("{}x{}", size.0, size.1),
                planned_for,
                "too large for the memory that was planned: the CPU prepares such pictures"
            );
        }
        false
    }

    fn encode_views(
        &mut self,
        pictures: &[ImageView<'_>],
        spec: &PreprocessSpec,
        cancel: &CancelToken,
    ) -> Result<EncodedViews, ModelError> {
        self.check()?;
        let encoded = self.encode_all(pictures, spec, cancel);
        self.unless_lost(encoded)
    }

    fn pixel_values(
        &mut self,
        picture: &ImageView<'_>,
        spec: &PreprocessSpec,
    ) -> Result<Vec<f32>, ModelError> {
        self.pictures.prepare(&self.workspace, spec, std::slice::from_ref(picture))?;
        let made = self.workspace.first(Purpose::PixelValues, self.workspace.shape.pixels_bytes())?;
        self.read(made)
    }
}

impl<D: Device, N: Networks<D>> DeviceEngine<D, N> {
    fn encode_all(
        &mut self,
        pictures: &[ImageView<'_>],
        spec: &PreprocessSpec,
        cancel: &CancelToken,
    ) -> Result<EncodedViews, ModelError> {
        let at_once = smallest(&self.workspace.profiles.pictures, usize::MAX);
        let mut features = Vec::with_capacity(pictures.len());
        let mut times: Vec<PreprocessTimes<D::Event>> = Vec::new();
        let mut encoding = VecDeque::new();
        for pictures in pictures.chunks(at_once) {
            cancel.check()?;
            // The ring waits for its oldest slot, and nothing else goes on while it does.
            if encoding.len() == FrameRoom::SLOTS
                && let Some(event) = encoding.pop_front()
            {
                self.wait_for(&event)?;
            }
            let (leases, slices) = self.lease_features(pictures.len())?;
            let (event, took) =
                self.pictures.encode_views(&self.workspace, &mut self.networks, spec, pictures, &slices)?;
            times.push(took);
            encoding.push_back(event);
            features.extend(leases);
        }
        if let Some(last) = encoding.pop_back() {
            self.wait_for(&last)?;
        }
        cancel.check()?;
        let mut preprocess = Duration::ZERO;
        for times in &times {
            let on_device = times.on_device(&self.workspace.device).map_err(failed("timing"))?;
            preprocess += times.copying + on_device.unwrap_or_default();
        }
        let shape = &self.workspace.shape;
        let wrap = |lease| {
            ImageFeatures::new(shape.image_tokens, shape.dim, Arc::new(DeviceFeatures(Arc::new(lease))))
        };
        Ok(EncodedViews {
            features: features.into_iter().map(wrap).collect(),
            preprocess_ms: preprocess.as_secs_f64() * 1e3,
        })
    }
}
