//! The data folder: who may write to it, its author key, its window length, its regions.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use birdsong_aggregator::dead_letter::{DeadLetter, DeadLetters};
use birdsong_domain::ports::{self, PortError, Settings};
use birdsong_domain::post::InstallationKey;
use birdsong_domain::region::{Region, Regions};
use birdsong_domain::time::WindowSize;
use birdsong_domain::window::FoldRules;
use birdsong_embedded::{SqliteLog, SqliteStore};
use birdsong_streamer::durable;
use birdsong_streamer::unreadable::Unreadable;
use birdsong_streamer::unreadable::UnreadableStore;

use crate::CountArgs;

const BUILT_IN_REGIONS: &str = include_str!("../../../regions.toml");
const DEFAULT_REGIONS: &str = "regions.toml";
/// Environment: the key in hex, for tasks that have no folder that stays.
const AUTHOR_KEY: &str = "BIRDSONG_AUTHOR_KEY";
/// Environment: content of a regions file, for tasks that have no file, or its address as `s3://BUCKET/KEY`.
const REGIONS_TOML: &str = "BIRDSONG_REGIONS_TOML";

/// Held for as long as this process may write posts into the folder.
#[derive(Debug)]
pub(crate) struct WriterLock {
    /// The folder itself, and a file in it: the file may be removed, and some file systems do not lock folders.
    _locked: Vec<File>,
}

/// What a process writes in a data folder. One process has each role at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The log, the spool and what belongs to sources.
    Log,
    /// The windows.
    Windows,
}

impl Role {
    /// Everything.
    pub(crate) const ALL: [Self; 2] = [Self::Log, Self::Windows];

    fn file(self) -> &'static str {
        match self {
            Self::Log => "writer.lock",
            Self::Windows => "windows.lock",
        }
    }
}

/// Makes the folder, for its owner only, and acquires the locks of these roles.
pub(crate) fn lock(dir: &Path, roles: &[Role]) -> Result<WriterLock> {
    fs::create_dir_all(dir)
        .with_context(|| format!("the data folder {} cannot be made; choose another one with --data", dir.display()))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if let Err(error) = fs::set_permissions(dir, fs::Permissions::from_mode(0o700)) {
            tracing::warn!("{} may be read by others: its mode cannot be set to 0700: {error}", dir.display());
        }
    }
    let taken = || {
        anyhow!(
            "another birdsong is writing to {}: stop it first, or use another folder with --data (for a replay also --memory)",
            dir.display()
        )
    };
    let mut locked = vec![];
    for role in roles {
        let path = dir.join(role.file());
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| format!("{} cannot be opened", path.display()))?;
        match file.try_lock() {
            Ok(()) => locked.push(file),
            Err(TryLockError::WouldBlock) => return Err(taken()),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("{} cannot be locked", path.display()));
            }
        }
    }
    // Works, too, when the lock file is removed.
    if roles.contains(&Role::Log)
        && let Ok(folder) = File::open(dir)
    {
        if let Err(TryLockError::WouldBlock) = folder.try_lock() {
            return Err(taken());
        }
        locked.push(folder);
    }
    Ok(WriterLock { _locked: locked })
}

/// The key that the ids of posts and authors are hashed with: from the environment, else from the folder. If
/// no post is stored yet it is made, and kept in the folder, readable by its owner only.
///
/// Everything that writes to one log must use one key, or the same authors and posts would count twice. So
/// `settings` has the key's fingerprint.
#[cfg(feature = "aws")]
pub(crate) async fn installation_key<S: Settings>(
    dir: &Path,
    settings: &S,
    has_posts: bool,
) -> Result<InstallationKey> {
    key_for(dir, settings, None, has_posts).await
}

/// The same on this machine, where the log has the fingerprint, too: the store may be removed to be rebuilt.
pub(crate) async fn local_key(dir: &Path, log: &SqliteLog, store: &SqliteStore) -> Result<InstallationKey> {
    let has_posts = log.newest_sequence().await?.is_some();
    let in_log = log.setting(ports::KEY_FINGERPRINT).await?;
    let key = key_for(dir, store, in_log.clone(), has_posts).await?;
    if in_log.is_none() {
        log.set_setting(ports::KEY_FINGERPRINT, &key.fingerprint()).await?;
    }
    Ok(key)
}

