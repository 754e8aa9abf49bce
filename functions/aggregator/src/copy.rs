//! Copies what one store has into another: from a data folder into a table on AWS, and back.
//!
//! A copied window has the generation and the counts of its original, byte for byte, and fence 0. The sequence numbers of
//! one log mean nothing in another: behind a high fence, live aggregation would skip what the new log has, and from fence 0
//! on it folds all of that on top. So a copy can be repeated while the original goes on. A window that is still as it was
//! copied is replaced, and one that the new place has counted on stays, and is reported.
//!
//! The new log does not have the posts of copied windows. [`COPIED_MS`] states until when, so that a reprocess does not
//! fold them again from too little.
//!
//! Roll-ups, series, events and the overview are not copied: a digest makes them of the windows. Notes, reference
//! counts and the record of corrections cannot be made again, and are copied.
//!
//! ```
//! use birdsong_aggregator::copy::copy;
//! use birdsong_domain::frame::Lane;
//! use birdsong_domain::network::Network;
//! use birdsong_domain::ports::{Expected, PartialKey, Settings, WINDOW_SECS, WindowStore};
//! use birdsong_domain::time::WindowStart;
//! use birdsong_testkit::{MemoryStore, sample_partial};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (from, to) = (MemoryStore::default(), MemoryStore::default());
//! from.set_setting(WINDOW_SECS, "300").await?;
//! let key = PartialKey { lane: Lane::posts("fog", Network::X, 0), window: WindowStart(0) };
//! from.put(&key, &sample_partial(1, 7u64.into(), 5), &Expected::Absent).await?;
//!
//! assert_eq!(copy(&from, &to, 1_700_000_000_000, |_| ()).await?.copied, 1);
//! assert_eq!(copy(&from, &to, 1_700_000_000_000, |_| ()).await?.same, 1);
//! # Ok(())
//! # }
//! ```

use std::collections::{BTreeMap, BTreeSet};

use birdsong_domain::lane::STREAM;
use birdsong_domain::ports::{
    self, COPIED_MS, DocumentKey, DocumentKind, DocumentStore, Expected, PartialKey, PortError, PutOutcome, Settings,
    WindowStore,
};
use birdsong_domain::rollup::DAY_MS;
use birdsong_domain::time::WindowStart;
use birdsong_domain::window::Partial;
use futures_util::stream::{self, StreamExt, TryStreamExt};

/// Windows that are put at the same time: a store in a network answers after milliseconds.
const AT_ONCE: usize = 16;
/// How far before the first window, or after the last one, notes are looked for, in milliseconds.
const NOTES_MS: i64 = 366 * DAY_MS;
/// Documents that cannot be made of windows.
const KINDS: [DocumentKind; 3] = [DocumentKind::Notes, DocumentKind::Reference, DocumentKind::Revisions];
/// Settings that must be the same in both stores, and what a difference means.
const SHARED: [(&str, &str); 2] = [
    (ports::WINDOW_SECS, "its windows have another length: copy into an empty place"),
    (
        ports::KEY_FINGERPRINT,
        "its ids are hashed with another key, so the same authors would count twice: copy into an empty place, and bring the \
         key along",
    ),
];

/// What a copy did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Windows that were not there.
    pub copied: u64,
    /// Windows that were there as an earlier copy, and were replaced.
    pub replaced: u64,
    /// Windows that were there with the same counts.
    pub same: u64,
    /// Windows that the new place counted on, or had before: they stay as they are.
    pub kept: u64,
    /// Windows that cannot be read, and were not copied.
    pub damaged: u64,
    /// Days of notes, of reference counts and of corrections that were copied.
    pub documents: u64,
    /// Those that differ in the new place: they stay as they are.
    pub kept_documents: u64,
}

/// How far a copy is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Windows that were looked at.
    pub windows: u64,
    /// Windows that there are.
    pub of: u64,
}

/// Copies all windows, notes, reference counts and corrections of `from` that `to` does not have. It may be repeated, and continues where
/// an earlier one ended. `now_ms` is the time, in milliseconds.
///
/// # Errors
/// When a store fails, when there is nothing in `from`, or when `to` has windows of another length or another key.
pub async fn copy<A, B>(from: &A, to: &B, now_ms: i64, mut progress: impl FnMut(Progress)) -> Result<Copied, PortError>
where
    A: WindowStore + DocumentStore + Settings,
    B: WindowStore + DocumentStore + Settings,
{
    share_settings(from, to, now_ms).await?;
    let keys = from.keys(WindowStart(i64::MIN), WindowStart(i64::MAX)).await?;
    let mut done = Progress { windows: 0, of: keys.len() as u64 };
    let day = |start_ms: i64| start_ms.div_euclid(DAY_MS) * DAY_MS;
    let mut days = BTreeMap::<_, u64>::new();
    for key in &keys {
        *days.entry((day(key.window.0), key.lane.region().to_owned())).or_default() += 1;
    }
    let mut copied = Copied::default();
    for ((start_ms, region), windows) in &days {
        progress(done);
        copy_day(from, to, region, (*start_ms, start_ms.saturating_add(DAY_MS)), &mut copied).await?;
        to.publish().await?;
        done.windows += windows;
    }
    progress(done);
    if let (Some(((first_ms, _), _)), Some(((last_ms, _), _))) = (days.first_key_value(), days.last_key_value()) {
        let range = (first_ms.saturating_sub(NOTES_MS), last_ms.saturating_add(NOTES_MS));
        let mut regions: BTreeSet<_> = days.keys().map(|(_, region)| region.as_str()).collect();
        regions.insert(STREAM);
        for region in regions {
            for kind in KINDS {
                copy_documents(from, to, kind, region, range, &mut copied).await?;
            }
        }
    }
    Ok(copied)
}

