//! One hashtag, many spellings: which of them count as the same.

use std::borrow::Cow;

use caseless::Caseless;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

/// Longest hashtag that is kept, in bytes of its written form; a longer one is not a hashtag that
/// anybody reads and would only blow up the stored window.
pub const MAX_HASHTAG_BYTES: usize = 140;

/// The key under which spellings of a hashtag are counted together: without a leading `#`,
/// Unicode NFKC, case folded (Unicode Standard §3.13, toNFKC_Casefold without the removal of
/// ignorable characters). `None` when nothing is left or the tag is longer than
/// [`MAX_HASHTAG_BYTES`].
#[must_use]
pub fn key(written: &str) -> Option<Cow<'_, str>> {
    let tag = written.strip_prefix(['#', '＃']).unwrap_or(written).trim();
    if tag.is_empty() || tag.len() > MAX_HASHTAG_BYTES {
        return None;
    }
    Some(fold(tag))
}

/// NFKC and case folding of any text; borrowed when the text is already folded, which is the
/// common case of lower-case ASCII.
#[must_use]
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return if text.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        };
    }
    // Most texts are in NFKC already, and stay so when folded: telling is far cheaper than doing it.
    let is_normal = is_nfkc_quick(text.chars()) == IsNormalized::Yes;
    let mut folded: String =
        if is_normal { text.chars().default_case_fold().collect() } else { text.nfkc().default_case_fold().collect() };
    if is_nfkc_quick(folded.chars()) != IsNormalized::Yes {
        folded = folded.nfkc().collect();
    }
    if is_normal && folded == text { Cow::Borrowed(text) } else { Cow::Owned(folded) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_one_tag_share_a_key() {
        for (written, expected) in [
            ("#GoHabsGo", "gohabsgo"),
            ("＃Montréal", "montréal"),
            ("MONTRE\u{301}AL", "montréal"),
            ("Straße", "strasse"),
            ("ｗｏｗ", "wow"),
            ("東京", "東京"),
        ] {
            assert_eq!(key(written).as_deref(), Some(expected), "{written}");
        }
    }

    #[test]
    fn what_is_no_tag_has_no_key() {
        assert_eq!(key("#"), None);
        assert_eq!(key("  "), None);
        assert_eq!(key(&"x".repeat(MAX_HASHTAG_BYTES + 1)), None);
    }

    proptest! {
        #[test]
        fn the_short_way_gives_what_the_standard_says(text in "[a-zÀ-ɏΑ-ώ\u{300}-\u{345}ﬀ-ﬆｱ-ﾝ가-힣]{0,20}") {
            let by_the_standard: String = text.nfkc().default_case_fold().nfkc().collect();
            prop_assert_eq!(fold(&text), by_the_standard);
        }

        #[test]
        fn folding_twice_changes_nothing(text in "\\PC{0,30}") {
            let once = fold(&text).into_owned();
            prop_assert_eq!(fold(&once).into_owned(), once);
        }
    }
}
