//! The data folder: who may write to it, its author key, its window length, its regions.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use birdsong_domain::post::AuthorKey;
use birdsong_domain::region::{Region, Regions};
use birdsong_domain::time::WindowSize;
use birdsong_domain::window::FoldRules;
use birdsong_embedded::SqliteStore;
use birdsong_streamer::quarantine::Quarantined;

use crate::CountArgs;

const BUILT_IN_REGIONS: &str = include_str!("../../../regions.toml");
const DEFAULT_REGIONS: &str = "regions.toml";

/// Held for as long as this process may write posts into the folder.
#[derive(Debug)]
pub(crate) struct WriterLock {
    _file: File,
}

/// Makes the folder and takes its writer's lock.
pub(crate) fn lock(dir: &Path) -> Result<WriterLock> {
    fs::create_dir_all(dir)
        .with_context(|| format!("the data folder {} cannot be made; give another one with --data", dir.display()))?;
    let path = dir.join("writer.lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("{} cannot be opened", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(WriterLock { _file: file }),
        Err(TryLockError::WouldBlock) => bail!(
            "another birdsong is writing to {}: stop it first, or take another folder with --data (for a replay also --memory)",
            dir.display()
        ),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("{} cannot be locked", path.display())),
    }
}

/// The key that author ids are hashed with: made once, then kept, readable by its owner only.
pub(crate) fn author_key(dir: &Path) -> Result<AuthorKey> {
    let path = dir.join("author.key");
    match fs::read(&path) {
        Ok(bytes) => {
            let key = <[u8; 16]>::try_from(bytes).ok();
            key.map(AuthorKey).with_context(|| {
                format!(
                    "{} must hold 16 bytes; put the right file back, or remove it to begin with new author hashes",
                    path.display()
                )
            })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = random_key();
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(&path).with_context(|| format!("{} cannot be written", path.display()))?;
            file.write_all(&key.0)?;
            file.sync_all()?;
            Ok(key)
        }
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// A key for this process alone.
pub(crate) fn random_key() -> AuthorKey {
    AuthorKey(rand::random())
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

/// The rules of the fold; a folder keeps the window length that it began with.
pub(crate) async fn fold_rules(store: &SqliteStore, asked: Option<WindowSize>) -> Result<FoldRules> {
    const KEY: &str = "window_secs";
    let stored = store.meta(KEY).await?.and_then(|text| text.parse().ok());
    let stored = stored.map(WindowSize::from_secs).transpose()?;
    let size = match (stored, asked) {
        (Some(stored), Some(asked)) if stored != asked => bail!(
            "this data folder holds windows of {} s, not {} s; leave --window out, or take another folder with --data",
            stored.secs(),
            asked.secs()
        ),
        (Some(stored), _) => stored,
        (None, asked) => {
            let size = asked.unwrap_or(WindowSize::FIVE_MINUTES);
            store.set_meta(KEY, &size.secs().to_string()).await?;
            size
        }
    };
    Ok(FoldRules { size, ..FoldRules::default() })
}

/// Publishes regions to the store's catalogue, which the API serves: these first, then those that
/// the store knows of from before.
pub(crate) async fn publish_regions(store: &SqliteStore, regions: &Regions) -> Result<Vec<Region>> {
    const KEY: &str = "regions";
    let mut all = regions.list().to_vec();
    if let Some(text) = store.meta(KEY).await? {
        let known: Vec<Region> = serde_json::from_str(&text).context("the store's catalogue of regions is damaged")?;
        for region in known {
            if all.iter().all(|ours| ours.id != region.id) {
                all.push(region);
            }
        }
    }
    store.set_meta(KEY, &serde_json::to_string(&all)?).await?;
    Ok(all)
}

/// Where unreadable lines go: `quarantine/RUN.ndjson`, made when the first one comes.
#[derive(Debug)]
pub(crate) struct Quarantine {
    path: Option<PathBuf>,
    file: Option<File>,
}

impl Quarantine {
    /// For one run; without a folder the lines are only counted and told.
    pub(crate) fn new(dir: Option<&Path>, run: &str) -> Self {
        Self { path: dir.map(|dir| dir.join("quarantine").join(format!("{run}.ndjson"))), file: None }
    }

    /// Keeps lines; durable before the ledger that counts them is sent.
    pub(crate) fn keep(&mut self, lines: &[Quarantined]) -> Result<()> {
        let Some(path) = self.path.as_ref().filter(|_| !lines.is_empty()) else { return Ok(()) };
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent)?;
                }
                let opened = OpenOptions::new().create(true).append(true).open(path);
                self.file.insert(opened.with_context(|| format!("{} cannot be written", path.display()))?)
            }
        };
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        file.write_all(&text)?;
        Ok(file.sync_data()?)
    }

    /// Where they are, when there are any.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.file.as_ref().and(self.path.as_deref())
    }
}
