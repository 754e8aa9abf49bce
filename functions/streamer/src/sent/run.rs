//! A sorted run: posts by id, on disk in blocks, with the first id of each block in memory.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use birdsong_domain::post::PostId;

use super::sets::{RegionSet, RegionSets};

/// Bytes of an entry: id and set of regions, little endian.
const ENTRY_BYTES: usize = 16 + 4;
/// Entries that are read at a time.
const BLOCK_ENTRIES: usize = 256;
const BLOCK_BYTES: usize = BLOCK_ENTRIES * ENTRY_BYTES;
/// Blocks of one run that are kept in memory.
const CACHED_BLOCKS: usize = 8;
/// Look-ups without a result before a run gets a filter: archives in order of time never need one, since
/// the ids of their runs hardly overlap.
const MISSES_BEFORE_FILTER: u32 = 256;

/// One post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: u128,
    pub(super) regions: RegionSet,
}

/// Where runs are written.
#[derive(Debug)]
pub(super) struct Scratch {
    dir: Option<PathBuf>,
    /// The disk refuses files just now: runs stay in memory.
    is_refused: bool,
}

#[derive(Debug)]
enum Storage {
    File(File),
    Memory(Vec<u8>),
}

/// A run; it is never changed.
#[derive(Debug)]
pub(super) struct Run {
    /// 0 for a run that was a hash table, one more with each merge.
    pub(super) level: u8,
    /// When its last post was sent, in milliseconds.
    pub(super) written_ms: i64,
    storage: Storage,
    first_ids: Vec<u128>,
    last_id: u128,
    count: u64,
    filter: Option<Filter>,
    misses: u32,
    cache: Vec<Option<(usize, Vec<u8>)>>,
}

impl Scratch {
    pub(super) fn new(dir: Option<PathBuf>) -> Self {
        Self { dir, is_refused: false }
    }

    /// Writes entries that come in order of their ids. Without a disk, or when that is full, they are kept in memory:
    /// exactness is worth more than a bound.
    pub(super) fn write<E: Iterator<Item = io::Result<Entry>>>(
        &mut self,
        level: u8,
        written_ms: i64,
        entries: impl Fn() -> E,
    ) -> io::Result<Run> {
        let written = self.file().and_then(|file| {
            let file = Output::File(BufWriter::with_capacity(1 << 18, file));
            Self::write_to(file, level, written_ms, entries())
        });
        match written {
            Ok(run) => {
                self.is_refused = false;
                Ok(run)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_refused, true) {
                    tracing::warn!(
                        "the index of posts that were sent stays in memory, as no file can be written: {error}"
                    );
                }
                Self::write_to(Output::Memory(vec![]), level, written_ms, entries())
            }
        }
    }

    fn write_to(
        mut out: Output,
        level: u8,
        written_ms: i64,
        entries: impl Iterator<Item = io::Result<Entry>>,
    ) -> io::Result<Run> {
        let (mut first_ids, mut last_id, mut count) = (vec![], 0, 0u64);
        for entry in entries {
            let Entry { id, regions } = entry?;
            if count.is_multiple_of(BLOCK_ENTRIES as u64) {
                first_ids.push(id);
            }
            (last_id, count) = (id, count + 1);
            let mut bytes = [0; ENTRY_BYTES];
            bytes[..16].copy_from_slice(&id.to_le_bytes());
            bytes[16..].copy_from_slice(&regions.0.to_le_bytes());
            match &mut out {
                Output::Memory(memory) => memory.extend_from_slice(&bytes),
                Output::File(file) => file.write_all(&bytes)?,
            }
        }
        let storage = match out {
            Output::Memory(memory) => Storage::Memory(memory),
            Output::File(file) => Storage::File(file.into_inner().map_err(io::IntoInnerError::into_error)?),
        };
        let cache = (0..CACHED_BLOCKS).map(|_| None).collect();
        Ok(Run { level, written_ms, storage, first_ids, last_id, count, filter: None, misses: 0, cache })
    }

    fn file(&self) -> io::Result<File> {
        match &self.dir {
            Some(dir) => tempfile::tempfile_in(dir),
            None => tempfile::tempfile(),
        }
    }
}

