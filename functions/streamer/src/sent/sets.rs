//! Sets of regions, as small numbers: millions of posts share a few of them.

use std::collections::HashMap;

/// A set of regions; its meaning is in the [`RegionSets`] that made it. The default is the empty set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct RegionSet(pub(crate) u32);

impl RegionSet {
    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// All sets that occurred, each once.
#[derive(Debug)]
pub(crate) struct RegionSets {
    regions: HashMap<String, u32>,
    /// By number; each sorted.
    sets: Vec<Box<[u32]>>,
    numbers: HashMap<Box<[u32]>, u32>,
    unions: HashMap<(RegionSet, RegionSet), RegionSet>,
    differences: HashMap<(RegionSet, RegionSet), RegionSet>,
}

impl Default for RegionSets {
    fn default() -> Self {
        let empty: Box<[u32]> = Box::default();
        Self {
            regions: HashMap::new(),
            numbers: HashMap::from([(empty.clone(), 0)]),
            sets: vec![empty],
            unions: HashMap::new(),
            differences: HashMap::new(),
        }
    }
}

impl RegionSets {
    /// The number of the region with this id.
    pub(crate) fn region(&mut self, id: &str) -> u32 {
        let next = self.regions.len() as u32;
        match self.regions.get(id) {
            Some(number) => *number,
            None => *self.regions.entry(id.to_owned()).or_insert(next),
        }
    }

    /// The set of these regions. Sorts `regions` and removes repeated ones.
    pub(crate) fn of(&mut self, regions: &mut Vec<u32>) -> RegionSet {
        regions.sort_unstable();
        regions.dedup();
        if let Some(number) = self.numbers.get(regions.as_slice()) {
            return RegionSet(*number);
        }
        let number = self.sets.len() as u32;
        self.sets.push(regions.as_slice().into());
        self.numbers.insert(regions.as_slice().into(), number);
        RegionSet(number)
    }

    /// What is in either.
    pub(crate) fn union(&mut self, a: RegionSet, b: RegionSet) -> RegionSet {
        if a == b || b.is_empty() {
            return a;
        }
        if a.is_empty() {
            return b;
        }
        if let Some(known) = self.unions.get(&(a, b)) {
            return *known;
        }
        let both = self.of(&mut [self.list(a), self.list(b)].concat());
        self.unions.insert((a, b), both);
        both
    }

    /// What is in `a` and not in `b`.
    pub(crate) fn without(&mut self, a: RegionSet, b: RegionSet) -> RegionSet {
        if a == b {
            return RegionSet::default();
        }
        if a.is_empty() || b.is_empty() {
            return a;
        }
        if let Some(known) = self.differences.get(&(a, b)) {
            return *known;
        }
        let mut rest: Vec<u32> = self.list(a).iter().copied().filter(|region| !self.has(b, *region)).collect();
        let rest = self.of(&mut rest);
        self.differences.insert((a, b), rest);
        rest
    }

    pub(crate) fn has(&self, set: RegionSet, region: u32) -> bool {
        self.list(set).binary_search(&region).is_ok()
    }

    fn list(&self, set: RegionSet) -> &[u32] {
        self.sets.get(set.0 as usize).map_or(&[], |list| list)
    }
}
