//! The text of a post of X as its author wrote it.

use std::borrow::Cow;

/// Undoes what X does to every text, in v1.1 and v2 alike: `&`, `<` and `>` come as `&amp;`, `&lt;` and
/// `&gt;`. Once, because a text that shows `&amp;` comes as `&amp;amp;`, and only these three, because X
/// escapes nothing else.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'&', text.as_bytes()) else { return Cow::Borrowed(text) };
    let mut found = String::with_capacity(text.len());
    let (start, mut rest) = text.split_at(first);
    found.push_str(start);
    while let Some(at) = memchr::memchr(b'&', rest.as_bytes()) {
        found.push_str(&rest[..at]);
        let here = &rest[at..];
        let (sign, behind) = [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>')]
            .into_iter()
            .find_map(|(entity, sign)| Some((sign, here.strip_prefix(entity)?)))
            .unwrap_or(('&', &here[1..]));
        found.push(sign);
        rest = behind;
    }
    found.push_str(rest);
    Cow::Owned(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn three_signs_are_unescaped_once() {
        for (escaped, text) in [
            ("R&amp;B &lt;3 &gt; pop", "R&B <3 > pop"),
            ("&amp;amp; &amp;lt;", "&amp; &lt;"),
            ("&AMP; &quot; &#39; & &am &", "&AMP; &quot; &#39; & &am &"),
            ("é&amp;é", "é&é"),
        ] {
            assert_eq!(unescape(escaped), text);
        }
        assert!(matches!(unescape("plain"), Cow::Borrowed("plain")));
    }

    proptest! {
        #[test]
        fn unescaping_undoes_escaping(text in "[&<>;ampltg é東]{0,30}") {
            let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            prop_assert_eq!(unescape(&escaped), text);
        }
    }
}
