//! `birdsong backup`: a copy of the data folder, made while it is in use.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use birdsong_streamer::durable;
use clap::Args;

use crate::{DataArgs, data, print};

/// What is copied beside the two databases, and before them: a frame that leaves the spool meanwhile is then in both copies,
/// which counts it once, and never in neither.
const BESIDE: [&str; 3] = ["spool", "x-metered", "quarantine"];

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  birdsong backup /backups/2026-11-27                          everything but the key
  birdsong backup /backups/today --key /safe/author.key        the key too, apart from the rest

The backup is a data folder: to restore it, put the key into it as author.key, and name it with --data.
docs/how-to/back-up-and-restore.md has the steps and how to check a backup.")]
pub(crate) struct BackupArgs {
    /// Folder to make; one that is empty is used too
    #[arg(value_name = "DIR")]
    into: PathBuf,
    /// Also write the key of hashes to this file. Keep it apart: whoever has both can find out whose posts were counted
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
}

pub(crate) fn backup(args: &BackupArgs) -> Result<ExitCode> {
    let from = &args.data.data;
    if !from.join("store.sqlite").exists() || !from.join("log.sqlite").exists() {
        bail!("there is nothing to back up in {}: name the data folder with --data", from.display());
    }
    let into = &args.into;
    if into.exists() && (!into.is_dir() || fs::read_dir(into)?.next().is_some()) {
        bail!("{} is there already, and not empty: name a folder that does not exist yet", into.display());
    }
    let key = data::stored_key(from)?;
    if let Some(path) = &args.key
        && path.exists()
    {
        bail!("{} is there already: a key is never overwritten", path.display());
    }
    // Beside the final place, so that a folder of that name is a whole backup.
    let mut unfinished = into.clone().into_os_string();
    unfinished.push(".part");
    let unfinished = PathBuf::from(unfinished);
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).with_context(|| format!("{} is in the way", unfinished.display()))?;
    }
    fs::create_dir_all(&unfinished).with_context(|| format!("{} cannot be made", unfinished.display()))?;
    let written = write(from, &unfinished);
    if let Err(error) = written {
        let _ = fs::remove_dir_all(&unfinished);
        return Err(error.context("no backup was made"));
    }
    fs::rename(&unfinished, into).with_context(|| format!("{} cannot be made", into.display()))?;
    durable::sync_folder(into)?;
    print::out(format_args!("{}: a backup of {}", into.display(), from.display()));
    match (&args.key, key) {
        (Some(path), Some(key)) => {
            durable::write(path, &key.0).with_context(|| format!("{} cannot be written", path.display()))?;
            print::out(format_args!("{}: the key of hashes", path.display()));
        }
        (Some(_), None) => bail!("the backup is complete, but there is no key to write"),
        (None, Some(_)) => print::err("The key of hashes is not in it: keep a copy apart from it (--key FILE)."),
        (None, None) => (),
    }
    Ok(ExitCode::SUCCESS)
}

fn write(from: &Path, into: &Path) -> Result<()> {
    let bar = indicatif::ProgressBar::new_spinner();
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    for name in BESIDE {
        copy_all(&from.join(name), &into.join(name)).with_context(|| format!("{name} cannot be copied"))?;
    }
    birdsong_embedded::back_up(from, into, |name, bytes| {
        bar.set_message(format!("{name}, {}", indicatif::HumanBytes(bytes)));
    })?;
    bar.finish_and_clear();
    Ok(())
}

/// Copies a file, or a folder with all that is in it. What another process removes meanwhile is left out.
fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    let copied = if from.is_dir() {
        fs::create_dir_all(to)?;
        fs::read_dir(from).and_then(|entries| {
            for entry in entries {
                let entry = entry?;
                copy_all(&entry.path(), &to.join(entry.file_name()))?;
            }
            Ok(())
        })
    } else {
        fs::copy(from, to).and_then(|_| fs::File::open(to)?.sync_all())
    };
    copied.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}
