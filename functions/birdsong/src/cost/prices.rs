//! The list prices of AWS in us-east-1, November 2026, and what is free for every account.
//!
//! `from` is the page of AWS that has the price. Prices marked "unconfirmed" are from a single source; compare them with
//! the page before you rely on them.

/// A list price.
#[derive(Debug)]
pub(super) struct Price {
    /// US dollars of `per` units.
    pub(super) dollars: f64,
    pub(super) per: f64,
    /// What is paid for.
    pub(super) unit: &'static str,
    /// Units of a month that are free, in every account and without an end.
    pub(super) free: f64,
    /// The page that has it.
    pub(super) from: &'static str,
}

/// `NAME: dollars, per, unit, free units of a month, page`.
macro_rules! prices {
    ($($name:ident: $dollars:literal, $per:literal, $unit:literal, $free:literal, $from:literal;)+) => {
        $(pub(super) static $name: Price =
            Price { dollars: $dollars, per: $per, unit: $unit, free: $free, from: $from };)+

        /// All of them.
        pub(super) static ALL: &[&Price] = &[$(&$name),+];
    };
}

prices! {
    VCPU_HOUR: 0.03238, 1.0, "vCPU-hour", 0.0, "AWS Fargate pricing, Linux on ARM";
    TASK_GB_HOUR: 0.00356, 1.0, "GB-hour of the task", 0.0, "AWS Fargate pricing, Linux on ARM";
    IPV4_HOUR: 0.005, 1.0, "hour of an IPv4 address", 0.0, "Amazon VPC pricing";
    SECRET: 0.40, 1.0, "secret", 0.0, "AWS Secrets Manager pricing";
    SHARD_HOUR: 0.015, 1.0, "shard-hour", 0.0, "Kinesis Data Streams pricing, provisioned";
    LONGER_SHARD_HOUR: 0.020, 1.0, "shard-hour of more than a day", 0.0, "Kinesis Data Streams pricing, extended retention, unconfirmed";
    LONGER_GB: 0.023, 1.0, "GB-month of more than a week", 0.0, "Kinesis Data Streams pricing, long-term retention";
    PUT_UNITS: 0.014, 1e6, "million PUT units of 25 KB", 0.0, "Kinesis Data Streams pricing, provisioned";
    KMS_CALLS: 0.03, 1e4, "10,000 calls", 20_000.0, "AWS KMS pricing, unconfirmed";
    S3_GB: 0.023, 1.0, "GB-month in S3", 0.0, "Amazon S3 pricing, Standard, unconfirmed";
    S3_PUTS: 0.005, 1e3, "1,000 puts and lists", 0.0, "Amazon S3 pricing, Standard, unconfirmed";
    INVOCATIONS: 0.20, 1e6, "million invocations", 1e6, "AWS Lambda pricing";
    GB_SECONDS: 0.000_013_333_4, 1.0, "GB-second", 400_000.0, "AWS Lambda pricing, ARM";
    SCHEDULED: 1.00, 1e6, "million runs", 14e6, "Amazon EventBridge pricing, Scheduler, unconfirmed";
    WRITE_UNITS: 0.625, 1e6, "million write units of 1 KB", 0.0, "Amazon DynamoDB pricing, on demand";
    READ_UNITS: 0.125, 1e6, "million read units of 4 KB", 0.0, "Amazon DynamoDB pricing, on demand";
    API_REQUESTS: 3.50, 1e6, "million requests", 0.0, "Amazon API Gateway pricing, REST";
    TRACES: 5.00, 1e6, "million traces", 100_000.0, "AWS X-Ray pricing, unconfirmed";
    CDN_REQUESTS: 0.01, 1e4, "10,000 requests", 10e6, "Amazon CloudFront pricing, HTTPS, North America and Europe";
    CDN_GB: 0.085, 1.0, "GB", 1000.0, "Amazon CloudFront pricing, North America and Europe";
    METRIC: 0.30, 1.0, "metric", 10.0, "Amazon CloudWatch pricing";
    ALARM: 0.10, 1.0, "metric of an alarm", 10.0, "Amazon CloudWatch pricing";
    COMPOSITE_ALARM: 0.50, 1.0, "composite alarm", 0.0, "Amazon CloudWatch pricing, unconfirmed";
    DASHBOARD: 3.00, 1.0, "dashboard", 0.0, "Amazon CloudWatch pricing; the free ones have at most 50 metrics";
    LOGS_GB: 0.50, 1.0, "GB of logs", 5.0, "Amazon CloudWatch pricing";
    STORED_LOGS_GB: 0.03, 1.0, "GB-month of stored logs", 5.0, "Amazon CloudWatch pricing";
}
