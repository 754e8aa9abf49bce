//! What DynamoDB does beyond the contract: lost answers, throttles, damage, and what is billed.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use axum::body::Body;
use axum::http::Request;
use birdsong_aws::DynamoStore;
use birdsong_aws::lambda::api::Service;
use birdsong_domain::format;
use birdsong_domain::frame::Lane;
use birdsong_domain::network::Network;
use birdsong_domain::ports::{Expected, PartialKey, PortError, PutOutcome, Settings, WindowStore};
use birdsong_domain::post::Kind;
use birdsong_domain::time::WindowStart;
use birdsong_testkit::sample_partial;

use crate::emulators::{self, NAME};
use crate::faults::{Fault, Faults};

/// 2023-11-14T22:15:00Z
const WINDOW: i64 = 1_700_000_100_000;
const FENCE: &str = "49590338271490256608559692538361571095921575989136588898";

async fn faulty() -> (DynamoStore, Client, Faults) {
    let address = emulators::dynamodb().await;
    let faults = Faults::default();
    let client = emulators::dynamodb_client(address, faults.http());
    emulators::create_table(&client).await;
    (DynamoStore::new(client.clone(), NAME.into()), client, faults)
}

fn key(window: i64) -> PartialKey {
    PartialKey { lane: Lane::posts("a", Network::X, 0), window: WindowStart(window) }
}

async fn attributes(client: &Client, sk: &str) -> std::collections::HashMap<String, AttributeValue> {
    let text = |text: &str| AttributeValue::S(text.into());
    let call = client.get_item().table_name(NAME).key("pk", text("a#2023-11-14")).key("sk", text(sk));
    call.send().await.unwrap().item.unwrap()
}

