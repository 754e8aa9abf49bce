//! A log record and a stored window: any bytes give a value or an error, never a panic.
#![no_main]

use birdsong_domain::{frame, window::Partial};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = frame::decode(bytes);
    let _ = Partial::decode(1, bytes);
});
