//! A series of counts, and what a detector makes of it.

use std::panic::resume_unwind;

use birdsong_domain::time::WindowSize;

/// Counts of one series, one a window.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) size: WindowSize,
    /// Start of the first window.
    pub(crate) start_ms: i64,
    /// `None`: the window is not usable.
    pub(crate) counts: Vec<Option<u32>>,
}

/// Scores of a series, in thousandths, one a window; zero where there is none.
pub(crate) type Scores = Vec<i64>;

/// Runs `work` over all items on all cores; results are in the order of the items.
pub(crate) fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut done: Vec<(usize, R)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut done = vec![];
                    loop {
                        let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        let Some(item) = items.get(at) else { return done };
                        done.push((at, work(item)));
                    }
                })
            })
            .collect();
        let join =
            |worker: std::thread::ScopedJoinHandle<'_, _>| worker.join().unwrap_or_else(|panic| resume_unwind(panic));
        workers.into_iter().flat_map(join).collect()
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}
