//! The posts and troubles of two weeks.

use birdsong_domain::frame::{Frame, FrameError, FrameHeader, Lane, Ledger, PostCount, SlimPost};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{Expected, PartialKey, WindowStore};
use birdsong_domain::post::Kind;
use birdsong_domain::rollup::{DAY_MS, HOUR_MS};
use birdsong_domain::time::WindowStart;
use birdsong_domain::window::{Aggregate, FoldRules, Partial};
use birdsong_testkit::MemoryStore;

use crate::DAY;

/// Days that have posts.
pub(crate) const DAYS: i64 = 18;

/// Puts the windows of a region with much trouble, of one without, and of the ledgers.
pub(crate) struct Weeks<'a> {
    store: &'a MemoryStore,
    rules: FoldRules,
    next_ms: i64,
}

/// Posts with the same hashtag and host.
struct Wave {
    tag: &'static str,
    host: &'static str,
    posts: u64,
    authors: u64,
}

const fn wave(tag: &'static str, host: &'static str, posts: u64, authors: u64) -> Wave {
    Wave { tag, host, posts, authors }
}

impl<'a> Weeks<'a> {
    /// From a time on, in milliseconds.
    pub(crate) fn new(store: &'a MemoryStore, rules: FoldRules, from_ms: i64) -> Self {
        Self { store, rules, next_ms: rules.size.start_of(from_ms).0 }
    }

    /// Puts each window that has begun by `now_ms`.
    pub(crate) async fn put_until(&mut self, now_ms: i64) {
        while self.next_ms < now_ms {
            self.put_window(self.next_ms).await;
            self.next_ms += self.rules.size.ms();
        }
    }

    async fn put_window(&self, start_ms: i64) {
        let (day, hour) = ((start_ms - DAY) / DAY_MS, (start_ms - DAY) % DAY_MS / HOUR_MS);
        let minutes = self.rules.size.ms() / 60_000;
        let rhythm = [2, 1, 1, 1, 1, 2, 3, 4, 5, 6, 6, 7, 7, 7, 6, 6, 6, 7, 8, 8, 7, 6, 4, 3][hour as usize];
        let uneven = (start_ms / 60_000 * 7 % 11) as u64 % 4;
        // As many in an hour, whatever the windows' length.
        let some = |per_quarter: u64| per_quarter * minutes as u64 / 15 + u64::from(minutes < 15);
        let is_silent = day == 15 && (12..16).contains(&hour);
        let is_drop = day == 14 && (8..11).contains(&hour);
        let mut waves = vec![wave("daily", "news.example", some(2), 9), wave("", "", some(rhythm) + uneven, 50)];
        match (day, hour) {
            (13, 10..12) => waves.extend([wave("Goal", "video.example", some(20), 17), wave("Fans", "", some(9), 12)]),
            (13, 15) => waves.push(wave("flood", "spam.example", some(40), 1)),
            (16, 20..24) => waves.push(wave("Finale", "tv.example", some(12), 40)),
            (17, 10..12) => waves.extend([wave("goal", "video.example", some(25), 23), wave("Storm", "", some(7), 30)]),
            _ => {}
        }
        let x = if is_silent { vec![] } else { posts(&waves, start_ms) };
        let rest =
            if is_silent || is_drop { vec![] } else { posts(&[wave("blue", "", some(3) + uneven, 20)], start_ms) };
        let few = if day < 6 { vec![] } else { posts(&[wave("quiet", "", some(2), 5)], start_ms) };
        self.put_ledgers(start_ms, (day, hour), [primary(&x) + primary(&few), primary(&rest)]).await;
        let late = if day == 15 && hour == 2 { HOUR_MS } else { 0 };
        self.put(Lane::posts("a", Network::X, 0), start_ms, x, Ledger::default(), late, false).await;
        self.put(Lane::posts("a", Network::BLUESKY, 0), start_ms, rest, Ledger::default(), 0, false).await;
        if day >= 6 {
            self.put(Lane::posts("b", Network::X, 0), start_ms, few, Ledger::default(), 0, false).await;
        }
        if day == 17 && hour == 2 || day == 10 && hour == 20 {
            self.damage(start_ms).await;
        }
    }

