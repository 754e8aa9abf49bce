//! What Kinesis does beyond the contract: failures, expiry, resharding, retention.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_kinesis::Client;
use birdsong_aws::KinesisLog;
use birdsong_domain::frame::Lane;
use birdsong_domain::ports::{FrameRecord, PortError, PostLog, ReadFrom, SequenceNumber};
use birdsong_streamer::send::send_all;
use ferrokinesis::store::StoreOptions;
use serde_json::{Value, json};

use crate::emulators::{self, NAME, active};
use crate::faults::{Fault, Faults};

const THROTTLED: &str = "ProvisionedThroughputExceededException";

async fn faulty(shards: i32) -> (KinesisLog, Client, Faults) {
    let address = emulators::kinesis(emulators::options()).await;
    let faults = Faults::default();
    let client = emulators::kinesis_client(address, faults.http());
    client.create_stream().stream_name(NAME).shard_count(shards).send().await.unwrap();
    active(&client).await;
    (KinesisLog::new(client.clone(), NAME.into()).with_read_pause(Duration::ZERO), client, faults)
}

fn frames(list: &[(&str, u32)]) -> Vec<FrameRecord> {
    let frame = |(region, n): &(&str, u32)| FrameRecord {
        lane: Lane::try_from(format!("{region}#x#0")).unwrap(),
        bytes: n.to_be_bytes().into(),
    };
    list.iter().map(frame).collect()
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().unwrap())
}

async fn everything(log: &KinesisLog) -> Vec<u32> {
    let mut all = Vec::new();
    for shard in log.shards().await.unwrap() {
        let mut from = ReadFrom::Oldest;
        loop {
            let page = log.read(&shard, &from, 100).await.unwrap();
            let Some(last) = page.last() else { break };
            from = ReadFrom::After(last.sequence.clone());
            all.extend(page.iter().map(|record| number(&record.bytes)));
        }
    }
    all
}

pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// Answers of which every third, from the second on, is a throttle or an internal failure.
fn some_fail(request: &Value) -> Value {
    let answer = |n: usize| match n % 6 {
        1 => json!({"ErrorCode": THROTTLED, "ErrorMessage": "slow down"}),
        4 => json!({"ErrorCode": "InternalFailure", "ErrorMessage": "oh"}),
        _ => {
            json!({"ShardId": "shardId-000000000000", "SequenceNumber": format!("495903382714902566085596925383615710959215759891365{n:05}")})
        }
    };
    let answers: Vec<_> = (0..request["Records"].as_array().unwrap().len()).map(answer).collect();
    json!({"FailedRecordCount": 1, "Records": answers})
}

#[tokio::test]
async fn each_frame_has_its_own_outcome() {
    let (log, _, faults) = faulty(1).await;
    faults.script("PutRecords", [Fault::Reply(some_fail)]);
    let outcomes = log.append(&frames(&[("a", 0), ("b", 1), ("a", 2), ("b", 3), ("c", 4), ("a", 5)])).await;
    let expected = "49590338271490256608559692538361571095921575989136500005";
    assert_eq!(outcomes[5].as_ref().unwrap(), &SequenceNumber::parse(expected).unwrap());
    let failed: Vec<_> = (0..6).filter(|n| outcomes[*n].is_err()).collect();
    assert_eq!(failed, [1, 4]);
    for n in failed {
        assert!(outcomes[n].as_ref().unwrap_err().is_retryable());
    }
    assert_eq!(outcomes[1].as_ref().unwrap_err().to_string().matches("slow down").count(), 1);
    assert_eq!(faults.take_calls("PutRecords"), 1, "single frames are not sent again here");
}

#[tokio::test]
async fn a_short_answer_leaves_the_rest_unacknowledged() {
    let (log, _, faults) = faulty(1).await;
    faults.script("PutRecords", [Fault::Answer(200, json!({"Records": [{"SequenceNumber": "7", "ShardId": "x"}]}))]);
    let outcomes = log.append(&frames(&[("a", 0), ("a", 1)])).await;
    assert!(outcomes[0].is_ok());
    assert!(matches!(outcomes[1], Err(PortError::Unavailable { .. })));
}

#[tokio::test]
async fn later_requests_hold_a_lane_back_that_failed_before() {
    let (log, _, faults) = faulty(2).await;
    faults.script("PutRecords", [Fault::Reply(some_fail)]);
    // Frame 1 of the first request fails, and is the only one of lane b there.
    let mut list = vec![("a", 0); 500];
    list[1].0 = "b";
    list.extend([("b", 500), ("c", 501), ("b", 502)]);
    for (n, frame) in list.iter_mut().enumerate() {
        frame.1 = n as u32;
    }
    let outcomes = log.append(&frames(&list)).await;
    let ok: Vec<_> = (500..503).map(|n| outcomes[n].is_ok()).collect();
    assert_eq!(ok, [false, true, false], "lane b waits, lane c does not (and lane a has none)");
    assert_eq!(everything(&log).await, [501]);
}

