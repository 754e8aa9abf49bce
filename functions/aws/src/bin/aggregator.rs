//! The Lambda function `aggregator`.

fn main() {}
