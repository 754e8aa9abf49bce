//! Stored events and notes.

use birdsong_domain::event::{Event, decode_all};
use birdsong_domain::ports::{DocumentKind, DocumentStore, PortError};
use birdsong_domain::rollup::DAY_MS;
use birdsong_domain::time::rfc3339;
use futures_util::stream::{self, StreamExt, TryStreamExt};

/// Documents that are read at the same time.
const AT_ONCE: usize = 16;

/// The events of these kinds of documents and regions that overlap `from_ms..to_ms`. They are filed under the day on which
/// they start, so one that started more than a day before is not found.
///
/// # Errors
/// When the store fails, or what is stored is damaged.
pub async fn of_regions<S: DocumentStore>(
    store: &S,
    kinds: &[DocumentKind],
    regions: &[&str],
    range: (i64, i64),
) -> Result<Vec<Event>, PortError> {
    // Owned, so that the future can be sent to another thread.
    let mut asked = vec![];
    for region in regions {
        asked.extend(kinds.iter().map(|kind| ((*region).to_owned(), *kind)));
    }
    let read = stream::iter(asked).map(|(region, kind)| async move { of_region(store, kind, &region, range).await });
    let read: Vec<Vec<Event>> = read.buffered(AT_ONCE).try_collect().await?;
    Ok(read.into_iter().flatten().collect())
}

/// The same of one kind of documents and one region.
///
/// # Errors
/// As [`of_regions`].
pub async fn of_region<S: DocumentStore>(
    store: &S,
    kind: DocumentKind,
    region: &str,
    (from_ms, to_ms): (i64, i64),
) -> Result<Vec<Event>, PortError> {
    let first_ms = from_ms.div_euclid(DAY_MS) * DAY_MS - DAY_MS;
    let mut events = vec![];
    for document in store.documents(kind, region, first_ms, to_ms).await? {
        events.extend(decode(kind, region, document.start_ms, &document.body)?);
    }
    events.retain(|event| overlaps(event, (from_ms, to_ms)));
    Ok(events)
}

/// The events in a document.
pub(crate) fn decode(kind: DocumentKind, region: &str, day_ms: i64, body: &[u8]) -> Result<Vec<Event>, PortError> {
    decode_all(body).map_err(|error| PortError::Corrupt {
        what: format!("the {} of {region}, {}", kind.as_str(), rfc3339(day_ms)),
        reason: error.to_string(),
    })
}

/// Whether an event is on at some time of `from_ms..to_ms`.
pub(crate) fn overlaps(event: &Event, (from_ms, to_ms): (i64, i64)) -> bool {
    event.start_ms < to_ms && event.end_ms.max(event.start_ms + 1) > from_ms
}
