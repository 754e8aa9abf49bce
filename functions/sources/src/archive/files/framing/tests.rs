//! Any values, joined and cut in any way, come out the same.

use proptest::prelude::*;
use serde_json::Value;

use super::buffer::newlines;
use super::*;
use crate::archive::MAX_LINE_BYTES;

/// Gives pieces of changing size.
struct Pieces<'a> {
    bytes: &'a [u8],
    sizes: std::iter::Cycle<std::iter::Copied<std::slice::Iter<'a, usize>>>,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.sizes.next().unwrap_or(1).min(buffer.len()).min(self.bytes.len());
        buffer[..n].copy_from_slice(&self.bytes[..n]);
        self.bytes = &self.bytes[n..];
        Ok(n)
    }
}

/// Each value as its line and text, with lines of several values split as the reader of lines does.
fn cut(bytes: &[u8], sizes: &[usize], chunk_bytes: usize, is_stream: bool) -> Vec<(u64, String)> {
    let reader = Pieces { bytes, sizes: sizes.iter().copied().cycle() };
    let mut framer = Framer::new(reader, chunk_bytes, is_stream);
    let mut all = vec![];
    while let Some(piece) = framer.next_piece() {
        let chunk = super::super::Chunk {
            file: "".into(),
            read_bytes: 0,
            bytes: piece.bytes,
            first_line: piece.first_line,
            spans: piece.spans,
        };
        for (line, value) in chunk.values().filter(|(_, value)| !value.trim_ascii().is_empty()) {
            let is_json = serde_json::from_slice::<Value>(value).is_ok();
            let values = if is_json { None } else { super::super::values(value) };
            for value in values.unwrap_or_else(|| vec![value]) {
                all.push((line, String::from_utf8_lossy(value).trim().to_owned()));
            }
        }
    }
    assert!(framer.into_failure().is_none());
    all
}

fn at_once(text: &str) -> Vec<(u64, String)> {
    let all = cut(text.as_bytes(), &[usize::MAX], 1 << 20, false);
    for (chunk_bytes, is_stream) in [(1, false), (7, true), (64, false)] {
        for sizes in [&[1][..], &[3, 1, 17], &[1 << 20]] {
            assert_eq!(cut(text.as_bytes(), sizes, chunk_bytes, is_stream), all, "{text}");
        }
    }
    all
}

fn lines(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    expected.iter().map(|(line, text)| (*line, (*text).to_owned())).collect()
}

#[test]
fn a_broken_line_costs_that_line_only() {
    for (text, expected) in [
        ("{\"a\"\nsome\nwords\n{\"b\":2}\n", &[(1, "{\"a\""), (2, "some"), (3, "words"), (4, "{\"b\":2}")][..]),
        (" {\"a\":\n {\"b\":2}\n {\"c\":3}\n", &[(1, "{\"a\":"), (2, "{\"b\":2}"), (3, "{\"c\":3}")]),
        ("{\"a\":1,\n{\"b\":2}\n", &[(1, "{\"a\":1,"), (2, "{\"b\":2}")][..]),
        ("{\"a\":\n{\"b\":{}}\n{\"c\":3}\n", &[(1, "{\"a\":"), (2, "{\"b\":{}}"), (3, "{\"c\":3}")]),
        ("{\"a\":\"te\n\n{\"b\":2}\n", &[(1, "{\"a\":\"te"), (3, "{\"b\":2}")]),
        ("{\"a\":{\"b\":1}\n{\"c\":2}\n{\"d\":3}", &[(1, "{\"a\":{\"b\":1}"), (2, "{\"c\":2}"), (3, "{\"d\":3}")]),
        ("{\"a\":1}\n{\"b\":", &[(1, "{\"a\":1}"), (2, "{\"b\":")]),
        ("{no\nnor this\n{\"b\":2}\nnor [that]\n", &[(1, "{no"), (2, "nor this"), (3, "{\"b\":2}"), (4, "nor [that]")]),
        ("[INFO] a\n{\"b\":2}\n", &[(1, "[INFO] a"), (2, "{\"b\":2}")]),
        ("{\"a\":1}}\n{\"b\":2}\n", &[(1, "{\"a\":1}"), (1, "}"), (2, "{\"b\":2}")]),
    ] {
        assert_eq!(at_once(text), lines(expected), "{text}");
    }
}

