//! Bluesky, by way of Jetstream: a public websocket without login, first wire (`/subscribe`).
//!
//! The stream has no places, so regions find posts by keyword, hashtag and language.
//!
//! A place in the stream is a time in microseconds by the servers' clocks, the same at every host, so
//! another host can go on where one has stopped. Each connection begins a few seconds before the
//! last event; what comes again is dropped by the streamer. The hosts keep the stream for about 36
//! hours; what a source missed beyond that is a gap, and told.
//!
//! Hosts of the second kind (`jetstream.us-east.bsky.network` and other names without a number) speak
//! this wire, too, but begin up to an hour before a young cursor, without notice (issue 343 of
//! bluesky-social/jetstream). Such events are recognized by their time and dropped before they are read:
//! they were received before. They are counted beside the ledger, which has counted them already.

mod dial;
mod inbox;
mod message;

use std::fmt::Write;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use birdsong_domain::post::AuthorKey;
use birdsong_domain::time::is_future;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use zstd::bulk::Decompressor;
use zstd::zstd_safe::{get_dict_id_from_dict, get_dict_id_from_frame};

use crate::archive::{is_too_deep, json};
use crate::http::{Backoff, printable};
use crate::live::{Change, Clock, Intake, Resume, SourceError};
use dial::Host;
use inbox::{End, Inbox, Packed};

pub use dial::{Dial, Tcp};
pub use message::{Event, MAX_MESSAGE_BYTES, MessageError, What, read_message};

/// Name of the source and of its id space.
pub const NAME: &str = "bluesky";
/// Collection of posts.
pub const POST: &str = "app.bsky.feed.post";
/// Collection of reposts.
pub const REPOST: &str = "app.bsky.feed.repost";
/// The public hosts.
pub const HOSTS: [&str; 4] = [
    "wss://jetstream1.us-east.bsky.network",
    "wss://jetstream2.us-east.bsky.network",
    "wss://jetstream1.us-west.bsky.network",
    "wss://jetstream2.us-west.bsky.network",
];

/// All hosts keep the stream for this long at least, in milliseconds.
pub const REACH_MS: i64 = 24 * 3_600_000;

/// Longest time until a websocket is open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Without any frame for this long a connection is dead. The hosts ping every 30 s, so it is a little
/// more: a host without events must not look dead just before each ping.
const SILENCE: Duration = Duration::from_secs(35);
/// Pings but no events for this long: the host has lost its own source.
const QUIET: Duration = Duration::from_secs(120);
/// First and longest wait before the next try; those of the vendor's own client.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// A connection that lasted this long was a good one.
const GOOD_SPELL: Duration = Duration::from_secs(60);
/// How far each connection goes back, in microseconds: the hosts' clocks differ a little, and events
/// are ordered by author only.
const REWIND_US: i64 = 5_000_000;
/// The event where the last connection stopped comes again at the begin of the next one; when the
/// first event lies this far behind it, in microseconds, the host has lost what was between.
const GAP_US: i64 = 60_000_000;
/// A host all of whose last events, so many of them, lie too far ahead of our clock is left: its clock or
/// ours is wrong, and the next connection begins where this one did.
const AHEAD_EVENTS: u32 = 100;
/// A message that breaks the connection each time is passed over after this many times.
const STUCK_AFTER: u32 = 3;
/// Messages of about this many bytes are handed on together.
const CHUNK_BYTES: usize = 512 << 10;
/// Most collections that a host takes.
const MAX_COLLECTIONS: usize = 100;

/// What to ask of whom.
#[derive(Clone, Debug)]
pub struct Options {
    /// Addresses such as `wss://host`; the next one is taken when one fails twice in a row.
    pub hosts: Vec<String>,
    /// Collections whose commits are asked for. Only [`POST`] and [`REPOST`] count as posts.
    pub collections: Vec<String>,
    /// The zstd dictionary of the hosts, which makes messages less than half as long.
    pub dictionary: Option<Vec<u8>>,
}

impl Default for Options {
    /// Posts and reposts from the public hosts, uncompressed.
    fn default() -> Self {
        Self {
            hosts: HOSTS.map(str::to_owned).to_vec(),
            collections: [POST, REPOST].map(str::to_owned).to_vec(),
            dictionary: None,
        }
    }
}

/// A Jetstream client.
pub struct Bluesky<D> {
    hosts: Vec<Host>,
    /// Path and query without the cursor.
    path: String,
    dictionary: Option<Vec<u8>>,
    dial: D,
    tls: Arc<rustls::ClientConfig>,
    key: AuthorKey,
    clock: Clock,
    jitter: fn() -> f64,
}

