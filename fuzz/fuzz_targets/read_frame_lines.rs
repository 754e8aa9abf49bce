//! The lines of a log record behind its checksums: any lines give posts or the reason of the damage, and what can be
//! read is folded and stored, and read back.
#![no_main]

use birdsong_domain::frame::{self, FrameHeader, Lane};
use birdsong_domain::network::Network;
use birdsong_domain::window::{Aggregate, FoldRules, Partial, touched};

libfuzzer_sys::fuzz_target!(|lines: &[u8]| {
    let lane = Lane::posts("fuzz", Network::X, 0);
    let header =
        FrameHeader { lane, run: "run".into(), counter: 1, cut_ms: 1_700_000_000_000, ..FrameHeader::default() };
    let Ok(record) = frame::encode(&header, lines) else { return };
    let frame = frame::decode(&record).expect("the header is our own");
    let rules = FoldRules::default();
    for window in touched(rules, &frame) {
        let mut aggregate = Aggregate::default();
        aggregate.fold(rules, window, &frame);
        let partial = Partial { generation: 1, fence: 1u64.into(), aggregate, stored_ms: 0 };
        let stored = partial.encode().expect("what is counted is bounded");
        let back = Partial::decode(1, &stored).expect("what is written can be read");
        assert_eq!(back.encode().expect("as before"), stored);
    }
});
