//! A message of Bluesky's stream and a status of Mastodon: any bytes give an event or a reason, never a panic.
#![no_main]

use birdsong_domain::post::InstallationKey;
use birdsong_sources::{bluesky, mastodon};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let key = InstallationKey([7; 16]);
    let mut each = |post: &birdsong_domain::post::SourcePost<'_>| {
        assert!(post.hosts.iter().all(|host| host.len() <= birdsong_domain::post::MAX_HOST_BYTES));
    };
    let _ = bluesky::read_message(bytes, &key, &mut each);
    let _ = mastodon::read_status(bytes, mastodon::Seen::Live(1_700_000_000_000), &key, &mut each);
});
