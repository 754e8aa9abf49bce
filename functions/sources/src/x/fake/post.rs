//! One made-up post, with every field that X has for it.

use std::collections::BTreeMap;

use birdsong_domain::time::rfc3339;
use serde_json::{Value, json};

use crate::dice::Dice;

/// The short form of every link in a text.
const LINK: &str = "https://t.co/a";

/// What is decided of a post before it is written out.
#[derive(Clone, Debug)]
pub struct Sketch {
    /// Its id.
    pub id: u64,
    /// Counts the posts of a server, from 1.
    pub number: u64,
    /// When it was written, in milliseconds.
    pub time_ms: i64,
    /// A word in its text.
    pub word: String,
    /// In X's spelling.
    pub lang: String,
    /// It was written somewhere in this box: west, south, east, north.
    pub within: Option<[f64; 4]>,
    /// It repeats another post.
    pub is_repost: bool,
    /// Id and tag of the rule that it matches.
    pub rule: (String, String),
    /// Spells the fields as X does since August 2026.
    pub has_new_names: bool,
}

/// The line of a post with all fields of X. One in 32 is longer than 280 characters, with a
/// hashtag behind them; a place in a box may be a point or a named place; the text of a repost is cut.
#[must_use]
pub fn full_post(sketch: &Sketch, dice: &mut Dice) -> Value {
    let Sketch { id, number, word, within, is_repost, rule, has_new_names, .. } = sketch;
    let (referenced, included) =
        if *has_new_names { ("referenced_posts", "posts") } else { ("referenced_tweets", "tweets") };
    let link = if number % 4 == 0 { format!(" {LINK}") } else { String::new() };
    let text = format!("Día {number} 東京 {word} #wx{}{link}", number % 7).replace('"', "");
    let author = 1_200_000_000_000_000_000 + dice.below(5000);
    let mut written = written(sketch, *id, &text, dice.below(32) == 0);
    written["author_id"] = author.to_string().into();
    let mut full = json!({"matching_rules": [{"id": rule.0, "tag": rule.1}]});
    if let Some([west, south, east, north]) = *within {
        let (lon, lat) = (west + (east - west) * dice.share(), south + (north - south) * dice.share());
        if dice.below(4) > 0 {
            written["geo"] = json!({"coordinates": {"type": "Point", "coordinates": [round(lon), round(lat)]}});
        } else {
            // A place within the box.
            let (wide, high) = ((east - lon) / 2.0, (north - lat) / 2.0);
            let bbox = [round(lon), round(lat), round(lon + wide), round(lat + high)];
            written["geo"] = json!({"place_id": format!("{number:016x}")});
            full["includes"]["places"] = json!([{
                "id": format!("{number:016x}"), "full_name": "Somewhere, Here", "name": "Somewhere",
                "place_type": "city", "country": "Here", "country_code": "QZ", "contained_within": [],
                "geo": {"type": "Feature", "bbox": bbox, "properties": {}},
            }]);
        }
    } else if *is_repost {
        let original = id - (1 << 32);
        let mut repeated = written;
        repeated["id"] = original.to_string().into();
        repeated["author_id"] = "7".into();
        written = self::written(sketch, *id, &format!("RT @somebody: {}…", first_chars(&text, 8)), false);
        written["author_id"] = author.to_string().into();
        written[referenced] = json!([{"type": "retweeted", "id": original.to_string()}]);
        full["includes"][included] = json!([repeated]);
    } else if dice.below(4) == 0 {
        let quoted = (id - (1 << 33)).to_string();
        written[referenced] = json!([{"type": "quoted", "id": quoted}]);
        let edits = if *has_new_names { "edit_history_post_ids" } else { "edit_history_tweet_ids" };
        full["includes"][included] =
            json!([{"id": quoted, "text": "of another", "lang": "und", "author_id": "8", edits: [quoted]}]);
    }
    full["includes"]["users"] = json!([{"id": written["author_id"], "name": "W", "username": "w"}]);
    full["data"] = written;
    full
}

/// The post itself, without what hangs on its kind.
fn written(sketch: &Sketch, id: u64, text: &str, is_long: bool) -> Value {
    let Sketch { number, time_ms, lang, has_new_names, .. } = sketch;
    let (note, edits) =
        if *has_new_names { ("note_post", "edit_history_post_ids") } else { ("note_tweet", "edit_history_tweet_ids") };
    let long = is_long.then(|| format!("{text} {} #behind{}", "and on ".repeat(40), number % 3));
    let text = long.as_ref().map_or_else(|| text.to_owned(), |long| format!("{}…", first_chars(long, 279)));
    let mut post = json!({
        "id": id.to_string(),
        "created_at": time(time_ms - time_ms.rem_euclid(1000)),
        "conversation_id": (id - 1).to_string(),
        "display_text_range": [0, text.chars().count()],
        "edit_controls": {"edits_remaining": 5, "is_edit_eligible": true, "editable_until": time(time_ms + 1_800_000)},
        "entities": entities(&text, *number),
        "in_reply_to_user_id": "9",
        "lang": lang,
        "possibly_sensitive": false,
        "public_metrics": {"retweet_count": 0, "reply_count": 0, "like_count": 0, "quote_count": 0,
            "bookmark_count": 0, "impression_count": 0},
        "reply_settings": "everyone",
        "source": "made up",
        "text": text,
    });
    if number % 5 == 1 {
        post["attachments"] = json!({"media_keys": [format!("3_{number}")]});
    }
    post[edits] = json!([id.to_string()]);
    if let Some(long) = long {
        post[note] = json!({"entities": entities(&long, *number), "text": long});
    }
    post
}

/// The hashtags, mentions and links of a text, where they are. A kind that the text does not have is left out.
fn entities(text: &str, number: u64) -> Value {
    let mut lists: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    let mut start = 0;
    for word in text.split(' ') {
        let bare = word.trim_end_matches(['…', ':']);
        let end = start + bare.chars().count();
        if let Some(tag) = bare.strip_prefix('#').filter(|tag| !tag.is_empty()) {
            lists.entry("hashtags").or_default().push(json!({"start": start, "end": end, "tag": tag}));
        } else if let Some(name) = bare.strip_prefix('@') {
            let mention = json!({"start": start, "end": end, "username": name, "id": "7"});
            lists.entry("mentions").or_default().push(mention);
        } else if bare == LINK {
            let host = format!("site{}.example", number % 5);
            let link = json!({"start": start, "end": end, "url": LINK, "expanded_url": format!("https://{host}/a"),
                "display_url": format!("{host}/a")});
            lists.entry("urls").or_default().push(link);
        }
        start += word.chars().count() + 1;
    }
    json!(lists)
}

fn first_chars(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

/// As X writes times: milliseconds always have their three digits.
fn time(time_ms: i64) -> String {
    let text = rfc3339(time_ms);
    if text.contains('.') { text } else { text.replace('Z', ".000Z") }
}

/// As X writes degrees.
fn round(degrees: f64) -> f64 {
    (degrees * 1e5).round() / 1e5
}
