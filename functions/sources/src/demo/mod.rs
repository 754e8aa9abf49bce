//! A made-up stream that looks like a real one: it needs no account and no network.
//!
//! The posts of a second are a pure function of the seed, the regions and that second, so a
//! restart continues where it stopped, and a test can compute what must have been counted. Hashtags
//! follow Zipf's law, each region has its languages and its night, about a third are reposts, and
//! now and then something happens somewhere.

mod posts;

use std::time::Duration;

use birdsong_domain::network::Network;
use birdsong_domain::post::SourcePost;
use futures_util::future::{BoxFuture, FutureExt};

use crate::address::Address;
use crate::intake::{Change, Intake, Resume};
use crate::length::Length;
use crate::session::Stop;
use crate::source::{Context, Kind, OptionSpec, Past, Source, SourceError, Target};

pub use posts::Demo;

/// How often the live stream checks whether a second has passed.
const TICK: Duration = Duration::from_millis(200);

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
            about: "how much of the past to start with, such as 2h [default: 1d]",
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
    let backfill = address.parsed("backfill")?.unwrap_or(Length(86_400));
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
        let second = resume.and_then(|cursor| cursor.parse().ok()).unwrap_or(now).max(now - self.backfill_secs);
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
    fn first_ms(&self, cursor: Option<&str>, now_ms: i64) -> i64 {
        let second = cursor.and_then(|text| text.parse().ok()).unwrap_or(i64::MIN);
        let earliest = now_ms.div_euclid(1000).saturating_sub(self.backfill_secs);
        second.max(earliest).saturating_mul(1000)
    }

    fn read(&self, from_ms: i64, to_ms: i64, each: &mut dyn FnMut(&SourcePost<'_>)) -> String {
        let (from, to) = (from_ms.div_euclid(1000), to_ms.div_euclid(1000));
        (from..to).for_each(|second| self.second(second, each));
        to.to_string()
    }
}
