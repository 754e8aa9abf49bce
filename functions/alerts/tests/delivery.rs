//! Alerts from events to fake receivers.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::io::Write;
use std::sync::{Arc, Mutex};

use birdsong_alerts::channel::{Publish, Published};
use birdsong_alerts::engine::{LEASE_MS, NEWS_MS};
use birdsong_alerts::state::{Channel, Tried};
use birdsong_alerts::{Alerts, Channels, KnownEvents, Outcome, Secret, state};
use birdsong_domain::alert::{Alert, Email, Value, Webhook};
use birdsong_domain::event::text::Language;
use birdsong_domain::event::{Event, EventKind, Subject, encode_all};
use birdsong_domain::ports::{DocumentKey, DocumentKind, DocumentStore, PortError};
use birdsong_domain::region::Regions;
use birdsong_domain::rollup::DAY_MS;
use birdsong_domain::window::FoldRules;
use birdsong_testkit::{Call, Hook, Hooked, MemoryStore};
use support::{FakeSmtp, FakeWebhook};

/// 2026-11-26T00:00:00Z.
const DAY: i64 = 1_795_651_200_000;
const NOW: i64 = DAY + 20 * 3_600_000;
const REGIONS: &str = "[[region]]\nid = \"montreal\"\nname = \"Montréal\"\nlanguages = [\"fr\"]\n";
const MINUTE: i64 = 60_000;

fn spike(start_ms: i64, score_milli: i64) -> Event {
    Event {
        is_open: true,
        end_ms: start_ms + 900_000,
        peak_ms: start_ms + 900_000,
        span_ms: 900_000,
        observed: 900,
        expected_milli: 300_000,
        score_milli,
        ..Event::new("montreal", EventKind::Spike, Subject::Region, start_ms)
    }
}

fn hook() -> Alert {
    let variable = |name: &str| Value::Variable(name.into());
    let webhook = Webhook { url: variable("HOOK"), secret: Some(variable("HOOK_KEY")) };
    Alert { id: "desk".into(), webhook: Some(webhook), ..Alert::default() }
}

fn alerts(list: Vec<Alert>, url: &str) -> Alerts {
    let url = url.to_owned();
    let variables = move |name: &str| match name {
        "HOOK" => Some(Secret::new(format!("{url}?sesame"))),
        "SMTP" => Some(Secret::new(url.clone())),
        "HOOK_KEY" => Some(Secret::new("open-sesame".into())),
        _ => None,
    };
    let regions = Regions::parse("test", REGIONS).unwrap().list().to_vec();
    let alerts = Alerts::new(list, Channels::new(variables).unwrap(), "https://birds.example/");
    alerts.with_regions(regions, FoldRules::default())
}

#[tokio::test]
async fn an_event_reaches_the_webhook_once_signed_and_with_all_that_it_says() {
    let (fake, store) = (FakeWebhook::start(&[]).await, MemoryStore::default());
    let alerts = alerts(vec![hook()], &fake.url);
    let event = spike(NOW - 20 * MINUTE, 14_000);
    for later in 0..3 {
        let done = alerts.run(&store, std::slice::from_ref(&event), NOW + later * MINUTE).await.unwrap();
        assert_eq!(done, Outcome { delivered: u64::from(later == 0), ..Outcome::default() });
    }
    let requests = fake.requests();
    let [request] = &requests[..] else { panic!("{requests:?}") };
    let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
    let title = "Montréal: 900 posts in 15 minutes, usually 300, 3×, since 19:40 UTC";
    assert_eq!((&body["title"], &body["message"]), (&title.into(), &"new".into()));
    assert!(body["text"].as_str().unwrap().starts_with(title));
    let link = "https://birds.example/?region=montreal&from=2026-11-26T18:40:00Z&to=2026-11-26T20:55:00Z";
    assert_eq!((&body["link"], &body["region"]["name"]), (&link.into(), &"Montréal".into()));
    assert_eq!(
        (&body["event"]["id"], &body["event"]["start"]),
        (&event.id.clone().into(), &"2026-11-26T19:40:00Z".into())
    );
    assert_eq!(request.header("Birdsong-Delivery"), Some(&*format!("desk-{}-new-webhook", event.id)));
    assert_eq!(body["delivery"].as_str(), request.header("Birdsong-Delivery"));
    let key = Secret::new("open-sesame".into());
    let signature = birdsong_alerts::webhook::signature(&key, NOW / 1000, request.body.as_bytes());
    assert_eq!(request.header("Birdsong-Signature"), Some(&*signature));
}

/// Lets other runs go first at each call, now and then several times.
#[derive(Debug, Default)]
struct Rivals(std::sync::atomic::AtomicU64);

