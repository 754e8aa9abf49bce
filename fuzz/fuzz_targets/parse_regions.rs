//! A regions file: any text gives regions or a mistake with its line.
#![no_main]

use birdsong_domain::region::Regions;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = Regions::parse("fuzz", text);
});
