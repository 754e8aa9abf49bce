//! `birdsong copy`: from one machine to AWS, and back.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use birdsong_aggregator::copy::{Copied, copy as copy_all};
use birdsong_domain::ports::{self, DocumentStore, Settings, WindowStore};
use birdsong_embedded::SqliteStore;
use clap::Args;

use crate::data::{self, Role};
use crate::{now_ms, print};

/// What is in front of the name of a table.
const TABLE: &str = "dynamodb:";

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  birdsong copy --from .birdsong --to dynamodb:birdsong      from this machine to AWS
  birdsong copy --from dynamodb:birdsong --to .birdsong      and back

Windows are copied byte for byte, with notes and reference counts; the digest makes hours, days and events of them again. A
copy can be repeated, and copies what is new: begin while the old place still counts, stop it, copy once more, and start the
new place. docs/how-to/move-to-aws.md has the steps, and how to bring the key along.")]
pub(crate) struct CopyArgs {
    /// Data folder, or dynamodb:TABLE
    #[arg(long, value_name = "PLACE")]
    from: Place,
    /// Data folder, or dynamodb:TABLE; a folder is made if there is none
    #[arg(long, value_name = "PLACE")]
    to: Place,
    /// The result as JSON
    #[arg(long)]
    json: bool,
}

/// Where windows are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Folder(PathBuf),
    Table(String),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix(TABLE) {
            Some("") => Err(format!("name the table, such as {TABLE}birdsong")),
            Some(table) => Ok(Self::Table(table.to_owned())),
            None if text.is_empty() => Err("name a data folder, or dynamodb:TABLE".to_owned()),
            None => Ok(Self::Folder(text.into())),
        }
    }
}

pub(crate) fn copy(args: &CopyArgs) -> Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work(args))
}

async fn work(args: &CopyArgs) -> Result<ExitCode> {
    if args.from == args.to {
        bail!("--from and --to are the same place");
    }
    match &args.from {
        Place::Folder(folder) => {
            if !folder.join("store.sqlite").exists() {
                bail!("there are no windows in {}: name a data folder, or dynamodb:TABLE", folder.display());
            }
            copy_from(args, &SqliteStore::open(folder)?).await
        }
        #[cfg(feature = "aws")]
        Place::Table(table) => copy_from(args, &crate::cloud::store(table.clone()).await?).await,
        #[cfg(not(feature = "aws"))]
        Place::Table(_) => crate::cloud::missing().map(|()| ExitCode::FAILURE),
    }
}

async fn copy_from<A: WindowStore + DocumentStore + Settings>(args: &CopyArgs, from: &A) -> Result<ExitCode> {
    match &args.to {
        Place::Folder(folder) => {
            // Nothing else may count there meanwhile.
            let _lock = data::lock(folder, &Role::ALL)?;
            let store = SqliteStore::open(folder)?;
            let done = copy_between(args, from, &store).await;
            check_key(folder, &store).await?;
            done
        }
        #[cfg(feature = "aws")]
        Place::Table(table) => copy_between(args, from, &crate::cloud::store(table.clone()).await?).await,
        #[cfg(not(feature = "aws"))]
        Place::Table(_) => crate::cloud::missing().map(|()| ExitCode::FAILURE),
    }
}

async fn copy_between<A, B>(args: &CopyArgs, from: &A, to: &B) -> Result<ExitCode>
where
    A: WindowStore + DocumentStore + Settings,
    B: WindowStore + DocumentStore + Settings,
{
    let bar = indicatif::ProgressBar::new(0);
    bar.set_style(indicatif::ProgressStyle::with_template("{bar:30} {human_pos} of {human_len} windows, {eta} left")?);
    let copied = copy_all(from, to, now_ms(), |progress| {
        bar.set_length(progress.of);
        bar.set_position(progress.windows);
    })
    .await;
    bar.finish_and_clear();
    let copied = copied.context("the copy is not complete; what was copied stays, and the same command continues")?;
    show(args, &copied);
    Ok(if copied.kept + copied.damaged + copied.kept_documents == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(args: &CopyArgs, copied: &Copied) {
    let Copied { copied, replaced, same, kept, damaged, documents, kept_documents } = *copied;
    if args.json {
        print::out_json(&serde_json::json!({
            "copied": copied, "replaced": replaced, "same": same, "kept": kept, "damaged": damaged,
            "documents": documents, "kept_documents": kept_documents,
        }));
        return;
    }
    print::out(format_args!("{copied} windows copied, {replaced} replaced, {same} were there already"));
    if documents > 0 {
        print::out(format_args!("{documents} days of notes and reference counts copied"));
    }
    if kept > 0 {
        print::out(format_args!("{kept} windows stay as they are: the new place has counted in them itself"));
    }
    if kept_documents > 0 {
        print::out(format_args!("{kept_documents} days of notes and reference counts stay as they are, and differ"));
    }
    if damaged > 0 {
        print::out(format_args!(
            "{damaged} windows are damaged and were not copied: `birdsong reprocess` at the old place restores what its log still holds"
        ));
    }
}

/// Says what else a folder needs before posts can be counted there.
async fn check_key(folder: &Path, store: &SqliteStore) -> Result<()> {
    if store.setting(ports::KEY_FINGERPRINT).await?.is_some() && data::stored_key(folder)?.is_none() {
        print::err(format_args!(
            "To count on in {}, bring the key of the old place along, as {}: the same authors have the same hashes then.",
            folder.display(),
            data::key_path(folder).display()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_folder_or_a_table() {
        assert_eq!(".birdsong".parse(), Ok(Place::Folder(".birdsong".into())));
        assert_eq!("dynamodb:birds".parse(), Ok(Place::Table("birds".into())));
        assert!("dynamodb:".parse::<Place>().is_err() && "".parse::<Place>().is_err());
    }
}
