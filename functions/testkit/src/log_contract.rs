//! Rule 2.1. The contract of every post log.

use std::time::Duration;

use birdsong_domain::frame::Lane;
use birdsong_domain::network::Network;
use birdsong_domain::ports::{FrameRecord, LogRecord, PostLog, ReadFrom, SequenceNumber};

/// Runs the whole suite, each part against a fresh, empty log from `make`. The log may have several
/// shards, and may return fewer records than asked for as long as it returns some until the end.
///
/// # Panics
/// When the log breaks the contract of [`PostLog`]; the message names the place.
pub async fn post_log_contract<L: PostLog>(make: impl AsyncFn() -> L) {
    an_empty_log_returns_nothing(&make().await).await;
    lanes_keep_their_order(&make().await).await;
    bytes_come_back_unchanged(&make().await).await;
    a_call_may_have_many_frames(&make().await).await;
    reading_starts_where_it_is_asked_to(&make().await).await;
    arrival_times_can_be_sought(&make().await).await;
}

fn frame(lane: &Lane, bytes: &[u8]) -> FrameRecord {
    FrameRecord { lane: lane.clone(), bytes: bytes.to_vec() }
}

async fn append(log: &impl PostLog, frames: &[FrameRecord]) -> Vec<SequenceNumber> {
    let outcomes = log.append(frames).await;
    assert_eq!(outcomes.len(), frames.len(), "append answers for each frame");
    outcomes.into_iter().map(|outcome| outcome.expect("append")).collect()
}

/// Reads to the end in pages of `limit`.
async fn pages(log: &impl PostLog, shard: &str, mut from: ReadFrom, limit: usize) -> Vec<LogRecord> {
    let mut records: Vec<LogRecord> = Vec::new();
    loop {
        let page = log.read(shard, &from, limit).await.expect("read");
        assert!(page.len() <= limit, "{} records for a limit of {limit}", page.len());
        let Some(last) = page.last() else { return records };
        // Otherwise a log that repeats itself would keep the suite here forever.
        assert!(records.last().is_none_or(|before| before.sequence < last.sequence), "a page after {from:?} goes back");
        from = ReadFrom::After(last.sequence.clone());
        records.extend(page);
    }
}

async fn everything(log: &impl PostLog) -> Vec<(String, Vec<LogRecord>)> {
    let mut all = Vec::new();
    for shard in log.shards().await.expect("shards") {
        let records = pages(log, &shard, ReadFrom::Oldest, 1000).await;
        for pair in records.windows(2) {
            assert!(pair[0].sequence < pair[1].sequence, "sequence numbers increase within shard {shard}");
            assert!(pair[0].arrived_ms <= pair[1].arrived_ms, "arrival times do not go back within shard {shard}");
        }
        all.push((shard, records));
    }
    all
}

/// The shard with the records, when all frames were of one lane.
async fn only_shard(log: &impl PostLog) -> (String, Vec<LogRecord>) {
    let mut filled: Vec<_> = everything(log).await.into_iter().filter(|(_, records)| !records.is_empty()).collect();
    assert_eq!(filled.len(), 1, "the records of one lane lie in one shard");
    filled.remove(0)
}

async fn an_empty_log_returns_nothing(log: &impl PostLog) {
    let shards = log.shards().await.expect("shards");
    assert!(!shards.is_empty(), "a log has a shard from the start");
    for shard in &shards {
        for from in [ReadFrom::Oldest, ReadFrom::Time(1)] {
            assert_eq!(log.read(shard, &from, 10).await.expect("read"), [], "{from:?}");
        }
    }
    assert!(log.append(&[]).await.is_empty(), "no frames, no outcomes");
    assert!(log.read("no such shard", &ReadFrom::Oldest, 10).await.is_err(), "an unknown shard is an error");
    assert!(log.complete_since("no such shard").await.is_err(), "an unknown shard is an error");
}

