//! The filtered stream of the X API v2.
//!
//! One connection, kept up forever: rules are set from the regions, bytes are read ahead by a task, a silent
//! connection is abandoned, and X's error message decides how long to wait (docs.x.com: "consuming
//! streaming data", "handling disconnections"). What costs money is metered, see [`governor`].

pub mod api;
mod client;
pub mod counts;
pub mod diff;
#[cfg(feature = "fake")]
pub mod fake;
pub mod fields;
pub mod governor;
pub mod meter;
pub mod problem;
pub mod rules;
mod state;
pub mod usage;

use std::sync::Arc;

use birdsong_domain::network;
use futures_util::future::{BoxFuture, FutureExt};

use crate::address::Address;
use crate::http::{Http, Network, Token};
use crate::intake::Intake;
use crate::session::Stop;
use crate::source::{Context, Kind, OptionSpec, Secret, Source, SourceError, Target};

pub use client::{Options, STALL, X};
use governor::DOLLARS_A_POST;

/// Name of the source, of its network and of its id space.
pub const NAME: &str = "x";
/// Where the API is.
pub const URL: &str = "https://api.x.com";
/// The variable with the app's bearer token.
pub const TOKEN: &str = "X_BEARER_TOKEN";
/// What X delivered and charges for, in the data folder.
const JOURNAL: &str = "x-metered";

/// X in the table of sources.
pub(crate) const KIND: Kind = Kind {
    scheme: NAME,
    network: network::Network::X,
    target: Target::None,
    about: "the filtered stream of the X API v2; needs a bearer token and costs money a post, so set a budget",
    options: &[
        OptionSpec {
            name: "budget",
            value: "DOLLARS/PERIOD",
            about: "most to spend, such as 5/day or 100/month, in US dollars: a smaller share is requested in time",
            flag: Some("x-budget"),
        },
        OptionSpec {
            name: "price",
            value: "DOLLARS",
            about: "what X charges for a post, in US dollars [default: 0.005]",
            flag: Some("x-price"),
        },
        OptionSpec {
            name: "backfill",
            value: "MINUTES",
            about: "minutes of posts to request again at each connect, 1 to 5; with enterprise access only",
            flag: Some("x-backfill-minutes"),
        },
        OptionSpec {
            name: "gzip",
            value: "",
            about: "request a compressed stream, which may come with a delay",
            flag: Some("x-gzip"),
        },
        OptionSpec {
            name: "url",
            value: "URL",
            about: "address of the X API [default: https://api.x.com]",
            flag: Some("x-url"),
        },
    ],
    secret: Some(Secret { name: TOKEN, is_required: true }),
    open,
    #[cfg(feature = "fake")]
    fake: Some(fake::FAKE),
};

/// The bearer token of the app.
///
/// # Errors
/// When it is not set; the text contains a remedy.
pub fn token(context: &Context) -> Result<Token, SourceError> {
    token_of(context, TOKEN)
}

/// The bearer token in another variable.
fn token_of(context: &Context, name: &str) -> Result<Token, SourceError> {
    context.token(name)?.ok_or_else(|| {
        SourceError::Config(format!("X requires a bearer token: set {name}, or {name}_FILE to a file that contains it"))
    })
}

fn open(address: &Address, context: &Context) -> Result<Box<dyn Source>, SourceError> {
    let dollars_a_post = address.parsed("price")?.unwrap_or(DOLLARS_A_POST);
    if !(dollars_a_post.is_finite() && dollars_a_post >= 0.0) {
        return Err(address.bad("price", &format!("{dollars_a_post} is no number of US dollars")));
    }
    let backfill_minutes = address.parsed::<u8>("backfill")?;
    if backfill_minutes.is_some_and(|minutes| !(1..=5).contains(&minutes)) {
        return Err(address.bad("backfill", "it is 1 to 5 minutes"));
    }
    let url = address.get("url").unwrap_or(URL).to_owned();
    let (budget, gzip) = (address.parsed("budget")?, address.is_on("gzip")?);
    for note in rules::plan(&context.regions, 100).map_err(|error| SourceError::Config(error.to_string()))?.notes {
        tracing::warn!("{note}");
    }
    if budget.is_none() && url == URL {
        tracing::warn!("X charges ${dollars_a_post} a post and no budget is set: --source 'x:?budget=5/day' sets one");
    }
    let again = context.clone();
    let options = Options {
        url,
        token: token(context)?,
        read_token: Arc::new(move || token(&again).map_err(|error| error.to_string())),
        gzip,
        backfill_minutes,
        stall: STALL,
        journal: Some(context.dir.join(JOURNAL)),
        budget,
        dollars_a_post,
    };
    let http = Network::new(gzip).map_err(|error| SourceError::Config(format!("HTTPS cannot be set up: {error}")))?;
    Ok(Box::new(X::new(options, http, context)?))
}

impl<H: Http + 'static> Source for X<H> {
    fn name(&self) -> String {
        NAME.into()
    }

    fn network(&self) -> network::Network {
        network::Network::X
    }

    fn reach_ms(&self) -> i64 {
        self.covered_ms()
    }

    /// X sends nothing again. To drop this future would lose what was read ahead, so that
    /// `stop` closes the connection and hands that on.
    fn stream<'a>(
        &'a mut self,
        resume: Option<&'a str>,
        intake: &'a mut dyn Intake,
        stop: Stop,
    ) -> BoxFuture<'a, Option<SourceError>> {
        self.run(resume, intake, stop).boxed()
    }
}
