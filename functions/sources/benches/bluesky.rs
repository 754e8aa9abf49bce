//! Jetstream messages to posts, on one core.

use birdsong_domain::post::InstallationKey;
use birdsong_sources::bluesky::fake::{Jetstream, Script};
use birdsong_sources::bluesky::{POST, REPOST, read_message};
use divan::counter::{BytesCount, ItemsCount};

fn main() {
    divan::main();
}

#[divan::bench]
fn jetstream_messages(bencher: divan::Bencher<'_, '_>) {
    let server = Jetstream::new(Script::calm(1, 1_700_000_000_000, 100), std::sync::Arc::new(|| 0));
    let wanted = [POST, REPOST].map(str::to_owned);
    let messages: Vec<_> = (0..14_000).filter_map(|n| server.event(n, 0, &wanted)).collect();
    let bytes: usize = messages.iter().map(String::len).sum();
    let key = InstallationKey([7; 16]);
    bencher.counter(ItemsCount::new(messages.len())).counter(BytesCount::new(bytes)).bench(|| {
        let mut posts = 0;
        for message in &messages {
            let _ = divan::black_box(read_message(message.as_bytes(), &key, &mut |_| posts += 1));
        }
        assert!(posts > 8000);
    });
}