impl<D: Dial> Bluesky<D> {
    /// A client that hashes authors with `key`. `jitter` gives a number from 0 to 1, anew at each call.
    ///
    /// # Errors
    /// When the options cannot be used.
    pub fn new(
        options: Options,
        dial: D,
        key: AuthorKey,
        clock: Clock,
        jitter: fn() -> f64,
    ) -> Result<Self, SourceError> {
        let bad = |text: String| Err(SourceError::Config(text));
        let mut hosts = vec![];
        for address in &options.hosts {
            let Some(host) = Host::parse(address) else {
                return bad(format!(
                    "{address} is no Jetstream host; write it as wss://jetstream1.us-east.bsky.network"
                ));
            };
            hosts.push(host);
        }
        if hosts.is_empty() {
            return bad("no Jetstream host is given".into());
        }
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'*'))
        };
        if let Some(name) = options.collections.iter().find(|name| !is_name(name)) {
            return bad(format!("{name:?} is no collection; write it as {POST}"));
        }
        if options.collections.is_empty() || options.collections.len() > MAX_COLLECTIONS {
            return bad(format!("a host takes 1 to {MAX_COLLECTIONS} collections, not {}", options.collections.len()));
        }
        if options.dictionary.as_ref().is_some_and(|bytes| get_dict_id_from_dict(bytes).is_none()) {
            return bad("the file of the Bluesky dictionary is no zstd dictionary".into());
        }
        let mut path = String::from("/subscribe?");
        for (n, name) in options.collections.iter().enumerate() {
            let _ = write!(path, "{}wantedCollections={name}", if n == 0 { "" } else { "&" });
        }
        if options.dictionary.is_some() {
            path.push_str("&compress=true");
        }
        let tls = dial::tls().map_err(|error| SourceError::Config(format!("TLS cannot be set up: {error}")))?;
        Ok(Self { hosts, path, dictionary: options.dictionary, dial, tls, key, clock, jitter })
    }

    /// Streams for ever, from `resume` on, which [`Intake::flush`] was told, or from now on.
    ///
    /// The intake may take its time: up to 8 MiB of messages are read ahead meanwhile, which keeps the
    /// connection alive for minutes. When that is full, the host will close the connection, and the
    /// next one begins where the intake is.
    pub async fn run<I: Intake>(&self, resume: Option<&str>, intake: &mut I) -> SourceError {
        let mut place = Place::default();
        if let Some(text) = resume {
            let Ok(newest_us) = text.parse() else {
                return SourceError::Config(format!("the stored resume point {text:?} is no time in microseconds"));
            };
            place.newest_us = Some(newest_us);
        }
        let mut backoff = Backoff::doubling(RETRY.0, RETRY.1);
        let (mut host, mut failures, mut bad_requests) = (0, 0, 0);
        loop {
            let began = Instant::now();
            let end = self.connection(&self.hosts[host], &mut place, intake).await;
            match &end {
                End::Dictionary(told) => {
                    return SourceError::Config(format!(
                        "the host compresses with another dictionary: {told}. Get the file from the project's \
                         repository, or leave compression off"
                    ));
                }
                End::Status(400, text) => {
                    bad_requests += 1;
                    if bad_requests >= self.hosts.len() {
                        return SourceError::Config(format!("the host does not take the request: {text}"));
                    }
                }
                _ => bad_requests = 0,
            }
            place.ended(&end);
            if began.elapsed() >= GOOD_SPELL {
                failures = 0;
                backoff.reset();
            }
            let reason = format!("{}: {end}", self.hosts[host].name);
            failures += 1;
            if failures > 1 {
                host = (host + 1) % self.hosts.len();
            }
            let retry_in = backoff.wait((self.jitter)());
            intake.change(Change::Waiting { reason, retry_in });
            intake.flush(None).await;
            sleep(retry_in).await;
        }
    }

    async fn connection<I: Intake>(&self, host: &Host, place: &mut Place, intake: &mut I) -> End {
        let now_us = self.now_us();
        let path = match place.begin(now_us) {
            Some(cursor_us) => format!("{}&cursor={cursor_us}", self.path),
            None => self.path.clone(),
        };
        let opened = timeout(CONNECT_TIMEOUT, dial::open(&self.dial, &self.tls, host, &path)).await;
        let mut ws = match opened {
            Err(_) => return End::Lost("no answer within 15 s".into()),
            Ok(Err(error)) => {
                return match End::of(error) {
                    End::Poison(text) => End::Lost(text),
                    end => end,
                };
            }
            Ok(Ok(ws)) => ws,
        };
        let mut unpack = match self.dictionary.as_deref().map(Unpack::new).transpose() {
            Ok(unpack) => unpack,
            Err(error) => return End::Lost(format!("zstd: {error}")),
        };
        intake.change(Change::Connected);
        let mut inbox = Inbox::new(Instant::now());
        let mut resume = None;
        loop {
            {
                let mut flush = pin!(intake.flush(resume));
                loop {
                    tokio::select! {
                        biased;
                        () = &mut flush => break,
                        // Reading also answers pings.
                        frame = ws.next(), if inbox.is_open() && inbox.has_room() => inbox.take(frame),
                    }
                }
            }
            if let Err(end) = next_chunk(&mut ws, &mut inbox).await {
                return end;
            }
            match self.hand_on(&mut inbox, &mut unpack, place, intake) {
                Ok(()) => resume = place.resume(self.now_us()),
                Err(end) => return end,
            }
        }
    }

    /// Reads the messages that wait, up to a chunk.
    fn hand_on<I: Intake>(
        &self,
        inbox: &mut Inbox,
        unpack: &mut Option<Unpack>,
        place: &mut Place,
        intake: &mut I,
    ) -> Result<(), End> {
        let (now_us, mut taken) = (self.now_us(), 0);
        while taken < CHUNK_BYTES
            && let Some(message) = inbox.next()
        {
            taken += message.len();
            let bytes = match &message {
                Packed::Text(bytes) => &**bytes,
                Packed::Zstd(packed) => {
                    let Some(unpack) = unpack.as_mut() else {
                        intake.unreadable("a binary message, although compression was not asked for".into(), packed);
                        continue;
                    };
                    self.check_dictionary(packed)?;
                    match unpack.message(packed) {
                        Ok(bytes) => bytes,
                        Err(error) => {
                            intake.unreadable(format!("zstd: {error}"), packed);
                            continue;
                        }
                    }
                }
            };
            if place.is_old(bytes, now_us) {
                continue;
            }
            match read_message(bytes, &self.key, &mut |post| intake.post(post)) {
                Ok(event) => {
                    if event.what != What::Post {
                        intake.notice();
                    }
                    if event.time_us.is_some_and(|time_us| is_future(time_us.div_euclid(1000), now_us / 1000)) {
                        // No place in the stream: as a cursor it would skip what is still to come.
                        place.ahead += 1;
                        if place.ahead >= AHEAD_EVENTS {
                            return Err(End::Ahead);
                        }
                        continue;
                    }
                    place.ahead = 0;
                    if let Some(gap) = event.time_us.and_then(|time_us| place.saw(time_us, now_us)) {
                        intake.change(gap);
                    }
                }
                Err(error) => intake.unreadable(error.to_string(), bytes),
            }
        }
        if let Some(what) = inbox.take_poison()
            && place.is_new_poison()
        {
            intake.unreadable(what, b"");
        }
        let events = std::mem::take(&mut place.replayed);
        if events > 0 {
            intake.change(Change::Replayed { events });
        }
        Ok(())
    }

    fn check_dictionary(&self, packed: &Bytes) -> Result<(), End> {
        let ours = self.dictionary.as_deref().and_then(get_dict_id_from_dict);
        match get_dict_id_from_frame(packed) {
            Some(theirs) if Some(theirs) != ours => {
                Err(End::Dictionary(format!("{theirs}, not {}", ours.map_or(0, u32::from))))
            }
            _ => Ok(()),
        }
    }

    fn now_us(&self) -> i64 {
        (self.clock)().saturating_mul(1000)
    }
}

