//! Why a command failed.

use belvedere_models::ModelError;
use belvedere_pipelines::PipelineError;

use super::CalibrateError;
use crate::analyst::AnalysisError;
use crate::broker::BrokerError;
use crate::config::Problems;
use crate::exit::Exit;
use crate::hub::HubError;
use crate::mqtt::MqttError;
use crate::mqtt::spool::SpoolError;
use crate::picture::PictureError;
use crate::watch::WatchError;

/// Why a command failed. What it was about stands in the cause.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The configuration has mistakes.
    #[error("{0}")]
    Config(#[from] Problems),
    /// The daemon cannot start, or ended.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// The model has no answer.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    /// An image file is wrong.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A stream is wrong.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The embedded broker does not run.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The way to the broker is wrong.
    #[error(transparent)]
    Mqtt(#[from] MqttError),
    /// The messages that must not be lost cannot be kept.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// A phrase was not calibrated.
    #[error(transparent)]
    Calibrate(#[from] CalibrateError),
    /// A checkpoint was not fetched.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// A checkpoint was not fetched, and there is another way.
    #[error("{error}\n{advice}")]
    Advised {
        /// What went wrong.
        error: HubError,
        /// How to do without.
        advice: String,
    },
    /// The system refuses something.
    #[error("{doing}: {reason}")]
    System {
        /// What was being done, with the file's name where there is one.
        doing: String,
        /// The system's words.
        #[source]
        reason: std::io::Error,
    },
    /// An option contradicts another or the model.
    #[error("{0}")]
    Usage(String),
    /// What was promised did not come.
    #[error("{0}")]
    Missed(String),
}

impl CommandError {
    /// For `map_err`: what was being done when the system refused.
    pub(crate) fn system(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> CommandError {
        let doing = doing.into();
        move |reason| CommandError::System { doing, reason }
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            CommandError::Config(_) | CommandError::Mqtt(_) => Exit::Configuration,
            CommandError::Watch(
                WatchError::Mqtt(_) | WatchError::Question { .. } | WatchError::Phrase { .. },
            ) => Exit::Configuration,
            CommandError::Watch(error) if error.is_unavailable() => Exit::Unavailable,
            CommandError::Analysis(error) if error.is_unavailable() => Exit::Unavailable,
            CommandError::Pipeline(PipelineError::GStreamer { .. }) => Exit::Unavailable,
            CommandError::Usage(_) => Exit::Usage,
            _ => Exit::Failed,
        }
    }

    /// What is to be shown: the mistakes of a configuration as they are, else one line.
    pub fn lines(&self) -> Vec<String> {
        match self {
            CommandError::Config(problems) => problems.iter().map(ToString::to_string).collect(),
            error => vec![format!("belvedere: {error}")],
        }
    }
}

impl From<ModelError> for CommandError {
    fn from(error: ModelError) -> CommandError {
        AnalysisError::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_restart_mends_is_the_configurations_fault_and_what_may_come_back_is_not() {
        let reason = || Box::new(AnalysisError::Model(ModelError::Cancelled));
        let phrase = WatchError::Phrase { camera: "porch".into(), phrase: "a dog".into(), reason: reason() };
        let question = WatchError::Question { camera: "porch".into(), task: "ocr", reason: reason() };
        for error in [phrase, question] {
            assert_eq!(CommandError::from(error).exit(), Exit::Configuration);
        }
        // The folder may be on a disk that is mounted late.
        let model = WatchError::Model(AnalysisError::Model(ModelError::Cancelled));
        assert_eq!(CommandError::from(model).exit(), Exit::Failed);
        assert_eq!(CommandError::Usage("--phrase".into()).exit().code(), 2);
    }
}
