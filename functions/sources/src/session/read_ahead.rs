//! Reads a connection in a separate task, a bounded number of bytes ahead.
//!
//! A server closes a connection whose reader is slow, and loses its buffered messages. So the socket is read
//! while earlier bytes are still being handed on, and pings are answered meanwhile.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::source::Clock;

/// When a connection counts as dead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watchdog {
    /// Nothing came for this long, not even a sign of life.
    pub(crate) silence: Duration,
    /// Only signs of life came for this long.
    pub(crate) quiet: Duration,
}

/// Why a connection counts as dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dead {
    /// Nothing came, for as long as the watchdog waits.
    Silent,
    /// Only signs of life came.
    Quiet,
}

/// Something that was read.
#[derive(Debug)]
pub(crate) struct Received<T> {
    pub(crate) item: T,
    /// When it was received, in milliseconds.
    pub(crate) at_ms: i64,
    pub(crate) at: Instant,
    /// How long it was waited for.
    pub(crate) waited: Duration,
    /// How long nothing was read before that, for lack of room.
    pub(crate) blocked_for: Duration,
    /// Released when it was handed on.
    _room: OwnedSemaphorePermit,
}

/// Items of a connection, in order.
#[derive(Debug)]
pub(crate) struct ReadAhead<T> {
    items: mpsc::UnboundedReceiver<Result<Received<T>, Dead>>,
    /// Makes the task end after the item that it has.
    stop: Arc<Notify>,
    task: JoinHandle<()>,
}

impl<T: Send + 'static> ReadAhead<T> {
    /// Reads `stream` until it ends or is dead. `weigh` returns an item's bytes, or `None` for a sign of life,
    /// which is dropped; `limit_bytes` may wait at most.
    pub(crate) fn new(
        stream: impl Stream<Item = T> + Send + Unpin + 'static,
        watchdog: Watchdog,
        limit_bytes: u32,
        clock: Clock,
        weigh: impl Fn(&T) -> Option<usize> + Send + 'static,
    ) -> Self {
        let (out, items) = mpsc::unbounded_channel();
        let stop = Arc::new(Notify::new());
        let task = tokio::spawn(read(stream, watchdog, limit_bytes, clock, weigh, stop.clone(), out));
        Self { items, stop, task }
    }

    /// The next item, or why none will come; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Result<Received<T>, Dead>> {
        self.items.recv().await
    }

    /// The next item if it is there already.
    pub(crate) fn try_next(&mut self) -> Option<Result<Received<T>, Dead>> {
        self.items.try_recv().ok()
    }

    /// Stops reading. What was read before is still available.
    pub(crate) fn close(&mut self) {
        self.stop.notify_one();
    }
}

impl<T> Drop for ReadAhead<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read<T: Send>(
    mut stream: impl Stream<Item = T> + Send + Unpin,
    watchdog: Watchdog,
    limit_bytes: u32,
    clock: Clock,
    weigh: impl Fn(&T) -> Option<usize>,
    stop: Arc<Notify>,
    out: mpsc::UnboundedSender<Result<Received<T>, Dead>>,
) {
    let room = Arc::new(Semaphore::new(limit_bytes as usize));
    let mut blocked_for = Duration::ZERO;
    let mut waiting_since = Instant::now();
    let mut heard = waiting_since;
    loop {
        let silent_at = heard + watchdog.silence;
        let quiet_at = waiting_since + watchdog.quiet;
        let next = tokio::select! {
            biased;
            () = stop.notified() => return,
            next = timeout_at(silent_at.min(quiet_at), stream.next()) => next,
        };
        let item = match next {
            Err(_) => {
                let _ = out.send(Err(if silent_at <= quiet_at { Dead::Silent } else { Dead::Quiet }));
                return;
            }
            Ok(None) => return,
            Ok(Some(item)) => item,
        };
        let (at_ms, at) = (clock(), Instant::now());
        heard = at;
        let Some(bytes) = weigh(&item) else { continue };
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).clamp(1, limit_bytes);
        let Ok(_room) = room.clone().acquire_many_owned(bytes).await else { return };
        let waited = at - waiting_since;
        // What comes from now on is waited for.
        (waiting_since, heard) = (Instant::now(), Instant::now());
        let blocked_for = std::mem::replace(&mut blocked_for, at.elapsed());
        if out.send(Ok(Received { item, at_ms, at, waited, blocked_for, _room })).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn clock() -> Clock {
        Arc::new(|| 0)
    }

    const WATCHDOG: Watchdog = Watchdog { silence: Duration::from_secs(30), quiet: Duration::from_secs(100) };

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_and_one_with_signs_of_life_only_are_dead() {
        let silent = stream::pending::<u8>();
        let mut silent = ReadAhead::new(silent, WATCHDOG, 10, clock(), |_| Some(1));
        let began = Instant::now();
        assert_eq!(silent.next().await.unwrap().unwrap_err(), Dead::Silent);
        assert_eq!(began.elapsed().as_secs(), 30);
        let pings = Box::pin(stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            Some((0u8, ()))
        }));
        let mut quiet = ReadAhead::new(pings, WATCHDOG, 10, clock(), |_| None);
        let began = Instant::now();
        assert_eq!(quiet.next().await.unwrap().unwrap_err(), Dead::Quiet);
        assert_eq!(began.elapsed().as_secs(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_read_than_there_is_room_for_and_nothing_is_lost() {
        let read = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = read.clone();
        let items = stream::iter(0..100usize).inspect(move |n| count.store(*n, std::sync::atomic::Ordering::Relaxed));
        let mut ahead = ReadAhead::new(items, WATCHDOG, 10, clock(), |_| Some(3));
        tokio::time::sleep(Duration::from_secs(500)).await;
        assert_eq!(read.load(std::sync::atomic::Ordering::Relaxed), 3, "the fourth waits for room");
        let mut all = vec![];
        let mut longest = Duration::ZERO;
        while let Some(item) = ahead.next().await {
            let item = item.unwrap();
            longest = longest.max(item.blocked_for);
            all.push(item.item);
        }
        assert_eq!(all, (0..100).collect::<Vec<_>>());
        assert_eq!(longest.as_secs(), 500, "it knows how long it was blocked");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_before_a_close_is_available() {
        let items = Box::pin(stream::iter(0..3).chain(stream::pending()));
        let mut ahead = ReadAhead::new(items, WATCHDOG, 10, clock(), |_| Some(1));
        tokio::time::sleep(Duration::from_secs(1)).await;
        ahead.close();
        let mut all = vec![];
        while let Some(item) = ahead.next().await {
            all.push(item.unwrap().item);
        }
        assert_eq!(all, [0, 1, 2]);
    }
}
