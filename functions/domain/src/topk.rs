//! The most frequent items of a stream in bounded memory, with an honest error.
//!
//! Misra–Gries counters with the median purge of Anderson et al., "A High-Performance Algorithm
//! for Identifying Frequent Items in Data Streams" (2017), the scheme of Apache DataSketches'
//! frequent-items sketch. It is our own because a stored window must have one byte
//! representation for all batch cuts, and because each item also remembers how it was
//! written (docs/adr/0002).

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::crowd::Crowd;
use crate::wire::{self, DecodeError, Reader};

/// Items of a sketch that merges others.
pub const MERGED_COUNTERS: usize = 2048;
/// Different spellings that are remembered for one item, the key itself among them.
const MAX_FORMS: usize = 5;

/// Counters for at most `capacity` items. A count is never too high; it is too low by at most
/// [`TopK::error`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopK {
    capacity: usize,
    /// Sum of all purges: how much any count may be too low.
    error: u64,
    counters: Counters,
}

type Counters = HashMap<Box<str>, Counter, BuildHasherDefault<ItemHasher>>;

/// Eight bytes at a time, by one multiplication with a large odd number (2^64 / golden ratio). Items that are made to collide
/// gain nothing: a sketch has few counters.
#[derive(Default)]
struct ItemHasher(u64);

impl ItemHasher {
    fn mix(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

impl Hasher for ItemHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((word, behind)) = rest.split_first_chunk::<8>() {
            self.mix(u64::from_le_bytes(*word));
            rest = behind;
        }
        self.mix(rest.iter().fold(bytes.len() as u64, |word, b| word << 8 | u64::from(*b)));
    }

    fn write_u8(&mut self, byte: u8) {
        self.mix(byte.into());
    }
}

/// Spellings are counted as Misra and Gries do (1982): a new one, when all places are used, costs
/// each of the others a sight instead. So a spelling that more than a sixth of the posts use is never
/// lost, and every one that is kept was written by an author.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counter {
    count: u64,
    /// How often the key itself was written, as far as it is remembered.
    own: u64,
    /// The other written forms in the order of their text, with how often each was seen.
    forms: Vec<(Box<str>, u64)>,
    /// Who wrote it.
    crowd: Crowd,
}

impl Counter {
    fn count(&mut self, key: &str, written: &str, author: Option<u64>) {
        self.count += 1;
        self.saw(key, written);
        if let Some(author) = author {
            self.crowd.add(author);
        }
    }

    fn places(&self) -> usize {
        self.forms.len() + usize::from(self.own > 0)
    }

    fn saw(&mut self, key: &str, written: &str) {
        let is_own = written == key;
        let at = self.forms.binary_search_by(|(text, _)| (**text).cmp(written));
        match at {
            _ if is_own && (self.own > 0 || self.places() < MAX_FORMS) => self.own += 1,
            Ok(at) => self.forms[at].1 += 1,
            Err(at) if !is_own && self.places() < MAX_FORMS => self.forms.insert(at, (written.into(), 1)),
            Err(_) => self.lower(1),
        }
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.crowd.merge(&other.crowd);
        self.own += other.own;
        for (written, times) in &other.forms {
            match self.forms.binary_search_by(|(text, _)| text.cmp(written)) {
                Ok(at) => self.forms[at].1 += times,
                Err(at) => self.forms.insert(at, (written.clone(), *times)),
            }
        }
        if self.places() > MAX_FORMS {
            let mut times: Vec<u64> = self.forms.iter().map(|(_, n)| *n).chain([self.own]).collect();
            times.sort_unstable_by(|a, b| b.cmp(a));
            self.lower(times[MAX_FORMS]);
        }
    }

    /// Takes `times` sights off each form and forgets those that have none left; the best one stays.
    fn lower(&mut self, times: u64) {
        let best = self.best().cloned();
        self.own = self.own.saturating_sub(times);
        self.forms.retain_mut(|(_, n)| {
            *n = n.saturating_sub(times);
            *n > 0
        });
        if self.places() == 0 {
            match best {
                Some((text, _)) => self.forms.push((text, 1)),
                None => self.own = 1,
            }
        }
    }

    /// The form written most often, the first by text of equals; `None` when it is the key itself.
    fn best(&self) -> Option<&(Box<str>, u64)> {
        let best = self.forms.iter().max_by(|a, b| a.1.cmp(&b.1).then_with(|| b.0.cmp(&a.0)));
        best.filter(|(_, n)| *n >= self.own)
    }

    fn shown<'a>(&'a self, key: &'a str) -> &'a str {
        self.best().map_or(key, |(text, _)| text)
    }

    /// Whether the forms are only sights of the key itself.
    fn is_plain(&self) -> bool {
        self.forms.is_empty() && self.own == self.count
    }
}

/// One line of the answer of [`TopK::top`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopItem {
    /// The item itself.
    pub key: String,
    /// The form of the item that was written most often; at least one author wrote it so.
    pub shown: String,
    /// How often it was seen, at least.
    pub count: u64,
    /// How many more times it may have been seen, at most.
    pub error: u64,
    /// Who wrote it, since it has a counter.
    pub crowd: Crowd,
}

