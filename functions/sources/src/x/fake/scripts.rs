//! Scripts of connections, by name or at random.

use super::{Connection, Step, problem, too_many_connections};
use crate::dice::Dice;

/// A script by its name: `normal`, `trouble`, `silence`, `keep-alives` or `errors`.
#[must_use]
pub fn script(name: &str, seed: u64) -> Option<Vec<Connection>> {
    let posts = || Connection::Stream(vec![Step::Posts(u64::MAX)]);
    let some = |step: Step| Connection::Stream(vec![Step::Posts(60), step]);
    Some(match name {
        "normal" => vec![posts()],
        "trouble" => {
            let mut script = chaos(seed, 50);
            script.push(posts());
            script
        }
        "keep-alives" => vec![Connection::Stream(vec![])],
        "silence" => vec![some(Step::Silence(u64::MAX))],
        "errors" => {
            let mut script = passing_errors();
            script.extend(DISCONNECTS.map(|kind| some(Step::Errors(kind))));
            script.push(some(Step::Close));
            script.push(Connection::Answer(
                402,
                problem("CreditsDepleted", "credits", "the credits are used up", &[("account_id", "1")]),
            ));
            script
        }
        _ => return None,
    })
}

/// Reasons of X to close a stream.
pub const DISCONNECTS: [&str; 6] = [
    "OperationalDisconnect",
    "UpstreamOperationalDisconnect",
    "ForceDisconnect",
    "UpstreamUncleanDisconnect",
    "SlowReader",
    "InternalError",
];

/// Answers after which a client comes back.
#[must_use]
pub fn passing_errors() -> Vec<Connection> {
    vec![
        Connection::Answer(503, problem("Service Unavailable", "", "over capacity", &[])),
        Connection::Answer(500, "<html>".into()),
        Connection::Answer(429, too_many_connections()),
        Connection::RateLimited(300),
        Connection::Answer(429, r#"{"code":32,"message":"slow down"}"#.into()),
        Connection::Answer(
            409,
            problem(
                "ConnectionException",
                "streaming-connection",
                "no rules",
                &[("connection_issue", "RuleConfigurationIssue")],
            ),
        ),
    ]
}

/// A script of this many random connections, followed by keep-alives.
#[must_use]
pub fn chaos(seed: u64, connections: usize) -> Vec<Connection> {
    let mut dice = Dice::of(&[seed]);
    let mut script = vec![];
    for _ in 0..connections {
        if dice.below(6) == 0 {
            let mut answers = passing_errors();
            script.push(answers.swap_remove(dice.below(answers.len() as u64) as usize));
            continue;
        }
        let mut steps = vec![];
        for _ in 0..1 + dice.below(6) {
            steps.push(match dice.below(9) {
                0 => Step::Burst(1 + dice.below(300)),
                1 => Step::KeepAlives(dice.below(120)),
                2 => Step::Silence(dice.below(25)),
                3 => Step::SplitCharacter,
                4 => Step::BadUtf8,
                5 if dice.below(4) == 0 => Step::LongLine,
                6 => Step::Repeat(1 + dice.below(200) as usize),
                7 => Step::ClockJump(dice.below(4000) as i64 - 2000),
                _ => Step::Posts(1 + dice.below(300)),
            });
        }
        steps.push(match dice.below(7) {
            6 => Step::BrokenLine,
            0 => Step::Silence(40 + dice.below(600)),
            1 => Step::HalfLine,
            2 => Step::Break,
            3 => Step::Errors(DISCONNECTS[dice.below(DISCONNECTS.len() as u64) as usize]),
            _ => Step::Close,
        });
        script.push(Connection::Stream(steps));
    }
    script.push(Connection::Stream(vec![]));
    script
}
