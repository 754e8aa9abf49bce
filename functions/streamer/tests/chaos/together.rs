//! Rule 4.2. Several sources before one log: what happens to one does not show in the windows of the others.

use std::collections::BTreeMap;

use birdsong_domain::window::Aggregate;
use birdsong_sources::source::SourceError;
use birdsong_sources::x::fake::{Connection, chaos};
use birdsong_sources::{bluesky as jetstream, x as filtered};

use super::windows::{Order, Windows};
use super::world::{World, seeds};
use super::{bluesky, mastodon, x};

#[tokio::test(start_paused = true)]
async fn one_refuses_one_has_trouble_and_crashes_and_the_windows_of_each_are_those_that_it_has_alone() {
    for seed in seeds(0..2) {
        let what = format!("seed {seed}");
        let alone = |trouble| World::new(seed, trouble, bluesky::REGIONS);
        let world = alone(20);
        let mut script = chaos(seed, 10);
        script.pop();
        script.push(Connection::Answer(401, "{}".into()));
        let (_, (instance, mastodon_ended), (_, x_run, x_lines)) = tokio::join!(
            bluesky::live_through(&world, bluesky::troubled(seed, 1), 4),
            mastodon::live_through(&world, mastodon::honest(mastodon::script(seed, 1)), 0),
            x::live_through(&world, script, seed),
        );
        assert!(matches!(x_run.error, Some(SourceError::Refused(_))), "{what}: {:?}", x_run.error);
        assert!(x_run.ended.ledger.balances() && mastodon_ended.ledger.balances(), "{what}");
        assert_eq!(instance.activity().streams, 1, "{what}: nothing disturbs it");

        let calm = alone(0);
        bluesky::live_through(&calm, bluesky::script(seed, 1), 0).await;
        let bluesky = Windows::of_source(&world, jetstream::NAME).await;
        bluesky.assert_same(&what, &Windows::of(&calm).await, Order::Kept);
        let calm = alone(0);
        mastodon::live_through(&calm, mastodon::honest(mastodon::script(seed, 1)), 0).await;
        let mastodon = Windows::of_source(&world, mastodon::NAME).await;
        mastodon.assert_same(&what, &Windows::of(&calm).await, Order::Kept);
        let x = Windows::of_source(&world, filtered::NAME).await;
        x.assert_same(&what, &x::undisturbed(seed, bluesky::REGIONS, x_lines).await, Order::Kept);

        let mut sums = BTreeMap::<_, Aggregate>::new();
        for (key, part) in [&bluesky, &mastodon, &x].into_iter().flat_map(Windows::all) {
            sums.entry(key).or_default().merge(part, true);
        }
        let windows = Windows::of(&world).await;
        assert_eq!(windows.all().count(), sums.len(), "{what}");
        for (key, all) in windows.all() {
            let counts = |of: &Aggregate| (of.kinds, of.per_minute.clone(), of.languages.clone(), of.primary);
            assert_eq!(counts(all), counts(&sums[key]), "{what}: {key:?}");
        }
    }
}
