//! Messages between the websocket and the intake, in bounded memory.

use std::collections::VecDeque;
use std::fmt;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{QUIET, SILENCE, printable};

/// Messages that wait, in bytes; behind that the websocket is read no further. About 10,000 posts.
const MAX_BYTES: usize = 8 << 20;
/// What a message costs beside its own bytes.
const OVERHEAD_BYTES: usize = 64;

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// No websocket but a status.
    Status(u16, String),
    /// The connection failed or broke.
    Lost(String),
    /// The host said that it ends.
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

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(_, text) | Self::Lost(text) | Self::Poison(text) | Self::Dictionary(text) => f.write_str(text),
            Self::Closed(text) => write!(f, "the host closed the connection: {text}"),
            Self::Silent => write!(f, "nothing came for {} s, not even a ping", SILENCE.as_secs()),
            Self::Ahead => f.write_str(
                "the events lie more than ten minutes ahead of our clock: is the clock of this machine right?",
            ),
            Self::Quiet => write!(f, "the host pings, but no event came for {} s", QUIET.as_secs()),
        }
    }
}

/// One message.
#[derive(Clone, Debug)]
pub(super) enum Packed {
    Text(Bytes),
    Zstd(Bytes),
}

impl Packed {
    pub(super) fn len(&self) -> usize {
        let (Self::Text(bytes) | Self::Zstd(bytes)) = self;
        bytes.len() + OVERHEAD_BYTES
    }
}

pub(super) struct Inbox {
    messages: VecDeque<Packed>,
    bytes: usize,
    /// Behind the last message.
    end: Option<End>,
    is_poison_told: bool,
    last_frame: Instant,
    last_message: Instant,
}

impl Inbox {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            messages: VecDeque::new(),
            bytes: 0,
            end: None,
            is_poison_told: false,
            last_frame: now,
            last_message: now,
        }
    }

    /// Takes what the websocket gave.
    pub(super) fn take(&mut self, frame: Option<Result<Message, Error>>) {
        self.last_frame = Instant::now();
        let message = match frame {
            Some(Ok(Message::Text(text))) => Packed::Text(text.into()),
            Some(Ok(Message::Binary(bytes))) => Packed::Zstd(bytes),
            Some(Ok(Message::Close(close))) => {
                let told = close.map(|close| format!("{} {}", u16::from(close.code), printable(&close.reason)));
                self.end = Some(End::Closed(told.unwrap_or_else(|| "without a reason".into())));
                return;
            }
            Some(Ok(_)) => return,
            Some(Err(error)) => {
                self.end = Some(End::of(error));
                return;
            }
            None => {
                self.end.get_or_insert_with(|| End::Lost("the connection ended".into()));
                return;
            }
        };
        self.last_message = self.last_frame;
        self.bytes += message.len();
        self.messages.push_back(message);
    }

    pub(super) fn next(&mut self) -> Option<Packed> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.len();
        Some(message)
    }

    /// Whether there is nothing to hand on, neither a message nor one that broke the connection.
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty() && (self.is_poison_told || !matches!(self.end, Some(End::Poison(_))))
    }

    /// Whether the connection may give more.
    pub(super) fn is_open(&self) -> bool {
        self.end.is_none()
    }

    pub(super) fn has_room(&self) -> bool {
        self.bytes < MAX_BYTES
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Why there is nothing more, once all messages are taken.
    pub(super) fn take_end(&mut self) -> Option<End> {
        self.end.take()
    }

    /// What is told of the message that broke the connection, once, behind all others.
    pub(super) fn take_poison(&mut self) -> Option<String> {
        match &self.end {
            Some(End::Poison(what)) if self.messages.is_empty() && !self.is_poison_told => {
                self.is_poison_told = true;
                Some(what.clone())
            }
            _ => None,
        }
    }

    /// When the connection counts as dead if nothing comes before.
    pub(super) fn deadline(&self) -> Instant {
        (self.last_frame + SILENCE).min(self.last_message + QUIET)
    }

    /// Why it is dead.
    pub(super) fn dead(&self) -> End {
        if self.last_frame.elapsed() >= SILENCE { End::Silent } else { End::Quiet }
    }
}
