//! Words of regions in texts: one spelling for both, and whole words only.

use std::borrow::Cow;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use crate::hashtag;

/// Most keywords for which a screen is made: it compares many bytes at a time for a few dozen patterns only.
const MAX_SCREENED: usize = 64;
/// Most bytes of keywords whose automaton is a table with a row for each of them, of about 256 bytes; that of more is
/// smaller and slower.
const MAX_TABLE_BYTES: usize = 16 << 10;

/// The keywords of all regions, ready to be looked for.
#[derive(Debug)]
pub(super) struct Keywords {
    automaton: AhoCorasick,
    /// Finds out quickly that a text has none of them.
    screen: Option<AhoCorasick>,
    /// Region of each pattern.
    owners: Vec<usize>,
}

impl Keywords {
    /// From keywords and the regions that they belong to; `None` when there are none.
    pub(super) fn new(keywords: &[(&str, usize)]) -> Result<Option<Self>, String> {
        if keywords.is_empty() {
            return Ok(None);
        }
        let patterns: Vec<_> = keywords.iter().map(|(keyword, _)| normalize_keyword(keyword)).collect();
        let kind = (patterns.iter().map(String::len).sum::<usize>() <= MAX_TABLE_BYTES).then_some(AhoCorasickKind::DFA);
        let build = |match_kind| {
            let automaton = AhoCorasick::builder().match_kind(match_kind).kind(kind).build(&patterns);
            automaton.map_err(|e| format!("the keywords cannot be compiled: {e}"))
        };
        let has_screen = patterns.len() <= MAX_SCREENED;
        Ok(Some(Self {
            automaton: build(MatchKind::Standard)?,
            screen: has_screen.then(|| build(MatchKind::LeftmostFirst)).transpose()?,
            owners: keywords.iter().map(|(_, owner)| *owner).collect(),
        }))
    }

    /// Calls `found` with the region of each keyword that occurs in the text, as often as it does.
    pub(super) fn find(&self, text: &str, mut found: impl FnMut(usize)) {
        let bytes = plain_text(text);
        if let (Some(bytes), Some(screen)) = (&bytes, &self.screen)
            && !screen.is_match(bytes)
        {
            return;
        }
        let text =
            bytes.and_then(|bytes| String::from_utf8(bytes).ok()).map_or_else(|| normalize_text(text), Cow::Owned);
        for hit in self.automaton.find_overlapping_iter(&*text) {
            if is_whole_word(&text, hit.range()) {
                found(self.owners[hit.pattern().as_usize()]);
            }
        }
    }
}

/// The UTF-8 of [`normalize_text`], when each character of the text can be normalized alone.
fn plain_text(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.make_ascii_lowercase();
    let has_spaces = |bytes: &[u8]| {
        // Without branches, so that the compiler makes it a few instructions for many bytes.
        bytes.iter().fold(false, |found, b| found | matches!(b, b'\t'..=b'\r'))
            | bytes.windows(2).fold(false, |found, pair| found | (pair == b"  "))
    };
    let mut may_have_spaces = has_spaces(&bytes);
    // What is read, and what is written; they part when a character becomes a shorter one.
    let (mut from, mut to) = (0, 0);
    loop {
        let ascii = ascii_length(&bytes[from..]);
        if from != to {
            bytes.copy_within(from..from + ascii, to);
        }
        (from, to) = (from + ascii, to + ascii);
        let Some(c) = text.get(from..)?.chars().next() else { break };
        let plain = match c {
            '\u{2018}' | '\u{2019}' | '\u{2bc}' => '\'',
            '\u{85}' | '\u{1680}' | '\u{2028}' | '\u{2029}' | '\u{200b}' => {
                may_have_spaces = true;
                ' '
            }
            c => hashtag::plain(c)?,
        };
        let length = c.len_utf8();
        if plain.len_utf8() > length {
            return None;
        }
        if plain != c || from != to {
            plain.encode_utf8(&mut bytes[to..from + length]);
        }
        (from, to) = (from + length, to + plain.len_utf8());
    }
    bytes.truncate(to);
    if may_have_spaces {
        let mut is_behind_space = false;
        bytes.retain_mut(|b| {
            let is_space = matches!(b, b' ' | b'\t'..=b'\r');
            let is_kept = !(is_space && is_behind_space);
            if is_space {
                *b = b' ';
            }
            is_behind_space = is_space;
            is_kept
        });
    }
    Some(bytes)
}

