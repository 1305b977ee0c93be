//! What ended a connection, or kept one from being made.

use rumqttc::{ConnectReturnCode, ConnectionError, StateError, mqttbytes};

/// In words that a user can act on.
pub(super) fn reason(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ConnectionRefused(ConnectReturnCode::BadUserNamePassword) => {
            "it refuses the user name or password".to_owned()
        }
        ConnectionError::ConnectionRefused(ConnectReturnCode::NotAuthorized) => {
            "not authorised: it refuses the user name or password, or wants one".to_owned()
        }
        ConnectionError::ConnectionRefused(ConnectReturnCode::BadClientId) => {
            "it refuses mqtt.client_id".to_owned()
        }
        ConnectionError::ConnectionRefused(code) => format!("it refuses the connection ({code:?})"),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => {
            "it does not answer in time".to_owned()
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => "it does not answer in time".to_owned(),
        ConnectionError::MqttState(StateError::ConnectionAborted) => "it closed the connection".to_owned(),
        error if is_too_large(error) => "it passed on a message that is larger than is taken".to_owned(),
        ConnectionError::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// Whether the other side ended the connection, as far as can be seen from here: a time that ran out has more
/// causes than what was sent.
pub(super) fn is_cut(error: &ConnectionError) -> bool {
    !is_too_large(error)
        && matches!(error, ConnectionError::Io(_) | ConnectionError::MqttState(_))
        && !matches!(
            error,
            ConnectionError::MqttState(StateError::AwaitPingResp | StateError::CollisionTimeout)
        )
}

/// Whether a message that came was larger than the limit: the connection is lost with it.
pub(super) fn is_too_large(error: &ConnectionError) -> bool {
    matches!(
        error,
        ConnectionError::MqttState(StateError::Deserialization(mqttbytes::Error::PayloadSizeLimitExceeded(
            _
        )))
    )
}