async fn key_for<S: Settings>(
    dir: &Path,
    settings: &S,
    in_log: Option<String>,
    has_posts: bool,
) -> Result<InstallationKey> {
    let in_settings = settings.setting(ports::KEY_FINGERPRINT).await?;
    let known = in_log.or_else(|| in_settings.clone());
    let key = match stored_key(dir)? {
        Some(key) => key,
        None if has_posts || known.is_some() => bail!(
            "the key that the stored posts are hashed with is missing: restore it as {} or in {AUTHOR_KEY}. If it is lost, \
             `birdsong key rotate` begins with a new one, and posts that come again count again",
            key_path(dir).display()
        ),
        None => make_key(dir)?,
    };
    match known {
        Some(known) if known != key.fingerprint() => bail!(
            "the stored posts are hashed with another key (fingerprint {known}, not {}): the same authors and posts would \
             count twice. Use that key, as {} or in {AUTHOR_KEY}; `birdsong key rotate` begins with this one",
            key.fingerprint(),
            key_path(dir).display()
        ),
        _ if in_settings.is_some() => (),
        _ => settings.set_setting(ports::KEY_FINGERPRINT, &key.fingerprint()).await?,
    }
    Ok(key)
}

pub(crate) fn key_path(dir: &Path) -> PathBuf {
    dir.join("author.key")
}

/// The key of the environment or the folder; `None` when it is missing or an empty file, as a full disk leaves it.
pub(crate) fn stored_key(dir: &Path) -> Result<Option<InstallationKey>> {
    if let Some(text) = std::env::var(AUTHOR_KEY).ok().filter(|text| !text.is_empty()) {
        return parse_key(&text)
            .map(Some)
            .with_context(|| format!("{AUTHOR_KEY} must have 32 hex digits, such as `openssl rand -hex 16` makes"));
    }
    let path = key_path(dir);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
    };
    if bytes.is_empty() {
        return Ok(None);
    }
    let key = <[u8; 16]>::try_from(bytes).ok();
    key.map(|key| Some(InstallationKey(key)))
        .with_context(|| format!("{} must have 16 bytes: restore the right file", path.display()))
}

/// A new key in the folder.
pub(crate) fn make_key(dir: &Path) -> Result<InstallationKey> {
    let (key, path) = (random_key(), key_path(dir));
    durable::write(&path, &key.0).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(key)
}

fn parse_key(text: &str) -> Option<InstallationKey> {
    let text = text.trim();
    let is_hex = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(|key| InstallationKey(key.to_be_bytes()))
}

/// A key for this process alone.
pub(crate) fn random_key() -> InstallationKey {
    InstallationKey(rand::random())
}

/// A fresh id of this run.
pub(crate) fn run_id() -> String {
    format!("{:012x}{:08x}", crate::now_ms(), rand::random::<u32>())
}

/// The regions asked for, and where they come from.
pub(crate) fn load_regions(args: &CountArgs) -> Result<Regions> {
    if let Some(name) = &args.everything {
        let is_id = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if name.is_empty() || name.starts_with('_') || !name.chars().all(is_id) {
            bail!("--everything {name:?} is not possible: a region's id has lower-case letters, digits, - and _");
        }
        return Ok(Regions::everything(name));
    }
    if args.regions.is_none()
        && let Some(text) = std::env::var(REGIONS_TOML).ok().filter(|text| !text.is_empty())
    {
        if text.starts_with("s3://") {
            bail!(
                "{REGIONS_TOML} is the address {text}, which only `birdsong stream --to kinesis` reads; use --regions FILE"
            );
        }
        return Ok(Regions::parse(REGIONS_TOML, &text)?);
    }
    let path = args.regions.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_REGIONS));
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Regions::parse(&path.display().to_string(), &text)?),
        Err(error) if args.regions.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            tracing::info!("there is no {DEFAULT_REGIONS} here: watching the built-in list of six cities");
            Ok(Regions::parse("built-in regions", BUILT_IN_REGIONS)?)
        }
        Err(error) => Err(error).with_context(|| format!("the regions file {} cannot be read", path.display())),
    }
}

