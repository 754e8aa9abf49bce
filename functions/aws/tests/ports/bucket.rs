//! The bucket that the regions of a task are in, served by a list of objects.

use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use birdsong_aws::Bucket;

use crate::bootstrap::serve;
use crate::emulators::plain_http;

/// A bucket of one object.
async fn bucket() -> Bucket {
    let object = async |Path((bucket, key)): Path<(String, String)>| match (bucket.as_str(), key.as_str()) {
        ("birds", "regions.toml") => "[[region]]".into_response(),
        _ => (StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code></Error>").into_response(),
    };
    let address = serve(Router::new().route("/{bucket}/{*key}", get(object))).await;
    let config = aws_config::SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .endpoint_url(format!("http://{address}"))
        .region(aws_config::Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "test")))
        .http_client(plain_http())
        .build();
    Bucket::new(&config, "birds".into())
}

#[tokio::test]
async fn an_object_is_read_whole() {
    assert_eq!(bucket().await.get("regions.toml", 10).await.unwrap(), b"[[region]]");
}

#[tokio::test]
async fn an_object_that_is_too_large_is_not_cut() {
    let error = bucket().await.get("regions.toml", 9).await.unwrap_err().to_string();
    assert!(error.contains("regions.toml has more than 9 bytes"), "{error}");
}

#[tokio::test]
async fn a_missing_object_is_an_error() {
    let error = bucket().await.get("other.toml", 10).await.unwrap_err().to_string();
    assert!(error.contains("NoSuchKey"), "{error}");
}
