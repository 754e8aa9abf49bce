//! One hashtag, many spellings: which of them count as the same, and how one post's are collected.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU16, Ordering};

use caseless::Caseless;
use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick, is_nfkc_quick};

use crate::frame::MAX_PER_POST;

/// Longest hashtag that is counted by name, in characters (Unicode scalar values) of its key. X
/// limits a whole post to 280; the limit is the same in every script.
pub const MAX_HASHTAG_CHARS: usize = 100;

/// Longest hashtag that is stored, in bytes: [`MAX_HASHTAG_CHARS`] characters of UTF-8.
pub const MAX_HASHTAG_BYTES: usize = 4 * MAX_HASHTAG_CHARS;

/// The key under which spellings of a hashtag are counted together: without leading `#`, white
/// space at the ends and invisible characters, Unicode NFKC, case folded (Unicode Standard
/// §3.13, toNFKC_Casefold, but U+200C and U+200D stay: scripts and emoji need them). `None` when
/// nothing is left or more than [`MAX_HASHTAG_CHARS`] characters are.
#[must_use]
pub fn key(written: &str) -> Option<Cow<'_, str>> {
    match named(written) {
        Named::Key(key) => Some(key),
        Named::TooLong | Named::Nothing => None,
    }
}

/// What a written hashtag is.
enum Named<'w> {
    /// A tag with this key.
    Key(Cow<'w, str>),
    /// A tag longer than [`MAX_HASHTAG_CHARS`].
    TooLong,
    /// No tag.
    Nothing,
}

fn named(written: &str) -> Named<'_> {
    // Most tags are a word in ASCII.
    if is_word(written) {
        return match written.len() {
            0 => Named::Nothing,
            1..=MAX_HASHTAG_CHARS => Named::Key(fold(written)),
            _ => Named::TooLong,
        };
    }
    /// Longer than a tag of this many characters can be with a few invisible ones: a bound on work.
    const MOST_BYTES: usize = 16 * MAX_HASHTAG_BYTES;
    let tag = without_sign(written);
    if tag.len() > MOST_BYTES {
        return Named::TooLong;
    }
    let key = match without_invisible(tag) {
        Cow::Borrowed(tag) => fold(tag),
        Cow::Owned(tag) => Cow::Owned(fold(&tag).into_owned()),
    };
    // Compatibility forms of the sign and of white space have become plain by now.
    let bare = without_sign(&key);
    if bare.is_empty() {
        return Named::Nothing;
    }
    if bare.len() > MAX_HASHTAG_CHARS && bare.chars().count() > MAX_HASHTAG_CHARS {
        return Named::TooLong;
    }
    if bare.len() == key.len() { Named::Key(key) } else { Named::Key(Cow::Owned(bare.to_owned())) }
}

/// Whether a text has only letters, digits and low lines, all in ASCII.
fn is_word(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn without_sign(tag: &str) -> &str {
    if is_word(tag) {
        return tag;
    }
    let is_margin = |c: char| c.is_whitespace() || is_invisible(c);
    tag.trim_start_matches(|c| matches!(c, '#' | '＃') || is_margin(c)).trim_end_matches(is_margin)
}

/// Characters that show nothing and change no letter, so that they do not make another tag of one:
/// variation selectors, soft hyphen, zero-width space, word joiner, byte order mark, marks of
/// the writing direction. All have the property Default_Ignorable_Code_Point.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{e0100}'..='\u{e01ef}')
}

fn without_invisible(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || !text.contains(is_invisible) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().filter(|c| !is_invisible(*c)).collect())
}

/// The hashtags of one post: each once, as first written, without the sign.
#[derive(Debug, Default)]
pub struct Hashtags<'p> {
    shown: Vec<Cow<'p, str>>,
    /// Of these, or of all but the first.
    keys: Vec<Cow<'p, str>>,
    long: Vec<String>,
}

