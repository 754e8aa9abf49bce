//! One dead letter, of whichever kind.

use birdsong_aggregator::dead_letter::DeadLetter;
use birdsong_domain::ports::LogRecord;
use birdsong_streamer::unreadable::Unreadable;

/// A dead letter and where it is.
#[derive(Debug)]
pub(super) struct Found {
    /// The file, and for a line `:` and its number in the file, from 1.
    pub(super) id: String,
    /// The file alone.
    pub(super) file: String,
    /// When it was written, RFC 3339.
    pub(super) newest: String,
    pub(super) letter: Letter,
}

/// What could not be read.
#[derive(Debug)]
pub(super) enum Letter {
    Line(Unreadable),
    Record(DeadLetter),
    Window(DeadLetter),
    /// Records that Lambda gave up, which are in a bucket.
    #[cfg_attr(not(feature = "aws"), expect(dead_code, reason = "without AWS, nothing gives up batches"))]
    Batch(Vec<LogRecord>),
    /// A file that is no dead letter, and why.
    Odd(String),
}

impl Letter {
    /// Reads the content of `file`.
    pub(super) fn read(file: &str, bytes: &[u8]) -> Self {
        #[cfg(feature = "aws")]
        if file.starts_with(super::place::GIVEN_UP) {
            return match birdsong_aws::lambda::event::given_up(bytes) {
                Ok(records) => Self::Batch(records),
                Err(error) => Self::Odd(format!("it is no batch: {error}")),
            };
        }
        match serde_json::from_slice::<DeadLetter>(bytes) {
            Ok(letter) if letter.window.is_some() => Self::Window(letter),
            Ok(letter) => Self::Record(letter),
            Err(error) => Self::Odd(format!("{file} is no dead letter: {error}")),
        }
    }

    /// Reads a line of a file of lines.
    pub(super) fn read_line(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes)
            .map_or_else(|error| Self::Odd(format!("it is no dead letter: {error}")), Self::Line)
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Line(_) => "line",
            Self::Record(_) => "record",
            Self::Window(_) => "window",
            Self::Batch(_) => "batch",
            Self::Odd(_) => "odd file",
        }
    }

    /// The file or source of a line, the lane of a record or window.
    pub(super) fn source(&self) -> String {
        match self {
            Self::Line(line) => line.origin.to_string(),
            Self::Record(letter) | Self::Window(letter) => letter.lane.clone().unwrap_or_default(),
            Self::Batch(_) => "Lambda".into(),
            Self::Odd(_) => String::new(),
        }
    }

    pub(super) fn reason(&self) -> String {
        match self {
            Self::Line(line) => line.reason.clone(),
            Self::Record(letter) | Self::Window(letter) => letter.reason.clone(),
            Self::Batch(records) => format!("{} records were given up", records.len()),
            Self::Odd(reason) => reason.clone(),
        }
    }

    /// All of it, for people.
    pub(super) fn text(&self) -> String {
        match self {
            // Texts and numbers always can be written.
            Self::Line(line) => serde_json::to_string_pretty(line).unwrap_or_default(),
            Self::Record(letter) | Self::Window(letter) => serde_json::to_string_pretty(letter).unwrap_or_default(),
            Self::Batch(records) => records
                .iter()
                .map(|record| {
                    let lane = record.lane.as_ref().map_or_else(|| "unknown lane".to_owned(), ToString::to_string);
                    let kind = match birdsong_domain::frame::decode(&record.bytes) {
                        Ok(frame) => format!("{} posts", frame.posts.len()),
                        Err(error) => error.to_string(),
                    };
                    format!("{} {lane}: {kind}", record.sequence)
                })
                .collect::<Vec<_>>()
                .join("\n"),
            Self::Odd(reason) => reason.clone(),
        }
    }
}
