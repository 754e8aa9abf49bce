//! How many posts were read, as X counts them.

use std::collections::BTreeMap;

use serde_json::Value;

/// Posts read at X, as it counts them itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// By day (days since 1970), where X reports it.
    pub days: Vec<(i64, u64)>,
}

/// Posts by day, days since 1970, from an answer in any of the shapes that X documents; `None` when it
/// has none of them.
pub(super) fn usage_days(answer: &Value) -> Option<Vec<(i64, u64)>> {
    let data = answer.get("data")?;
    let mut days = BTreeMap::<i64, u64>::new();
    let mut add = |entry: &Value| -> Option<()> {
        let date = entry.get("date")?.as_str()?.get(..10)?;
        let ms = birdsong_domain::time::parse_rfc3339(&format!("{date}T00:00:00Z"))?;
        // A number, or one for each app.
        let usage = entry.get("usage")?;
        let posts = match usage.as_array() {
            Some(apps) => apps.iter().map(|app| number(app.get("tweets_consumed").or(app.get("usage"))?)).sum(),
            None => number(usage),
        }?;
        let sum = days.entry(ms.div_euclid(86_400_000)).or_default();
        *sum = sum.saturating_add(posts);
        Some(())
    };
    // An object with a list in it by the specification, a list by the introduction; by app, where there
    // is nothing else.
    let project = data.get("daily_project_usage");
    if let Some(list) = project.and_then(|project| project.get("usage").unwrap_or(project).as_array()) {
        list.iter().try_for_each(&mut add)?;
    } else {
        for app in data.get("daily_client_app_usage")?.as_array()? {
            app.get("usage")?.as_array()?.iter().try_for_each(&mut add)?;
        }
    }
    Some(days.into_iter().collect())
}

/// A number, or one in a text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_usage_is_read_in_each_shape_that_is_documented() {
        let day = 20_596; // 2026-05-23
        for (data, wanted) in [
            (
                json!({"daily_project_usage": {"project_id": "1", "usage": [{"date": "2026-05-23T00:00:00.000Z", "usage": "7"}]}}),
                Some(7),
            ),
            (
                json!({"daily_project_usage": {"usage": [{"date": "2026-05-23", "usage": 7}]}, "daily_client_app_usage": [{"usage": [{"date": "2026-05-23", "usage": 9}]}]}),
                Some(7),
            ),
            (
                json!({"daily_project_usage": [{"date": "2026-05-23", "usage": [{"app_id": "1", "tweets_consumed": 3}, {"app_id": "2", "tweets_consumed": 4}]}]}),
                Some(7),
            ),
            (json!({"daily_project_usage": [{"date": "2026-05-23", "usage": "7"}]}), Some(7)),
            (
                json!({"daily_client_app_usage": [{"client_app_id": "1", "usage": [{"date": "2026-05-23", "usage": "3"}]}, {"usage": [{"date": "2026-05-23", "usage": "4"}]}]}),
                Some(7),
            ),
            (json!({"daily_project_usage": {"usage": [{"day": "2026-05-23", "posts": "7"}]}}), None),
            (json!({"daily_project_usage": {"usage": [{"date": "yesterday", "usage": "7"}]}}), None),
            (json!({"project_usage": "43435", "project_cap": "3000000"}), None),
        ] {
            assert_eq!(usage_days(&json!({"data": data})), wanted.map(|posts| vec![(day, posts)]), "{data}");
        }
        assert_eq!(usage_days(&json!({"data": {"daily_project_usage": {"usage": []}}})), Some(vec![]));
        assert_eq!(usage_days(&json!([])), None);
    }
}