/// The regions of a task, which may be in a bucket because a parameter has 4 KB.
#[cfg(feature = "aws")]
pub(crate) async fn load_task_regions(args: &CountArgs) -> Result<Regions> {
    /// More than 30,000 regions.
    const LIMIT_BYTES: usize = 4 << 20;

    let address = std::env::var(REGIONS_TOML).ok().filter(|text| text.starts_with("s3://"));
    let Some(address) = address.filter(|_| args.regions.is_none() && args.everything.is_none()) else {
        return load_regions(args);
    };
    let (bucket, key) = address
        .trim_start_matches("s3://")
        .split_once('/')
        .filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty())
        .with_context(|| format!("{REGIONS_TOML} must be a regions file or s3://BUCKET/KEY, not {address}"))?;
    let bucket = birdsong_aws::Bucket::new(&birdsong_aws::sdk_config().await, bucket.to_owned());
    let bytes =
        bucket.get(key, LIMIT_BYTES).await.with_context(|| format!("the regions in {address} cannot be read"))?;
    let text = String::from_utf8(bytes).with_context(|| format!("{address} is no text"))?;
    Ok(Regions::parse(&address, &text)?)
}

/// The rules by which the windows of a store were folded.
pub(crate) async fn stored_rules<S: Settings>(settings: &S) -> Result<FoldRules> {
    let size = stored_window(settings).await?.unwrap_or(WindowSize::FIVE_MINUTES);
    Ok(FoldRules { size, ..FoldRules::default() })
}

/// The window length that a store began with; `None` when it has none yet.
async fn stored_window<S: Settings>(settings: &S) -> Result<Option<WindowSize>> {
    let Some(text) = settings.setting(ports::WINDOW_SECS).await? else { return Ok(None) };
    let secs = text.parse().with_context(|| {
        format!(
            "the stored length of a window is damaged: {text:?} is no number of seconds. Set it right (table meta of \
             store.sqlite, key {}), or begin with another folder",
            ports::WINDOW_SECS
        )
    })?;
    Ok(Some(WindowSize::from_secs(secs)?))
}

/// The rules of the fold; a store keeps the window length that it began with.
pub(crate) async fn fold_rules<S: Settings>(settings: &S, asked: Option<WindowSize>) -> Result<FoldRules> {
    let stored = stored_window(settings).await?;
    let size = match (stored, asked) {
        (Some(stored), Some(asked)) if stored != asked => bail!(
            "the windows stored here have {} s, not {} s; omit --window, or choose another folder or table",
            stored.secs(),
            asked.secs()
        ),
        (Some(stored), _) => stored,
        (None, asked) => {
            let size = asked.unwrap_or(WindowSize::FIVE_MINUTES);
            settings.set_setting(ports::WINDOW_SECS, &size.secs().to_string()).await?;
            size
        }
    };
    Ok(FoldRules { size, ..FoldRules::default() })
}

/// Publishes regions to the store's catalogue, which the API serves: these first, then those that
/// the store has from before.
pub(crate) async fn publish_regions<S: Settings>(settings: &S, regions: &Regions) -> Result<Vec<Region>> {
    let mut all = regions.list().to_vec();
    if let Some(text) = settings.setting(ports::REGIONS).await? {
        let known: Vec<Region> = serde_json::from_str(&text).unwrap_or_else(|error| {
            tracing::error!(
                "the stored list of regions is damaged, it restarts with those of the regions file: {error}"
            );
            vec![]
        });
        for region in known {
            if all.iter().all(|ours| ours.id != region.id) {
                all.push(region);
            }
        }
    }
    settings.set_setting(ports::REGIONS, &serde_json::to_string(&all)?).await?;
    Ok(all)
}

