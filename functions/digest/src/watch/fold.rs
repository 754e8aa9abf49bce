//! Events from the windows of a region, one window after the other. Pure: the same windows give the same events.

use std::collections::BTreeMap;
use std::collections::hash_map::{Entry, HashMap};

use birdsong_domain::event::{Carrier, Event, EventKind, GapReason, MAX_CARRIERS, Subject};
use birdsong_domain::lane::STREAM;
use birdsong_domain::series::evidence;
use birdsong_domain::time::WindowSize;
use birdsong_domain::trend::{
    Evidence, Fall, MIN_POSTS, NEW_SHARE_PPM, NoScore, Past, Scale, Score, Sensitivity, Step, Tracker,
};
use serde::{Deserialize, Serialize};

use super::history::{History, State as Watched};

/// Gaps, samples and revisions that are closer than this are one event, in milliseconds.
const CLOSE_MS: i64 = 3_600_000;
/// Most hashtags and hosts of a region that have something to compare with at the same time.
const MAX_TRACKED: usize = 500;

/// What goes on in a region, and what was reported: all that the next window needs besides the counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// By subject ([`Subject::id`]).
    trackers: BTreeMap<String, Tracker>,
    /// Events that have not ended, by kind and subject.
    open: BTreeMap<String, Event>,
}

impl State {
    /// Since when a hashtag or host rises, when it does, in milliseconds.
    pub(super) fn since_ms(&self, subject: &Subject) -> Option<i64> {
        self.open.get(&format!("{}{}", EventKind::Rising, subject.id())).map(|event| event.start_ms)
    }

    /// Events that have not ended.
    pub(super) fn open(&self) -> impl Iterator<Item = &Event> {
        self.open.values()
    }
}

/// A series and what it is compared with.
struct Series {
    past: Past,
    is_new: bool,
}

/// Goes through the windows of a region.
pub(super) struct Fold<'a> {
    history: &'a History,
    region: &'a str,
    scale: Scale,
    size: WindowSize,
    /// Whether many windows are gone through.
    is_long: bool,
    total: Past,
    series: HashMap<(String, usize), Series>,
}

/// From this many windows on, it is worth preparing a series for many scores.
const MANY: usize = 8;

fn past(scale: Scale, counts: &[Option<u32>], is_long: bool) -> Past {
    if is_long { Past::for_many(scale, counts) } else { Past::new(scale, counts) }
}

/// The score of a series at a window, and who wrote its posts.
pub(super) struct Scored {
    pub(super) subject: Subject,
    pub(super) score: Score,
    pub(super) authors: Option<u64>,
    pub(super) top_author_permille: Option<u64>,
    pub(super) is_new: bool,
}

impl<'a> Fold<'a> {
    /// To go through `windows` windows of a region.
    pub(super) fn new(history: &'a History, region: &'a str, size: WindowSize, windows: usize) -> Self {
        let (scale, is_long) = (Scale::from(size), windows > MANY);
        let total = past(scale, history.total(), is_long);
        Self { history, region, scale, size, is_long, total, series: HashMap::new() }
    }

    pub(super) fn size(&self) -> WindowSize {
        self.size
    }

    fn end_ms(&self, at: usize) -> i64 {
        self.history.start_ms(at) + self.size.ms()
    }

    /// The series of a subject. What is new on a day is so all day.
    fn series(&mut self, subject: &Subject, at: usize) -> &Series {
        let (history, scale, is_long) = (self.history, self.scale, self.is_long);
        match self.series.entry((subject.id(), at / scale.day)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(Series {
                past: past(scale, &history.series(subject), is_long),
                is_new: !history.was_seen_before(subject, at),
            }),
        }
    }

    /// Who wrote the posts of the short and of the long sum.
    fn evidence(&self, subject: &Subject, at: usize) -> [(Evidence, Option<u64>, Option<u64>); 2] {
        [self.scale.sum, self.scale.long].map(|windows| {
            let from = (at + 1).saturating_sub(windows);
            match subject {
                // One author can make a whole region unusual, and people want to see that.
                Subject::Region => return (Evidence::default(), self.history.authors(None, from, at), None),
                Subject::Network { network } => {
                    return (Evidence::default(), self.history.authors(Some(*network), from, at), None);
                }
                Subject::Hashtag { .. } | Subject::Host { .. } => {}
            }
            let (authors, top) = evidence(self.history.entries(subject, from, at));
            // Sources without authors prove nothing.
            let known = (authors > 0).then_some(authors);
            let evidence = Evidence {
                authors: known.map(|authors| u32::try_from(authors).unwrap_or(u32::MAX)),
                top_author_permille: top.filter(|_| known.is_some()).map(|top| u16::try_from(top).unwrap_or(1000)),
            };
            (evidence, known, top)
        })
    }

