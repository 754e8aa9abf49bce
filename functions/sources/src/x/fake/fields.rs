//! Which fields a query asks for. X sends those and a few that always come, and nothing else.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};

/// All that `tweet.fields` may name (OpenAPI 2.167).
const POST_FIELDS: &[&str] = &[
    "article",
    "attachments",
    "author_id",
    "card_uri",
    "community_id",
    "context_annotations",
    "conversation_id",
    "created_at",
    "display_text_range",
    "edit_controls",
    "edit_history_tweet_ids",
    "entities",
    "geo",
    "id",
    "in_reply_to_user_id",
    "lang",
    "matched_media_notes",
    "media_metadata",
    "non_public_metrics",
    "note_request_suggestions",
    "note_tweet",
    "organic_metrics",
    "paid_partnership",
    "possibly_sensitive",
    "promoted_metrics",
    "public_metrics",
    "referenced_tweets",
    "reply_settings",
    "scopes",
    "source",
    "suggested_source_links",
    "suggested_source_links_with_counts",
    "text",
    "withheld",
];
/// All that `expansions` may name.
const EXPANSIONS: &[&str] = &[
    "article.cover_media",
    "article.media_entities",
    "attachments.media_keys",
    "attachments.media_source_tweet",
    "attachments.poll_ids",
    "author_id",
    "edit_history_tweet_ids",
    "entities.mentions.username",
    "entities.note.mentions.username",
    "geo.place_id",
    "in_reply_to_user_id",
    "referenced_tweets.id",
    "referenced_tweets.id.attachments.media_keys",
    "referenced_tweets.id.author_id",
];
/// All that `place.fields` may name.
const PLACE_FIELDS: &[&str] =
    &["contained_within", "country", "country_code", "full_name", "geo", "id", "name", "place_type"];
/// Come without being asked for.
const DEFAULT_POST_FIELDS: [&str; 3] = ["id", "text", "edit_history_tweet_ids"];
const DEFAULT_PLACE_FIELDS: [&str; 2] = ["id", "full_name"];

/// What a query asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    post: BTreeSet<String>,
    place: BTreeSet<String>,
    expansions: BTreeSet<String>,
}

impl Default for Asked {
    /// Asks for nothing: the defaults come.
    fn default() -> Self {
        let defaults = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            post: defaults(&DEFAULT_POST_FIELDS),
            place: defaults(&DEFAULT_PLACE_FIELDS),
            expansions: BTreeSet::new(),
        }
    }
}

impl Asked {
    /// Reads the parameters of a query.
    ///
    /// # Errors
    /// With the parameter and the value that X does not have; it answers 400.
    pub fn parse(query: &HashMap<String, String>) -> Result<Self, (&'static str, String)> {
        let mut asked = Self::default();
        for (name, known, list) in [
            ("tweet.fields", POST_FIELDS, &mut asked.post),
            ("place.fields", PLACE_FIELDS, &mut asked.place),
            ("expansions", EXPANSIONS, &mut asked.expansions),
        ] {
            let values = query.get(name).map(String::as_str).unwrap_or_default();
            for value in values.split(',').filter(|value| !value.is_empty()) {
                if !known.contains(&value) {
                    return Err((name, value.to_owned()));
                }
                list.insert(value.to_owned());
            }
        }
        Ok(asked)
    }

    /// The part of a full line that a query asks for. Fields may have their old or new
    /// names; a query has the old ones.
    #[must_use]
    pub fn answer(&self, full: &Value) -> Value {
        let mut answer = Map::new();
        for (key, value) in full.as_object().into_iter().flatten() {
            match key.as_str() {
                "data" => {
                    let posts = value.as_array().map(|posts| posts.iter().map(|post| self.post(post)).collect());
                    answer.insert(key.clone(), posts.map_or_else(|| self.post(value), Value::Array));
                }
                "includes" => {
                    let includes = self.includes(value);
                    if !includes.is_empty() {
                        answer.insert(key.clone(), includes.into());
                    }
                }
                _ => _ = answer.insert(key.clone(), value.clone()),
            }
        }
        answer.into()
    }

    fn includes(&self, full: &Value) -> Map<String, Value> {
        let mut includes = Map::new();
        for (key, value) in full.as_object().into_iter().flatten() {
            let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
            let list: Vec<Value> = match key.as_str() {
                "tweets" | "posts" if self.expansions.contains("referenced_tweets.id") => {
                    list.iter().map(|post| self.post(post)).collect()
                }
                "places" if self.expansions.contains("geo.place_id") => {
                    list.iter().map(|place| only(place, |name| self.place.contains(name))).collect()
                }
                "users" if self.expansions.contains("author_id") => list.to_vec(),
                _ => continue,
            };
            includes.insert(key.clone(), list.into());
        }
        includes
    }

    fn post(&self, full: &Value) -> Value {
        only(full, |name| {
            let old = match name {
                "referenced_posts" => "referenced_tweets",
                "note_post" => "note_tweet",
                "edit_history_post_ids" => "edit_history_tweet_ids",
                other => other,
            };
            self.post.contains(old)
        })
    }
}

fn only(full: &Value, is_asked: impl Fn(&str) -> bool) -> Value {
    let fields = full.as_object().into_iter().flatten().filter(|(name, _)| is_asked(name));
    Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn asked(query: &[(&str, &str)]) -> Result<Asked, (&'static str, String)> {
        Asked::parse(&query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn only_what_is_asked_for_comes_and_what_is_not_known_is_refused() {
        let full = json!({"data": {"id": "1", "text": "t", "lang": "fr", "note_post": {}, "edit_history_post_ids": ["1"]},
            "includes": {"posts": [{"id": "2", "lang": "fr"}], "places": [{"id": "p", "full_name": "P", "geo": {}}],
                "users": [{"id": "7"}]}, "matching_rules": [{"tag": "a"}]});
        let bare =
            json!({"data": {"id": "1", "text": "t", "edit_history_post_ids": ["1"]}, "matching_rules": [{"tag": "a"}]});
        assert_eq!(asked(&[]).unwrap().answer(&full), bare);
        let more = asked(&[
            ("tweet.fields", "lang,note_tweet"),
            ("expansions", "geo.place_id,referenced_tweets.id"),
            ("place.fields", "geo"),
        ]);
        let mut wanted = full.clone();
        wanted["includes"].as_object_mut().unwrap().remove("users");
        assert_eq!(more.unwrap().answer(&full), wanted);
        assert_eq!(asked(&[("tweet.fields", "lang,note_post")]), Err(("tweet.fields", "note_post".to_owned())));
    }
}