impl<'p> Hashtags<'p> {
    /// Adds a tag in the source's spelling. One that the post has already, that is empty, or that comes
    /// after [`MAX_PER_POST`] others changes nothing.
    pub fn add(&mut self, written: Cow<'p, str>) {
        if self.shown.len() >= MAX_PER_POST {
            return;
        }
        // Most posts with a tag have one, whose key is not needed here.
        if self.shown.is_empty()
            && let Cow::Borrowed(written) = written
            && written.len() <= MAX_HASHTAG_CHARS
            && written.is_ascii()
        {
            self.shown.extend(Some(without_sign(written)).filter(|tag| !tag.is_empty()).map(Cow::Borrowed));
            return;
        }
        for known in &self.shown[self.keys.len()..] {
            self.keys.push(match known {
                Cow::Borrowed(tag) => fold(tag),
                Cow::Owned(tag) => Cow::Owned(fold(tag).into_owned()),
            });
        }
        let (key, shown) = match written {
            Cow::Borrowed(written) => (named(written), shown(written)),
            Cow::Owned(written) => {
                let key = match named(&written) {
                    Named::Key(key) => Named::Key(Cow::Owned(key.into_owned())),
                    Named::TooLong => Named::TooLong,
                    Named::Nothing => Named::Nothing,
                };
                (key, Cow::Owned(shown(&written).into_owned()))
            }
        };
        match key {
            Named::Key(key) if self.keys.contains(&key) => (),
            Named::Key(key) => {
                self.shown.push(if shown.len() > MAX_HASHTAG_BYTES { key.clone() } else { shown });
                self.keys.push(key);
            }
            Named::TooLong => {
                let key = fold(&shown);
                if self.long.len() < MAX_PER_POST && !self.long.iter().any(|known| *known == key) {
                    self.long.push(key.into_owned());
                }
            }
            Named::Nothing => (),
        }
    }

    /// The tags as they are shown, and the number of those that were longer than
    /// [`MAX_HASHTAG_CHARS`].
    #[must_use]
    pub fn finish(self) -> (Vec<Cow<'p, str>>, u32) {
        (self.shown, self.long.len() as u32)
    }
}

/// A tag as it is shown: as written, but without the sign and invisible characters, in NFC.
fn shown(written: &str) -> Cow<'_, str> {
    match without_invisible(without_sign(written)) {
        tag if tag.is_ascii() || is_nfc_quick(tag.chars()) == IsNormalized::Yes => tag,
        tag => Cow::Owned(tag.nfc().collect()),
    }
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
    if text.chars().all(|c| plain(c).is_some()) {
        return if text.chars().all(|c| plain(c) == Some(c)) {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(text.chars().filter_map(plain).collect())
        };
    }
    // Other texts are mostly in NFKC, too, and stay so when folded: to see that is far cheaper than to do it.
    let is_normal = is_nfkc_quick(text.chars()) == IsNormalized::Yes;
    let mut folded: String =
        if is_normal { text.chars().default_case_fold().collect() } else { text.nfkc().default_case_fold().collect() };
    if is_nfkc_quick(folded.chars()) != IsNormalized::Yes {
        folded = folded.nfkc().collect();
    }
    if is_normal && folded == text { Cow::Borrowed(text) } else { Cow::Owned(folded) }
}

/// The folded form of an independent character: NFKC leaves it unchanged next to any other such character,
/// and it folds to one of them. That is true of most texts, so that few need the tables of Unicode. `None` for every other
/// character.
#[inline]
pub(crate) fn plain(c: char) -> Option<char> {
    match c {
        'A'..='Z' => Some(c.to_ascii_lowercase()),
        '\0'..='\x7f' => Some(c),
        ..=LAST_KNOWN => match KNOWN[c as usize].load(Ordering::Relaxed) {
            0 => look_up(c),
            NOT_PLAIN => None,
            folded => char::from_u32(folded.into()),
        },
        // Punctuation, kana, ideographs and syllables of East Asia; pictographs.
        '、'..='。'
        | '「'..='』'
        | 'ぁ'..='ゖ'
        | 'ァ'..='ヺ'
        | 'ー'
        | '\u{4e00}'..='\u{9fff}'
        | '가'..='힣'
        | '\u{fe0f}'
        | '\u{1f1e6}'..='\u{1f1ff}'
        | '\u{1f300}'..='\u{1f64f}'
        | '\u{1f680}'..='\u{1f6ff}'
        | '\u{1f900}'..='\u{1f9ff}' => Some(c),
        _ => None,
    }
}

/// Characters behind this one are not in [`KNOWN`].
const LAST_KNOWN: char = '\u{3000}';
/// The mark in [`KNOWN`] of a character that is not plain.
const NOT_PLAIN: u16 = u16::MAX;
/// The results of [`look_up`], 0 where it was not asked yet. The same for everyone, so it does not matter who writes first.
static KNOWN: [AtomicU16; LAST_KNOWN as usize + 1] = [const { AtomicU16::new(0) }; LAST_KNOWN as usize + 1];