    /// Scores a series at a window.
    pub(super) fn score(&mut self, subject: &Subject, at: usize) -> Result<Scored, NoScore> {
        let of = self.evidence(subject, at);
        let evidence = of.map(|(evidence, ..)| evidence);
        let scale = self.scale;
        let (mut score, is_new) = match subject {
            Subject::Region => (self.total.score(at, evidence)?, false),
            _ => {
                let series = self.series(subject, at);
                (series.past.score(at, evidence)?, series.is_new)
            }
        };
        if is_new {
            // Nothing is usual for what was never seen; a share of the region's posts is.
            let observed = [scale.sum, scale.long].map(|windows| {
                let entries = self.history.entries(subject, (at + 1).saturating_sub(windows), at);
                entries.iter().map(|entry| entry.posts).sum()
            });
            let by_region = self.total.score_new(at, observed, NEW_SHARE_PPM, evidence)?;
            if by_region.score_milli < score.score_milli {
                score = by_region;
            }
        }
        let (_, authors, top_author_permille) = of[usize::from(score.windows != scale.sum)];
        Ok(Scored { subject: subject.clone(), score, authors, top_author_permille, is_new })
    }

    /// Hashtags and hosts with enough posts up to a window to be scored.
    pub(super) fn candidates(&self, at: usize) -> Vec<Subject> {
        let from = (at + 1).saturating_sub(self.scale.long);
        let mut items = self.history.items(from, at, MIN_POSTS);
        // The heaviest, and the first by name of equals.
        items.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        items.truncate(MAX_TRACKED);
        items.into_iter().map(|(subject, _)| subject).collect()
    }

    /// Takes window `at` into account. What starts, goes on or ends is written to `events`, by id.
    pub(super) fn advance(&mut self, at: usize, state: &mut State, events: &mut BTreeMap<String, Event>) {
        if self.region == STREAM {
            self.collection(at, state, events);
            return;
        }
        self.revision(at, state, events);
        let networks = self.history.networks(at);
        let of_networks = networks.iter().map(|network| Subject::Network { network: *network });
        let totals = std::iter::once(Subject::Region).chain(of_networks.filter(|_| networks.len() > 1));
        for subject in totals.collect::<Vec<_>>() {
            self.falls(&subject, at, state, events);
            self.rises(EventKind::Spike, &subject, at, state, events);
        }
        let mut items = self.candidates(at);
        // Those that go on, though they have few posts now.
        for event in state.open.values() {
            if event.kind == EventKind::Rising && items.iter().all(|item| item.id() != event.subject.id()) {
                items.push(event.subject.clone());
            }
        }
        items.sort();
        for subject in &items {
            self.rises(EventKind::Rising, subject, at, state, events);
        }
        if at.is_multiple_of(self.scale.day) {
            let (scale, window) = (self.scale, self.number(at));
            state.trackers.retain(|_, tracker| {
                tracker.open.is_some() || tracker.decayed_milli(scale, window) > THETA.theta_milli() / 2
            });
        }
    }

    /// The number of a window since 1970.
    fn number(&self, at: usize) -> i64 {
        self.history.start_ms(at).div_euclid(self.size.ms())
    }

    fn rises(
        &mut self,
        kind: EventKind,
        subject: &Subject,
        at: usize,
        state: &mut State,
        events: &mut BTreeMap<String, Event>,
    ) {
        let Ok(scored) = self.score(subject, at) else { return };
        let (id, window) = (subject.id(), self.number(at));
        if scored.score.score_milli < THETA.theta_milli() / 2 && !state.trackers.contains_key(&id) {
            return;
        }
        let tracker = state.trackers.entry(id.clone()).or_default();
        let step = tracker.advance(self.scale, window, scored.score.score_milli, THETA.theta_milli());
        let open = format!("{kind}{id}");
        match step {
            Step::Quiet => {}
            Step::Opened => {
                let start_ms = self.since_ms(subject, at, &scored.score);
                let mut event = Event::new(self.region, kind, subject.clone(), start_ms);
                event.is_open = true;
                event.is_new = scored.is_new;
                self.peak(&mut event, &scored, at);
                event.end_ms = self.end_ms(at);
                events.insert(event.id.clone(), event.clone());
                state.open.insert(open, event);
            }
            Step::GoesOn { .. } => {
                let Some(mut event) = state.open.remove(&open) else { return };
                if scored.score.score_milli > event.score_milli {
                    self.peak(&mut event, &scored, at);
                }
                if scored.score.score_milli >= THETA.theta_milli() / 2 {
                    event.end_ms = self.end_ms(at);
                }
                events.insert(event.id.clone(), event.clone());
                state.open.insert(open, event);
            }
            Step::Ended { .. } => close(&open, state, events),
        }
    }