#[tokio::test]
async fn what_a_full_shard_refuses_gets_there_in_the_end_and_once() {
    // A shard accepts 1,000 records a second here, like the real one.
    let client = emulators::stream(StoreOptions { enforce_limits: true, ..emulators::options() }, 1).await;
    let log = KinesisLog::new(client, NAME.into()).with_read_pause(Duration::ZERO);
    let list: Vec<_> = (0..1700).map(|n| (["a", "b", "c"][n as usize % 3], n)).collect();
    let mut pauses = 0;
    let sent = send_all(
        &log,
        frames(&list),
        || 1.0,
        |wait| {
            pauses += 1;
            async move {
                tokio::time::sleep(wait).await;
                true
            }
        },
    );
    assert!(sent.await.is_ok());
    assert!(pauses > 0, "nothing was refused");
    let mut all = everything(&log).await;
    all.sort_unstable();
    assert_eq!(all, (0..1700).collect::<Vec<_>>());
}

#[tokio::test]
async fn whole_calls_are_tried_again_when_that_may_help() {
    let (log, _, faults) = faulty(1).await;
    let two = frames(&[("a", 0), ("b", 1)]);
    for fault in [Fault::error(400, THROTTLED), Fault::error(500, "InternalFailure"), Fault::Lost] {
        faults.script("PutRecords", [fault.clone(), fault.clone()]);
        assert!(log.append(&two).await.iter().all(Result::is_ok), "{fault:?} twice");
        assert_eq!(faults.take_calls("PutRecords"), 3, "{fault:?}");
        faults.script("PutRecords", std::iter::repeat_n(fault.clone(), 4));
        let outcomes = log.append(&two).await;
        assert_eq!(outcomes.len(), 2);
        for outcome in outcomes {
            assert!(outcome.as_ref().unwrap_err().is_retryable(), "{fault:?}: {outcome:?}");
        }
        assert_eq!(faults.take_calls("PutRecords"), 4, "{fault:?}");
    }
    assert_eq!(everything(&log).await.len(), 6);
}

#[tokio::test]
async fn behind_a_request_that_failed_no_other_is_tried() {
    let (log, _, faults) = faulty(1).await;
    faults.script("PutRecords", [Fault::error(400, "AccessDeniedException")]);
    let list: Vec<_> = (0..1100).map(|n| ("a", n)).collect();
    let outcomes = log.append(&frames(&list)).await;
    assert_eq!(faults.take_calls("PutRecords"), 1, "what is not allowed is not tried again");
    assert_eq!(outcomes.len(), 1100);
    for outcome in &outcomes {
        assert!(matches!(outcome, Err(PortError::Refused { .. })), "{outcome:?}");
    }
    let said = outcomes[1099].as_ref().unwrap_err().to_string();
    assert!(said.contains("AccessDeniedException: from the test; the role of this process lacks"), "{said}");
}

#[tokio::test]
async fn a_stream_that_is_not_there_is_named_with_what_to_do() {
    let (_, client, _) = faulty(1).await;
    let log = KinesisLog::new(client, "other".into());
    let error = log.shards().await.unwrap_err();
    assert!(matches!(error, PortError::Refused { what: "Kinesis ListShards", .. }), "{error:?}");
    assert!(error.to_string().contains("check its name, AWS_REGION"), "{error}");
    assert!(matches!(&log.append(&frames(&[("a", 0)])).await[..], [Err(PortError::Refused { .. })]));
}

#[tokio::test]
async fn reads_one_after_the_other_share_an_iterator_until_it_expires() {
    let (log, _, faults) = faulty(1).await;
    let list: Vec<_> = (0..10).map(|n| ("a", n)).collect();
    log.append(&frames(&list)).await;
    let shard = log.shards().await.unwrap().remove(0);
    let mut from = ReadFrom::Oldest;
    let mut all = Vec::new();
    faults.take_calls("");
    let mut asked = Vec::new();
    for turn in 0..7 {
        if turn == 3 {
            faults.script("GetRecords", [Fault::error(400, "ExpiredIteratorException")]);
        }
        let page = log.read(&shard, &from, 2).await.unwrap();
        asked.push(faults.take_calls("GetShardIterator"));
        all.extend(page.iter().map(|record| number(&record.bytes)));
        if let Some(last) = page.last() {
            from = ReadFrom::After(last.sequence.clone());
        }
    }
    assert_eq!(all, (0..10).collect::<Vec<_>>());
    assert_eq!(asked, [1, 0, 0, 1, 0, 0, 0]);
    // Another position is not served from that iterator.
    assert_eq!(number(&log.read(&shard, &ReadFrom::Oldest, 1).await.unwrap()[0].bytes), 0);

    faults.script("GetRecords", std::iter::repeat_n(Fault::error(400, "ExpiredIteratorException"), 20));
    let error = log.read(&shard, &ReadFrom::Oldest, 1).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
}

