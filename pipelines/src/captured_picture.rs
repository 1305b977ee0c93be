use belvedere_kernels::{ImageView, Plane, RgbImage};
use gstreamer_video::prelude::*;
use gstreamer_video::video_frame::Readable;
use gstreamer_video::{VideoFormat, VideoFrame};

use crate::colorimetry::colorimetry;

/// The pixels of a frame, where the decoder put them.
#[derive(Debug)]
pub(crate) enum CapturedPicture {
    /// A mapped buffer of GStreamer's. It goes back to its pool when the frame is dropped.
    Mapped(Box<VideoFrame<Readable>>),
    /// A picture in memory of ours.
    Packed(RgbImage),
}

impl CapturedPicture {
    pub(crate) fn width_px(&self) -> u32 {
        match self {
            Self::Mapped(frame) => frame.info().width(),
            Self::Packed(image) => image.width,
        }
    }

    pub(crate) fn height_px(&self) -> u32 {
        match self {
            Self::Mapped(frame) => frame.info().height(),
            Self::Packed(image) => image.height,
        }
    }

    /// The picture with the strides of its `GstVideoMeta` and the colorimetry of its caps.
    pub(crate) fn view(&self) -> Result<ImageView<'_>, String> {
        match self {
            Self::Mapped(frame) => mapped_view(frame),
            Self::Packed(image) => image.view().map_err(|error| error.to_string()),
        }
    }
}

fn mapped_view(frame: &VideoFrame<Readable>) -> Result<ImageView<'_>, String> {
    let info = frame.info();
    let (width, height) = (info.width(), info.height());
    let plane = |index: u32| -> Result<Plane<'_>, String> {
        let bytes = frame.plane_data(index).map_err(|error| error.to_string())?;
        let stride = frame.plane_stride().get(index as usize).copied().unwrap_or(0);
        let stride = usize::try_from(stride).map_err(|_| format!("plane {index} runs bottom up"))?;
        Ok(Plane { bytes, stride })
    };
    let colorimetry = colorimetry(&info.colorimetry(), height);
    match info.format() {
        VideoFormat::Nv12 => ImageView::nv12(width, height, plane(0)?, plane(1)?, colorimetry),
        VideoFormat::I420 => ImageView::i420(width, height, plane(0)?, plane(1)?, plane(2)?, colorimetry),
        VideoFormat::Rgb => ImageView::rgb8(width, height, plane(0)?),
        other => return Err(format!("format {other} is none of NV12, I420, RGB")),
    }
    .map_err(|error| error.to_string())
}
