//! From pictures to features, whoever prepares them.

use std::time::Instant;

use belvedere_kernels::{ImageView, PixelValues, PreprocessPlan};

use crate::ModelError;
use crate::engine::{CancelToken, EncodedViews, Engine, ImageFeatures, Pixels};

/// What the vision tower made of pictures, and where the time went: of all of them together, since none of them is there
/// earlier.
#[derive(Debug)]
pub struct EncodedPictures {
    /// In the order of the pictures.
    pub features: Vec<ImageFeatures>,
    /// Colour, size and normalisation, in ms.
    pub preprocess_ms: f64,
    /// The rest, in ms.
    pub vision_ms: f64,
}

impl EncodedPictures {
    /// The engine prepares the pictures that it takes, and `plan` the others. Each kind is encoded together where the engine
    /// can.
    pub(crate) fn of(
        engine: &mut dyn Engine,
        pictures: &[ImageView<'_>],
        plan: &mut PreprocessPlan,
        cancel: &CancelToken,
    ) -> Result<EncodedPictures, ModelError> {
        let clock = Instant::now();
        let mut preprocess_ms = 0.0;
        let mut features: Vec<Option<ImageFeatures>> = pictures.iter().map(|_| None).collect();
        let mut put = |places: Vec<usize>, made: Vec<ImageFeatures>| {
            for (place, made) in places.into_iter().zip(made) {
                if let Some(features) = features.get_mut(place) {
                    *features = Some(made);
                }
            }
        };
        let mut others: Vec<(usize, &ImageView<'_>)> = pictures.iter().enumerate().collect();
        if let Some(encoder) = engine.view_encoder() {
            let own: Vec<_>;
            (own, others) = others.into_iter().partition(|(_, picture)| encoder.takes(picture, plan.spec()));
            let (places, views): (Vec<usize>, Vec<ImageView<'_>>) = own.into_iter().unzip();
            if !views.is_empty() {
                let EncodedViews { features, preprocess_ms: took } =
                    encoder.encode_views(&views, plan.spec(), cancel)?;
                preprocess_ms += took;
                put(places, features);
            }
        }
        if !others.is_empty() {
            let begun = Instant::now();
            let prepared = others.iter().map(|(_, picture)| plan.run(picture));
            let prepared: Vec<PixelValues> = prepared
                .collect::<Result<_, _>>()
                .map_err(|error| ModelError::Request { what: "picture", reason: error.to_string() })?;
            preprocess_ms += ms_since(begun);
            let pixels: Vec<Pixels<'_>> = prepared.iter().map(Pixels::from).collect();
            let made = engine.encode_images(&pixels, cancel)?;
            put(others.into_iter().map(|(place, _)| place).collect(), made);
        }
        let features: Option<Vec<ImageFeatures>> = features.into_iter().collect();
        let fewer = || ModelError::Request {
            what: "pictures",
            reason: "the engine made fewer features than there are pictures".to_owned(),
        };
        Ok(EncodedPictures {
            features: features.ok_or_else(fewer)?,
            preprocess_ms,
            vision_ms: (ms_since(clock) - preprocess_ms).max(0.0),
        })
    }
}

fn ms_since(clock: Instant) -> f64 {
    clock.elapsed().as_secs_f64() * 1e3
}
