//! The aggregator and a reprocess over Kinesis and DynamoDB, beside the same over SQLite.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use birdsong_aggregator::Aggregator;
use birdsong_aggregator::reprocess::{Before, reprocess};
use birdsong_archive::{self as archive, ArchivedLog, Day, Manifest, MemoryFiles};
use birdsong_aws::{DynamoStore, KinesisLog};
use birdsong_domain::frame::{self, FrameHeader, Lane, Ledger, STREAM, SlimPost};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{FrameRecord, LogRecord, PartialKey, PostLog, ReadFrom, SequenceNumber, WindowStore};
use birdsong_domain::post::{Kind, Located};
use birdsong_domain::rollup::DAY_MS;
use birdsong_domain::time::WindowStart;
use birdsong_domain::window::{FoldRules, Partial};
use birdsong_embedded::{MemoryLog, SqliteLog, SqliteStore};

use crate::emulators::{self, NAME};
use crate::kinesis::now_ms;

/// 2023-11-14T23:30:00Z: half an hour later it is another day.
const BEGIN: i64 = 1_700_004_600_000;
const REGIONS: [&str; 4] = ["quebec", "paris", "tokyo", STREAM];

/// An hour of frames of several lanes, some with posts of earlier windows.
fn frames() -> Vec<FrameRecord> {
    let frame = |n: i64| {
        let cut_ms = BEGIN + n * 9_000;
        let lane = match REGIONS[n as usize % 4] {
            STREAM => Lane::ledger(Network::X, "test"),
            region => Lane::posts(region, Network::X, (n % 8 / 4) as u16),
        };
        let posts = if lane.is_ledger() { 0 } else { 5 + n % 40 };
        let mut lines = Vec::new();
        for p in 0..posts {
            let a = (n * 41 + p * 7) as u64;
            let post = SlimPost {
                id: (n * 1000 + p) as u128,
                time_ms: cut_ms - p * 11_000,
                author: Some(a.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                kind: Kind::ALL[(a % 4) as usize],
                located: Located::Text,
                is_copy: a.is_multiple_of(5),
                lang: ["en", "fr", ""][(a % 3) as usize].into(),
                hashtags: vec![format!("T{}", a % 130)],
                mentions: 1,
                hosts: vec![format!("host{}.example", a % 9)],
                ..SlimPost::default()
            };
            lines.extend(serde_json::to_vec(&post).unwrap());
            lines.push(b'\n');
        }
        let header = FrameHeader {
            lane: lane.clone(),
            source: "test".into(),
            run: "run".into(),
            counter: n as u64,
            cut_ms,
            connected_ms: BEGIN,
            cut: 1,
            live: true,
            ledger: Ledger { received: 3, ..Ledger::default() },
            ..FrameHeader::default()
        };
        FrameRecord { lane, bytes: frame::encode(&header, &lines).unwrap() }
    };
    (0..400).map(frame).collect()
}

async fn append(log: &impl PostLog, frames: &[FrameRecord]) {
    assert!(log.append(frames).await.iter().all(Result::is_ok));
}

/// All records of each shard.
async fn shards(log: &impl PostLog) -> Vec<Vec<LogRecord>> {
    let mut shards = Vec::new();
    for shard in log.shards().await.unwrap() {
        let mut records: Vec<LogRecord> = Vec::new();
        let mut from = ReadFrom::Oldest;
        loop {
            let page = log.read(&shard, &from, 37).await.unwrap();
            let Some(last) = page.last() else { break };
            from = ReadFrom::After(last.sequence.clone());
            records.extend(page);
        }
        shards.push(records);
    }
    shards
}

async fn fold<S: WindowStore>(store: &Arc<S>, shards: &[Vec<LogRecord>], batch: usize) {
    for records in shards {
        let mut aggregator = Aggregator::new(Arc::clone(store), FoldRules::default(), 64);
        for batch in records.chunks(batch) {
            assert!(aggregator.fold_batch("0", batch).await.unwrap().dead.is_empty());
        }
    }
}

async fn stored(store: &impl WindowStore) -> BTreeMap<PartialKey, Partial> {
    let mut all = BTreeMap::new();
    for region in REGIONS {
        let rows = store.query(region, WindowStart(i64::MIN), WindowStart(i64::MAX)).await.unwrap();
        all.extend(rows.into_iter().map(|(key, partial)| (key, partial.unwrap())));
    }
    all
}

fn bytes(partials: &BTreeMap<PartialKey, Partial>) -> BTreeMap<&PartialKey, Vec<u8>> {
    partials.iter().map(|(key, partial)| (key, partial.encode().unwrap())).collect()
}

/// As if both logs had used the same numbers.
fn without_fence(partials: BTreeMap<PartialKey, Partial>) -> BTreeMap<PartialKey, Partial> {
    let zero = || SequenceNumber::from(0);
    partials.into_iter().map(|(key, partial)| (key, Partial { fence: zero(), ..partial })).collect()
}

async fn aws() -> (KinesisLog, Arc<DynamoStore>) {
    (emulators::log(3).await, Arc::new(DynamoStore::new(emulators::table().await, NAME.into())))
}

#[tokio::test]
async fn windows_are_those_of_the_embedded_run_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let (kinesis, dynamo) = aws().await;
    let sqlite_log = SqliteLog::open(dir.path()).unwrap();
    let sqlite = Arc::new(SqliteStore::open(dir.path()).unwrap());
    for part in frames().chunks(120) {
        append(&kinesis, part).await;
        append(&sqlite_log, part).await;
    }
    let of_kinesis = shards(&kinesis).await;
    assert!(of_kinesis.iter().filter(|records| !records.is_empty()).count() > 1, "lanes in several shards");
    fold(&dynamo, &of_kinesis, 50).await;
    fold(&sqlite, &shards(&sqlite_log).await, 400).await;
    let on_aws = stored(&*dynamo).await;
    assert!(on_aws.len() > 80, "{}", on_aws.len());
    let posts: u64 = on_aws.values().map(|partial| partial.aggregate.posts()).sum();
    let sent: i64 = (0..400).filter(|n| n % 4 != 3).map(|n| 5 + n % 40).sum();
    assert_eq!(posts, sent as u64);

    // The same records in a separate store: the fences, too, are the same.
    let other_dir = tempfile::tempdir().unwrap();
    let other = Arc::new(SqliteStore::open(other_dir.path()).unwrap());
    fold(&other, &of_kinesis, 7).await;
    assert_eq!(bytes(&on_aws), bytes(&stored(&*other).await));
    // And a run that shares nothing but the frames.
    let embedded = without_fence(stored(&*sqlite).await);
    assert_eq!(bytes(&without_fence(on_aws)), bytes(&embedded));
}

