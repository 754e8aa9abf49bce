//! Cases: small inputs, and the output that the program must have. One file a case in `tests/cases/`.
//!
//! ```toml
//! why = "the rule, and where it comes from"
//! [[file]]                  # files in the case's folder
//! name = "posts.jsonl"      # may have folders in it
//! text = '''…'''            # or hex = "…"
//! repeat = 1                # repeats the text or bytes; default 1
//! pack = ["gzip"]           # one after the other: gzip, bzip2, xz, zstd, utf16le, utf16be (both with a byte order mark),
//!                           # zeros (512 of them behind), and tar or zip of `member`s, which are files like this one
//! [[run]]                   # steps, one after the other in that folder; {data} is a data folder kept for the case
//! args = ["replay", "--memory", "--json", "--everything", "all", "posts.jsonl"]
//! stdin = "posts.jsonl"     # optional
//! exit = "zero"             # or "nonzero"; default zero
//! ledger = { received = 2 } # fields of the ledger line on stderr
//! stderr = ["regex"]        # also stderr_not, stdout, stdout_not; without regard to case
//! stderr_lines = 2          # most lines that stderr may have
//! [run.regions.all]         # sums over all windows of the region; 0 when there is none
//! posts = 2                 # also originals, replies, quotes, reposts, authors
//! hashtags = { fog = 2 }    # also languages, hosts; compared by folded key; 0 when there is none
//! windows = { "2024-05-14T09:00:00Z" = 2 }
//! absent = { hashtags = ["x"], hosts = [] }
//! ```

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Cursor, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

type Failure = Box<dyn std::error::Error>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(rename = "why")]
    _why: String,
    #[serde(default)]
    file: Vec<Input>,
    run: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    name: String,
    text: Option<String>,
    hex: Option<String>,
    repeat: Option<usize>,
    #[serde(default)]
    member: Vec<Input>,
    #[serde(default)]
    pack: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    args: Vec<String>,
    stdin: Option<String>,
    #[serde(default)]
    exit: Exit,
    #[serde(default)]
    ledger: BTreeMap<String, Value>,
    #[serde(default)]
    stdout: Vec<String>,
    #[serde(default)]
    stdout_not: Vec<String>,
    #[serde(default)]
    stderr: Vec<String>,
    #[serde(default)]
    stderr_not: Vec<String>,
    stderr_lines: Option<usize>,
    #[serde(default)]
    regions: BTreeMap<String, Expected>,
}

#[derive(Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Exit {
    #[default]
    Zero,
    Nonzero,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    posts: Option<u64>,
    originals: Option<u64>,
    replies: Option<u64>,
    quotes: Option<u64>,
    reposts: Option<u64>,
    authors: Option<u64>,
    #[serde(default)]
    hashtags: BTreeMap<String, u64>,
    #[serde(default)]
    languages: BTreeMap<String, u64>,
    #[serde(default)]
    hosts: BTreeMap<String, u64>,
    #[serde(default)]
    windows: BTreeMap<String, u64>,
    #[serde(default)]
    absent: Absent,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Absent {
    hashtags: Vec<String>,
    languages: Vec<String>,
    hosts: Vec<String>,
    windows: Vec<String>,
}

/// Sums over the windows of one region.
#[derive(Default)]
struct Counted {
    counts: BTreeMap<&'static str, u64>,
    hashtags: BTreeMap<String, u64>,
    languages: BTreeMap<String, u64>,
    hosts: BTreeMap<String, u64>,
    windows: BTreeMap<String, u64>,
}

const COUNTS: [&str; 6] = ["posts", "originals", "replies", "quotes", "reposts", "authors"];

fn folded(tag: &str) -> String {
    caseless::default_case_fold_str(&tag.nfkc().collect::<String>()).nfkc().collect()
}

