//! Where an archive is: names and bytes.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};

use birdsong_domain::ports::PortError;

use crate::Day;
use crate::manifest::{MANIFESTS, REGIONS, manifest_name};

/// Files by name, such as those of a folder or the objects of a bucket.
pub trait Files: Send + Sync {
    /// Names that start with `prefix`, in order, behind `after`. Some of them, and none only at the end.
    fn list(&self, prefix: &str, after: Option<&str>) -> impl Future<Output = Result<Vec<String>, PortError>> + Send;

    /// The bytes of a file, at most `limit`; `None` when there is no such file.
    fn get(&self, name: &str, limit: usize) -> impl Future<Output = Result<Option<Vec<u8>>, PortError>> + Send;

    /// Writes a file whole: when it returns, the file is durable, and a crash leaves the one that was there before, or none.
    fn put(&self, name: &str, bytes: Vec<u8>) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Removes a file. One that is not there is no error.
    fn remove(&self, name: &str) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// All names that start with `prefix`, in order.
///
/// # Errors
/// When they cannot be listed.
pub async fn list_all<F: Files>(files: &F, prefix: &str) -> Result<Vec<String>, PortError> {
    let mut all: Vec<String> = vec![];
    loop {
        let some = files.list(prefix, all.last().map(String::as_str)).await?;
        if some.is_empty() {
            return Ok(all);
        }
        all.extend(some);
    }
}

/// Removes all days before `before`, and what a write that was cut short left of them. A day loses its manifest first, so what
/// is left of it after a crash is no day, and goes with the next call. Returns the days.
///
/// # Errors
/// When a file cannot be listed or removed. Calling it again continues.
pub async fn prune<F: Files>(files: &F, before: Day) -> Result<Vec<Day>, PortError> {
    let mut days = vec![];
    for name in list_all(files, MANIFESTS).await? {
        if let Some(day) = day_of_manifest(&name).filter(|day| *day < before) {
            files.remove(&manifest_name(day)).await?;
            days.push(day);
        }
    }
    for name in list_all(files, REGIONS).await? {
        if day_of_file(&name).is_some_and(|day| day < before) {
            files.remove(&name).await?;
        }
    }
    Ok(days)
}

/// The day of the manifest of this name.
pub(crate) fn day_of_manifest(name: &str) -> Option<Day> {
    Day::parse(name.strip_prefix(MANIFESTS)?.strip_suffix(".json")?)
}

/// The day of the file of this name.
pub(crate) fn day_of_file(name: &str) -> Option<Day> {
    Day::parse(name.strip_prefix(REGIONS)?.split('/').nth(1)?.strip_prefix("day=")?)
}

/// Files in memory, for tests.
#[derive(Debug, Default)]
pub struct MemoryFiles(Mutex<BTreeMap<String, Vec<u8>>>);

impl MemoryFiles {
    /// Changes the files behind the back of whoever uses them.
    pub fn change<T>(&self, act: impl FnOnce(&mut BTreeMap<String, Vec<u8>>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Files for MemoryFiles {
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<String>, PortError> {
        let is_listed = |name: &&String| name.starts_with(prefix) && after.is_none_or(|after| name.as_str() > after);
        Ok(self.change(|files| files.keys().filter(is_listed).take(3).cloned().collect()))
    }

    async fn get(&self, name: &str, _limit: usize) -> Result<Option<Vec<u8>>, PortError> {
        Ok(self.change(|files| files.get(name).cloned()))
    }

    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), PortError> {
        self.change(|files| files.insert(name.to_owned(), bytes));
        Ok(())
    }

    async fn remove(&self, name: &str) -> Result<(), PortError> {
        self.change(|files| files.remove(name));
        Ok(())
    }
}
