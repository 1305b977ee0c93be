//! The film that the demonstration watches, as its H.264 pictures.

use std::time::Duration;

use belvedere_kernels::RgbImage;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSrc};

/// 40 s of a made-up street; models/tiny/film.py draws it and models/tiny/demo.json says what is in it.
const FILM: &[u8] = include_bytes!("../../models/tiny/demo.mp4");
/// A key frame each second and no B frames: what a client can join soon.
const TAKE_APART: &str = "appsrc name=file format=bytes ! qtdemux ! h264parse config-interval=-1 \
    ! video/x-h264,stream-format=byte-stream,alignment=au ! appsink name=pictures sync=false max-buffers=0";

/// By the CPU, whatever else there is: the pictures are to be the same on every machine.
const DECODE: &str = "appsrc name=film format=time ! h264parse ! avdec_h264 ! videoconvert \
    ! video/x-raw,format=RGB ! appsink name=rgb sync=false max-buffers=0";

/// A film that repeats: encoded pictures in the order of showing and decoding.
#[derive(Debug, Clone)]
pub struct Film {
    caps: gst::Caps,
    pictures: Vec<gst::Buffer>,
    picture_time: gst::ClockTime,
}

impl Film {
    /// Takes the bundled film apart. GStreamer must have been started.
    ///
    /// # Errors
    /// GStreamer's reason: an element is missing, most likely.
    pub fn open() -> Result<Film, String> {
        let pipeline = gst::parse::launch(TAKE_APART).map_err(|error| error.to_string())?;
        let ended = Ended(pipeline.downcast::<gst::Pipeline>().map_err(|_| "no pipeline")?);
        let film = take_apart(&ended.0);
        film.map_err(|reason| complaint(&ended.0).unwrap_or(reason))
    }

    /// The key frames at or before these times, decoded by the CPU.
    ///
    /// # Errors
    /// GStreamer's reason: there is no such decoder, most likely.
    pub fn decoded(&self, at: &[Duration]) -> Result<Vec<RgbImage>, String> {
        let pipeline = gst::parse::launch(DECODE).map_err(|error| error.to_string())?;
        let ended = Ended(pipeline.downcast::<gst::Pipeline>().map_err(|_| "no pipeline")?);
        let decoded = self.decode_in(&ended.0, at);
        decoded.map_err(|reason| complaint(&ended.0).unwrap_or(reason))
    }

    fn decode_in(&self, pipeline: &gst::Pipeline, at: &[Duration]) -> Result<Vec<RgbImage>, String> {
        let source =
            pipeline.by_name("film").and_then(|film| film.downcast::<AppSrc>().ok()).ok_or("no source")?;
        let sink =
            pipeline.by_name("rgb").and_then(|sink| sink.downcast::<AppSink>().ok()).ok_or("no sink")?;
        source.set_caps(Some(&self.caps));
        pipeline.set_state(gst::State::Playing).map_err(|error| error.to_string())?;
        for time in at {
            let number = time.as_nanos() as u64 / self.picture_time.nseconds().max(1);
            let picture = self.key_frame(number).ok_or("the film has no key frame there")?;
            source.push_buffer(picture).map_err(|error| error.to_string())?;
        }
        source.end_of_stream().map_err(|error| error.to_string())?;
        let mut decoded = Vec::new();
        // Ends at the end of the stream, and where an error stops it.
        while let Ok(sample) = sink.pull_sample() {
            decoded.push(rgb(&sample).ok_or("a picture without its size")?);
        }
        (decoded.len() == at.len()).then_some(decoded).ok_or("pictures are missing".to_owned())
    }

    /// The last picture, up to number `number`, that needs no other.
    fn key_frame(&self, number: u64) -> Option<gst::Buffer> {
        let last = number % self.pictures.len().max(1) as u64;
        let is_key = |number: &u64| {
            let picture = self.pictures.get(*number as usize);
            picture.is_some_and(|picture| !picture.flags().contains(gst::BufferFlags::DELTA_UNIT))
        };
        Some(self.picture((0..=last).rev().find(is_key)?))
    }

    /// H.264 as a byte stream, an access unit a buffer.
    pub fn caps(&self) -> &gst::Caps {
        &self.caps
    }

