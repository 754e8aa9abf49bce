//! What rises in a region now: its hashtags and hosts by score, with the reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use birdsong_domain::crowd::Crowd;
use birdsong_domain::event::Subject;
use birdsong_domain::lane::Lane;
use birdsong_domain::network::Network;
use birdsong_domain::post::Kind;
use birdsong_domain::profile::{Few, Profiles};
use birdsong_domain::rollup::Rollup;
use birdsong_domain::series::Item;
use birdsong_domain::trend::Verdict;
use serde::{Deserialize, Serialize};

use super::fold::{Fold, Scored, State};
use super::history::History;

/// Most hashtags and hosts in the list.
pub const MAX_RISING: usize = 40;
/// Points of a sparkline: six hours in steps of ten minutes, or of a window if that is longer.
const SPARK_POINTS: usize = 36;
const SPARK_MINUTES: usize = 10;
/// From this number of posts on, in thousandths, that are usual in the windows that are compared, a hashtag is evergreen.
const EVERGREEN_MILLI: u64 = 3_000;

/// What a hashtag or host is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It has far more posts than usual.
    Rising,
    /// It has far more posts than is usual for what was not seen in the days before.
    New,
    /// One author wrote more than half of its posts, or hardly anybody else did.
    Flooded,
    /// It has many posts, as usual.
    Evergreen,
}

/// A hashtag or host in the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rising {
    /// The hashtag or host.
    pub subject: Subject,
    /// What it is at the moment.
    pub standing: Standing,
    /// Its score, in thousandths; 0 unless it rises.
    pub score_milli: i64,
    /// The score against the level of the last days, and against the same time of other days.
    pub level_milli: i64,
    /// The same against the same time of other days.
    pub season_milli: i64,
    /// Posts in the last windows, at least.
    pub observed: u64,
    /// Length of these windows, in milliseconds.
    pub span_ms: i64,
    /// Posts as usual, in thousandths.
    pub expected_milli: u64,
    /// Ends of the range in which the number usually is on four of five days.
    pub low_milli: u64,
    /// The upper end.
    pub high_milli: u64,
    /// Since when it rises, in milliseconds; `None` when nothing was reported.
    pub since_ms: Option<i64>,
    /// Distinct authors of these posts: about, at least and at most, with 95 % probability; `None` when not known.
    pub authors: Option<(u64, u64, u64)>,
    /// Share of the largest author, in thousandths: at least and at most.
    pub top_author_permille: Option<(u64, u64)>,
    /// Posts in each step up to now, at least.
    pub spark: Vec<u64>,
    /// Length of these steps, in milliseconds.
    pub spark_step_ms: i64,
    /// What the posts of the last windows are; `None` when it was not stored.
    pub profile: Option<ProfileOf>,
    /// Posts by network.
    pub networks: Vec<(Network, u64)>,
}

/// The profile of the posts with a hashtag.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProfileOf {
    /// Posts that are in it; the first ones of each window are not.
    pub posts: u64,
    /// Posts by kind, in the order of [`Kind::ALL`].
    pub kinds: [u64; Kind::ALL.len()],
    /// The most frequent languages.
    pub languages: Vec<(String, u64)>,
    /// How much their counts may be too low.
    pub languages_error: u64,
    /// The hashtags that most often come with it, by folded key.
    pub tags: Vec<(String, u64)>,
    /// How much their counts may be too low.
    pub tags_error: u64,
}

/// More about the last windows than a day's series keeps.
#[derive(Clone, Debug, Default)]
pub struct Detail {
    profiles: Profiles,
    crowds: BTreeMap<(Item, String), Crowd>,
    networks: BTreeMap<(Item, String), BTreeMap<Network, u64>>,
}

impl Detail {
    /// Hashtags and hosts of each lane of which more is kept.
    const KEPT: usize = 24;

    /// The lanes of one window.
    pub(crate) fn new<'a>(lanes: impl IntoIterator<Item = (&'a Lane, &'a Rollup)>) -> Self {
        let mut detail = Self::default();
        for (lane, rollup) in lanes {
            let (tags, hosts) = (&rollup.aggregate.hashtags, &rollup.aggregate.hosts);
            detail.profiles.merge(&tags.profiles);
            for (item, top) in [(Item::Hashtag, &tags.top), (Item::Host, &hosts.top)] {
                for of in top.iter().flat_map(|top| top.top(Self::KEPT)) {
                    let key = (item, of.key);
                    detail.crowds.entry(key.clone()).or_default().merge(&of.crowd);
                    *detail.networks.entry(key).or_default().entry(lane.network()).or_default() += of.count;
                }
            }
        }
        detail
    }

    fn add(&mut self, other: &Self) {
        self.profiles.merge(&other.profiles);
        for (key, crowd) in &other.crowds {
            self.crowds.entry(key.clone()).or_default().merge(crowd);
        }
        for (key, networks) in &other.networks {
            let of = self.networks.entry(key.clone()).or_default();
            networks.iter().for_each(|(network, posts)| *of.entry(*network).or_default() += posts);
        }
    }
}

