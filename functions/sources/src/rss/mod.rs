//! RSS and Atom feeds, polled: the posts of websites, with network `web`.
//!
//! A feed has no places, so regions find entries by keyword, hashtag and language. It has no reposts or replies either.
//!
//! A feed lists its last entries, with times that its author claims. An entry counts when it appears: its claimed time
//! is used only between two polls, as that of a Mastodon status is. The entries that a feed has at the first
//! poll are not counted, because nobody saw them appear. When nothing of the last poll is in the feed any more,
//! entries may have come and gone in between, which is reported as a gap.
//!
//! A server is asked with `If-None-Match` and `If-Modified-Since`, and as seldom as it wishes (`Cache-Control: max-age`,
//! RSS `ttl`), between five minutes and an hour unless the address says otherwise.

mod client;
mod cursor;
#[cfg(feature = "fake")]
pub mod fake;
mod message;

use std::time::Duration;

use birdsong_domain::network::Network as Published;
use futures_util::future::{BoxFuture, FutureExt};

use crate::address::Address;
use crate::http::{Http, Network};
use crate::intake::Intake;
use crate::length::Length;
use crate::session::Stop;
use crate::source::{Context, Kind, OptionSpec, Source, SourceError, Target};

pub use client::{Options, Rss};
pub use message::{Entry, FeedError, MAX_FEED_BYTES, read_feed};

/// First part of the names of these sources.
pub const NAME: &str = "rss";
/// Id space of their posts.
pub const SPACE: &str = "web";
/// Shortest time between two polls that an address may ask for.
const SHORTEST: Duration = Duration::from_secs(30);

/// Feeds in the table of sources.
pub(crate) const KIND: Kind = Kind {
    scheme: NAME,
    network: Published::WEB,
    target: Target::Url,
    about: "the entries of an RSS or Atom feed, as they appear; free, without an account",
    options: &[OptionSpec {
        name: "every",
        value: "TIME",
        about: "time between two polls, such as 2m, instead of what the feed wishes",
        flag: None,
    }],
    secret: None,
    open,
    #[cfg(feature = "fake")]
    fake: Some(fake::FAKE),
};

fn open(address: &Address, context: &Context) -> Result<Box<dyn Source>, SourceError> {
    let every = address.parsed::<Length>("every")?.map(|length| Duration::from_secs(length.0));
    if every.is_some_and(|every| every < SHORTEST) {
        return Err(address.bad("every", &format!("a feed is polled every {} s at most", SHORTEST.as_secs())));
    }
    let http = Network::new(true).map_err(|error| SourceError::Config(format!("HTTPS cannot be set up: {error}")))?;
    Ok(Box::new(Rss::new(Options { url: address.target().to_owned(), every }, http, context)?))
}

impl<H: Http + 'static> Source for Rss<H> {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn network(&self) -> Published {
        Published::WEB
    }

    /// A feed has its last entries, however long ago; what left it meanwhile is reported as a gap.
    fn reach_ms(&self) -> i64 {
        i64::MAX
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
