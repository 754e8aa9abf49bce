//! A reader that closes the pipe after a line, as `| head -1` does.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

/// Enough windows that their table does not fit into a pipe.
fn corpus(dir: &std::path::Path) {
    let mut file = std::fs::File::create(dir.join("posts.jsonl")).unwrap();
    for n in 0..2000u64 {
        let id = (1_700_000_000_000 + n * 300_000 - 1_288_834_974_657) << 22;
        writeln!(file, r#"{{"data":{{"id":"{id}","text":"x","author_id":"{n}"}}}}"#).unwrap();
    }
}

#[test]
fn a_reader_that_closes_the_pipe_is_no_crash() {
    let dir = tempfile::tempdir().unwrap();
    corpus(dir.path());
    let regions = concat!(env!("CARGO_MANIFEST_DIR"), "/../../regions.toml");
    for args in [
        &["replay", "--memory", "--everything", "all", "posts.jsonl"][..],
        &["replay", "--memory", "--json", "--everything", "all", "posts.jsonl"],
        &["rules", "show", "--regions", regions],
        &["regions", "check", regions],
        &["replay", "--help"],
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_birdsong"))
            .current_dir(dir.path())
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let status = child.wait().unwrap();
        assert!(status.success(), "{args:?}: {status}: {said}");
        assert!(!said.contains("panicked"), "{args:?}: {said}");
    }
}

#[test]
fn closed_outputs_do_not_change_what_is_counted_or_the_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    corpus(dir.path());
    std::fs::write(dir.path().join("no.jsonl"), "not JSON\n").unwrap();
    for (file, is_well) in [("posts.jsonl", true), ("no.jsonl", false)] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_birdsong"))
            .current_dir(dir.path())
            .args(["replay", "--memory", "--everything", "all", file])
            .env("BIRDSONG_LOG", "debug")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        assert_eq!(child.wait().unwrap().code(), Some(i32::from(!is_well)), "{file}");
    }
}
