//! The tests of the real binary, in one program: twelve would each be linked with all of the sources' fake servers.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod archive;
mod archives;
mod backup;
mod binary;
mod chaos;
mod damage;
mod export;
mod killed;
mod live;
mod metrics;
mod names;
mod pipe;
mod support;
