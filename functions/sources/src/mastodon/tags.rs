//! The hashtags of a status as its author wrote them.
//!
//! Servers fold accents out of the names of tags: `#Montréal` in the text is the tag `montreal` (Mastodon,
//! `HashtagNormalizer`). A region that asks for `#montréal` would never find it, so the spelling is read from
//! the text where it has one.

use std::borrow::Cow;
use std::collections::HashMap;

use birdsong_domain::frame::MAX_PER_POST;
use birdsong_domain::hashtag::{self, Hashtags};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Most hashtags of a text that are looked at. More than are kept, because a text may repeat them.
const MAX_IN_TEXT: usize = 4 * MAX_PER_POST;

/// The tags that the server names, each once, spelled as in `text`, and the number of those that are too
/// long. One that the text does not have stays as the server names it.
pub(super) fn as_written<'s>(names: impl Iterator<Item = &'s str>, text: &'s str) -> (Vec<Cow<'s, str>>, u32) {
    let mut tags = Hashtags::default();
    let mut written: Option<HashMap<String, Vec<&'s str>>> = None;
    for name in names {
        let written = written.get_or_insert_with(|| {
            let mut written: HashMap<_, Vec<_>> = HashMap::new();
            in_text(text).take(MAX_IN_TEXT).for_each(|tag| written.entry(plain(tag)).or_default().push(tag));
            written
        });
        match written.get(&plain(name)) {
            Some(spellings) => spellings.iter().for_each(|spelling| tags.add(Cow::Borrowed(*spelling))),
            None => tags.add(Cow::Borrowed(name)),
        }
    }
    tags.finish()
}

/// The hashtags of a text, without the sign: what follows `#` up to the first sign that is neither letter nor
/// digit. The server decides what is a hashtag, so more than those may come.
fn in_text(text: &str) -> impl Iterator<Item = &str> {
    let is_inner = |c: char| {
        c.is_alphanumeric() || is_combining_mark(c) || matches!(c, '_' | '·' | '・' | '\u{200c}' | '\u{200d}')
    };
    text.split(['#', '＃']).skip(1).filter_map(move |rest| {
        let tag = &rest[..rest.find(|c| !is_inner(c)).unwrap_or(rest.len())];
        // Further than any tag that is counted by name it needs not be compared.
        (!tag.is_empty() && tag.len() <= 4 * hashtag::MAX_HASHTAG_BYTES).then_some(tag)
    })
}

/// A tag without case and accents, the way servers name it.
fn plain(tag: &str) -> String {
    let folded = hashtag::fold(tag);
    if folded.is_ascii() {
        return folded.into_owned();
    }
    // Letters with a stroke and the like do not decompose.
    let bare = |c: char| match c {
        'đ' | 'ð' => 'd',
        'ħ' => 'h',
        'ı' => 'i',
        'ĸ' => 'k',
        'ł' => 'l',
        'ŋ' => 'n',
        'ø' => 'o',
        'ŧ' => 't',
        c => c,
    };
    folded.nfkd().filter(|c| !is_combining_mark(*c)).map(bare).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(names: &[&str], text: &str) -> Vec<String> {
        as_written(names.iter().copied(), text).0.into_iter().map(Cow::into_owned).collect()
    }

    #[test]
    fn accents_that_the_server_folded_away_come_back() {
        for (name, text, tag) in [
            ("montreal", "rain in #Montréal again", "Montréal"),
            ("montreal", "rain in #MONTRE\u{301}AL", "MONTRÉAL"),
            ("zazolcgeslajazn", "#ZażółćGęśląJaźń", "ZażółćGęśląJaźń"),
            ("koln", "(#Köln)", "Köln"),
            ("wx", "no tag in the text, wx", "wx"),
            ("wx", "#WX", "WX"),
            ("montreal", "a link: x#montréa", "montreal"),
            ("東京", "#東京。", "東京"),
        ] {
            assert_eq!(tags(&[name], text), [tag], "{text}");
        }
    }

    #[test]
    fn each_tag_counts_once_in_each_spelling_with_a_meaning() {
        assert_eq!(tags(&["cote", "fog", "Fog"], "#Côte #côte #coté #fog #FOG"), ["Côte", "coté", "fog"]);
        assert_eq!(tags(&["a", "#a", ""], ""), ["a"]);
        assert_eq!(tags(&[], "#not-for-the-server"), [""; 0]);
    }

    #[test]
    fn texts_full_of_signs_cost_little() {
        let text = "#ä".repeat(500_000);
        assert_eq!(tags(&["a"], &text), ["ä"]);
    }
}
