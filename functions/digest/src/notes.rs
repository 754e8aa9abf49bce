//! Notes by people, by the day on which they start. One that is on all regions is under [`STREAM`].
//!
//! ```
//! use birdsong_digest::notes;
//! use birdsong_domain::event::Event;
//! use birdsong_testkit::MemoryStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = MemoryStore::default();
//! let note = Event::note("montreal", (1_700_000_000_000, 1_700_003_600_000), "Derby").ok_or("no text")?;
//! notes::add(&store, note.clone()).await?;
//! assert_eq!(notes::list(&store, "montreal", 1_700_000_000_000, 1_700_000_000_001).await?, [note.clone()]);
//! assert!(notes::remove(&store, &note.id).await?);
//! assert!(!notes::remove(&store, &note.id).await?);
//! # Ok(())
//! # }
//! ```

use birdsong_domain::event::{Event, EventKind, MAX_NOTES, encode_all};
use birdsong_domain::lane::STREAM;
use birdsong_domain::ports::{DocumentKey, DocumentKind, DocumentStore, PortError};
use birdsong_domain::rollup::DAY_MS;

use crate::documents::{Change, change};
use crate::events::{decode, overlaps};

/// Longest time that a note is on, in milliseconds: lists look back as far.
pub const MAX_NOTE_MS: i64 = 31 * DAY_MS;
/// How often a put is repeated because another writer was faster.
const MAX_CONFLICTS: usize = 16;

/// Why a note is not stored.
#[derive(Debug, thiserror::Error)]
pub enum NoteError {
    /// The event is no note, or has no text.
    #[error("a note has a text of at least one character")]
    Empty,
    /// It is on a time that is too long.
    #[error("a note is on at most 31 days")]
    TooLong,
    /// The day is full.
    #[error("a region has at most {MAX_NOTES} notes that start on one day; remove some first")]
    Full,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// Stores a note. One with the same region, start and text is replaced.
///
/// # Errors
/// When the note is not possible, its day is full, or the store fails.
pub async fn add<S: DocumentStore>(store: &S, note: Event) -> Result<(), NoteError> {
    if note.kind != EventKind::Note || note.text.as_ref().is_none_or(|text| text.is_empty()) {
        return Err(NoteError::Empty);
    }
    if note.end_ms.saturating_sub(note.start_ms) > MAX_NOTE_MS {
        return Err(NoteError::TooLong);
    }
    let (region, day_ms) = (note.region.clone(), day_of(note.start_ms));
    change_notes(store, &region, day_ms, |notes| {
        notes.retain(|other| other.id != note.id);
        if notes.len() >= MAX_NOTES {
            return Err(NoteError::Full);
        }
        notes.push(note.clone());
        notes.sort_by(|a, b| (a.start_ms, &a.id).cmp(&(b.start_ms, &b.id)));
        Ok(true)
    })
    .await?;
    Ok(())
}

/// The notes of a region, or of all regions together ([`STREAM`]), that overlap `from_ms..to_ms`, by start.
///
/// # Errors
/// When the store fails, or what is stored is damaged.
pub async fn list<S: DocumentStore>(
    store: &S,
    region: &str,
    from_ms: i64,
    to_ms: i64,
) -> Result<Vec<Event>, PortError> {
    let first_ms = day_of(from_ms.saturating_sub(MAX_NOTE_MS));
    let mut notes = vec![];
    for document in store.documents(DocumentKind::Notes, region, first_ms, to_ms).await? {
        notes.extend(decode(DocumentKind::Notes, region, document.start_ms, &document.body)?);
    }
    notes.retain(|note| overlaps(note, (from_ms, to_ms)));
    notes.sort_by(|a, b| (a.start_ms, &a.id).cmp(&(b.start_ms, &b.id)));
    Ok(notes)
}

/// Removes the note with an id, which names its region and start. Returns whether there was one.
///
/// # Errors
/// When the store fails, or what is stored is damaged.
pub async fn remove<S: DocumentStore>(store: &S, id: &str) -> Result<bool, PortError> {
    let Some((region, start_ms)) = place_of(id) else { return Ok(false) };
    // An id has the region without the underscore of `_stream`.
    let regions = [Some(region), (STREAM.trim_start_matches('_') == region).then_some(STREAM)];
    for region in regions.into_iter().flatten() {
        let removed = change_notes(store, region, day_of(start_ms), |notes| {
            let count = notes.len();
            notes.retain(|note| note.id != id);
            Ok(notes.len() < count)
        });
        match removed.await {
            Ok(true) => return Ok(true),
            Ok(false) => (),
            Err(NoteError::Store(error)) => return Err(error),
            // Only adding has other errors.
            Err(_) => return Ok(false),
        }
    }
    Ok(false)
}

/// Region and start in the id of a note: `REGION-note-START-HASH-HASH`.
fn place_of(id: &str) -> Option<(&str, i64)> {
    let mut parts = id.rsplitn(5, '-');
    let (_, _, start, kind, region) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let start_ms = u64::from_str_radix(start, 16).ok()?.cast_signed();
    (kind == EventKind::Note.as_str()).then_some((region, start_ms))
}

fn day_of(time_ms: i64) -> i64 {
    time_ms.div_euclid(DAY_MS).saturating_mul(DAY_MS)
}

/// Reads the notes of a day, changes them, and stores them if `with` returns that there is a change. Returns that.
async fn change_notes<S: DocumentStore>(
    store: &S,
    region: &str,
    day_ms: i64,
    with: impl Fn(&mut Vec<Event>) -> Result<bool, NoteError>,
) -> Result<bool, NoteError> {
    let key = DocumentKey { kind: DocumentKind::Notes, region: region.to_owned(), start_ms: day_ms };
    let changed = change(store, &key, MAX_CONFLICTS, |body| {
        let mut notes = body.map_or_else(|| Ok(vec![]), |body| decode(key.kind, region, day_ms, body))?;
        if !with(&mut notes)? {
            return Ok(Change::Keep);
        }
        if notes.is_empty() {
            return Ok(Change::Remove);
        }
        Ok::<_, NoteError>(encode_all(&notes).map(Change::Put).map_err(PortError::cannot_encode)?)
    });
    if let Some(is_changed) = changed.await? {
        return Ok(is_changed);
    }
    let reason = "others change the same notes all the time".into();
    Err(PortError::Unavailable { what: "the notes of the day", reason }.into())
}

#[cfg(test)]
mod tests {
    use birdsong_testkit::MemoryStore;

