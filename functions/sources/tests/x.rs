//! Rules and usage against the fake of X.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use birdsong_domain::region::Regions;
use birdsong_sources::fake::InProcess;
use birdsong_sources::http::Token;
use birdsong_sources::http::{Body, Http, HttpError, read_all};
use birdsong_sources::source::Clock;
use birdsong_sources::x::api::Api;
use birdsong_sources::x::diff::Diff;
use birdsong_sources::x::fake::{Account, FakeX, Options};
use birdsong_sources::x::problem::Class;
use birdsong_sources::x::rules::{self, Rule};
use bytes::Bytes;
use serde_json::{Value, json};

fn clock() -> Clock {
    Arc::new(|| 1_779_514_867_318)
}

fn fake() -> (FakeX, Api<InProcess>) {
    fake_with(Account::default())
}

fn fake_with(account: Account) -> (FakeX, Api<InProcess>) {
    let token = "t".to_owned();
    let options = Options {
        token: token.clone(),
        script: vec![],
        posts_per_s: 1.0,
        seed: 1,
        has_new_names: false,
        clock: clock(),
    };
    let fake = FakeX::with(options, account);
    let api = Api::new(InProcess(fake.router()), "http://x.example/", Token::new(&token).unwrap());
    (fake, api)
}

fn adding(values: &[&str]) -> Diff {
    let add = values.iter().map(|value| Rule { value: (*value).into(), tag: "t".into() }).collect();
    Diff { add, ..Diff::default() }
}

#[tokio::test]
async fn the_rules_of_regions_are_accepted_and_replaced() {
    let (fake, api) = fake();
    let clock = clock();
    assert!(api.rules(&clock).await.unwrap().is_empty());
    let text = "[[region]]\nid = \"north\"\nboxes = [[20.0, 68.0, 24.0, 70.0]]\nkeywords = [\"#aurora\", \"polar light\"]\n\
                languages = [\"no\", \"en\"]\n[[region]]\nid = \"line\"\nboxes = [[-0.5, -0.5, 0.5, 0.5]]\n";
    let regions = Regions::parse("test", text).unwrap();
    for percent in [100, 10, 100] {
        let wanted = rules::plan(&regions, percent).unwrap().rules;
        let diff = Diff::new(api.rules(&clock).await.unwrap(), &wanted);
        api.check(&diff, &clock).await.unwrap();
        api.apply(&diff, &clock).await.unwrap();
        let mut set: Vec<_> = wanted.into_iter().map(|rule| (rule.value, rule.tag)).collect();
        let mut found = fake.rules();
        set.sort();
        found.sort();
        assert_eq!(found, set);
        assert!(Diff::new(api.rules(&clock).await.unwrap(), &rules::plan(&regions, percent).unwrap().rules).is_empty());
    }
    // The same value with another tag: the old one goes first.
    let old = api.rules(&clock).await.unwrap().swap_remove(0);
    let add = vec![Rule { value: old.value.clone(), tag: "other".into() }];
    let diff = Diff { add, delete: vec![old.clone()], ..Diff::default() };
    api.check(&diff, &clock).await.unwrap();
    api.apply(&diff, &clock).await.unwrap();
    assert!(fake.rules().contains(&(old.value, "other".into())));
}

#[tokio::test]
async fn rules_whose_tags_a_region_lists_are_neither_made_nor_deleted() {
    let (fake, api) = fake();
    let clock = clock();
    let own = |value: &str, tag: &str| Rule { value: value.into(), tag: tag.into() };
    let add = vec![own("gale", "Storm Watch"), own("cat", "left over"), own("hail is:retweet", "Storm Watch")];
    api.apply(&Diff { add, ..Diff::default() }, &clock).await.unwrap();
    let text = "[[region]]\nid = \"storm\"\nrules = [\"Storm Watch\", \"Flood\"]\n[[region]]\nid = \"b\"\nkeywords = [\"hail\"]";
    let plan = rules::plan(&Regions::parse("test", text).unwrap(), 100).unwrap();
    let diff = async || Diff::new(api.rules(&clock).await.unwrap(), &plan.rules).sparing(&plan.foreign_tags);
    let first = diff().await;
    assert_eq!(first.missing(&plan.foreign_tags), ["Flood"]);
    api.check(&first, &clock).await.unwrap();
    api.apply(&first, &clock).await.unwrap();
    let mut found = fake.rules();
    found.sort();
    let wanted =
        [("gale", "Storm Watch"), ("hail -is:retweet -is:nullcast", "b:text"), ("hail is:retweet", "Storm Watch")];
    assert_eq!(found, wanted.map(|(value, tag)| (value.to_owned(), tag.to_owned())));
    assert!(diff().await.is_empty(), "and so it stays");
}

