//! The text and the links of a post that comes as HTML.

use htmlize::{unescape, unescape_attribute};

/// The words of a post.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words {
    /// The text without tags.
    pub(crate) text: String,
    /// Addresses of links that lead out: neither mentions nor hashtags.
    pub(crate) links: Vec<String>,
}

/// Appends the text and the links of `html`. Any text is read as HTML, and never fails.
pub(crate) fn read(html: &str, words: &mut Words) {
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        words.text.push_str(&unescape(&rest[..at]));
        rest = tag(&rest[at..], words);
    }
    words.text.push_str(&unescape(rest));
}

/// Reads the tag at the start of `rest` and returns what follows it.
fn tag<'h>(rest: &'h str, words: &mut Words) -> &'h str {
    let mut quote = None;
    let end = rest.char_indices().find_map(|(at, c)| {
        match (quote, c) {
            (None, '>') => return Some(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => (),
        }
        None
    });
    let Some(end) = end else { return "" };
    let inside = &rest[1..end];
    let name_end = inside.find(|c: char| c.is_ascii_whitespace() || c == '/').unwrap_or(inside.len());
    let (name, attributes) = inside.split_at(name_end);
    let is_closing = inside.starts_with('/');
    match name.to_ascii_lowercase().as_str() {
        "a" => {
            let class = attribute(attributes, "class").unwrap_or_default();
            let rel = attribute(attributes, "rel").unwrap_or_default();
            let has = |list: &str, word: &str| list.split_ascii_whitespace().any(|one| one == word);
            let is_inner = has(class, "mention") || has(class, "hashtag") || has(rel, "tag");
            if let Some(href) = attribute(attributes, "href").filter(|_| !is_inner) {
                words.links.push(unescape_attribute(href).into_owned());
            }
        }
        // Words on both sides of these are two words.
        "p" | "br" | "div" | "li" | "ul" | "ol" | "blockquote" | "pre" | "h1" | "h2" | "h3" => words.text.push('\n'),
        _ if is_closing && matches!(&inside[1..], "p" | "div" | "li" | "blockquote" | "pre") => words.text.push('\n'),
        _ => (),
    }
    &rest[end + 1..]
}

/// The value of an attribute in quotes.
fn attribute<'h>(attributes: &'h str, name: &str) -> Option<&'h str> {
    let mut rest = attributes;
    loop {
        let equals = rest.find('=')?;
        let key = rest[..equals].trim().trim_start_matches('/').trim();
        let value = rest[equals + 1..].trim_start();
        let quote = value.chars().next()?;
        let (value, behind) = if matches!(quote, '"' | '\'') {
            let end = value[1..].find(quote)?;
            (&value[1..=end], &value[end + 2..])
        } else {
            let end = value.find(|c: char| c.is_ascii_whitespace()).unwrap_or(value.len());
            value.split_at(end)
        };
        // A word without a value may precede the key.
        if key.rsplit(|c: char| c.is_ascii_whitespace()).next().is_some_and(|key| key.eq_ignore_ascii_case(name)) {
            return Some(value);
        }
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(html: &str) -> (String, Vec<String>) {
        let mut words = Words::default();
        read(html, &mut words);
        (words.text.trim().to_owned(), words.links)
    }

    #[test]
    fn tags_go_and_words_stay_apart() {
        for (html, text) in [
            ("<p>One</p><p>two<br>three</p>", "One\n\ntwo\nthree"),
            ("#<span>wx</span> now", "#wx now"),
            ("a &amp; b &lt;3 &#39;c&#x27; &eacute; &", "a & b <3 'c' é &"),
            ("1 < 2", "1"),
            ("<a title=\"a > b\" href='https://x.example'>here</a>", "here"),
            ("&&&#xffffffff;&#;", "&&\u{fffd}&#;"),
            ("é<br/>東京", "é\n東京"),
        ] {
            assert_eq!(words(html).0, text, "{html}");
        }
    }

    #[test]
    fn links_lead_out() {
        for (html, links) in [
            ("<a href=\"https://a.example/?x=1&amp;y=2\" rel=\"nofollow\">a</a>", vec!["https://a.example/?x=1&y=2"]),
            ("<a class=\"u-url mention\" href=\"https://b.example/@p\">@p</a>", vec![]),
            ("<a href=\"https://b.example/tags/wx\" class=\"mention hashtag\" rel=\"tag\">#wx</a>", vec![]),
            ("<a hidden data-href='no' HREF='https://c.example'>c</a>", vec!["https://c.example"]),
            ("<a href=https://d.example>d</a><a>e</a>", vec!["https://d.example"]),
            ("<abbr href=\"https://f.example\">f</abbr>", vec![]),
        ] {
            assert_eq!(words(html).1, links, "{html}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(html in "[<>&;#xa='\" /é東]{0,60}") {
            words(&html);
        }
    }
}
