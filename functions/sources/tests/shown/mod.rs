//! Golden cases: one file each, with what came and what it must become.

use std::path::{Path, PathBuf};

use birdsong_domain::post::SourcePost;
use serde_json::{Value, json};

/// All that a post holds.
pub(crate) fn post(post: &SourcePost<'_>) -> Value {
    json!({
        "id": post.id.0.to_string(),
        "time_ms": post.time_ms,
        "author": post.author.map(|author| author.to_string()),
        "repost_of": post.repost_of.map(|original| original.0.to_string()),
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

/// The golden files of a source, in order.
fn cases(source: &str) -> Vec<(PathBuf, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(source).join("golden");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |file: PathBuf| {
        let case = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        (file, case)
    };
    files.into_iter().map(read).collect()
}

/// The input of a case: JSON under this key, or, when it is not JSON, text.
pub(crate) fn given(case: &Value, key: &str) -> String {
    case["text"].as_str().map_or_else(|| case[key].to_string(), str::to_owned)
}

/// Checks the cases of a source: all of what `read` returns for a case must be as its file says.
/// `UPDATE_GOLDEN=1` writes what differs into the files instead; read the difference before you commit it.
pub(crate) fn check(source: &str, read: impl Fn(&Value) -> Value) {
    let is_update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let cases = cases(source);
    assert!(!cases.is_empty());
    for (file, case) in cases {
        let (found, expect) = (read(&case), &case["expect"]);
        if is_update && found != *expect {
            update(&file, &found);
        } else {
            assert_eq!(&found, expect, "{}: UPDATE_GOLDEN=1 writes what is found", file.display());
        }
    }
}

/// Replaces the last field of a file, what is expected, and nothing else.
fn update(file: &Path, found: &Value) {
    let text = std::fs::read_to_string(file).unwrap();
    let (input, _) = text.rsplit_once("\n  \"expect\": ").unwrap();
    let expect = serde_json::to_string_pretty(found).unwrap().replace('\n', "\n  ");
    std::fs::write(file, format!("{input}\n  \"expect\": {expect}\n}}\n")).unwrap();
}
