//! `birdsong export`: windows, events and series of the data folder as CSV, NDJSON or Parquet, in the form of the API.

mod parquet;

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use birdsong_api::{Api, Limits};
use birdsong_domain::rollup::DAY_MS;
use birdsong_domain::time::rfc3339;
use birdsong_sources::length::Length;
use clap::{Args, ValueEnum};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tower::ServiceExt;

use self::parquet::ParquetFile;
use crate::alerts::parse_time;
use crate::{DataArgs, data, now_ms, print};

/// Largest answer of a chunk, in bytes.
const MAX_ANSWER: usize = 256 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Counts over time
    Windows,
    /// What happened: rises, spikes, drops, silences, gaps and notes
    Events,
    /// A hashtag (--tag) or host (--host) over time
    Series,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    /// Comma-separated values with a header line (RFC 4180)
    Csv,
    /// One JSON object a line
    Ndjson,
    /// Parquet, for notebooks and databases: columns with types, lists as JSON
    Parquet,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  birdsong export --region montreal --from 2026-11-01T00:00:00Z -o montreal.csv
  birdsong export events --format ndjson | jq .kind
  birdsong export series --region montreal --tag goal --step 1h
  birdsong export --format parquet -o montreal.parquet --region montreal

The columns are those of /api/windows, /api/events and /api/series with format=csv (docs/reference/api.md).")]
pub(crate) struct ExportArgs {
    /// What to export
    #[arg(value_enum, default_value_t = Kind::Windows)]
    kind: Kind,
    /// Ids of regions, separated by commas [default: all]
    #[arg(long, value_name = "IDS")]
    region: Option<String>,
    /// Start of the range, such as 2026-11-26T00:00:00Z [default: a day before its end]
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// End of the range, exclusive [default: now]
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Length of a row, such as 5m, 1h or 1d [default: the length of a window]
    #[arg(long, value_name = "TIME")]
    step: Option<String>,
    /// Hashtag of the series, without #
    #[arg(long, value_name = "TAG", conflicts_with = "host")]
    tag: Option<String>,
    /// Host of the series, such as example.org
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Form of the file
    #[arg(long, value_enum, default_value_t = ExportFormat::Csv)]
    format: ExportFormat,
    /// File to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
}

pub(crate) fn export(args: &ExportArgs) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(work(args))?;
    Ok(ExitCode::SUCCESS)
}

