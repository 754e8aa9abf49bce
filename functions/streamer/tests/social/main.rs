//! The real clients of Bluesky and Mastodon against their fake servers, through the pipe into a log,
//! over hours of simulated time: whatever goes wrong, each post is in the log once, in the window in
//! which an undisturbed run has it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bluesky;
mod mastodon;
mod world;
