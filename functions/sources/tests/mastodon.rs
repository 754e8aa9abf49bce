//! Golden cases of Mastodon statuses: one file per case, with the status and what it must become.
//! And the client against the fake server, in simulated time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use birdsong_domain::post::{InstallationKey, SourcePost};
use birdsong_domain::region::Regions;
use birdsong_sources::fake::InProcess;
use birdsong_sources::http::Token;
use birdsong_sources::http::{BadToken, Network};
use birdsong_sources::intake::Change;
use birdsong_sources::mastodon::fake::{Instance, Script, Trouble};
use birdsong_sources::mastodon::{Feed, Mastodon, Options, Seen, read_status};
use birdsong_sources::session::Stop;
use birdsong_sources::source::{Clock, SourceError};
use birdsong_sources::source::{Context, Source};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::kept::{Kept, MINUTE, START_MS, clock};
use crate::shown;

const KEY: InstallationKey = InstallationKey([1; 16]);
fn context(clock: Clock) -> Context {
    birdsong_testkit::context(Arc::new(Regions::everything("all")), KEY, clock)
}

const SEEN_MS: i64 = 1_779_514_900_000;

fn read(json: &[u8], seen: Seen) -> Value {
    let mut found = json!(null);
    let result = read_status(json, seen, &KEY, &mut |post| {
        found = shown::post(post);
    });
    match result {
        Ok(read) if read.is_post => json!({"post": found}),
        Ok(_) => json!({"opted_out": true}),
        Err(error) => json!({"error": error.to_string()}),
    }
}

#[test]
fn every_golden_status_becomes_what_its_file_expects() {
    shown::check("mastodon", |case| {
        let seen = match (case["seen"][0].as_i64(), case["seen"][1].as_i64()) {
            (Some(from_ms), Some(to_ms)) => Seen::Between(from_ms, to_ms),
            _ => Seen::Live(SEEN_MS),
        };
        read(shown::given(case, "status").as_bytes(), seen)
    });
}

#[test]
fn a_status_is_the_same_at_every_server() {
    let mut seen = vec![];
    for id in ["1", "999"] {
        let account =
            json!({"id": id, "acct": if id == "1" { "w" } else { "w@far.example" }, "url": "https://far.example/@w"});
        let status = json!({"id": id, "uri": "https://far.example/s/1", "account": account}).to_string();
        let mut keep = |post: &SourcePost<'_>| seen.push((post.id, post.author));
        read_status(status.as_bytes(), Seen::Live(1), &KEY, &mut keep).unwrap();
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0].0, KEY.post("mastodon", b"https://far.example/s/1"));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, cut in 0usize..180, at in 0usize..180, byte: u8) {
        read(&bytes, Seen::Live(1));
        let mut status = br#"{"id":"1","uri":"https://a/1","content":"<p>a \u00e9 <a href=\"https://b.example\">x</a>&amp;</p>","created_at":"2026-05-23T05:41:07.318Z","reblog":{"uri":"y","tags":[{"name":"wx"}]},"account":{"url":"z"}}"#.to_vec();
        status[at] = byte;
        read(&status, Seen::Live(1));
        read(&status[..cut], Seen::Live(1));
    }
}

fn options(token: Option<&str>) -> Options {
    let token = token.map(|token| Token::new(token).unwrap());
    Options { server: "https://here.example/".into(), feed: Feed::Public, token }
}

/// Runs a client for a time against a fake server; returns the error with which it stopped before.
async fn run_for(
    script: Script,
    options: Options,
    time: Duration,
    resume: Option<&str>,
    kept: &Kept,
) -> (Arc<Instance>, Option<SourceError>) {
    let clock = clock();
    let server = Instance::new(script, clock.clone());
    let mut client = Mastodon::new(options, InProcess(server.router()), &context(clock)).unwrap();
    let ended = timeout(time, client.stream(resume, &mut kept.clone(), Stop::never())).await;
    (server, ended.ok().flatten())
}

