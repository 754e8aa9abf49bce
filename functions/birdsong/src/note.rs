//! `birdsong note`: what people know about a time.

use std::process::ExitCode;

use anyhow::{Result, bail};
use birdsong_digest::notes::{self, MAX_NOTE_MS};
use birdsong_domain::event::Event;
use birdsong_domain::lane::STREAM;
use birdsong_domain::ports::{DocumentStore, Settings};
use birdsong_domain::rollup::DAY_MS;
use birdsong_domain::time::rfc3339;
use clap::{Args, Subcommand};

use crate::alerts::parse_time;
use crate::{DataArgs, data, now_ms, print};

/// All regions, as the command line writes them.
const ALL: &str = "all";
/// How far back notes are listed by default, in milliseconds.
const LISTED_MS: i64 = 30 * DAY_MS;

#[derive(Debug, Args)]
#[command(after_help = "On AWS, --table names the table of the deployment; the page shows the note within a minute.")]
pub(crate) struct NoteArgs {
    #[command(subcommand)]
    command: NoteCommand,
}

/// Where the notes are.
#[derive(Debug, Args)]
struct StoreArgs {
    #[command(flatten)]
    data: DataArgs,
    /// DynamoDB table of a deployment on AWS, in place of the data folder
    #[arg(long, value_name = "NAME", env = "BIRDSONG_TABLE")]
    table: Option<String>,
}

#[derive(Debug, Subcommand)]
enum NoteCommand {
    /// Add a note to a region
    Add {
        /// Id of the region, or "all"
        #[arg(value_name = "REGION")]
        region: String,
        /// What to note; one line of at most 500 characters
        #[arg(value_name = "TEXT")]
        text: String,
        /// When it starts, such as 2026-11-26T19:00:00Z [default: now]
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
        /// When it ends, at most 31 days later [default: when it starts]
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// List notes, of the last 30 days and of the future
    List {
        /// Id of the region, or "all" [default: each of them]
        #[arg(value_name = "REGION")]
        region: Option<String>,
        /// List them from this time on
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Remove a note
    Remove {
        /// Id of the note, as the list shows it
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        store: StoreArgs,
    },
}

pub(crate) fn note(args: NoteArgs) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (NoteCommand::Add { store, .. } | NoteCommand::List { store, .. } | NoteCommand::Remove { store, .. }) =
        &args.command;
    let (dir, table) = (store.data.data.clone(), store.table.clone());
    runtime.block_on(async {
        match table {
            None => on(&data::open_store(&dir)?, args.command).await,
            #[cfg(feature = "aws")]
            Some(table) => on(&crate::cloud::store(table).await?, args.command).await,
            #[cfg(not(feature = "aws"))]
            Some(_) => crate::cloud::missing(),
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn on<S: DocumentStore + Settings>(store: &S, command: NoteCommand) -> Result<()> {
    match command {
        NoteCommand::Add { region, text, at, until, store: _ } => {
            let start_ms = at.as_deref().map_or_else(|| Ok(now_ms()), parse_time)?;
            let end_ms = until.as_deref().map_or(Ok(start_ms), parse_time)?;
            if end_ms < start_ms {
                bail!("a note cannot end before it starts");
            }
            let region = id_of(&region, &data::published_regions(store).await?)?;
            let Some(note) = Event::note(&region, (start_ms, end_ms), &text) else { bail!("the note has no text") };
            let id = note.id.clone();
            notes::add(store, note).await?;
            print::out(id);
        }
        NoteCommand::List { region, from, store: _ } => {
            let from_ms = from.as_deref().map_or_else(|| Ok(now_ms() - LISTED_MS), parse_time)?;
            list(store, region.as_deref(), from_ms).await?;
        }
        NoteCommand::Remove { id, store: _ } => {
            if !notes::remove(store, &id).await? {
                bail!("there is no note {id:?}");
            }
            print::out(format_args!("removed {id}"));
        }
    }
    Ok(())
}

async fn list<S: DocumentStore + Settings>(store: &S, region: Option<&str>, from_ms: i64) -> Result<()> {
    let known = data::published_regions(store).await?;
    let regions = match region {
        Some(region) => vec![id_of(region, &known)?],
        None => known.iter().map(|region| region.id.clone()).chain([STREAM.to_owned()]).collect(),
    };
    let mut found = vec![];
    for region in &regions {
        found.extend(notes::list(store, region, from_ms, now_ms().saturating_add(10 * MAX_NOTE_MS)).await?);
    }
    found.sort_by(|a, b| (a.start_ms, &a.id).cmp(&(b.start_ms, &b.id)));
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["id", "region", "from", "until", "text"]);
    for note in &found {
        let region = if note.region == STREAM { ALL } else { &note.region };
        let text = note.text.clone().unwrap_or_default();
        table.add_row([note.id.clone(), region.to_owned(), rfc3339(note.start_ms), rfc3339(note.end_ms), text]);
    }
    print::out(format_args!("{table}\n{} notes.", found.len()));
    Ok(())
}

fn id_of(region: &str, known: &[birdsong_domain::region::Region]) -> Result<String> {
    if region == ALL && known.iter().all(|known| known.id != ALL) {
        return Ok(STREAM.to_owned());
    }
    if known.iter().any(|known| known.id == region) {
        return Ok(region.to_owned());
    }
    let ids: Vec<_> = known.iter().take(20).map(|region| &*region.id).collect();
    bail!("there is no region {region:?} here; the regions are: {}", ids.join(", "))
}
