//! Rule 3.5. Hours of trouble in simulated time: sources, servers and the log fail, streamers crash and start
//! again. At the end each post is in the log once, the ledger balances, and the windows made of the
//! log are those of an undisturbed run.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bluesky;
mod mastodon;
mod pipe;
mod together;
mod windows;
mod world;
mod x;