enum Output {
    File(BufWriter<File>),
    Memory(Vec<u8>),
}

impl Run {
    /// The regions that have a post; the empty set when the run does not contain it.
    pub(super) fn get(&mut self, id: PostId) -> io::Result<RegionSet> {
        let id = id.0;
        let nothing = Ok(RegionSet::default());
        // Blocks start with the ids in `first_ids`, so the one before the first larger id may contain it.
        let Some(block) = self.first_ids.partition_point(|first| *first <= id).checked_sub(1) else { return nothing };
        if id > self.last_id || self.filter.as_ref().is_some_and(|filter| !filter.may_have(id)) {
            return nothing;
        }
        let bytes = self.block(block)?;
        let entry = |at: usize| decode(&bytes[at * ENTRY_BYTES..]);
        let (mut low, mut high) = (0, bytes.len() / ENTRY_BYTES);
        while low < high {
            let middle = low.midpoint(high);
            let found = entry(middle);
            match found.id.cmp(&id) {
                std::cmp::Ordering::Equal => return Ok(found.regions),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        self.misses = self.misses.saturating_add(1);
        if self.misses == MISSES_BEFORE_FILTER {
            let mut filter = Filter::for_count(self.count);
            for entry in self.entries() {
                filter.add(entry?.id);
            }
            self.filter = Some(filter);
        }
        nothing
    }

    fn block(&mut self, number: usize) -> io::Result<&[u8]> {
        if let Storage::Memory(memory) = &self.storage {
            let from = number * BLOCK_BYTES;
            return Ok(&memory[from..memory.len().min(from + BLOCK_BYTES)]);
        }
        let slot = number % CACHED_BLOCKS;
        if self.cache[slot].as_ref().is_none_or(|(cached, _)| *cached != number) {
            let mut bytes = self.cache[slot].take().map(|(_, bytes)| bytes).unwrap_or_default();
            self.storage.read(number, self.count, &mut bytes)?;
            self.cache[slot] = Some((number, bytes));
        }
        Ok(self.cache[slot].as_ref().map_or(&[], |(_, bytes)| bytes))
    }

    fn entries(&self) -> Entries<'_> {
        Entries { run: self, block: vec![], at: 0, next_block: 0 }
    }
}

fn decode(bytes: &[u8]) -> Entry {
    let (mut id, mut regions) = ([0; 16], [0; 4]);
    id.copy_from_slice(&bytes[..16]);
    regions.copy_from_slice(&bytes[16..ENTRY_BYTES]);
    Entry { id: u128::from_le_bytes(id), regions: RegionSet(u32::from_le_bytes(regions)) }
}

impl Storage {
    /// Reads a whole block; the last one may be shorter.
    fn read(&self, number: usize, count: u64, out: &mut Vec<u8>) -> io::Result<()> {
        let from = number * BLOCK_BYTES;
        let bytes = (count as usize * ENTRY_BYTES).saturating_sub(from).min(BLOCK_BYTES);
        match self {
            Self::Memory(memory) => {
                out.clear();
                out.extend_from_slice(&memory[from..from + bytes]);
            }
            Self::File(file) => {
                out.resize(bytes, 0);
                let mut file = file;
                file.seek(SeekFrom::Start(from as u64))?;
                file.read_exact(out)?;
            }
        }
        Ok(())
    }
}

/// All entries of a run, in order.
struct Entries<'r> {
    run: &'r Run,
    block: Vec<u8>,
    at: usize,
    next_block: usize,
}