    /// Picture number `number` of the endless loop, with the time at which it is shown.
    pub fn picture(&self, number: u64) -> gst::Buffer {
        let in_film = number % self.pictures.len() as u64;
        let mut picture = self.pictures[in_film as usize].copy();
        // A buffer that was just copied has one owner.
        if let Some(picture) = picture.get_mut() {
            let shown_at = self.picture_time * number;
            picture.set_pts(shown_at);
            picture.set_dts(shown_at);
            picture.set_duration(self.picture_time);
        }
        picture
    }
}

/// The picture in a sample of RGB.
fn rgb(sample: &gst::Sample) -> Option<RgbImage> {
    let caps = sample.caps()?.structure(0)?;
    let side = |name: &str| caps.get::<i32>(name).ok().and_then(|side| usize::try_from(side).ok());
    let (width, height) = (side("width")?, side("height")?);
    let memory = sample.buffer()?.map_readable().ok()?;
    // GStreamer pads rows to four bytes.
    let rows = memory.chunks((width * 3).next_multiple_of(4)).take(height);
    let pixels: Vec<u8> = rows.filter_map(|row| row.get(..width * 3)).flatten().copied().collect();
    let is_whole = pixels.len() == width * height * 3;
    is_whole.then_some(RgbImage { width: width as u32, height: height as u32, pixels })
}

/// Stops its pipeline when it goes.
struct Ended(gst::Pipeline);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.set_state(gst::State::Null);
    }
}

fn take_apart(pipeline: &gst::Pipeline) -> Result<Film, String> {
    let file = pipeline.by_name("file").and_then(|file| file.downcast::<AppSrc>().ok()).ok_or("no source")?;
    let sink =
        pipeline.by_name("pictures").and_then(|sink| sink.downcast::<AppSink>().ok()).ok_or("no sink")?;
    pipeline.set_state(gst::State::Playing).map_err(|error| error.to_string())?;
    file.push_buffer(gst::Buffer::from_slice(FILM)).map_err(|error| error.to_string())?;
    file.end_of_stream().map_err(|error| error.to_string())?;
    let mut caps = None;
    let mut pictures = Vec::new();
    // Ends at the end of the film, and where an error stops the stream.
    while let Ok(sample) = sink.pull_sample() {
        caps = caps.or_else(|| sample.caps_owned());
        pictures.extend(sample.buffer_owned());
    }
    let caps = caps.ok_or("the film has no pictures")?;
    let rate = caps.structure(0).and_then(|structure| structure.get::<gst::Fraction>("framerate").ok());
    let rate =
        rate.filter(|rate| rate.numer() > 0 && rate.denom() > 0).ok_or("the film has no frame rate")?;
    let picture_time = gst::ClockTime::SECOND * rate.denom() as u64 / rate.numer() as u64;
    Ok(Film { caps, pictures, picture_time })
}

/// What the pipeline said went wrong.
fn complaint(pipeline: &gst::Pipeline) -> Option<String> {
    let message = pipeline.bus()?.pop_filtered(&[gst::MessageType::Error])?;
    match message.view() {
        gst::MessageView::Error(error) => Some(error.error().to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_film_has_all_its_pictures_and_goes_on_from_the_last_to_the_first() {
        belvedere_pipelines::start_gstreamer().unwrap();
        let film = Film::open().unwrap();
        // 40 s at 15 pictures a second, as models/tiny/demo.json has them.
        assert_eq!(film.pictures.len(), 600);
        let (first, again) = (film.picture(0), film.picture(600));
        assert_eq!(first.size(), again.size());
        assert_eq!(first.pts(), Some(gst::ClockTime::ZERO));
        let loop_time = again.pts().unwrap();
        assert!(loop_time.mseconds().abs_diff(40_000) <= 1, "{loop_time}");
        assert!(!first.flags().contains(gst::BufferFlags::DELTA_UNIT));
    }

    #[test]
    fn pictures_at_different_times_are_decoded_and_differ() {
        belvedere_pipelines::start_gstreamer().unwrap();
        let film = Film::open().unwrap();
        let pictures = film.decoded(&[2, 12, 22].map(Duration::from_secs)).unwrap();
        for (place, picture) in pictures.iter().enumerate() {
            assert!(picture.view().is_ok() && picture.width > 100);
            assert!(pictures[..place].iter().all(|other| other.pixels != picture.pixels));
        }
    }
}
