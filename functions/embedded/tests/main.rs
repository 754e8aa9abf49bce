//! The tests of the adapters of one machine, in one program.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod contract;
mod files;
mod memory_log;
