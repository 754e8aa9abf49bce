//! The Lambda function `digest`, invoked each minute. Environment: `BIRDSONG_TABLE`, `BIRDSONG_METRICS` (namespace of the
//! metrics, birdsong), `RUST_LOG`, and for alerts `BIRDSONG_PUBLIC_URL` (address of the dashboard), `BIRDSONG_ALERT_TOPIC`
//! (ARN of an SNS topic), and the variables that alerts name, or `BIRDSONG_SECRET_ARNS` with their secrets.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, anyhow};
use birdsong_alerts::Channels;
use birdsong_aws::lambda::digest::{Handler, metrics_line};
use birdsong_aws::lambda::{init_logs, now_ms, required};
use birdsong_aws::{DynamoStore, Secrets, Topic};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use tokio::sync::Mutex;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    init_logs();
    let table = required("BIRDSONG_TABLE", "the DynamoDB table of the windows")?;
    let namespace = std::env::var("BIRDSONG_METRICS").unwrap_or_else(|_| "birdsong".into());
    let config = birdsong_aws::sdk_config().await;
    let store = Arc::new(DynamoStore::new(aws_sdk_dynamodb::Client::new(&config), table));
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let secrets = match variable("BIRDSONG_SECRET_ARNS") {
        Some(arns) => Secrets::read(&config, &arns).await?,
        None => Secrets::default(),
    };
    let mut channels = Channels::new(move |name| secrets.variable(name))?;
    if let Some(arn) = variable("BIRDSONG_ALERT_TOPIC") {
        channels = channels.with_topic(Arc::new(Topic::new(&config, arn)));
    }
    let public_url = variable("BIRDSONG_PUBLIC_URL").unwrap_or_default();
    let handler = Mutex::new(Handler::new(store).with_alerts(channels, public_url));
    // Whatever the schedule sends.
    lambda_runtime::run(service_fn(async |_: LambdaEvent<Value>| {
        let started = Instant::now();
        let outcome = handler.lock().await.handle(now_ms()).await.map_err(|error| Error::from(format!("{error:#}")))?;
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let line = metrics_line(outcome, duration_ms, &namespace, now_ms());
        println!("{line}");
        Ok::<_, Error>(line)
    }))
    .await
    .map_err(|error| anyhow!("the Lambda runtime ended: {error}"))
}
