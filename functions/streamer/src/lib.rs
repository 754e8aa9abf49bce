//! Posts to frames: which regions match a post, has it been sent before, when is a frame cut.
//!
//! [`prepare`] is the costly half and works on any thread: it matches regions and writes the slim
//! lines. [`cutter`] is the ordered half: it drops duplicates, gathers lanes and keeps the ledger.
//! Neither reads a clock; both get the time as an argument. [`runner`] runs live sources: each through an [`ingest`]
//! and a [`pipeline`], with the [`outbox`] for frames that the log does not have yet, from where [`recovery`] finds that
//! it stopped. [`send`] brings an archive's frames into the log.

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
