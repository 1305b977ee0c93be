use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::{CameraName, Credentials, DecoderChoice, PipelineError, Redactor, SourceUrl};

/// All there is to know to open a camera's stream and to keep it open.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceSpec {
    /// The camera.
    pub camera: CameraName,
    /// Where its pictures come from.
    pub url: SourceUrl,
    /// User and password; where `None`, those of the URL, if it had any.
    pub credentials: Option<Credentials>,
    /// How RTP travels; only rtsp and rtsps look at it.
    pub transport: Transport,
    /// Which decoder to use.
    pub decoder: DecoderChoice,
    /// Frames per second let through to the slot, at most; above 0, up to 240. All frames are decoded.
    pub fps: f64,
    /// What to do when a file ends.
    pub at_end: AtEnd,
    /// Take an rtsps server's certificate as it is. Most cameras can only sign their own.
    pub trust_any_certificate: bool,
    /// How long things may take.
    pub timeouts: Timeouts,
}

impl SourceSpec {
    /// A specification with the defaults: 2 frames per second, automatic transport and decoder, the end of
    /// a file is the end.
    pub fn new(camera: CameraName, url: SourceUrl) -> Self {
        Self {
            camera,
            url,
            credentials: None,
            transport: Transport::Auto,
            decoder: DecoderChoice::Auto,
            fps: 2.0,
            at_end: AtEnd::Stop,
            trust_any_certificate: false,
            timeouts: Timeouts::default(),
        }
    }

    /// The credentials to use: those given, else those of the URL.
    pub fn effective_credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref().or(self.url.credentials())
    }

    /// Checks the numbers.
    pub fn validate(&self) -> Result<(), PipelineError> {
        let wrong = |setting, value: String, wanted| {
            Err(PipelineError::Setting { camera: self.camera.clone(), setting, value, wanted })
        };
        if !(self.fps > 0.0 && self.fps <= 240.0) {
            return wrong("fps", self.fps.to_string(), "above 0 and at most 240");
        }
        let Timeouts { first_frame, no_frame, state_change, backoff_first, backoff_longest, .. } =
            self.timeouts;
        let positive = [
            ("first_frame", first_frame),
            ("no_frame", no_frame),
            ("state_change", state_change),
            ("backoff_first", backoff_first),
        ];
        for (setting, time) in positive {
            if time.is_zero() {
                return wrong(setting, "0".to_owned(), "longer than nothing");
            }
        }
        if backoff_longest < backoff_first {
            return wrong("backoff_longest", format!("{backoff_longest:?}"), "at least backoff_first");
        }
        Ok(())
    }

    /// Tells `redactor` every secret of this specification.
    pub(crate) fn add_secrets_to(&self, redactor: &Redactor) {
        for credentials in [self.credentials.as_ref(), self.url.credentials()].into_iter().flatten() {
            redactor.add_credentials(credentials);
        }
        for secret in self.url.query_secrets() {
            redactor.add_secret(&secret);
        }
    }
}

/// How RTP packets travel from an RTSP camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// UDP first; TCP if the camera refuses UDP or nothing arrives within [`Timeouts::udp_silence`]. A camera
    /// that had to take TCP keeps to it.
    #[default]
    Auto,
    /// Interleaved in the RTSP connection: nothing is lost, a firewall is no matter.
    Tcp,
    /// UDP only.
    Udp,
}

impl FromStr for Transport {
    type Err = PipelineError;

    fn from_str(word: &str) -> Result<Self, PipelineError> {
        match word {
            "auto" => Ok(Self::Auto),
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            _ => Err(PipelineError::UnknownWord {
                what: "transport",
                value: word.to_owned(),
                known: "auto, tcp, udp".to_owned(),
            }),
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// What the end of a file means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AtEnd {
    /// The camera is offline from then on and its supervision ends.
    #[default]
    Stop,
    /// The file begins again. For a live source the end of the stream is a failure in either case.
    Loop,
}

/// How long things may take before the supervision acts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timeouts {
    /// From the start of a pipeline to its first frame. Default 20 s: a camera may send a key frame only
    /// every 10 s.
    pub first_frame: Duration,
    /// Between two decoded frames. Default 10 s.
    pub no_frame: Duration,
    /// For a pipeline's state change, after which the pipeline is left behind. Default 5 s.
    pub state_change: Duration,
    /// For a TCP connection or an RTSP answer. Default 5 s. GStreamer rounds it up to whole seconds.
    pub rtsp_answer: Duration,
    /// Without a UDP packet before [`Transport::Auto`] takes TCP. Default 3 s.
    pub udp_silence: Duration,
    /// How long an online camera may be without its stream before it is said to be offline. Default 5 s.
    pub offline_after: Duration,
    /// The first wait between two tries. Default 1 s; doubles up to `backoff_longest`, half of it jitter.
    pub backoff_first: Duration,
    /// The longest wait between two tries. Default 30 s.
    pub backoff_longest: Duration,
    /// How long a stream has to last for the waits to begin at the first again. Default 60 s.
    pub stable_after: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            first_frame: Duration::from_secs(20),
            no_frame: Duration::from_secs(10),
            state_change: Duration::from_secs(5),
            rtsp_answer: Duration::from_secs(5),
            udp_silence: Duration::from_secs(3),
            offline_after: Duration::from_secs(5),
            backoff_first: Duration::from_secs(1),
            backoff_longest: Duration::from_secs(30),
            stable_after: Duration::from_secs(60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> SourceSpec {
        SourceSpec::new(CameraName::new("a").unwrap(), SourceUrl::parse("test://bars").unwrap())
    }

    #[test]
    fn a_frame_rate_of_nothing_is_refused_with_the_camera_and_the_setting() {
        for fps in [0.0, -1.0, f64::NAN, f64::INFINITY, 1000.0] {
            let error = SourceSpec { fps, ..spec() }.validate().unwrap_err();
            assert!(error.to_string().starts_with("camera a: fps is "), "{error}");
        }
        assert_eq!(spec().validate(), Ok(()));
    }

    #[test]
    fn credentials_given_beside_the_url_come_before_those_in_it() {
        let mut spec = spec();
        spec.url = SourceUrl::parse("rtsp://u:p@host/").unwrap();
        assert_eq!(spec.effective_credentials(), Some(&Credentials::new("u", "p")));
        spec.credentials = Some(Credentials::new("v", "q"));
        assert_eq!(spec.effective_credentials(), Some(&Credentials::new("v", "q")));
        let shown = format!("{spec:?}");
        assert!(!shown.contains("u:p") && !shown.contains("\"q\""), "{shown}");
    }
}
