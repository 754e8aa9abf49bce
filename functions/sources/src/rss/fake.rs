//! A website with a feed that grows, and goes wrong now and then.
//!
//! What it serves follows from a seed and the clock alone, so two runs see the same entries.

use std::fmt::Write;
use std::future::IntoFuture;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use birdsong_domain::time::rfc3339;
use futures_util::FutureExt;
use tokio::net::TcpListener;

use crate::dice::Dice;
use crate::fake::{Fake, Kept, Order, Pace, Started};
use crate::source::Clock;

/// Fewest and most entries that the feed of a started server lists.
const LISTED: (u64, u64) = (40, 900);
/// For how many seconds an entry stays in the feed, if the bounds allow it.
const LISTED_SECS: u64 = 120;

/// The fake of a feed in the table of sources.
pub(crate) const FAKE: Fake = Fake {
    scripts: &[
        ("normal", "a feed that grows, and no trouble"),
        ("trouble", "errors, redirects and broken feeds now and then, without end"),
        ("gone", "410 at every poll"),
    ],
    switches: &[("atom", "Atom instead of RSS")],
    start,
};

fn start(order: &Order, listener: TcpListener) -> Started {
    let script = Script {
        seed: order.seed,
        start_ms: order.start_ms(),
        gap_ms: 1000 / i64::from(order.rate.max(1)),
        listed: (u64::from(order.rate) * LISTED_SECS).clamp(LISTED.0, LISTED.1),
        is_atom: order.has("atom"),
        is_troubled: order.script == "trouble",
        is_gone: order.script == "gone",
    };
    let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
    let server = Site::new(script, order.clock.clone());
    Started {
        source: format!("rss:http://{address}/feed.xml#every=30s"),
        environment: vec![],
        serving: axum::serve(listener, server.router()).into_future().boxed(),
    }
}

/// How the website behaves.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// Of the entries and of the troubles.
    pub seed: u64,
    /// When the first entry appears, in milliseconds.
    pub start_ms: i64,
    /// One entry appears in each such time.
    pub gap_ms: i64,
    /// Entries that the feed lists.
    pub listed: u64,
    /// Atom instead of RSS.
    pub is_atom: bool,
    /// Goes wrong now and then.
    pub is_troubled: bool,
    /// Answers 410.
    pub is_gone: bool,
}

/// What was asked of the website.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Requests for the feed.
    pub polls: u64,
    /// Those that were answered with 304.
    pub unchanged: u64,
    /// Those that went wrong.
    pub troubles: u64,
}

/// The website.
#[derive(Debug)]
pub struct Site {
    script: Script,
    pace: Pace,
    clock: CountedClock,
    asked: Kept<Asked>,
}

struct CountedClock(Clock);

impl std::fmt::Debug for CountedClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

impl Site {
    /// A website that serves by this clock.
    #[must_use]
    pub fn new(script: Script, clock: Clock) -> Arc<Self> {
        let pace = Pace::new(script.seed, script.start_ms, script.gap_ms);
        Arc::new(Self { script, pace, clock: CountedClock(clock), asked: Kept::default() })
    }

    /// What was asked so far.
    #[must_use]
    pub fn asked(&self) -> Asked {
        self.asked.with(|asked| *asked)
    }

    /// Number of the first entry that appears at or after this time, in milliseconds.
    #[must_use]
    pub fn first_from(&self, time_ms: i64) -> u64 {
        self.pace.first_from(time_ms)
    }

    /// The feed's own id of an entry.
    #[must_use]
    pub fn entry_id(n: u64) -> String {
        format!("tag:site.example,2026:{n}")
    }

    /// Answers polls of `/feed.xml`.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route(
                "/feed.xml",
                get(|State(site): State<Arc<Self>>, headers: HeaderMap| async move { site.answer(&headers) }),
            )
            .route("/moved.xml", get(|State(site): State<Arc<Self>>| async move { site.feed() }))
            .with_state(self.clone())
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let poll = self.asked.with(|asked| {
            asked.polls += 1;
            asked.polls
        });
        if self.script.is_gone {
            return StatusCode::GONE.into_response();
        }
        let mut dice = Dice::of(&[self.script.seed, poll, 7]);
        if self.script.is_troubled && dice.below(3) == 0 {
            self.asked.with(|asked| asked.troubles += 1);
            return match dice.below(5) {
                0 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
                1 => (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "60")]).into_response(),
                2 => (StatusCode::FOUND, [(header::LOCATION, "moved.xml")]).into_response(),
                3 => "<rss><channel><title>half".into_response(),
                _ => "<html>maintenance</html>".into_response(),
            };
        }
        let etag = format!("\"{}\"", self.newest());
        if headers.get(header::IF_NONE_MATCH).is_some_and(|asked| asked.as_bytes() == etag.as_bytes()) {
            self.asked.with(|asked| asked.unchanged += 1);
            return StatusCode::NOT_MODIFIED.into_response();
        }
        ([(header::ETAG, etag)], self.feed()).into_response()
    }

    /// Number of entries that have appeared.
    fn newest(&self) -> u64 {
        self.pace.first_from((self.clock.0)())
    }

    fn feed(&self) -> Response {
        let (newest, is_atom) = (self.newest(), self.script.is_atom);
        let entries: String = (newest.saturating_sub(self.script.listed)..newest)
            .rev()
            .map(|n| if is_atom { self.atom(n) } else { self.rss(n) })
            .collect();
        let (kind, text) = if is_atom {
            let head = "<title>site</title><id>tag:site.example,2026:feed</id>";
            let feed = format!("<feed xmlns=\"http://www.w3.org/2005/Atom\" xml:lang=\"en\">{head}{entries}</feed>");
            ("application/atom+xml", feed)
        } else {
            let head = "<title>site</title><link>https://site.example/</link><language>en-gb</language>";
            ("application/rss+xml", format!("<rss version=\"2.0\"><channel>{head}{entries}</channel></rss>"))
        };
        ([(header::CONTENT_TYPE, kind)], text).into_response()
    }

    fn words(&self, n: u64) -> (&'static str, &'static str) {
        let mut dice = Dice::of(&[self.script.seed, n, 8]);
        let title = *dice.pick(&["Storm over the harbour", "A quiet &amp; sunny day", "Metro stands still"]);
        (title, *dice.pick(&["weather", "transport", "local news"]))
    }

    fn rss(&self, n: u64) -> String {
        let ((title, category), mut item) = (self.words(n), String::new());
        let _ = write!(
            item,
            "<item><guid isPermaLink=\"false\">{}</guid><title>{title}</title><link>https://site.example/{n}</link>\
             <category>{category}</category><author>desk{}@site.example</author></item>",
            Self::entry_id(n),
            n % 5
        );
        item
    }

    fn atom(&self, n: u64) -> String {
        let ((title, category), mut entry) = (self.words(n), String::new());
        let time = rfc3339(self.pace.time(n));
        let _ = write!(
            entry,
            "<entry><id>{}</id><title>{title}</title><link href=\"https://site.example/{n}\"/><updated>{time}</updated>\
             <category term=\"{category}\"/><author><name>desk {}</name></author></entry>",
            Self::entry_id(n),
            n % 5
        );
        entry
    }
}
