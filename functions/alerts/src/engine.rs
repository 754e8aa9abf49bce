//! Which messages are due: a pure function of the alert, its state, the events and the time.

use std::collections::BTreeSet;

use birdsong_domain::alert::Alert;
use birdsong_domain::event::{Event, EventKind};
use birdsong_domain::lane::STREAM;

use crate::state::{Channel, Delivery, MAX_SERIES, MAX_WAITING, Message, Problem, Sent, State, Tried};

/// Events whose peak is older than this when they are seen first are no news, in milliseconds: back-fills and replays.
pub const NEWS_MS: i64 = 7_200_000;
/// How long a try may last. Then somebody else tries, under the same id.
pub const LEASE_MS: i64 = 120_000;
/// Tries of a delivery.
pub const MAX_TRIES: u32 = 3;
/// Wait after the first failure, in milliseconds; four times as long after each further one.
const BACK_OFF_MS: i64 = 60_000;
/// Longest wait that a receiver may ask for, in milliseconds.
const MAX_WAIT_MS: i64 = 3_600_000;
/// Deliveries of an alert that are tried at once.
pub const MAX_AT_ONCE: usize = 16;
/// How long a series is remembered, in milliseconds, at least.
const REMEMBERED_MS: i64 = 86_400_000;
const DAY_MINUTES: i64 = 1_440;

/// The channels of an alert.
#[must_use]
pub fn channels(alert: &Alert) -> Vec<Channel> {
    let all = [
        (alert.webhook.is_some(), Channel::Webhook),
        (alert.email.is_some(), Channel::Email),
        (alert.sns, Channel::Sns),
        (alert.log, Channel::Log),
    ];
    all.into_iter().filter(|(has, _)| *has).map(|(_, channel)| channel).collect()
}

/// Adds the messages that are due to the state, and claims the deliveries that are to be tried now. Returns them, by id.
///
/// The state must be stored before the deliveries are tried, on condition that nobody else has changed it. Then one of
/// several runs at once has them. What [`finish`] does not hear of is retried after [`LEASE_MS`].
#[must_use]
pub fn decide(alert: &Alert, state: &mut State, events: &[Event], now_ms: i64) -> Vec<(String, Delivery)> {
    for message in messages(alert, state, events, now_ms) {
        put(alert, state, message, now_ms);
    }
    forget(alert, state, events, now_ms);
    // What was tried often enough, and whose end nobody heard of.
    let is_lost = |delivery: &Delivery| delivery.tries >= MAX_TRIES && delivery.next_ms <= now_ms;
    let lost: Vec<String> =
        state.waiting.iter().filter(|(_, delivery)| is_lost(delivery)).map(|(id, _)| id.clone()).collect();
    for id in lost {
        give_up(state, &id, "the program ended at each try", now_ms);
    }
    let mut due: Vec<_> = state.waiting.iter_mut().filter(|(_, delivery)| delivery.next_ms <= now_ms).collect();
    due.sort_by_key(|(id, delivery)| (delivery.made_ms, (*id).clone()));
    let claim = |(id, delivery): (&String, &mut Delivery)| {
        delivery.tries += 1;
        delivery.next_ms = now_ms.saturating_add(LEASE_MS);
        (id.clone(), delivery.clone())
    };
    due.into_iter().take(MAX_AT_ONCE).map(claim).collect()
}

/// Notes what became of tries.
pub fn finish(state: &mut State, results: &[(String, Tried)], now_ms: i64) {
    for (id, tried) in results {
        // Otherwise somebody else has finished it after the lease.
        let Some(delivery) = state.waiting.get_mut(id) else { continue };
        match tried {
            Tried::Delivered => {
                state.waiting.remove(id);
                state.delivered += 1;
                state.delivered_ms = Some(now_ms);
            }
            Tried::Failed { reason, .. } if delivery.tries >= MAX_TRIES => give_up(state, id, reason, now_ms),
            Tried::Failed { wait_ms, .. } => {
                let back_off_ms = BACK_OFF_MS << (2 * delivery.tries.saturating_sub(1)).min(16);
                let wait_ms = wait_ms.unwrap_or(0).clamp(0, MAX_WAIT_MS).max(back_off_ms);
                delivery.next_ms = now_ms.saturating_add(wait_ms);
            }
        }
    }
}