#[test]
fn a_broken_element_costs_that_element_only() {
    let text = r#"[{"a":1},{"b":,},{"c":3}]"#;
    assert_eq!(at_once(text), lines(&[(1, r#"{"a":1}"#), (1, r#"{"b":,}"#), (1, r#"{"c":3}"#)]));
    let text = "[\n  {\n    \"a\": 1,,\n    \"x\": {}\n  },\n  {\n    \"b\": 2\n  }\n]\n";
    let all = at_once(text);
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!((all[0].0, all[1].0), (2, 6), "{all:?}");
    let text = "[\n  {\n    \"a\": [\n  },\n  {\n    \"b\": 2\n  }\n]\n";
    let all: Vec<_> = at_once(text).into_iter().map(|(line, _)| line).collect();
    assert_eq!(all, [2, 5]);
}

#[test]
fn a_value_may_continue_behind_a_line_that_looks_whole() {
    let text = "{\"a\":{\"b\":1}\n,\"c\":2}\n{\"d\":{}\n}\n";
    assert_eq!(at_once(text), lines(&[(1, "{\"a\":{\"b\":1}\n,\"c\":2}"), (3, "{\"d\":{}\n}")]));
}

#[test]
fn marks_separators_assignments_and_zeros_are_no_values() {
    let text =
        "\u{feff}{\"a\":1}\n\u{feff}{\"b\":2}\n\u{1e}{\"c\":3}\n\u{1e}{\"d\":4}\u{1e}{\"e\":5}\u{feff}{\"f\":6}\n\0\0";
    let all: Vec<_> = at_once(text).into_iter().map(|(line, _)| line).collect();
    assert_eq!(all, [1, 2, 3, 4, 4, 4]);
    for begin in ["window.YTD.tweets.part0 = [", "Grailbird.data.tweets_2014_01 =\n [", "var x=[", "\n\nlet a = [\n"] {
        let text = format!("{begin}{{\"a\":1}},\n{{\"b\":2}}];\n");
        let all: Vec<_> = at_once(&text).into_iter().map(|(_, text)| text).collect();
        assert_eq!(all, ["{\"a\":1}", "{\"b\":2}"], "{begin}");
    }
}

#[test]
fn a_value_that_is_too_long_is_one_and_the_next_is_right() {
    let long = "x".repeat(MAX_LINE_BYTES + 100_000);
    for (text, line, next) in [
        (format!("{{\"a\":1}}\n{{\"t\":\"{long}\"}}\n{{\"b\":2}}\n"), 2, 3),
        (format!("[{{\"a\":1}},\n{{\"t\":\n\"{long}\",\n\"u\":[]}},\n{{\"b\":2}}]\n"), 2, 5),
        (format!("{{\"a\":1}}\n{{\"t\":\"{long}\n{{\"b\":2}}\n"), 2, 3),
        (format!("{{\"a\":1}}\n{long}\n{{\"b\":2}}\n"), 2, 3),
    ] {
        for (sizes, chunk_bytes, is_stream) in [(1 << 30, 1 << 19, false), (65_536, 1 << 13, true)] {
            let all = cut(text.as_bytes(), &[sizes], chunk_bytes, is_stream);
            let begins: Vec<_> = all.iter().map(|(line, text)| (*line, text.len() > MAX_LINE_BYTES)).collect();
            assert_eq!(begins, [(1, false), (line, true), (next, false)], "{}", &text[..40]);
            assert!(all[1].1.len() <= MAX_LINE_BYTES + 1);
        }
    }
}

#[test]
fn a_long_array_is_read_in_pieces() {
    let text = format!("[{}]", vec![r#"{"id":"1","text":"]},{["}"#; 10_000].join(","));
    let mut framer = Framer::new(text.as_bytes(), 4096, false);
    let mut count = 0;
    while let Some(piece) = framer.next_piece() {
        assert!(piece.bytes.len() < 64 << 10);
        count += piece.spans.unwrap().len();
    }
    assert_eq!(count, 10_000);
    assert!(!framer.ends_in_array());
    let mut framer = Framer::new(&text.as_bytes()[..text.len() - 1], 4096, false);
    while framer.next_piece().is_some() {}
    assert!(framer.ends_in_array());
}

fn objects() -> impl Strategy<Value = Vec<Value>> {
    let text =
        proptest::string::string_regex("[\"\\\\{}\\[\\],:a\u{e9}\u{1f600}\n\t\u{1e} \u{feff}]{0,8}").unwrap().boxed();
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(text.clone(), inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    });
    let object = proptest::collection::hash_map("[a-c]", value, 0..4).prop_map(|map| map.into_iter().collect());
    proptest::collection::vec(object, 1..12)
}

/// One way to write objects; each has its first line.
fn joined(objects: &[Value], way: usize) -> (String, Vec<u64>) {
    // (before all, before each but the first, between, behind all, pretty)
    let (begin, between, end, is_pretty) = [
        ("", "\n", "\n", false),
        ("\u{feff}", "\r\n", "", false),
        ("", "", "", false),
        ("", " ", "\n", false),
        ("[", ",", "]", false),
        ("[\n", ",\n", "\n]\n", false),
        ("[", "\n,", "\n]", false),
        ("[[", ",", "]]", false),
        ("[", "]\n[", "]\n", false),
        ("[", "],[", "]", false),
        ("[\n[", "],\n[", "]\n]", false),
        ("", "\n", "\n", true),
        ("", "", "", true),
        ("[\n", ",\n", "\n]", true),
        ("\u{1e}", "\n\u{1e}", "\n", false),
        ("\u{1e}", "\n\u{1e}", "\n", true),
        ("window.YTD.tweets.part0 = [ ", ", ", " ]", true),
        ("\n\n", "\n\n\u{feff}", "\n\n", false),
        ("", ",\n", "\n", false),
        ("[", ",", "", false),
    ][way];
    let (mut text, mut lines) = (begin.to_owned(), vec![]);
    for (n, object) in objects.iter().enumerate() {
        text.push_str(if n > 0 { between } else { "" });
        lines.push(1 + newlines(text.as_bytes()));
        text.push_str(&if is_pretty { serde_json::to_string_pretty(object).unwrap() } else { object.to_string() });
    }
    text.push_str(end);
    (text, lines)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn any_values_joined_in_any_way_and_cut_anywhere_come_out_the_same(
        objects in objects(),
        way in 0..20usize,
        sizes in proptest::collection::vec(1..40usize, 1..6),
        chunk_bytes in 1..200usize,
        is_stream in any::<bool>(),
    ) {
        let (text, lines) = joined(&objects, way);
        let all = cut(text.as_bytes(), &sizes, chunk_bytes, is_stream);
        let values: Vec<Value> = all.iter().map(|(_, text)| serde_json::from_str(text).unwrap_or(Value::from("?"))).collect();
        prop_assert_eq!(&values, &objects, "{}", text);
        let begins: Vec<_> = all.iter().map(|(line, _)| *line).collect();
        prop_assert_eq!(begins, lines, "{}", text);
    }

    #[test]
    fn a_line_that_is_cut_anywhere_costs_that_line_only(
        objects in objects(),
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        sizes in proptest::collection::vec(1..40usize, 1..6),
        chunk_bytes in 1..200usize,
        is_stream in any::<bool>(),
    ) {
        let mut lines: Vec<String> = objects.iter().map(Value::to_string).collect();
        let which = which.index(lines.len());
        let mut end = 1 + at.index(lines[which].len() - 1);
        while !lines[which].is_char_boundary(end) {
            end += 1;
        }
        prop_assume!(end < lines[which].len());
        lines[which].truncate(end);
        let text = lines.join("\n");
        let all = cut(text.as_bytes(), &sizes, chunk_bytes, is_stream);
        let expected: Vec<_> = (1..).zip(lines.iter().map(|line| line.trim().to_owned())).collect();
        prop_assert_eq!(all, expected, "{}", text);
    }

    #[test]
    fn whatever_it_is_nothing_crashes_and_cuts_do_not_matter(
        bytes in proptest::collection::vec(proptest::sample::select(&b"{}[]\",:\\\n\r 1a=\x1e\xef\xbb\xbf\0"[..]), 0..80),
        sizes in proptest::collection::vec(1..9usize, 1..4),
        chunk_bytes in 1..50usize,
    ) {
        let all = cut(&bytes, &[usize::MAX], 1 << 20, false);
        prop_assert_eq!(cut(&bytes, &sizes, chunk_bytes, false), all);
    }
}