/// Publishes the alerts of a regions file, for a digest that has no file. Secrets are in them by name only.
pub(crate) async fn publish_alerts<S: Settings>(settings: &S, regions: &Regions) -> Result<()> {
    Ok(settings.set_setting(ports::ALERTS, &serde_json::to_string(regions.alerts())?).await?)
}

/// The regions that the store's catalogue has.
pub(crate) async fn published_regions<S: Settings>(settings: &S) -> Result<Vec<Region>> {
    let text = settings.setting(ports::REGIONS).await?;
    serde_json::from_str(text.as_deref().unwrap_or("[]")).context("the stored list of regions is damaged")
}

/// The store of a data folder that has been used before.
pub(crate) fn open_store(dir: &Path) -> Result<SqliteStore> {
    if !dir.is_dir() {
        bail!("there is no data folder {}; name it with --data", dir.display());
    }
    Ok(SqliteStore::open(dir)?)
}

/// Where unreadable lines go: `quarantine/RUN.ndjson`, made when the first one comes.
#[derive(Debug)]
pub(crate) struct Quarantine {
    path: Option<PathBuf>,
    file: Option<File>,
}

impl Quarantine {
    /// For one run; without a folder the lines are only counted and shown.
    pub(crate) fn new(dir: Option<&Path>, run: &str) -> Self {
        Self { path: dir.map(|dir| dir.join("quarantine").join(format!("{run}.ndjson"))), file: None }
    }

    /// Keeps lines; durable before the ledger that counts them is sent.
    pub(crate) fn keep_now(&mut self, lines: &[Unreadable]) -> std::io::Result<()> {
        let Some(path) = self.path.as_ref().filter(|_| !lines.is_empty()) else { return Ok(()) };
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent)?;
                }
                let file = OpenOptions::new().create(true).append(true).open(path)?;
                durable::sync_folder(path)?;
                self.file.insert(file)
            }
        };
        file.write_all(&ndjson(lines))?;
        file.sync_data()
    }

    /// Where they are, when there are any.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.file.as_ref().and(self.path.as_deref())
    }
}

impl UnreadableStore for Quarantine {
    async fn keep(&mut self, lines: &[Unreadable]) -> Result<(), PortError> {
        durable::blocking(|| self.keep_now(lines)).map_err(|error| {
            let path = self.path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
            PortError::Unavailable { what: "the quarantine folder", reason: format!("{path}: {error}") }
        })
    }
}

/// Dead letters as files below `quarantine/`; without a folder they are only logged.
#[derive(Clone, Debug)]
pub(crate) struct DeadLetterFolder(pub(crate) Option<PathBuf>);

impl DeadLetters for DeadLetterFolder {
    async fn keep(&self, letter: &DeadLetter) -> Result<(), PortError> {
        let Some(dir) = &self.0 else { return Ok(()) };
        let (path, letter) = (dir.join(letter.key()), letter.clone());
        let write = move || -> std::io::Result<()> {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            durable::write(&path, &serde_json::to_vec_pretty(&letter)?)
        };
        let failed = |reason: String| PortError::Unavailable { what: "the quarantine folder", reason };
        let written = tokio::task::spawn_blocking(write).await.map_err(|error| failed(error.to_string()))?;
        written.map_err(|error| failed(error.to_string()))
    }
}

/// One JSON line each.
pub(crate) fn ndjson(lines: &[Unreadable]) -> Vec<u8> {
    let mut text = Vec::new();
    for line in lines {
        // Texts and numbers always can be written.
        let _ = serde_json::to_writer(&mut text, line);
        text.push(b'\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_hex() {
        assert_eq!(
            parse_key("000102030405060708090A0b0c0d0e0f\n").map(|key| key.0),
            Some(std::array::from_fn(|n| n as u8))
        );
        for bad in ["", "00", "+00102030405060708090a0b0c0d0e0f", "g00102030405060708090a0b0c0d0e0f"] {
            assert!(parse_key(bad).is_none(), "{bad}");
        }
    }
}
