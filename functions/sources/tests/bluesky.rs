//! Golden cases of Jetstream messages: one file per case, with the message and what it must become.
//! And the client against the fake server, in simulated time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use birdsong_domain::post::InstallationKey;
use birdsong_domain::region::Regions;
use birdsong_sources::bluesky::fake::{InProcess, Jetstream, Script, Trouble};
use birdsong_sources::bluesky::{Bluesky, MAX_MESSAGE_BYTES, Options, Tcp, What, read_message};
use birdsong_sources::intake::Change;
use birdsong_sources::session::Stop;
use birdsong_sources::source::{Clock, Context, Source, SourceError};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::kept::{Kept, MINUTE, START_MS, clock};
use crate::shown;

const KEY: InstallationKey = InstallationKey([1; 16]);

fn context(clock: Clock) -> Context {
    birdsong_testkit::context(Arc::new(Regions::everything("all")), KEY, clock)
}

/// A short form of all that came of a message.
fn read(message: &[u8]) -> Value {
    let mut found = json!(null);
    let result = read_message(message, &KEY, &mut |post| {
        found = shown::post(post);
    });
    match result.map(|event| event.what) {
        Ok(What::Post) => json!({"post": found}),
        Ok(What::Notice(notice)) => json!({"notice": notice}),
        Err(error) => json!({"error": error.to_string()}),
    }
}

#[test]
fn every_golden_message_becomes_what_its_file_expects() {
    shown::check("bluesky", |case| read(shown::given(case, "message").as_bytes()));
}

#[test]
fn ids_are_of_the_repository_and_authors_are_hashed() {
    let mut seen = vec![];
    for collection in ["app.bsky.feed.post", "app.bsky.feed.repost"] {
        let commit = json!({"operation": "create", "collection": collection, "rkey": "3mmiqfsnzbk25", "record": {}});
        let message = json!({"did": "did:plc:a", "time_us": 1, "kind": "commit", "commit": commit}).to_string();
        read_message(message.as_bytes(), &KEY, &mut |post| seen.push((post.id, post.author))).unwrap();
    }
    assert_eq!(seen[0], (KEY.post("bluesky", b"did:plc:a/3mmiqfsnzbk25"), Some(KEY.hash("bluesky", "did:plc:a"))));
    assert_eq!(seen[0].1, seen[1].1);
    assert_ne!(seen[0].0, seen[1].0, "a repost may have the key of a post");
}

#[test]
fn a_repost_names_its_original() {
    let original = |subject: Value| {
        let record = json!({"subject": subject, "createdAt": "2026-05-23T05:41:07.318Z"});
        let commit =
            json!({"operation": "create", "collection": "app.bsky.feed.repost", "rkey": "3mmi", "record": record});
        let message = json!({"did": "did:plc:a", "time_us": 1, "kind": "commit", "commit": commit}).to_string();
        let mut found = None;
        read_message(message.as_bytes(), &KEY, &mut |post| found = post.repost_of).unwrap();
        found
    };
    let uri = |uri: &str| original(json!({"uri": uri, "cid": "bafyreinobody"}));
    assert_eq!(uri("at://did:plc:b/app.bsky.feed.post/3mmj"), Some(KEY.post("bluesky", b"did:plc:b/3mmj")));
    for odd in ["at://did:plc:b/app.bsky.feed.generator/3mmj", "at://did:plc:b", "https://example.org/a/b/c", ""] {
        assert_eq!(uri(odd), None, "{odd}");
    }
    assert_eq!((original(json!({})), original(Value::Null)), (None, None));
}

#[test]
fn odd_messages_are_reported_and_never_panic() {
    let deep = format!("{{\"commit\":{}", "[".repeat(200_000));
    let long = format!("{{\"did\":\"{}\"}}", "x".repeat(MAX_MESSAGE_BYTES));
    let commit = json!({"operation": "create", "collection": "app.bsky.feed.post", "rkey": "3mmi"});
    let no_time = json!({"did": "did:plc:a", "time_us": "1", "kind": "commit", "commit": commit}).to_string();
    for message in [&b"\xff"[..], b"", b"[]", b"null", b"{", no_time.as_bytes(), deep.as_bytes(), long.as_bytes()] {
        assert!(
            read(message).get("error").is_some(),
            "{:?}",
            String::from_utf8_lossy(&message[..message.len().min(40)])
        );
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, cut in 0usize..300, at in 0usize..300, byte: u8) {
        read(&bytes);
        let mut message = br#"{"did":"did:plc:a","time_us":1,"kind":"commit","commit":{"operation":"create","collection":"app.bsky.feed.post","rkey":"3m","record":{"text":"a \u00e9","langs":["en"],"facets":[{"features":[{"$type":"app.bsky.richtext.facet#tag","tag":"x"}]}],"embed":{"record":{"uri":"at://d/app.bsky.feed.post/r"}},"tags":["y"]}}}"#.to_vec();
        message[at] = byte;
        read(&message);
        read(&message[..cut]);
    }
}

