//! Reference counts of regions, by day ([`birdsong_domain::reference`]).

use std::collections::BTreeMap;

use birdsong_domain::ports::{DocumentKey, DocumentKind, DocumentStore, PortError};
use birdsong_domain::reference::{DAY_MINUTES, ReferenceDay};
use birdsong_domain::rollup::DAY_MS;
use birdsong_domain::time::rfc3339;

use crate::documents::{Change, change};

const MINUTE_MS: i64 = 60_000;
/// How far back the newest minute is looked for, in milliseconds: X counts seven days.
const NEWEST_MS: i64 = 8 * DAY_MS;
/// How often a put is repeated because another writer was faster.
const MAX_CONFLICTS: usize = 16;

/// Stores the posts of whole minutes, by their start in milliseconds. Those that were stored before are replaced.
///
/// # Errors
/// When the store fails, or what is stored is damaged.
pub async fn put<S: DocumentStore>(store: &S, region: &str, per_minute: &[(i64, u64)]) -> Result<(), PortError> {
    let mut by_day = BTreeMap::<i64, Vec<(usize, u64)>>::new();
    for (start_ms, posts) in per_minute {
        let day_ms = start_ms.div_euclid(DAY_MS) * DAY_MS;
        by_day.entry(day_ms).or_default().push((((start_ms - day_ms) / MINUTE_MS) as usize, *posts));
    }
    for (day_ms, minutes) in by_day {
        put_day(store, region, day_ms, &minutes).await?;
    }
    Ok(())
}

async fn put_day<S: DocumentStore>(
    store: &S,
    region: &str,
    day_ms: i64,
    minutes: &[(usize, u64)],
) -> Result<(), PortError> {
    let key = DocumentKey { kind: DocumentKind::Reference, region: region.to_owned(), start_ms: day_ms };
    let with = |body: Option<&[u8]>| {
        let mut day = body.map_or_else(|| Ok(ReferenceDay::default()), |body| read(region, day_ms, body))?;
        let news = minutes.iter().filter(|(minute, posts)| day.set(*minute, *posts)).count();
        match news {
            0 => Ok(Change::Keep),
            _ => day.encode().map(Change::Put).map_err(PortError::cannot_encode),
        }
    };
    if change(store, &key, MAX_CONFLICTS, with).await?.is_some() {
        return Ok(());
    }
    let reason = "others change the same counts all the time".into();
    Err(PortError::Unavailable { what: "the reference counts of the day", reason })
}

/// Start of the newest minute that is known of a region in the last days, in milliseconds.
///
/// # Errors
/// As [`put`].
pub async fn newest_ms<S: DocumentStore>(store: &S, region: &str, now_ms: i64) -> Result<Option<i64>, PortError> {
    let days = days(store, region, now_ms - NEWEST_MS, now_ms + DAY_MS).await?;
    let newest = days.iter().rev().find_map(|(day_ms, day)| {
        let minute = (0..DAY_MINUTES).rev().find(|minute| day.minute(*minute).is_some())?;
        Some(day_ms + minute as i64 * MINUTE_MS)
    });
    Ok(newest)
}

/// The days of a region that overlap `from_ms..to_ms`, by their start.
///
/// # Errors
/// As [`put`].
pub async fn days<S: DocumentStore>(
    store: &S,
    region: &str,
    from_ms: i64,
    to_ms: i64,
) -> Result<BTreeMap<i64, ReferenceDay>, PortError> {
    let first_ms = from_ms.div_euclid(DAY_MS) * DAY_MS;
    let documents = store.documents(DocumentKind::Reference, region, first_ms, to_ms).await?;
    documents.into_iter().map(|of| Ok((of.start_ms, read(region, of.start_ms, &of.body)?))).collect()
}

fn read(region: &str, day_ms: i64, body: &[u8]) -> Result<ReferenceDay, PortError> {
    ReferenceDay::decode(body).map_err(|error| PortError::Corrupt {
        what: format!("the reference counts of {region}, {}", rfc3339(day_ms)),
        reason: error.to_string(),
    })
}

/// Posts in `from_ms..to_ms`, whole minutes; `None` when not all of them are known.
#[must_use]
pub fn posts(days: &BTreeMap<i64, ReferenceDay>, from_ms: i64, to_ms: i64) -> Option<u64> {
    let minutes = (from_ms / MINUTE_MS..to_ms / MINUTE_MS).map(|minute| {
        let day_ms = (minute * MINUTE_MS).div_euclid(DAY_MS) * DAY_MS;
        days.get(&day_ms)?.minute((minute - day_ms / MINUTE_MS) as usize)
    });
    minutes.sum()
}

#[cfg(test)]
mod tests {
    use birdsong_testkit::MemoryStore;

    use super::*;

    #[tokio::test]
    async fn minutes_come_back_over_days_and_the_last_number_counts() {
        let (store, day) = (MemoryStore::default(), 20_000 * DAY_MS);
        let minute = |n: i64| day + n * MINUTE_MS;
        put(&store, "a", &[(minute(-1), 4), (minute(0), 2), (minute(1), 3)]).await.unwrap();
        put(&store, "a", &[(minute(1), 5)]).await.unwrap();
        assert_eq!(newest_ms(&store, "a", minute(90)).await.unwrap(), Some(minute(1)));
        assert_eq!(newest_ms(&store, "b", minute(90)).await.unwrap(), None);
        let days = days(&store, "a", minute(-1), minute(2)).await.unwrap();
        assert_eq!(posts(&days, minute(-1), minute(2)), Some(11));
        assert_eq!(posts(&days, minute(0), minute(3)), None, "a minute is not known");
    }
}