#[tokio::test]
async fn a_put_whose_answer_was_lost_is_stored() {
    let (store, _, faults) = faulty().await;
    let first = sample_partial(1, 1u64.into(), 1);
    // The first put of a day puts the day on the list, and that of an hour marks the hour.
    faults.script("PutItem", [Fault::Pass, Fault::Pass, Fault::AnswerLost]);
    assert_eq!(store.put(&key(WINDOW), &first, &Expected::Absent).await.unwrap(), PutOutcome::Stored);
    assert_eq!(faults.take_calls("PutItem"), 4);
    let at_first = Expected::At { generation: 1, fence: 1u64.into() };
    let second = sample_partial(1, 2u64.into(), 2);
    faults.script("PutItem", [Fault::AnswerLost, Fault::AnswerLost]);
    assert_eq!(store.put(&key(WINDOW), &second, &at_first).await.unwrap(), PutOutcome::Stored);
    let third = sample_partial(2, 2u64.into(), 3);
    faults.script("PutItem", [Fault::AnswerLost, Fault::error(400, "ThrottlingException"), Fault::Lost]);
    let version = store.version(&key(WINDOW)).await.unwrap().unwrap();
    assert_eq!(store.put(&key(WINDOW), &third, &Expected::Row(version)).await.unwrap(), PutOutcome::Stored);
    assert_eq!(store.load(&key(WINDOW)).await.unwrap().unwrap().encode().unwrap(), third.encode().unwrap());
    let version = store.version(&key(WINDOW)).await.unwrap().unwrap();
    faults.script("DeleteItem", [Fault::AnswerLost, Fault::Lost]);
    assert!(store.remove(&key(WINDOW), &version).await.unwrap(), "the repeated deletion finds nothing");
    assert!(store.load(&key(WINDOW)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_put_none_of_whose_answers_came_is_unavailable_and_its_repetition_a_conflict() {
    let (store, _, faults) = faulty().await;
    let partial = sample_partial(1, 1u64.into(), 1);
    let lost = std::iter::repeat_n(Fault::AnswerLost, 4);
    faults.script("PutItem", [Fault::Pass, Fault::Pass].into_iter().chain(lost));
    let error = store.put(&key(WINDOW), &partial, &Expected::Absent).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert_eq!(store.put(&key(WINDOW), &partial, &Expected::Absent).await.unwrap(), PutOutcome::Conflict);
    assert_eq!(store.load(&key(WINDOW)).await.unwrap().unwrap().fence, 1u64.into());
}

#[tokio::test]
async fn the_same_bytes_of_another_writer_are_a_conflict() {
    let client = emulators::table().await;
    let stores = [DynamoStore::new(client.clone(), NAME.into()), DynamoStore::new(client, NAME.into())];
    let partial = sample_partial(1, 1u64.into(), 1);
    assert_eq!(stores[0].put(&key(WINDOW), &partial, &Expected::Absent).await.unwrap(), PutOutcome::Stored);
    assert_eq!(stores[1].put(&key(WINDOW), &partial, &Expected::Absent).await.unwrap(), PutOutcome::Conflict);
}

#[tokio::test]
async fn calls_are_tried_again_when_that_may_help() {
    let (store, _, faults) = faulty().await;
    let partial = sample_partial(1, 1u64.into(), 1);
    store.put(&key(WINDOW), &partial, &Expected::Absent).await.unwrap();
    for fault in [Fault::error(400, "ProvisionedThroughputExceededException"), Fault::error(503, "x"), Fault::Lost] {
        for operation in ["GetItem", "Query", "PutItem"] {
            let call = async || match operation {
                "GetItem" => store.load(&key(WINDOW)).await.map(drop),
                "Query" => store.newest("a").await.map(drop),
                _ => store.set_setting("x", "y").await,
            };
            faults.script(operation, std::iter::repeat_n(fault.clone(), 3));
            assert!(call().await.is_ok(), "{operation} {fault:?}");
            faults.script(operation, std::iter::repeat_n(fault.clone(), 4));
            let error = call().await.unwrap_err();
            assert!(error.is_retryable(), "{operation} {fault:?}: {error}");
            faults.script(operation, [Fault::error(400, "AccessDeniedException")]);
            let error = call().await.unwrap_err();
            assert!(matches!(error, PortError::Refused { .. }), "{operation}: {error}");
        }
    }
}

#[tokio::test]
async fn a_missing_table_is_an_error_with_a_remedy() {
    let (_, client, _) = faulty().await;
    let store = DynamoStore::new(client, "other".into());
    let error = store.load(&key(WINDOW)).await.unwrap_err();
    assert!(matches!(error, PortError::Refused { what: "DynamoDB GetItem", .. }), "{error:?}");
    assert!(error.to_string().contains("check its name, AWS_REGION"), "{error}");
}

#[tokio::test]
async fn a_damaged_item_is_an_error_that_names_it_until_a_reprocess_replaces_it() {
    let (store, client, _) = faulty().await;
    let partial = sample_partial(1, 7u64.into(), 1);
    let next = sample_partial(2, 7u64.into(), 2);
    let sk = "2023-11-14T22:15:00Z#x#0";
    for (name, value) in [
        ("s", Some(AttributeValue::B(Blob::new([1, 2, 3])))),
        ("s", None),
        ("f", None),
        ("g", None),
        ("f", Some(AttributeValue::S("001:6".into()))),
        ("f", Some(AttributeValue::S("007:9999999".into()))),
        ("f", Some(AttributeValue::N("7".into()))),
        ("g", Some(AttributeValue::S("1".into()))),
        ("g", Some(AttributeValue::N("4294967296".into()))),
    ] {
        store.put(&key(WINDOW), &partial, &Expected::Absent).await.unwrap();
        let mut item = attributes(&client, sk).await;
        match value.clone() {
            Some(value) => item.insert(name.into(), value),
            None => item.remove(name),
        };
        client.put_item().table_name(NAME).set_item(Some(item)).send().await.unwrap();
        let mut rows = store.query("a", WindowStart(WINDOW), WindowStart(WINDOW + 1)).await.unwrap();
        let (of_query, row) = rows.pop().unwrap();
        assert_eq!((of_query, rows.len()), (key(WINDOW), 0), "it hides no other row");
        for error in [store.load(&key(WINDOW)).await.map(drop).unwrap_err(), row.map(drop).unwrap_err()] {
            assert!(matches!(error, PortError::Corrupt { .. }), "{name} {value:?}: {error:?}");
            assert!(error.to_string().contains("item a#2023-11-14 / 2023-11-14T22:15:00Z#x#0"), "{error}");
        }
        assert_eq!(store.put(&key(WINDOW), &next, &Expected::Absent).await.unwrap(), PutOutcome::Conflict);
        // Whatever is damaged, the row can be recognized, replaced and removed.
        assert_eq!(store.keys(WindowStart(WINDOW), WindowStart(WINDOW + 1)).await.unwrap(), [key(WINDOW)]);
        let version = store.version(&key(WINDOW)).await.unwrap().unwrap();
        let replaced = store.put(&key(WINDOW), &next, &Expected::Row(version.clone())).await.unwrap();
        assert_eq!(replaced, PutOutcome::Stored, "{name} {value:?}");
        assert_eq!(store.load(&key(WINDOW)).await.unwrap().unwrap().encode().unwrap(), next.encode().unwrap());
        assert!(!store.remove(&key(WINDOW), &version).await.unwrap(), "{name} {value:?}");
        let mut item = attributes(&client, sk).await;
        match value.clone() {
            Some(value) => item.insert(name.into(), value),
            None => item.remove(name),
        };
        client.put_item().table_name(NAME).set_item(Some(item)).send().await.unwrap();
        let version = store.version(&key(WINDOW)).await.unwrap().unwrap();
        assert!(store.remove(&key(WINDOW), &version).await.unwrap(), "{name} {value:?}");
        assert!(store.load(&key(WINDOW)).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_day_that_was_listed_in_vain_hides_nothing() {
    let (store, _, faults) = faulty().await;
    let partial = sample_partial(1, 1u64.into(), 1);
    store.put(&key(WINDOW), &partial, &Expected::Absent).await.unwrap();
    // The writer dies between the two puts, on six days in a row.
    for day in 1..=6 {
        faults.script("PutItem", [Fault::Pass, Fault::Pass, Fault::error(400, "AccessDeniedException")]);
        store.put(&key(WINDOW + day * 86_400_000), &partial, &Expected::Absent).await.unwrap_err();
    }
    assert_eq!(store.newest("a").await.unwrap(), Some(WindowStart(WINDOW)));
    let found = store.query("a", WindowStart(0), WindowStart(WINDOW * 2)).await.unwrap();
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn a_day_of_a_region_is_read_in_two_pages_and_an_item_has_4_kb_at_most() {
    let (store, client, faults) = faulty().await;
    // 2,380 posts of as many authors, 151 hashtags and 40 hosts in each window: among the large partials.
    let partial = sample_partial(1, birdsong_domain::ports::SequenceNumber::parse(FENCE).unwrap(), 99);
    for n in 0..288 {
        store.put(&key(WINDOW + n * 300_000), &partial, &Expected::Absent).await.unwrap();
    }
    let item_bytes = store.written_bytes() / 288;
    println!("state {} bytes, item {item_bytes} bytes", partial.encode().unwrap().len());
    assert!(item_bytes <= 4096, "{item_bytes} bytes");
    assert_eq!(faults.take_calls("PutItem"), 288 + 2 + 25, "one put more for each day, and for each hour");
    let found = store.query("a", WindowStart(WINDOW), WindowStart(WINDOW + 86_400_000)).await.unwrap();
    assert_eq!((found.len(), faults.take_calls("Query")), (288, 2));
    assert!(found.is_sorted_by_key(|(key, _)| key.window));

    let item = attributes(&client, "2023-11-14T22:15:00Z#x#0").await;
    let number = |name: &str| -> u64 { item[name].as_n().unwrap().parse().unwrap() };
    assert_eq!(number("posts"), partial.aggregate.posts());
    assert_eq!(
        ["originals", "replies", "quotes", "reposts"].map(number),
        Kind::ALL.map(|kind| partial.aggregate.kinds.of(kind))
    );
    assert!(item["updated"].as_s().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn windows_expire_when_configured() {
    let client = emulators::table().await;
    let partial = sample_partial(1, 1u64.into(), 1);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for (bucket, days) in [(0, Some(400)), (1, Some(2)), (2, None)] {
        let store = DynamoStore::new(client.clone(), NAME.into());
        let store = if bucket == 0 { store } else { store.with_ttl_days(days) };
        let key = PartialKey { lane: Lane::posts("a", Network::X, bucket), window: WindowStart(WINDOW) };
        store.put(&key, &partial, &Expected::Absent).await.unwrap();
        let item = attributes(&client, &format!("2023-11-14T22:15:00Z#x#{bucket}")).await;
        let ttl: Option<u64> = item.get("ttl").map(|ttl| ttl.as_n().unwrap().parse().unwrap());
        let wanted = days.map(|days| now + u64::from(days) * 86_400);
        assert!(ttl == wanted || ttl == wanted.map(|ttl| ttl + 1), "{ttl:?} {wanted:?}");
    }
}

// Rule 4.9.
#[tokio::test]
async fn a_table_of_another_release_is_refused_with_what_to_do() {
    let refusal = async |store: &DynamoStore| format::claim(store).await.unwrap_err().to_string();
    // Before there was a format, a streamer wrote the length of a window first.
    let store = emulators::store().await;
    store.set_setting("window_secs", "300").await.unwrap();
    for _ in 0..2 {
        let error = refusal(&store).await;
        assert!(error.contains("(format 1, this one reads 4), and there is no conversion: start with"), "{error}");
    }
    assert_eq!(store.setting("format").await.unwrap(), None);
    let answer = Service::new(Arc::new(store), Arc::new(|| 0)).answer(Request::new(Body::empty())).await;
    assert!(answer.unwrap_err().to_string().contains("there is no conversion"));

    let store = emulators::store().await;
    assert!(!format::check(&store).await.unwrap(), "nothing is stored yet");
    for _ in 0..2 {
        format::claim(&store).await.unwrap();
        store.set_setting("window_secs", "300").await.unwrap();
    }
    assert!(format::check(&store).await.unwrap());
    store.set_setting("format", "5").await.unwrap();
    assert!(refusal(&store).await.contains("a newer release of Birdsong wrote it"));
}

#[tokio::test]
async fn settings_come_back() {
    let store = emulators::store().await;
    assert_eq!(store.setting("regions").await.unwrap(), None);
    for value in ["", "[{\"id\":\"montréal\"}]", &"x".repeat(300_000)] {
        store.set_setting("regions", value).await.unwrap();
        assert_eq!(store.setting("regions").await.unwrap().as_deref(), Some(value));
    }
    assert_eq!(store.setting("other").await.unwrap(), None);
    let error = store.set_setting("regions", &"x".repeat(500_000)).await.unwrap_err();
    assert!(matches!(error, PortError::Refused { .. }), "{error}");
}
