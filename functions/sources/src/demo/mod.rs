//! A made-up stream that looks like a real one: it needs no account and no network.
//!
//! The posts of a second are a pure function of the seed, the regions and that second, so a
//! restart continues where it stopped, and a test can compute what must have been counted. Hashtags
//! follow Zipf's law, each region has its languages, its night and its weekend, about a third are reposts, and
//! each hour something happens somewhere: [`Demo::planted`] lists what there is to find.

mod draw;
mod planted;
mod posts;
mod progress;
mod rhythm;

use std::time::Duration;

use birdsong_domain::network::Network;
use birdsong_domain::post::SourcePost;
use futures_util::future::{BoxFuture, FutureExt};

use crate::address::Address;
use crate::intake::{Change, Intake, Resume};
use crate::length::Length;
use crate::session::Stop;
use crate::source::{Context, Kind, OptionSpec, Past, PastSpan, Source, SourceError, Target};

pub use planted::{Planted, PlantedKind};
pub use posts::Demo;
use progress::Progress;

/// How often the live stream checks whether a second has passed.
const TICK: Duration = Duration::from_millis(200);

/// The past that it starts with, when nothing else is asked for: what is usual at a time of day follows from a week.
const BACKFILL_SECS: u64 = 8 * 86_400;

/// Name of the source and of its network.
pub const NAME: &str = "demo";

/// The demo in the table of sources.
pub(crate) const KIND: Kind = Kind {
    scheme: NAME,
    network: Network::DEMO,
    target: Target::None,
    about: "made-up posts in your regions: some of the past at once, then live",
    options: &[
        OptionSpec {
            name: "seed",
            value: "N",
            about: "another number makes other posts [default: 1]",
            flag: Some("seed"),
        },
        OptionSpec {
            name: "backfill",
            value: "TIME",
            about: "how much of the past to start with, such as 2h [default: 8d]",
            flag: Some("backfill"),
        },
    ],
    secret: None,
    open,
    #[cfg(feature = "fake")]
    fake: None,
};

fn open(address: &Address, context: &Context) -> Result<Box<dyn Source>, SourceError> {
    let seed = address.parsed("seed")?.unwrap_or(1);
    let backfill = address.parsed("backfill")?.unwrap_or(Length(BACKFILL_SECS));
    Ok(Box::new(Demo::new(seed, backfill.0, context)))
}

impl Demo {
    /// Streams from `second` on, each second when it has passed.
    async fn run(&self, mut second: i64, intake: &mut dyn Intake) {
        intake.change(Change::Connected);
        loop {
            let end = (self.clock)().div_euclid(1000);
            if second < end {
                (second..end).for_each(|second| self.second(second, &mut |post| intake.post(post)));
                second = end;
                intake.flush(Some(Resume { cursor: second.to_string(), since_ms: second * 1000 })).await;
            }
            tokio::time::sleep(TICK).await;
        }
    }
}

impl Source for Demo {
    fn name(&self) -> String {
        NAME.into()
    }

    fn network(&self) -> Network {
        Network::DEMO
    }

    fn reach_ms(&self) -> i64 {
        i64::MAX
    }

    fn past(&mut self) -> Option<&mut dyn Past> {
        Some(self)
    }

    fn stream<'a>(
        &'a mut self,
        resume: Option<&'a str>,
        intake: &'a mut dyn Intake,
        mut stop: Stop,
    ) -> BoxFuture<'a, Option<SourceError>> {
        let now = (self.clock)().div_euclid(1000);
        let second = resume.and_then(Progress::parse).map_or(now, |progress| progress.edge);
        let second = second.max(now.saturating_sub(self.backfill_secs));
        async move {
            tokio::select! {
                biased;
                () = stop.wait() => (),
                () = self.run(second, intake) => (),
            }
            None
        }
        .boxed()
    }
}

impl Past for Demo {
    fn next(&self, cursor: Option<&str>, now_ms: i64) -> Option<PastSpan> {
        let now = now_ms.div_euclid(1000);
        let earliest = now.saturating_sub(self.backfill_secs);
        let (seconds, then) = Progress::next(cursor.and_then(Progress::parse), earliest, now)?;
        let ms = |second: i64| second.saturating_mul(1000);
        Some(PastSpan { from_ms: ms(seconds.start), to_ms: ms(seconds.end), cursor: then.to_string() })
    }

    fn read(&self, from_ms: i64, to_ms: i64, each: &mut dyn FnMut(&SourcePost<'_>)) {
        self.seconds(from_ms.div_euclid(1000)..to_ms.div_euclid(1000), each);
    }
}
