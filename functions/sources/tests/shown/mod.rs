//! Golden cases: one file each, with what came and what it must become.

use std::path::{Path, PathBuf};

use birdsong_domain::post::SourcePost;
use serde_json::{Value, json};

/// All that a post holds and golden files may ask for.
pub(crate) fn post(post: &SourcePost<'_>) -> Value {
    json!({
        "id": post.id.0.to_string(),
        "time_ms": post.time_ms,
        "kind": post.kind,
        "lang": post.lang,
        "hashtags": post.hashtags,
        "long_hashtags": post.long_hashtags,
        "mentions": post.mentions,
        "hosts": post.hosts,
        "text": post.text,
        "point": post.point.map(|p| [p.lon, p.lat]),
        "place": post.place.map(|p| [p.west, p.south, p.east, p.north]),
        "rule_tags": post.rule_tags,
        "has_media": post.has_media,
    })
}

/// The files of a folder beside the tests, in order.
pub(crate) fn cases(folder: &str) -> Vec<(PathBuf, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |file: PathBuf| {
        let case = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        (file, case)
    };
    files.into_iter().map(read).collect()
}

/// What came: JSON under this key, or, when it is none, text.
pub(crate) fn given(case: &Value, key: &str) -> String {
    case["text"].as_str().map_or_else(|| case[key].to_string(), str::to_owned)
}

/// Of one post, files name only the fields that their case is about.
pub(crate) fn keep_named(found: &mut Value, expect: &Value) {
    if let (Some(found), Some(expect)) = (found.as_object_mut(), expect.as_object()) {
        found.retain(|field, _| expect.contains_key(field));
    }
}

/// Checks the cases of a folder, of which each gives a post, an error or some other word. Files name only
/// the begin of an error.
#[allow(dead_code, reason = "a line of an archive gives several")]
pub(crate) fn check_events(folder: &str, least: usize, read: impl Fn(&Value) -> Value) {
    let cases = cases(folder);
    assert!(cases.len() >= least, "{} cases", cases.len());
    for (file, case) in cases {
        let (mut found, expect) = (read(&case), &case["expect"]);
        if let (Some(found), Some(expect)) = (found.get_mut("post"), expect.get("post")) {
            keep_named(found, expect);
        }
        if let (Some(error), Some(begin)) = (found["error"].as_str(), expect["error"].as_str())
            && error.starts_with(begin)
        {
            continue;
        }
        assert_eq!(&found, expect, "{}", file.display());
    }
}