impl Hook for Rivals {
    async fn before(&self, _: Call<'_>) -> Result<(), PortError> {
        let n = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        for _ in 0..(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62) {
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

#[tokio::test]
async fn two_digests_at_once_send_once() {
    let fake = FakeWebhook::start(&[]).await;
    let store = Hooked { rows: Arc::new(MemoryStore::default()), hook: Rivals::default() };
    let (one, other) = (alerts(vec![hook()], &fake.url), alerts(vec![hook()], &fake.url));
    for n in 0..50 {
        let now_ms = NOW + n * 8 * 3_600_000;
        let events = [spike(now_ms - 20 * MINUTE, 14_000)];
        let (a, b) = tokio::join!(one.run(&store, &events, now_ms), other.run(&store, &events, now_ms));
        assert_eq!(a.unwrap().delivered + b.unwrap().delivered, 1, "{n}");
    }
    assert_eq!(fake.requests().len(), 50);
    let state = birdsong_alerts::state(&store, "desk").await.unwrap();
    assert_eq!((state.delivered, state.waiting.len()), (50, 0));
}

/// Each call fails by a list, last one first.
#[derive(Debug, Default)]
struct Faults(Mutex<Vec<bool>>);

impl Hook for Faults {
    async fn before(&self, _: Call<'_>) -> Result<(), PortError> {
        match self.0.lock().unwrap().pop() {
            Some(true) => Err(PortError::Unavailable { what: "the store", reason: "a fault of the test".into() }),
            _ => Ok(()),
        }
    }
}

#[tokio::test]
async fn whichever_call_of_the_store_fails_the_message_comes_and_only_under_one_id() {
    for failing in 0..4 {
        let fake = FakeWebhook::start(&[]).await;
        let faults = (0..=failing).map(|call| call == failing).rev().collect();
        let store = Hooked { rows: Arc::new(MemoryStore::default()), hook: Faults(Mutex::new(faults)) };
        let alerts = alerts(vec![hook()], &fake.url);
        let events = [spike(NOW - 20 * MINUTE, 14_000)];
        // Read, claim, read, finish.
        assert!(alerts.run(&store, &events, NOW).await.is_err(), "{failing}");
        for minute in 1..10 {
            alerts.run(&store, &events, NOW + minute * MINUTE).await.unwrap();
        }
        let ids: Vec<_> =
            fake.requests().iter().map(|request| request.header("Birdsong-Delivery").map(str::to_owned)).collect();
        // What was sent before the end could be stored is sent again.
        assert_eq!(ids.len(), if failing < 2 { 1 } else { 2 }, "{failing}");
        assert!(ids.iter().all(|id| id == &ids[0]), "{ids:?}");
        let state = birdsong_alerts::state(&store, "desk").await.unwrap();
        assert_eq!((state.delivered, state.waiting.len(), state.failed), (1, 0, 0), "{failing}");
    }
}

#[tokio::test]
async fn a_crash_between_claim_and_end_sends_again_under_the_same_id() {
    let (fake, store) = (FakeWebhook::start(&[]).await, MemoryStore::default());
    let alerts = alerts(vec![hook()], &fake.url);
    let events = [spike(NOW - 20 * MINUTE, 14_000)];
    // The run ends after its claim: the receiver may have the message or not.
    let mut claimed = state::State::default();
    let due = birdsong_alerts::engine::decide(&hook(), &mut claimed, &events, NOW);
    assert_eq!(due.len(), 1);
    let key = DocumentKey { kind: DocumentKind::Alert, region: "desk".into(), start_ms: 0 };
    store.put_document(&key, Some(&serde_json::to_vec(&claimed).unwrap()), None).await.unwrap();
    alerts.run(&store, &events, NOW + LEASE_MS - 1).await.unwrap();
    assert!(fake.requests().is_empty(), "somebody may still be at it");
    alerts.run(&store, &events, NOW + LEASE_MS).await.unwrap();
    alerts.run(&store, &events, NOW + 2 * LEASE_MS).await.unwrap();
    let ids: Vec<_> =
        fake.requests().iter().map(|request| request.header("Birdsong-Delivery").map(str::to_owned)).collect();
    assert_eq!(ids, [Some(due[0].0.clone())]);
    assert!(birdsong_alerts::state(&store, "desk").await.unwrap().waiting.is_empty());
}

#[tokio::test]
async fn failures_are_retried_with_growing_waits_and_then_given_up_and_stated() {
    let trouble = ["503 Unavailable\r\n", "302 Found\r\nLocation: http://127.0.0.1:1/\r\n", "cut"];
    let (fake, store) = (FakeWebhook::start(&trouble).await, MemoryStore::default());
    let alerts = alerts(vec![hook()], &fake.url);
    let events = [spike(NOW - 20 * MINUTE, 14_000)];
    let mut tries = vec![];
    for minute in 0..15 {
        let done = alerts.run(&store, &events, NOW + minute * MINUTE).await.unwrap();
        tries.extend((done.failed > 0).then_some((minute, done.given_up)));
    }
    assert_eq!(tries, [(0, 0), (1, 0), (5, 1)]);
    let ids: Vec<_> =
        fake.requests().iter().map(|request| request.header("Birdsong-Delivery").map(str::to_owned)).collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]) && ids.len() == 3, "{ids:?}");
    let state = birdsong_alerts::state(&store, "desk").await.unwrap();
    assert_eq!((state.failed, state.waiting.len()), (1, 0));
    assert!(state.problem.unwrap().reason.starts_with("the request failed"));
}

