//! How many posts X has, counted by X: a reference beside the posts that are read.
//!
//! X counts the posts of a query by minute, for the last seven days, at a price for each request and not for each post
//! (`GET /2/tweets/counts/recent`). A [`Poller`] asks for each region in turn, and hands what it gets to
//! [`References`]. It delivers no posts, so it is no [`Source`](crate::source::Source) and has no part in any window.
//!
//! What X counts differs from what it streams: reposts are not counted, and posts that were deleted since may be.
//!
//! ```
//! use birdsong_sources::x::counts;
//!
//! let address = counts::address("x-counts:?every=30m&budget=2/day&token=X_COUNTS_TOKEN")?;
//! assert_eq!(address.get("every"), Some("30m"));
//! assert!(counts::address("x-counts:?budge=2/day").unwrap_err().to_string().contains("budget"));
//! # Ok::<(), birdsong_sources::address::BadAddress>(())
//! ```

mod answer;
mod poller;
mod query;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use birdsong_domain::network;
use birdsong_domain::ports::PortError;

use crate::address::{Address, BadAddress};
use crate::http::{Network, Token};
use crate::length::Length;
use crate::source::{Context, Kind, OptionSpec, Secret, SourceError, Target};

use super::api::ReadToken;
use super::governor::Budget;
use super::{TOKEN, URL, token_of};

pub use poller::Poller;
pub use query::{MAX_QUERY_CHARS, Queries, queries};

/// What a request costs, in US dollars (docs.x.com, pricing, August 2026).
pub const DOLLARS_A_REQUEST: f64 = 0.005;
/// Time between two requests for one region. All minutes in between come at once.
const EVERY_SECS: u64 = 3600;
/// X allows 300 requests in 15 minutes, of all regions.
const LEAST_EVERY_SECS: u64 = 60;
/// What was spent, in the data folder.
const JOURNAL: &str = "x-counts-metered";

/// How its addresses are written. It is not in the table of sources, since it delivers no posts.
pub static KIND: [Kind; 1] = [Kind {
    scheme: "x-counts",
    network: network::Network::X,
    target: Target::None,
    about: "how many posts X itself counts in each region, by minute, as a reference; costs money a request",
    options: &[
        OptionSpec {
            name: "every",
            value: "TIME",
            about: "time between two requests for a region, such as 15m [default: 1h]",
            flag: None,
        },
        OptionSpec {
            name: "budget",
            value: "DOLLARS/PERIOD",
            about: "most to spend, such as 1/day or 20/month, in US dollars: then it pauses until the next period",
            flag: None,
        },
        OptionSpec {
            name: "price",
            value: "DOLLARS",
            about: "what X charges for a request, in US dollars [default: 0.005]",
            flag: None,
        },
        OptionSpec {
            name: "token",
            value: "VARIABLE",
            about: "environment variable with the bearer token [default: X_BEARER_TOKEN]",
            flag: None,
        },
        OptionSpec {
            name: "region",
            value: "ID",
            about: "count only this region; the option may be repeated [default: all]",
            flag: None,
        },
        OptionSpec {
            name: "url",
            value: "URL",
            about: "address of the X API [default: https://api.x.com]",
            flag: None,
        },
    ],
    secret: Some(Secret { name: TOKEN, is_required: true }),
    open: |_, _| Err(SourceError::Config("x-counts delivers counts and no posts: it cannot be a source".into())),
    #[cfg(feature = "fake")]
    fake: None,
}];

/// Reads an address such as `x-counts:?every=30m`.
///
/// # Errors
/// When it cannot be read; the text explains how to write it.
pub fn address(text: &str) -> Result<Address, BadAddress> {
    Address::among(&KIND, text)
}

