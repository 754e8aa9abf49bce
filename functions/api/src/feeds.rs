//! Atom feeds of events (RFC 4287).

use birdsong_domain::event::Event;
use birdsong_domain::event::text::{Language, Style, link};
use birdsong_domain::time::rfc3339;

/// Most entries of a feed.
pub const MAX_ENTRIES: usize = 100;

/// What a feed is about.
#[derive(Clone, Copy, Debug)]
pub struct Feed<'a> {
    /// Title for people.
    pub title: &'a str,
    /// Address of the feed itself, such as `https://birds.example/feeds/montreal.atom`. It identifies the feed.
    pub self_url: &'a str,
    /// Address of the dashboard, for links; without a slash at its end.
    pub public_url: &'a str,
    /// Language of the texts.
    pub language: Language,
}

/// The newest events as Atom, at most [`MAX_ENTRIES`]. `events` may be in any order; `name` gives the name of a region for
/// people, by its id.
///
/// An entry keeps its id as long as its event does. It is updated when the event goes on.
#[must_use]
pub fn atom<'n>(feed: &Feed<'_>, events: &[Event], name: impl Fn(&str) -> Option<&'n str>) -> String {
    let mut events: Vec<&Event> = events.iter().collect();
    events.sort_by_key(|event| (std::cmp::Reverse(updated_ms(event)), event.id.clone()));
    events.truncate(MAX_ENTRIES);
    // Without entries, a time that does not change with each request.
    let updated = rfc3339(events.first().map_or(0, |event| updated_ms(event)));
    let (authority, path) = tag_of(feed.self_url);
    let language = feed.language.code();
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <feed xmlns=\"http://www.w3.org/2005/Atom\" xml:lang=\"{language}\">\n\
         <title>{}</title>\n\
         <id>tag:{authority},2026:{path}</id>\n\
         <updated>{updated}</updated>\n\
         <author><name>Birdsong</name></author>\n\
         <generator>Birdsong</generator>\n\
         <link rel=\"self\" type=\"application/atom+xml\" href=\"{}\"/>\n\
         <link rel=\"alternate\" type=\"text/html\" href=\"{}/\"/>\n",
        escaped(feed.title),
        escaped(feed.self_url),
        escaped(feed.public_url),
    );
    for event in events {
        let place = name(&event.region).unwrap_or("");
        let style = Style::new(feed.language, place);
        let text = style.text(event);
        let summary = text.summary();
        let summary = if summary.is_empty() { &text.headline } else { &summary };
        out += &format!(
            "<entry>\n\
             <id>tag:{authority},2026:event:{}</id>\n\
             <title>{}</title>\n\
             <published>{}</published>\n\
             <updated>{}</updated>\n\
             <category term=\"{}\" label=\"{}\"/>\n\
             <link rel=\"alternate\" type=\"text/html\" href=\"{}\"/>\n\
             <summary>{}</summary>\n\
             </entry>\n",
            escaped(&encoded(&event.id)),
            escaped(&text.headline),
            rfc3339(event.start_ms),
            rfc3339(updated_ms(event)),
            event.kind,
            style.kind(event.kind),
            escaped(&link(feed.public_url, event)),
            escaped(summary),
        );
    }
    out + "</feed>\n"
}

fn updated_ms(event: &Event) -> i64 {
    event.end_ms.max(event.start_ms)
}

/// Host without port, and path without its ending, of the feed's address: what its tag URI is made of (RFC 4151).
fn tag_of(url: &str) -> (String, String) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit('@').next().unwrap_or(authority).trim_start_matches('[');
    let host = host.split([':', ']']).next().unwrap_or_default().to_ascii_lowercase();
    let is_name = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    // An address of IPv6 is no authority of a tag.
    let host = if is_name { host } else { "localhost".to_owned() };
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches(".atom");
    (host, encoded(if path.is_empty() { "feed" } else { path }))
}