/// How many bytes of ASCII come first.
fn ascii_length(bytes: &[u8]) -> usize {
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    while let Some(word) = bytes[at..].first_chunk::<8>() {
        let high = u64::from_le_bytes(*word) & HIGHS;
        if high != 0 {
            return at + (high.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    bytes[at..].iter().position(|b| !b.is_ascii()).map_or(bytes.len(), |n| at + n)
}

/// A keyword as it is looked for in a text of [`normalize_text`]; empty when nothing is left.
pub(super) fn normalize_keyword(keyword: &str) -> String {
    normalize_text(keyword).trim_matches(' ').to_owned()
}

/// The text in which keywords are looked for: folded ([`hashtag::fold`]), each run of white space
/// (Unicode White_Space, and the zero-width space, which separates words) as one space, and the
/// apostrophes that people and phones write (’ ‘ ʼ ＇) as '. Borrowed when the text is so already.
#[must_use]
pub fn normalize_text(text: &str) -> Cow<'_, str> {
    match hashtag::fold(text) {
        Cow::Borrowed(folded) => plain_spaces(folded),
        Cow::Owned(folded) => match plain_spaces(&folded) {
            Cow::Borrowed(_) => Cow::Owned(folded),
            Cow::Owned(plain) => Cow::Owned(plain),
        },
    }
}

fn plain_spaces(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    // Without branches, so that the compiler makes it a few instructions for many bytes. What it notices
    // too much of is a lead byte of other letters.
    let is_plain = !bytes.iter().fold(false, |found, b| found | matches!(b, b'\t'..=b'\r' | 0xc2 | 0xca | 0xe1 | 0xe2))
        && !bytes.windows(2).fold(false, |found, pair| found | (pair == b"  "));
    if is_plain {
        return Cow::Borrowed(text);
    }
    let mut plain = String::new();
    // Begin of what is not copied yet.
    let mut from = 0;
    let mut in_space = false;
    for (at, c) in text.char_indices() {
        let is_space = c.is_whitespace() || c == '\u{200b}';
        let instead = match c {
            _ if is_space && in_space => "",
            _ if is_space => " ",
            '\u{2019}' | '\u{2018}' | '\u{2bc}' => "'",
            _ => {
                in_space = false;
                continue;
            }
        };
        in_space = is_space;
        if c != ' ' || instead.is_empty() {
            plain.reserve(text.len() - from);
            plain.push_str(&text[from..at]);
            plain.push_str(instead);
            from = at + c.len_utf8();
        }
    }
    if from == 0 {
        return Cow::Borrowed(text);
    }
    plain.push_str(&text[from..]);
    Cow::Owned(plain)
}

/// A hit counts when it is not a piece of a longer word. Scripts without spaces between words
/// (Chinese, Japanese, Thai …) have no such border, so there every hit counts.
fn is_whole_word(text: &str, hit: Range<usize>) -> bool {
    let glued = |inner: Option<char>, outer: Option<char>| match (inner, outer) {
        (Some(inner), Some(outer)) => is_spaced_letter(inner) && is_spaced_letter(outer),
        _ => false,
    };
    let before = glued(text[hit.clone()].chars().next(), text[..hit.start].chars().next_back());
    let after = glued(text[hit.clone()].chars().next_back(), text[hit.end..].chars().next());
    !before && !after
}

fn is_spaced_letter(c: char) -> bool {
    let unspaced = matches!(c, '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}');
    c.is_alphanumeric() && !unspaced
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_found(keyword: &str, text: &str) -> bool {
        let keywords = Keywords::new(&[(keyword, 0)]).unwrap().unwrap();
        let mut found = false;
        keywords.find(text, |_| found = true);
        found
    }

    #[test]
    fn keywords_are_whole_words_in_any_case_and_script() {
        for (keyword, text, hit) in [
            ("montréal", "MONTRÉAL!", true),
            ("montréal", "in Montre\u{301}al, today", true),
            ("montréal", "#montréal", true),
            ("montréal", "montréalais", false),
            ("montréal", "montreal", false),
            ("東京", "今日は東京です", true),
        ] {
            assert_eq!(is_found(keyword, text), hit, "{keyword} in {text}");
        }
    }

    #[test]
    fn a_phrase_is_found_across_any_white_space() {
        for between in [
            " ",
            "  ",
            "\n",
            "\r\n",
            "\t",
            " \n\n ",
            "\u{a0}",
            "\u{3000}",
            "\u{2009}",
            "\u{202f}",
            "\u{2028}",
            "\u{85}",
            "\u{1680}",
            "\u{200b}",
            "\u{200b} \u{200b}",
            "\u{b}",
        ] {
            assert!(is_found("grand place", &format!("Sur la Grand{between}Place, ce soir")), "{between:?}");
            assert!(is_found(&format!(" grand{between}place\n"), "la Grand Place"), "{between:?} in the keyword");
        }
        for text in
            ["GrandPlace", "grand-place", "grand, place", "grande place", "grand\u{200d}place", "grand\u{ad}place"]
        {
            assert!(!is_found("grand place", text), "{text:?}");
        }
    }

    #[test]
    fn all_apostrophes_are_one() {
        let signs = ["'", "\u{2019}", "\u{2018}", "\u{2bc}", "\u{ff07}"];
        for written in signs {
            for said in signs {
                assert!(
                    is_found(&format!("rock{written}n{written}roll"), &format!("Rock{said}n{said}Roll!")),
                    "{written} {said}"
                );
            }
            assert!(is_found("hiver", &format!("l{written}hiver")), "{written} ends a word");
        }
        assert!(!is_found("rock'n'roll", "rock n roll") && !is_found("rock'n'roll", "rocknroll"));
    }

    #[test]
    fn runs_of_spaces_become_one_however_many_there_are() {
        for (text, expected) in [
            ("a\tb", "a b"),
            ("a\tb\tc", "a b c"),
            ("a  b", "a b"),
            ("a  b  c", "a b c"),
            ("a\tb  c", "a b c"),
            ("a   b", "a b"),
            ("  ", " "),
            ("\t\t", " "),
            ("    ", " "),
        ] {
            assert_eq!(normalize_text(text), expected, "{text:?}");
            assert_eq!(plain_text(text).as_deref(), Some(expected.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn what_is_plain_already_is_borrowed() {
        for text in
            ["", " ", "a plain text", "déjà vu", "東京 です", "ends with a space ", "\u{2014} “quoted”", "été ḁ"]
        {
            assert!(matches!(normalize_text(text), Cow::Borrowed(_)), "{text}");
        }
    }

    /// Character by character, by the Unicode Standard's rules of NFKC and case folding.
    fn plainly(text: &str) -> String {
        use caseless::Caseless;
        use unicode_normalization::UnicodeNormalization;
        let folded: String = text.nfkc().default_case_fold().nfkc().collect();
        let mut plain = String::new();
        for c in folded.chars() {
            match c {
                c if c.is_whitespace() || c == '\u{200b}' => {
                    if !plain.ends_with(' ') {
                        plain.push(' ');
                    }
                }
                '\u{2018}' | '\u{2019}' | '\u{2bc}' => plain.push('\''),
                c => plain.push(c),
            }
        }
        plain
    }

    proptest! {
        #[test]
        fn the_fast_way_agrees_with_the_plain_way(
            text in "([a-zA-Zé京ŉ´\u{2014}] |\\PC|[ \t\n\r\u{a0}\u{85}\u{1680}\u{2000}\u{2028}\u{200b}\u{202f}\u{3000}’‘ʼ＇']){0,30}",
        ) {
            prop_assert_eq!(normalize_text(&text), plainly(&text));
            if let Some(bytes) = plain_text(&text) {
                prop_assert_eq!(String::from_utf8(bytes).unwrap(), plainly(&text));
            }
        }

        /// Most texts are read without the tables of Unicode: those of which each character can be normalized alone.
        #[test]
        fn plain_characters_make_a_plain_text(
            text in "([a-zA-Zéß京ñöşЖжβΒבع가\u{2014}…’‘ʼ\u{200b}\u{200d}\u{fe0f}🚀❤ \t\n]|\\PC){0,40}",
        ) {
            let is_plain = text.chars().all(|c| plain_text(&c.to_string()).is_some());
            let plain = plain_text(&text).map(|bytes| String::from_utf8(bytes).unwrap());
            prop_assert_eq!(plain, is_plain.then(|| plainly(&text)));
        }

        /// With and without a screen, and in each kind of automaton, exactly what a search in the folded text finds.
        #[test]
        fn a_keyword_is_found_where_the_folded_text_has_it(
            text in "([a-cA-Cé京ﬀſK’ \u{301}\u{200b}…ß🚀]|ab|AB|Éa|\\PC){0,20}",
            words in prop::collection::vec("[a-céks京']{1,3}( [a-c]{1,2})?", 1..5), others in 0usize..100,
        ) {
            let others: Vec<String> = (0..others).map(|n| format!("other{n}")).collect();
            let list: Vec<_> = words.iter().chain(&others).enumerate().map(|(n, word)| (&**word, n)).collect();
            let mut found = vec![];
            Keywords::new(&list).unwrap().unwrap().find(&text, |n| found.push(n));
            let folded = plainly(&text);
            let mut expected = vec![];
            for (keyword, n) in &list {
                let keyword = normalize_keyword(keyword);
                let all = folded.char_indices().filter(|(at, _)| folded[*at..].starts_with(&keyword));
                let whole = all.filter(|(at, _)| is_whole_word(&folded, *at..*at + keyword.len()));
                expected.extend(whole.map(|_| *n));
            }
            found.sort_unstable();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn a_text_is_normalized_once_for_all(text in "\\PC{0,20}[ \n\u{200b}’]{0,4}\\PC{0,10}") {
            let once = normalize_text(&text).into_owned();
            prop_assert_eq!(normalize_text(&once), &*once);
        }

        /// Words that follow one another with nothing but white space between are the phrase, and nothing else is.
        #[test]
        fn a_phrase_is_its_words_in_order(
            words in prop::collection::vec(0usize..3, 1..9),
            between in prop::collection::vec(0usize..8, 9), ends in 0usize..3,
        ) {
            const WORDS: [&str; 3] = ["sea", "Wall", "qu’ai"];
            const BETWEEN: [(&str, bool); 8] = [
                (" ", true), ("\r\n", true), ("\u{3000}\t", true), ("\u{200b}", true),
                ("-", false), ("", false), (", ", false), (" / ", false),
            ];
            let mut text = String::new();
            let mut expected = false;
            for (n, word) in words.iter().enumerate() {
                text.push_str(WORDS[*word]);
                text.push_str(BETWEEN[between[n]].0);
                // Glued to nothing before and after, and in order.
                let is_free = |n: usize| n == usize::MAX || n + 1 == words.len() || !BETWEEN[between[n]].0.is_empty();
                expected |= n + 1 < words.len() && BETWEEN[between[n]].1 && *word == 0 && words[n + 1] == 1
                    && is_free(n.wrapping_sub(1)) && (n == 0 || !BETWEEN[between[n - 1]].0.is_empty()) && is_free(n + 1);
            }
            text.push_str(["", "\n", "\u{200b}"][ends]);
            prop_assert_eq!(is_found("SEA wall", &text), expected, "{:?}", text);
        }
    }
}
