//! Why a connection ended.

use std::fmt;

use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::ProtocolError;

use crate::http::printable;

use super::client::WATCHDOG;

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// No websocket but a status.
    Status(u16, String),
    /// The connection failed or broke.
    Lost(String),
    /// The host announced the end.
    Closed(String),
    /// A message that no connection survives.
    Poison(String),
    /// The host's dictionary is not ours.
    Dictionary(String),
    /// Nothing came, not even a ping.
    Silent,
    /// Only pings came.
    Quiet,
    /// All events lie too far in the future.
    Ahead,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(_, text) | Self::Lost(text) | Self::Poison(text) | Self::Dictionary(text) => f.write_str(text),
            Self::Closed(text) => write!(f, "the host closed the connection: {text}"),
            Self::Silent => write!(f, "nothing came for {} s, not even a ping", WATCHDOG.silence.as_secs()),
            Self::Ahead => f.write_str(
                "the events lie more than ten minutes ahead of our clock: is the clock of this machine right?",
            ),
            Self::Quiet => write!(f, "the host pings, but no event came for {} s", WATCHDOG.quiet.as_secs()),
        }
    }
}

impl Ended {
    /// Of an error before or on a websocket.
    pub(super) fn of(error: Error) -> Self {
        match error {
            Error::Http(answer) => {
                let status = answer.status();
                let body = answer.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
                Self::Status(status.as_u16(), format!("status {status} {}", printable(&body)).trim_end().to_owned())
            }
            // The error quotes the message.
            Error::Utf8(_) => Self::Poison("a message is not UTF-8".into()),
            Error::Capacity(_) => Self::Poison("a message is longer than 4 MiB".into()),
            Error::Protocol(error)
                if !matches!(
                    error,
                    ProtocolError::ResetWithoutClosingHandshake | ProtocolError::HandshakeIncomplete
                ) =>
            {
                Self::Poison(format!("no websocket frame: {error}"))
            }
            error => Self::Lost(printable(&error.to_string())),
        }
    }
}