#[tokio::test]
async fn a_receiver_that_asks_to_wait_is_left_alone_so_long() {
    let (fake, store) = (FakeWebhook::start(&["429 Slow\r\nRetry-After: 600\r\n"]).await, MemoryStore::default());
    let alerts = alerts(vec![hook()], &fake.url);
    let events = [spike(NOW - 20 * MINUTE, 14_000)];
    for (minute, delivered) in [(0, 0), (9, 0), (10, 1)] {
        assert_eq!(alerts.run(&store, &events, NOW + minute * MINUTE).await.unwrap().delivered, delivered);
    }
}

#[tokio::test]
async fn mail_is_sent_and_a_refusal_is_stated_without_what_the_server_says() {
    let store = MemoryStore::default();
    let email = |smtp: &str| Email {
        to: vec!["Desk <desk@example.org>".into(), "b@example.org".into()],
        from: "birds@example.org".into(),
        smtp: Value::Plain(smtp.to_owned()),
    };
    let fake = FakeSmtp::start(None).await;
    let alert = Alert { email: Some(email(&fake.url)), language: Language::French, webhook: None, ..hook() };
    let events = [spike(NOW - 20 * MINUTE, 14_000)];
    assert_eq!(alerts(vec![alert.clone()], "").run(&store, &events, NOW).await.unwrap().delivered, 1);
    let mail = fake.mails.lock().unwrap()[0].clone();
    for part in [
        "To: Desk <desk@example.org>, b@example.org",
        "From: birds@example.org",
        "Subject: ",
        "Auto-Submitted: auto-generated",
    ] {
        assert!(mail.contains(part), "{mail}");
    }
    assert!(mail.contains(&format!("Message-ID: <desk-{}-new-email@example.org>", events[0].id)), "{mail}");
    let refusing = FakeSmtp::start(Some("550 SESAME is not allowed")).await;
    let alert = Alert { email: Some(email(&refusing.url)), ..alert };
    let done = alerts(vec![alert.clone()], "").test(&alert, NOW).await;
    assert_eq!(done.len(), 1);
    let Tried::Failed { reason, .. } = &done[0].1 else { panic!("{done:?}") };
    assert_eq!(reason, "the mail server refused it (550)");
}

#[derive(Debug, Default)]
struct Topic(Mutex<Vec<(String, String, String)>>);

impl Publish for Topic {
    fn publish<'a>(&'a self, delivery: &'a str, subject: &'a str, text: &'a str) -> Published<'a> {
        self.0.lock().unwrap().push((delivery.into(), subject.into(), text.into()));
        Box::pin(std::future::ready(Ok(())))
    }
}

#[tokio::test]
async fn a_topic_gets_a_subject_in_ascii() {
    let topic = Arc::new(Topic::default());
    let alert = Alert { sns: true, webhook: None, ..hook() };
    let without = Alerts::new(vec![alert.clone()], Channels::new(|_| None).unwrap(), "");
    let Tried::Failed { reason, .. } = &without.test(&alert, NOW).await[0].1 else { panic!() };
    assert!(reason.contains("AWS"), "{reason}");
    let channels = Channels::new(|_| None).unwrap().with_topic(topic.clone());
    let regions = Regions::parse("test", REGIONS).unwrap().list().to_vec();
    let alerts = Alerts::new(vec![alert], channels, "").with_regions(regions, FoldRules::default());
    alerts.run(&MemoryStore::default(), &[spike(NOW - 20 * MINUTE, 14_000)], NOW).await.unwrap();
    let published = topic.0.lock().unwrap();
    let [(delivery, subject, text)] = &published[..] else { panic!("{published:?}") };
    assert!(delivery.ends_with("-new-sns") && subject.is_ascii() && subject.len() <= 100, "{subject}");
    assert!(text.starts_with("Montréal: 900 posts"), "{text}");
}

