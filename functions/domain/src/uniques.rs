//! How many different authors: exact while they are few, a HyperLogLog sketch beyond.
//!
//! The sketch is Apache DataSketches' HLL with 2^11 registers of 6 bits (1.5 KiB). Below
//! [`EXACT_LIMIT`] authors we keep their hashes themselves, sorted: small windows are exact, and the
//! stored bytes do not depend on the order in which the sketch's own list and set modes happened to
//! grow.
//!
//! Estimates depend on the registers alone, by the estimator of Ertl, "New cardinality estimation
//! algorithms for HyperLogLog sketches" (2017, section 3.1). It never falls when a register rises. So
//! an hour never has a lower estimate than one of its windows, and neither the order in which posts
//! came nor that in which windows are merged shows. The library's own estimators lack this: HIP depends
//! on the order, and the composite one steps down by up to 3 % near 1,300 authors, where it changes
//! from one formula to another.

use datasketches::hll::{HllSketch, HllType, HllUnion};

use crate::wire::{self, DecodeError, Reader};

/// Up to this many different authors are kept exactly. Above the size at which the sketch leaves
/// its own set mode (192 at 2^11 registers), so that a stored sketch is always in array mode.
pub const EXACT_LIMIT: usize = 224;
const LG_K: u8 = 11;
const REGISTERS: u32 = 1 << LG_K;

/// A number of different authors.
#[derive(Clone, Debug)]
pub enum Uniques {
    /// Their hashes, sorted.
    Exact(Vec<u64>),
    /// Too many to list.
    Sketch(Box<HllSketch>),
    /// A union in progress. Converting back to a sketch costs about twenty merges, so it is deferred until
    /// all are merged.
    Union(Box<HllUnion>),
}

/// An estimate with the bounds that contain the truth with 95 % probability (two standard
/// deviations). The test `nineteen_of_twenty_bounds_hold_the_truth` measures how often they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Estimate {
    /// Best guess.
    pub value: u64,
    /// Lower bound.
    pub low: u64,
    /// Upper bound.
    pub high: u64,
}

impl Estimate {
    /// A number that is known.
    #[must_use]
    pub fn exact(n: u64) -> Self {
        Self { value: n, low: n, high: n }
    }

    /// What is left of the estimate when the number is known to be at most `n`.
    #[must_use]
    pub fn at_most(self, n: u64) -> Self {
        Self { value: self.value.min(n), low: self.low.min(n), high: self.high.min(n) }
    }
}

impl Default for Uniques {
    fn default() -> Self {
        Self::Exact(Vec::new())
    }
}

fn new_union() -> HllUnion {
    HllUnion::new(LG_K).expect("2^11 registers are a legal size")
}

fn new_sketch() -> HllSketch {
    // The parameters are constants that the library accepts; a test ensures it.
    HllSketch::new(LG_K, HllType::Hll6).expect("2^11 registers are a legal size")
}

