//! A line of an archive: any bytes give posts or a reason, never a panic.
#![no_main]

use birdsong_domain::post::InstallationKey;
use birdsong_sources::archive::read_line;

libfuzzer_sys::fuzz_target!(|line: &[u8]| {
    let _ = read_line(line, &InstallationKey([0; 16]), &mut |_| ());
});
