//! Rule 2.1. The contract suites of the ports, the very ones that SQLite keeps.

use birdsong_testkit::{document_store_contract, post_log_contract, rollup_store_contract, window_store_contract};

use crate::emulators;

#[tokio::test]
async fn a_stream_of_one_shard_keeps_the_contract() {
    post_log_contract(async || emulators::log(1).await).await;
}

#[tokio::test]
async fn a_stream_of_three_shards_keeps_the_contract() {
    post_log_contract(async || emulators::log(3).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_table_keeps_the_contract() {
    window_store_contract(async || emulators::store().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_rollups_in_a_table_keep_the_contract() {
    rollup_store_contract(async || emulators::store().await.with_settle_ms(0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_documents_in_a_table_keep_the_contract() {
    document_store_contract(async || emulators::store().await).await;
}