#[tokio::test]
async fn what_x_refuses_is_reported_by_rule_and_a_dry_run_sets_nothing() {
    let (fake, api) = fake();
    let clock = clock();
    api.check(&adding(&["cat"]), &clock).await.unwrap();
    assert!(fake.rules().is_empty());
    api.apply(&adding(&["cat"]), &clock).await.unwrap();
    // Somebody else was quicker.
    api.apply(&adding(&["cat"]), &clock).await.unwrap();
    assert_eq!(fake.rules().len(), 1);
    let long = "x".repeat(1025);
    for (value, why) in [
        ("foo:bar", "Reference to invalid operator 'foo'"),
        ("bounding_box:[2.0 41.0 2.5 41.2]", "must be less than 25 miles"),
        ("bounding_box:[2.0 41.0 2.1]", "is no box"),
        ("lang:en", "can stand alone"),
        ("cat sample:0", "sample takes 1 to 100"),
        (&*long, "has 1025 characters"),
        ("cat", "DuplicateRule"),
    ] {
        let failure = api.check(&adding(&["dog", value]), &clock).await.unwrap_err();
        assert_eq!(failure.class, Class::Refused);
        assert!(failure.reason.contains(why) && !failure.reason.contains("dog"), "{failure}");
    }
    assert_eq!(fake.rules().len(), 1);
}

#[tokio::test]
async fn a_thousand_rules_are_accepted_and_no_more() {
    let (fake, api) = fake();
    let values: Vec<_> = (0..1001).map(|n| format!("word{n}")).collect();
    let values: Vec<_> = values.iter().map(String::as_str).collect();
    let failure = api.apply(&adding(&values), &clock()).await.unwrap_err();
    assert!(failure.reason.contains("word1000"), "{failure}");
    assert_eq!(fake.rules().len(), 1000);
    assert!(api.usage(&clock()).await.unwrap().days.is_empty());
}

/// `word0 word1 …`, as values of rules.
fn words(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("word{n}")).collect()
}