impl TopK {
    /// Counters for `capacity` items (at least 2).
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(2), error: 0, counters: Counters::default() }
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

    /// Counts one sight of the item `key`, spelled `written`, by an author, who is named by an even hash. Returns how often
    /// it was seen, at least.
    pub fn add(&mut self, key: &str, written: &str, author: Option<u64>) -> u64 {
        if let Some(counter) = self.counters.get_mut(key) {
            counter.count(key, written, author);
            return counter.count;
        }
        let mut counter = Counter::default();
        counter.count(key, written, author);
        self.counters.insert(key.into(), counter);
        self.purge_if_full();
        self.counters.get(key).map_or(0, |counter| counter.count)
    }

    /// How often an item was seen, at least; 0 without a counter.
    #[must_use]
    pub fn count(&self, key: &str) -> u64 {
        self.counters.get(key).map_or(0, |counter| counter.count)
    }

    /// Adds a sketch to a merged one, which is made when it is needed and large, since it is never stored.
    pub(crate) fn merge_into(merged: &mut Option<Self>, part: Option<&Self>) {
        if let Some(part) = part {
            merged.get_or_insert_with(|| Self::new(MERGED_COUNTERS)).merge(part);
        }
    }

    /// Takes in another sketch; its error adds to ours.
    pub fn merge(&mut self, other: &Self) {
        self.error += other.error;
        // Each item alone, so the order in which the hash map walks does not show.
        for (key, theirs) in &other.counters {
            if let Some(ours) = self.counters.get_mut(key) {
                ours.merge(theirs);
            } else {
                self.counters.insert(key.clone(), theirs.clone());
            }
        }
        while self.counters.len() > self.capacity {
            self.purge();
        }
    }

    /// Keeps the `most` most frequent items of a merged sketch. What the next one counted is subtracted from all, so that
    /// counts are still too low by at most [`TopK::error`] (Agarwal et al., "Mergeable Summaries", 2012).
    pub(crate) fn shrink(merged: &mut Option<Self>, most: usize) {
        let Some(sketch) = merged.as_mut().filter(|sketch| sketch.counters.len() > most) else { return };
        let mut counts: Vec<u64> = sketch.counters.values().map(|counter| counter.count).collect();
        let (_, next, _) = counts.select_nth_unstable_by(most, |a, b| b.cmp(a));
        let next = *next;
        sketch.subtract(next);
        sketch.capacity = most;
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
        self.subtract(median);
    }

    fn subtract(&mut self, count: u64) {
        self.error += count;
        self.counters.retain(|_, counter| {
            counter.count = counter.count.saturating_sub(count);
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
            .map(|(key, c)| TopItem {
                key: key.to_owned(),
                shown: c.shown(key).to_owned(),
                count: c.count,
                error: self.error,
                crowd: c.crowd.clone(),
            })
            .collect()
    }

    /// Appends the canonical encoding: items in key order.
    pub fn encode(&self, out: &mut Vec<u8>) {
        wire::put_u64(out, self.error);
        wire::put_u64(out, self.counters.len() as u64);
        for (key, counter) in sorted(&self.counters) {
            wire::put_bytes(out, key.as_bytes());
            wire::put_u64(out, counter.count);
            counter.crowd.encode(out);
            if counter.is_plain() {
                wire::put_u64(out, 0);
                continue;
            }
            wire::put_u64(out, 1 + counter.forms.len() as u64);
            wire::put_u64(out, counter.own);
            for (written, times) in &counter.forms {
                wire::put_bytes(out, written.as_bytes());
                wire::put_u64(out, *times);
            }
        }
    }

    /// Reads what [`TopK::encode`] wrote, with room for `capacity` items. A merged one may have up to `most` of them.
    ///
    /// # Errors
    /// When the bytes are damaged.
    pub fn decode(capacity: usize, most: usize, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let error = reader.u64()?;
        let items = reader.u64()?;
        let room = usize::try_from(items).unwrap_or(usize::MAX).clamp(capacity, most.max(capacity));
        let mut sketch = Self::new(room);
        sketch.error = error;
        sketch.counters.reserve(usize::try_from(items).unwrap_or(usize::MAX).min(sketch.capacity));
        for _ in 0..items {
            let key = reader.text()?;
            let counter = Counter::decode(key, reader)?;
            if sketch.counters.insert(key.into(), counter).is_some() {
                return Err(reader.error("each item once"));
            }
        }
        if sketch.counters.len() > sketch.capacity {
            return Err(reader.error("no more items than the sketch has room for"));
        }
        Ok(sketch)
    }
}

impl Counter {
    fn decode(key: &str, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = reader.u64()?;
        let crowd = Crowd::decode(reader)?;
        let Some(others) = reader.u64()?.checked_sub(1) else {
            return Ok(Self { count, own: count, forms: vec![], crowd });
        };
        let mut counter = Self { count, own: reader.u64()?, forms: vec![], crowd };
        for _ in 0..others {
            let (written, times) = (reader.text()?, reader.u64()?);
            let is_next = counter.forms.last().is_none_or(|(last, _)| **last < *written);
            if counter.places() == MAX_FORMS || !is_next || written == key || times == 0 {
                return Err(reader.error("few spellings, in order"));
            }
            counter.forms.push((written.into(), times));
        }
        if counter.is_plain() || counter.places() == 0 {
            return Err(reader.error("the one form of these spellings"));
        }
        Ok(counter)
    }
}

fn sorted(counters: &Counters) -> BTreeMap<&str, &Counter> {
    counters.iter().map(|(key, counter)| (&**key, counter)).collect()
}

#[cfg(test)]
mod tests;
