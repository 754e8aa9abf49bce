//! The ledger: what became of each post of a source.

use serde::{Deserialize, Serialize};

use super::is_default;

/// The outcome of the lines of a source. `received = sent + filtered + quarantined + duplicates +
/// dropped`, where a post that matches several regions is sent once here (rule 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    /// Posts that came from the source, readable or not.
    pub received: u64,
    /// Posts that matched at least one region and are in the log.
    pub sent: u64,
    /// Posts that matched no region, and notices that are not posts.
    pub filtered: u64,
    /// Lines that could not be read; they are in quarantine with their reason.
    pub quarantined: u64,
    /// Posts seen before.
    pub duplicates: u64,
    /// Posts dropped because the log was unavailable and the spool full.
    pub dropped: u64,
    /// Milliseconds in which the source was disconnected and whose posts will not come any more;
    /// no posts, so not part of the balance.
    #[serde(skip_serializing_if = "is_default")]
    pub missed_ms: u64,
    /// Of 1000 posts of the source, those that it was not asked for, to stay within a budget; 0 when
    /// all were. The largest of the time that the ledger covers, and no part of the balance.
    #[serde(skip_serializing_if = "is_default")]
    pub unasked_permille: u64,
    /// Posts that the source reports as not delivered (`limit` notices of v1.1 streams); no part of the
    /// balance.
    #[serde(skip_serializing_if = "is_default")]
    pub withheld: u64,
}

impl Ledger {
    /// Adds another ledger's counts. The order in which ledgers are added does not matter.
    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.sent += other.sent;
        self.filtered += other.filtered;
        self.quarantined += other.quarantined;
        self.duplicates += other.duplicates;
        self.dropped += other.dropped;
        self.missed_ms += other.missed_ms;
        self.withheld += other.withheld;
        self.unasked_permille = self.unasked_permille.max(other.unasked_permille);
    }

    /// Whether every received post is accounted for.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.received == self.sent + self.filtered + self.quarantined + self.duplicates + self.dropped
    }

    /// Whether nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ledger() -> impl Strategy<Value = Ledger> {
        (prop::array::uniform8(0u64..1 << 40), 0u64..=1000).prop_map(|(n, unasked_permille)| Ledger {
            received: n[0],
            sent: n[1],
            filtered: n[2],
            quarantined: n[3],
            duplicates: n[4],
            dropped: n[5],
            missed_ms: n[6],
            withheld: n[7],
            unasked_permille,
        })
    }

    // Rule 3.1.
    #[test]
    fn a_ledger_balances_when_each_post_has_one_outcome() {
        let ledger = Ledger {
            received: 31,
            sent: 1,
            filtered: 2,
            quarantined: 4,
            duplicates: 8,
            dropped: 16,
            ..Ledger::default()
        };
        let other = Ledger { missed_ms: 32, withheld: 64, unasked_permille: 128, ..ledger };
        assert!(ledger.balances() && other.balances());
        for unbalanced in [
            Ledger { received: 32, ..ledger },
            Ledger { sent: 0, ..ledger },
            Ledger { filtered: 0, ..ledger },
            Ledger { quarantined: 0, ..ledger },
            Ledger { duplicates: 0, ..ledger },
            Ledger { dropped: 0, ..ledger },
        ] {
            assert!(!unbalanced.balances(), "{unbalanced:?}");
        }
    }

    proptest! {
        // Rule 1.6.
        #[test]
        fn ledgers_add_up_to_the_same_in_any_order(a in ledger(), b in ledger(), c in ledger()) {
            let sum = |ledgers: [Ledger; 3]| {
                ledgers.iter().fold(Ledger::default(), |mut sum, ledger| {
                    sum.add(ledger);
                    sum
                })
            };
            let mut bc = b;
            bc.add(&c);
            prop_assert_eq!(sum([a, b, c]), sum([c, a, b]));
            prop_assert_eq!(sum([a, b, c]), sum([Ledger::default(), bc, a]));
        }
    }
}