#[tokio::test]
async fn an_iterator_that_really_expired_is_replaced() {
    let client = emulators::stream(StoreOptions { iterator_ttl_seconds: 1, ..emulators::options() }, 1).await;
    let log = KinesisLog::new(client, NAME.into()).with_read_pause(Duration::ZERO);
    log.append(&frames(&[("a", 0), ("a", 1)])).await;
    let shard = log.shards().await.unwrap().remove(0);
    let first = log.read(&shard, &ReadFrom::Oldest, 1).await.unwrap().remove(0);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let second = log.read(&shard, &ReadFrom::After(first.sequence), 10).await.unwrap();
    assert_eq!(second.iter().map(|record| number(&record.bytes)).collect::<Vec<_>>(), [1]);
}

/// An empty page on the way, with the iterator that was asked with.
fn empty_page(request: &Value) -> Value {
    json!({"Records": [], "NextShardIterator": request["ShardIterator"], "MillisBehindLatest": 86_400_000})
}

#[tokio::test]
async fn empty_pages_are_not_the_end() {
    let (log, _, faults) = faulty(1).await;
    log.append(&frames(&[("a", 0), ("a", 1)])).await;
    let shard = log.shards().await.unwrap().remove(0);
    faults.script("GetRecords", std::iter::repeat_n(Fault::Reply(empty_page), 30));
    let records = log.read(&shard, &ReadFrom::Time(now_ms() - 86_400_000), 10).await.unwrap();
    assert_eq!(records.len(), 2);
}

#[tokio::test]
async fn throttled_reads_wait_their_turn() {
    let (log, _, faults) = faulty(1).await;
    log.append(&frames(&[("a", 0)])).await;
    let shard = log.shards().await.unwrap().remove(0);
    faults.script("GetRecords", std::iter::repeat_n(Fault::error(400, THROTTLED), 7));
    faults.script("GetShardIterator", std::iter::repeat_n(Fault::error(400, THROTTLED), 7));
    assert_eq!(log.read(&shard, &ReadFrom::Oldest, 10).await.unwrap().len(), 1);
    faults.script("GetRecords", std::iter::repeat_n(Fault::error(400, THROTTLED), 8));
    assert!(log.read(&shard, &ReadFrom::Oldest, 10).await.unwrap_err().is_retryable());
}

#[tokio::test]
async fn reads_of_a_shard_keep_their_distance() {
    let (_, client, _) = faulty(1).await;
    let log = KinesisLog::new(client, NAME.into()).with_read_pause(Duration::from_millis(40));
    let shard = log.shards().await.unwrap().remove(0);
    let begin = std::time::Instant::now();
    for _ in 0..4 {
        log.read(&shard, &ReadFrom::Oldest, 10).await.unwrap();
    }
    assert!(begin.elapsed() >= Duration::from_millis(120), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_time_to_come_has_no_records_yet() {
    let (log, _, _) = faulty(1).await;
    log.append(&frames(&[("a", 0)])).await;
    let shard = log.shards().await.unwrap().remove(0);
    let soon = ReadFrom::Time(now_ms() + 3_600_000);
    assert_eq!(log.read(&shard, &soon, 10).await.unwrap(), []);
    log.append(&frames(&[("a", 1)])).await;
    assert_eq!(log.read(&shard, &soon, 10).await.unwrap(), [], "what came too early is passed over");
}

#[tokio::test]
async fn a_split_and_a_merge_are_read_parents_first_to_the_end() {
    let (log, client, _) = faulty(2).await;
    let lanes = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let batch = |round: u32| -> Vec<_> { lanes.iter().map(|lane| (*lane, round)).collect() };
    let before = log.shards().await.unwrap();
    log.append(&frames(&batch(0))).await;
    emulators::split_first(&client, &before[0]).await;
    log.append(&frames(&batch(1))).await;
    let open = log.shards().await.unwrap();
    assert_eq!(open.len(), 4);
    emulators::merge(&client, [&open[2], &open[3]]).await;
    log.append(&frames(&batch(2))).await;
    let shards = log.shards().await.unwrap();
    assert_eq!(shards.len(), 5);
    assert_eq!(shards[..2], before[..]);
    let all = everything(&log).await;
    assert_eq!(all.len(), 24, "no record of a closed shard is left out");
    for round in 0..3 {
        assert_eq!(all.iter().filter(|n| **n == round).count(), lanes.len());
    }
}

#[tokio::test]
async fn a_log_reports_since_when_it_is_complete() {
    let (log, _, faults) = faulty(1).await;
    let shard = log.shards().await.unwrap().remove(0);
    assert_eq!(log.complete_since(&shard).await.unwrap(), i64::MIN, "younger than its retention");
    let summary = json!({"StreamDescriptionSummary": {
        "StreamName": NAME, "StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/birdsong",
        "StreamStatus": "ACTIVE", "RetentionPeriodHours": 24, "StreamCreationTimestamp": 1_600_000_000.5,
        "EnhancedMonitoring": [], "OpenShardCount": 1
    }});
    faults.script("DescribeStreamSummary", [Fault::Answer(200, summary)]);
    let kept_ms = now_ms() - log.complete_since(&shard).await.unwrap();
    assert!((86_000_000..86_400_000).contains(&kept_ms), "a little less than a day: {kept_ms}");
}