#[tokio::test]
async fn the_daily_digest_is_sent_once_at_its_time_with_events_and_notes() {
    let (fake, store) = (FakeWebhook::start(&[]).await, MemoryStore::default());
    let event = Event { is_open: false, ..spike(DAY + 10 * 3_600_000, 14_000) };
    let key = DocumentKey { kind: DocumentKind::Events, region: "montreal".into(), start_ms: DAY };
    store.put_document(&key, Some(&encode_all(&[event]).unwrap()), None).await.unwrap();
    let note = Event::note("montreal", (DAY + 5, DAY + 5), "Derby <now>").unwrap();
    birdsong_digest::notes::add(&store, note).await.unwrap();
    let alerts = alerts(vec![Alert { daily: Some(420), ..hook() }], &fake.url);
    let due = DAY + DAY_MS + 7 * 3_600_000;
    for (now_ms, delivered) in [(due - 1, 0), (due, 1), (due + MINUTE, 0), (due + DAY_MS + NEWS_MS + 1, 0)] {
        let run = alerts.run_latest(&store, &mut KnownEvents::default(), true, now_ms).await;
        assert_eq!(run.unwrap().delivered, delivered);
    }
    let requests = fake.requests();
    let body: serde_json::Value = serde_json::from_str(&requests[0].body).unwrap();
    assert_eq!(body["title"], "Birdsong, Thursday 26 November 2026 (UTC)");
    let summary = body["summary"].as_str().unwrap();
    assert!(
        summary.contains("Montréal: no posts\n- 900 posts in 15 minutes, usually 300, 3×, from 10:00 to 10:15"),
        "{summary}"
    );
    assert!(body["text"].as_str().unwrap().contains("Derby &lt;now&gt;"), "{body}");
    assert_eq!(requests[0].header("Birdsong-Delivery"), Some(&*format!("desk-{DAY:x}-daily-webhook")));
}

#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_in_the_log_in_debug_or_in_the_state() {
    let (log, store) = (Log::default(), MemoryStore::default());
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    // Nothing listens on port 1.
    let email = Email { to: vec!["a@b".into()], from: "c@d".into(), smtp: Value::Variable("SMTP_KEY".into()) };
    let alert = Alert { email: Some(email), log: true, ..hook() };
    let variables = |name: &str| {
        let text = match name {
            "HOOK" => "http://user:sesame@127.0.0.1:1/sesame?key=sesame",
            "HOOK_KEY" => "sesame",
            _ => "smtp://user:sesame@127.0.0.1:1",
        };
        Some(Secret::new(text.into()))
    };
    let alerts = Alerts::new(vec![alert.clone()], Channels::new(variables).unwrap(), "");
    let events = [spike(NOW - 20 * MINUTE, 14_000)];
    for minute in [0, 1, 5] {
        alerts.run(&store, &events, NOW + minute * MINUTE).await.unwrap();
    }
    let tested = alerts.test(&alert, NOW).await;
    assert!(matches!(tested[0], (Channel::Webhook, Tried::Failed { .. })), "{tested:?}");
    let state = birdsong_alerts::state(&store, "desk").await.unwrap();
    assert_eq!((state.delivered, state.failed), (1, 2));
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("an alert was not delivered") && logged.contains("900 posts"), "{logged}");
    for text in [logged, format!("{state:?} {alerts:?} {tested:?}"), serde_json::to_string(&state).unwrap()] {
        assert!(!text.contains("sesame"), "{text}");
    }
}

#[tokio::test]
async fn missing_variables_are_named() {
    let alert = Alert {
        email: Some(Email { to: vec![], from: String::new(), smtp: Value::Variable("NONE".into()) }),
        ..hook()
    };
    assert_eq!(alerts(vec![alert.clone(), alert], "x").missing_variables(), ["NONE"]);
}

#[tokio::test]
async fn events_are_read_again_when_the_digest_found_some_and_after_ten_minutes() {
    let (fake, store) = (FakeWebhook::start(&[]).await, MemoryStore::default());
    let alerts = alerts(vec![hook()], &fake.url);
    let mut known = KnownEvents::default();
    assert_eq!(alerts.run_latest(&store, &mut known, false, NOW).await.unwrap().delivered, 0);
    let (key, mut events) =
        (DocumentKey { kind: DocumentKind::Events, region: "montreal".into(), start_ms: DAY }, vec![]);
    for (place, kind) in [EventKind::Spike, EventKind::Drop].into_iter().enumerate() {
        let start = NOW + 5 * MINUTE * place as i64;
        let event = spike(start - 20 * MINUTE, 14_000);
        events.push(Event { kind, id: format!("{}-{place}", event.id), expected_milli: 2_000_000, ..event });
        let revision = (place > 0).then_some(place as u64);
        store.put_document(&key, Some(&encode_all(&events).unwrap()), revision).await.unwrap();
        assert_eq!(alerts.run_latest(&store, &mut known, false, start + MINUTE).await.unwrap().delivered, 0);
        let (is_news, later) = [(true, start + 2 * MINUTE), (false, start + 12 * MINUTE)][place];
        assert_eq!(alerts.run_latest(&store, &mut known, is_news, later).await.unwrap().delivered, 1, "{place}");
    }
}
