//! Rule 3.11. The fields that the stream of X is asked for are just those that the reader reads.

use std::collections::{BTreeSet, HashMap};

use birdsong_domain::post::InstallationKey;
use birdsong_sources::archive::{self, Line};
use birdsong_sources::dice::Dice;
use birdsong_sources::x::fake::{Asked, Sketch, full_post};
use birdsong_sources::x::fields;
use serde_json::Value;

/// Lines with all that X has, of every kind of post and in both spellings.
fn full_posts() -> Vec<Value> {
    let mut posts = vec![];
    for number in 1..400u64 {
        let dice = &mut Dice::of(&[number]);
        // One in two has an id from before ids held a time.
        let time_ms = 1_779_514_867_318 + number as i64 * 61_000;
        let id = if number.is_multiple_of(2) {
            20_000_000_000 + number
        } else {
            ((time_ms - 1_288_834_974_657) as u64) << 22
        };
        let sketch = Sketch {
            id,
            number,
            time_ms,
            word: "harbour".into(),
            lang: "fr".into(),
            within: (number % 3 == 0).then_some([2.0, 41.0, 2.3, 41.3]),
            is_repost: number % 3 == 1,
            rule: ("1".into(), "bcn:box".into()),
            has_new_names: number % 8 < 4,
        };
        posts.push(full_post(&sketch, dice));
    }
    posts
}

fn asked(query: &str) -> Asked {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    Asked::parse(&pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<HashMap<_, _>>()).unwrap()
}

/// All that the reader makes of a line.
fn read(line: &Value) -> String {
    let mut read = String::new();
    let done = archive::read_line(line.to_string().as_bytes(), &InstallationKey([1; 16]), &mut |post| {
        read.push_str(&format!("{post:?}"));
    });
    assert_eq!(done, Ok(Line::Posts), "{line}");
    read
}

#[test]
fn nothing_is_read_that_was_not_asked_for() {
    let asked = asked(&fields::query());
    for full in full_posts() {
        assert_eq!(read(&asked.answer(&full)), read(&full), "{full}");
    }
}

#[test]
fn nothing_is_asked_for_in_vain() {
    let posts = full_posts();
    let query = fields::query();
    let names = || fields::POST_FIELDS.iter().chain(&fields::EXPANSIONS).chain(&fields::PLACE_FIELDS);
    // `geo` is a field of posts and of places.
    for (at, name) in names().enumerate() {
        let mut lists: Vec<Vec<&str>> =
            vec![fields::POST_FIELDS.to_vec(), fields::EXPANSIONS.to_vec(), fields::PLACE_FIELDS.to_vec()];
        let mut left = at;
        for list in &mut lists {
            if left < list.len() {
                list.remove(left);
                break;
            }
            left -= list.len();
        }
        let without = format!(
            "tweet.fields={}&expansions={}&place.fields={}",
            lists[0].join(","),
            lists[1].join(","),
            lists[2].join(",")
        );
        let (with, without) = (asked(&query), asked(&without));
        let is_missed = posts.iter().any(|full| read(&with.answer(full)) != read(&without.answer(full)));
        assert!(is_missed, "{name} is asked for, and nothing reads it");
    }
}

#[test]
fn each_field_is_asked_for_once_and_the_fake_knows_it() {
    let query = fields::query();
    let names: Vec<_> = query.split(['&', '=', ',']).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len() - 1, "geo is in two lists: {query}");
    for name in fields::DEFAULT_POST_FIELDS {
        assert!(!fields::POST_FIELDS.contains(&name), "{name} comes anyway");
    }
    let kept = asked(&query).answer(&full_posts()[0]);
    assert!(kept["data"].get("public_metrics").is_none() && kept["data"].get("text").is_some(), "{kept}");
}
