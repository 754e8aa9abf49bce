//! Bluesky, by way of Jetstream: a public websocket without login, first wire (`/subscribe`).
//!
//! The stream has no places, so regions find posts by keyword, hashtag and language.
//!
//! A cursor is a time in microseconds by the servers' clocks, the same at every host, so
//! another host can continue where one has stopped. Each connection starts a few seconds before the
//! last event; what comes again is dropped by the streamer. The hosts keep the stream for about 36
//! hours; what a source missed beyond that is reported as a gap.
//!
//! Hosts of the second kind (`jetstream.us-east.bsky.network` and other names without a number) speak
//! this wire, too, but start up to an hour before a young cursor, without notice (issue 343 of
//! bluesky-social/jetstream). Such events are recognized by their time and dropped before they are read:
//! they were received before. They are counted beside the ledger, which has counted them already.

mod client;
mod cursor;
mod dial;
mod ended;
#[cfg(feature = "fake")]
pub mod fake;
mod message;
mod unpack;

use birdsong_domain::network::Network;
use futures_util::future::{BoxFuture, FutureExt};

use crate::address::Address;
use crate::intake::Intake;
use crate::session::Stop;
use crate::source::{Context, Kind, OptionSpec, Source, SourceError, Target};

pub use client::{Bluesky, Options};
pub use dial::{Dial, Tcp};
pub use message::{Event, MAX_MESSAGE_BYTES, MessageError, What, read_message};

/// Name of the source, of its network and of its id space.
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
const REACH_MS: i64 = 24 * 3_600_000;
/// Posts whose reposts, which come without words, are recognized: 12 to 24 MB.
const ORIGINALS: usize = 50_000;

/// Bluesky in the table of sources.
pub(crate) const KIND: Kind = Kind {
    scheme: NAME,
    network: Network::BLUESKY,
    target: Target::None,
    about: "all public posts of Bluesky by Jetstream; free, without an account",
    options: &[
        OptionSpec {
            name: "host",
            value: "URL",
            about: "a Jetstream host; may be given several times [default: the four public ones]",
            flag: Some("bluesky-url"),
        },
        OptionSpec {
            name: "dictionary",
            value: "FILE",
            about: "Jetstream's zstd dictionary: with it, messages are less than half as long",
            flag: Some("bluesky-dictionary"),
        },
    ],
    secret: None,
    open,
    #[cfg(feature = "fake")]
    fake: Some(fake::FAKE),
};

fn open(address: &Address, context: &Context) -> Result<Box<dyn Source>, SourceError> {
    let mut options = Options::default();
    let hosts: Vec<_> = address.all("host").flat_map(|hosts| hosts.split(',')).map(str::to_owned).collect();
    if !hosts.is_empty() {
        options.hosts = hosts;
    }
    if let Some(path) = address.get("dictionary") {
        let bytes = std::fs::read(path)
            .map_err(|error| address.bad("dictionary", &format!("the file {path} cannot be read: {error}")))?;
        options.dictionary = Some(bytes);
    }
    Ok(Box::new(Bluesky::new(options, Tcp, context)?))
}

impl<D: Dial + 'static> Source for Bluesky<D> {
    fn name(&self) -> String {
        NAME.into()
    }

    fn network(&self) -> Network {
        Network::BLUESKY
    }

    fn reach_ms(&self) -> i64 {
        REACH_MS
    }

    fn originals(&self) -> usize {
        ORIGINALS
    }

    fn stream<'a>(
        &'a mut self,
        resume: Option<&'a str>,
        intake: &'a mut dyn Intake,
        stop: Stop,
    ) -> BoxFuture<'a, Option<SourceError>> {
        self.run(resume, intake, stop).boxed()
    }
}
