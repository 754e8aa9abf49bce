//! Manifests: one a day, behind the files of that day.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use birdsong_domain::frame::Frame;
use birdsong_domain::ports::{LogRecord, PortError, SequenceNumber};
use birdsong_domain::time::{WindowSize, WindowStart};
use birdsong_domain::window::{FoldRules, touched};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::Day;
use crate::files::{Files, day_of_manifest, list_all};

/// Version of manifests and files.
pub const FORMAT: u32 = 1;
/// What the names of manifests start with.
pub const MANIFESTS: &str = "manifests/";
/// What the names of files start with.
pub(crate) const REGIONS: &str = "region=";
/// Longest manifest, in bytes.
const MAX_MANIFEST_BYTES: usize = 64 << 20;
/// What is written as it is in the name of a file; regions and shards have no other characters unless they are damaged.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// What a day has. It is stored as JSON, behind the SHA-256 of that JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Identifies the log that the records are of ([`birdsong_domain::ports::LOG_ID`]).
    pub log: String,
    /// The day, of arrival.
    pub day: Day,
    /// Every record of the log that arrived at or after this time, in milliseconds, is in this day or a later one, unless
    /// the day before is here, too. `None` when the log never had an earlier record.
    pub since_ms: Option<i64>,
    /// The shards of the log, parents before children.
    pub shards: Vec<ShardEnd>,
    /// The files, by shard in that order, then by region, then by part.
    pub files: Vec<FileEntry>,
}

/// How far a day reaches in a shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardEnd {
    /// Name of the shard.
    pub name: String,
    /// The last record of this day, or of an earlier one when this day has none. `None` when no day has any.
    pub last: Option<Sequence>,
}

/// One file, and what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Region id, or [`birdsong_domain::lane::STREAM`] for the ledgers of sources.
    pub region: String,
    /// Shard of the log.
    pub shard: String,
    /// Number of the file in its region, day and shard, from 1.
    pub part: u32,
    /// The lanes, without the region.
    pub lanes: BTreeSet<String>,
    /// Sequence number of the first record.
    pub first: Sequence,
    /// Sequence number of the last record.
    pub last: Sequence,
    /// Records.
    pub records: u64,
    /// Those of them that were damaged in the log already.
    pub damaged: u64,
    /// Posts.
    pub posts: u64,
    /// The time that the windows of the records begin and end in: full minutes, in milliseconds.
    pub event_ms: (i64, i64),
    /// Length of the file.
    pub bytes: u64,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
}

/// A sequence number as it is in JSON: digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Sequence(pub SequenceNumber);

impl From<Sequence> for String {
    fn from(sequence: Sequence) -> Self {
        sequence.0.as_str().to_owned()
    }
}

impl TryFrom<String> for Sequence {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        SequenceNumber::parse(&text).map(Self).ok_or_else(|| format!("{text:?} is no sequence number"))
    }
}

impl FileEntry {
    /// Name of the file.
    #[must_use]
    pub fn name(&self, day: Day) -> String {
        let plain = |text| utf8_percent_encode(text, PLAIN);
        format!("{REGIONS}{}/day={day}/{}.{:04}.ndjson.zst", plain(&self.region), plain(&self.shard), self.part)
    }

    /// The entry of a file that has this record alone.
    pub(crate) fn begin(shard: &str, part: u32, record: &LogRecord, frame: &Frame) -> Self {
        let sequence = Sequence(record.sequence.clone());
        let mut entry = Self {
            region: frame.header.lane.region().to_owned(),
            shard: shard.to_owned(),
            part,
            lanes: BTreeSet::new(),
            first: sequence.clone(),
            last: sequence,
            records: 0,
            damaged: 0,
            posts: 0,
            event_ms: (i64::MAX, i64::MIN),
            bytes: 0,
            sha256: String::new(),
        };
        entry.add(record, frame);
        entry
    }

    /// Takes one more record into account.
    pub(crate) fn add(&mut self, record: &LogRecord, frame: &Frame) {
        self.lanes.insert(frame.header.lane.within_region());
        self.last = Sequence(record.sequence.clone());
        self.records += 1;
        self.damaged += u64::from(frame.damage.is_some());
        self.posts += frame.posts.len() as u64;
        let rules = FoldRules { size: WindowSize::MINUTE, ..FoldRules::default() };
        let minutes = touched(rules, frame);
        if let (Some(first), Some(last)) = (minutes.first(), minutes.last()) {
            let (from_ms, to_ms) = self.event_ms;
            self.event_ms = (from_ms.min(first.0), to_ms.max(last.0.saturating_add(rules.size.ms())));
        }
    }

    /// Takes the bytes of the file into account.
    pub(crate) fn finish(&mut self, file: &[u8]) {
        self.bytes = file.len() as u64;
        self.sha256 = sha256(file);
    }

