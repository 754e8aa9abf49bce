//! The bound of the log in memory, and how records leave it.

use std::sync::Arc;
use std::time::Duration;

use birdsong_domain::frame::Lane;
use birdsong_domain::network::Network;
use birdsong_domain::ports::{FrameRecord, PortError, PostLog, ReadFrom, SequenceNumber};
use birdsong_embedded::{MemoryLog, SHARD};

fn frames(count: u8, bytes: usize) -> Vec<FrameRecord> {
    (0..count).map(|n| FrameRecord { lane: Lane::posts("a", Network::X, 0), bytes: vec![n; bytes] }).collect()
}

async fn is_waiting(task: &tokio::task::JoinHandle<()>) -> bool {
    tokio::time::sleep(Duration::from_millis(30)).await;
    !task.is_finished()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_waits_until_the_reader_makes_room() {
    let log = Arc::new(MemoryLog::new(300));
    let appender = log.clone();
    let task = tokio::spawn(async move {
        assert!(appender.append(&frames(8, 100)).await.iter().all(Result::is_ok));
    });
    assert!(is_waiting(&task).await);
    assert_eq!(log.held_bytes(), 300);
    assert_eq!(log.complete_since(SHARD).await.unwrap(), i64::MIN);
    tokio::time::timeout(Duration::from_secs(5), log.appended().notified()).await.unwrap();
    let taken = log.take(2);
    assert_eq!(taken.iter().map(|record| record.bytes[0]).collect::<Vec<_>>(), [0, 1]);
    assert!(is_waiting(&task).await);
    assert_eq!(log.held_bytes(), 300);
    let read = log.read(SHARD, &ReadFrom::Oldest, 10).await.unwrap();
    assert_eq!(read.iter().map(|record| record.bytes[0]).collect::<Vec<_>>(), [2, 3, 4]);
    assert!(is_waiting(&task).await, "reading makes no room, it may be repeated");
    log.trim(&read[2].sequence);
    tokio::time::timeout(Duration::from_secs(5), task).await.unwrap().unwrap();
    let rest = log.read(SHARD, &ReadFrom::After(read[2].sequence.clone()), 10).await.unwrap();
    assert_eq!(rest.iter().map(|record| record.bytes[0]).collect::<Vec<_>>(), [5, 6, 7]);
    assert_eq!(log.take(10), rest);
    assert_eq!((log.held_bytes(), log.take(10).len()), (0, 0));
    assert_eq!(log.complete_since(SHARD).await.unwrap(), rest[2].arrived_ms + 1);
    assert_eq!(log.newest_sequence(), Some(8u64.into()));
}

#[tokio::test]
async fn a_frame_larger_than_the_log_still_passes() {
    let log = MemoryLog::new(10);
    log.append(&frames(1, 1000)).await.remove(0).unwrap();
    assert_eq!(log.take(1).len(), 1);
    MemoryLog::new(0).append(&frames(1, 1)).await.remove(0).unwrap();
}

#[tokio::test]
async fn a_position_that_the_log_never_assigned_is_refused() {
    let log = MemoryLog::new(1000);
    log.append(&frames(2, 1)).await;
    log.trim(&2u64.into());
    assert_eq!(log.read(SHARD, &ReadFrom::After(1u64.into()), 10).await.unwrap(), []);
    for ahead in ["3", &"4".repeat(56)] {
        let after = ReadFrom::After(SequenceNumber::parse(ahead).unwrap());
        assert!(matches!(log.read(SHARD, &after, 10).await, Err(PortError::Refused { .. })));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_appenders_and_one_taker_pass_every_frame_in_order() {
    let log = Arc::new(MemoryLog::new(64));
    let mut appenders = tokio::task::JoinSet::new();
    for appender in 0..4u8 {
        let log = log.clone();
        appenders.spawn(async move {
            for n in 0..=255u8 {
                let frame =
                    FrameRecord { lane: Lane::posts("a", Network::X, appender.into()), bytes: vec![appender, n] };
                log.append(&[frame]).await.remove(0).unwrap();
            }
        });
    }
    let mut seen = [const { Vec::new() }; 4];
    let mut last = SequenceNumber::from(0u64);
    while seen.iter().map(Vec::len).sum::<usize>() < 4 * 256 {
        let taken = log.take(7);
        if taken.is_empty() {
            tokio::time::timeout(Duration::from_secs(5), log.appended().notified()).await.unwrap();
        }
        for record in taken {
            assert!(record.sequence > last);
            seen[usize::from(record.bytes[0])].push(record.bytes[1]);
            last = record.sequence;
        }
    }
    appenders.join_all().await;
    assert!(seen.iter().all(|lane| lane.iter().copied().eq(0..=255)));
}
