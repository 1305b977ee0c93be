use crate::{FailureKind, StreamFailure};

/// What video a source has shown so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct VideoFound {
    taken: bool,
    unsupported: Option<String>,
}

impl VideoFound {
    /// Whether a video of this codec is to be taken: the first that can be decoded is.
    pub(super) fn note(&mut self, known: bool, name: &str) -> bool {
        if !known {
            // From the network: shown short.
            self.unsupported.get_or_insert_with(|| name.chars().take(40).collect());
            return false;
        }
        !std::mem::replace(&mut self.taken, true)
    }

    /// A video is decoded, however it was found.
    pub(super) fn taken(&mut self) {
        self.taken = true;
    }

    /// Why there will be no picture, when all streams are known.
    pub(super) fn failure(&self) -> Option<StreamFailure> {
        match (&self.unsupported, self.taken) {
            (_, true) => None,
            (Some(name), _) => Some(StreamFailure::with_detail(FailureKind::UnsupportedCodec, name.as_str())),
            (None, _) => Some(StreamFailure::new(FailureKind::NoVideo)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_video_that_can_be_decoded_is_taken_and_no_other() {
        let mut found = VideoFound::default();
        assert!(!found.note(false, "VP8"));
        assert!(found.note(true, "H264"));
        assert!(!found.note(true, "H265"));
        assert_eq!(found.failure(), None);
    }

    #[test]
    fn no_video_and_no_known_video_are_two_failures() {
        let mut found = VideoFound::default();
        assert_eq!(found.failure().unwrap().kind, FailureKind::NoVideo);
        found.note(false, "VP8");
        assert_eq!(found.failure().unwrap().to_string(), "unsupported codec (VP8)");
    }
}
