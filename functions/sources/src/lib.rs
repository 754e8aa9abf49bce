//! Foreign formats and live streams, read into posts.

pub mod archive;
pub mod bluesky;
pub mod demo;
pub mod http;
pub mod live;
pub mod mastodon;
pub mod x;
