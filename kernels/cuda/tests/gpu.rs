//! Every kernel against its reference, on a GPU. `make gpu-test` runs these, and again under compute-sanitizer.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use belvedere_cuda::CudaDevice;
use belvedere_kernels::device::{Argument, Device, DeviceSlice, Launch, Memory, PinnedMemory, Pitched};
use belvedere_kernels_host::cases::{self, OnDevice};

/// How many random cases of each kind; fewer under a sanitizer, which is a hundred times slower.
fn seeds() -> u64 {
    std::env::var("BELVEDERE_GPU_SEEDS").map_or(300, |seeds| seeds.parse().unwrap())
}

#[test]
#[ignore = "needs a GPU"]
fn cases_of_every_kernel_equal_their_references() {
    for facts in belvedere_cuda::devices().unwrap() {
        println!("GPU {}: {facts}", facts.ordinal);
    }
    let mut machine = OnDevice::new(CudaDevice::open(0).unwrap()).unwrap();
    for seed in 0..seeds() {
        for case in [cases::caches, cases::next_token, cases::best_tokens, cases::beams, cases::preprocess] {
            case(&mut machine, seed).unwrap();
        }
    }
}

#[test]
#[ignore = "needs a GPU"]
fn cases_of_the_preprocessor_equal_the_cpu() {
    let device = CudaDevice::open(0).unwrap();
    for seed in 0..seeds() / 4 {
        cases::preprocessor(&device, seed).unwrap();
    }
}

#[test]
#[ignore = "needs a GPU"]
fn cases_of_replayed_steps_choose_what_steps_one_by_one_choose() {
    let device = CudaDevice::open(0).unwrap();
    for seed in 0..seeds() / 4 {
        cases::replayed_steps(&device, seed).unwrap();
    }
}

#[test]
#[ignore = "needs a GPU"]
fn memory_is_zeroed_aligned_and_copied_by_rows() {
    let device = CudaDevice::open(0).unwrap();
    let stream = device.stream().unwrap();
    let memory = device.allocate(1000).unwrap();
    let mut pinned = device.pinned(1000).unwrap();
    assert_eq!((memory.slice().address() % 256, pinned.slice().address() % 256), (0, 0));
    pinned.write(0, &[7; 1000]).unwrap();
    device.copy(&stream, pinned.slice().part(0, 1000).unwrap(), memory.slice()).unwrap();
    device.wait(&device.record(&stream).unwrap()).unwrap();
    let mut bytes = vec![1; 1000];
    pinned.read(0, &mut bytes).unwrap();
    assert_eq!(bytes, vec![0; 1000]);

    pinned.write(0, &(0..100).collect::<Vec<u8>>()).unwrap();
    let rows = |slice: DeviceSlice, pitch| Pitched { slice, pitch };
    let to = rows(memory.slice().part(0, 64).unwrap(), 16);
    device.copy_rows(&stream, to, rows(pinned.slice().part(0, 100).unwrap(), 25), 5, 4).unwrap();
    device.copy(&stream, pinned.slice(), memory.slice()).unwrap();
    device.wait(&device.record(&stream).unwrap()).unwrap();
    pinned.read(0, &mut bytes).unwrap();
    assert_eq!(bytes[..21], [0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 26, 27, 28, 29]);
}

#[test]
#[ignore = "needs a GPU"]
fn mistakes_are_errors() {
    let device = CudaDevice::open(0).unwrap();
    let stream = device.stream().unwrap();
    let memory = device.allocate(64).unwrap();
    let part = |offset, bytes| Argument::Memory(memory.slice().part(offset, bytes).unwrap());
    let arguments = vec![part(0, 8), part(32, 16), 4_u32.into(), 1.0_f32.into()];
    let good = Launch { kernel: "past_mask_f32", grid: [1, 1, 1], block: [32, 1, 1], arguments };
    device.launch(&stream, &good).unwrap();
    let mut freed = good.clone();
    freed.arguments[0] = Argument::Memory(device.allocate(8).unwrap().slice());
    let mut too_few = good.clone();
    too_few.arguments.pop();
    for bad in [
        Launch { kernel: "none", ..good.clone() },
        Launch { grid: [0, 1, 1], ..good.clone() },
        Launch { block: [1025, 1, 1], ..good },
        freed,
        too_few,
    ] {
        assert!(device.launch(&stream, &bad).is_err(), "{bad:?}");
    }
    assert!(device.allocate(usize::MAX / 2).is_err());
    assert!(device.end_capture(&stream).is_err());
    device.begin_capture(&stream).unwrap();
    assert!(device.wait(&device.record(&stream).unwrap()).is_err());
    assert!(device.end_capture(&stream).is_err());
    device.wait(&device.record(&stream).unwrap()).unwrap();
    assert!(CudaDevice::open(1000).is_err());
}
