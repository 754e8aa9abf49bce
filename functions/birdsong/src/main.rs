//! Reads the command line and starts. Holds no rule of the domain.

mod alerts;
mod archive;
mod backup;
mod cloud;
mod copy;
mod cost;
mod data;
mod deadletters;
mod digest;
mod digest_text;
mod export;
mod health;
mod hosts;
mod key;
mod machine;
mod metrics;
mod note;
mod page;
mod print;
mod prometheus;
mod reference;
mod regions;
mod replay;
mod reprocess;
mod rules;
mod run;
mod serve;
mod signal;
mod source;
mod stream;
mod table;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use birdsong_domain::time::WindowSize;
use birdsong_sources::length::Length;
use clap::{Args, Parser, Subcommand};

/// Real-time metrics of social posts by region.
///
/// Without a command it runs everything on this machine: a made-up stream of posts, the log, the
/// aggregation, the API and the dashboard at http://localhost:8080.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::RunArgs,
    /// How the log on stderr is written; BIRDSONG_LOG sets the level, such as warn or debug
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, env = "BIRDSONG_LOG_FORMAT")]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line, and metrics for CloudWatch on stdout
    Json,
}

const EXAMPLES: &str = "Examples:
  birdsong                                    run everything, then open http://localhost:8080
  birdsong replay tweets.ndjson.gz            count an archive by the regions of regions.toml
  birdsong replay --everything all --json -   count standard input as one region, one JSON line a window
  birdsong stream --to kinesis --stream S --table T
                                              send a live source to AWS (built with --features aws)
  birdsong reprocess --last 1h                rebuild the last hour from the log and repair what differs";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything on this machine (the default)
    Run(run::RunArgs),
    /// Send live sources into the log, on this machine or on Kinesis
    Stream(stream::StreamArgs),
    /// Check the health of a local streamer
    Health(health::HealthArgs),
    /// Send archives of posts through the pipeline and print what was counted
    Replay(replay::ReplayArgs),
    /// Rebuild windows from a range of the log and repair any that differ
    Reprocess(reprocess::ReprocessArgs),
    /// List what could not be read, or try it again
    #[command(name = "deadletters")]
    DeadLetters(deadletters::DeadLettersArgs),
    /// Keep days of the log beyond its retention
    Archive(archive::ArchiveArgs),
    /// Copy the data folder while it is in use
    Backup(backup::BackupArgs),
    /// Copy all windows to another place, such as from this machine to AWS
    Copy(copy::CopyArgs),
    /// Show or change the key that ids are hashed with
    Key(key::KeyArgs),
    /// Work on the regions file
    Regions(regions::RegionsArgs),
    /// Show or set the rules at X
    Rules(rules::RulesArgs),
    /// List the alerts of the regions file with their state, or test them
    Alerts(alerts::AlertsArgs),
    /// Add, list or remove notes, which are shown beside the counts
    Note(note::NoteArgs),
    /// Print what happened on a day, from the data folder
    Digest(digest_text::DigestArgs),
    /// Write counts, events or a hashtag's series as CSV, NDJSON or Parquet
    Export(export::ExportArgs),
    /// Show what a month on AWS costs
    Cost(cost::CostArgs),
}

/// Options of every command that works with stored data.
#[derive(Debug, Args)]
struct DataArgs {
    /// Folder for log, windows, quarantine and the author key
    #[arg(long, value_name = "DIR", default_value = ".birdsong", env = "BIRDSONG_DATA")]
    data: PathBuf,
}

/// Options of every command that counts.
#[derive(Debug, Args)]
struct CountArgs {
    /// What to watch [default: regions.toml, else a built-in list of six cities]
    #[arg(long, value_name = "FILE")]
    regions: Option<PathBuf>,
    /// Watch one region of this name that matches every post
    #[arg(long, value_name = "NAME", conflicts_with = "regions")]
    everything: Option<String>,
    /// Length of a window, 1m to 1h; stays with the data folder once it is chosen [default: 5m]
    #[arg(long, value_name = "TIME", value_parser = parse_window, env = "BIRDSONG_WINDOW")]
    window: Option<WindowSize>,
}

fn parse_window(text: &str) -> Result<WindowSize, String> {
    let secs = parse_secs(text)?;
    WindowSize::from_secs(u32::try_from(secs).unwrap_or(u32::MAX)).map_err(|e| e.to_string())
}

/// Reads `90s`, `5m`, `1h` or `2d` as seconds.
fn parse_secs(text: &str) -> Result<u64, String> {
    text.parse().map(|Length(secs)| secs)
}

/// Milliseconds since 1970: the one place where the program reads the clock.
fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(not(panic = "unwind"))]
compile_error!("a panic in one source must not end the others: build with panic = \"unwind\"");

fn main() -> ExitCode {
    // What this program writes is for its owner only.
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("BIRDSONG_LOG").unwrap_or_else(|_| {
        tracing_subscriber::EnvFilter::new("warn,birdsong=info,birdsong_streamer=info,birdsong_alerts=info")
    });
    let is_colored = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(print::LogWriter::default)
        .with_ansi(is_colored)
        .with_target(false);
    match cli.log_format {
        LogFormat::Text => logs.init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
    let done = match cli.command.unwrap_or(Command::Run(cli.run)) {
        Command::Run(args) => run::run(args),
        Command::Stream(args) => stream::stream(args, cli.log_format),
        Command::Health(args) => health::ask_health(&args),
        Command::Replay(args) => replay::replay(args),
        Command::Reprocess(args) => reprocess::reprocess(args),
        Command::DeadLetters(args) => deadletters::deadletters(args),
        Command::Archive(args) => archive::archive(args),
        Command::Backup(args) => backup::backup(&args),
        Command::Copy(args) => copy::copy(&args),
        Command::Key(args) => key::key(args),
        Command::Regions(args) => regions::regions(args),
        Command::Rules(args) => rules::rules(&args),
        Command::Alerts(args) => alerts::alerts(args),
        Command::Note(args) => note::note(args),
        Command::Digest(args) => digest_text::digest(&args),
        Command::Export(args) => export::export(&args),
        Command::Cost(args) => cost::cost(&args),
    };
    done.unwrap_or_else(|error| {
        print::err(format_args!("error: {error:#}"));
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_window_has_a_length_that_divides_an_hour_or_is_one() {
        assert_eq!(parse_window("15m"), Ok(WindowSize::from_secs(900).unwrap()));
        assert!(parse_window("7m").is_err() && parse_window("2").is_err());
    }
}
