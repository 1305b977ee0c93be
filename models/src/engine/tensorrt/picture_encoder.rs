//! The vision tower on the device, over several pictures at once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use belvedere_kernels::device::{Device, DeviceSlice};
use belvedere_kernels::launch::{CacheElement, DevicePreprocessor, FrameMemory, FrameRoom, PreprocessTimes};
use belvedere_kernels::{ImageView, PreprocessSpec};
use half::f16;
use half::slice::HalfFloatSliceExt;

use super::memory_plan::Purpose;
use super::open::{open, smallest};
use super::staging::Staging;
use super::workspace::{Workspace, failed};
use super::{GraphName, Network, Networks, Profile};
use crate::ModelError;
use crate::engine::Pixels;
use crate::graph::Element;

/// Runs the vision graph on the encoders' stream.
pub(super) struct PictureEncoder<D: Device, W> {
    /// By how many pictures they take.
    networks: BTreeMap<usize, W>,
    /// For pictures that the host has prepared.
    staging: Staging<D>,
    pixels: Vec<u8>,
    preprocessor: DevicePreprocessor<D>,
}

impl<D: Device, W: Network<D>> PictureEncoder<D, W> {
    /// With `room` for frames, for which the workspace has the memory.
    pub(super) fn new(workspace: &Workspace<D>, room: FrameRoom) -> Result<Self, ModelError> {
        let bytes = workspace.shape.pixels_bytes() * smallest(&workspace.profiles.pictures, usize::MAX);
        let staging = Staging::new(&workspace.device, bytes, 1)?;
        let element = match workspace.shape.element {
            Element::F16 => CacheElement::F16,
            Element::F32 => CacheElement::F32,
        };
        let memory = FrameMemory {
            filters: workspace.first(Purpose::FrameFilters, room.filters_bytes())?,
            pixels: workspace.first(Purpose::FramePixels, room.pixels_bytes())?,
            between: workspace.first(Purpose::FrameBetween, room.between_bytes())?,
        };
        let preprocessor = DevicePreprocessor::new(&workspace.device, room, element, memory);
        let preprocessor = preprocessor.map_err(failed("reserving pinned memory for frames"))?;
        Ok(Self { networks: BTreeMap::new(), staging, pixels: Vec::new(), preprocessor })
    }

    /// The frames that there is room for.
    pub(super) fn room(&self) -> &FrameRoom {
        self.preprocessor.room()
    }

