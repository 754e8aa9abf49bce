//! Posts to frames: which regions match a post, has it been sent before, when is a frame cut.
//!
//! [`prepare`] is the costly half and works on any thread: it matches regions and writes the slim
//! lines. [`cutter`] is the ordered half: it drops duplicates, gathers lanes and keeps the ledger.
//! Neither reads a clock; both get the time as an argument. [`runner`] runs live sources: each through an [`ingest`]
//! and a [`pipeline`], with the [`outbox`] for frames that the log does not have yet, from where [`recovery`] finds that
//! it stopped. [`send`] brings an archive's frames into the log.
//!
//! ```
//! use birdsong_domain::network::Network;
//! use birdsong_domain::post::{PostId, SourcePost};
//! use birdsong_domain::region::Regions;
//! use birdsong_domain::time::WindowSize;
//! use birdsong_streamer::cutter::{CutRules, Cutter, Origin};
//! use birdsong_streamer::prepare::{Batch, Lanes};
//! use birdsong_streamer::sent::{SentRules, SharedSent};
//!
//! let regions = Regions::parse("regions.toml", "[[region]]\nid = \"fog\"\nkeywords = [\"fog\"]\n")?;
//! let lanes = Lanes::new(&regions, Network::X);
//! let now_ms = 1_700_000_000_000;
//! let mut batch = Batch::default();
//! for (id, text) in [(1, "Fog on the bay"), (2, "Sunshine"), (1, "Fog on the bay")] {
//!     let post = SourcePost { id: PostId(id), time_ms: now_ms, text: text.into(), ..SourcePost::default() };
//!     batch.add(&regions, &lanes, &post);
//! }
//!
//! let origin = Origin { source: "x".into(), run: "run".into(), live: true, connected_ms: now_ms };
//! let sent = SharedSent::new(SentRules::archive(None));
//! let mut cutter = Cutter::new(origin, CutRules::default(), WindowSize::FIVE_MINUTES, lanes, sent);
//! let mut frames = vec![];
//! cutter.take(&batch, now_ms, &mut frames)?;
//! cutter.cut(now_ms + 500, &mut frames);
//!
//! // The frame of the region, and behind it the frame of the ledger.
//! assert_eq!(frames.len(), 2);
//! let ledger = cutter.ledger();
//! assert_eq!((ledger.received, ledger.sent, ledger.filtered, ledger.duplicates), (3, 1, 1, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod clock;
pub mod cutter;

pub mod durable;
pub mod ingest;
pub mod originals;
pub mod outbox;
mod outgoing;
pub mod past;
pub mod pipeline;
pub mod prepare;
mod recent;
pub mod recovery;
pub mod runner;
pub mod send;
pub mod sent;
pub mod status;
mod unheard;
pub mod unreadable;