#[tokio::test]
async fn repeated_batches_and_rivals_change_no_byte() {
    let (kinesis, dynamo) = aws().await;
    append(&kinesis, &frames()).await;
    let shards = shards(&kinesis).await;
    fold(&dynamo, &shards, 60).await;
    let expected = stored(&*dynamo).await;
    fold(&dynamo, &shards, 25).await;
    assert_eq!(bytes(&stored(&*dynamo).await), bytes(&expected), "everything delivered again");

    let contested = Arc::new(DynamoStore::new(emulators::table().await, NAME.into()));
    tokio::join!(fold(&contested, &shards, 13), fold(&contested, &shards, 40));
    assert_eq!(bytes(&stored(&*contested).await), bytes(&expected), "two aggregators on each shard");
}

#[tokio::test]
async fn a_reprocess_restores_the_fold_of_the_log_and_then_changes_nothing() {
    let address = emulators::dynamodb().await;
    let client = emulators::dynamodb_client(address, emulators::plain_http());
    emulators::create_table(&client).await;
    let kinesis = emulators::log(3).await;
    let dynamo = Arc::new(DynamoStore::new(client.clone(), NAME.into()));
    append(&kinesis, &frames()).await;
    fold(&dynamo, &shards(&kinesis).await, 100).await;
    let expected = stored(&*dynamo).await;

    // The records arrived now, with any times of their posts: windows from then on would be read from
    // their arrival. So all are asked for.
    let range = || WindowStart(0)..WindowStart(BEGIN + DAY_MS);
    let again = async || reprocess(&kinesis, &*dynamo, FoldRules::default(), range(), false, |_| ()).await.unwrap();
    assert_eq!(again().await.changed(), 0);

    let mut keys = expected.keys();
    let mut at = |n| {
        let key: &PartialKey = keys.nth(n).unwrap();
        let sk = format!("{}#{}", birdsong_domain::time::rfc3339(key.window.0), key.lane.within_region());
        let pk = format!("{}#{}", key.lane.region(), &sk[..10]);
        [("pk", pk), ("sk", sk)].map(|(name, text)| (name, aws_sdk_dynamodb::types::AttributeValue::S(text)))
    };
    let mut delete = client.delete_item().table_name(NAME);
    for (name, value) in at(3) {
        delete = delete.key(name, value);
    }
    delete.send().await.unwrap();
    let mut damage = client.update_item().table_name(NAME).update_expression("SET s = :s");
    for (name, value) in at(5) {
        damage = damage.key(name, value);
    }
    let junk = aws_sdk_dynamodb::types::AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new([7; 9]));
    damage.expression_attribute_values(":s", junk).send().await.unwrap();
    let mut ahead = client.update_item().table_name(NAME).update_expression("SET f = :f");
    for (name, value) in at(5) {
        ahead = ahead.key(name, value);
    }
    let fence = aws_sdk_dynamodb::types::AttributeValue::S(format!("057:9{:056}", 0));
    ahead.expression_attribute_values(":f", fence).send().await.unwrap();
    let stranger = PartialKey { lane: Lane::posts("nobody", Network::X, 9), window: WindowStart(BEGIN) };
    let model = expected.values().next().unwrap();
    dynamo.put(&stranger, model, &birdsong_domain::ports::Expected::Absent).await.unwrap();

    let receipt = again().await;
    let before: Vec<_> = receipt.entries.iter().map(|entry| entry.before).collect();
    assert_eq!((receipt.changed(), receipt.removed(), receipt.healed()), (4, 1, 1));
    assert!(dynamo.load(&stranger).await.unwrap().is_none());
    assert!(before.contains(&Before::Missing) && before.contains(&Before::Damaged), "{before:?}");
    assert_eq!(bytes(&stored(&*dynamo).await), bytes(&expected));
    assert_eq!(again().await.changed(), 0);
}