    /// Start of the first window of the sum that has more than half of its share of the posts.
    fn since_ms(&mut self, subject: &Subject, at: usize, score: &Score) -> i64 {
        let from = (at + 1).saturating_sub(score.windows);
        let counts = match subject {
            Subject::Region | Subject::Network { .. } => self.history.series(subject),
            _ => {
                let mut counts = vec![Some(0); from];
                let of = |at| self.history.entries(subject, at, at).first().map_or(0, |entry| entry.posts);
                counts.extend((from..=at).map(|at| Some(u32::try_from(of(at)).unwrap_or(u32::MAX))));
                counts
            }
        };
        let is_part = |at: &usize| {
            let posts = counts.get(*at).copied().flatten().unwrap_or(0);
            u64::from(posts) * score.windows as u64 * 2 >= score.observed
        };
        self.history.start_ms((from..=at).find(is_part).unwrap_or(at))
    }

    /// Notes what a series is at the highest score so far.
    fn peak(&mut self, event: &mut Event, scored: &Scored, at: usize) {
        let score = &scored.score;
        let milli = |value: i64| u64::try_from(value).unwrap_or(0);
        event.peak_ms = self.end_ms(at);
        event.observed = score.observed;
        event.span_ms = score.windows as i64 * self.size.ms();
        event.expected_milli = milli(score.usual.expected_milli);
        event.low_milli = milli(score.usual.low_milli);
        event.high_milli = milli(score.usual.high_milli);
        event.score_milli = score.score_milli;
        event.level_milli = score.level_milli;
        event.season_milli = score.season_milli;
        event.authors = scored.authors;
        event.top_author_permille = scored.top_author_permille;
        event.baseline_days = score.good_days.into();
        event.missing_permille = score.missing_permille.into();
        if event.kind == EventKind::Spike {
            event.carriers = self.carriers(at, score.windows);
        }
    }

    /// The hashtags and hosts that rose most in the last windows.
    fn carriers(&mut self, at: usize, windows: usize) -> Vec<Carrier> {
        let from = (at + 1).saturating_sub(windows);
        let mut carriers = vec![];
        for (subject, observed) in self.history.items(from, at, MIN_POSTS) {
            let past = &self.series(&subject, at).past;
            let usual = past.usual(from, at + 1).map_or(0, |usual| u64::try_from(usual.expected_milli).unwrap_or(0));
            if observed * 1000 > usual {
                carriers.push(Carrier { subject, observed, expected_milli: usual });
            }
        }
        let rise = |carrier: &Carrier| carrier.observed * 1000 - carrier.expected_milli;
        carriers.sort_by(|a, b| rise(b).cmp(&rise(a)).then_with(|| a.subject.cmp(&b.subject)));
        carriers.truncate(MAX_CARRIERS);
        carriers
    }

    /// Drops and silences.
    fn falls(&mut self, subject: &Subject, at: usize, state: &mut State, events: &mut BTreeMap<String, Event>) {
        let network = match subject {
            Subject::Network { network } => Some(*network),
            _ => None,
        };
        let is_alive = self.history.is_alive(at, network);
        let fall = match subject {
            Subject::Region => self.total.fall(at, is_alive),
            _ => self.series(subject, at).past.fall(at, is_alive),
        };
        let [drop, silence] = [EventKind::Drop, EventKind::Silence].map(|kind| format!("{kind}{}", subject.id()));
        let (kind, since) = match fall {
            Ok(Fall::Drop { .. }) => (EventKind::Drop, (at + 1).saturating_sub(self.scale.sum)),
            Ok(Fall::Silence { since, .. }) => (EventKind::Silence, since),
            Ok(Fall::Usual) => {
                close(&drop, state, events);
                close(&silence, state, events);
                return;
            }
            // Nothing is known: what goes on may do so.
            Ok(Fall::CannotTell | Fall::NotProven) | Err(_) => return,
        };
        let open = if kind == EventKind::Drop { &drop } else { &silence };
        // A silence takes the place of a drop.
        close(if kind == EventKind::Drop { &silence } else { &drop }, state, events);
        let mut event = state.open.remove(open).unwrap_or_else(|| {
            let mut event = Event::new(self.region, kind, subject.clone(), self.history.start_ms(since));
            event.is_open = true;
            event
        });
        let end_ms = self.end_ms(at);
        event.end_ms = end_ms;
        let milli = |value: i64| u64::try_from(value).unwrap_or(0);
        match fall {
            Ok(Fall::Drop { observed, usual, season_milli }) if -season_milli > event.score_milli => {
                event.peak_ms = end_ms;
                event.observed = observed;
                event.span_ms = self.scale.sum as i64 * self.size.ms();
                event.expected_milli = milli(usual.expected_milli);
                event.low_milli = milli(usual.low_milli);
                event.high_milli = milli(usual.high_milli);
                event.score_milli = -season_milli;
                event.season_milli = season_milli;
            }
            Ok(Fall::Silence { since, expected_milli }) => {
                event.peak_ms = end_ms;
                event.span_ms = (at + 1 - since) as i64 * self.size.ms();
                event.expected_milli = milli(expected_milli);
                event.score_milli = expected_milli;
            }
            _ => {}
        }
        events.insert(event.id.clone(), event.clone());
        state.open.insert(open.clone(), event);
    }

