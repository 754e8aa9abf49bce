//! Mastodon and other servers with its client API: server-sent events of a public stream.
//!
//! The stream has no places, so regions find posts by keyword, hashtag and language. A server sends
//! no reposts on these streams, and no replies to others except on those of a hashtag.
//!
//! The stream cannot be resumed. Statuses that came while disconnected are read from the timeline, a bounded
//! number of pages; older ones are reported as a gap.

mod client;
mod cursor;
#[cfg(feature = "fake")]
pub mod fake;
mod feed;
mod status;
mod tags;
mod timeline;

use birdsong_domain::network;
use futures_util::future::{BoxFuture, FutureExt};

use crate::address::Address;
use crate::http::{Http, Network};
use crate::intake::Intake;
use crate::session::Stop;
use crate::source::{Context, Kind, OptionSpec, Secret, Source, SourceError, Target};

pub use client::{Mastodon, Options};
pub use feed::Feed;
pub use status::{Read, Seen, StatusError, read_status};

/// Id space and network of the posts; the name of a source is this, a colon and the host.
pub const NAME: &str = "mastodon";
/// The variable with the token, unless the address names another one.
const TOKEN: &str = "MASTODON_TOKEN";

/// Mastodon in the table of sources.
pub(crate) const KIND: Kind = Kind {
    scheme: NAME,
    network: network::Network::MASTODON,
    target: Target::Host,
    about: "public posts that a Mastodon server knows; most servers require the token of a user",
    options: &[
        OptionSpec {
            name: "feed",
            value: "FEED",
            about: "public (default), local, remote, or a #hashtag",
            flag: Some("mastodon-feed"),
        },
        OptionSpec {
            name: "token",
            value: "VARIABLE",
            about: "environment variable with the token [default: MASTODON_TOKEN], or none to send none",
            flag: None,
        },
        OptionSpec {
            name: "url",
            value: "URL",
            about: "address of the server, when it is not https://HOST",
            flag: Some("mastodon-url"),
        },
    ],
    secret: Some(Secret { name: TOKEN, is_required: false }),
    open,
    #[cfg(feature = "fake")]
    fake: Some(fake::FAKE),
};

fn open(address: &Address, context: &Context) -> Result<Box<dyn Source>, SourceError> {
    let token = match address.get("token") {
        Some("none") => None,
        Some(name) => match context.token(name)? {
            None => return Err(address.bad("token", &format!("there is no environment variable {name}"))),
            token => token,
        },
        None => context.token(TOKEN)?,
    };
    let server = address.get("url").map_or_else(|| format!("https://{}", address.target()), str::to_owned);
    let feed = address.parsed("feed")?.unwrap_or(Feed::Public);
    let http = Network::new(false).map_err(|error| SourceError::Config(format!("HTTPS cannot be set up: {error}")))?;
    Ok(Box::new(Mastodon::new(Options { server, feed, token }, http, context)?))
}

impl<H: Http + 'static> Source for Mastodon<H> {
    fn name(&self) -> String {
        format!("{NAME}:{}", self.host)
    }

    fn network(&self) -> network::Network {
        network::Network::MASTODON
    }

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
