//! The encoder on the device, over several prompts at once, each about a picture of its own.

use std::collections::BTreeMap;

use belvedere_kernels::device::{Device, DeviceSlice};

use super::memory_plan::Purpose;
use super::open::{open, smallest};
use super::staging::Staging;
use super::workspace::{Workspace, failed, failure};
use super::{GraphName, Network, Networks, Profile};
use crate::ModelError;

/// Runs the encoder graph on the encoders' stream. Its results lie in memory that the next run writes again.
pub(super) struct PromptEncoder<D: Device, W> {
    networks: BTreeMap<Profile, W>,
    staging: Staging<D>,
}

/// A prompt and the features of the picture it is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct PromptItem<'a> {
    pub(super) features: DeviceSlice,
    pub(super) prompt: &'a [u32],
}

impl<D: Device, W: Network<D>> PromptEncoder<D, W> {
    pub(super) fn new(workspace: &Workspace<D>) -> Result<Self, ModelError> {
        let profiles = &workspace.profiles;
        let longest = profiles.buckets.last().map_or(1, |bucket| bucket.prompt);
        let items = smallest(&profiles.prompts, usize::MAX);
        let staging = Staging::new(&workspace.device, 8 * items * (2 * longest + 1), 3)?;
        Ok(Self { networks: BTreeMap::new(), staging })
    }

    /// Appends the encoding of prompts, no more than the largest profile takes. Returns how many tokens each was padded
    /// to.
    pub(super) fn encode<N: Networks<D, Network = W>>(
        &mut self,
        workspace: &Workspace<D>,
        networks: &mut N,
        prompts: &[PromptItem<'_>],
    ) -> Result<usize, ModelError> {
        let Workspace { device, encode, shape, profiles, .. } = workspace;
        let longest = prompts.iter().map(|item| item.prompt.len()).max().unwrap_or(0);
        let Some(bucket) = profiles.buckets.iter().find(|bucket| bucket.prompt >= longest) else {
            return Err(failure("graph encoder", format!("{longest} tokens are more than any profile has")));
        };
        let (items, length) = (smallest(&profiles.prompts, prompts.len()), bucket.prompt);
        let profile = Profile::encoder(items, length, shape.image_tokens);
        let doing = || format!("graph encoder ({profile})");
        if !self.networks.contains_key(&profile) {
            let mut network = open(workspace, networks, GraphName::Encoder, &profile)?;
            bind(workspace, &mut network, items, length)?;
            self.networks.insert(profile.clone(), network);
        }

        // Prompts about one picture share its features.
        let mut pictures: Vec<DeviceSlice> = Vec::new();
        let (mut of_picture, mut ids, mut mask) = (Vec::new(), Vec::new(), Vec::new());
        for PromptItem { features, prompt } in prompts {
            let known = pictures.iter().position(|known| known == features);
            of_picture.push(known.unwrap_or(pictures.len()) as i64);
            if known.is_none() {
                pictures.push(*features);
            }
            ids.extend(prompt.iter().map(|id| i64::from(*id)));
            mask.extend(std::iter::repeat_n(1_i64, prompt.len()));
            // Any id may stand under the mask; 1 is the reference's padding.
            ids.resize(of_picture.len() * length, 1);
            mask.resize(ids.len(), 0);
        }
        of_picture.resize(items, 0);
        ids.resize(items * length, 1);
        mask.resize(items * length, 0);
        let [of_picture, ids, mask] = [of_picture, ids, mask].map(|values| bytes_of(&values));
        let uploads = [
            (workspace.first(Purpose::PromptPicture, of_picture.len())?, of_picture.as_slice()),
            (workspace.first(Purpose::PromptTokens, ids.len())?, ids.as_slice()),
            (workspace.first(Purpose::PromptMask, mask.len())?, mask.as_slice()),
        ];
        self.staging.upload(device, encode, &uploads)?;
        for (place, from) in pictures.into_iter().enumerate() {
            let to = workspace.row(Purpose::PromptFeatures, place, shape.features_bytes())?;
            device.copy(encode, to, from).map_err(failed(doing()))?;
        }
        let network = self.networks.get_mut(&profile).ok_or_else(|| failure(doing(), "is not open"))?;
        network.enqueue(encode).map_err(failed(doing()))?;
        Ok(length)
    }
}

fn bind<D: Device, W: Network<D>>(
    workspace: &Workspace<D>,
    network: &mut W,
    items: usize,
    length: usize,
) -> Result<(), ModelError> {
    let shape = &workspace.shape;
    let source = shape.source(length);
    let first = |purpose, bytes| workspace.first(purpose, bytes);
    network.bind("image_features", first(Purpose::PromptFeatures, items * shape.features_bytes())?)?;
    network.bind("image_index", first(Purpose::PromptPicture, 8 * items)?)?;
    network.bind("input_ids", first(Purpose::PromptTokens, 8 * items * length)?)?;
    network.bind("text_mask", first(Purpose::PromptMask, 8 * items * length)?)?;
    network.bind("cross_mask", first(Purpose::EncodedMask, items * shape.mask_bytes(source))?)?;
    for (tensor, name) in tensor_names("cross", shape.layers).enumerate() {
        network.bind(&name, first(Purpose::Encoded(tensor), items * shape.row_bytes(source))?)?;
    }
    Ok(())
}

/// Key of layer 0, value of layer 0, key of layer 1, …
pub(super) fn tensor_names(kind: &str, layers: usize) -> impl Iterator<Item = String> {
    (0..layers).flat_map(move |layer| [format!("{kind}_key.{layer}"), format!("{kind}_value.{layer}")])
}

fn bytes_of(values: &[i64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_ne_bytes()).collect()
}
