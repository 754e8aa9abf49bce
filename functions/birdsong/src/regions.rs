//! `birdsong regions`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::{CountArgs, data, print};

#[derive(Debug, Args)]
pub(crate) struct RegionsArgs {
    #[command(subcommand)]
    command: RegionsCommand,
}

#[derive(Debug, Subcommand)]
enum RegionsCommand {
    /// Check the regions file and show its content
    Check {
        /// The file [default: regions.toml]
        #[arg(value_name = "FILE")]
        file: Option<std::path::PathBuf>,
        /// The file, as in other commands
        #[arg(long = "regions", value_name = "FILE", conflicts_with = "file")]
        regions: Option<std::path::PathBuf>,
    },
}

pub(crate) fn regions(args: RegionsArgs) -> Result<ExitCode> {
    let RegionsCommand::Check { file, regions } = args.command;
    // A check of a file that is not there must not pass by way of the built-in list.
    let file = file.or(regions).unwrap_or_else(|| "regions.toml".into());
    let regions = data::load_regions(&CountArgs { regions: Some(file), everything: None, window: None })?;
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["id", "name", "boxes", "keywords", "languages", "rules", "tz", "lanes"]);
    for region in regions.list() {
        table.add_row([
            region.id.clone(),
            in_one_line(&region.name),
            region.boxes.len().to_string(),
            region.keywords.iter().map(|keyword| in_one_line(keyword)).collect::<Vec<_>>().join(", "),
            region.languages.join(", "),
            region.rules.join(", "),
            region.tz.clone().unwrap_or_default(),
            region.hot_buckets.to_string(),
        ]);
    }
    print::out(format_args!("{table}\n{} regions, no problems.", regions.list().len()));
    Ok(ExitCode::SUCCESS)
}

/// A keyword may have line breaks, which match like any white space.
fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
