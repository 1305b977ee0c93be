//! What both are shown.

use belvedere_kernels::RgbImage;

use super::drawn;

/// Pictures, and where they come from.
pub(super) struct Pictures {
    pub(super) all: Vec<RgbImage>,
    pub(super) origin: &'static str,
}

impl Pictures {
    /// Some of the bundled film; where that cannot be decoded, drawn ones.
    pub(super) fn take() -> Pictures {
        #[cfg(feature = "demo")]
        match of_the_film() {
            Ok(all) => return Pictures { all, origin: "four of the bundled film" },
            Err(reason) => tracing::warn!(reason, "the bundled film cannot be decoded"),
        }
        Pictures { all: drawn::pictures(), origin: "drawn: circles and stripes" }
    }
}

#[cfg(feature = "demo")]
fn of_the_film() -> Result<Vec<RgbImage>, String> {
    use crate::film::Film;

    /// Seconds into the film: different things are to be seen.
    const AT_S: [u64; 4] = [2, 12, 22, 32];
    belvedere_pipelines::start_gstreamer().map_err(|error| error.to_string())?;
    Film::open()?.decoded(&AT_S.map(std::time::Duration::from_secs))
}
