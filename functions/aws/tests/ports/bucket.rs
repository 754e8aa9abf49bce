//! The bucket that the regions of a task are in, served by a list of objects.

use std::collections::HashMap;

use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use axum::Router;
use axum::extract::{Path, Query};
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
    // The list is in pages of one object.
    let page = async |Query(query): Query<HashMap<String, String>>| {
        let after = query.get("start-after").map_or("", String::as_str);
        let keys = ["a/1.json", "a/2.json"].into_iter().filter(|key| *key > after).take(1);
        let contents = keys.map(|key| {
            format!("<Contents><Key>{key}</Key><LastModified>2026-11-27T10:00:00.000Z</LastModified></Contents>")
        });
        format!("<ListBucketResult>{}</ListBucketResult>", contents.collect::<String>())
    };
    let removed = async |Path(_): Path<(String, String)>| StatusCode::NO_CONTENT;
    let routes = Router::new().route("/{bucket}/{*key}", get(object).delete(removed)).route("/{bucket}", get(page));
    let address = serve(routes.clone().route("/{bucket}/", get(page))).await;
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
    assert!(error.contains("there is no other.toml"), "{error}");
}

#[tokio::test]
async fn objects_are_listed_behind_one_another_and_removed() {
    let bucket = bucket().await;
    let first = bucket.list("a/", None).await.unwrap();
    assert_eq!((&*first[0].key, first[0].put_ms), ("a/1.json", 1_795_773_600_000));
    let second = bucket.list("a/", Some("a/1.json")).await.unwrap();
    assert_eq!(second[0].key, "a/2.json");
    assert!(bucket.list("a/", Some("a/2.json")).await.unwrap().is_empty());
    bucket.remove("a/1.json").await.unwrap();
}
