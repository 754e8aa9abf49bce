//! The tests of the digest, in one program: several would each compile it for the store in memory.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod events;
mod overview;
mod read;
mod rollups;
mod story;