    /// Whether records of it may be of windows that start in this range.
    pub(crate) fn touches(&self, windows: &std::ops::Range<WindowStart>) -> bool {
        self.event_ms.0 < windows.end.0 && self.event_ms.1 > windows.start.0
    }
}

impl Manifest {
    /// Records of the day.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.files.iter().map(|file| file.records).sum()
    }

    /// Posts of the day. A post that matched several regions counts in each.
    #[must_use]
    pub fn posts(&self) -> u64 {
        self.files.iter().map(|file| file.posts).sum()
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The last record of a shard in this day or an earlier one.
    #[must_use]
    pub fn last_of(&self, shard: &str) -> Option<&SequenceNumber> {
        self.shards.iter().find(|end| end.name == shard)?.last.as_ref().map(|last| &last.0)
    }

    /// What is stored.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, PortError> {
        let failed = |error: serde_json::Error| PortError::Refused { what: "a manifest", reason: error.to_string() };
        let text = serde_json::to_string_pretty(self).map_err(failed)?;
        Ok(format!("{{\"sha256\":\"{}\",\"manifest\":{text}}}\n", sha256(text.as_bytes())).into_bytes())
    }

    /// Reads what [`Manifest::encode`] wrote.
    fn decode(day: Day, bytes: &[u8]) -> Result<Self, PortError> {
        #[derive(Deserialize)]
        struct Stored<'a> {
            sha256: String,
            #[serde(borrow)]
            manifest: &'a RawValue,
        }
        #[derive(Deserialize)]
        struct Versioned {
            format: u32,
        }
        let damaged = |reason: String| damaged(&manifest_name(day), reason);
        let not_json = |error: serde_json::Error| damaged(error.to_string());
        let stored: Stored<'_> = serde_json::from_slice(bytes).map_err(not_json)?;
        let text = stored.manifest.get();
        if sha256(text.as_bytes()) != stored.sha256 {
            return Err(damaged("its checksum does not match".into()));
        }
        let Versioned { format } = serde_json::from_str(text).map_err(not_json)?;
        if format != FORMAT {
            let reason =
                format!("it has format {format}, and this release reads {FORMAT}: use the release that wrote it");
            return Err(PortError::Refused { what: "the archive", reason });
        }
        let manifest: Self = serde_json::from_str(text).map_err(not_json)?;
        if manifest.day != day {
            return Err(damaged(format!("it is of {}", manifest.day)));
        }
        Ok(manifest)
    }
}

/// Name of the manifest of a day.
pub(crate) fn manifest_name(day: Day) -> String {
    format!("{MANIFESTS}{day}.json")
}

/// The manifest of a day, if the day is there.
pub(crate) async fn manifest<F: Files>(files: &F, day: Day) -> Result<Option<Manifest>, PortError> {
    let bytes = files.get(&manifest_name(day), MAX_MANIFEST_BYTES).await?;
    bytes.map(|bytes| Manifest::decode(day, &bytes)).transpose()
}

/// The days that are there, in order.
pub(crate) async fn days<F: Files>(files: &F) -> Result<BTreeSet<Day>, PortError> {
    Ok(list_all(files, MANIFESTS).await?.iter().filter_map(|name| day_of_manifest(name)).collect())
}

/// All manifests, by day.
///
/// # Errors
/// When one of them cannot be read, is damaged, or is of another format.
pub async fn manifests<F: Files>(files: &F) -> Result<Vec<Manifest>, PortError> {
    let mut all = vec![];
    for day in days(files).await? {
        all.extend(manifest(files, day).await?);
    }
    Ok(all)
}

/// An archive and a log that do not belong together.
pub(crate) fn check_log(manifest: &Manifest, log_id: &str) -> Result<(), PortError> {
    if manifest.log == log_id {
        return Ok(());
    }
    let reason = format!("{} is of another log; name the archive of this log, or another place", manifest.day);
    Err(PortError::Refused { what: "the archive", reason })
}

/// A file of the archive that is not what it should be.
pub(crate) fn damaged(name: &str, reason: String) -> PortError {
    PortError::Corrupt { what: format!("{name} of the archive"), reason }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The bytes of a file, which are what its manifest states.
pub(crate) async fn read_file<F: Files>(files: &F, day: Day, entry: &FileEntry) -> Result<Vec<u8>, PortError> {
    let name = entry.name(day);
    let limit = usize::try_from(entry.bytes).unwrap_or(usize::MAX).saturating_add(1);
    let Some(bytes) = files.get(&name, limit).await? else { return Err(damaged(&name, "it is missing".into())) };
    if bytes.len() as u64 != entry.bytes {
        let reason = format!("it has {} bytes, and the manifest of the day states {}", bytes.len(), entry.bytes);
        return Err(damaged(&name, reason));
    }
    if sha256(&bytes) != entry.sha256 {
        return Err(damaged(&name, "its SHA-256 is not the one that the manifest of the day states".into()));
    }
    Ok(bytes)
}
