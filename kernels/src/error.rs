//! What can be wrong with a picture, a preprocessing specification, or the arguments of a kernel.

use std::fmt;

/// Which plane of a picture an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaneName {
    /// The only plane of a packed RGB picture.
    Rgb,
    /// Luma.
    Y,
    /// Interleaved chroma of NV12.
    Uv,
    /// First chroma plane of I420.
    U,
    /// Second chroma plane of I420.
    V,
}

impl fmt::Display for PlaneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PlaneName::Rgb => "RGB",
            PlaneName::Y => "Y",
            PlaneName::Uv => "UV",
            PlaneName::U => "U",
            PlaneName::V => "V",
        })
    }
}

/// A picture, a specification or an argument that this crate refuses. Nothing was computed when one is returned.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum KernelError {
    /// A picture without a single pixel.
    #[error("the picture is {width}x{height} pixels: both sides must be at least 1")]
    EmptyPicture {
        /// Width as given, in pixels.
        width: u32,
        /// Height as given, in pixels.
        height: u32,
    },
    /// The rows of a plane would overlap.
    #[error(
        "the {plane} plane of a {width}x{height} picture has a stride of {got} bytes, a row needs {needed}"
    )]
    StrideTooSmall {
        /// The plane.
        plane: PlaneName,
        /// Width of the picture in pixels.
        width: u32,
        /// Height of the picture in pixels.
        height: u32,
        /// Bytes of pixels in one row.
        needed: usize,
        /// Bytes from row to row as given.
        got: usize,
    },
    /// A plane ends before its last pixel.
    #[error(
        "the {plane} plane of a {width}x{height} picture is {got} bytes, needs {needed} at a stride of {stride}"
    )]
    PlaneTooSmall {
        /// The plane.
        plane: PlaneName,
        /// Width of the picture in pixels.
        width: u32,
        /// Height of the picture in pixels.
        height: u32,
        /// Bytes from row to row.
        stride: usize,
        /// Bytes up to and with the last pixel.
        needed: usize,
        /// Bytes as given.
        got: usize,
    },
    /// A plane whose size in bytes does not fit this machine's addresses.
    #[error(
        "the {plane} plane of a {width}x{height} picture at a stride of {stride} bytes is too large to address"
    )]
    PlaneTooLarge {
        /// The plane.
        plane: PlaneName,
        /// Width of the picture in pixels.
        width: u32,
        /// Height of the picture in pixels.
        height: u32,
        /// Bytes from row to row.
        stride: usize,
    },
    /// The model's input size is zero or beyond [`PreprocessSpec::MAX_SIDE_PX`](crate::PreprocessSpec::MAX_SIDE_PX).
    #[error("the model input is {width}x{height} pixels: both sides must be 1 to {max}")]
    TargetSize {
        /// Width asked for, in pixels.
        width: u32,
        /// Height asked for, in pixels.
        height: u32,
        /// The largest side accepted, in pixels.
        max: u32,
    },
    /// A rescale factor, mean or standard deviation that cannot give finite pixel values.
    #[error("preprocessing has {field} = {value}: {why}")]
    Normalisation {
        /// The field, with the channel's index where it has one.
        field: &'static str,
        /// Its value.
        value: f64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Memory that is too small for what a kernel is to do with it, or begins between two elements.
    #[error("{kernel}: {argument} is {got} bytes at {at:#x}, needs {}", .needed.map_or("more than can be addressed".into(), |bytes| format!("{bytes}, aligned")))]
    Slice {
        /// The kernel.
        kernel: &'static str,
        /// Its argument.
        argument: &'static str,
        /// Bytes needed; `None`: more than can be addressed.
        needed: Option<usize>,
        /// Bytes as given.
        got: usize,
        /// Address of the first, as given.
        at: u64,
    },
    /// A number that a kernel cannot take.
    #[error("{kernel}: {argument} is {got}, must be 1 to {most}")]
    Count {
        /// The kernel.
        kernel: &'static str,
        /// Its argument.
        argument: &'static str,
        /// As given.
        got: usize,
        /// The largest that it takes.
        most: u32,
    },
    /// A device that cannot do what was asked of it.
    #[error(transparent)]
    Device(#[from] crate::device::DeviceError),
    /// A part of memory that is not inside it.
    #[error("memory that was planned too small: {0}")]
    Plan(#[from] crate::device::SliceError),
    /// Rows that do not make whole groups.
    #[error("{kernel}: {rows} rows in groups of {group}")]
    Groups {
        /// The kernel.
        kernel: &'static str,
        /// Rows as given.
        rows: usize,
        /// Rows of a group as given.
        group: u32,
    },
    /// A ring whose entries would not follow each other where the count of steps begins again.
    #[error("next_token: a ring of {got} steps; must be a power of two")]
    RingSteps {
        /// As given.
        got: u32,
    },
}