async fn ask(fake: &FakeX, method: &str, path: &str, body: &'static str) -> (u16, Value) {
    let request = http::Request::builder()
        .method(method)
        .uri(format!("http://x.example{path}"))
        .header("authorization", "Bearer t")
        .body(Bytes::from_static(body.as_bytes()));
    let answer = InProcess(fake.router()).send(request.unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&read_all(answer.into_body(), 1 << 24).await.unwrap()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn rules_on_several_pages_are_all_listed() {
    let (fake, api) = fake_with(Account { rules_a_page: 300, ..Account::default() });
    let values = words(1000);
    api.apply(&adding(&values.iter().map(String::as_str).collect::<Vec<_>>()), &clock()).await.unwrap();
    for (kept, pages) in [(1000, 4), (600, 2), (601, 3), (0, 1)] {
        if kept == 601 {
            api.apply(&adding(&["word600"]), &clock()).await.unwrap();
        } else {
            let set = fake.rules();
            let ids = api.rules(&clock()).await.unwrap();
            assert_eq!(ids.len(), set.len());
            let diff = Diff { delete: ids.into_iter().skip(kept).collect(), ..Diff::default() };
            api.apply(&diff, &clock()).await.unwrap();
        }
        let listed = fake.delivered().pages;
        let found = api.rules(&clock()).await.unwrap();
        assert_eq!((found.len(), fake.delivered().pages - listed), (kept, pages));
        assert!(found.iter().zip(fake.rules()).all(|(found, (value, _))| found.value == value));
    }
    for query in ["max_results=0", "max_results=1001", "pagination_token=page-1", "pagination_token=x"] {
        let (status, said) = ask(&fake, "GET", &format!("/2/tweets/search/stream/rules?{query}"), "").await;
        assert_eq!((status, said["title"].as_str()), (400, Some("Invalid Request")), "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn all_rules_are_counted_and_deleted_at_once() {
    let (fake, api) = fake();
    let path = "/2/tweets/search/stream/rules";
    api.apply(&adding(&["cat", "dog"]), &clock()).await.unwrap();
    let (_, counts) = ask(&fake, "GET", &format!("{path}/counts"), "").await;
    assert_eq!(counts["data"]["project_rules_count"], "2");
    let (status, _) = ask(&fake, "POST", &format!("{path}?delete_all=true"), r#"{"add":[{"value":"ant"}]}"#).await;
    assert_eq!((status, fake.rules().len()), (400, 2), "one thing at a time");
    let (_, said) = ask(&fake, "POST", &format!("{path}?delete_all=true&dry_run=true"), "").await;
    assert_eq!((&said["meta"]["summary"]["deleted"], fake.rules().len()), (&json!(2), 2));
    ask(&fake, "POST", &format!("{path}?delete_all=true"), "").await;
    assert!(fake.rules().is_empty());
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_the_limits_learn_when_to_retry() {
    let (fake, api) = fake();
    let clock = clock();
    let limited = |failure| match failure {
        Class::RateLimited(Some(at_ms)) => at_ms - clock(),
        other => panic!("{other:?}"),
    };
    for _ in 0..450 {
        api.rules(&clock).await.unwrap();
    }
    for n in 0..100 {
        api.apply(&adding(&[&format!("word{n}")]), &clock).await.unwrap();
    }
    for _ in 0..50 {
        api.usage(&clock).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(600)).await;
    for failure in [
        api.rules(&clock).await.unwrap_err(),
        api.apply(&adding(&["more"]), &clock).await.unwrap_err(),
        api.usage(&clock).await.unwrap_err(),
    ] {
        let wait_ms = limited(failure.class);
        assert!((299_000..=301_000).contains(&wait_ms), "{wait_ms}");
    }
    assert_eq!(fake.delivered().too_many_calls, 3);
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(api.rules(&clock).await.unwrap().len(), 100);
    api.usage(&clock).await.unwrap();
}

/// Answers each request with the next text, and notes where it went.
struct Says(Mutex<Vec<&'static str>>, Arc<Mutex<Vec<String>>>);

impl Http for Says {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        self.1.lock().unwrap().push(request.uri().to_string());
        let mut texts = self.0.lock().unwrap();
        let text = if texts.len() > 1 { texts.remove(0) } else { texts[0] };
        let body: Body = Box::pin(futures_util::stream::iter([Ok(Bytes::from_static(text.as_bytes()))]));
        Ok(http::Response::new(body))
    }
}

fn says(texts: &[&'static str]) -> (Api<Says>, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let says = Says(Mutex::new(texts.to_vec()), asked.clone());
    (Api::new(says, "http://x.example", Token::new("t").unwrap()), asked)
}

#[tokio::test]
async fn a_token_of_a_page_may_have_any_characters_and_a_list_ends() {
    let (api, asked) = says(&[
        r#"{"data":[{"id":"1","value":"a"}],"meta":{"next_token":"b64+/=="}}"#,
        r#"{"data":[{"id":"2","value":"b","tag":"t"}],"meta":{"result_count":1}}"#,
    ]);
    let rules = api.rules(&clock()).await.unwrap();
    assert_eq!(rules.iter().map(|rule| rule.id.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    assert!(asked.lock().unwrap()[1].ends_with("pagination_token=b64%2B%2F%3D%3D"));
    let (api, asked) = says(&[r#"{"meta":{"next_token":"again"}}"#]);
    let failure = api.rules(&clock()).await.unwrap_err();
    assert!(failure.class == Class::Server && failure.reason.contains("does not end"), "{failure}");
    assert_eq!(asked.lock().unwrap().len(), 100);
}

/// Counts the warnings.
struct Warnings(Arc<AtomicU64>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        self.0.fetch_add(u64::from(*event.metadata().level() == tracing::Level::WARN), Ordering::Relaxed);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn a_usage_of_an_unknown_shape_is_warned_of_once() {
    let warnings = Arc::new(AtomicU64::new(0));
    let _guard = tracing::subscriber::set_default(Warnings(warnings.clone()));
    let (api, _) = says(&[
        r#"{"data":{"project_usage":"43435"}}"#,
        r#"{"data":{"daily_project_usage":{"usage":[{"day":"2026-05-23"}]}}}"#,
        r#"{"data":{"daily_project_usage":[{"date":"2026-05-23","usage":[{"app_id":"1","tweets_consumed":15420}]}]}}"#,
    ]);
    for _ in 0..2 {
        assert!(api.usage(&clock()).await.unwrap().days.is_empty());
        assert_eq!(warnings.load(Ordering::Relaxed), 1);
    }
    assert_eq!(api.usage(&clock()).await.unwrap().days, [(20_596, 15_420)]);
}
