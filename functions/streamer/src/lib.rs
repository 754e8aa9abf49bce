//! Posts to frames: which regions take a post, has it been sent before, when is a frame cut.
//!
//! [`prepare`] is the costly half and works on any thread: it matches regions and writes the slim
//! lines. [`cutter`] is the ordered half: it drops duplicates, gathers lanes and keeps the ledger.
//! Neither reads a clock; both are told the time. [`live`] runs a source through them, with the
//! [`outbox`] for frames that the log does not have yet; [`send`] brings an archive's frames into the
//! log.

mod clock;
pub mod cutter;
pub mod durable;
pub mod live;
pub mod originals;
pub mod outbox;
pub mod prepare;
pub mod quarantine;
mod recent;
pub mod send;
pub mod sent;
mod unheard;
