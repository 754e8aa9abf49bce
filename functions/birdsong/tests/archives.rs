//! How `birdsong replay` reads files: compressed, cut off, missing, from a pipe, with monstrous lines.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn lines(numbers: std::ops::Range<u64>) -> Vec<u8> {
    let mut out = vec![];
    for n in numbers {
        let id = ((1_700_000_000_000 + n * 1000 - 1_288_834_974_657) << 22) | n;
        writeln!(
            out,
            r#"{{"data":{{"id":"{id}","text":"nothing new","author_id":"{}","lang":"en"}},"matching_rules":[{{"id":"1","tag":"all"}}]}}"#,
            n % 7
        )
        .unwrap();
    }
    out
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn file(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn replay(dir: &Path, files: &[PathBuf], more: &[&str], stdin: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_birdsong"))
        .current_dir(dir)
        .args(["replay", "--memory", "--json", "--everything", "all"])
        .args(more)
        .args(files)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    // A command that ends before it has read everything is no error of this test.
    let _ = pipe.write_all(stdin);
    drop(pipe);
    child.wait_with_output().unwrap()
}

fn posts(output: &Output) -> u64 {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["posts"].as_u64().unwrap()).sum()
}

fn ledger(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines().find_map(|line| serde_json::from_str(line).ok()).unwrap_or_else(|| panic!("no ledger in {text}"))
}

#[test]
fn compressed_files_and_pipes_count_the_same_as_plain_ones() {
    let dir = tempfile::tempdir().unwrap();
    let plain = lines(0..500);
    let (first, second) = (lines(0..200), lines(200..500));
    let members = [gzip(&first), gzip(&second)].concat();
    let frames = [zstd::encode_all(&*first, 1).unwrap(), zstd::encode_all(&*second, 1).unwrap()].concat();
    let reference = replay(dir.path(), &[file(dir.path(), "a.ndjson", &plain)], &[], b"");
    assert_eq!(posts(&reference), 500, "{}", String::from_utf8_lossy(&reference.stderr));
    for (name, bytes) in [("b.gz", gzip(&plain)), ("members.gz", members), ("frames.zst", frames)] {
        let output = replay(dir.path(), &[file(dir.path(), name, &bytes)], &[], b"");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout, reference.stdout, "{name}");
    }
    let output = replay(dir.path(), &["-".into()], &[], &plain);
    assert_eq!(output.stdout, reference.stdout, "stdin");
}

#[test]
fn a_file_that_is_cut_off_is_an_error_and_what_came_before_counts() {
    let dir = tempfile::tempdir().unwrap();
    // Incompressible enough that half of the bytes contain many lines.
    let packed = gzip(&lines(0..20_000));
    let cut = file(dir.path(), "cut.gz", &packed[..packed.len() / 2]);
    let output = replay(dir.path(), &[cut], &[], b"");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(stderr.contains("cut.gz"), "{stderr}");
    let counted = posts(&output);
    assert!((1000..20_000).contains(&counted), "{counted}");
    assert_eq!(ledger(&output)["balanced"], true);
}

#[test]
fn a_missing_file_is_an_error_before_anything_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let there = file(dir.path(), "there.ndjson", &lines(0..10));
    let output = replay(dir.path(), &[there, "absent.ndjson".into()], &[], b"");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(stderr.contains("absent.ndjson"), "{stderr}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_line_longer_than_the_limit_is_quarantined_and_the_next_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = lines(0..3);
    bytes.extend_from_slice(br#"{"data":{"id":"1","text":""#);
    bytes.resize(bytes.len() + (17 << 20), b'a');
    bytes.extend_from_slice(b"\"}}\n");
    bytes.extend_from_slice(&lines(3..5));
    let monster = file(dir.path(), "monster.ndjson", &bytes);
    let output = replay(dir.path(), std::slice::from_ref(&monster), &[], b"");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(posts(&output), 5);
    let ledger = ledger(&output);
    assert_eq!((ledger["received"].as_u64(), ledger["quarantined"].as_u64()), (Some(6), Some(1)), "{ledger}");

    let strict = replay(dir.path(), &[monster], &["--strict"], b"");
    let stderr = String::from_utf8_lossy(&strict.stderr).into_owned();
    assert!(!strict.status.success());
    assert!(stderr.contains("monster.ndjson:4"), "{stderr}");
}

#[test]
fn a_last_line_without_its_newline_counts() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = lines(0..4);
    let open_end = file(dir.path(), "open.ndjson", &bytes[..bytes.len() - 1]);
    assert_eq!(posts(&replay(dir.path(), &[open_end], &[], b"")), 4);
}
