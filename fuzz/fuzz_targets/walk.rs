//! A line of an archive: whatever is read in one walk, the general reader reads the same way.
#![no_main]

use birdsong_sources::archive::is_walked_alike;

libfuzzer_sys::fuzz_target!(|line: &str| assert!(is_walked_alike(line)));