/// Percent-encoded, but for what may stand in any URI.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Text of XML 1.0: characters that it cannot have are replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' => out.push(c),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use birdsong_domain::event::{EventKind, Subject};
    use birdsong_domain::lane::STREAM;

    use super::*;

    const START: i64 = 1_795_721_520_000;

    fn feed(language: Language) -> Feed<'static> {
        Feed {
            title: "Montréal & <more>",
            self_url: "https://birds.example:8443/feeds/montreal.atom?x=1&y=2",
            public_url: "https://birds.example:8443",
            language,
        }
    }

    fn spike(n: i64) -> Event {
        let start_ms = START + n * 300_000;
        Event {
            end_ms: start_ms + 900_000,
            observed: 31,
            span_ms: 900_000,
            expected_milli: 4_000,
            score_milli: 9_500,
            ..Event::new("montreal", EventKind::Spike, Subject::Region, start_ms)
        }
    }

    fn written(language: Language, events: &[Event]) -> feed_rs::model::Feed {
        let xml = atom(&feed(language), events, |id| (id == "montreal").then_some("Montréal"));
        feed_rs::parser::parse(xml.as_bytes()).unwrap_or_else(|error| panic!("{error}: {xml}"))
    }

    #[test]
    fn a_feed_has_what_rfc_4287_asks_for() {
        let host = Subject::Host { host: "a&b<c>\"d\u{1}.example".into() };
        let events = [
            spike(0),
            Event { subject: host, ..spike(1) },
            Event::note("montreal", (START, START), "Derby ]]> & <b>more</b>").unwrap(),
            Event::new(STREAM, EventKind::Restart, Subject::Region, START),
        ];
        for language in [Language::English, Language::French] {
            let feed = written(language, &events);
            assert_eq!(feed.title.unwrap().content, "Montréal & <more>");
            assert_eq!((feed.id.as_str(), feed.authors.len()), ("tag:birds.example,2026:feeds/montreal", 1));
            assert_eq!(feed.links.iter().filter(|link| link.rel.as_deref() == Some("self")).count(), 1);
            assert_eq!(feed.updated.unwrap(), feed.entries[0].updated.unwrap());
            assert_eq!(feed.entries.len(), events.len());
            for entry in &feed.entries {
                assert!(entry.id.starts_with("tag:birds.example,2026:event:"), "{}", entry.id);
                assert!(entry.title.is_some() && entry.updated.is_some() && entry.published.is_some());
                assert!(!entry.summary.as_ref().unwrap().content.is_empty());
                assert_eq!(entry.links.len(), 1);
                assert_eq!(entry.categories.len(), 1);
            }
            let ids: BTreeSet<_> = feed.entries.iter().map(|entry| &entry.id).collect();
            assert_eq!(ids.len(), events.len());
        }
        let english = written(Language::English, &events);
        let first = &english.entries[0];
        assert_eq!(first.categories[0].term, "spike");
        assert!(first.title.as_ref().unwrap().content.contains("a&b<c>\"d\u{fffd}.example"), "{:?}", first.title);
        let note = english.entries.iter().find(|entry| entry.categories[0].term == "note").unwrap();
        assert_eq!(note.title.as_ref().unwrap().content, "Montréal: Derby ]]> & <b>more</b>");
        let links: Vec<_> = english.entries.iter().map(|entry| entry.links[0].href.as_str()).collect();
        assert!(links.contains(
            &"https://birds.example:8443/?region=montreal&from=2026-11-26T18:32:00Z&to=2026-11-26T20:47:00Z"
        ));
    }

    #[test]
    fn an_entry_keeps_its_id_and_is_updated_while_its_event_goes_on() {
        let (before, after) = (spike(0), Event { end_ms: START + 3_600_000, ..spike(0) });
        let [before, after] = [before, after].map(|event| written(Language::English, &[event]).entries.remove(0));
        assert_eq!(before.id, after.id);
        assert_eq!(before.published, after.published);
        assert!(before.updated < after.updated);
    }

    #[test]
    fn a_feed_is_bounded_and_has_the_newest() {
        let events: Vec<_> = (0..150).map(spike).collect();
        let feed = written(Language::English, &events);
        assert_eq!(feed.entries.len(), MAX_ENTRIES);
        let newest = spike(149);
        assert!(feed.entries[0].id.ends_with(&newest.id));
        assert!(written(Language::French, &[]).updated.is_some(), "also without an entry");
    }

    #[test]
    fn a_tag_is_made_of_any_address() {
        assert_eq!(tag_of("http://[::1]:8080/feeds/a.atom").0, "localhost");
        assert_eq!(tag_of("https://u@A.example/"), ("a.example".into(), "feed".into()));
        assert_eq!(tag_of(""), ("localhost".into(), "feed".into()));
    }
}
