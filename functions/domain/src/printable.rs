//! Foreign text that is shown to a person.

use std::borrow::Cow;

/// The text with nothing in it that a terminal or log viewer acts on: control characters (C0, DEL, C1, so escape sequences and
/// line breaks) and those that turn the direction of writing, which can make a text look like another one. White space
/// among them becomes a space, the others U+FFFD.
///
/// ```
/// use birdsong_domain::printable::printable;
///
/// assert_eq!(printable("fog 🌫"), "fog 🌫");
/// assert_eq!(printable("fog\u{1b}[2J\n"), "fog\u{fffd}[2J ");
/// ```
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    shown(text, false)
}

/// The same for text of several lines: line feeds stay.
#[must_use]
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    shown(text, true)
}

/// JSON that reads the same and has such characters as escapes. Below U+0020 JSON has escaped them already.
#[must_use]
pub fn printable_json(json: &str) -> Cow<'_, str> {
    if json.chars().all(|c| c == '\n' || !is_acted_on(c)) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if c == '\n' || !is_acted_on(c) {
            out.push(c);
        } else {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        }
    }
    Cow::Owned(out)
}

fn shown(text: &str, has_lines: bool) -> Cow<'_, str> {
    let stays = |c: char| !is_acted_on(c) || (has_lines && c == '\n');
    if text.chars().all(stays) {
        return Cow::Borrowed(text);
    }
    let replaced = text.chars().map(|c| match c {
        c if stays(c) => c,
        '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' => ' ',
        _ => char::REPLACEMENT_CHARACTER,
    });
    Cow::Owned(replaced.collect())
}

/// Controls, line and paragraph separators, and directional formatting (Unicode Bidirectional Algorithm, section 2).
fn is_acted_on(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_acts_on_is_not_shown() {
        assert!(matches!(printable("#été 日本"), Cow::Borrowed(_)));
        assert_eq!(printable("a\u{1b}[31mb\u{9b}2J\u{7f}\u{202e}c\r\n"), "a\u{fffd}[31mb\u{fffd}2J\u{fffd}\u{fffd}c  ");
        assert_eq!(printable_lines("a\nb\tc"), "a\nb c");
    }

    #[test]
    fn json_reads_the_same() {
        let json = "{\"tag\":\"a\u{9b}b\u{7f}\u{202e}\"}\n";
        assert_eq!(printable_json(json), "{\"tag\":\"a\\u009bb\\u007f\\u202e\"}\n");
        assert_eq!(printable_json("\u{202e}"), "\\u202e");
        assert!(matches!(printable_json("{\"tag\":\"é\"}\n"), Cow::Borrowed(_)));
    }
}
