//! Foreign formats and live streams, read into posts.
//!
//! A live source is a folder with its client, its messages and its fake server, and one line in
//! [`KINDS`](source::KINDS). [`archive`] reads files of posts.
//!
//! ```
//! use std::sync::Arc;
//!
//! use birdsong_domain::post::InstallationKey;
//! use birdsong_domain::region::Regions;
//! use birdsong_sources::address::Address;
//! use birdsong_sources::source::Context;
//!
//! let context = Context {
//!     regions: Arc::new(Regions::everything("all")),
//!     key: InstallationKey([7; 16]),
//!     clock: Arc::new(|| 1_700_000_000_000),
//!     jitter: || 0.5,
//!     dir: ".birdsong".into(),
//!     secrets: Arc::new(|_name| Ok(None)),
//! };
//! let address: Address = "demo:?seed=7&backfill=2h".parse()?;
//! let source = address.open(&context)?;
//! assert_eq!((source.name().as_str(), source.network().as_str()), ("demo", "demo"));
//!
//! let wrong = "demo:?sead=7".parse::<Address>().unwrap_err();
//! assert!(wrong.to_string().contains("seed"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod address;
pub mod archive;
pub mod backoff;
pub mod bluesky;
pub mod demo;
pub mod dice;
#[cfg(feature = "fake")]
pub mod fake;
mod html;
pub mod http;
pub mod intake;
mod json;
pub mod length;
pub mod lines;
pub mod mastodon;
pub mod rss;
pub mod session;
pub mod source;
mod sse;
pub mod x;