impl Uniques {
    /// Whether no author was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Exact(hashes) if hashes.is_empty())
    }

    /// Counts the author with this hash.
    pub fn add(&mut self, author: u64) {
        match self {
            Self::Exact(hashes) => {
                if let Err(at) = hashes.binary_search(&author) {
                    hashes.insert(at, author);
                    if hashes.len() > EXACT_LIMIT {
                        let mut sketch = new_sketch();
                        hashes.iter().for_each(|hash| sketch.update(*hash));
                        *self = Self::Sketch(Box::new(sketch));
                    }
                }
            }
            Self::Sketch(sketch) => sketch.update(author),
            Self::Union(union) => union.update_value(author),
        }
    }

    /// Union with another count. The order in which counts are merged does not show.
    pub fn merge(&mut self, other: &Self) {
        match (&mut *self, other) {
            (_, Self::Exact(hashes)) if hashes.is_empty() => (),
            (Self::Exact(hashes), _) if hashes.is_empty() => *self = other.clone(),
            (Self::Exact(ours), Self::Exact(theirs)) => {
                ours.extend_from_slice(theirs);
                ours.sort_unstable();
                ours.dedup();
                if ours.len() > EXACT_LIMIT {
                    let mut union = new_union();
                    ours.iter().for_each(|hash| union.update_value(*hash));
                    *self = Self::Union(Box::new(union));
                }
            }
            (Self::Union(union), Self::Exact(hashes)) => hashes.iter().for_each(|hash| union.update_value(*hash)),
            (Self::Union(union), Self::Sketch(theirs)) => union.update(theirs),
            (Self::Union(union), Self::Union(theirs)) => union.update(&theirs.to_sketch(HllType::Hll8)),
            (ours, theirs) => {
                let mut union = Self::Union(Box::new(new_union()));
                union.merge(ours);
                union.merge(theirs);
                *self = union;
            }
        }
    }

    /// How many, with bounds; exact counts have bounds equal to the value.
    #[must_use]
    pub fn estimate(&self) -> Estimate {
        let registers = match self {
            Self::Exact(hashes) => return Estimate::exact(hashes.len() as u64),
            Self::Sketch(sketch) => Registers::of(sketch),
            Self::Union(union) => Registers::of(&union.to_sketch(HllType::Hll8)),
        };
        // Few are listed, so these are more.
        let least = EXACT_LIMIT as u64 + 1;
        let estimate = registers.map_or_else(Estimate::default, Registers::bounded);
        Estimate { value: estimate.value.max(least), low: estimate.low.max(least), high: estimate.high.max(least) }
    }

    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Exact(hashes) => {
                out.push(0);
                wire::put_u64(out, hashes.len() as u64);
                hashes.iter().for_each(|hash| out.extend_from_slice(&hash.to_le_bytes()));
            }
            Self::Sketch(sketch) => {
                out.push(1);
                wire::put_bytes(out, &sketch.serialize());
            }
            Self::Union(union) => Self::Sketch(Box::new(union.to_sketch(HllType::Hll6))).encode(out),
        }
    }

    /// Reads what [`Uniques::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are damaged.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            0 => {
                let mut hashes = Vec::new();
                for _ in 0..reader.u64()? {
                    let mut hash = [0; 8];
                    for byte in &mut hash {
                        *byte = reader.u8()?;
                    }
                    hashes.push(u64::from_le_bytes(hash));
                }
                if hashes.len() > EXACT_LIMIT || !hashes.is_sorted_by(|a, b| a < b) {
                    return Err(reader.error("few author hashes in order"));
                }
                Ok(Self::Exact(hashes))
            }
            1 => {
                let sketch = HllSketch::deserialize(reader.bytes()?).map_err(|_| reader.error("an HLL sketch"))?;
                let is_ours = sketch.lg_config_k() == LG_K && sketch.target_type() == HllType::Hll6;
                if !is_ours || Registers::of(&sketch).is_none() {
                    return Err(reader.error("an HLL sketch of our size"));
                }
                Ok(Self::Sketch(Box::new(sketch)))
            }
            _ => Err(reader.error("a known form of author count")),
        }
    }
}

/// What the estimate depends on.
#[derive(Clone, Copy, Debug)]
struct Registers {
    /// Registers that are zero.
    zeros: u32,
    /// Sum of 2^-r over all registers r.
    sum: f64,
}