async fn work(args: &ExportArgs) -> Result<()> {
    let to_ms = args.to.as_deref().map_or_else(|| Ok(now_ms()), parse_time)?;
    let from_ms = args.from.as_deref().map_or_else(|| Ok(to_ms - DAY_MS), parse_time)?;
    if from_ms >= to_ms {
        bail!("--from must be before --to");
    }
    if args.kind == Kind::Series && args.tag.is_none() && args.host.is_none() {
        bail!("name the hashtag or host of the series with --tag or --host");
    }
    let store = Arc::new(data::open_store(&args.data.data)?);
    let rules = data::stored_rules(&*store).await?;
    let published = data::published_regions(&*store).await?;
    let ids: Vec<String> = match &args.region {
        Some(ids) => ids.split(',').map(|id| id.trim().to_owned()).collect(),
        None => published.iter().map(|region| region.id.clone()).collect(),
    };
    let api = Api {
        problems: Arc::new(Vec::new),
        grace_ms: 0,
        store,
        regions: Arc::new(published),
        rules,
        now_ms: Arc::new(now_ms),
        sources: Arc::new(Vec::new),
    };
    let router = birdsong_api::router_with(api, Limits::default());
    let out: Box<dyn Write + Send> = match &args.output {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
            Box::new(BufWriter::new(file))
        }
        None if args.format == ExportFormat::Parquet && std::io::stdout().is_terminal() => {
            bail!("a Parquet file is no text: name a file with -o")
        }
        None => Box::new(BufWriter::new(std::io::stdout())),
    };
    let window_step = format!("{}s", rules.size.secs());
    let (path, step) = match args.kind {
        Kind::Windows => ("windows", Some(args.step.as_deref().unwrap_or(&window_step))),
        Kind::Events => ("events", None),
        Kind::Series => ("series", Some(args.step.as_deref().unwrap_or(&window_step))),
    };
    let mut out = match args.format {
        ExportFormat::Csv => Output::Csv { out, has_header: false },
        ExportFormat::Ndjson => Output::Ndjson(out),
        ExportFormat::Parquet => Output::Parquet(Box::new(ParquetFile::new(out, birdsong_api::columns(path))?)),
    };
    // Each region day by day, where days are whole steps. Events come in one call, so that one that lasts, or is of the
    // collection, comes once.
    let length = step.and_then(|step| step.parse::<Length>().ok());
    let is_by_day = length.is_some_and(|Length(secs)| DAY_MS.unsigned_abs().is_multiple_of(secs.saturating_mul(1000)));
    let calls = if is_by_day { days(from_ms, to_ms) } else { vec![(from_ms, to_ms)] };
    let groups = if step.is_some() { ids } else { vec![ids.join(",")] };
    let mut rows = 0_usize;
    for regions in &groups {
        for (from_ms, to_ms) in &calls {
            let (from, to) = (rfc3339(*from_ms), rfc3339(*to_ms));
            let mut parts = vec![("region", regions.as_str()), ("from", &from), ("to", &to), ("format", out.format())];
            parts.extend(step.map(|step| ("step", step)));
            if args.kind == Kind::Series {
                parts.extend(args.tag.as_deref().map(|tag| ("tag", tag)));
                parts.extend(args.host.as_deref().map(|host| ("host", host)));
            }
            let parts =
                parts.iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
            let query = parts.collect::<Vec<_>>().join("&");
            let request = Request::get(format!("/api/{path}?{query}")).body(Body::empty())?;
            let Ok(response) = router.clone().oneshot(request).await;
            let status = response.status();
            let body = axum::body::to_bytes(response.into_body(), MAX_ANSWER).await?;
            if status != StatusCode::OK {
                let error: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
                bail!("{}", error["error"]["message"].as_str().unwrap_or("the data cannot be read"));
            }
            rows += out.write(&body)?;
        }
    }
    out.finish()?;
    if let Some(path) = &args.output {
        print::err(format_args!("{rows} rows in {}", path.display()));
    }
    Ok(())
}

/// Where rows go, in which form.
enum Output {
    Csv { out: Box<dyn Write + Send>, has_header: bool },
    Ndjson(Box<dyn Write + Send>),
    Parquet(Box<ParquetFile<Box<dyn Write + Send>>>),
}

impl Output {
    /// The form in which the API is asked for them.
    fn format(&self) -> &'static str {
        if matches!(self, Self::Csv { .. }) { "csv" } else { "ndjson" }
    }

    /// Writes the rows of an answer, and returns their number.
    fn write(&mut self, body: &[u8]) -> Result<usize> {
        let lines = body.iter().filter(|byte| **byte == b'\n').count();
        match self {
            Self::Csv { out, has_header } => {
                // No column name has a line break.
                let end = body.iter().position(|byte| *byte == b'\n').map_or(body.len(), |at| at + 1);
                out.write_all(if *has_header { &body[end..] } else { body })?;
                *has_header = true;
                return Ok(lines.saturating_sub(1));
            }
            Self::Ndjson(out) => out.write_all(body)?,
            Self::Parquet(file) => {
                for line in body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    file.add(line)?;
                }
            }
        }
        Ok(lines)
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::Csv { mut out, .. } | Self::Ndjson(mut out) => Ok(out.flush()?),
            Self::Parquet(file) => file.finish(),
        }
    }
}

/// A range, cut at the starts of days.
fn days(from_ms: i64, to_ms: i64) -> Vec<(i64, i64)> {
    let first = from_ms.div_euclid(DAY_MS);
    let starts = (first..=(to_ms - 1).div_euclid(DAY_MS)).map(|day| day * DAY_MS);
    starts.map(|start| (start.max(from_ms), (start + DAY_MS).min(to_ms))).collect()
}
