//! Languages as BCP 47 tags (RFC 5646), in one spelling for all sources.

use std::borrow::Cow;

/// Longest tag that is kept, in bytes: the longest of a language, script, region and variants
/// that anybody needs (RFC 5646, 4.4.1). A longer one loses subtags from its end (4.4.2).
pub const MAX_TAG_BYTES: usize = 35;

/// The tag of a text in an unknown language (ISO 639-2, undetermined).
pub const UNDETERMINED: &str = "und";

/// The canonical form of a language tag: the primary language in lower case and in its present
/// code, the script in title case, the region in upper case, the rest in lower case (RFC 5646, 2.1.1
/// and 4.5), at most [`MAX_TAG_BYTES`] long. `None` when the text is no language tag.
///
/// - `_` counts as `-`, and an encoding or modifier as in `pt_BR.UTF-8` is dropped.
/// - Codes that ISO 639 withdrew become the present ones: `in` (which X still writes) is `id`, `iw`
///   is `he`, `ji` is `yi`, `jw` is `jv`, `mo` is `ro`.
/// - A three-letter code of ISO 639-2 becomes the two-letter one where there is one, as RFC 5646, 2.2.1
///   demands: `eng` is `en`, `ger` and `deu` are `de`.
/// - X's own codes for posts without words (`qme`, `qht`, `qam`, `qct`, `qst`) are private codes of ISO
///   639-2 and stay as they are, like `und`, `zxx` and `art`.
///
/// Borrowed when the text is canonical already.
///
/// ```
/// use birdsong_domain::language::canonical;
/// assert_eq!(canonical("IN").as_deref(), Some("id"));
/// assert_eq!(canonical("zh_hant_tw").as_deref(), Some("zh-Hant-TW"));
/// assert_eq!(canonical("no language"), None);
/// ```
#[must_use]
pub fn canonical(tag: &str) -> Option<Cow<'_, str>> {
    // Nearly every tag is two lower-case letters.
    if let [a @ b'a'..=b'z', b @ b'a'..=b'z'] = tag.as_bytes() {
        return Some(Cow::Borrowed(present_code(&[*a, *b]).unwrap_or(tag)));
    }
    let tag = tag.trim();
    let tag = tag.split(['.', '@']).next().unwrap_or(tag);
    let mut subtags = tag.split(['-', '_']);
    let primary = subtags.next()?;
    if !matches!(primary.len(), 2 | 3) || !primary.bytes().all(|b| b.is_ascii_alphabetic()) {
        return None;
    }
    let primary = primary.to_ascii_lowercase();
    let mut found = present_code(primary.as_bytes()).map_or(primary, str::to_owned);
    let mut behind_singleton = false;
    // A singleton introduces what follows it and means nothing alone.
    let mut whole = found.len();
    for subtag in subtags {
        if !(1..=8).contains(&subtag.len()) || !subtag.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        if found.len() + 1 + subtag.len() > MAX_TAG_BYTES {
            break;
        }
        let start = found.len() + 1;
        found.push('-');
        found.push_str(subtag);
        let written = &mut found[start..];
        written.make_ascii_lowercase();
        let is_letters = written.bytes().all(|b| b.is_ascii_alphabetic());
        match written.len() {
            1 => {
                behind_singleton = true;
                continue;
            }
            2 if is_letters && !behind_singleton => written.make_ascii_uppercase(),
            4 if is_letters && !behind_singleton => written[..1].make_ascii_uppercase(),
            _ => (),
        }
        whole = found.len();
    }
    found.truncate(whole);
    Some(if found == tag { Cow::Borrowed(tag) } else { Cow::Owned(found) })
}

/// The language of a post as it is counted: canonical, empty when the source has none,
/// [`UNDETERMINED`] when the source's text is not a language tag.
#[must_use]
pub fn of_post(tag: &str) -> Cow<'_, str> {
    if tag.trim().is_empty() {
        return Cow::Borrowed("");
    }
    canonical(tag).unwrap_or(Cow::Borrowed(UNDETERMINED))
}

/// The code that replaced this lower-case one, if there is one.
fn present_code(code: &[u8]) -> Option<&'static str> {
    match code {
        // IANA language subtag registry: two-letter languages with a Preferred-Value.
        b"in" => Some("id"),
        b"iw" => Some("he"),
        b"ji" => Some("yi"),
        b"jw" => Some("jv"),
        b"mo" => Some("ro"),
        [_, _, _] => SHORT.binary_search_by(|(long, _)| long.as_bytes().cmp(code)).ok().map(|at| SHORT[at].1),
        _ => None,
    }
}

