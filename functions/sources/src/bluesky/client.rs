//! One connection to a Jetstream host.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use birdsong_domain::post::InstallationKey;
use birdsong_domain::time::is_future;
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::backoff::Pace;
use crate::http::printable;
use crate::intake::{Change, Intake};
use crate::session::{Client, Dead, End, Link, ReadAhead, Received, Session, Stop, Wait, Watchdog};
use crate::source::{Clock, Context, SourceError};

use super::cursor::Position;
use super::dial::{self, Dial, Host};
use super::ended::Ended;
use super::message::{What, read_message};
use super::unpack::{Unpack, check_dictionary, is_dictionary};
use super::{HOSTS, POST, REPOST};

/// Longest time until a websocket is open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// The hosts ping every 30 s. A connection without any frame for a little longer is dead: a host without events
/// must not look dead just before each ping. Pings but no events for two minutes: the host has lost its own source.
pub(super) const WATCHDOG: Watchdog = Watchdog { silence: Duration::from_secs(35), quiet: Duration::from_secs(120) };
/// Waits before the next attempt; those of the vendor's own client.
const RETRY: Pace = Pace::doubling(Duration::from_millis(250), Duration::from_secs(30));
/// A host whose last events, this many of them, are all too far ahead of our clock is left: its clock or
/// ours is wrong, and the next connection starts where this one did.
const AHEAD_EVENTS: u32 = 100;
/// Messages that wait, in bytes; beyond, the websocket is read no further. About 10,000 posts.
const READ_AHEAD_BYTES: u32 = 8 << 20;
/// What a waiting message costs beside its own bytes.
const OVERHEAD_BYTES: usize = 64;
/// Messages of about this many bytes are handed on together.
const CHUNK_BYTES: usize = 512 << 10;
/// Most collections that a host accepts.
const MAX_COLLECTIONS: usize = 100;

/// What to request from whom.
#[derive(Clone, Debug)]
pub struct Options {
    /// Addresses such as `wss://host`; the next one is used when one fails twice in a row.
    pub hosts: Vec<String>,
    /// Collections whose commits are requested. Only [`POST`] and [`REPOST`] count as posts.
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
    /// The host of the next connection.
    host: usize,
    /// Hosts in a row that answered 400.
    bad_requests: usize,
    /// Path and query without the cursor.
    path: String,
    dictionary: Option<Vec<u8>>,
    dial: D,
    tls: Arc<rustls::ClientConfig>,
    key: InstallationKey,
    clock: Clock,
    session: Session,
    position: Position,
}

type Frames = ReadAhead<Result<Message, Error>>;