fn give_up(state: &mut State, id: &str, reason: &str, now_ms: i64) {
    state.waiting.remove(id);
    state.failed += 1;
    let reason = reason.chars().take(300).collect();
    state.problem = Some(Problem { delivery: id.to_owned(), at_ms: now_ms, reason });
}

/// What identifies the series and kind of an event.
fn series_of(event: &Event) -> String {
    format!("{} {} {}", event.region, event.kind, event.subject.id())
}

/// The messages that are due, without those that were made before.
fn messages(alert: &Alert, state: &mut State, events: &[Event], now_ms: i64) -> Vec<Message> {
    let mut found = vec![];
    let local_ms = alert.time_zone.local_ms(now_ms);
    let minute = local_ms.rem_euclid(DAY_MINUTES * 60_000) / 60_000;
    found.extend(daily(alert, state, now_ms));
    // What goes on or is recent enough is sent when they are over.
    if alert.quiet_hours.is_some_and(|quiet| quiet.contains(u16::try_from(minute).unwrap_or(0))) {
        return found;
    }
    let mut events: Vec<_> = events.iter().filter(|event| is_of(alert, event)).collect();
    events.sort_by_key(|event| (std::cmp::Reverse(event.score_milli.abs()), event.start_ms, event.id.clone()));
    for event in events {
        let series = series_of(event);
        let sent = state.series.get(&series);
        let message = match sent {
            Some(sent) if sent.event == event.id && sent.is_over => None,
            Some(sent) if sent.event == event.id && !event.is_open => {
                let is_sent = alert.resolved;
                let over = Sent { is_over: true, ..sent.clone() };
                state.series.insert(series, over);
                if is_sent {
                    found.push(Message::Over { event: Box::new(event.clone()) });
                }
                continue;
            }
            Some(sent) if now_ms < sent.at_ms.saturating_add(alert.cool_down_ms) => None,
            Some(sent) if sent.event == event.id => {
                let is_stronger = event.score_milli.abs().saturating_mul(2) >= sent.score_milli.abs().saturating_mul(3)
                    && sent.score_milli != 0;
                (is_stronger && is_due(alert, event)).then(|| Message::Stronger { event: Box::new(event.clone()) })
            }
            _ => {
                let is_news = is_due(alert, event) && now_ms.saturating_sub(news_ms(event)) <= NEWS_MS;
                is_news.then(|| Message::New { event: Box::new(event.clone()) })
            }
        };
        let Some(message) = message else { continue };
        let messages = sent.filter(|sent| sent.event == event.id).map_or(0, |sent| sent.messages) + 1;
        let sent = Sent {
            event: event.id.clone(),
            at_ms: now_ms,
            score_milli: event.score_milli,
            messages,
            is_over: !event.is_open,
        };
        state.series.insert(series, sent);
        found.push(message);
    }
    found
}

/// Whether an alert watches for events like this.
fn is_of(alert: &Alert, event: &Event) -> bool {
    let is_here = alert.regions.is_empty() || event.region == STREAM || alert.regions.contains(&event.region);
    is_here && alert.kinds.contains(&event.kind)
}

/// Whether it is large enough.
fn is_due(alert: &Alert, event: &Event) -> bool {
    match event.kind {
        EventKind::Rising | EventKind::Spike => {
            event.score_milli >= alert.sensitivity.theta_milli() && event.observed >= alert.minimum
        }
        // These have few posts by nature, and one threshold.
        EventKind::Drop | EventKind::Silence => event.expected_milli / 1000 >= alert.minimum,
        _ => true,
    }
}

/// When it was news: at its peak, or at its end so far.
fn news_ms(event: &Event) -> i64 {
    if event.kind.is_comparison() && event.peak_ms > event.start_ms {
        event.peak_ms
    } else {
        event.end_ms.max(event.start_ms)
    }
}

