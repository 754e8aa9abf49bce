//! Stored states behind their checksum: any content gives a value or an error, never a panic; and what can be read is
//! written as the same bytes again, since a state has one form (rule 1.8).
#![no_main]

use birdsong_domain::reference::ReferenceDay;
use birdsong_domain::rollup::Rollup;
use birdsong_domain::series::DaySeries;
use birdsong_domain::window::{Aggregate, Partial};
use birdsong_domain::{event, sealed};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((kind, state)) = bytes.split_first() else { return };
    let Ok(stored) = sealed::seal(state.to_vec()) else { return };
    match kind % 6 {
        0 => {
            if let Ok(partial) = Partial::decode(1, &stored) {
                assert_eq!(partial.encode().ok(), Some(stored));
            }
        }
        1 => {
            if let Ok(rollup) = Rollup::decode(&stored) {
                assert_eq!(rollup.encode().ok(), Some(stored));
            }
        }
        2 => drop(DaySeries::decode(&stored)),
        3 => drop(event::decode_all(&stored)),
        4 => drop(ReferenceDay::decode(&stored)),
        _ => drop(Aggregate::decode_lean(state)),
    }
});
