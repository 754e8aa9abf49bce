//! Foreign formats and live streams, read into posts.
