//! The film that the demonstration watches, as its H.264 pictures.

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSrc};

/// 40 s of a made-up street; models/tiny/film.py draws it and models/tiny/demo.json says what is in it.
const FILM: &[u8] = include_bytes!("../../models/tiny/demo.mp4");
/// A key frame each second and no B frames: what a client can join soon.
const TAKE_APART: &str = "appsrc name=file format=bytes ! qtdemux ! h264parse config-interval=-1 \
    ! video/x-h264,stream-format=byte-stream,alignment=au ! appsink name=pictures sync=false max-buffers=0";

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
}
