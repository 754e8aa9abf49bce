//! One made-up post, with every field that X has for it.

use birdsong_domain::time::rfc3339;
use serde_json::{Value, json};

use super::super::dice::Dice;

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

/// The line of a post with all that X knows of it. One in 32 is longer than 280 characters, with a
/// hashtag behind them; a place in a box may be a point or a named place; the text of a repost is cut.
#[must_use]
pub fn full_post(sketch: &Sketch, dice: &mut Dice) -> Value {
    let Sketch { id, number, word, within, is_repost, rule, has_new_names, .. } = sketch;
    let (referenced, included) =
        if *has_new_names { ("referenced_posts", "posts") } else { ("referenced_tweets", "tweets") };
    let text = format!("Día {number} 東京 {word} #wx{}", number % 7).replace('"', "");
    let author = 1_200_000_000_000_000_000 + dice.below(5000);
    let mut written = written(sketch, *id, &text, dice.below(32) == 0);
    written["author_id"] = author.to_string().into();
    let mut full = json!({"matching_rules": [{"id": rule.0, "tag": rule.1}]});
    if let Some([west, south, east, north]) = *within {
        let (lon, lat) = (west + (east - west) * dice.share(), south + (north - south) * dice.share());
        if dice.below(4) > 0 {
            written["geo"] = json!({"coordinates": {"type": "Point", "coordinates": [round(lon), round(lat)]}});
        } else {
            // A place that lies in the box.
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
        written =
            self::written(sketch, *id, &format!("RT @somebody: {}…", text.chars().take(8).collect::<String>()), false);
        written["author_id"] = author.to_string().into();
        written[referenced] = json!([{"type": "retweeted", "id": original.to_string()}]);
        full["includes"][included] = json!([repeated]);
    } else if dice.below(4) == 0 {
        let quoted = (id - (1 << 33)).to_string();
        written[referenced] = json!([{"type": "quoted", "id": quoted}]);
        full["includes"][included] = json!([{"id": quoted, "text": "of another", "lang": "und", "author_id": "8"}]);
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
    let tag = |tag: String| json!({"start": 0, "end": 4, "tag": tag});
    let first = vec![tag(format!("wx{}", number % 7))];
    let mut post = json!({
        "id": id.to_string(),
        "text": text,
        "created_at": rfc3339(time_ms - time_ms.rem_euclid(1000)),
        "conversation_id": (id - 1).to_string(),
        "display_text_range": [0, 20],
        "edit_controls": {"edits_remaining": 5, "is_edit_eligible": true, "editable_until": rfc3339(time_ms + 1_800_000)},
        "entities": {"hashtags": first},
        "in_reply_to_user_id": "9",
        "lang": lang,
        "possibly_sensitive": false,
        "public_metrics": {"retweet_count": 0, "reply_count": 0, "like_count": 0, "quote_count": 0},
        "reply_settings": "everyone",
        "source": "made up",
    });
    if number % 4 == 0 {
        post["entities"]["urls"] = json!([{"start": 0, "end": 4, "url": "https://t.co/a",
            "expanded_url": format!("https://site{}.example/a", number % 5)}]);
    }
    if number % 5 == 1 {
        post["attachments"] = json!({"media_keys": [format!("3_{number}")]});
    }
    post[edits] = json!([id.to_string()]);
    if is_long {
        let behind = format!("behind{}", number % 3);
        let long = format!("{text} {} #{behind}", "and on ".repeat(40));
        post["text"] = format!("{}…", long.chars().take(279).collect::<String>()).into();
        post[note] = json!({"text": long, "entities": {"hashtags": [first[0], tag(behind)],
            "urls": post["entities"]["urls"]}});
    }
    post
}

/// As X writes degrees.
fn round(degrees: f64) -> f64 {
    (degrees * 1e5).round() / 1e5
}