#[tokio::test(start_paused = true)]
async fn updates_are_posts_and_all_else_is_reported_as_notices() {
    let kept = Kept::new(Duration::ZERO);
    let (server, ended) = run_for(Script::calm(1, START_MS, 10), options(None), 10 * MINUTE, None, &kept).await;
    assert_eq!(ended, None);
    let events = server.first_from(START_MS + 599_900);
    let all = kept.all();
    let posts = all.posts.len() as u64;
    assert!((events * 60 / 100..events * 80 / 100).contains(&posts), "{posts} of {events}");
    assert!(
        (events.saturating_sub(20)..=events + 20).contains(&(posts + all.notices)),
        "{} of {events}",
        posts + all.notices
    );
    // The claimed time may be of another century; the witnessed one is when it came.
    assert!(all.posts.is_sorted_by_key(|(_, time_ms)| *time_ms));
    assert!(all.posts.iter().all(|(_, time_ms)| (START_MS..START_MS + 600_000).contains(time_ms)));
    assert_eq!(all.changes, [(0, Change::Connected)]);
    assert_eq!(server.activity().pages, 0, "a fresh start is from now on");
}

#[tokio::test(start_paused = true)]
async fn heartbeats_alone_are_life_and_silence_is_not() {
    let kept = Kept::new(Duration::ZERO);
    let quiet = Script { until: Some(0), ..Script::calm(1, START_MS, 10) };
    run_for(quiet, options(None), 60 * MINUTE, None, &kept).await;
    assert_eq!(kept.all().changes, [(0, Change::Connected)]);

    let kept = Kept::new(Duration::ZERO);
    let script = Script { troubles: vec![Trouble::Silence], ..Script::calm(1, START_MS, 2) };
    run_for(script, options(None), 60 * MINUTE, None, &kept).await;
    let waits = kept.waits();
    assert!(waits.len() > 5 && waits.iter().all(|reason| reason.contains("not even a heartbeat")), "{waits:?}");
    assert_eq!(kept.gaps(), []);
}

#[tokio::test(start_paused = true)]
async fn what_came_while_disconnected_is_read_from_the_timeline() {
    let kept = Kept::new(Duration::ZERO);
    let script = Script::calm(1, START_MS - 600_000, 4);
    let (id, from_ms) = ((START_MS - 400_000) << 16, START_MS - 380_000);
    let resume = format!("{id} {from_ms}");
    let (server, _) = run_for(script, options(None), 2 * MINUTE, Some(&resume), &kept).await;
    let missed = server.first_from(START_MS) - server.first_from(START_MS - 400_000);
    assert!(server.activity().pages as f64 >= missed as f64 * 0.7 / 40.0, "{} pages", server.activity().pages);
    let all = kept.all();
    let filled: Vec<_> = all.posts.iter().filter(|(_, time_ms)| *time_ms < START_MS).collect();
    assert!(filled.len() as f64 > missed as f64 * 0.6, "{} of {missed}", filled.len());
    assert!(filled.iter().all(|(_, time_ms)| *time_ms >= from_ms), "no post is older than the gap");
    drop(all);
    assert_eq!(kept.gaps(), []);
}