/// Unpacks messages into one buffer.
struct Unpack {
    zstd: Decompressor<'static>,
    buffer: Vec<u8>,
}

impl Unpack {
    fn new(dictionary: &[u8]) -> std::io::Result<Self> {
        let buffer = Vec::with_capacity(MAX_MESSAGE_BYTES);
        Ok(Self { zstd: Decompressor::with_dictionary(dictionary)?, buffer })
    }

    /// Fails when the message does not fit the buffer.
    fn message(&mut self, packed: &[u8]) -> std::io::Result<&[u8]> {
        self.buffer.clear();
        self.zstd.decompress_to_buffer(packed, &mut self.buffer)?;
        Ok(&self.buffer)
    }
}

/// Waits until there is something to hand on, and takes what is there already, up to a chunk.
async fn next_chunk<S>(ws: &mut WebSocketStream<S>, inbox: &mut Inbox) -> Result<(), End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while inbox.is_empty() {
        if let Some(end) = inbox.take_end() {
            return Err(end);
        }
        match timeout_at(inbox.deadline(), ws.next()).await {
            Ok(frame) => inbox.take(frame),
            Err(_) => return Err(inbox.dead()),
        }
    }
    while inbox.is_open()
        && inbox.bytes() < CHUNK_BYTES
        && let Some(frame) = ws.next().now_or_never()
    {
        inbox.take(frame);
    }
    Ok(())
}