    /// Windows that changed after they were final.
    fn revision(&mut self, at: usize, state: &mut State, events: &mut BTreeMap<String, Event>) {
        let (is_revised, late) = self.history.revised(at, at + 1);
        self.fact(EventKind::Revision, &Subject::Region, at, is_revised, state, events, |event| {
            event.late += late.change.and_then(|late| u64::try_from(late).ok()).unwrap_or(0);
            event.late_ms = event.late_ms.max(late.at_ms);
        });
    }

    /// Gaps, samples and restarts of the sources, by network.
    fn collection(&mut self, at: usize, state: &mut State, events: &mut BTreeMap<String, Event>) {
        for network in self.history.networks(at) {
            let subject = Subject::Network { network };
            let before = at.checked_sub(1).map_or(Watched::Unknown, |before| self.history.state(before, network));
            let now = self.history.state(at, network);
            let is_open = state.open.contains_key(&format!("{}{}", EventKind::Gap, subject.id()));
            let gap = match now {
                Watched::Gap(reason) => Some(reason),
                Watched::Unknown if is_open || before != Watched::Unknown => Some(GapReason::Unwatched),
                _ => None,
            };
            self.fact(EventKind::Gap, &subject, at, gap.is_some(), state, events, |event| {
                event.reason = event.reason.max(gap);
            });
            let unasked = if let Watched::Sampled(unasked) = now { Some(unasked) } else { None };
            self.fact(EventKind::Sampled, &subject, at, unasked.is_some(), state, events, |event| {
                let share = unasked.map(|unasked| 1000u64.saturating_sub(unasked));
                event.sampled_permille = [event.sampled_permille, share].into_iter().flatten().min();
            });
            let is_restart = self.history.is_restart(at, network) && before != Watched::Unknown;
            self.fact(EventKind::Restart, &subject, at, is_restart, state, events, |_| {});
        }
    }

    /// Notes whether a fact holds in a window: its event starts, goes on, or ends when it has not held for a while.
    #[allow(clippy::too_many_arguments, reason = "the same for four kinds")]
    fn fact(
        &self,
        kind: EventKind,
        subject: &Subject,
        at: usize,
        holds: bool,
        state: &mut State,
        events: &mut BTreeMap<String, Event>,
        note: impl Fn(&mut Event),
    ) {
        let open = format!("{kind}{}", subject.id());
        if holds {
            let mut event = state.open.remove(&open).unwrap_or_else(|| {
                let mut event = Event::new(self.region, kind, subject.clone(), self.history.start_ms(at));
                event.is_open = true;
                event
            });
            event.end_ms = self.end_ms(at);
            event.windows += 1;
            note(&mut event);
            events.insert(event.id.clone(), event.clone());
            state.open.insert(open, event);
        } else if state.open.get(&open).is_some_and(|event| self.end_ms(at) - event.end_ms >= CLOSE_MS) {
            close(&open, state, events);
        }
    }
}

/// The threshold at which events are kept. Whoever reads them may want only higher ones.
pub(super) const THETA: Sensitivity = Sensitivity::Sensitive;

fn close(open: &str, state: &mut State, events: &mut BTreeMap<String, Event>) {
    if let Some(mut event) = state.open.remove(open) {
        event.is_open = false;
        events.insert(event.id.clone(), event);
    }
}