/// The digest of yesterday, when it is due.
fn daily(alert: &Alert, state: &mut State, now_ms: i64) -> Option<Message> {
    let (today_ms, _) = alert.time_zone.day_of(now_ms);
    let due_ms = today_ms.saturating_add(i64::from(alert.daily?) * 60_000);
    let (day_ms, _) = alert.time_zone.day_of(today_ms.saturating_sub(1));
    let is_due = now_ms >= due_ms && now_ms.saturating_sub(due_ms) <= NEWS_MS;
    if !is_due || state.daily_ms.is_some_and(|last_ms| last_ms >= day_ms) {
        return None;
    }
    state.daily_ms = Some(day_ms);
    Some(Message::Daily { day_ms })
}

/// Adds a delivery for each channel, unless there are too many.
fn put(alert: &Alert, state: &mut State, message: Message, now_ms: i64) {
    let channels = channels(alert);
    if state.waiting.len() + channels.len() > MAX_WAITING {
        state.skipped += 1;
        return;
    }
    for channel in channels {
        let id = id_of(alert, state, &message, channel);
        let delivery = Delivery { channel, message: message.clone(), made_ms: now_ms, tries: 0, next_ms: now_ms };
        state.waiting.insert(id, delivery);
    }
}

/// The id of a delivery: the same for whoever makes it. Receivers that have seen it can leave it out.
fn id_of(alert: &Alert, state: &State, message: &Message, channel: Channel) -> String {
    let what = match message {
        Message::Daily { day_ms } => format!("{day_ms:x}"),
        Message::New { event } | Message::Over { event } | Message::Test { event } => event.id.clone(),
        Message::Stronger { event } => {
            let number = state.series.get(&series_of(event)).map_or(0, |sent| sent.messages);
            format!("{}-{number}", event.id)
        }
    };
    format!("{}-{what}-{}-{}", alert.id, message.name(), channel.as_str())
}