    /// Appends the preparing of frames, no more than the largest profile takes.
    pub(super) fn prepare(
        &mut self,
        workspace: &Workspace<D>,
        spec: &PreprocessSpec,
        frames: &[ImageView<'_>],
    ) -> Result<PreprocessTimes<D::Event>, ModelError> {
        let Workspace { device, encode, shape, .. } = workspace;
        let to = workspace.first(Purpose::PixelValues, frames.len() * shape.pixels_bytes())?;
        self.preprocessor.enqueue(device, encode, spec, frames, to).map_err(failed("preprocessing"))
    }

    /// Appends the preparing and encoding of frames, no more than the largest profile takes, each into its `features`.
    /// Returns what marks its end, and where the time of preparing goes.
    pub(super) fn encode_views<N: Networks<D, Network = W>>(
        &mut self,
        workspace: &Workspace<D>,
        networks: &mut N,
        spec: &PreprocessSpec,
        frames: &[ImageView<'_>],
        features: &[DeviceSlice],
    ) -> Result<(D::Event, PreprocessTimes<D::Event>), ModelError> {
        // Before there is anything in the stream that a network could miss.
        self.network(workspace, networks, frames.len())?;
        let times = self.prepare(workspace, spec, frames)?;
        Ok((self.run(workspace, networks, features)?, times))
    }

    /// Appends the encoding of pictures, no more than the largest profile takes, each into its `features`. Returns what
    /// marks its end.
    pub(super) fn encode<N: Networks<D, Network = W>>(
        &mut self,
        workspace: &Workspace<D>,
        networks: &mut N,
        pictures: &[Pixels<'_>],
        features: &[DeviceSlice],
    ) -> Result<D::Event, ModelError> {
        let Workspace { device, encode, shape, .. } = workspace;
        self.pixels.clear();
        for pixels in pictures {
            append(&mut self.pixels, pixels.data, shape.element);
        }
        let to = workspace.first(Purpose::PixelValues, self.pixels.len())?;
        self.staging.upload(device, encode, &[(to, &self.pixels)])?;
        self.run(workspace, networks, features)
    }

    /// The graph for so many pictures, and a name for it.
    fn network<N: Networks<D, Network = W>>(
        &mut self,
        workspace: &Workspace<D>,
        networks: &mut N,
        pictures: usize,
    ) -> Result<(&mut W, String), ModelError> {
        let shape = &workspace.shape;
        let batch = smallest(&workspace.profiles.pictures, pictures);
        let profile = Profile::vision(batch);
        let network = match self.networks.entry(batch) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(place) => {
                let pixels = workspace.first(Purpose::PixelValues, batch * shape.pixels_bytes())?;
                let made = workspace.first(Purpose::PictureFeatures, batch * shape.features_bytes())?;
                let mut network = open(workspace, networks, GraphName::Vision, &profile)?;
                network.bind("pixel_values", pixels)?;
                network.bind("image_features", made)?;
                place.insert(network)
            }
        };
        Ok((network, format!("graph vision ({profile})")))
    }

    /// Appends the graph over what lies in its input, and the copies of what it makes.
    fn run<N: Networks<D, Network = W>>(
        &mut self,
        workspace: &Workspace<D>,
        networks: &mut N,
        features: &[DeviceSlice],
    ) -> Result<D::Event, ModelError> {
        let Workspace { device, encode, shape, .. } = workspace;
        let (network, doing) = self.network(workspace, networks, features.len())?;
        network.enqueue(encode).map_err(failed(&doing))?;
        for (place, to) in features.iter().enumerate() {
            let from = workspace.row(Purpose::PictureFeatures, place, shape.features_bytes())?;
            device.copy(encode, *to, from).map_err(failed(&doing))?;
        }
        device.record(encode).map_err(failed(doing))
    }
}

/// Appends values as the device has them.
pub(super) fn append(bytes: &mut Vec<u8>, values: &[f32], element: Element) {
    let from = bytes.len();
    bytes.resize(from + values.len() * element.bytes(), 0);
    let Some(to) = bytes.get_mut(from..) else { return };
    match element {
        Element::F32 => {
            for (to, value) in to.as_chunks_mut::<4>().0.iter_mut().zip(values) {
                *to = value.to_ne_bytes();
            }
        }
        Element::F16 => {
            const RUN: usize = 1024;
            let mut halves = [f16::ZERO; RUN];
            for (to, values) in to.chunks_mut(2 * RUN).zip(values.chunks(RUN)) {
                let halves = &mut halves[..values.len()];
                halves.convert_from_f32_slice(values);
                for (to, half) in to.as_chunks_mut::<2>().0.iter_mut().zip(halves) {
                    *to = half.to_ne_bytes();
                }
            }
        }
    }
}

/// Values as the host has them.
pub(super) fn to_f32(bytes: &[u8], element: Element) -> Vec<f32> {
    match element {
        Element::F32 => bytes.as_chunks().0.iter().map(|bytes| f32::from_ne_bytes(*bytes)).collect(),
        Element::F16 => bytes.as_chunks().0.iter().map(|bytes| f16::from_ne_bytes(*bytes).to_f32()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_were_sent() {
        let values: Vec<f32> = (0..3000).map(|i| (i - 1500) as f32 / 8.0).collect();
        for element in [Element::F32, Element::F16] {
            let mut bytes = Vec::new();
            append(&mut bytes, &values, element);
            assert_eq!(bytes.len(), values.len() * element.bytes());
            assert_eq!(to_f32(&bytes, element), values);
        }
    }
}
