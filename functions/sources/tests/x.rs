//! Rules and usage against the fake of X.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use birdsong_domain::region::Regions;
use birdsong_sources::live::Clock;
use birdsong_sources::x::api::{Api, Class, Diff, Token};
use birdsong_sources::x::rules::{self, Rule};
use birdsong_testkit::fake::InProcess;
use birdsong_testkit::fake::x::{FakeX, Options};

fn clock() -> Clock {
    Arc::new(|| 1_779_514_867_318)
}

fn fake() -> (FakeX, Api<InProcess>) {
    let token = "t".to_owned();
    let fake = FakeX::new(Options {
        token: token.clone(),
        script: vec![],
        posts_per_s: 1.0,
        seed: 1,
        has_new_names: false,
        clock: clock(),
    });
    let api = Api::new(InProcess(fake.router()), "http://x.example/", Token::new(&token).unwrap());
    (fake, api)
}

fn adding(values: &[&str]) -> Diff {
    let add = values.iter().map(|value| Rule { value: (*value).into(), tag: "t".into() }).collect();
    Diff { add, ..Diff::default() }
}

#[tokio::test]
async fn the_rules_of_regions_are_taken_and_replaced() {
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
    let diff = Diff { add, delete: vec![old.clone()], same: 0 };
    api.check(&diff, &clock).await.unwrap();
    api.apply(&diff, &clock).await.unwrap();
    assert!(fake.rules().contains(&(old.value, "other".into())));
}

#[tokio::test]
async fn what_x_refuses_is_said_by_rule_and_a_dry_run_sets_nothing() {
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
async fn a_thousand_rules_are_taken_and_no_more() {
    let (fake, api) = fake();
    let values: Vec<_> = (0..1001).map(|n| format!("word{n}")).collect();
    let values: Vec<_> = values.iter().map(String::as_str).collect();
    let failure = api.apply(&adding(&values), &clock()).await.unwrap_err();
    assert!(failure.reason.contains("word1000"), "{failure}");
    assert_eq!(fake.rules().len(), 1000);
    assert!(api.usage(&clock()).await.unwrap().days.is_empty());
}
