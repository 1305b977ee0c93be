//! Who prepares a picture: the engine, where it takes such pictures, and the CPU otherwise.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use belvedere_kernels::{ImageView, PreprocessPlan, PreprocessSpec, RgbImage};
use belvedere_models::decode::{DecoderConfig, EarlyStopping};
use belvedere_models::engine::{
    BatchLimits, DecodeBatch, EncodedViews, Engine, KeptPrompt, Pixels, ViewEncoder,
};
use belvedere_models::{CancelToken, Florence, ImageFeatures, ModelError};

/// What was encoded, in order: views by their widths, and how many pictures of pixels.
#[derive(Debug, PartialEq)]
enum Call {
    Views(Vec<u32>),
    Pixels(usize),
}

/// Takes pictures that are no wider than this itself, where it is given. Features tell who prepared the picture.
struct Recorder {
    takes_up_to: Option<u32>,
    calls: Arc<Mutex<Vec<Call>>>,
}

fn features(of: String) -> ImageFeatures {
    ImageFeatures::new(1, 1, Arc::new(of))
}

impl ViewEncoder for Recorder {
    fn takes(&mut self, picture: &ImageView<'_>, _: &PreprocessSpec) -> bool {
        self.takes_up_to.is_some_and(|most| picture.width() <= most)
    }

    fn encode_views(
        &mut self,
        pictures: &[ImageView<'_>],
        _: &PreprocessSpec,
        _: &CancelToken,
    ) -> Result<EncodedViews, ModelError> {
        let widths: Vec<u32> = pictures.iter().map(|picture| picture.width()).collect();
        let features = widths.iter().map(|width| features(format!("engine {width}"))).collect();
        self.calls.lock().unwrap().push(Call::Views(widths));
        Ok(EncodedViews { features, preprocess_ms: 1e-6 })
    }

    fn pixel_values(&mut self, _: &ImageView<'_>, _: &PreprocessSpec) -> Result<Vec<f32>, ModelError> {
        Err(ModelError::Cancelled)
    }
}

impl Engine for Recorder {
    fn description(&self) -> String {
        "recorder".to_owned()
    }

    fn precision(&self) -> &'static str {
        "exact"
    }

    fn encode_image(&mut self, _: Pixels<'_>, _: &CancelToken) -> Result<ImageFeatures, ModelError> {
        Err(ModelError::Cancelled)
    }

    fn encode_images(
        &mut self,
        pictures: &[Pixels<'_>],
        _: &CancelToken,
    ) -> Result<Vec<ImageFeatures>, ModelError> {
        self.calls.lock().unwrap().push(Call::Pixels(pictures.len()));
        // Every picture is of one level, its width.
        let level = |pixels: &Pixels<'_>| (pixels.data[0] * 255.0).round();
        Ok(pictures.iter().map(|pixels| features(format!("cpu {}", level(pixels)))).collect())
    }

    fn view_encoder(&mut self) -> Option<&mut dyn ViewEncoder> {
        match self.takes_up_to {
            Some(_) => Some(self),
            None => None,
        }
    }

    fn start<'e>(
        &'e mut self,
        _: &ImageFeatures,
        _: &[&[u32]],
        _: BatchLimits,
        _: &CancelToken,
    ) -> Result<Box<dyn DecodeBatch + 'e>, ModelError> {
        Err(ModelError::Cancelled)
    }

    fn keep(&mut self, _: &ImageFeatures, _: &[u32], _: &CancelToken) -> Result<KeptPrompt, ModelError> {
        Err(ModelError::Cancelled)
    }

    fn resume<'e>(
        &'e mut self,
        _: &[&KeptPrompt],
        _: BatchLimits,
    ) -> Result<Box<dyn DecodeBatch + 'e>, ModelError> {
        Err(ModelError::Cancelled)
    }
}

/// Who prepared each of four pictures, and what the engine was called with.
fn encoded(takes_up_to: Option<u32>) -> (Vec<String>, Vec<Call>) {
    let calls = Arc::default();
    let engine = Recorder { takes_up_to, calls: Arc::clone(&calls) };
    let decoder = DecoderConfig {
        vocabulary: 10,
        decoder_start: 2,
        eos: 2,
        forced_bos: None,
        forced_eos: None,
        no_repeat_ngram: 0,
        early_stopping: EarlyStopping::AtOnce,
        max_positions: 8,
    };
    let mut florence = Florence::with_engine(Box::new(engine), decoder);
    let picture = |width: u32| RgbImage { width, height: 2, pixels: vec![width as u8; width as usize * 6] };
    let pictures = [5, 20, 6, 21].map(picture);
    let views: Vec<ImageView<'_>> = pictures.iter().map(|picture| picture.view().unwrap()).collect();
    let spec = PreprocessSpec { mean: [0.0; 3], std: [1.0; 3], ..PreprocessSpec::imagenet(4, 4) };
    let mut plan = PreprocessPlan::new(spec).unwrap();
    let encoded = florence.encode_views(&views, &mut plan, &CancelToken::new()).unwrap();
    assert!(encoded.preprocess_ms > 0.0 && encoded.vision_ms >= 0.0);
    let who = |features: &ImageFeatures| features.storage::<String>().unwrap().clone();
    let who = encoded.features.iter().map(who).collect();
    drop(florence);
    (who, Arc::into_inner(calls).unwrap().into_inner().unwrap())
}

#[test]
fn pictures_that_the_engine_takes_are_prepared_by_nobody_else() {
    let (who, calls) = encoded(Some(100));
    assert_eq!(who, ["engine 5", "engine 20", "engine 6", "engine 21"]);
    assert_eq!(calls, [Call::Views(vec![5, 20, 6, 21])]);
}

#[test]
fn those_that_it_does_not_take_are_prepared_here_and_all_keep_their_places() {
    let (who, calls) = encoded(Some(10));
    assert_eq!(who, ["engine 5", "cpu 20", "engine 6", "cpu 21"]);
    assert_eq!(calls, [Call::Views(vec![5, 6]), Call::Pixels(2)]);
}

#[test]
fn an_engine_that_takes_none_or_prepares_nothing_is_given_pixels_alone() {
    for takes_up_to in [Some(1), None] {
        let (who, calls) = encoded(takes_up_to);
        assert_eq!(who, ["cpu 5", "cpu 20", "cpu 6", "cpu 21"]);
        assert_eq!(calls, [Call::Pixels(4)]);
    }
}
