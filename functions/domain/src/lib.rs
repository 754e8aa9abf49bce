//! The rules of Birdsong, pure: what a post is, which regions it belongs to, how posts travel in
//! frames, and how frames fold into windows.
//!
//! Nothing here knows AWS, HTTP, an async runtime or a clock: time and randomness are passed in
//! (rule 5.1 of `docs/INVARIANTS.md`).
//!
//! ```
//! use birdsong_domain::frame::{self, FrameHeader, Lane};
//! use birdsong_domain::network::Network;
//! use birdsong_domain::post::{PostId, SourcePost};
//! use birdsong_domain::region::Regions;
//! use birdsong_domain::window::{Aggregate, FoldRules, touched};
//!
//! let regions = Regions::parse("regions.toml", "[[region]]\nid = \"fog\"\nkeywords = [\"fog\"]\n")?;
//! let time_ms = 1_700_000_000_000;
//! let post = SourcePost { id: PostId(1), time_ms, text: "Fog on the bay".into(), ..SourcePost::default() };
//! let mut matches = vec![];
//! regions.matching(&post, &mut matches);
//! let (region, located) = matches[0];
//!
//! // A streamer writes the post into a frame of the region's lane.
//! let mut lines = vec![];
//! frame::put_line(&mut lines, &post, located, false);
//! let lane = Lane::posts(&regions.list()[region].id, Network::X, 0);
//! let header = FrameHeader { lane, run: "run".into(), counter: 1, cut_ms: time_ms + 500, ..FrameHeader::default() };
//! let record = frame::encode(&header, &lines)?;
//!
//! // An aggregator folds the frame into its window; a frame that is in the log twice counts once.
//! let (frame, rules) = (frame::decode(&record)?, FoldRules::default());
//! let window = touched(rules, &frame)[0];
//! let mut aggregate = Aggregate::default();
//! aggregate.fold(rules, window, &frame);
//! aggregate.fold(rules, window, &frame);
//! assert_eq!((window, aggregate.posts()), (rules.size.start_of(time_ms), 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod alert;
mod compression;
pub mod crowd;
pub mod event;
pub mod format;
pub mod frame;
pub mod hashtag;
pub mod lane;
pub mod language;
pub mod metrics;
pub mod network;
pub mod ports;
pub mod post;
pub mod printable;
pub mod profile;
pub mod reference;
pub mod region;
pub mod revision;
pub mod rollup;
pub mod sealed;
pub mod series;
pub mod status;
pub mod time;
pub mod topk;
pub mod trend;
pub mod uniques;
pub mod window;
pub mod wire;
