//! The aggregator on one core, from the bytes of an event on.

#[path = "../examples/cold_start/posts.rs"]
mod posts;

use std::collections::BTreeMap;
use std::sync::Arc;

use birdsong_aggregator::dead_letter::{DeadLetter, DeadLetters};
use birdsong_aws::lambda::aggregator::Handler;
use birdsong_aws::lambda::event::KinesisEvent;
use birdsong_domain::frame;
use birdsong_domain::ports::PortError;
use birdsong_domain::window::{Aggregate, FoldRules, touched};
use birdsong_testkit::MemoryStore;
use divan::counter::ItemsCount;

use crate::posts::{FRAMES, POSTS};

fn main() {
    divan::main();
}

/// Nothing here is damaged.
struct Nowhere;

impl DeadLetters for Nowhere {
    async fn keep(&self, _: &DeadLetter) -> Result<(), PortError> {
        Err(PortError::Unavailable { what: "quarantine", reason: "a benchmark has none".into() })
    }
}

fn posts_of_event() -> ItemsCount {
    ItemsCount::new(FRAMES * POSTS)
}

/// JSON, base64, frames, sums: everything but the store.
#[divan::bench]
fn event_to_folded(bencher: divan::Bencher<'_, '_>) {
    let (event, rules) = (posts::event(0), FoldRules::default());
    bencher.counter(posts_of_event()).bench(|| {
        let event: KinesisEvent<'_> = serde_json::from_str(divan::black_box(&event)).expect("it is an event");
        let mut windows = BTreeMap::<_, Aggregate>::new();
        for record in &event.records {
            let frame = frame::decode(&record.log_record().expect("it is a record").bytes).expect("it is a frame");
            for window in touched(rules, &frame) {
                windows.entry((frame.header.lane.region().to_owned(), window)).or_default().fold(rules, window, &frame);
            }
        }
        windows
    });
}

/// A whole cold invocation over a store in memory: the windows are encoded and put, too.
#[divan::bench]
fn event_to_stored(bencher: divan::Bencher<'_, '_>) {
    let event = posts::event(0);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let handler = || Handler::new(Arc::new(MemoryStore::default()), FoldRules::default(), Nowhere);
    bencher.counter(posts_of_event()).with_inputs(handler).bench_local_refs(|handler| {
        let (_, metrics) = runtime.block_on(handler.handle(&event, posts::BEGIN_MS)).expect("it is folded");
        assert_eq!(metrics.posts as usize, FRAMES * POSTS);
    });
}
