//! Golden cases of feeds: one file per case, with the feed and what it must become.
//! And the client against the fake website, in simulated time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use birdsong_domain::post::{InstallationKey, PostId};
use birdsong_domain::region::Regions;
use birdsong_sources::fake::InProcess;
use birdsong_sources::intake::Change;
use birdsong_sources::rss::fake::{Script, Site};
use birdsong_sources::rss::{Options, Rss, read_feed};
use birdsong_sources::session::Stop;
use birdsong_sources::source::{Context, Source, SourceError};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::kept::{Kept, MINUTE, START_MS, clock};
use crate::shown;

const KEY: InstallationKey = InstallationKey([1; 16]);
const URL: &str = "https://site.example/feed.xml";

fn context() -> Context {
    birdsong_testkit::context(Arc::new(Regions::everything("all")), KEY, clock())
}

fn read(feed: &[u8]) -> Value {
    match read_feed(URL, feed, &KEY) {
        Ok(feed) => json!({
            "entries": feed.entries.iter().map(|entry| {
                let mut post = shown::post(&entry.post(0));
                post["claimed_ms"] = json!(entry.claimed_ms);
                post
            }).collect::<Vec<_>>(),
            "unreadable": feed.unreadable,
            "ttl_secs": feed.ttl.map(|ttl| ttl.as_secs()),
        }),
        Err(error) => json!({"error": error.to_string()}),
    }
}

#[test]
fn every_golden_feed_becomes_what_its_file_says() {
    shown::check("rss", |case| read(shown::given(case, "feed").as_bytes()));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, cut in 0usize..200, at in 0usize..200, byte: u8) {
        read(&bytes);
        let mut feed = br#"<rss version="2.0"><channel><title>f</title><ttl>60</ttl><item><guid>1</guid><title>a &amp; b</title><link>https://a.example</link><category>x</category><description>&lt;p&gt;c&lt;/p&gt;</description></item></channel></rss>"#.to_vec();
        feed[at] = byte;
        read(&feed);
        read(&feed[..cut]);
    }
}

/// A site with an entry every ten seconds on average.
fn script() -> Script {
    let start_ms = START_MS - 600_000;
    Script { seed: 1, start_ms, gap_ms: 10_000, listed: 40, is_atom: false, is_troubled: false, is_gone: false }
}

async fn run_for(site: &Arc<Site>, time: Duration, resume: Option<&str>, kept: &Kept) -> Option<SourceError> {
    let options = Options { url: URL.into(), every: Some(Duration::from_secs(60)) };
    let mut client = Rss::new(options, InProcess(site.router()), &context()).unwrap();
    timeout(time, client.stream(resume, &mut kept.clone(), Stop::never())).await.ok().flatten()
}

fn ids(numbers: impl Iterator<Item = u64>) -> BTreeSet<PostId> {
    numbers.map(|n| KEY.post("web", format!("{URL}\n{}", Site::entry_id(n)).as_bytes())).collect()
}

#[tokio::test(start_paused = true)]
async fn an_entry_is_a_post_once_it_appears_and_comes_once() {
    for is_atom in [false, true] {
        let site = Site::new(Script { is_atom, ..script() }, clock());
        let kept = Kept::new(Duration::ZERO);
        assert_eq!(run_for(&site, 10 * MINUTE, None, &kept).await, None);
        let first = site.first_from(START_MS);
        let all = kept.all();
        let found: BTreeSet<_> = all.posts.iter().map(|(id, _)| *id).collect();
        assert_eq!(found.len(), all.posts.len(), "each comes once");
        assert_eq!(found, ids(first..first + found.len() as u64), "from the first poll on, without a hole");
        assert!((48..=60).contains(&found.len()), "{}", found.len());
        assert!(all.posts.is_sorted_by_key(|(_, time_ms)| *time_ms), "an entry's time lies between two polls");
        assert_eq!(all.changes, [(0, Change::Connected)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_has_not_changed_is_not_sent_again() {
    let site = Site::new(Script { gap_ms: 600_000, ..script() }, clock());
    assert_eq!(run_for(&site, 60 * MINUTE, None, &Kept::new(Duration::ZERO)).await, None);
    let asked = site.asked();
    assert!(asked.unchanged > asked.polls / 2 && asked.polls > 50, "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn trouble_costs_no_entry() {
    for seed in 0..10 {
        let site = Site::new(Script { seed, is_troubled: true, ..script() }, clock());
        let kept = Kept::new(Duration::ZERO);
        assert_eq!(run_for(&site, 60 * MINUTE, None, &kept).await, None, "seed {seed}");
        assert!(site.asked().troubles > 3 && !kept.waits().is_empty(), "seed {seed}");
        let found = kept.ids();
        assert_eq!(found.len(), kept.all().posts.len(), "seed {seed}: each comes once");
        // What left the feed between two polls lies in a gap.
        let gaps = kept.gaps();
        let first = site.first_from(START_MS);
        let wanted = ids(first..first + found.len() as u64);
        assert!(!gaps.is_empty() || found.iter().copied().collect::<BTreeSet<_>>() == wanted, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_continues_where_it_stopped_and_reports_what_left_the_feed() {
    let site = Site::new(script(), clock());
    let kept = Kept::new(Duration::ZERO);
    run_for(&site, 5 * MINUTE, None, &kept).await;
    let resume = kept.all().resume.clone().unwrap();
    let before = kept.ids().len();
    // Two minutes later nothing is missing.
    tokio::time::sleep(2 * MINUTE).await;
    run_for(&site, MINUTE / 2, Some(&resume.cursor), &kept).await;
    assert!(kept.ids().len() > before + 8 && kept.gaps().is_empty());
    assert_eq!(kept.ids().len(), kept.all().posts.len(), "each comes once");
    // An hour later most entries have left the feed, which has the last 40.
    let resume = kept.all().resume.clone().unwrap();
    tokio::time::sleep(60 * MINUTE).await;
    run_for(&site, MINUTE / 2, Some(&resume.cursor), &kept).await;
    assert_eq!(kept.gaps().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_is_gone_stops_the_source_and_says_what_to_do() {
    let site = Site::new(Script { is_gone: true, ..script() }, clock());
    let ended = run_for(&site, MINUTE, None, &Kept::new(Duration::ZERO)).await.unwrap();
    assert!(matches!(&ended, SourceError::Refused(text) if text.contains("remove it from --source")), "{ended:?}");
}

#[test]
fn an_address_that_cannot_be_used_is_an_error() {
    let site = Site::new(script(), Arc::new(|| 0));
    let context = birdsong_testkit::context(Arc::new(Regions::everything("all")), KEY, Arc::new(|| 0));
    let make = |url: &str| {
        let options = Options { url: url.into(), every: None };
        Rss::new(options, InProcess(site.router()), &context).map(|rss| rss.name()).map_err(|error| error.to_string())
    };
    assert_eq!(make("https://a.example/feed?key=secret"), Ok("rss:https://a.example/feed".into()));
    for bad in ["a.example/feed", "ftp://a.example", "https://", &format!("https://a.example/{}", "x".repeat(200))] {
        assert!(make(bad).is_err(), "{bad}");
    }
}
