//! The rules of Birdsong, pure: what a post is, which regions it belongs to, how posts travel in
//! frames, and how frames fold into windows.
//!
//! Nothing here knows AWS, HTTP, an async runtime or a clock: time and randomness are passed in
//! (rule 5 of `docs/INVARIANTS.md`).

pub mod format;
pub mod frame;
pub mod hashtag;
pub mod lane;
pub mod language;
pub mod network;
pub mod ports;
pub mod post;
pub mod printable;
pub mod region;
pub mod status;
pub mod time;
pub mod topk;
pub mod uniques;
mod unzstd;
pub mod window;
pub mod wire;