impl Registers {
    /// From the preamble that all implementations of DataSketches write: the mode at byte 7 (2:
    /// registers), the sum in two parts at 16 and 24, the zeros at 32 (registers of 6 and 8 bits).
    fn of(sketch: &HllSketch) -> Option<Self> {
        let bytes = sketch.serialize();
        if bytes.get(7)? & 3 != 2 {
            return None;
        }
        let number = |at: usize| Some(f64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let zeros = u32::from_le_bytes(*bytes.get(32..)?.first_chunk()?);
        (zeros <= REGISTERS).then_some(Self { zeros, sum: number(16)? + number(24)? })
    }

    fn bounded(self) -> Estimate {
        let number = self.number();
        let two = 2.0 * deviation(number);
        // Each register that is not zero had its own author.
        let used = u64::from(REGISTERS - self.zeros);
        Estimate {
            value: (number.round() as u64).max(used),
            low: ((number / (1.0 + two)).floor() as u64).max(used),
            high: ((number / (1.0 - two)).ceil() as u64).max(used),
        }
    }

    /// Ertl's improved estimator. Registers never reach their largest value (62), so his term for those
    /// that do is left out.
    fn number(self) -> f64 {
        let m = f64::from(REGISTERS);
        let zeros = f64::from(self.zeros);
        m * m / (2.0 * std::f64::consts::LN_2) / (m * sigma(zeros / m) + self.sum - zeros)
    }
}

/// Relative standard deviation of an estimate: 1.04 / √m of many (Flajolet et al. 2007), that of linear
/// counting of few (Whang et al. 1990), where most registers are zero or have one author.
fn deviation(number: f64) -> f64 {
    let m = f64::from(REGISTERS);
    let load = number / m;
    let of_few = (load.exp() - load - 1.0).max(0.0).sqrt() / load;
    of_few.min(1.04) / m.sqrt()
}

/// Ertl's σ(x) = x + Σ x^(2^k) 2^(k-1), for k from 1.
fn sigma(x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut sum, mut power, mut weight) = (x, x, 1.0);
    loop {
        power *= power;
        let next = sum + power * weight;
        weight *= 2.0;
        if next <= sum {
            return sum;
        }
        sum = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hash(n: u64) -> u64 {
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }

    fn encoded(uniques: &Uniques) -> Vec<u8> {
        let mut out = Vec::new();
        uniques.encode(&mut out);
        out
    }

    #[test]
    fn few_are_exact_and_many_are_close() {
        let mut uniques = Uniques::default();
        for n in 0..200 {
            uniques.add(hash(n));
            uniques.add(hash(n));
        }
        assert_eq!(uniques.estimate(), Estimate { value: 200, low: 200, high: 200 });
        for n in 0..50_000 {
            uniques.add(hash(n));
        }
        let estimate = uniques.estimate();
        assert!((46_000..54_000).contains(&estimate.value), "{estimate:?}");
        assert!(estimate.low < estimate.value && estimate.value < estimate.high);
        assert!(encoded(&uniques).len() < 1700);
    }

    #[test]
    fn a_union_is_not_a_sum() {
        let (mut a, mut b) = (Uniques::default(), Uniques::default());
        (0..10_000).for_each(|n| a.add(hash(n)));
        (5_000..15_000).for_each(|n| b.add(hash(n)));
        a.merge(&b);
        assert!((13_800..16_200).contains(&a.estimate().value), "{:?}", a.estimate());
        let mut few = Uniques::default();
        few.add(hash(1));
        few.merge(&a);
        assert!((13_800..16_200).contains(&few.estimate().value));
    }

    #[test]
    fn many_merged_are_what_one_count_of_all_of_them_is() {
        let part = |from: u64, to: u64| {
            let mut part = Uniques::default();
            (from..to).for_each(|n| part.add(hash(n)));
            part
        };
        let (mut merged, whole) = (Uniques::default(), part(0, 30_500));
        for n in 0..30 {
            merged.merge(&part(n * 1000, n * 1000 + if n % 3 == 0 { 100 } else { 1500 }));
            merged.merge(&part(n * 1000, (n + 1) * 1000));
        }
        assert_eq!(merged.estimate(), whole.estimate());
        let mut other = part(29_000, 30_500);
        other.merge(&merged);
        merged.merge(&part(29_000, 30_500));
        assert_eq!(other.estimate(), merged.estimate());
        let bytes = encoded(&merged);
        let read = Uniques::decode(&mut Reader::new(&bytes)).unwrap();
        assert_eq!(encoded(&read), bytes);
        assert_eq!(read.estimate(), merged.estimate());
    }

    // Rule 9.2.
    /// The estimator is our own: as good as the library's, and without its step near 1,300 authors.
    #[test]
    fn the_estimate_of_a_union_grows_with_its_authors_and_agrees_with_the_library() {
        let mut union = HllUnion::new(LG_K).unwrap();
        let (mut compared, mut last) = (0, (0.0, 0, 0));
        for n in 0..60_000 {
            union.update_value(hash(n));
            if n % 7 == 0 && n >= 225 {
                let registers = Registers::of(&union.to_sketch(HllType::Hll8)).unwrap();
                let (ours, library) = (registers.number(), union.composite_estimate());
                assert!((ours / library - 1.0).abs() < 0.04, "{ours} {library} of {n}");
                let bounds = registers.bounded();
                assert!(bounds.low as f64 > ours * 0.95 && (bounds.high as f64) < ours * 1.05, "{bounds:?} of {ours}");
                assert!(ours >= last.0 && bounds.low >= last.1 && bounds.high >= last.2, "{bounds:?} after {last:?}");
                last = (ours, bounds.low, bounds.high);
                compared += 1;
            }
        }
        assert!(compared > 8000);
    }

    #[test]
    fn authors_are_listed_up_to_the_limit_and_never_fewer_beyond() {
        let of = |from: u64, count: u64| {
            let mut uniques = Uniques::default();
            (from..from + count).for_each(|n| uniques.add(hash(n)));
            uniques
        };
        assert!(Uniques::default().is_empty() && !of(0, 1).is_empty() && !of(0, 300).is_empty());
        for count in [1, 2, 100, 224, 225, 226, 300] {
            for from in (0..100).map(|seed| seed * 1000) {
                let (whole, mut merged) = (of(from, count), of(from, count / 2));
                merged.merge(&of(from + count / 2, count - count / 2));
                for uniques in [&whole, &merged] {
                    let estimate = uniques.estimate();
                    if count <= 224 {
                        assert_eq!(estimate, Estimate::exact(count));
                    } else {
                        assert!(!matches!(uniques, Uniques::Exact(_)), "{count} are too many to list");
                        assert!(estimate.low >= 225 && estimate.value >= 225, "{estimate:?} of {count}");
                    }
                }
                assert_eq!(whole.estimate(), merged.estimate());
            }
        }
    }

    // Rule 1.8.
    #[test]
    fn a_count_has_one_form_and_all_others_are_refused() {
        let exact = |hashes: &[u64]| {
            let mut bytes = vec![0];
            wire::put_u64(&mut bytes, hashes.len() as u64);
            hashes.iter().for_each(|hash| bytes.extend(hash.to_le_bytes()));
            bytes
        };
        let sketch = |lg_k: u8, form: HllType, authors: u64| {
            let mut sketch = HllSketch::new(lg_k, form).unwrap();
            (0..authors).for_each(|n| sketch.update(hash(n)));
            let mut bytes = vec![1];
            wire::put_bytes(&mut bytes, &sketch.serialize());
            bytes
        };
        let read = |bytes: &[u8]| Uniques::decode(&mut Reader::new(bytes)).map(|uniques| encoded(&uniques));
        let many: Vec<_> = (0..225).collect();
        for good in [exact(&[]), exact(&many[..224]), sketch(LG_K, HllType::Hll6, 3000)] {
            assert_eq!(read(&good), Ok(good));
        }
        for (what, bad) in [
            ("too many to list", exact(&many)),
            ("another order", exact(&[2, 1])),
            ("a hash twice", exact(&[1, 1])),
            ("more registers", sketch(LG_K + 1, HllType::Hll6, 3000)),
            ("larger registers", sketch(LG_K, HllType::Hll8, 3000)),
            ("a sketch of so few that they are listed", sketch(LG_K, HllType::Hll6, 3)),
            ("another form", vec![2, 0]),
        ] {
            assert!(read(&bad).is_err(), "{what}");
        }
    }

    #[test]
    fn few_are_known_more_closely_than_many() {
        let m = f64::from(REGISTERS);
        // √(e^t - t - 1) / t for t authors a register, up to 1.04.
        for (load, expected) in [(0.01, 0.7083), (1.0, 0.8475), (1.5, 0.9385), (2.0, 1.04), (1e6, 1.04)] {
            let found = deviation(load * m) * m.sqrt();
            assert!((found - expected).abs() < 1e-4, "{found} at {load}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// However parts are grouped, the whole has one estimate, and none of the groups a larger one.
        #[test]
        fn the_order_of_merging_does_not_show(
            spans in prop::collection::vec((0u64..3000, 1u64..900), 1..7), turn in 0usize..7, cut in 0usize..7,
        ) {
            let part = |(from, len): &(u64, u64)| {
                let mut part = Uniques::default();
                (*from..from + len).for_each(|n| part.add(hash(n)));
                part
            };
            let all = |parts: &[Uniques]| parts.iter().fold(Uniques::default(), |mut sum, part| {
                sum.merge(part);
                sum
            });
            let mut parts: Vec<_> = spans.iter().map(part).collect();
            let straight = all(&parts);
            parts.rotate_left(turn % spans.len());
            prop_assert_eq!(all(&parts).estimate(), straight.estimate());
            let (left, right) = parts.split_at(cut.min(parts.len()));
            let groups = [all(left), all(right)];
            prop_assert_eq!(all(&groups).estimate(), straight.estimate());
            for group in groups.iter().chain(&parts) {
                let (group, whole) = (group.estimate(), straight.estimate());
                prop_assert!(group.value <= whole.value && group.low <= whole.low, "{:?} {:?}", group, whole);
            }
        }

        #[test]
        fn a_reload_at_any_point_changes_no_byte(count in 0u64..1500, span in 1u64..1500, every in 1u64..97) {
            let (mut straight, mut reloaded) = (Uniques::default(), Uniques::default());
            for n in 0..count {
                let author = hash(n % span);
                straight.add(author);
                reloaded.add(author);
                if n % every == 0 {
                    let bytes = encoded(&reloaded);
                    reloaded = Uniques::decode(&mut Reader::new(&bytes)).unwrap();
                }
            }
            prop_assert_eq!(encoded(&straight), encoded(&reloaded));
        }
    }
}