/// Checks that both stores can have the same windows, and prepares the new one.
async fn share_settings<A: Settings, B: Settings>(from: &A, to: &B, now_ms: i64) -> Result<(), PortError> {
    let refused = |reason: String| PortError::Refused { what: "the copy", reason };
    // Whoever opens a store checks its format.
    if from.setting(ports::WINDOW_SECS).await?.is_none() {
        return Err(refused("there is nothing to copy".to_owned()));
    }
    for (key, meaning) in SHARED {
        let Some(ours) = from.setting(key).await? else { continue };
        match to.setting(key).await? {
            Some(theirs) if theirs != ours => {
                return Err(refused(format!("{key} is {theirs} there and {ours} here; {meaning}")));
            }
            Some(_) => (),
            None => to.set_setting(key, &ours).await?,
        }
    }
    // Those that a later start publishes are newer.
    if let (Some(regions), None) = (from.setting(ports::REGIONS).await?, to.setting(ports::REGIONS).await?) {
        to.set_setting(ports::REGIONS, &regions).await?;
    }
    // Before the first window is there. What `from` says of itself counts, too: windows may be copied twice.
    let since_ms = now_ms.max(ports::copied_ms(from).await?).max(ports::copied_ms(to).await?);
    to.set_setting(COPIED_MS, &since_ms.to_string()).await
}

async fn copy_day<A: WindowStore, B: WindowStore>(
    from: &A,
    to: &B,
    region: &str,
    (start_ms, end_ms): (i64, i64),
    copied: &mut Copied,
) -> Result<(), PortError> {
    let range = (WindowStart(start_ms), WindowStart(end_ms));
    let rows = from.query(region, range.0, range.1).await?;
    let mut there: BTreeMap<_, _> = to.query(region, range.0, range.1).await?.into_iter().collect();
    let mut puts = vec![];
    for (key, partial) in rows {
        let ours = match partial {
            Ok(partial) => Partial { fence: 0u64.into(), ..partial },
            Err(PortError::Corrupt { .. }) => {
                copied.damaged += 1;
                continue;
            }
            Err(error) => return Err(error),
        };
        let expected = match there.remove(&key) {
            None => Expected::Absent,
            Some(Ok(theirs)) if is_same(&ours, &theirs)? => {
                copied.same += 1;
                continue;
            }
            Some(Ok(theirs)) if theirs.fence == ours.fence => {
                Expected::At { generation: theirs.generation, fence: theirs.fence }
            }
            Some(_) => {
                copied.kept += 1;
                continue;
            }
        };
        puts.push(put(to, key, ours, expected));
    }
    let outcomes: Vec<_> = stream::iter(puts).buffer_unordered(AT_ONCE).try_collect().await?;
    for (outcome, is_new) in outcomes {
        match (outcome, is_new) {
            (PutOutcome::Stored, true) => copied.copied += 1,
            (PutOutcome::Stored, false) => copied.replaced += 1,
            (PutOutcome::Conflict, _) => copied.kept += 1,
        }
    }
    Ok(())
}

/// Puts a window, and returns the outcome and whether there was none before.
async fn put<B: WindowStore>(
    to: &B,
    key: PartialKey,
    partial: Partial,
    expected: Expected,
) -> Result<(PutOutcome, bool), PortError> {
    Ok((to.put(&key, &partial, &expected).await?, expected == Expected::Absent))
}

/// Whether two windows have the same generation and counts, whatever their fences.
fn is_same(ours: &Partial, theirs: &Partial) -> Result<bool, PortError> {
    let bytes = |partial: &Partial| {
        let unfenced = Partial { fence: 0u64.into(), ..partial.clone() };
        unfenced.encode().map_err(PortError::cannot_encode)
    };
    Ok(ours.generation == theirs.generation && bytes(ours)? == bytes(theirs)?)
}

async fn copy_documents<A: DocumentStore, B: DocumentStore>(
    from: &A,
    to: &B,
    kind: DocumentKind,
    region: &str,
    (from_ms, to_ms): (i64, i64),
    copied: &mut Copied,
) -> Result<(), PortError> {
    let there = to.documents(kind, region, from_ms, to_ms).await?;
    for document in from.documents(kind, region, from_ms, to_ms).await? {
        let key = DocumentKey { kind, region: region.to_owned(), start_ms: document.start_ms };
        match there.iter().find(|other| other.start_ms == document.start_ms) {
            Some(other) if other.body == document.body => (),
            Some(_) => copied.kept_documents += 1,
            None => match to.put_document(&key, Some(&document.body), None).await? {
                PutOutcome::Stored => copied.documents += 1,
                PutOutcome::Conflict => copied.kept_documents += 1,
            },
        }
    }
    Ok(())
}