fn options(hosts: &[&str]) -> Options {
    Options { hosts: hosts.iter().map(|host| (*host).to_owned()).collect(), ..Options::default() }
}

/// Runs a client for a time against a fake server, from `resume` on.
async fn run_for(script: Script, options: Options, time: Duration, resume: Option<i64>, kept: &Kept) -> Arc<Jetstream> {
    let clock = clock();
    let server = Jetstream::new(script, clock.clone());
    let mut client = Bluesky::new(options, InProcess::new(&server, 0), &context(clock)).unwrap();
    let resume = resume.map(|us| us.to_string());
    let ended = timeout(time, client.stream(resume.as_deref(), &mut kept.clone(), Stop::never())).await;
    assert!(ended.is_err(), "{ended:?}");
    server
}

#[tokio::test(start_paused = true)]
async fn every_event_is_read_once_and_the_resume_point_is_the_newest() {
    let kept = Kept::new(Duration::ZERO);
    let server =
        run_for(Script::calm(1, START_MS, 50), options(&["ws://host0"]), 5 * MINUTE, Some(START_MS * 1000), &kept)
            .await;
    let ids = kept.ids();
    let all = kept.all();
    let activity = server.activity();
    assert_eq!(activity.cursors, [Some(START_MS * 1000 - 5_000_000)], "rewound, as this may be another host");
    assert!((9..=10).contains(&activity.pongs), "{} pongs", activity.pongs);
    assert!(all.posts.len() as u64 + all.notices <= activity.sent && activity.sent > 12_000);
    let newest_us: i64 = all.resume.as_ref().unwrap().cursor.parse().unwrap();
    assert!((START_MS * 1000 + 299_000_000..START_MS * 1000 + 300_000_000).contains(&newest_us), "{newest_us}");
    assert_eq!(ids.len(), all.posts.len());
    assert_eq!(all.changes, [(0, Change::Connected)]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_behind_has_nothing_read_again() {
    let kept = Kept::new(Duration::ZERO);
    let (clock, behind_ms) = (clock(), 300_000);
    let server = Jetstream::new(Script::calm(1, START_MS - 86_400_000, 50), clock.clone());
    let behind: Clock = Arc::new(move || clock() - behind_ms);
    let mut client = Bluesky::new(options(&["ws://host0"]), InProcess::new(&server, 0), &context(behind)).unwrap();
    let resume_us = (START_MS - 20_000) * 1000;
    let ended = timeout(MINUTE, client.stream(Some(&resume_us.to_string()), &mut kept.clone(), Stop::never())).await;
    assert!(ended.is_err(), "{ended:?}");
    assert_eq!(server.activity().cursors, [Some(resume_us - 5_000_000)]);
    let resume = kept.all().resume.clone().unwrap();
    assert_eq!(resume.cursor, resume_us.to_string(), "no place of a clock that is wrong");
    // What comes again was put into the log by the same clock.
    assert!((START_MS - behind_ms - 5000..START_MS - behind_ms + 60_000).contains(&resume.since_ms), "{resume:?}");
}

/// As a small machine without a battery starts. Its posts would all lie in the future.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_far_behind_is_waited_for_and_costs_nothing() {
    let kept = Kept::new(Duration::ZERO);
    let (clock, off_ms) = (clock(), Arc::new(AtomicI64::new(86_400_000)));
    let server = Jetstream::new(Script::calm(1, START_MS - 86_400_000, 50), clock.clone());
    let (of_client, off) = (clock.clone(), off_ms.clone());
    let ours: Clock = Arc::new(move || of_client() - off.load(Ordering::Relaxed));
    let mut client = Bluesky::new(options(&["ws://host0"]), InProcess::new(&server, 0), &context(ours)).unwrap();
    let resume_us = (START_MS - 20_000) * 1000;
    let set_right = async {
        sleep(MINUTE).await;
        let activity = server.activity().cursors;
        assert!(
            activity.len() > 3 && activity.iter().all(|cursor| *cursor == Some(resume_us - 5_000_000)),
            "{activity:?}"
        );
        let waits = kept.waits();
        assert!(waits.iter().all(|reason| reason.contains("is the clock of this machine right?")), "{waits:?}");
        off_ms.store(0, Ordering::Relaxed);
        sleep(MINUTE).await;
        (activity.len(), server.activity().cursors.len())
    };
    let (resume, mut intake) = (resume_us.to_string(), kept.clone());
    let (tries, all) = tokio::select! {
        tries = set_right => tries,
        ended = client.stream(Some(&resume), &mut intake, Stop::never()) => panic!("{ended:?}"),
    };
    assert_eq!(all, tries + 1, "one that continues");
    assert_eq!(kept.gaps(), []);
    let now_us = kept.all().resume.clone().unwrap().cursor.parse::<i64>().unwrap();
    assert!((clock() * 1000 - now_us) < 2_000_000, "{now_us}");
}

#[tokio::test(start_paused = true)]
async fn a_dead_connection_and_a_quiet_one_are_distinguished() {
    for (trouble, word) in [(Trouble::Silence, "not even a ping"), (Trouble::Quiet, "the host pings")] {
        let kept = Kept::new(Duration::ZERO);
        let script = Script { troubles: vec![trouble], ..Script::calm(3, START_MS, 20) };
        run_for(script, options(&["ws://host0", "ws://host1"]), 60 * MINUTE, None, &kept).await;
        let waits = kept.waits();
        assert!(waits.len() > 5 && waits.iter().all(|reason| reason.contains(word)), "{waits:?}");
        assert_eq!(kept.gaps(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_fails_twice_in_a_row_makes_room_for_the_next() {
    let kept = Kept::new(Duration::ZERO);
    let hosts = ["ws://nobody", "ws://host0"];
    let server = run_for(Script::calm(1, START_MS, 20), options(&hosts), MINUTE, None, &kept).await;
    assert_eq!(server.activity().cursors, [None], "a fresh start is from now on");
    assert_eq!(kept.waits().len(), 2);
    assert!(kept.waits()[0].starts_with("nobody: "), "{:?}", kept.waits());
}

#[tokio::test(start_paused = true)]
async fn waits_double_to_half_a_minute() {
    let kept = Kept::new(Duration::ZERO);
    run_for(Script::calm(1, START_MS, 20), options(&["ws://nobody"]), 10 * MINUTE, None, &kept).await;
    let all = kept.all();
    let waits: Vec<_> = all
        .changes
        .iter()
        .map(|(_, change)| match change {
            Change::Waiting { retry_in, .. } => retry_in.as_millis(),
            _ => 0,
        })
        .collect();
    assert_eq!(waits[..3], [281, 562, 1125], "with half of the jitter of a quarter");
    assert!(waits.iter().max() == Some(&33_750) && waits.len() < 40, "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn what_the_host_no_longer_has_is_reported_as_a_gap() {
    let kept = Kept::new(Duration::ZERO);
    let hour_us = 3_600_000_000;
    let script = Script { retention: 36 * 60 * MINUTE, ..Script::calm(1, START_MS - 48 * 3_600_000, 1) };
    run_for(script, options(&["ws://host0"]), MINUTE, Some(START_MS * 1000 - 40 * hour_us), &kept).await;
    let [Change::Gap { from_ms, to_ms, .. }] = kept.gaps()[..] else { panic!("{:?}", kept.gaps()) };
    assert_eq!(from_ms, START_MS - 40 * 3_600_000);
    assert!((0..10_000).contains(&(to_ms - (START_MS - 36 * 3_600_000))), "{to_ms}");
}

#[tokio::test(start_paused = true)]
async fn a_cursor_is_never_in_the_future() {
    let kept = Kept::new(Duration::ZERO);
    let script = Script { skew_us: vec![3_600_000_000], troubles: vec![Trouble::Cut], ..Script::calm(1, START_MS, 20) };
    let server = run_for(script, options(&["ws://host0"]), 10 * MINUTE, None, &kept).await;
    let cursors = server.activity().cursors;
    assert!(cursors.len() > 5);
    for cursor in cursors.into_iter().flatten() {
        assert!(cursor <= START_MS * 1000 + 595_000_000, "{cursor}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_always_breaks_the_connection_is_skipped_and_reported() {
    let kept = Kept::new(Duration::ZERO);
    let script = Script { poison: Some(2000), ..Script::calm(1, START_MS, 20) };
    let server = run_for(script, options(&["ws://host0"]), 10 * MINUTE, None, &kept).await;
    let gaps = kept.gaps();
    let all = kept.all();
    assert_eq!(all.unreadable, ["a message is not UTF-8"], "once, not at each try");
    let [Change::Gap { from_ms, to_ms, .. }] = gaps[..] else { panic!("{gaps:?}") };
    let poison_ms = server.time_us(2000) / 1000;
    assert!(from_ms <= poison_ms && poison_ms <= to_ms && to_ms - from_ms < 3000, "{from_ms} {poison_ms} {to_ms}");
    assert!(all.posts.last().unwrap().1 > START_MS + 590_000, "and on it goes");
}

#[tokio::test(start_paused = true)]
async fn a_slow_log_does_not_cost_the_connection_until_the_room_is_used_up() {
    let kept = Kept::new(3 * MINUTE);
    let server = run_for(Script::calm(1, START_MS, 50), options(&["ws://host0"]), 30 * MINUTE, None, &kept).await;
    assert_eq!((server.activity().slow, server.activity().cursors.len()), (0, 1));
    assert!(server.activity().pongs >= 59, "pings are answered meanwhile: {}", server.activity().pongs);

    // 8 MiB of messages are less than a quarter of an hour of 50 events a second.
    let kept = Kept::new(30 * MINUTE);
    let server = run_for(Script::calm(1, START_MS, 50), options(&["ws://host0"]), 60 * MINUTE, None, &kept).await;
    let activity = server.activity();
    assert_eq!((activity.slow, activity.cursors.len()), (1, 2), "the host drops a reader that reads nothing");
    assert_eq!(kept.gaps(), [], "it continues where the log is");
    assert!(kept.all().posts.last().unwrap().1 > START_MS + 3_590_000, "and catches up");
}

#[tokio::test(start_paused = true)]
async fn compressed_messages_are_read_with_the_dictionary_file() {
    let calm = Script::calm(1, START_MS, 50);
    let teacher = Jetstream::new(calm.clone(), clock());
    let samples: Vec<_> = (0..5000).filter_map(|n| teacher.event(n, 0, &[])).collect();
    let dictionary = zstd::dict::from_samples(&samples, 32 << 10).unwrap();
    let other = zstd::dict::from_samples(&samples[1000..], 16 << 10).unwrap();
    let script = Script { dictionary: Some(dictionary.clone()), troubles: vec![Trouble::TooLong], ..calm.clone() };

    let (plain, packed) = (Kept::new(Duration::ZERO), Kept::new(Duration::ZERO));
    run_for(calm.clone(), options(&["ws://host0"]), 5 * MINUTE, None, &plain).await;
    let with = |bytes: &[u8]| Options { dictionary: Some(bytes.to_vec()), ..options(&["ws://host0"]) };
    run_for(script.clone(), with(&dictionary), 5 * MINUTE, None, &packed).await;
    assert_eq!(packed.all().posts, plain.all().posts);
    assert!(plain.all().unreadable.is_empty());
    let unreadable = packed.all().unreadable.clone();
    assert!(!unreadable.is_empty() && unreadable.iter().all(|reason| reason.starts_with("zstd: ")), "{unreadable:?}");

    let clock = clock();
    let server = Jetstream::new(script, clock.clone());
    let mut client = Bluesky::new(with(&other), InProcess::new(&server, 0), &context(clock.clone())).unwrap();
    let ended = timeout(MINUTE, client.stream(None, &mut Kept::new(Duration::ZERO), Stop::never())).await.unwrap();
    assert!(matches!(&ended, Some(SourceError::Config(text)) if text.contains("another dictionary")), "{ended:?}");

    // A host that does not know the request answers 400.
    let server = Jetstream::new(calm, clock.clone());
    let mut client = Bluesky::new(with(&dictionary), InProcess::new(&server, 0), &context(clock)).unwrap();
    let ended = timeout(MINUTE, client.stream(None, &mut Kept::new(Duration::ZERO), Stop::never())).await.unwrap();
    assert!(matches!(&ended, Some(SourceError::Config(text)) if text.contains("does not compress")), "{ended:?}");
}

#[test]
fn unusable_options_are_errors() {
    let fails = |options: Options| match Bluesky::new(options, Tcp, &context(Arc::new(|| 0))) {
        Err(SourceError::Config(text)) => text,
        _ => panic!("taken"),
    };
    assert!(fails(options(&["https://host"])).contains("wss://"));
    assert!(fails(options(&[])).contains("no Jetstream host"));
    assert!(fails(Options { collections: vec!["a&cursor=1".into()], ..Options::default() }).contains("no collection"));
    assert!(fails(Options { collections: vec![], ..Options::default() }).contains("1 to 100"));
    assert!(
        fails(Options { dictionary: Some(b"words".to_vec()), ..Options::default() }).contains("no zstd dictionary")
    );
}

/// The only test here with a socket and real time.
#[tokio::test]
async fn a_real_socket_works_as_well() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("ws://{}", listener.local_addr().unwrap());
    let clock: Clock =
        Arc::new(|| std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64);
    let start_ms = clock() - 60_000;
    let server = Jetstream::new(Script::calm(1, start_ms, 500), clock.clone());
    let serving = tokio::spawn(server.clone().listen(listener));
    let kept = Kept::new(Duration::ZERO);
    let mut client = Bluesky::new(options(&[&address]), Tcp, &context(clock)).unwrap();
    let resume = (start_ms * 1000).to_string();
    let mut intake = kept.clone();
    let enough = async {
        while kept.all().posts.len() < 15_000 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        ended = client.stream(Some(&resume), &mut intake, Stop::never()) => panic!("{ended:?}"),
        done = timeout(MINUTE, enough) => done.expect("15,000 posts of the last minute within a minute"),
    }
    serving.abort();
}
