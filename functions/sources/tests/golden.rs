//! Rule 4.1. Golden cases of each archive format: one file per case, with the line and what it must become.

use birdsong_domain::post::InstallationKey;
use birdsong_sources::archive::{Line, read_line};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::shown;

const KEY: InstallationKey = InstallationKey([1; 16]);

/// A short form of all that came of a line.
fn read(line: &[u8]) -> Value {
    let mut posts = vec![];
    let result = read_line(line, &KEY, &mut |post| {
        posts.push(match post {
            Ok(post) => shown::post(&post),
            Err(error) => json!({"error": error.to_string()}),
        });
    });
    match result {
        Ok(Line::Blank) => json!("blank"),
        Ok(Line::Notice(notice)) => json!({"notice": notice}),
        Ok(Line::Withheld(total)) => json!({"withheld": total}),
        Ok(Line::Posts) => json!(posts),
        Err(error) => json!({"error": error.to_string()}),
    }
}

#[test]
fn every_golden_line_becomes_what_its_file_expects() {
    shown::check("archive", |case| read(shown::given(case, "line").as_bytes()));
}

#[test]
fn odd_lines_are_reported_and_never_panic() {
    let deep = format!("{{\"data\":{}", "[".repeat(200_000));
    let nested = format!("{{\"id\":\"1\",\"text\":{}1{}}}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    for line in [
        &b"\xff\xfe\x00"[..],
        b"{\"data\":{\"id\":\"1725000000000000000\",\"text\":\"\xff\"}}",
        b"{\"data\":{\"id\":\"172500000000000",
        // Found by fuzzing: a page's parts were handed on as text before the line was known to be UTF-8.
        b"{ \"data\":[ \"\xff\xff\" , {}]}",
        b"{\"data\":{\"id\":\"1725000000000000000\"},\"includes\":{\"users\":[\"\xff\"]}}",
        b"[]",
        b"null",
        b"{}",
        b"{\"data\":5}",
        b"{\"data\":{\"id\":-1}}",
        b"{\"data\":{\"id\":\"1\",\"id\":\"2\"}}",
        b"{\"data\":{\"id\":\"1725000000000000000\",\"lang\":7}}",
        deep.as_bytes(),
        nested.as_bytes(),
    ] {
        let found = read(line);
        let is_reported = found.get("error").is_some() || found[0].get("error").is_some();
        assert!(is_reported, "{found} for {:?}", String::from_utf8_lossy(&line[..line.len().min(60)]));
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, cut in 0usize..200, at in 0usize..200, byte: u8) {
        read(&bytes);
        let mut line = br#"{"data":{"id":"1725000000000000000","text":"a \u00e9","entities":{"hashtags":[{"tag":"x"}]},"geo":{"coordinates":{"coordinates":[1.5,2.5]}},"referenced_tweets":[{"type":"retweeted","id":"1"}]},"includes":{"tweets":[{"id":"1"}]}}"#.to_vec();
        line[at] = byte;
        read(&line);
        read(&line[..cut]);
    }
}