#[tokio::test(start_paused = true)]
async fn a_gap_too_long_for_the_timeline_and_a_closed_timeline_are_reported() {
    let day_ms = 86_400_000;
    let resume = format!("{} {}", (START_MS - day_ms) << 16, START_MS - day_ms);
    let kept = Kept::new(Duration::ZERO);
    let script = Script::calm(1, START_MS - day_ms, 2);
    let (server, _) = run_for(script.clone(), options(None), 2 * MINUTE, Some(&resume), &kept).await;
    assert_eq!(server.activity().pages, 50, "and no more");
    let [Change::Gap { from_ms, to_ms, .. }] = kept.gaps()[..] else { panic!("{:?}", kept.gaps()) };
    // 2000 statuses, of which there are 1.5 a second.
    assert!((from_ms - (START_MS - day_ms) - 1_333_000).abs() < 200_000, "{from_ms}");
    assert_eq!(to_ms, START_MS);
    assert!(kept.all().posts.last().unwrap().1 > START_MS + 110_000, "and on it goes");

    let kept = Kept::new(Duration::ZERO);
    let script = Script { timeline_status: Some(422), ..script };
    run_for(script, options(None), 2 * MINUTE, Some(&resume), &kept).await;
    let gaps = kept.gaps();
    let [Change::Gap { from_ms, reason, .. }] = &gaps[..] else { panic!("{gaps:?}") };
    assert!(*from_ms == START_MS - day_ms && reason.contains("422"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_gap_is_reported_once_and_the_next_one_starts_where_it_ended() {
    let kept = Kept::new(Duration::ZERO);
    let resume = format!("{} {}", (START_MS - 600_000) << 16, START_MS - 600_000);
    let script = Script {
        timeline_status: Some(403),
        troubles: vec![Trouble::Cut],
        every_events: 50,
        ..Script::calm(1, START_MS, 2)
    };
    run_for(script, options(None), 10 * MINUTE, Some(&resume), &kept).await;
    let mut last_ms = START_MS - 600_000;
    let gaps = kept.gaps();
    assert!(gaps.len() > 5, "{gaps:?}");
    for gap in gaps {
        let Change::Gap { from_ms, to_ms, .. } = gap else { continue };
        assert!(from_ms >= last_ms && to_ms >= from_ms, "{from_ms} to {to_ms} after {last_ms}");
        last_ms = to_ms;
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_missing_wrong_or_revoked_stop_the_source_and_show_nowhere() {
    let script = Script { token: Some("SECRETgood".into()), ..Script::calm(1, START_MS, 5) };
    for token in [None, Some("SECRETbad")] {
        let kept = Kept::new(Duration::ZERO);
        let (_, ended) = run_for(script.clone(), options(token), MINUTE, None, &kept).await;
        let Some(SourceError::Refused(text)) = ended else { panic!("{ended:?}") };
        assert!(text.contains("MASTODON_TOKEN") && text.contains("read:statuses"), "{text}");
        assert!(!format!("{text} {:?}", kept.all()).contains("SECRET"));
    }
    let kept = Kept::new(Duration::ZERO);
    let script = Script { revoked_from_ms: Some(START_MS + 300_000), ..script };
    let (_, ended) = run_for(script, options(Some("SECRETgood")), 10 * MINUTE, None, &kept).await;
    assert!(matches!(ended, Some(SourceError::Refused(_))), "{ended:?}");
    assert!(kept.all().posts.len() > 900);
    assert!(!format!("{ended:?} {:?}", kept.all()).contains("SECRET"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_down_is_tried_again_with_growing_waits() {
    let kept = Kept::new(Duration::ZERO);
    let script = Script { troubles: vec![Trouble::Down], every_events: 300, ..Script::calm(1, START_MS, 5) };
    let (_, ended) = run_for(script, options(None), 30 * MINUTE, None, &kept).await;
    assert_eq!(ended, None);
    let waits = kept.waits();
    assert!(waits.iter().any(|reason| reason.contains("503")) && waits.iter().any(|r| r.contains("429")), "{waits:?}");
    let retries: Vec<_> = kept
        .all()
        .changes
        .iter()
        .filter_map(|(_, change)| match change {
            Change::Waiting { retry_in, .. } => Some(retry_in.as_millis()),
            _ => None,
        })
        .collect();
    assert!(retries.contains(&1125) && retries.contains(&2250) && retries.contains(&4500), "{retries:?}");
}

#[tokio::test(start_paused = true)]
async fn the_stream_may_be_at_another_host_but_not_at_a_less_safe_one() {
    for (server, streaming, asked) in [
        ("http://here.example", "ws://streaming.example", Some("http://streaming.example")),
        ("https://here.example", "wss://streaming.example/", Some("https://streaming.example")),
        ("https://here.example", "ws://streaming.example", Some("https://here.example")),
    ] {
        let clock = clock();
        let script = Script { streaming: Some(streaming.into()), ..Script::calm(1, START_MS, 5) };
        let fake = Instance::new(script, clock.clone());
        let hosts = Arc::new(Mutex::new(vec![]));
        let noted = hosts.clone();
        let router = fake.router().layer(axum::middleware::from_fn(
            move |request: axum::extract::Request, next: axum::middleware::Next| {
                noted.lock().unwrap().push(request.uri().to_string());
                next.run(request)
            },
        ));
        let options = Options { server: server.into(), ..options(None) };
        let mut client = Mastodon::new(options, InProcess(router), &context(clock)).unwrap();
        let _ = timeout(MINUTE, client.stream(None, &mut Kept::new(Duration::ZERO), Stop::never())).await;
        let hosts = hosts.lock().unwrap();
        assert_eq!(hosts[1].strip_suffix("/api/v1/streaming/public"), asked, "{hosts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_feed_asks_for_its_own_stream_and_timeline() {
    let resume = format!("{} {}", (START_MS - 60_000) << 16, START_MS - 60_000);
    for (feed, stream, timeline) in [
        (Feed::Local, "/api/v1/streaming/public/local", "/api/v1/timelines/public"),
        (Feed::Remote, "/api/v1/streaming/public/remote", "/api/v1/timelines/public"),
        (Feed::Hashtag("wx".into()), "/api/v1/streaming/hashtag", "/api/v1/timelines/tag/wx"),
    ] {
        let options = Options { feed, ..options(None) };
        let script = Script::calm(1, START_MS - 60_000, 5);
        let (server, _) = run_for(script, options, MINUTE, Some(&resume), &Kept::new(Duration::ZERO)).await;
        let paths = server.activity().paths;
        assert!(paths.contains_key(stream) && paths.contains_key(timeline), "{paths:?}");
    }
    let bad = |options| match Mastodon::new(options, Network::new(false).unwrap(), &context(Arc::new(|| 0))) {
        Err(SourceError::Config(text)) => text,
        _ => panic!("taken"),
    };
    assert!(bad(Options { server: "here.example".into(), ..options(None) }).contains("https://"));
    let plain = "http://here.example";
    assert!(bad(Options { server: plain.into(), ..options(Some("good")) }).contains("https://"));
    assert_eq!(Token::new(" \n"), Err(BadToken::Empty));
    assert!(bad(Options { feed: Feed::Hashtag("#wx".into()), ..options(None) }).contains("without #"));
}

/// The only test here with a socket and real time.
#[tokio::test]
async fn a_real_socket_works_as_well() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let clock: Clock =
        Arc::new(|| std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64);
    let start_ms = clock() - 10_000;
    let script = Script { token: Some("good".into()), ..Script::calm(1, start_ms, 100) };
    let server = Instance::new(script, clock.clone());
    let serving = tokio::spawn(server.clone().listen(listener));
    let kept = Kept::new(Duration::ZERO);
    let options = Options { server: address, ..options(Some("good")) };
    let mut client = Mastodon::new(options, Network::new(false).unwrap(), &context(clock)).unwrap();
    let resume = format!("{} {start_ms}", start_ms << 16);
    let mut intake = kept.clone();
    // More than the 750 of the timeline, so some of them come from the stream.
    let enough = async {
        while kept.ids().len() < 900 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        ended = client.stream(Some(&resume), &mut intake, Stop::never()) => panic!("{ended:?}"),
        done = timeout(MINUTE, enough) => done.expect("900 posts within a minute"),
    }
    assert!(server.activity().pages > 10);
    serving.abort();
}