async fn lanes_keep_their_order(log: &impl PostLog) {
    let lanes =
        [Lane::posts("a", Network::X, 0), Lane::posts("a", Network::X, 1), Lane::posts("région", Network::X, 0)];
    let frames: Vec<_> = (0..60u8).map(|n| frame(&lanes[usize::from(n) % 3], &[n % 3, n])).collect();
    let mut given = Vec::new();
    for call in [&frames[..1], &frames[1..8], &frames[8..]] {
        given.extend(append(log, call).await);
    }
    let all = everything(log).await;
    for lane in 0..3 {
        let is_ours = |record: &&LogRecord| record.bytes.first() == Some(&lane);
        let homes: Vec<Vec<_>> = all.iter().map(|(_, records)| records.iter().filter(is_ours).collect()).collect();
        let mut homes = homes.iter().filter(|records| !records.is_empty());
        let home = homes.next().expect("the lane is in the log");
        assert!(homes.next().is_none(), "the records of one lane lie in one shard");
        let read: Vec<_> = home.iter().map(|record| (record.bytes[1], record.sequence.clone())).collect();
        let sent: Vec<_> = (0..60).filter(|n| n % 3 == lane).map(|n| (n, given[usize::from(n)].clone())).collect();
        assert_eq!(read, sent, "a lane comes back in order, under the numbers that append returned");
    }
}

async fn bytes_come_back_unchanged(log: &impl PostLog) {
    let lane = Lane::posts("a", Network::X, 0);
    let large: Vec<u8> = (0..1_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let each_byte: Vec<u8> = (0..=255).collect();
    let sent = [vec![], each_byte, large, vec![0]];
    append(log, &sent.clone().map(|bytes| FrameRecord { lane: lane.clone(), bytes })).await;
    let (_, records) = only_shard(log).await;
    assert!(records.iter().map(|record| &record.bytes).eq(&sent), "the bytes of a record changed");
}

async fn a_call_may_have_many_frames(log: &impl PostLog) {
    // More than one request to Kinesis may have.
    let lane = Lane::posts("a", Network::X, 0);
    let frames: Vec<_> = (0..600u32).map(|n| frame(&lane, &n.to_be_bytes())).collect();
    let given = append(log, &frames).await;
    let (_, records) = only_shard(log).await;
    assert!(records.iter().map(|record| &record.bytes).eq(frames.iter().map(|frame| &frame.bytes)));
    assert!(records.iter().map(|record| &record.sequence).eq(&given));
}

async fn reading_starts_where_it_is_asked_to(log: &impl PostLog) {
    let lane = Lane::posts("a", Network::X, 0);
    let frames: Vec<_> = (0..10u8).map(|n| frame(&lane, &[n])).collect();
    append(log, &frames).await;
    let (shard, all) = only_shard(log).await;
    assert_eq!(all.len(), 10);
    for limit in [1, 3, 10, 11] {
        assert_eq!(pages(log, &shard, ReadFrom::Oldest, limit).await, all, "pages of {limit}");
    }
    for (n, record) in all.iter().enumerate() {
        let after = ReadFrom::After(record.sequence.clone());
        assert_eq!(pages(log, &shard, after, 4).await, all[n + 1..], "after record {n}");
    }
    let after_last = ReadFrom::After(all[9].sequence.clone());
    append(log, &[frame(&lane, &[10])]).await;
    let more = pages(log, &shard, after_last, 10).await;
    assert_eq!(more.iter().map(|record| record.bytes.as_slice()).collect::<Vec<_>>(), [[10]], "only what came since");
    let (_, again) = only_shard(log).await;
    assert_eq!((&again[..10], &again[10..]), (&all[..], &more[..]), "reading removes nothing");
}

async fn arrival_times_can_be_sought(log: &impl PostLog) {
    let lane = Lane::posts("a", Network::X, 0);
    for n in 0..4u8 {
        append(log, &[frame(&lane, &[n, 0]), frame(&lane, &[n, 1])]).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (shard, all) = only_shard(log).await;
    assert_eq!(pages(log, &shard, ReadFrom::Time(1), 3).await, all, "long before the first record");
    let since_ms = log.complete_since(&shard).await.expect("complete_since");
    assert!(since_ms <= all[0].arrived_ms, "nothing is gone yet, but the log reports itself whole since {since_ms}");
    for record in &all {
        for time_ms in [record.arrived_ms, record.arrived_ms + 1] {
            let first = all.partition_point(|other| other.arrived_ms < time_ms);
            assert_eq!(pages(log, &shard, ReadFrom::Time(time_ms), 3).await, all[first..], "from {time_ms}");
        }
    }
}