/// Codes of ISO 639-2 (terminological and bibliographic) that have a two-letter code, sorted.
#[rustfmt::skip]
const SHORT: [(&str, &str); 203] = [
    ("aar", "aa"), ("abk", "ab"), ("afr", "af"), ("aka", "ak"), ("alb", "sq"), ("amh", "am"), ("ara", "ar"), ("arg", "an"),
    ("arm", "hy"), ("asm", "as"), ("ava", "av"), ("ave", "ae"), ("aym", "ay"), ("aze", "az"), ("bak", "ba"), ("bam", "bm"),
    ("baq", "eu"), ("bel", "be"), ("ben", "bn"), ("bis", "bi"), ("bod", "bo"), ("bos", "bs"), ("bre", "br"), ("bul", "bg"),
    ("bur", "my"), ("cat", "ca"), ("ces", "cs"), ("cha", "ch"), ("che", "ce"), ("chi", "zh"), ("chu", "cu"), ("chv", "cv"),
    ("cor", "kw"), ("cos", "co"), ("cre", "cr"), ("cym", "cy"), ("cze", "cs"), ("dan", "da"), ("deu", "de"), ("div", "dv"),
    ("dut", "nl"), ("dzo", "dz"), ("ell", "el"), ("eng", "en"), ("epo", "eo"), ("est", "et"), ("eus", "eu"), ("ewe", "ee"),
    ("fao", "fo"), ("fas", "fa"), ("fij", "fj"), ("fin", "fi"), ("fra", "fr"), ("fre", "fr"), ("fry", "fy"), ("ful", "ff"),
    ("geo", "ka"), ("ger", "de"), ("gla", "gd"), ("gle", "ga"), ("glg", "gl"), ("glv", "gv"), ("gre", "el"), ("grn", "gn"),
    ("guj", "gu"), ("hat", "ht"), ("hau", "ha"), ("heb", "he"), ("her", "hz"), ("hin", "hi"), ("hmo", "ho"), ("hrv", "hr"),
    ("hun", "hu"), ("hye", "hy"), ("ibo", "ig"), ("ice", "is"), ("ido", "io"), ("iii", "ii"), ("iku", "iu"), ("ile", "ie"),
    ("ina", "ia"), ("ind", "id"), ("ipk", "ik"), ("isl", "is"), ("ita", "it"), ("jav", "jv"), ("jpn", "ja"), ("kal", "kl"),
    ("kan", "kn"), ("kas", "ks"), ("kat", "ka"), ("kau", "kr"), ("kaz", "kk"), ("khm", "km"), ("kik", "ki"), ("kin", "rw"),
    ("kir", "ky"), ("kom", "kv"), ("kon", "kg"), ("kor", "ko"), ("kua", "kj"), ("kur", "ku"), ("lao", "lo"), ("lat", "la"),
    ("lav", "lv"), ("lim", "li"), ("lin", "ln"), ("lit", "lt"), ("ltz", "lb"), ("lub", "lu"), ("lug", "lg"), ("mac", "mk"),
    ("mah", "mh"), ("mal", "ml"), ("mao", "mi"), ("mar", "mr"), ("may", "ms"), ("mkd", "mk"), ("mlg", "mg"), ("mlt", "mt"),
    ("mon", "mn"), ("mri", "mi"), ("msa", "ms"), ("mya", "my"), ("nau", "na"), ("nav", "nv"), ("nbl", "nr"), ("nde", "nd"),
    ("ndo", "ng"), ("nep", "ne"), ("nld", "nl"), ("nno", "nn"), ("nob", "nb"), ("nor", "no"), ("nya", "ny"), ("oci", "oc"),
    ("oji", "oj"), ("ori", "or"), ("orm", "om"), ("oss", "os"), ("pan", "pa"), ("per", "fa"), ("pli", "pi"), ("pol", "pl"),
    ("por", "pt"), ("pus", "ps"), ("que", "qu"), ("roh", "rm"), ("ron", "ro"), ("rum", "ro"), ("run", "rn"), ("rus", "ru"),
    ("sag", "sg"), ("san", "sa"), ("sin", "si"), ("slk", "sk"), ("slo", "sk"), ("slv", "sl"), ("sme", "se"), ("smo", "sm"),
    ("sna", "sn"), ("snd", "sd"), ("som", "so"), ("sot", "st"), ("spa", "es"), ("sqi", "sq"), ("srd", "sc"), ("srp", "sr"),
    ("ssw", "ss"), ("sun", "su"), ("swa", "sw"), ("swe", "sv"), ("tah", "ty"), ("tam", "ta"), ("tat", "tt"), ("tel", "te"),
    ("tgk", "tg"), ("tgl", "tl"), ("tha", "th"), ("tib", "bo"), ("tir", "ti"), ("ton", "to"), ("tsn", "tn"), ("tso", "ts"),
    ("tuk", "tk"), ("tur", "tr"), ("twi", "tw"), ("uig", "ug"), ("ukr", "uk"), ("urd", "ur"), ("uzb", "uz"), ("ven", "ve"),
    ("vie", "vi"), ("vol", "vo"), ("wel", "cy"), ("wln", "wa"), ("wol", "wo"), ("xho", "xh"), ("yid", "yi"), ("yor", "yo"),
    ("zha", "za"), ("zho", "zh"), ("zul", "zu"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_language_has_one_tag() {
        for (written, tag) in [
            ("en", "en"),
            ("EN", "en"),
            ("in", "id"),
            ("In", "id"),
            ("iw", "he"),
            ("ji", "yi"),
            ("jw", "jv"),
            ("mo", "ro"),
            ("in-ID", "id-ID"),
            ("zh-cn", "zh-CN"),
            ("zh_TW", "zh-TW"),
            ("ZH-HANT-hk", "zh-Hant-HK"),
            ("es-419", "es-419"),
            ("sl-ROZAJ-Biske-1994", "sl-rozaj-biske-1994"),
            ("en-u-CA-gregory", "en-u-ca-gregory"),
            ("en-x-US", "en-x-us"),
            ("pt_BR.UTF-8", "pt-BR"),
            ("sr_RS@latin", "sr-RS"),
            (" fr ", "fr"),
            ("eng", "en"),
            ("ger", "de"),
            ("deu", "de"),
            ("fil", "fil"),
            ("und", "und"),
            ("qme", "qme"),
            ("zxx", "zxx"),
            ("art", "art"),
            ("de-u", "de"),
            ("en-x-Abcd-Us", "en-x-abcd-us"),
            ("de-A1bc-1D", "de-a1bc-1d"),
        ] {
            assert_eq!(canonical(written).as_deref(), Some(tag), "{written}");
        }
    }

    #[test]
    fn what_is_no_language_has_no_tag() {
        for written in
            ["", "-", "e", "english", "en us", "en--us", "en-", "françias", "12", "x-own", "en-ninechars", "日本"]
        {
            assert_eq!(canonical(written), None, "{written}");
            assert_eq!(of_post(written), if written.is_empty() { "" } else { UNDETERMINED });
        }
    }

    #[test]
    fn a_long_tag_loses_whole_subtags() {
        let long = "zh-cmn-Hans-CN-variant1-variant2-x-privates-wadegile";
        assert_eq!(canonical(long).as_deref(), Some("zh-cmn-Hans-CN-variant1-variant2"));
        let of_35_bytes = "en-abcdefgh-abcdefgh-abcdefgh-abcde";
        assert_eq!(canonical(of_35_bytes).as_deref(), Some(of_35_bytes));
        assert_eq!(canonical(&format!("{of_35_bytes}f")).as_deref(), Some("en-abcdefgh-abcdefgh-abcdefgh"));
    }

    #[test]
    fn the_table_is_sorted() {
        assert!(SHORT.is_sorted_by(|a, b| a.0 < b.0));
        assert!(SHORT.iter().all(|(long, short)| (long.len(), short.len()) == (3, 2)));
    }

    proptest! {
        #[test]
        fn canonical_tags_are_bounded_and_stay_as_they_are(text in "[a-zA-Z0-9_-]{0,50}|\\PC{0,40}") {
            if let Some(tag) = canonical(&text) {
                prop_assert!(tag.len() <= MAX_TAG_BYTES);
                let again = canonical(&tag);
                prop_assert_eq!(again.as_deref(), Some(&*tag));
            }
        }
    }
}
