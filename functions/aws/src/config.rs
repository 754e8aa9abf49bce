//! The one configuration of every AWS client here.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};

/// Tries of one call, the first one included. Between them the SDK waits with full jitter, at most
/// 1 s, then 2 s, then 4 s.
const TRIES: u32 = 4;
/// The services are in the same AWS region: if connecting lasts longer than this, the service is unavailable.
const CONNECT: Duration = Duration::from_secs(3);
/// An abandoned try may still have been carried out, and then a frame is in the log
/// twice. So this is far more than a full request of 5 MiB needs.
const TRY: Duration = Duration::from_secs(15);
/// All tries together.
const CALL: Duration = Duration::from_secs(40);

/// Credentials, region and endpoints as the environment has them (`AWS_REGION`, `AWS_PROFILE`,
/// `AWS_ENDPOINT_URL`, the role of a task or function …), with our timeouts and retries: the SDK's
/// standard mode, which repeats whole calls after throttles, timeouts and 5xx.
pub async fn sdk_config() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::standard().with_max_attempts(TRIES))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT)
                .operation_attempt_timeout(TRY)
                .operation_timeout(CALL)
                .build(),
        )
        .load()
        .await
}
