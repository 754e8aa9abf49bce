//! The version of the data in a folder or table: log records, windows and the keys of both.
//!
//! A new metric or a new key of a header needs no new version ([`crate::window::Partial`], [`crate::frame`]). Anything
//! else that an older or newer release would misread does: then the whole folder or table is refused at the start,
//! rather than each window alone.

use crate::ports::{self, PortError, Settings};

/// This release's version. Version 1 had lanes without a network, and windows without tags; version 2 had no list of the
/// hours whose roll-ups are out of date; version 3 had no authors by hashtag, and no documents.
pub const VERSION: u32 = 4;

/// Why data of version `found` cannot be used, and what to do.
#[must_use]
pub fn refusal(found: &str) -> String {
    let newer = found.parse().is_ok_and(|found: u32| found > VERSION);
    if newer {
        return format!(
            "a newer release of Birdsong wrote it (format {found}, this one reads {VERSION}): run that release, or \
             start with a new data folder or table"
        );
    }
    format!(
        "another release of Birdsong wrote it (format {found}, this one reads {VERSION}), and there is no conversion: \
         start with a new data folder (--data) or table and replay archives into it, or run that release until its \
         data is no longer needed"
    )
}

/// Checks that data with these settings has the format of this release. Returns whether the settings state it;
/// they do not when nothing is stored yet.
///
/// # Errors
/// [`PortError::Refused`] when it has another format; any error of reading the settings.
pub async fn check<S: Settings>(settings: &S) -> Result<bool, PortError> {
    let found = settings.setting(ports::FORMAT).await?;
    let has_windows = found.is_none() && settings.setting(ports::WINDOW_SECS).await?.is_some();
    check_stated(found.as_deref(), has_windows)
}

/// The same for settings that were read: the stated format, and whether a length of windows is set.
///
/// # Errors
/// [`PortError::Refused`] when it has another format.
pub fn check_stated(found: Option<&str>, has_window_secs: bool) -> Result<bool, PortError> {
    let refused = |found: &str| PortError::Refused { what: "stored data", reason: refusal(found) };
    match found {
        Some(found) if found == VERSION.to_string() => Ok(true),
        Some(found) => Err(refused(found)),
        // Version 1 did not state itself. Whatever writes sets the length of a window first.
        None if has_window_secs => Err(refused("1")),
        None => Ok(false),
    }
}

/// Checks the format, and states it where nothing is stored yet.
///
/// # Errors
/// As [`check`]; any error of writing the settings.
pub async fn claim<S: Settings>(settings: &S) -> Result<(), PortError> {
    if check(settings).await? { Ok(()) } else { settings.set_setting(ports::FORMAT, &VERSION.to_string()).await }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::pin::pin;
    use std::sync::Mutex;
    use std::task::{Poll, Waker};

    use super::*;

    #[test]
    fn a_refusal_has_a_remedy() {
        assert!(refusal("1").contains("replay archives") && refusal("1").contains("format 1, this one reads 4"));
        assert!(refusal("x").contains("start with a new data folder"));
        assert!(refusal("5").contains("a newer release"));
        assert!(!refusal("04").contains("a newer release"));
    }

    #[derive(Default)]
    struct Stored(Mutex<BTreeMap<String, String>>);

    impl Settings for Stored {
        async fn setting(&self, key: &str) -> Result<Option<String>, PortError> {
            Ok(self.0.lock().unwrap().get(key).cloned())
        }

        async fn set_setting(&self, key: &str, value: &str) -> Result<(), PortError> {
            self.0.lock().unwrap().insert(key.to_owned(), value.to_owned());
            Ok(())
        }
    }

    fn now<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut std::task::Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("settings in memory never wait"),
        }
    }

    // Rule 4.9.
    #[test]
    fn data_of_another_format_is_refused_and_a_new_place_is_claimed() {
        for (settings, expected) in [
            (vec![], Some(false)),
            (vec![(ports::FORMAT, "4")], Some(true)),
            (vec![(ports::FORMAT, "4"), (ports::WINDOW_SECS, "300")], Some(true)),
            (vec![(ports::FORMAT, "3")], None),
            (vec![(ports::FORMAT, "5")], None),
            (vec![(ports::FORMAT, "04")], None),
            // Version 1 did not state itself.
            (vec![(ports::WINDOW_SECS, "300")], None),
        ] {
            let stored = || {
                Stored(Mutex::new(
                    settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
                ))
            };
            assert_eq!(now(check(&stored())).ok(), expected, "{settings:?}");
            let claimed = stored();
            assert_eq!(now(claim(&claimed)).is_ok(), expected.is_some());
            let format = claimed.0.into_inner().unwrap().remove(ports::FORMAT);
            assert_eq!(format.as_deref() == Some("4"), expected.is_some(), "{settings:?}: {format:?}");
        }
    }
}
