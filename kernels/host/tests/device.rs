//! The host keeps a caller to what a GPU demands.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use belvedere_kernels::device::{Argument, Device, DeviceSlice, Launch, Memory, PinnedMemory, Pitched};
use belvedere_kernels_host::{HostDevice, HostStream};

fn read(device: &HostDevice, slice: DeviceSlice) -> Vec<u8> {
    device.with_bytes(slice, |bytes| bytes.to_vec()).unwrap()
}

/// Fills device memory by way of pinned memory that is kept by the caller.
fn fill(device: &HostDevice, slice: DeviceSlice, value: u8) {
    device.with_bytes(slice, |bytes| bytes.fill(value)).unwrap();
}

/// Appends a letter to a log when its place in the stream is reached.
fn say(device: &HostDevice, stream: &HostStream, log: &Arc<Mutex<String>>, letter: char) {
    let log = log.clone();
    let work = move || {
        log.lock().unwrap().push(letter);
        Ok(())
    };
    device.append(stream, Box::new(work)).unwrap();
}

fn log() -> Arc<Mutex<String>> {
    Arc::default()
}

/// A launch of `past_mask_f32` over one row of `places` places.
fn mask(position: DeviceSlice, mask: DeviceSlice, places: u32) -> Launch {
    let arguments = vec![Argument::Memory(position), Argument::Memory(mask), places.into(), 1.0_f32.into()];
    Launch { kernel: "past_mask_f32", grid: [1, 1, 1], block: [32, 1, 1], arguments }
}

#[test]
fn a_copy_from_pinned_memory_takes_what_is_there_when_it_is_made() {
    let device = HostDevice::new();
    let stream = device.stream().unwrap();
    let memory = device.allocate(4).unwrap();
    let mut pinned = device.pinned(4).unwrap();
    pinned.write(0, b"old ").unwrap();
    device.copy(&stream, memory.slice(), pinned.slice()).unwrap();
    pinned.write(0, b"new ").unwrap();
    assert_eq!(read(&device, memory.slice()), [0; 4], "nothing is done before something waits");
    device.wait(&device.record(&stream).unwrap()).unwrap();
    assert_eq!(read(&device, memory.slice()), b"new ");
}

#[test]
fn asking_for_an_event_does_one_piece_of_work() {
    let (device, log) = (HostDevice::new(), log());
    let stream = device.stream().unwrap();
    "abc".chars().for_each(|letter| say(&device, &stream, &log, letter));
    let event = device.record(&stream).unwrap();
    say(&device, &stream, &log, 'd');
    let answers = [(); 3].map(|()| device.is_past(&event).unwrap());
    assert_eq!((answers, log.lock().unwrap().as_str()), ([false, false, true], "abc"));
}

#[test]
fn a_stream_waits_for_the_event_of_another() {
    let (device, log) = (HostDevice::new(), log());
    let (first, second) = (device.stream().unwrap(), device.stream().unwrap());
    say(&device, &first, &log, 'a');
    let event = device.record(&first).unwrap();
    say(&device, &first, &log, 'z');
    device.stream_wait(&second, &event).unwrap();
    say(&device, &second, &log, 'b');
    device.wait(&device.record(&second).unwrap()).unwrap();
    assert_eq!(log.lock().unwrap().as_str(), "ab");
}

#[test]
fn a_full_stream_does_its_oldest_work() {
    let (device, log) = (HostDevice::new(), log());
    let stream = device.stream().unwrap();
    (0..67).for_each(|_| say(&device, &stream, &log, '.'));
    assert_eq!(log.lock().unwrap().len(), 3);
    drop(stream);
    assert_eq!(log.lock().unwrap().len(), 67, "what is left is done when the stream goes");
}

#[test]
fn a_seed_decides_when_work_is_done() {
    let when = |seed| {
        let (device, log) = (HostDevice::seeded(seed), log());
        let streams = [device.stream().unwrap(), device.stream().unwrap()];
        let mut done = String::new();
        for i in 0..40 {
            let letter = if i % 2 == 0 { 'a' } else { 'b' };
            say(&device, &streams[i % 2], &log, letter);
            done.push_str(&format!("{} ", log.lock().unwrap()));
        }
        done
    };
    assert_eq!(when(1), when(1));
    assert_ne!(when(1), when(2));
}

#[test]
fn a_capture_keeps_work_and_a_replay_appends_it_again() {
    let (device, log) = (HostDevice::new(), log());
    let stream = device.stream().unwrap();
    device.begin_capture(&stream).unwrap();
    "ab".chars().for_each(|letter| say(&device, &stream, &log, letter));
    let graph = device.end_capture(&stream).unwrap();
    device.wait(&device.record(&stream).unwrap()).unwrap();
    assert_eq!(log.lock().unwrap().as_str(), "");
    for _ in 0..2 {
        device.replay(&stream, &graph).unwrap();
    }
    device.wait(&device.record(&stream).unwrap()).unwrap();
    assert_eq!(log.lock().unwrap().as_str(), "abab");
}

