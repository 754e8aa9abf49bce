//! The most frequent items of a stream in bounded memory, with an honest error.
//!
//! Misra–Gries counters with the median purge of Anderson et al., "A High-Performance Algorithm
//! for Identifying Frequent Items in Data Streams" (2017), the scheme of Apache DataSketches'
//! frequent-items sketch. It is our own because a stored window must have one byte
//! representation whatever the batch cuts were, and because each item also remembers how it was
//! written (docs/adr/0002).

use std::collections::BTreeMap;
use std::collections::HashMap;

use crate::wire::{self, DecodeError, Reader};

/// Different spellings that are remembered for one item.
const MAX_FORMS: usize = 4;

/// Counters for at most `capacity` items. A count is never too high; it is too low by at most
/// [`TopK::error`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopK {
    capacity: usize,
    /// Sum of all purges: how much any count may be too low.
    error: u64,
    counters: HashMap<Box<str>, Counter>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counter {
    count: u64,
    /// Written forms other than the key itself, with how often each was seen.
    forms: Vec<(Box<str>, u64)>,
}

impl Counter {
    fn saw(&mut self, key: &str, written: &str, times: u64) {
        if written == key {
            return;
        }
        if let Some(form) = self.forms.iter_mut().find(|(text, _)| &**text == written) {
            form.1 += times;
        } else if self.forms.len() < MAX_FORMS {
            self.forms.push((written.into(), times));
        }
    }

    /// The form written most often; the key itself has what the other forms leave.
    fn shown<'a>(&'a self, key: &'a str) -> &'a str {
        let others: u64 = self.forms.iter().map(|(_, n)| n).sum();
        let best = self.forms.iter().max_by(|a, b| a.1.cmp(&b.1).then_with(|| b.0.cmp(&a.0)));
        match best {
            Some((text, n)) if *n >= self.count.saturating_sub(others) => text,
            _ => key,
        }
    }
}

/// One line of the answer of [`TopK::top`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopItem {
    /// The form of the item that was written most often.
    pub shown: String,
    /// How often it was seen, at least.
    pub count: u64,
    /// How many more it may have been, at most.
    pub error: u64,
}

impl TopK {
    /// Counters for `capacity` items (at least 2).
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(2), error: 0, counters: HashMap::new() }
    }

    /// How much any count may be too low, and the largest count that an item not listed may have.
    #[must_use]
    pub fn error(&self) -> u64 {
        self.error
    }

    /// Number of items with a counter.
    #[must_use]
    pub fn len(&self) -> usize {
        self.counters.len()
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counters.is_empty()
    }

    /// Counts one sight of the item `key`, spelled `written`.
    pub fn add(&mut self, key: &str, written: &str) {
        if let Some(counter) = self.counters.get_mut(key) {
            counter.count += 1;
            counter.saw(key, written, 1);
        } else {
            let mut counter = Counter { count: 1, forms: Vec::new() };
            counter.saw(key, written, 1);
            self.counters.insert(key.into(), counter);
            self.purge_if_full();
        }
    }

    /// Takes in another sketch; its error adds to ours.
    pub fn merge(&mut self, other: &Self) {
        self.error += other.error;
        // Each item by itself, so the order in which the hash map walks does not show.
        for (key, theirs) in &other.counters {
            let Some(ours) = self.counters.get_mut(key) else {
                self.counters.insert(key.clone(), theirs.clone());
                continue;
            };
            ours.count += theirs.count;
            for (written, times) in &theirs.forms {
                ours.saw(key, written, *times);
            }
        }
        while self.counters.len() > self.capacity {
            self.purge();
        }
    }

    fn purge_if_full(&mut self) {
        if self.counters.len() > self.capacity {
            self.purge();
        }
    }

    /// Takes the median count off every counter and drops those that reach zero.
    fn purge(&mut self) {
        let mut counts: Vec<u64> = self.counters.values().map(|c| c.count).collect();
        let middle = counts.len() / 2;
        let (_, median, _) = counts.select_nth_unstable(middle);
        let median = *median;
        self.error += median;
        self.counters.retain(|_, counter| {
            counter.count = counter.count.saturating_sub(median);
            counter.count > 0
        });
    }

    /// The `n` most frequent items, most frequent first, equals by key.
    #[must_use]
    pub fn top(&self, n: usize) -> Vec<TopItem> {
        let mut items: Vec<(&str, &Counter)> = self.counters.iter().map(|(k, c)| (&**k, c)).collect();
        items.sort_unstable_by(|a, b| b.1.count.cmp(&a.1.count).then_with(|| a.0.cmp(b.0)));
        items.truncate(n);
        items
            .into_iter()
            .map(|(key, c)| TopItem { shown: c.shown(key).to_owned(), count: c.count, error: self.error })
            .collect()
    }

    /// Appends the canonical encoding: items in key order.
    pub fn encode(&self, out: &mut Vec<u8>) {
        wire::put_u64(out, self.error);
        wire::put_u64(out, self.counters.len() as u64);
        for (key, counter) in sorted(&self.counters) {
            wire::put_bytes(out, key.as_bytes());
            wire::put_u64(out, counter.count);
            wire::put_u64(out, counter.forms.len() as u64);
            for (written, times) in &counter.forms {
                wire::put_bytes(out, written.as_bytes());
                wire::put_u64(out, *times);
            }
        }
    }

    /// Reads what [`TopK::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are damaged.
    pub fn decode(capacity: usize, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut sketch = Self::new(capacity);
        sketch.error = reader.u64()?;
        let items = reader.u64()?;
        sketch.counters.reserve(usize::try_from(items).unwrap_or(usize::MAX).min(sketch.capacity));
        for _ in 0..items {
            let key = reader.text()?;
            let count = reader.u64()?;
            let mut forms = Vec::new();
            for _ in 0..reader.u64()? {
                forms.push((reader.text()?.into(), reader.u64()?));
            }
            if forms.len() > MAX_FORMS || sketch.counters.insert(key.into(), Counter { count, forms }).is_some() {
                return Err(reader.error("each item once, with few spellings"));
            }
        }
        if sketch.counters.len() > sketch.capacity {
            return Err(reader.error("no more items than the sketch holds"));
        }
        Ok(sketch)
    }
}