fn bytes(input: &Input) -> Result<Vec<u8>, Failure> {
    let mut bytes = match (&input.text, &input.hex) {
        (Some(text), None) => text.clone().into_bytes(),
        (None, Some(hex)) => unhex(hex)?,
        (None, None) => vec![],
        _ => return Err(format!("{}: either text or hex", input.name).into()),
    };
    bytes = bytes.repeat(input.repeat.unwrap_or(1));
    for pack in &input.pack {
        bytes = packed(pack, bytes, &input.member)?;
    }
    Ok(bytes)
}

fn packed(pack: &str, bytes: Vec<u8>, members: &[Input]) -> Result<Vec<u8>, Failure> {
    Ok(match pack {
        "gzip" => {
            let mut out = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
            out.write_all(&bytes)?;
            out.finish()?
        }
        "bzip2" => {
            let mut out = bzip2::write::BzEncoder::new(vec![], bzip2::Compression::fast());
            out.write_all(&bytes)?;
            out.finish()?
        }
        "xz" => {
            let mut out = liblzma::write::XzEncoder::new(vec![], 1);
            out.write_all(&bytes)?;
            out.finish()?
        }
        "zstd" => zstd::encode_all(&*bytes, 1)?,
        "zeros" => [bytes, vec![0; 512]].concat(),
        "utf16le" | "utf16be" => {
            let text = String::from_utf8(bytes)?;
            let units = std::iter::once(0xfeff).chain(text.encode_utf16());
            units.flat_map(|unit| if pack == "utf16le" { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
        }
        "tar" => {
            let mut out = tar::Builder::new(vec![]);
            for member in members {
                let bytes = self::bytes(member)?;
                let mut header = tar::Header::new_gnu();
                header.set_size(bytes.len() as u64);
                header.set_mode(0o644);
                out.append_data(&mut header, &member.name, &*bytes)?;
            }
            out.into_inner()?
        }
        "zip" => {
            let mut out = zip::ZipWriter::new(Cursor::new(vec![]));
            for member in members {
                out.start_file(&*member.name, zip::write::SimpleFileOptions::default())?;
                out.write_all(&self::bytes(member)?)?;
            }
            out.finish()?.into_inner()
        }
        _ => return Err(format!("{pack} is no packing").into()),
    })
}

fn unhex(hex: &str) -> Result<Vec<u8>, Failure> {
    let digits: Vec<u8> = hex.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let pair = |pair: &[u8]| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?);
    digits.chunks(2).map(pair).collect()
}

/// Runs one step; what differs, in words.
fn check(step: &Step, dir: &Path, data: &Path) -> Result<Vec<String>, Failure> {
    let args = step.args.iter().map(|arg| arg.replace("{data}", &data.display().to_string()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_birdsong"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BIRDSONG_")) {
        command.env_remove(name);
    }
    let stdin = match &step.stdin {
        Some(name) => Stdio::from(File::open(dir.join(name))?),
        None => Stdio::null(),
    };
    let output = command.current_dir(dir).args(args).env("NO_COLOR", "1").stdin(stdin).output()?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let mut wrong = vec![];
    match output.status.code() {
        Some(101 | 134) | None => wrong.push("it crashed".to_owned()),
        Some(code) if (code == 0) != (step.exit == Exit::Zero) => wrong.push(format!("exit code {code}")),
        Some(_) => (),
    }
    let regions = counted(&out);
    for (region, expected) in &step.regions {
        wrong.extend(differs(region, expected, regions.get(region).unwrap_or(&Counted::default())));
    }
    let ledger = err.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ledger = ledger.into_iter().find(|value| value.get("received").is_some()).unwrap_or_default();
    for (field, expected) in &step.ledger {
        if ledger[field] != *expected {
            wrong.push(format!("ledger: {field} is {}, not {expected}", ledger[field]));
        }
    }
    let patterns = [
        ("stdout", &out, &step.stdout, true),
        ("stdout", &out, &step.stdout_not, false),
        ("stderr", &err, &step.stderr, true),
        ("stderr", &err, &step.stderr_not, false),
    ];
    for (name, text, patterns, should_match) in patterns {
        for pattern in patterns {
            if regex::RegexBuilder::new(pattern).case_insensitive(true).build()?.is_match(text) != should_match {
                wrong.push(format!("{name} {} /{pattern}/", if should_match { "lacks" } else { "has" }));
            }
        }
    }
    if step.stderr_lines.is_some_and(|most| err.lines().count() > most) {
        wrong.push(format!("stderr has {} lines", err.lines().count()));
    }
    if !wrong.is_empty() {
        wrong.push(format!("stdout:\n{out}\nstderr:\n{err}"));
    }
    Ok(wrong)
}

fn counted(stdout: &str) -> BTreeMap<String, Counted> {
    let mut regions = BTreeMap::<String, Counted>::new();
    for line in stdout.lines() {
        let Ok(window) = serde_json::from_str::<Value>(line) else { continue };
        let (Some(region), Some(start)) = (window["region"].as_str(), window["window_start"].as_str()) else {
            continue;
        };
        let sums = regions.entry(region.to_owned()).or_default();
        for name in COUNTS {
            *sums.counts.entry(name).or_default() += window[name].as_u64().unwrap_or_default();
        }
        *sums.windows.entry(start.to_owned()).or_default() += window["posts"].as_u64().unwrap_or_default();
        for item in window["hashtags"].as_array().into_iter().flatten() {
            *sums.hashtags.entry(folded(item["tag"].as_str().unwrap_or_default())).or_default() +=
                item["count"].as_u64().unwrap_or_default();
        }
        for item in window["link_hosts"].as_array().into_iter().flatten() {
            *sums.hosts.entry(item["host"].as_str().unwrap_or_default().to_lowercase()).or_default() +=
                item["count"].as_u64().unwrap_or_default();
        }
        for (language, count) in window["languages"].as_object().into_iter().flatten() {
            *sums.languages.entry(language.clone()).or_default() += count.as_u64().unwrap_or_default();
        }
    }
    regions
}

fn differs(region: &str, expected: &Expected, counted: &Counted) -> Vec<String> {
    let mut wrong = vec![];
    let counts =
        [expected.posts, expected.originals, expected.replies, expected.quotes, expected.reposts, expected.authors];
    for (name, count) in COUNTS.iter().zip(counts) {
        let got = counted.counts.get(name).copied().unwrap_or_default();
        if count.is_some_and(|count| count != got) {
            wrong.push(format!("{region}: {got} {name}, not {}", count.unwrap_or_default()));
        }
    }
    type Fold = fn(&str) -> String;
    let (lower, same): (Fold, Fold) = (|text| text.to_lowercase(), |text| text.to_owned());
    let tables = [
        ("hashtags", &expected.hashtags, &counted.hashtags, &expected.absent.hashtags, folded as Fold),
        ("languages", &expected.languages, &counted.languages, &expected.absent.languages, same),
        ("hosts", &expected.hosts, &counted.hosts, &expected.absent.hosts, lower),
        ("windows", &expected.windows, &counted.windows, &expected.absent.windows, same),
    ];
    for (name, expected, counted, absent, fold) in tables {
        for (key, count) in expected {
            let got = counted.get(&fold(key)).copied().unwrap_or_default();
            if got != *count {
                wrong.push(format!("{region}: {name} {key} is {got}, not {count}"));
            }
        }
        for key in absent.iter().filter(|key| counted.contains_key(&fold(key))) {
            wrong.push(format!("{region}: {name} {key} is there"));
        }
    }
    wrong
}

fn run(path: &Path) -> datatest_stable::Result<()> {
    let case: Case = toml::from_str(&std::fs::read_to_string(path)?)?;
    let temp = tempfile::tempdir()?;
    let (dir, data) = (temp.path().join("case"), temp.path().join("data"));
    std::fs::create_dir(&dir)?;
    for input in &case.file {
        let path = dir.join(&input.name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, bytes(input)?)?;
    }
    let mut failed = String::new();
    for (n, step) in case.run.iter().enumerate() {
        for wrong in check(step, &dir, &data)? {
            writeln!(failed, "run {}: {wrong}", n + 1)?;
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.into()) }
}

datatest_stable::harness! {
    { test = run, root = "tests/cases", pattern = r"\.toml$" },
}