impl Iterator for Entries<'_> {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.block.len() {
            if self.next_block >= self.run.first_ids.len() {
                return None;
            }
            if let Err(error) = self.run.storage.read(self.next_block, self.run.count, &mut self.block) {
                self.next_block = usize::MAX;
                self.block.clear();
                return Some(Err(error));
            }
            (self.at, self.next_block) = (0, self.next_block + 1);
        }
        let entry = decode(&self.block[self.at..]);
        self.at += ENTRY_BYTES;
        Some(Ok(entry))
    }
}

/// The entries of several runs in order, each post once. As long as one run has the lowest ids, the others are
/// not looked at.
pub(super) fn merged<'r, 's>(
    runs: &'r [Run],
    sets: &'r RefCell<&'s mut RegionSets>,
) -> impl Iterator<Item = io::Result<Entry>> + use<'r, 's> {
    let mut parts: Vec<_> = runs.iter().map(|run| run.entries().peekable()).collect();
    // The run that had the lowest id, and the lowest id of the others.
    let (mut lowest, mut limit) = (0, 0);
    std::iter::from_fn(move || {
        let ahead = parts.get_mut(lowest).and_then(|part| {
            // At the start, no id is below the limit.
            part.next_if(|entry| entry.as_ref().is_ok_and(|entry| entry.id < limit))
        });
        if ahead.is_some() {
            return ahead;
        }
        let mut first: Option<u128> = None;
        limit = u128::MAX;
        for (n, part) in parts.iter_mut().enumerate() {
            match part.peek() {
                Some(Ok(Entry { id, .. })) => match first {
                    Some(first) if *id >= first => limit = limit.min(*id),
                    before => {
                        limit = before.unwrap_or(u128::MAX);
                        (first, lowest) = (Some(*id), n);
                    }
                },
                Some(Err(_)) => return part.next(),
                None => (),
            }
        }
        let mut next = Entry { id: first?, regions: RegionSet::default() };
        for part in &mut parts {
            if let Some(Ok(entry)) = part.next_if(|entry| entry.as_ref().is_ok_and(|entry| entry.id == next.id)) {
                next.regions = sets.borrow_mut().union(next.regions, entry.regions);
            }
        }
        Some(Ok(next))
    })
}

/// A blocked Bloom filter (Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient Bloom Filters",
/// 2007): all bits of an id are in one cache line. At 10 bits an id about one look-up in 80 is in vain.
#[derive(Debug)]
struct Filter {
    lines: Vec<[u64; 8]>,
}

impl Filter {
    const BITS_PER_ID: u64 = 10;
    const BITS_SET: u32 = 6;

    fn for_count(count: u64) -> Self {
        Self { lines: vec![[0; 8]; (count * Self::BITS_PER_ID).div_ceil(512).max(1) as usize] }
    }

