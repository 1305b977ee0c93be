//! What the kernels take on a GPU: `make gpu-bench`.

use std::time::Instant;

use belvedere_cuda::{CudaDevice, CudaStream, DeviceFacts};
use belvedere_kernels::device::{Device, DeviceSlice, Launch, Memory, PinnedMemory};
use belvedere_kernels::launch::{
    CacheElement, DevicePreprocessor, FrameMemory, FrameRoom, FrameSource, PictureShape, PixelsIn,
    Preprocess, ResizeTables,
};
use belvedere_kernels::{Colorimetry, ImageView, Plane, PreprocessPlan, PreprocessSpec, YuvMatrix, YuvRange};
use belvedere_kernels_host::cases::{DecodeStep, DecoderSizes};

type Failure = Box<dyn std::error::Error>;

const SIDE_PX: u32 = 768;
const WIDTH: u32 = 1920;
const HEIGHT: u32 = 1080;

fn main() -> Result<(), Failure> {
    let facts = belvedere_cuda::devices()?;
    let facts = facts.first().ok_or("the driver finds no GPU")?;
    println!("{facts}");
    let device = CudaDevice::open(0)?;
    let stream = device.stream()?;
    for frames in [1, 8] {
        preprocessing(&device, &stream, facts, frames)?;
    }
    whole_preprocessing(&device, &stream)?;
    for rows in [1, 8] {
        decode_step(&device, &stream, rows)?;
    }
    Ok(())
}

/// Microseconds that each of many turns takes, appended one after another; the median of some rounds.
fn microseconds(
    device: &CudaDevice,
    stream: &CudaStream,
    mut append: impl FnMut() -> Result<(), Failure>,
) -> Result<f64, Failure> {
    const TURNS: u32 = 200;
    let mut rounds = Vec::new();
    for _ in 0..11 {
        device.wait(&device.record(stream)?)?;
        let begin = Instant::now();
        for _ in 0..TURNS {
            append()?;
        }
        device.wait(&device.record(stream)?)?;
        rounds.push(begin.elapsed().as_secs_f64() * 1e6 / f64::from(TURNS));
    }
    rounds.sort_by(f64::total_cmp);
    Ok(rounds[rounds.len() / 2])
}

fn nv12(bytes: &[u8]) -> Result<ImageView<'_>, Failure> {
    let plane = |bytes| Plane { bytes, stride: WIDTH as usize };
    let (luma, chroma) = bytes.split_at((WIDTH * HEIGHT) as usize);
    let colorimetry = Colorimetry { matrix: YuvMatrix::Bt709, range: YuvRange::Limited };
    Ok(ImageView::nv12(WIDTH, HEIGHT, plane(luma), plane(chroma), colorimetry)?)
}

fn picture() -> Vec<u8> {
    (0..WIDTH * HEIGHT * 3 / 2).map(|i| (i.wrapping_mul(2_654_435_761) >> 23) as u8).collect()
}