/// Where the stream stands. Times are in microseconds.
#[derive(Debug, Default)]
struct Place {
    /// Newest event that was handed on, but never later than our own clock: a host that is ahead must
    /// not make us skip, as a cursor in the future means "from now on".
    newest_us: Option<i64>,
    /// On this connection.
    last_us: Option<i64>,
    /// How far behind `newest_us` the connection's first event may be without a gap; `None` behind it.
    tolerance_us: Option<i64>,
    /// What happened before this was received before the connection began; `None` when the host has come
    /// up to it.
    old_before_us: Option<i64>,
    /// Such events that came once more and are not reported yet.
    replayed: u64,
    /// The last so many events lay too far in the future.
    ahead: u32,
    /// Event before the message that broke the last connection, and how often it did so there.
    poison: Option<(Option<i64>, u32)>,
}

/// As much of a message as it takes to see when it happened.
#[derive(Deserialize)]
struct Seen {
    time_us: Option<i64>,
}

impl Place {
    /// A connection begins: its cursor.
    fn begin(&mut self, now_us: i64) -> Option<i64> {
        (self.last_us, self.old_before_us, self.ahead) = (None, None, 0);
        let cursor_us = self.cursor(now_us)?;
        // The hosts' clocks differ a little.
        self.old_before_us = Some(cursor_us.saturating_sub(REWIND_US));
        Some(cursor_us)
    }

    fn cursor(&mut self, now_us: i64) -> Option<i64> {
        let newest_us = self.newest_us?;
        if let Some((Some(before_us), times)) = self.poison
            && times >= STUCK_AFTER
        {
            self.tolerance_us = Some(0);
            let step_us = 1_000_000 << (times - STUCK_AFTER).min(12);
            return Some((before_us + step_us).min(now_us));
        }
        self.tolerance_us = Some(GAP_US);
        // A clock that is behind must not have us read hours again.
        Some((newest_us - REWIND_US).max(0))
    }

    /// Whether this message is one from before the cursor that was asked for. Looked at only until the
    /// host has come up to the cursor, so that it costs nothing later.
    fn is_old(&mut self, message: &[u8], now_us: i64) -> bool {
        let Some(before_us) = self.old_before_us else { return false };
        // What cannot be read here is reported as unreadable later.
        if message.len() > MAX_MESSAGE_BYTES || is_too_deep(message) {
            return false;
        }
        let Some(time_us) = json::read_exact::<Seen>(message).ok().and_then(|seen| seen.time_us) else { return false };
        if time_us < before_us {
            self.last_us = Some(time_us);
            self.replayed += 1;
            return true;
        }
        if !is_future(time_us.div_euclid(1000), now_us / 1000) {
            self.old_before_us = None;
        }
        false
    }

    /// Nothing is received before it has happened, so that the rewind bounds what comes again, however
    /// long the stream stood still or how far it is behind.
    fn resume(&self, now_us: i64) -> Option<Resume> {
        let newest_us = self.newest_us?;
        let since_ms = (newest_us.min(now_us) - REWIND_US).div_euclid(1000);
        Some(Resume { place: newest_us.to_string(), since_ms })
    }

    /// An event was handed on. Gives the gap before it, if there is one.
    fn saw(&mut self, time_us: i64, now_us: i64) -> Option<Change> {
        self.last_us = Some(time_us);
        let gap = match (self.tolerance_us.take(), self.newest_us) {
            (Some(tolerance_us), Some(newest_us)) if time_us > newest_us.saturating_add(tolerance_us) => {
                let reason = if tolerance_us == 0 {
                    "a message that breaks the connection was passed over"
                } else {
                    "the host no longer had what came after the last event"
                };
                Some(Change::Gap {
                    from_ms: newest_us.div_euclid(1000),
                    to_ms: time_us.min(now_us).div_euclid(1000),
                    reason: reason.into(),
                })
            }
            _ => None,
        };
        self.newest_us = self.newest_us.max(Some(time_us.min(now_us)));
        gap
    }

    /// Whether the message that broke this connection is met for the first time.
    fn is_new_poison(&self) -> bool {
        self.poison.is_none_or(|(before_us, _)| before_us != self.last_us)
    }

    fn ended(&mut self, end: &End) {
        self.poison = match (end, self.poison) {
            (End::Poison(_), Some((before_us, times))) if before_us == self.last_us => Some((before_us, times + 1)),
            // Passing over was not enough: further.
            (End::Poison(_), Some((before_us, times))) if self.last_us.is_none() => Some((before_us, times + 1)),
            (End::Poison(_), _) => Some((self.last_us, 1)),
            (_, poison) if self.last_us.is_none() => poison,
            _ => None,
        };
    }
}

impl End {
    /// Of an error before or on a websocket.
    fn of(error: Error) -> Self {
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
                    tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake
                        | tokio_tungstenite::tungstenite::error::ProtocolError::HandshakeIncomplete
                ) =>
            {
                Self::Poison(format!("no websocket frame: {error}"))
            }
            error => Self::Lost(printable(&error.to_string())),
        }
    }
}