/// Bounds what is remembered.
fn forget(alert: &Alert, state: &mut State, events: &[Event], now_ms: i64) {
    let current: BTreeSet<&str> = events.iter().map(|event| &*event.id).collect();
    let kept_ms = alert.cool_down_ms.max(REMEMBERED_MS);
    state.series.retain(|_, sent| current.contains(&*sent.event) || now_ms.saturating_sub(sent.at_ms) <= kept_ms);
    while state.series.len() > MAX_SERIES {
        let oldest = state.series.iter().min_by_key(|(_, sent)| sent.at_ms).map(|(series, _)| series.clone());
        let Some(oldest) = oldest else { break };
        state.series.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use birdsong_domain::alert::QuietHours;
    use birdsong_domain::event::Subject;
    use birdsong_domain::event::text::UtcOffset;
    use birdsong_domain::trend::Sensitivity;

    use super::*;

    /// 2026-11-26T20:00:00Z.
    const NOW: i64 = 1_795_723_200_000;
    const MINUTE: i64 = 60_000;

    fn alert() -> Alert {
        Alert { id: "x".into(), log: true, ..Alert::default() }
    }

    fn spike(start_ms: i64, score_milli: i64) -> Event {
        Event {
            is_open: true,
            end_ms: start_ms + 15 * MINUTE,
            peak_ms: start_ms + 15 * MINUTE,
            observed: 50,
            expected_milli: 20_000,
            score_milli,
            ..Event::new("a", EventKind::Spike, Subject::Region, start_ms)
        }
    }

    /// The messages of runs with these events, a run a minute; all delivered.
    fn run(alert: &Alert, state: &mut State, now_ms: i64, events: &[Event]) -> Vec<&'static str> {
        let due = decide(alert, state, events, now_ms);
        let results: Vec<_> = due.iter().map(|(id, _)| (id.clone(), Tried::Delivered)).collect();
        finish(state, &results, now_ms);
        due.iter().map(|(_, delivery)| delivery.message.name()).collect()
    }

    fn is_sent(alert: &Alert, event: Event) -> bool {
        !run(alert, &mut State::default(), NOW, &[event]).is_empty()
    }

    #[test]
    fn regions_kinds_scores_and_minimums_choose() {
        let event = spike(NOW - 20 * MINUTE, 4_000);
        assert!(is_sent(&alert(), event.clone()));
        assert!(!is_sent(&alert(), Event { score_milli: 3_999, ..event.clone() }));
        let with = |sensitivity| Alert { sensitivity, ..alert() };
        assert!(is_sent(&with(Sensitivity::Sensitive), Event { score_milli: 3_000, ..event.clone() }));
        assert!(!is_sent(&with(Sensitivity::Strict), Event { score_milli: 6_999, ..event.clone() }));
        assert!(is_sent(&Alert { minimum: 50, ..alert() }, event.clone()));
        assert!(!is_sent(&Alert { minimum: 51, ..alert() }, event.clone()));
        assert!(!is_sent(&Alert { regions: vec!["b".into()], ..alert() }, event.clone()));
        assert!(is_sent(&Alert { regions: vec!["b".into(), "a".into()], ..alert() }, event.clone()));
        assert!(!is_sent(&Alert { kinds: vec![EventKind::Gap], ..alert() }, event.clone()));
        let gap = Event { kind: EventKind::Gap, region: STREAM.into(), score_milli: 0, ..event.clone() };
        assert!(is_sent(&Alert { kinds: vec![EventKind::Gap], regions: vec!["b".into()], ..alert() }, gap));
        let silence = Event { kind: EventKind::Silence, observed: 0, score_milli: 0, ..event };
        assert!(is_sent(&Alert { minimum: 20, ..alert() }, silence.clone()));
        assert!(!is_sent(&Alert { minimum: 21, ..alert() }, silence));
    }

    #[test]
    fn what_is_old_when_it_is_first_seen_is_no_news() {
        let peak = |peak_ms: i64| Event { peak_ms, end_ms: peak_ms, ..spike(NOW - 5 * NEWS_MS, 20_000) };
        assert!(is_sent(&alert(), peak(NOW - NEWS_MS)));
        assert!(!is_sent(&alert(), peak(NOW - NEWS_MS - 1)));
        let gap = Event { kind: EventKind::Gap, ..peak(NOW - NEWS_MS - 1) };
        assert!(!is_sent(&Alert { kinds: vec![EventKind::Gap], ..alert() }, gap));
    }

    #[test]
    fn an_event_that_goes_on_is_sent_again_when_its_score_has_risen_by_half() {
        let (mut state, alert) = (State::default(), Alert { cool_down_ms: 30 * MINUTE, ..alert() });
        let event = |score| spike(NOW, score);
        let mut at = |minute: i64, score| run(&alert, &mut state, NOW + minute * MINUTE, &[event(score)]);
        assert_eq!(at(0, 10_000), ["new"]);
        assert!(at(10, 20_000).is_empty(), "the cool-down goes on");
        assert!(at(30, 14_999).is_empty());
        assert_eq!(at(31, 15_000), ["stronger"]);
        assert!(at(90, 22_000).is_empty(), "compared with what was sent last");
        assert_eq!(at(91, 22_500), ["stronger"]);
    }

    #[test]
    fn the_cool_down_is_for_each_series_and_kind() {
        let (mut state, alert) = (State::default(), alert());
        let mut at = |minute: i64, event: Event| run(&alert, &mut state, NOW + minute * MINUTE, &[event]).len();
        assert_eq!(at(0, spike(NOW, 10_000)), 1);
        assert_eq!(at(119, spike(NOW + 100 * MINUTE, 10_000)), 0, "another event of the series");
        let other = Event::new("a", EventKind::Spike, Subject::Host { host: "h".into() }, NOW + 100 * MINUTE);
        let other = Event { observed: 9, score_milli: 10_000, ..other };
        assert_eq!(at(119, other), 1);
        assert_eq!(at(119, Event { kind: EventKind::Silence, ..spike(NOW + 100 * MINUTE, 0) }), 1);
        assert_eq!(at(120, spike(NOW + 100 * MINUTE, 10_000)), 1);
    }

    #[test]
    fn the_end_is_sent_once_when_it_is_wanted_and_the_event_was_sent() {
        for resolved in [true, false] {
            let (mut state, alert) = (State::default(), Alert { resolved, ..alert() });
            let over = Event { is_open: false, ..spike(NOW, 10_000) };
            let mut at = |minute: i64, event: &Event| {
                run(&alert, &mut state, NOW + minute * MINUTE, std::slice::from_ref(event))
            };
            assert_eq!(at(0, &spike(NOW, 10_000)), ["new"]);
            assert_eq!(at(5, &over), if resolved { vec!["over"] } else { vec![] });
            assert!(at(6, &over).is_empty());
            // One that is over when it is seen first has no other end.
            let late = Event { is_open: false, ..spike(NOW + 200 * MINUTE, 10_000) };
            assert_eq!(at(220, &late), ["new"]);
            assert!(at(221, &late).is_empty());
        }
    }

    #[test]
    fn nothing_is_sent_in_quiet_hours_and_what_goes_on_is_sent_after_them() {
        let quiet_hours = Some(QuietHours { from: 22 * 60, to: 7 * 60 });
        let alert = Alert { quiet_hours, time_zone: UtcOffset::parse("+02:00").unwrap(), ..alert() };
        // 20:00 UTC is 22:00 there.
        assert!(!is_sent(&alert, spike(NOW - 20 * MINUTE, 10_000)));
        assert!(!run(&alert, &mut State::default(), NOW - 1, &[spike(NOW - 20 * MINUTE, 10_000)]).is_empty());
        let (mut state, morning) = (State::default(), NOW + 9 * 60 * MINUTE);
        let goes_on = Event { peak_ms: morning - 60 * MINUTE, ..spike(morning - 180 * MINUTE, 10_000) };
        assert!(run(&alert, &mut state, morning - MINUTE, std::slice::from_ref(&goes_on)).is_empty());
        assert_eq!(run(&alert, &mut state, morning, &[goes_on]), ["new"]);
    }

    #[test]
    fn the_daily_digest_is_of_the_day_before_there() {
        let alert = Alert { daily: Some(420), time_zone: UtcOffset::parse("-05:00").unwrap(), ..alert() };
        // 07:00 there is 12:00 UTC.
        let due_ms = NOW - 8 * 60 * MINUTE;
        let mut state = State::default();
        assert!(decide(&alert, &mut state, &[], due_ms - 1).is_empty());
        let due = decide(&alert, &mut state, &[], due_ms);
        // 2026-11-25T05:00:00Z.
        assert_eq!(due[0].1.message, Message::Daily { day_ms: NOW - 39 * 60 * MINUTE });
        assert!(decide(&alert, &mut state, &[], due_ms + 1).is_empty());
        assert!(decide(&alert, &mut State::default(), &[], due_ms + NEWS_MS + 1).is_empty(), "started later");
    }

    #[test]
    fn the_state_is_bounded() {
        let (mut state, alert) = (State::default(), Alert { email: None, sns: true, ..alert() });
        let events: Vec<_> = (0..600)
            .map(|n| Event {
                observed: 9,
                score_milli: 10_000 + n,
                ..Event::new("a", EventKind::Rising, Subject::Host { host: format!("{n}.example") }, NOW)
            })
            .collect();
        let due = decide(&alert, &mut state, &events, NOW);
        assert_eq!((due.len(), state.waiting.len(), state.series.len()), (MAX_AT_ONCE, MAX_WAITING, MAX_SERIES));
        assert_eq!(state.skipped, 550);
        let size = serde_json::to_vec(&state).unwrap().len();
        assert!(size < birdsong_domain::ports::MAX_DOCUMENT_BYTES / 2, "{size}");
        // They are the most unusual ones.
        assert!(state.waiting.values().all(|delivery| delivery.message.event().unwrap().score_milli >= 10_550));
    }
}