    /// The line of an id, and the bits in it: nine bits of the second number for each.
    fn place(&self, id: u128) -> (usize, u64) {
        let folded = id as u64 ^ ((id >> 64) as u64).rotate_left(29);
        let mix = |n: u64| {
            // The finalizer of MurmurHash3 (Appleby).
            let n = (n ^ (n >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
            let n = (n ^ (n >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
            n ^ (n >> 33)
        };
        let (first, second) = (mix(folded), mix(folded ^ 0x9e37_79b9_7f4a_7c15));
        (((u128::from(first) * self.lines.len() as u128) >> 64) as usize, second)
    }

    fn add(&mut self, id: u128) {
        let (line, bits) = self.place(id);
        for n in 0..Self::BITS_SET {
            let bit = bits >> (n * 9) & 511;
            self.lines[line][(bit / 64) as usize] |= 1 << (bit % 64);
        }
    }

    fn may_have(&self, id: u128) -> bool {
        let (line, bits) = self.place(id);
        (0..Self::BITS_SET).all(|n| {
            let bit = bits >> (n * 9) & 511;
            self.lines[line][(bit / 64) as usize] & (1 << (bit % 64)) != 0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use birdsong_domain::post::InstallationKey;

    fn hashed(n: u64) -> u128 {
        InstallationKey([1; 16]).post("test", &n.to_be_bytes()).0
    }

    fn run(ids: impl Iterator<Item = u128>) -> Run {
        let mut entries: Vec<_> = ids.map(|id| Entry { id, regions: RegionSet(id as u32 | 1) }).collect();
        entries.sort_unstable_by_key(|entry| entry.id);
        Scratch::new(None).write(0, 0, || entries.iter().copied().map(Ok)).unwrap()
    }

    #[test]
    fn a_run_finds_what_it_has_and_nothing_else() {
        for count in [1, 255, 256, 257, 5000] {
            let mut run = run((0..count).map(hashed));
            assert!(matches!(run.storage, Storage::File(_)));
            for n in 0..count {
                assert_eq!(run.get(PostId(hashed(n))).unwrap(), RegionSet(hashed(n) as u32 | 1));
            }
            for n in count..count + 5000 {
                assert!(run.get(PostId(hashed(n))).unwrap().is_empty());
            }
            assert_eq!(run.entries().count() as u64, count);
        }
    }

    #[test]
    fn merged_runs_have_each_post_once_in_order_however_they_overlap() {
        for step in [1, 3, 100, 5000] {
            // Eight runs of 1,000 ids, `step` apart.
            let mut runs: Vec<_> = (0..8).map(|n| run((0..1000).map(|id| n * step + id))).collect();
            let plain: std::collections::BTreeSet<_> =
                (0..8).flat_map(|n| (0..1000).map(move |id| n * step + id)).collect();
            for _ in 0..8 {
                let mut sets = RegionSets::default();
                let ids: Vec<_> = merged(&runs, &RefCell::new(&mut sets)).map(|entry| entry.unwrap().id).collect();
                assert!(ids.iter().copied().eq(plain.iter().copied()), "{step}");
                runs.rotate_left(3);
            }
        }
    }

    #[test]
    fn a_filter_spares_most_look_ups_and_loses_nothing() {
        let mut run = run((0..50_000).map(hashed));
        for _ in 0..2 * MISSES_BEFORE_FILTER {
            assert!(run.get(PostId(u128::MAX)).unwrap().is_empty());
        }
        assert_eq!(run.misses, 0, "what is behind the last post is not looked for");
        for n in 50_000..50_000 + u64::from(MISSES_BEFORE_FILTER) {
            assert!(run.filter.is_none(), "{n}");
            run.get(PostId(hashed(n))).unwrap();
        }
        for n in (0..50_000).step_by(97) {
            assert_eq!(run.get(PostId(hashed(n))).unwrap(), RegionSet(hashed(n) as u32 | 1));
        }
        for n in 60_000..62_000 {
            assert!(run.get(PostId(hashed(n))).unwrap().is_empty());
        }
        assert!(run.misses < MISSES_BEFORE_FILTER + 100, "{}", run.misses);
        let filter = run.filter.as_ref().expect("it had enough misses");
        assert!((0..50_000).all(|n| filter.may_have(hashed(n))));
        let in_vain = (100_000..200_000).filter(|n| filter.may_have(hashed(*n))).count();
        assert!(in_vain < 2500, "{in_vain} of 100,000");
    }

    #[test]
    fn a_disk_that_accepts_no_file_costs_memory_and_no_post() {
        let mut scratch = Scratch::new(Some("/nowhere/at/all".into()));
        let mut run = scratch.write(0, 0, || (0..1000).map(|id| Ok(Entry { id, regions: RegionSet(7) }))).unwrap();
        assert!(scratch.is_refused && matches!(run.storage, Storage::Memory(_)));
        assert!((0..1000).all(|id| run.get(PostId(id)).unwrap() == RegionSet(7)));
        assert!(run.get(PostId(1000)).unwrap().is_empty());
        assert!(run.entries().map(|entry| entry.unwrap().id).eq(0..1000));
    }
}