    use super::*;

    fn note(region: &str, start_ms: i64, end_ms: i64, text: &str) -> Event {
        Event::note(region, (start_ms, end_ms), text).unwrap()
    }

    #[tokio::test]
    async fn notes_are_found_in_all_the_time_that_they_are_on() {
        let store = MemoryStore::default();
        let day = 20_000 * DAY_MS;
        let long = note("a", day - 3 * DAY_MS, day + 5, "strike");
        for note in [long.clone(), note("a", day + 10, day + 10, "goal"), note("b", day, day, "other")] {
            add(&store, note).await.unwrap();
        }
        let texts = async |from, to| -> Vec<String> {
            let notes = list(&store, "a", from, to).await.unwrap();
            notes.into_iter().filter_map(|note| note.text).collect()
        };
        assert_eq!(texts(day, day + 11).await, ["strike", "goal"]);
        assert_eq!(texts(day + 5, day + 10).await, Vec::<String>::new());
        // The same again changes nothing; a longer one of the same text replaces it.
        add(&store, long.clone()).await.unwrap();
        add(&store, Event { end_ms: day + 8, ..long }).await.unwrap();
        assert_eq!(texts(day + 7, day + 8).await, ["strike"]);
    }

    #[tokio::test]
    async fn a_note_is_removed_by_its_id_alone() {
        let store = MemoryStore::default();
        let ids: Vec<String> = [
            note("sao-paulo-note", 5, 5, "x"),
            note(STREAM, 5, 5, "x"),
            note("stream", 5, 5, "y"),
            note("a", -5, -5, "before 1970"),
        ]
        .map(|note| note.id.clone())
        .into();
        for region in ["sao-paulo-note", STREAM, "stream", "a"] {
            let (text, at) = match region {
                "stream" => ("y", 5),
                "a" => ("before 1970", -5),
                _ => ("x", 5),
            };
            add(&store, note(region, at, at, text)).await.unwrap();
        }
        for id in &ids {
            assert!(remove(&store, id).await.unwrap(), "{id}");
            assert!(!remove(&store, id).await.unwrap(), "{id}");
        }
        for bad in ["", "a-note-zz-0-0", "a-spike-5-0-0", "note-5-0-0"] {
            assert!(!remove(&store, bad).await.unwrap(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_day_has_a_bounded_number_of_notes() {
        let store = MemoryStore::default();
        for n in 0..MAX_NOTES {
            add(&store, note("a", 5, 5, &format!("note {n}"))).await.unwrap();
        }
        assert!(matches!(add(&store, note("a", 6, 6, "one more")).await, Err(NoteError::Full)));
        assert!(matches!(add(&store, note("b", 0, MAX_NOTE_MS + 1, "x")).await, Err(NoteError::TooLong)));
        let event = Event { kind: EventKind::Spike, ..note("b", 0, 0, "x") };
        assert!(matches!(add(&store, event).await, Err(NoteError::Empty)));
    }
}