impl<D: Dial> Bluesky<D> {
    /// A client that hashes ids with the key of `context`.
    ///
    /// # Errors
    /// When the options cannot be used.
    pub fn new(options: Options, dial: D, context: &Context) -> Result<Self, SourceError> {
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
            return bad("no Jetstream host is configured".into());
        }
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'*'))
        };
        if let Some(name) = options.collections.iter().find(|name| !is_name(name)) {
            return bad(format!("{name:?} is no collection; write it as {POST}"));
        }
        if options.collections.is_empty() || options.collections.len() > MAX_COLLECTIONS {
            return bad(format!(
                "a host accepts 1 to {MAX_COLLECTIONS} collections, not {}",
                options.collections.len()
            ));
        }
        if options.dictionary.as_ref().is_some_and(|bytes| !is_dictionary(bytes)) {
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
        let (key, clock) = (context.key, context.clock.clone());
        let session = Session { clock: clock.clone(), jitter: context.jitter, limit: None };
        let (host, bad_requests, dictionary, position) = (0, 0, options.dictionary, Position::default());
        Ok(Self { hosts, host, bad_requests, path, dictionary, dial, tls, key, clock, session, position })
    }

    /// Streams until `stop` or a problem that only a person can solve, from `resume` on, a cursor of an earlier
    /// run, or from now on.
    ///
    /// The intake may be slow: up to 8 MiB of messages are read ahead meanwhile, which keeps the
    /// connection alive for minutes. When that is full, the host will close the connection, and the
    /// next one starts where the intake is.
    pub(super) async fn run(
        &mut self,
        resume: Option<&str>,
        intake: &mut dyn Intake,
        stop: Stop,
    ) -> Option<SourceError> {
        if let Some(text) = resume {
            let Ok(newest_us) = text.parse() else {
                return Some(SourceError::Config(format!("the stored cursor {text:?} is no time in microseconds")));
            };
            self.position.newest_us = Some(newest_us);
        }
        let session = self.session.clone();
        session.run(self, intake, stop).await
    }

    async fn connection(&mut self, link: &mut Link<'_>) -> Ended {
        let now_us = self.now_us();
        let path = match self.position.start(now_us) {
            Some(cursor_us) => format!("{}&cursor={cursor_us}", self.path),
            None => self.path.clone(),
        };
        let opened = dial::open(&self.dial, &self.tls, &self.hosts[self.host], &path);
        let ws = match timeout(CONNECT_TIMEOUT, opened).await {
            Err(_) => return Ended::Lost(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs())),
            Ok(Err(error)) => {
                return match Ended::of(error) {
                    Ended::Poison(text) => Ended::Lost(text),
                    end => end,
                };
            }
            Ok(Ok(ws)) => ws,
        };
        let mut unpack = match self.dictionary.as_deref().map(Unpack::new).transpose() {
            Ok(unpack) => unpack,
            Err(error) => return Ended::Lost(format!("zstd: {error}")),
        };
        link.connected();
        link.intake.flush(None).await;
        // Reading also answers pings.
        let mut frames =
            ReadAhead::new(ws.fuse(), WATCHDOG, READ_AHEAD_BYTES, self.clock.clone(), |frame| match frame {
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => None,
                Ok(message) => Some(message.len() + OVERHEAD_BYTES),
                Err(_) => Some(OVERHEAD_BYTES),
            });
        loop {
            let ended = self.hand_on(&mut frames, &mut unpack, link.intake).await;
            let events = std::mem::take(&mut self.position.replayed);
            if events > 0 {
                link.intake.change(Change::Replayed { events });
            }
            let resume = self.position.resume(self.now_us());
            link.intake.flush(resume).await;
            if let Err(ended) = ended {
                return ended;
            }
        }
    }

    /// Hands on a chunk of messages: waits for the first one and adds those that are there already.
    async fn hand_on(
        &mut self,
        frames: &mut Frames,
        unpack: &mut Option<Unpack>,
        intake: &mut dyn Intake,
    ) -> Result<(), Ended> {
        let (mut next, mut bytes) = (frames.next().await, 0);
        loop {
            bytes += self.frame(next, unpack, intake)?;
            if bytes >= CHUNK_BYTES {
                return Ok(());
            }
            match frames.try_next() {
                Some(frame) => next = Some(frame),
                None => return Ok(()),
            }
        }
    }

    /// Hands on the content of one websocket frame. Returns its size in bytes.
    fn frame(
        &mut self,
        frame: Option<Result<Received<Result<Message, Error>>, Dead>>,
        unpack: &mut Option<Unpack>,
        intake: &mut dyn Intake,
    ) -> Result<usize, Ended> {
        let message = match frame {
            None => return Err(Ended::Lost("the connection ended".into())),
            Some(Err(Dead::Silent)) => return Err(Ended::Silent),
            Some(Err(Dead::Quiet)) => return Err(Ended::Quiet),
            Some(Ok(Received { item: Err(error), .. })) => {
                let ended = Ended::of(error);
                if let Ended::Poison(what) = &ended
                    && self.position.is_new_poison()
                {
                    intake.unreadable(what.clone(), b"");
                }
                return Err(ended);
            }
            Some(Ok(Received { item: Ok(message), .. })) => message,
        };
        let size = message.len() + OVERHEAD_BYTES;
        match &message {
            Message::Text(text) => self.message(text.as_bytes(), intake)?,
            Message::Binary(packed) => self.packed(packed, unpack, intake)?,
            Message::Close(close) => {
                let said =
                    close.as_ref().map(|close| format!("{} {}", u16::from(close.code), printable(&close.reason)));
                return Err(Ended::Closed(said.unwrap_or_else(|| "without a reason".into())));
            }
            _ => (),
        }
        Ok(size)
    }

    fn packed(&mut self, packed: &Bytes, unpack: &mut Option<Unpack>, intake: &mut dyn Intake) -> Result<(), Ended> {
        let Some(unpack) = unpack.as_mut() else {
            intake.unreadable("a binary message, although compression was not requested".into(), packed);
            return Ok(());
        };
        check_dictionary(self.dictionary.as_deref(), packed)?;
        match unpack.message(packed) {
            Ok(bytes) => self.message(bytes, intake),
            Err(error) => {
                intake.unreadable(format!("zstd: {error}"), packed);
                Ok(())
            }
        }
    }

    fn message(&mut self, bytes: &[u8], intake: &mut dyn Intake) -> Result<(), Ended> {
        let now_us = self.now_us();
        if self.position.is_old(bytes, now_us) {
            return Ok(());
        }
        let event = match read_message(bytes, &self.key, &mut |post| intake.post(post)) {
            Ok(event) => event,
            Err(error) => {
                intake.unreadable(error.to_string(), bytes);
                return Ok(());
            }
        };
        if event.what != What::Post {
            intake.notice();
        }
        if event.time_us.is_some_and(|time_us| is_future(time_us.div_euclid(1000), now_us / 1000)) {
            // No position in the stream: as a cursor it would skip what is still to come.
            self.position.ahead += 1;
            return if self.position.ahead >= AHEAD_EVENTS { Err(Ended::Ahead) } else { Ok(()) };
        }
        self.position.ahead = 0;
        if let Some(gap) = event.time_us.and_then(|time_us| self.position.saw(time_us, now_us)) {
            intake.change(gap);
        }
        Ok(())
    }

    /// What the end of a connection asks for.
    fn next_step(&mut self, ended: &Ended, failures: u32) -> End {
        match ended {
            Ended::Dictionary(ids) => {
                return End::Failed(SourceError::Config(format!(
                    "the host compresses with another dictionary: {ids}. Get the file from the project's \
                     repository, or leave compression off"
                )));
            }
            Ended::Status(400, text) => {
                self.bad_requests += 1;
                if self.bad_requests >= self.hosts.len() {
                    return End::Failed(SourceError::Config(format!("the host rejects the request: {text}")));
                }
            }
            _ => self.bad_requests = 0,
        }
        self.position.ended(ended);
        let reason = format!("{}: {ended}", self.hosts[self.host].name);
        if failures > 0 {
            self.host = (self.host + 1) % self.hosts.len();
        }
        End::Retry(reason, Wait::Paced(RETRY))
    }

    fn now_us(&self) -> i64 {
        (self.clock)().saturating_mul(1000)
    }
}

impl<D: Dial> Client for Bluesky<D> {
    /// What was not handed on comes again at the next start, so that a stop drops the connection.
    async fn connect(&mut self, link: &mut Link<'_>) -> End {
        let mut stop = link.stop.clone();
        let ended = tokio::select! {
            biased;
            () = stop.wait() => return End::Stopped,
            ended = self.connection(link) => ended,
        };
        self.next_step(&ended, link.failures())
    }
}
