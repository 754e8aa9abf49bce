//! The tests of the sources, in one program: nine would each compile the clients and their fake servers.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bluesky;
mod golden;
mod http;
mod kept;
mod mastodon;
mod rss;
mod shown;
mod x;
mod x_counts;
mod x_fields;
mod x_stream;
