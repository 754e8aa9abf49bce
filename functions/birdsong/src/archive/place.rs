//! Where a log archive is: a folder, or a bucket.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Result;
use birdsong_archive::Files;
use birdsong_domain::ports::PortError;
use birdsong_streamer::durable;

/// A folder, or `s3://BUCKET`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Folder(PathBuf),
    Bucket(String),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix(Self::SCHEME) {
            None if text.is_empty() => Err("name a folder, or s3://BUCKET".into()),
            None => Ok(Self::Folder(text.into())),
            Some(name) => {
                let name = name.trim_end_matches('/');
                let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
                if name.is_empty() || !name.chars().all(is_name) {
                    return Err(format!("{text:?} is no bucket; write s3://BUCKET, without a folder in it"));
                }
                Ok(Self::Bucket(name.to_owned()))
            }
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder(dir) => write!(f, "{}", dir.display()),
            Self::Bucket(name) => write!(f, "{}{name}", Self::SCHEME),
        }
    }
}

impl Address {
    /// What the address of a bucket begins with.
    pub(crate) const SCHEME: &str = "s3://";

    /// The files there.
    pub(crate) async fn place(&self) -> Result<Place> {
        match self {
            Self::Folder(dir) => Ok(Place::Folder(dir.clone())),
            #[cfg(feature = "aws")]
            Self::Bucket(name) => {
                Ok(Place::Bucket(birdsong_aws::Bucket::new(&birdsong_aws::sdk_config().await, name.clone())))
            }
            #[cfg(not(feature = "aws"))]
            Self::Bucket(_) => {
                crate::cloud::missing()?;
                anyhow::bail!("there is no bucket")
            }
        }
    }
}

/// The files of an archive.
#[derive(Debug)]
pub(crate) enum Place {
    Folder(PathBuf),
    #[cfg(feature = "aws")]
    Bucket(birdsong_aws::Bucket),
}

impl Files for Place {
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<String>, PortError> {
        match self {
            Self::Folder(dir) => {
                // A folder is listed at once.
                if after.is_some() {
                    return Ok(vec![]);
                }
                let mut names = vec![];
                durable::blocking(|| list_folder(dir, Path::new(""), &mut names))?;
                names.retain(|name| name.starts_with(prefix));
                names.sort();
                Ok(names)
            }
            #[cfg(feature = "aws")]
            Self::Bucket(bucket) => {
                Ok(bucket.list(prefix, after).await?.into_iter().map(|object| object.key).collect())
            }
        }
    }

    async fn get(&self, name: &str, limit: usize) -> Result<Option<Vec<u8>>, PortError> {
        match self {
            Self::Folder(dir) => durable::blocking(|| {
                let path = dir.join(name);
                let file = match fs::File::open(&path) {
                    Ok(file) => file,
                    Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(failed(&path, &error)),
                };
                let mut bytes = vec![];
                file.take(limit as u64).read_to_end(&mut bytes).map_err(|error| failed(&path, &error))?;
                Ok(Some(bytes))
            }),
            #[cfg(feature = "aws")]
            Self::Bucket(bucket) => bucket.find(name, limit).await,
        }
    }

    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), PortError> {
        match self {
            Self::Folder(dir) => durable::blocking(|| {
                let path = dir.join(name);
                make_folders(dir, &path).map_err(|error| failed(&path, &error))?;
                durable::write(&path, &bytes).map_err(|error| failed(&path, &error))
            }),
            #[cfg(feature = "aws")]
            Self::Bucket(bucket) => {
                let kind = if name.ends_with(".json") { "application/json" } else { "application/zstd" };
                bucket.put(name, kind, bytes).await
            }
        }
    }

    async fn remove(&self, name: &str) -> Result<(), PortError> {
        match self {
            Self::Folder(dir) => durable::blocking(|| {
                let path = dir.join(name);
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(&path, &error)),
                    _ => (),
                }
                // A folder goes with its last file.
                for folder in path.ancestors().skip(1).take_while(|folder| *folder != dir.as_path()) {
                    if fs::remove_dir(folder).is_err() {
                        break;
                    }
                }
                Ok(())
            }),
            #[cfg(feature = "aws")]
            Self::Bucket(bucket) => bucket.remove(name).await,
        }
    }
}

fn failed(path: &Path, error: &std::io::Error) -> PortError {
    PortError::Unavailable { what: "the archive", reason: format!("{}: {error}", path.display()) }
}

/// Makes the folders above a file, so that they are still there after a crash.
fn make_folders(dir: &Path, path: &Path) -> std::io::Result<()> {
    let Some(folder) = path.parent().filter(|folder| !folder.exists()) else { return Ok(()) };
    if folder.starts_with(dir) {
        make_folders(dir, folder)?;
        if !folder.exists() {
            fs::create_dir_all(folder)?;
            durable::sync_folder(folder)?;
        }
    }
    Ok(())
}

/// Adds the names of all files below a folder, with `/` between their parts. Unfinished ones are left out.
fn list_folder(dir: &Path, below: &Path, names: &mut Vec<String>) -> Result<(), PortError> {
    let path = dir.join(below);
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(&path, &error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| failed(&path, &error))?;
        let name = below.join(entry.file_name());
        if entry.path().is_dir() {
            list_folder(dir, &name, names)?;
        } else if let Some(name) = name.to_str().filter(|name| !name.ends_with(".part")) {
            names.push(name.replace(std::path::MAIN_SEPARATOR, "/"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_folder_or_a_bucket() {
        assert_eq!("s3://birds".parse(), Ok(Address::Bucket("birds".into())));
        assert_eq!("s3://birds/".parse(), Ok(Address::Bucket("birds".into())));
        assert_eq!("old/logs".parse(), Ok(Address::Folder("old/logs".into())));
        for bad in ["", "s3://", "s3://birds/2026"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_folder_has_whole_files_and_loses_empty_folders() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::Folder(dir.path().join("archive"));
        assert_eq!(place.list("", None).await.unwrap(), Vec::<String>::new());
        assert_eq!(place.get("a/b", 9).await.unwrap(), None);
        for name in ["a/c/d.0001.zst", "a/b.json"] {
            place.put(name, b"1234".to_vec()).await.unwrap();
        }
        assert_eq!(place.list("a/", None).await.unwrap(), ["a/b.json", "a/c/d.0001.zst"]);
        assert_eq!(place.get("a/b.json", 3).await.unwrap().unwrap(), b"123");
        for name in ["a/c/d.0001.zst", "a/c/d.0001.zst", "a/b.json"] {
            place.remove(name).await.unwrap();
        }
        assert!(!dir.path().join("archive/a").exists() && dir.path().join("archive").exists());
    }
}