/// The kernels alone, on frames in device memory, replayed as a graph.
fn preprocessing(
    device: &CudaDevice,
    stream: &CudaStream,
    facts: &DeviceFacts,
    frames: usize,
) -> Result<(), Failure> {
    let bytes = picture();
    let (view, target) = (nv12(&bytes)?, (SIDE_PX, SIDE_PX));
    let shape = PictureShape::of(&view);
    let tables = ResizeTables::new((WIDTH, HEIGHT), target);
    let mut held = Vec::new();
    let mut put = |bytes: &[u8]| -> Result<DeviceSlice, Failure> {
        let memory = device.allocate(bytes.len())?;
        let mut staging = device.pinned(bytes.len())?;
        staging.write(0, bytes)?;
        device.copy(stream, memory.slice(), staging.slice())?;
        device.wait(&device.record(stream)?)?;
        let slice = memory.slice();
        held.push(memory);
        Ok(slice)
    };
    let table_memory = put(&tables.bytes)?;
    let mut sources = Vec::new();
    for _ in 0..frames {
        let between = put(&vec![0; tables.between_bytes(target)])?;
        let pixels = put(&shape.packed(&view))?;
        sources.push(FrameSource { shape, pixels, tables: &tables, table_memory, between });
    }
    let out_bytes = frames * 3 * (SIDE_PX * SIDE_PX) as usize * 2;
    let preprocess = Preprocess {
        target,
        levels: put(&Preprocess::levels(&PreprocessSpec::imagenet(SIDE_PX, SIDE_PX))?)?,
        frames: &sources,
        table: put(&Preprocess::table(target, &sources)?)?,
        element: CacheElement::F16,
        pixel_values: put(&vec![0; out_bytes])?,
    };
    let launches: Vec<Launch> = preprocess.launches()?;
    device.begin_capture(stream)?;
    let appended = launches.iter().try_for_each(|launch| device.launch(stream, launch));
    let graph = device.end_capture(stream)?;
    appended?;
    let taken = microseconds(device, stream, || Ok(device.replay(stream, &graph)?))?;
    // What must be moved at least: every pixel in, every number out.
    let moved = (frames * shape.bytes() + out_bytes) as f64;
    let share = facts.bandwidth_bytes.map(|bandwidth| moved / (taken * 1e-6) / bandwidth * 100.0);
    let share = share.map_or("unknown share".to_owned(), |share| format!("{share:.0} %"));
    println!(
        "preprocessing {frames} frame(s) {WIDTH}x{HEIGHT} NV12 to {SIDE_PX}x{SIDE_PX} f16: {taken:.1} us, {share} of the \
         memory's bandwidth"
    );
    Ok(())
}

/// From a picture in the host's memory to the end, one at a time; and the same on the CPU.
fn whole_preprocessing(device: &CudaDevice, stream: &CudaStream) -> Result<(), Failure> {
    let bytes = picture();
    let view = nv12(&bytes)?;
    let spec = PreprocessSpec::imagenet(SIDE_PX, SIDE_PX);
    for pixels_in in [PixelsIn::DeviceMemory, PixelsIn::PinnedMemory] {
        let room = FrameRoom { largest: (WIDTH, HEIGHT), target: (SIDE_PX, SIDE_PX), pixels_in };
        let [filters, pixels, between] = [room.filters_bytes(), room.pixels_bytes(), room.between_bytes()]
            .map(|bytes| device.allocate(bytes));
        let (filters, pixels, between) = (filters?, pixels?, between?);
        let memory =
            FrameMemory { filters: filters.slice(), pixels: pixels.slice(), between: between.slice() };
        let mut preprocessor = DevicePreprocessor::new(device, room, CacheElement::F16, memory)?;
        let out = device.allocate(3 * 2 * (SIDE_PX * SIDE_PX) as usize)?;
        let taken = microseconds(device, stream, || {
            preprocessor.enqueue(device, stream, &spec, &[view], out.slice())?;
            Ok(())
        })?;
        println!("one frame out of the host's memory, pixels in {pixels_in:?}: {taken:.0} us");
    }
    let mut plan = PreprocessPlan::new(spec)?;
    let mut values = plan.run(&view)?;
    let begin = Instant::now();
    for _ in 0..20 {
        plan.run_into(&view, &mut values)?;
    }
    println!("the same on the CPU: {:.0} us", begin.elapsed().as_secs_f64() * 1e6 / 20.0);
    Ok(())
}

/// Base's decoder without its graph: appending to the caches, and choosing among 51289 tokens.
fn decode_step(device: &CudaDevice, stream: &CudaStream, rows: usize) -> Result<(), Failure> {
    let sizes = DecoderSizes { rows, layers: 6, heads: 12, head_size: 64, capacity: 4096, vocabulary: 51289 };
    let step = DecodeStep::new(device, sizes, 1)?;
    let graph = step.capture(device, stream)?;
    // As many steps as the caches have places for.
    let launched = microseconds(device, stream, || Ok(step.enqueue(device, stream)?))?;
    let step = DecodeStep::new(device, sizes, 1)?;
    drop(graph);
    let graph = step.capture(device, stream)?;
    let replayed = microseconds(device, stream, || Ok(device.replay(stream, &graph)?))?;
    println!(
        "kernels of a decoding step, {rows} row(s): {replayed:.1} us replayed, {launched:.1} us launched"
    );
    Ok(())
}
