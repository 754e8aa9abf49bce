//! How often the truth is within the bounds stated for distinct authors: measured, since "95 %" is a
//! claim. Seeds are fixed, so the result is the same in each run.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use birdsong_domain::uniques::Uniques;

/// The finalizer of `SplitMix64`, in place of the keyed hash that authors have.
fn hash(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// The `n` authors of trial `seed`, spread over `parts` counts that are then merged. With `overlap`
/// every second author is in two of them.
fn trial(seed: u64, n: u64, parts: u64, overlap: bool) -> Uniques {
    let mut counts = vec![Uniques::default(); parts as usize];
    for author in 0..n {
        let (part, number) = (author * parts / n, hash(seed << 32 | author));
        counts[part as usize].add(number);
        if overlap && author % 2 == 0 {
            counts[((part + 1) % parts) as usize].add(number);
        }
    }
    let mut merged = Uniques::default();
    counts.iter().for_each(|count| merged.merge(count));
    merged
}

// Rule 9.1.
#[test]
fn nineteen_of_twenty_bounds_hold_the_truth() {
    let shapes = [("one lane", 1, false), ("eight lanes", 8, false), ("an hour of twelve windows", 12, true)];
    let mut seed = 0;
    for (name, parts, overlap) in shapes {
        let (mut held, mut trials) = (0, 0);
        for (n, times) in [(225, 1000), (400, 1000), (1000, 1000), (1300, 1000), (10_000, 400), (100_000, 300)] {
            let (mut here, mut bias) = (0, 0.0);
            for _ in 0..times {
                seed += 1;
                let estimate = trial(seed, n, parts, overlap).estimate();
                here += u32::from((estimate.low..=estimate.high).contains(&n));
                bias += estimate.value as f64 / n as f64 - 1.0;
            }
            println!(
                "{name}, {n} authors: {here} of {times} bounds contain the truth, mean error {:+.2} %",
                100.0 * bias / f64::from(times)
            );
            assert!(f64::from(here) >= 0.93 * f64::from(times), "{name}, {n} authors: {here} of {times}");
            assert!((bias / f64::from(times)).abs() < 0.01, "{name}, {n} authors: the estimates lean to one side");
            held += here;
            trials += times;
        }
        assert!(f64::from(held) >= 0.95 * f64::from(trials), "{name}: {held} of {trials}");
    }
}
