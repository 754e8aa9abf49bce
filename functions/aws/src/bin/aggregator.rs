//! The Lambda function `aggregator`. Environment: `BIRDSONG_TABLE`, `BIRDSONG_QUARANTINE_BUCKET`,
//! `BIRDSONG_WINDOW_SECS` (300), `BIRDSONG_METRICS` (namespace of the metrics, birdsong), `RUST_LOG`.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use birdsong_aws::lambda::aggregator::Handler;
use birdsong_aws::lambda::{init_logs, now_ms, required};
use birdsong_aws::{Bucket, DynamoStore};
use birdsong_domain::format;
use birdsong_domain::time::WindowSize;
use birdsong_domain::window::FoldRules;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::value::RawValue;
use tokio::sync::OnceCell;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    init_logs();
    let table = required("BIRDSONG_TABLE", "the DynamoDB table of the windows")?;
    let bucket = required("BIRDSONG_QUARANTINE_BUCKET", "the bucket for records that cannot be read")?;
    let size = match std::env::var("BIRDSONG_WINDOW_SECS") {
        Ok(text) => WindowSize::from_secs(text.parse().context("BIRDSONG_WINDOW_SECS is no number of seconds")?)?,
        Err(_) => WindowSize::FIVE_MINUTES,
    };
    let namespace = std::env::var("BIRDSONG_METRICS").unwrap_or_else(|_| "birdsong".into());
    let config = birdsong_aws::sdk_config().await;
    let store = Arc::new(DynamoStore::new(aws_sdk_dynamodb::Client::new(&config), table));
    let quarantine = Bucket::new(&config, bucket);
    let rules = FoldRules { size, ..FoldRules::default() };
    let handler = Handler::new(store.clone(), rules, quarantine);
    let is_claimed = OnceCell::new();
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Box<RawValue>>| {
        // An event for a table of another release comes again, until an operator changes that.
        is_claimed.get_or_try_init(|| format::claim(&*store)).await?;
        let written = store.written_bytes();
        let (answer, mut metrics) = handler.handle(event.payload.get(), now_ms()).await?;
        metrics.item_bytes = store.written_bytes() - written;
        println!("{}", metrics.line(&namespace, now_ms()));
        Ok::<_, Error>(answer)
    }))
    .await
    .map_err(|error| anyhow!("the Lambda runtime ended: {error}"))
}
