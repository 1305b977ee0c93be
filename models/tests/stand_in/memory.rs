//! Memory is taken as planned, or fewer sequences run at once.

use belvedere_kernels::device::Device;
use belvedere_kernels::launch::{FrameRoom, PixelsIn};
use belvedere_kernels_host::HostDevice;
use belvedere_models::engine::Engine;
use belvedere_models::engine::tensorrt::{
    DeviceEngine, HEADROOM_BYTES, LARGEST_FRAME_PX, MemoryPlan, ModelShape, ScratchBytes,
};
use belvedere_models::graph::Element;
use belvedere_models::{CancelToken, GenerationOptions};

use crate::models::Model;

fn free(device: &HostDevice) -> usize {
    device.memory_info().unwrap().free
}

#[test]
fn what_is_planned_is_what_is_taken_and_running_takes_no_more() {
    let model = Model::random(1);
    for element in [Element::F32, Element::F16] {
        let device = HostDevice::new();
        let before = free(&device);
        let engine = model.engine(&device, &model.profiles(4), element);
        let planned = engine.memory_plan().total_bytes();
        assert_eq!(before - free(&device), planned);
        let pieces = engine.memory_plan().pieces().map(|(_, bytes)| bytes);
        assert_eq!(pieces.sum::<usize>(), planned);

        let features = engine.memory_plan().clone();
        let mut florence = model.on_device(engine);
        let cancel = CancelToken::new();
        let picture = &model.pictures()[0];
        let (picture, _) = florence.encode_image(model.pixels(picture), &cancel).unwrap();
        let with_features = free(&device);
        let told = florence.device_memory().unwrap();
        assert_eq!(told.free_bytes, with_features as u64);
        assert_eq!(told.planned_bytes, planned as u64);
        assert_eq!(told.pictures_bytes, (before - planned - with_features) as u64);
        assert_eq!((told.total_bytes, told.prompts_bytes), (before as u64, 0));
        let prompts: Vec<Vec<u32>> = (0..9).map(|i| (3..4 + 3 * i).collect()).collect();
        let options =
            GenerationOptions { min_new_tokens: 40, max_new_tokens: 60, ..GenerationOptions::default() };
        florence.generate(&picture, &prompts, &options, &cancel).unwrap();
        assert_eq!(free(&device), with_features, "{features}");
        drop(florence);
        assert_eq!(free(&device), before);
    }
}

#[test]
fn a_request_that_there_is_no_memory_for_fails_alone() {
    let model = Model::random(1);
    let profiles = model.profiles(2);
    let planned = model.engine(&HostDevice::new(), &profiles, Element::F32).memory_plan().total_bytes();
    let device = HostDevice::of_bytes(planned + HEADROOM_BYTES);
    let mut florence = model.on_device(model.engine(&device, &profiles, Element::F32));
    let cancel = CancelToken::new();
    let picture = &model.pictures()[0];
    let (features, _) = florence.encode_image(model.pixels(picture), &cancel).unwrap();
    let others = device.allocate(free(&device)).unwrap();
    for _ in 0..2 {
        let said = florence.encode_image(model.pixels(picture), &cancel).unwrap_err().to_string();
        assert!(said.contains("reserving memory") && !said.contains("broken"), "{said}");
        let said = florence.keep_prompt(&features, &[5, 6, 7], &cancel).unwrap_err().to_string();
        assert!(said.contains("reserving memory") && !said.contains("broken"), "{said}");
    }
    let options = GenerationOptions { max_new_tokens: 5, ..GenerationOptions::default() };
    florence.generate(&features, &[[5, 6]], &options, &cancel).unwrap();
    drop(others);
    florence.encode_image(model.pixels(picture), &cancel).unwrap();
    florence.keep_prompt(&features, &[5, 6, 7], &cancel).unwrap();
}

#[test]
fn features_and_kept_prompts_that_are_let_go_of_make_room_for_the_next() {
    let model = Model::random(1);
    let device = HostDevice::new();
    let mut florence = model.on_device(model.engine(&device, &model.profiles(2), Element::F32));
    let cancel = CancelToken::new();
    let pictures = model.pictures();
    let mut turn = || {
        let (features, _) = florence.encode_image(model.pixels(&pictures[0]), &cancel).unwrap();
        florence.keep_prompt(&features, &[5, 6, 7], &cancel).unwrap();
        free(&device)
    };
    let first = turn();
    assert!((0..5).all(|_| turn() == first));
    assert!(florence.device_memory().unwrap().prompts_bytes > 0);
}

#[test]
fn where_memory_is_short_fewer_sequences_run_at_once() {
    let model = Model::random(1);
    let profiles = model.profiles(8);
    let shape = ModelShape::new(&model.config, model.size.0, model.size.1, Element::F32).unwrap();
    let scratch = ScratchBytes { decode: 4096, encode: 4096 };
    let frames =
        FrameRoom { largest: LARGEST_FRAME_PX, target: model.size, pixels_in: PixelsIn::DeviceMemory };
    let plan = |rows| MemoryPlan::new(&shape, &profiles.up_to(rows), scratch).with_frames(&frames);
    for (rows, spare, expected) in [(8, 0, 8), (8, -1, 4), (4, 0, 4), (2, 0, 2), (2, -1, 1), (1, 0, 1)] {
        let bytes = plan(rows).total_bytes() as isize + HEADROOM_BYTES as isize + spare;
        let device = HostDevice::of_bytes(bytes as usize);
        let engine = model.engine(&device, &profiles, Element::F32);
        assert_eq!(engine.memory_plan(), &plan(expected));
        let said = engine.description();
        assert!(said.contains(&format!("memory for {expected} sequence")), "{said}");
    }
    let short = plan(1).total_bytes() + HEADROOM_BYTES - 1;
    let device = HostDevice::of_bytes(short);
    let networks = model.networks(&device, Element::F32);
    let refused = DeviceEngine::new(device, networks, &model.config, model.size, &profiles, Element::F32);
    let said = refused.err().unwrap().to_string();
    assert!(said.contains("1 sequence at once") && said.contains("MiB are free"), "{said}");
}
