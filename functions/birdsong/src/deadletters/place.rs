//! Where dead letters are: the data folder, or a bucket with the same names.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use birdsong_domain::time::rfc3339;

use super::letter::{Found, Letter};

/// What Lambda writes batches below that it gave up.
pub(super) const GIVEN_UP: &str = "aws/lambda/";
/// What else dead letters are below: records and windows, and in a bucket the lines of live sources. The data folder has its
/// lines below the first one.
const PREFIXES: [&str; 3] = ["quarantine/", "unreadable/", GIVEN_UP];
/// Longest file but for files of lines, and longest line: a batch of Lambda's 6 MB as text, with room.
const MAX_BYTES: usize = 32 << 20;

/// Where dead letters are.
#[derive(Debug)]
pub(super) enum Place {
    /// A data folder.
    Folder(PathBuf),
    /// The quarantine bucket of a deployment.
    #[cfg(feature = "aws")]
    Bucket(birdsong_aws::Bucket),
}

/// A file of dead letters.
struct Kept {
    name: String,
    at_ms: i64,
}

impl Place {
    /// Hands over each dead letter, or those with these ids, in the order of their files.
    pub(super) async fn each(&self, ids: &[String], mut act: impl AsyncFnMut(Found) -> Result<()>) -> Result<()> {
        let mut missing: Vec<&str> = ids.iter().map(String::as_str).collect();
        for kept in self.files(ids).await? {
            let Kept { name, at_ms } = kept;
            let found = |id: String, letter| Found { id, file: name.clone(), newest: rfc3339(at_ms), letter };
            // It may have been removed meanwhile.
            let Some(content) = self.open(&name).await? else { continue };
            missing.retain(|id| file_of(id) != name);
            if !is_of_lines(&name) {
                let mut bytes = vec![];
                content
                    .take(MAX_BYTES as u64)
                    .read_to_end(&mut bytes)
                    .with_context(|| format!("{name} cannot be read"))?;
                act(found(name.clone(), Letter::read(&name, &bytes))).await?;
                continue;
            }
            let mut content = content;
            for number in 1u64.. {
                let mut line = vec![];
                let read = content.by_ref().take(MAX_BYTES as u64).read_until(b'\n', &mut line);
                if read.with_context(|| format!("{name} cannot be read"))? == 0 {
                    break;
                }
                let id = format!("{name}:{number}");
                if ids.is_empty() || ids.contains(&id) || ids.contains(&name) {
                    act(found(id, Letter::read_line(&line))).await?;
                }
            }
        }
        if let Some(id) = missing.first() {
            bail!("there is no dead letter {id}; birdsong deadletters list shows what there is");
        }
        Ok(())
    }

    /// Removes the files with these ids, or all of them. Returns how many.
    pub(super) async fn remove_all(&self, ids: &[String]) -> Result<u64> {
        if let Some(id) = ids.iter().find(|id| file_of(id) != id.as_str()) {
            bail!("a line cannot be removed alone: name its file, {}", file_of(id));
        }
        let mut removed = 0;
        for kept in self.files(ids).await? {
            self.remove(&kept.name).await?;
            removed += 1;
        }
        Ok(removed)
    }

    /// Removes a file of dead letters.
    pub(super) async fn remove(&self, name: &str) -> Result<()> {
        match self {
            Self::Folder(dir) => match fs::remove_file(dir.join(name)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    Err(error).with_context(|| format!("{name} cannot be removed"))
                }
                _ => Ok(()),
            },
            #[cfg(feature = "aws")]
            Self::Bucket(bucket) => Ok(bucket.remove(name).await?),
        }
    }

    /// All files, or those of these ids.
    async fn files(&self, ids: &[String]) -> Result<Vec<Kept>> {
        let mut wanted: Vec<&str> = ids.iter().map(|id| file_of(id)).collect();
        wanted.dedup();
        for name in &wanted {
            if !PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || name.split('/').any(|part| part == "..") {
                bail!("{name} is no id of a dead letter: one starts with {}", PREFIXES.join(", "));
            }
        }
        let mut files = vec![];
        let prefixes = if wanted.is_empty() { PREFIXES.to_vec() } else { wanted };
        for prefix in prefixes {
            match self {
                Self::Folder(dir) => list_folder(dir, Path::new(prefix), &mut files)?,
                #[cfg(feature = "aws")]
                Self::Bucket(bucket) => {
                    let mut after: Option<String> = None;
                    loop {
                        let some = bucket.list(prefix, after.as_deref()).await?;
                        let Some(last) = some.last() else { break };
                        after = Some(last.key.clone());
                        files.extend(some.into_iter().map(|object| Kept { name: object.key, at_ms: object.put_ms }));
                    }
                }
            }
        }
        files.retain(|kept| kept.name.ends_with(".json") || is_of_lines(&kept.name) || kept.name.starts_with(GIVEN_UP));
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    async fn open(&self, name: &str) -> Result<Option<Box<dyn BufRead>>> {
        match self {
            Self::Folder(dir) => match File::open(dir.join(name)) {
                Ok(file) => Ok(Some(Box::new(BufReader::new(file)))),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error).with_context(|| format!("{name} cannot be read")),
            },
            #[cfg(feature = "aws")]
            Self::Bucket(bucket) => Ok(Some(Box::new(std::io::Cursor::new(bucket.get(name, MAX_BYTES).await?)))),
        }
    }
}

/// The file of an id, which may have a line behind it.
fn file_of(id: &str) -> &str {
    match id.rsplit_once(':') {
        Some((file, line)) if is_of_lines(file) && line.bytes().all(|b| b.is_ascii_digit()) => file,
        _ => id,
    }
}

fn is_of_lines(name: &str) -> bool {
    name.ends_with(".ndjson")
}

/// Adds the file `name` of the folder, or all files below it.
fn list_folder(dir: &Path, name: &Path, files: &mut Vec<Kept>) -> Result<()> {
    let path = dir.join(name);
    let metadata = match fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
    };
    if metadata.is_dir() {
        for entry in fs::read_dir(&path).with_context(|| format!("{} cannot be read", path.display()))? {
            list_folder(dir, &name.join(entry?.file_name()), files)?;
        }
        return Ok(());
    }
    let since = metadata.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let at_ms = since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    files.push(Kept { name: name.to_string_lossy().into_owned(), at_ms });
    Ok(())
}
