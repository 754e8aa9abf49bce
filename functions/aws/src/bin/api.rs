//! The Lambda function `api`. Environment: `BIRDSONG_TABLE`, `RUST_LOG`, and
//! `AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH=true`, so that paths come without the stage's name.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use axum::body::Body;
use birdsong_aws::DynamoStore;
use birdsong_aws::lambda::api::Service;
use birdsong_aws::lambda::{init_logs, now_ms, required};
use lambda_http::{Error, Request, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    init_logs();
    let table = required("BIRDSONG_TABLE", "the DynamoDB table of the windows")?;
    let config = birdsong_aws::sdk_config().await;
    let store = DynamoStore::new(aws_sdk_dynamodb::Client::new(&config), table).eventually_consistent();
    let store = Arc::new(store);
    let service = Service::new(store, Arc::new(now_ms));
    lambda_http::run(service_fn(async |request: Request| {
        // Nothing that is asked has a body.
        let request = request.map(|_| Body::empty());
        service.answer(request).await.map_err(|error| {
            tracing::error!(error = format!("{error:#}"), "a request could not be answered");
            Error::from(format!("{error:#}"))
        })
    }))
    .await
    .map_err(|error| anyhow!("the Lambda runtime ended: {error}"))
}
