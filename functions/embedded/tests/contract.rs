//! Rule 2.1. Every adapter of one machine through the contract suites of the ports.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use birdsong_embedded::{MemoryLog, MemoryWindows, SqliteLog, SqliteStore};
use birdsong_testkit::{
    MemoryStore, document_store_contract, post_log_contract, rollup_store_contract, window_store_contract,
};

/// A fresh directory at each call, which does not exist yet.
fn fresh_dirs() -> (tempfile::TempDir, impl Fn() -> PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().to_owned();
    let count = AtomicUsize::new(0);
    (root, move || path.join(format!("new/{}", count.fetch_add(1, Ordering::Relaxed))))
}

#[tokio::test]
async fn the_log_in_a_file_keeps_the_contract() {
    let (_root, dir) = fresh_dirs();
    post_log_contract(async || SqliteLog::open(&dir()).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_log_in_memory_keeps_the_contract() {
    post_log_contract(async || MemoryLog::new(64 << 20)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_in_a_file_keeps_the_contract() {
    let (_root, dir) = fresh_dirs();
    window_store_contract(async || SqliteStore::open(&dir()).unwrap()).await;
}

#[tokio::test]
async fn the_rollups_in_a_file_keep_the_contract() {
    let (_root, dir) = fresh_dirs();
    rollup_store_contract(async || SqliteStore::open(&dir()).unwrap()).await;
}

#[tokio::test]
async fn the_documents_in_a_file_keep_the_contract() {
    let (_root, dir) = fresh_dirs();
    document_store_contract(async || SqliteStore::open(&dir()).unwrap()).await;
}

#[tokio::test]
async fn the_store_in_a_file_keeps_the_contract_on_one_thread() {
    let (_root, dir) = fresh_dirs();
    window_store_contract(async || SqliteStore::open(&dir()).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_in_memory_keeps_the_contract() {
    window_store_contract(async || MemoryWindows::default()).await;
    // Nearly all of them in the temporary file.
    window_store_contract(async || MemoryWindows::with_warm(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_fake_store_keeps_the_contract() {
    window_store_contract(async || MemoryStore::default()).await;
    rollup_store_contract(async || MemoryStore::default()).await;
    document_store_contract(async || MemoryStore::default()).await;
}
