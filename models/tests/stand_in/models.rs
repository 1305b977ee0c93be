//! One model on both engines.

use std::path::{Path, PathBuf};

use belvedere_kernels::{ImageView, Plane, PreprocessPlan, PreprocessSpec};
use belvedere_kernels_host::HostDevice;
use belvedere_models::CancelToken;
use belvedere_models::checkpoint::{FlorenceConfig, Weights};
use belvedere_models::decode::DecoderConfig;
use belvedere_models::engine::Pixels;
use belvedere_models::engine::ort::{OrtEngine, OrtOptions};
use belvedere_models::engine::tensorrt::{Bucket, DeviceEngine, Profiles};
use belvedere_models::graph::Element;
use belvedere_models::synthetic::SyntheticModel;
use belvedere_models::{Checkpoint, Florence, Precision};

use crate::ort_networks::OrtNetworks;

/// A model and the size of its pictures.
pub(crate) struct Model {
    pub(crate) config: FlorenceConfig,
    weights: Box<dyn Weights>,
    pub(crate) size: (u32, u32),
}

impl Model {
    /// The bundled one, which has learned something.
    pub(crate) fn bundled() -> Model {
        let checkpoint = Checkpoint::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("tiny")).unwrap();
        let spec = checkpoint.preprocess_spec();
        let (config, size) = (checkpoint.config().clone(), (spec.width, spec.height));
        Model { config, weights: Box::new(checkpoint), size }
    }

    /// One with weights by chance and few tokens.
    pub(crate) fn random(salt: u64) -> Model {
        let mut config = FlorenceConfig::small();
        config.text.vocabulary = 300;
        config.text.max_positions = 64;
        let size = (96, 64);
        let weights = SyntheticModel { salt, ..SyntheticModel::new(config.clone(), size) };
        Model { config, weights: Box::new(weights), size }
    }

    /// A shape of `goldens.json`.
    pub(crate) fn of_goldens(shape: &serde_json::Value) -> Model {
        let json = shape["config"].to_string();
        let (config, _) = FlorenceConfig::from_json(&json, Path::new("goldens.json")).unwrap();
        let side = |i: usize| shape["image_size"][i].as_u64().unwrap() as u32;
        let size = (side(0), side(1));
        let salt = shape["salt"].as_u64().unwrap();
        let weights = SyntheticModel { salt, ..SyntheticModel::new(config.clone(), size) };
        Model { config, weights: Box::new(weights), size }
    }

    pub(crate) fn image_tokens(&self) -> usize {
        self.config.image_tokens(self.size.0, self.size.1).unwrap()
    }

    /// On ONNX Runtime, as the program runs it on a CPU.
    pub(crate) fn on_cpu(&self) -> Florence {
        let options = OrtOptions {
            width: self.size.0,
            height: self.size.1,
            precision: Precision::Exact,
            threads: Some(1),
            openvino: Some(false),
            library: None,
            scratch: None,
            cancel: CancelToken::default(),
        };
        let engine = OrtEngine::load(&self.config, self.weights.as_ref(), &options).unwrap();
        Florence::with_engine(Box::new(engine), DecoderConfig::new(&self.config))
    }

    pub(crate) fn networks(&self, device: &HostDevice, element: Element) -> OrtNetworks {
        OrtNetworks::new(device, &self.config, self.weights.as_ref(), self.size, element)
    }

    /// Profiles with buckets so small that short sequences move between them.
    pub(crate) fn profiles(&self, rows: usize) -> Profiles {
        let positions = self.config.text.max_positions;
        let longest = positions - self.image_tokens();
        let bucket = |capacity, prompt| Bucket { capacity, prompt };
        Profiles {
            buckets: vec![
                bucket(6, longest.min(12)),
                bucket(11, longest.min(12)),
                bucket(24, longest),
                bucket(positions, longest),
            ],
            ..Profiles::new(self.image_tokens(), positions, rows)
        }
    }

    pub(crate) fn engine(
        &self,
        device: &HostDevice,
        profiles: &Profiles,
        element: Element,
    ) -> DeviceEngine<HostDevice, OrtNetworks> {
        let networks = self.networks(device, element);
        DeviceEngine::new(device.clone(), networks, &self.config, self.size, profiles, element).unwrap()
    }

    /// On the stand-in.
    pub(crate) fn on_device(&self, engine: DeviceEngine<HostDevice, OrtNetworks>) -> Florence {
        Florence::with_engine(Box::new(engine), DecoderConfig::new(&self.config))
    }

    /// The pictures of `testdata`, prepared.
    pub(crate) fn pictures(&self) -> Vec<Vec<f32>> {
        ["street", "tower", "banner"].map(|name| self.picture(name)).to_vec()
    }

    /// A picture of `testdata`, prepared.
    pub(crate) fn picture(&self, name: &str) -> Vec<f32> {
        let path = testdata().join("pictures").join(name).with_extension("png");
        let file = std::fs::File::open(path).unwrap();
        let mut reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        self.prepared(info.width, info.height, &bytes)
    }

    /// Made-up scenes, prepared: things of one colour each on a ground by chance.
    pub(crate) fn scenes(&self, count: u64) -> Vec<Vec<f32>> {
        let (width, height) = (320, 240);
        let scene = |seed| {
            let mut random = fastrand::Rng::with_seed(seed);
            let ground = random.u8(60..180);
            let mut bytes: Vec<u8> =
                (0..width * height * 3).map(|_| ground.saturating_add(random.u8(..20))).collect();
            for _ in 0..random.usize(1..=4) {
                let colour = [random.u8(..), random.u8(..), random.u8(..)];
                let (w, h) = (random.usize(20..120), random.usize(20..90));
                let (left, top) = (random.usize(..width - w), random.usize(..height - h));
                for (y, x) in (top..top + h).flat_map(|y| (left..left + w).map(move |x| (y, x))) {
                    bytes[3 * (y * width + x)..][..3].copy_from_slice(&colour);
                }
            }
            self.prepared(width as u32, height as u32, &bytes)
        };
        (0..count).map(scene).collect()
    }

    fn prepared(&self, width: u32, height: u32, rgb: &[u8]) -> Vec<f32> {
        let plane = Plane { bytes: rgb, stride: 3 * width as usize };
        let view = ImageView::rgb8(width, height, plane).unwrap();
        let mut plan = PreprocessPlan::new(PreprocessSpec::imagenet(self.size.0, self.size.1)).unwrap();
        plan.run(&view).unwrap().data
    }

    pub(crate) fn pixels<'p>(&self, data: &'p [f32]) -> Pixels<'p> {
        Pixels { width: self.size.0 as usize, height: self.size.1 as usize, data }
    }
}

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}