    /// The ledgers of a window. `sent` counts the posts of X and of Bluesky.
    async fn put_ledgers(&self, start_ms: i64, (day, hour): (i64, i64), sent: [u64; 2]) {
        let [of_x, of_bluesky] =
            sent.map(|sent| Ledger { received: sent + 10, sent, filtered: 10, ..Ledger::default() });
        let of_x = match (day, hour) {
            (10, 9..12) => Ledger { missed_ms: 200_000, ..of_x },
            (11, 3..9) => Ledger { unasked_permille: 700 - hour as u64, ..of_x },
            (11, 12) => Ledger { dropped: 5, received: of_x.received + 5, ..of_x },
            (11, 15) => Ledger { withheld: 7, ..of_x },
            // They are not in the windows.
            (16, 14) => Ledger { sent: of_x.sent + 3, received: of_x.received + 3, ..of_x },
            _ => of_x,
        };
        let starts = day == 12 && hour == 5;
        self.put(Lane::ledger(Network::X, "x"), start_ms, vec![], of_x, 0, starts).await;
        // For two hours, nobody listened.
        if !(day == 12 && (6..8).contains(&hour)) {
            self.put(Lane::ledger(Network::BLUESKY, "bluesky"), start_ms, vec![], of_bluesky, 0, starts).await;
        }
    }

    /// Folds one frame, and one more if some of it comes `late_ms` after the windows' end.
    async fn put(&self, lane: Lane, start_ms: i64, posts: Vec<SlimPost>, ledger: Ledger, late_ms: i64, starts: bool) {
        let mut partial = Partial { generation: 1, fence: 7u64.into(), aggregate: Aggregate::default(), stored_ms: 0 };
        let window = WindowStart(start_ms);
        let header = FrameHeader {
            lane: lane.clone(),
            source: "test".into(),
            run: "run".into(),
            counter: if starts { 1 } else { 2 },
            cut_ms: start_ms + self.rules.size.ms() - 1_000,
            live: true,
            ledger,
            ..FrameHeader::default()
        };
        let on_time = posts.len() - if late_ms > 0 { 3.min(posts.len()) } else { 0 };
        let (now, later) = posts.split_at(on_time);
        let frame = Frame { header: header.clone(), posts: now.to_vec(), damage: None };
        partial.aggregate.fold(self.rules, window, &frame);
        if !later.is_empty() {
            let header = FrameHeader { counter: 3, cut_ms: start_ms + self.rules.size.ms() + late_ms, ..header };
            partial.aggregate.fold(self.rules, window, &Frame { header, posts: later.to_vec(), damage: None });
        }
        let key = PartialKey { lane, window };
        self.store.put(&key, &partial, &Expected::Absent).await.unwrap();
    }

    /// Adds a record to the region whose posts cannot be read.
    async fn damage(&self, start_ms: i64) {
        let key = PartialKey { lane: Lane::posts("a", Network::X, 0), window: WindowStart(start_ms) };
        let mut partial = self.store.load(&key).await.unwrap().unwrap();
        let expected = Expected::At { generation: partial.generation, fence: partial.fence.clone() };
        let windows = vec![PostCount { window_ms: start_ms, posts: 6, primary: 4 }];
        let header = FrameHeader { run: "run".into(), counter: 9, cut_ms: start_ms, windows, ..FrameHeader::default() };
        let frame = Frame { header, posts: vec![], damage: Some(FrameError::Checksum) };
        partial.aggregate.fold(self.rules, key.window, &frame);
        partial.fence = 9u64.into();
        self.store.put(&key, &partial, &expected).await.unwrap();
    }
}

fn posts(waves: &[Wave], start_ms: i64) -> Vec<SlimPost> {
    let mut posts = vec![];
    for wave in waves {
        let some = |name: &str| if name.is_empty() { vec![] } else { vec![name.to_owned()] };
        posts.extend((0..wave.posts).map(|n| SlimPost {
            id: u128::from(n),
            time_ms: start_ms + n as i64 * 1_000,
            author: Some((n % wave.authors + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            kind: Kind::ALL[n as usize % 4],
            lang: ["fr", "en", "fr"][n as usize % 3].into(),
            hashtags: some(wave.tag),
            hosts: some(wave.host),
            is_copy: n % 5 == 4,
            ..SlimPost::default()
        }));
    }
    posts
}

fn primary(posts: &[SlimPost]) -> u64 {
    posts.iter().filter(|post| !post.is_copy).count() as u64
}