#[test]
fn what_cuda_refuses_during_a_capture_is_refused_and_spoils_it() {
    type Mistake = fn(&HostDevice, &HostStream);
    let mistakes: [(&str, Mistake); 6] = [
        ("memory is allocated", |device, _| assert!(device.allocate(1).is_err())),
        ("memory is allocated", |device, _| assert!(device.pinned(1).is_err())),
        ("an event of a captured stream", |device, stream| {
            assert!(device.wait(&device.record(stream).unwrap()).is_err());
        }),
        ("an event is asked for", |device, _| {
            let other = device.stream().unwrap();
            assert!(device.is_past(&device.record(&other).unwrap()).is_err());
        }),
        ("an event from outside", |device, stream| {
            let other = device.stream().unwrap();
            assert!(device.stream_wait(stream, &device.record(&other).unwrap()).is_err());
        }),
        ("another is begun", |device, stream| assert!(device.begin_capture(stream).is_err())),
    ];
    for (why, mistake) in mistakes {
        let device = HostDevice::new();
        let stream = device.stream().unwrap();
        device.begin_capture(&stream).unwrap();
        mistake(&device, &stream);
        let error = device.end_capture(&stream).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        device.begin_capture(&stream).unwrap();
        device.end_capture(&stream).unwrap();
    }
}

#[test]
fn another_thread_may_allocate_during_a_capture() {
    let device = HostDevice::new();
    let stream = device.stream().unwrap();
    device.begin_capture(&stream).unwrap();
    let beside = device.clone();
    std::thread::spawn(move || beside.allocate(1).map(drop)).join().unwrap().unwrap();
    device.end_capture(&stream).unwrap();
}

#[test]
fn memory_freed_under_queued_work_is_a_panic_that_names_the_work() {
    let device = HostDevice::new();
    let stream = device.stream().unwrap();
    let (memory, pinned) = (device.allocate(8).unwrap(), device.pinned(8).unwrap());
    device.copy(&stream, memory.slice(), pinned.slice()).unwrap();
    let freed = catch_unwind(AssertUnwindSafe(|| drop(memory))).unwrap_err();
    let words = freed.downcast_ref::<String>().unwrap();
    assert!(words.contains("a copy of 8 bytes"), "{words}");
    let error = device.wait(&device.record(&stream).unwrap()).unwrap_err().to_string();
    assert!(error.contains("not allocated"), "{error}");
}

#[test]
fn memory_that_was_never_allocated_is_refused() {
    let device = HostDevice::new();
    let stream = device.stream().unwrap();
    let memory = device.allocate(64).unwrap();
    let whole = memory.slice();
    let beyond = DeviceSlice::new(whole.address() + 32, 33);
    assert!(device.copy(&stream, beyond, DeviceSlice::new(whole.address(), 33)).is_err());
    assert!(device.launch(&stream, &mask(whole, beyond, 8)).is_err());
    let pitched = |slice, pitch| Pitched { slice, pitch };
    let rows = |to, from| device.copy_rows(&stream, to, from, 4, 4);
    let half = |i: usize| whole.part(32 * i, 32).unwrap();
    rows(pitched(half(0), 8), pitched(half(1), 5)).unwrap();
    assert!(rows(pitched(half(0), 3), pitched(half(1), 8)).is_err());
    assert!(rows(pitched(half(0), 10), pitched(half(1), 8)).is_err());
    assert!(device.with_bytes(beyond, |_| ()).is_err());
    device.wait(&device.record(&stream).unwrap()).unwrap();
}

#[test]
fn a_kernel_that_would_leave_its_memory_is_an_error_of_the_stream() {
    let device = HostDevice::new();
    let stream = device.stream().unwrap();
    let memory = device.allocate(64).unwrap();
    let (position, row) = (memory.slice().part(0, 8).unwrap(), memory.slice().part(32, 16).unwrap());
    device.launch(&stream, &mask(position, row, 5)).unwrap();
    let error = device.wait(&device.record(&stream).unwrap()).unwrap_err().to_string();
    assert_eq!(error, "host: past_mask_f32: block (0, 0, 0), thread 4: element 4 of 4");
    assert!(device.launch(&stream, &mask(position, row, 4)).is_err(), "the stream has failed");
    let other = device.stream().unwrap();
    device.launch(&other, &mask(position, row, 4)).unwrap();
    device.wait(&device.record(&other).unwrap()).unwrap();
}

#[test]
fn unknown_kernels_and_wrong_arguments_are_errors() {
    let device = HostDevice::new();
    let stream = device.stream().unwrap();
    let memory = device.allocate(64).unwrap();
    let good = mask(memory.slice().part(0, 8).unwrap(), memory.slice().part(32, 16).unwrap(), 4);
    for bad in [
        Launch { kernel: "past_mask", ..good.clone() },
        Launch { grid: [0, 1, 1], ..good.clone() },
        Launch { block: [1025, 1, 1], ..good.clone() },
    ] {
        assert!(device.launch(&stream, &bad).is_err());
    }
    let mut wrong_kind = good.clone();
    wrong_kind.arguments[2] = Argument::I32(4);
    let mut too_few = good.clone();
    too_few.arguments.pop();
    for bad in [wrong_kind, too_few] {
        let stream = device.stream().unwrap();
        device.launch(&stream, &bad).unwrap();
        assert!(device.wait(&device.record(&stream).unwrap()).is_err());
    }
}

#[test]
fn memory_is_zeroed_and_aligned_and_runs_out() {
    let device = HostDevice::of_bytes(1000);
    let first = device.allocate(700).unwrap();
    assert_eq!((first.slice().bytes(), first.slice().address() % 256), (700, 0));
    assert_eq!(read(&device, first.slice()), [0; 700]);
    fill(&device, first.slice(), 7);
    assert!(device.allocate(301).is_err());
    let second = device.allocate(300).unwrap();
    assert_eq!(device.memory_info().unwrap().free, 0);
    // Pinned memory is the host's.
    let pinned = device.pinned(500).unwrap();
    assert_eq!(device.memory_info().unwrap().free, 0);
    drop((first, second, pinned));
    assert_eq!(device.memory_info().unwrap().free, 1000);
}