/// The records of a day, over a split and a merge, and those that came after the archive was written.
#[tokio::test]
async fn an_archive_of_a_stream_gives_its_windows_with_the_stream_and_without() {
    let client = emulators::stream(emulators::options(), 2).await;
    let kinesis = KinesisLog::new(client.clone(), NAME.into()).with_read_pause(Duration::ZERO);
    let frames = frames();
    let mut parts = frames.chunks(100);
    let mut append_next = async || append(&kinesis, parts.next().unwrap()).await;
    append_next().await;
    emulators::split_first(&client, &kinesis.shards().await.unwrap()[0]).await;
    append_next().await;
    let [.., third, fourth] = &kinesis.shards().await.unwrap()[..] else { panic!("four shards") };
    emulators::merge(&client, [third, fourth]).await;
    append_next().await;

    // Today is over, by a clock that is two days ahead.
    let now_ms = now_ms() + 2 * DAY_MS;
    let (files, again) = (MemoryFiles::default(), MemoryFiles::default());
    for files in [&files, &again, &again] {
        archive::write(&kinesis, files, "1", Day::MIN..Day::MAX, now_ms, |_| ()).await.unwrap();
    }
    let bytes_of = |files: &MemoryFiles| files.change(|files| files.clone());
    assert_eq!(bytes_of(&files), bytes_of(&again), "written twice, and once more on top");
    let records: u64 = archive::manifests(&files).await.unwrap().iter().map(Manifest::records).sum();
    assert_eq!(records, 300);

    let all = || WindowStart(0)..WindowStart(BEGIN + DAY_MS);
    let [counted, restored] = [emulators::store().await, emulators::store().await].map(Arc::new);
    fold(&counted, &shards(&kinesis).await, 50).await;
    let gone = MemoryLog::new(1);
    let log = ArchivedLog::open(&gone, &files, "1", all()).await.unwrap();
    reprocess(&log, &*restored, FoldRules::default(), all(), false, |_| ()).await.unwrap();
    assert_eq!(bytes(&stored(&*restored).await), bytes(&stored(&*counted).await), "the archive alone");
    append_next().await;
    fold(&counted, &shards(&kinesis).await, 50).await;
    let log = ArchivedLog::open(&kinesis, &files, "1", all()).await.unwrap();
    reprocess(&log, &*restored, FoldRules::default(), all(), false, |_| ()).await.unwrap();
    assert_eq!(bytes(&stored(&*restored).await), bytes(&stored(&*counted).await), "with the records behind it");
}