fn few(few: &Few) -> Vec<(String, u64)> {
    few.list().into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

/// The list at window `at`: those that rise by score, then the others by posts.
pub(super) fn rising(
    fold: &mut Fold<'_>,
    history: &History,
    state: &State,
    at: usize,
    details: &BTreeMap<i64, Arc<Detail>>,
) -> Vec<Rising> {
    let mut list = vec![];
    for subject in fold.candidates(at) {
        let Ok(scored) = fold.score(&subject, at) else { continue };
        if let Some(rising) = of(fold, history, state, at, details, scored) {
            list.push(rising);
        }
    }
    list.sort_by(|a, b| {
        let rank = |rising: &Rising| (rising.score_milli, rising.observed);
        rank(b).cmp(&rank(a)).then_with(|| a.subject.cmp(&b.subject))
    });
    list.truncate(MAX_RISING);
    list
}

fn of(
    fold: &Fold<'_>,
    history: &History,
    state: &State,
    at: usize,
    details: &BTreeMap<i64, Arc<Detail>>,
    scored: Scored,
) -> Option<Rising> {
    let Scored { subject, score, authors, top_author_permille, is_new } = scored;
    let milli = |value: i64| u64::try_from(value).unwrap_or(0);
    let expected_milli = milli(score.usual.expected_milli);
    let standing = match score.verdict {
        Verdict::Unusual if score.score_milli < super::fold::THETA.theta_milli() / 2 => return None,
        Verdict::Unusual if is_new => Standing::New,
        Verdict::Unusual => Standing::Rising,
        Verdict::Flooded | Verdict::TooFewAuthors => Standing::Flooded,
        Verdict::Usual if expected_milli >= EVERGREEN_MILLI => Standing::Evergreen,
        Verdict::Usual | Verdict::TooFewPosts => return None,
    };
    let key = match &subject {
        Subject::Hashtag { key, .. } => (Item::Hashtag, key.clone()),
        Subject::Host { host } => (Item::Host, host.clone()),
        Subject::Region | Subject::Network { .. } => return None,
    };
    let from_ms = history.start_ms((at + 1).saturating_sub(score.windows));
    let mut detail = Detail::default();
    details.range(from_ms..=history.start_ms(at)).for_each(|(_, of)| detail.add(of));
    let crowd = detail.crowds.get(&key).filter(|crowd| crowd.posts() > 0);
    let estimate = crowd.map(Crowd::authors);
    let profile = detail.profiles.of(&key.1).filter(|_| key.0 == Item::Hashtag).map(|profile| ProfileOf {
        posts: profile.posts,
        kinds: Kind::ALL.map(|kind| profile.kinds.of(kind)),
        languages: few(&profile.languages),
        languages_error: profile.languages.error(),
        tags: few(&profile.tags),
        tags_error: profile.tags.error(),
    });
    let size_ms = fold.size().ms();
    let per_point = (SPARK_MINUTES * 60_000 / size_ms as usize).max(1);
    let first = (at + 1).saturating_sub(per_point * SPARK_POINTS);
    let bounds = history.bounds((key.0, &key.1), first, at + 1);
    let spark = bounds.chunks(per_point).map(|of| of.iter().flatten().map(|(least, _)| least).sum()).collect();
    Some(Rising {
        standing,
        score_milli: score.score_milli,
        level_milli: score.level_milli,
        season_milli: score.season_milli,
        observed: score.observed,
        span_ms: score.windows as i64 * size_ms,
        expected_milli,
        low_milli: milli(score.usual.low_milli),
        high_milli: milli(score.usual.high_milli),
        since_ms: state.since_ms(&subject),
        authors: estimate.map_or(authors.map(|least| (least, least, score.observed.max(least))), |of| {
            Some((of.value, of.low, of.high))
        }),
        top_author_permille: crowd
            .map_or(top_author_permille.map(|share| (share, 1000)), |crowd| Some(crowd.top_author_permille())),
        spark,
        spark_step_ms: per_point as i64 * size_ms,
        profile,
        networks: detail.networks.remove(&key).unwrap_or_default().into_iter().collect(),
        subject,
    })
}
