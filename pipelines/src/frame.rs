use std::time::{Instant, SystemTime};

use belvedere_kernels::{ImageView, RgbImage};

use crate::captured_picture::CapturedPicture;
use crate::{CameraName, PipelineError};

/// One picture of a camera.
///
/// The pixels stay in the decoder's buffer until the frame is dropped. The slot holds one frame and the
/// model one, or on a GPU as many as it has sequences for; a decoder whose pool could run dry of two gets its
/// buffers copied instead.
#[derive(Debug)]
pub struct Frame {
    /// The camera it came from.
    pub camera: CameraName,
    /// Increases with every frame of the camera, for as long as the process lives. Not every number is seen:
    /// frames that were replaced had theirs.
    pub id: u64,
    /// The wall clock when the decoded frame arrived: later than the moment it shows by the camera's encoder,
    /// the network, the jitter buffer and the decoder. Cameras' own clocks are too often wrong to be used.
    pub captured_at: SystemTime,
    /// The same moment on the steady clock, for ages and latencies.
    pub received: Instant,
    /// The presentation time in its stream, ns. Starts anew when the stream does.
    pub pts_ns: Option<u64>,
    pub(crate) picture: CapturedPicture,
}

impl Frame {
    /// A frame from a picture that is there already, received now.
    pub fn from_rgb(camera: CameraName, id: u64, picture: RgbImage) -> Self {
        Self {
            camera,
            id,
            captured_at: SystemTime::now(),
            received: Instant::now(),
            pts_ns: None,
            picture: CapturedPicture::Packed(picture),
        }
    }

    /// Width in pixels.
    pub fn width_px(&self) -> u32 {
        self.picture.width_px()
    }

    /// Height in pixels.
    pub fn height_px(&self) -> u32 {
        self.picture.height_px()
    }

    /// The pixels: NV12, I420 or RGB. An error if the buffer is not laid out as its caps say.
    pub fn view(&self) -> Result<ImageView<'_>, PipelineError> {
        self.picture.view().map_err(|reason| PipelineError::Picture {
            camera: self.camera.clone(),
            frame_id: self.id,
            reason,
        })
    }
}