/// Posts of a region as X counts them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceCounts {
    /// Id of the region.
    pub region: String,
    /// Start of the first minute, in milliseconds since 1970.
    pub from_ms: i64,
    /// Posts by the start of their minute, in milliseconds since 1970: whole minutes, in order, each once. A minute
    /// that is missing was not counted; one that was delivered before replaces the earlier number.
    pub per_minute: Vec<(i64, u64)>,
}

/// How the poller is doing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CountsStatus {
    /// What keeps failing, and what to do about it; `None` when it works.
    pub problem: Option<String>,
    /// Spent since the first of the month (UTC), in US dollars.
    pub dollars: f64,
}

/// Where counts are stored.
pub trait References: Send + Sync {
    /// Start of the newest minute that is stored of a region, in milliseconds, so that a restart does not pay for the
    /// same minutes again. `None` when there is none.
    fn newest_ms(&self, region: &str) -> impl Future<Output = Result<Option<i64>, PortError>> + Send;

    /// Stores counts. The same may come twice, and a minute may come again with another number: the last one is right.
    fn put(&self, counts: &ReferenceCounts) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Receives the state, at each change of it.
    fn status(&self, _status: &CountsStatus) {}
}

/// How to ask.
#[derive(Clone)]
pub struct Options {
    /// Such as [`URL`].
    pub url: String,
    /// The app's bearer token.
    pub token: Token,
    /// Reads the token again when X rejects it.
    pub read_token: ReadToken,
    /// Time between two requests for a region.
    pub every: Duration,
    /// What may be spent.
    pub budget: Option<Budget>,
    /// What a request costs, in US dollars.
    pub dollars_a_request: f64,
    /// The file that keeps what was spent over a restart; without one each start has the whole budget.
    pub journal: Option<PathBuf>,
    /// Ids of the regions to count; all when there are none.
    pub only: Vec<String>,
}

/// Makes a poller of an address.
///
/// # Errors
/// When an option cannot be used, the token is missing, or X cannot count the regions.
pub fn open(address: &Address, context: &Context) -> Result<Poller<Network>, SourceError> {
    let dollars_a_request = address.parsed("price")?.unwrap_or(DOLLARS_A_REQUEST);
    if !(f64::is_finite(dollars_a_request) && dollars_a_request >= 0.0) {
        return Err(address.bad("price", &format!("{dollars_a_request} is no number of US dollars")));
    }
    let every = address.parsed("every")?.unwrap_or(Length(EVERY_SECS)).0;
    if every < LEAST_EVERY_SECS {
        return Err(address.bad("every", "it is at least 1m, since X counts by minute"));
    }
    let name = address.get("token").unwrap_or(TOKEN).to_owned();
    let (token, again) = (token_of(context, &name)?, context.clone());
    let options = Options {
        url: address.get("url").unwrap_or(URL).to_owned(),
        token,
        read_token: Arc::new(move || token_of(&again, &name).map_err(|error| error.to_string())),
        every: Duration::from_secs(every),
        budget: address.parsed("budget")?,
        dollars_a_request,
        journal: Some(context.dir.join(JOURNAL)),
        only: address.all("region").map(str::to_owned).collect(),
    };
    let http = Network::new(false).map_err(|error| SourceError::Config(format!("HTTPS cannot be set up: {error}")))?;
    let poller = Poller::new(options, http, context)?;
    poller.queries().notes.iter().for_each(|note| tracing::warn!("{note}"));
    Ok(poller)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The table of options in docs/sources.md.
    fn table() -> String {
        let row = |spec: &OptionSpec| format!("| `x-counts` | `{}={}` | {} |\n", spec.name, spec.value, spec.about);
        let rows: String = KIND[0].options.iter().map(row).collect();
        format!("| address | option | meaning |\n| --- | --- | --- |\n{rows}")
    }

    #[test]
    fn the_documentation_has_the_options() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sources.md");
        let docs = std::fs::read_to_string(file).unwrap();
        assert!(docs.contains(&table()), "put this table into docs/sources.md:\n\n{}", table());
    }
}