fn sorted(counters: &HashMap<Box<str>, Counter>) -> BTreeMap<&str, &Counter> {
    counters.iter().map(|(key, counter)| (&**key, counter)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(sketch: &TopK) -> Vec<u8> {
        let mut out = Vec::new();
        sketch.encode(&mut out);
        out
    }

    #[test]
    fn the_form_written_most_is_shown() {
        let mut sketch = TopK::new(8);
        for written in ["MTL", "mtl", "MTL", "Mtl"] {
            sketch.add("mtl", written);
        }
        assert_eq!(sketch.top(1), [TopItem { shown: "MTL".into(), count: 4, error: 0 }]);
    }

    proptest! {
        #[test]
        fn counts_stay_within_the_stated_error(items in prop::collection::vec(0u32..60, 0..600)) {
            let mut sketch = TopK::new(16);
            let mut truth: HashMap<String, u64> = HashMap::new();
            for item in &items {
                let item = format!("t{item}");
                sketch.add(&item, &item);
                *truth.entry(item).or_default() += 1;
            }
            prop_assert!(sketch.len() <= 16);
            for line in sketch.top(16) {
                let real = truth[&line.shown];
                prop_assert!(line.count <= real && real <= line.count + line.error);
                truth.remove(&line.shown);
            }
            prop_assert!(truth.values().all(|n| *n <= sketch.error()));
        }

        /// A crash between two records reloads the sketch from its bytes; nothing may differ.
        #[test]
        fn a_reload_at_any_point_changes_no_byte(items in prop::collection::vec((0u32..40, any::<bool>()), 0..300), every in 1usize..50) {
            let (mut straight, mut reloaded) = (TopK::new(16), TopK::new(16));
            for (i, (item, upper)) in items.iter().enumerate() {
                let key = format!("t{item}");
                let written = if *upper { key.to_uppercase() } else { key.clone() };
                straight.add(&key, &written);
                reloaded.add(&key, &written);
                if i % every == 0 {
                    let bytes = encoded(&reloaded);
                    reloaded = TopK::decode(16, &mut Reader::new(&bytes)).unwrap();
                }
            }
            prop_assert_eq!(encoded(&straight), encoded(&reloaded));
        }
    }
}