/// Finds out whether a character is plain. A text of starters (of combining class 0) that pass the quick check is
/// normalized (Unicode Standard Annex 15, section 9), so each of them is independent of its neighbours.
#[cold]
fn look_up(c: char) -> Option<char> {
    let is_independent =
        |c: char| is_nfkc_quick(std::iter::once(c)) == IsNormalized::Yes && canonical_combining_class(c) == 0;
    let mut folded = std::iter::once(c).default_case_fold();
    let folded = folded.next().filter(|one| folded.next().is_none() && is_independent(c) && is_independent(*one));
    let known = folded.and_then(|one| u16::try_from(u32::from(one)).ok()).filter(|one| !matches!(*one, 0 | NOT_PLAIN));
    if let Some(place) = KNOWN.get(c as usize) {
        place.store(known.unwrap_or(NOT_PLAIN), Ordering::Relaxed);
    }
    known.and_then(|one| char::from_u32(one.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_the_standard(text: &str) -> String {
        text.nfkc().default_case_fold().nfkc().collect()
    }

    #[test]
    fn independent_characters_fold_by_the_standard_in_any_company() {
        let plain_ones: Vec<char> = ('\0'..=char::MAX).filter(|c| plain(*c).is_some()).collect();
        assert!(plain_ones.len() > 30_000);
        for c in &plain_ones {
            assert_eq!(plain(*c).map(String::from), Some(by_the_standard(&c.to_string())), "{c:?}");
        }
        // No two of them become one: normalization is that of each character alone.
        for pair in plain_ones.windows(2).chain(plain_ones.windows(977)) {
            let text: String = [pair[0], pair[pair.len() - 1]].iter().collect();
            assert_eq!(fold(&text), by_the_standard(&text), "{text:?}");
        }
    }

    #[test]
    fn spellings_of_one_tag_share_a_key() {
        for (written, expected) in [
            ("#GoHabsGo", "gohabsgo"),
            ("＃Montréal", "montréal"),
            ("MONTRE\u{301}AL", "montréal"),
            ("Straße", "strasse"),
            ("ｗｏｗ", "wow"),
            ("東京", "東京"),
            ("##dogs", "dogs"),
            (" # dogs ", "dogs"),
            ("\u{200b}#dogs\u{fe0f}", "dogs"),
            ("﹟dogs", "dogs"),
            ("ice\u{ad}cream", "icecream"),
            ("i\u{2060}ce\u{200b}cream\u{feff}", "icecream"),
            ("❤\u{fe0f}", "❤"),
            ("\u{200f}שלום", "שלום"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("👩\u{200d}🚀", "👩\u{200d}🚀"),
        ] {
            assert_eq!(key(written).as_deref(), Some(expected), "{written}");
        }
    }

    #[test]
    fn what_is_no_tag_has_no_key() {
        for written in ["", "#", "＃#", "  ", "\u{200b}", "#\u{fe0f}"] {
            assert_eq!(key(written), None, "{written:?}");
        }
    }

    #[test]
    fn the_limit_is_the_same_in_every_script() {
        for letter in ["x", "é", "ท", "東", "🚀", "e\u{301}", "가"] {
            assert!(key(&letter.repeat(MAX_HASHTAG_CHARS)).is_some(), "{letter}");
            assert_eq!(key(&letter.repeat(MAX_HASHTAG_CHARS + 1)), None, "{letter}");
        }
        assert_eq!(key(&"x\u{200b}".repeat(100)), Some("x".repeat(100).into()), "what does not show does not count");
        assert_eq!(key(&"\u{200b}x".repeat(1 << 20)), None);
    }

    #[test]
    fn a_post_has_each_tag_once_and_long_ones_are_counted() {
        let mut tags = Hashtags::default();
        let (long, longer) = ("x".repeat(101), "東".repeat(102));
        for tag in ["#Dogs", "dogs", "DOGS\u{fe0f}", "Straße", "STRASSE", "", "#", "Cafe\u{301}", "café", "#dogs"] {
            tags.add(tag.into());
            tags.add(Cow::Owned(tag.to_owned()));
        }
        for tag in [long.clone(), longer.clone(), long.to_uppercase(), format!("#{longer}")] {
            tags.add(tag.into());
        }
        assert_eq!(tags.finish(), (vec!["Dogs".into(), "Straße".into(), "Café".into()], 2));
        let mut tags = Hashtags::default();
        (0..100).for_each(|n| tags.add(format!("tag{n}").into()));
        assert_eq!(tags.finish().0.len(), MAX_PER_POST);
        let mut tags = Hashtags::default();
        (0..100).for_each(|n| tags.add(format!("{n}{long}").into()));
        assert_eq!(tags.finish(), (vec![], MAX_PER_POST as u32));
    }

    #[test]
    fn tags_with_much_that_does_not_show_are_too_long_at_once() {
        let invisible = "\u{200b}".repeat(2132);
        assert_eq!(key(&format!("x{invisible}yyy")).as_deref(), Some("xyyy"), "6,400 bytes");
        assert_eq!(key(&format!("x{invisible}yyyy")), None);
    }

    #[test]
    fn a_tag_that_is_long_as_written_is_shown_as_its_key() {
        // Two half-width letters of three bytes each are one syllable.
        let (written, syllable) = ("ﾡￂ".repeat(66), key("ﾡￂ").unwrap());
        let shown = |written: String| {
            let mut tags = Hashtags::default();
            tags.add(Cow::Owned(written));
            tags.finish().0.remove(0).into_owned()
        };
        assert_eq!((written.len(), syllable.len()), (396, 3));
        assert_eq!(shown(format!("{written}ABCD")), format!("{written}ABCD"));
        assert_eq!(shown(format!("{written}ABCDE")), format!("{}abcde", syllable.repeat(66)));
    }

    #[test]
    fn letters_of_alphabets_need_no_tables() {
        for (written, folded) in [('a', 'a'), ('Z', 'z'), ('é', 'é'), ('É', 'é'), ('Ω', 'ω'), ('Я', 'я'), ('ש', 'ש')]
        {
            assert_eq!(plain(written), Some(folded));
        }
    }

    proptest! {
        #[test]
        fn borrowed_and_owned_tags_are_the_same(
            tags in prop::collection::vec(prop::sample::select(vec!["#a", "a", "A", "É", "e\u{301}", "", "#", "b!", "LONG", "#LONG", "LÔNG", "x"]), 0..6),
        ) {
            let tags: Vec<_> = tags.into_iter().map(|tag| tag.replace("NG", &"NG".repeat(60))).collect();
            let of = |owned: bool| {
                let mut all = Hashtags::default();
                tags.iter().for_each(|tag| all.add(if owned { Cow::Owned(tag.clone()) } else { Cow::Borrowed(tag) }));
                all.finish()
            };
            let (shown, long) = of(true);
            prop_assert_eq!(of(false), (shown.clone(), long));
            let keys: std::collections::BTreeSet<_> = tags.iter().filter_map(|tag| key(tag)).collect();
            prop_assert_eq!(shown.iter().filter_map(|tag| key(tag)).collect::<std::collections::BTreeSet<_>>(), keys.clone());
            prop_assert_eq!(shown.len(), keys.len());
            let longs: std::collections::BTreeSet<_> = tags.iter().filter(|tag| tag.len() > 100).map(|tag| fold(tag.trim_start_matches('#'))).collect();
            prop_assert_eq!(long as usize, longs.len());
        }

        #[test]
        fn the_fast_way_agrees_with_the_standard(
            text in "[a-zÀ-ɏΑ-ώА-я\u{300}-\u{345}\u{3099}\u{309a}ﬀ-ﬆｱ-ﾝか-ポ가-힣\u{1161}\u{11a8}一-三]{0,20}",
        ) {
            prop_assert_eq!(fold(&text), by_the_standard(&text));
        }

        #[test]
        fn folding_twice_changes_nothing(text in "\\PC{0,30}") {
            let once = fold(&text).into_owned();
            prop_assert_eq!(fold(&once).into_owned(), once);
        }

        #[test]
        fn keys_and_spellings_are_bounded_and_agree(text in "[#＃ \u{ad}\u{200b}\u{fe0f}a-cÀ-ÅＡ-Ｃ한ㄱ-ㅎ\u{1100}-\u{11ff}﷽]{0,130}|\\PC{0,130}") {
            let mut tags = Hashtags::default();
            tags.add(text.as_str().into());
            let (shown, long) = tags.finish();
            match key(&text) {
                Some(key) => {
                    prop_assert!(key.chars().count() <= MAX_HASHTAG_CHARS && shown[0].len() <= MAX_HASHTAG_BYTES);
                    prop_assert_eq!(super::key(&key), Some(Cow::Borrowed(&*key)));
                    prop_assert_eq!(super::key(&shown[0]), Some(Cow::Borrowed(&*key)));
                }
                None => prop_assert!(shown.is_empty() && long <= 1),
            }
        }
    }
}
