//! A line of an archive: any bytes give posts or a reason, never a panic, and the same with both JSON readers.
#![no_main]

use birdsong_sources::archive::do_readers_agree;

libfuzzer_sys::fuzz_target!(|line: &[u8]| {
    assert!(do_readers_agree(line));
});
