//! What the demo plants among its posts: things to find, and things that only look like it.
//!
//! Each hour something starts in one of the regions, in an order that is drawn anew for each round: whenever somebody
//! looks, the newest one is on or has just ended. Three a day are large enough to lift the region (a goal, a storm), the
//! others lift a hashtag or a host. Twice a day one author floods a hashtag; a bot and a popular hashtag return every
//! day. All of it follows from the seed and the time alone.

use super::draw::Dice;
use super::rhythm::Rhythm;

const HOUR_SECS: i64 = 3600;
/// Of this many things that start, one an hour, one lifts its region.
const BLOCK: i64 = 8;
/// Nothing that starts on the hour lasts longer.
const LONGEST_SECS: i64 = 4 * HOUR_SECS;
const FLOOD_EVERY_SECS: i64 = 12 * HOUR_SECS;
const FLOOD_SECS: i64 = 90 * 60;
const FLOOD_POSTS: f64 = 320.0;
const BOT_POSTS: f64 = 24.0;
const BOT_SECS: i64 = 20 * 60;

/// The hashtag of everybody's midday.
pub(super) const EVERGREEN: &str = "Lunch";
const PLACES: &[&str] = &["Lantern", "Maple", "River", "Harbour", "Sunrise", "Skyline", "Garden", "Island", "Bridge"];
const FEASTS: &[&str] = &["Fest", "Parade", "Days", "Fair", "Nights", "Expo", "Run"];
const REPORTS: &[&str] = &["report", "dossier", "liveblog", "petition", "archive", "leak"];

/// What was planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlantedKind {
    /// A goal in a match: many people at once, and soon over.
    Goal,
    /// A storm: more and more posts for an hour or two.
    Storm,
    /// A festival with a hashtag that nobody used before.
    Festival,
    /// A host that many people link to, all of a sudden.
    Link,
    /// No trend: hundreds of posts with one hashtag, by one author.
    Flood,
    /// No trend: one author who posts the same hashtag every morning.
    Bot,
    /// No trend: a hashtag that many people use every day at the same time.
    Evergreen,
    /// No trend: a region with so few posts that little can be said about it.
    Quiet,
}

impl PlantedKind {
    /// Whether it should be found; otherwise it only looks as if.
    #[must_use]
    pub fn is_trend(self) -> bool {
        matches!(self, Self::Goal | Self::Storm | Self::Festival | Self::Link)
    }
}

/// Something that was planted in one region.
#[derive(Clone, Debug, PartialEq)]
pub struct Planted {
    /// What it is.
    pub kind: PlantedKind,
    /// Id of the region.
    pub region: String,
    /// The hashtag that it lifts, if any.
    pub tag: Option<String>,
    /// The host that it lifts, if any.
    pub host: Option<String>,
    /// When it starts, in milliseconds since 1970.
    pub start_ms: i64,
    /// When it ends, in milliseconds since 1970.
    pub end_ms: i64,
    /// Posts of the region at the peak, as a multiple of the usual number.
    pub factor: f64,
    /// Posts that it adds, on average.
    pub posts: f64,
}

/// One thing, as it is played.
#[derive(Clone, Debug)]
pub(super) struct Plant {
    pub(super) kind: PlantedKind,
    pub(super) region: usize,
    /// Seconds since 1970.
    pub(super) start: i64,
    pub(super) end: i64,
    /// Number of the hour or day, which makes names unique.
    pub(super) slot: i64,
    /// Of a goal and a storm the multiple of the usual posts; of others, posts per second.
    strength: f64,
}

/// A region in which things are planted.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    pub(super) seed: u64,
    /// The rhythms of all regions.
    pub(super) rhythms: &'a [&'a Rhythm],
    /// The region in which nothing happens.
    pub(super) quiet: Option<usize>,
}

impl Plant {
    /// Posts per second that it adds in a region which has `usual` ones.
    pub(super) fn extra(&self, second: i64, usual: f64) -> f64 {
        if !(self.start..self.end).contains(&second) {
            return 0.0;
        }
        let (age, all) = ((second - self.start) as f64, (self.end - self.start) as f64);
        let rising = |secs: f64| ((age + 30.0) / secs).min(1.0);
        match self.kind {
            PlantedKind::Goal => usual * (self.strength - 1.0) * rising(90.0) * (-2.0 * age / all).exp(),
            PlantedKind::Storm => {
                let falling = (all - age) / (0.3 * all);
                usual * (self.strength - 1.0) * rising(0.7 * all).min(falling)
            }
            PlantedKind::Festival => self.strength * rising(600.0).min((all - age) / (0.35 * all)),
            PlantedKind::Link => self.strength * rising(240.0) * (-1.5 * age / all).exp(),
            PlantedKind::Flood | PlantedKind::Bot => self.strength,
            PlantedKind::Evergreen | PlantedKind::Quiet => 0.0,
        }
    }

    /// Share of the region's ordinary posts that have the hashtag of the midday.
    pub(super) fn evergreen(&self, second: i64) -> f64 {
        if self.kind != PlantedKind::Evergreen || !(self.start..self.end).contains(&second) {
            return 0.0;
        }
        let part = (second - self.start) as f64 / (self.end - self.start) as f64;
        0.4 * (std::f64::consts::PI * part).sin()
    }

    pub(super) fn tag(&self, seed: u64) -> Option<String> {
        let mut dice = Dice::of(&[seed, self.slot as u64, 0xb4]);
        let number = self.slot.rem_euclid(10_000);
        match self.kind {
            PlantedKind::Goal => Some("Goal".into()),
            PlantedKind::Storm => Some("Storm".into()),
            PlantedKind::Festival => {
                let place = PLACES[dice.below(PLACES.len() as u64) as usize];
                let feast = FEASTS[dice.below(FEASTS.len() as u64) as usize];
                Some(format!("{place}{feast}{number}"))
            }
            PlantedKind::Flood => Some(format!("FreeGift{number}")),
            PlantedKind::Bot => Some("GoodMorning".into()),
            PlantedKind::Evergreen => Some(EVERGREEN.into()),
            PlantedKind::Link | PlantedKind::Quiet => None,
        }
    }

    pub(super) fn host(&self, seed: u64) -> Option<String> {
        let mut dice = Dice::of(&[seed, self.slot as u64, 0xb5]);
        let report = REPORTS[dice.below(REPORTS.len() as u64) as usize];
        (self.kind == PlantedKind::Link).then(|| format!("{report}-{}.example", self.slot.rem_euclid(10_000)))
    }
}

impl Stage<'_> {
    /// Regions in which something happens.
    fn busy(&self) -> Vec<usize> {
        (0..self.rhythms.len()).filter(|region| Some(*region) != self.quiet).collect()
    }

    /// Everything that is on at some time of `from..to`, in seconds since 1970, by start.
    pub(super) fn plants(&self, from: i64, to: i64) -> Vec<Plant> {
        let (busy, mut plants) = (self.busy(), vec![]);
        if busy.is_empty() || from >= to {
            return plants;
        }
        let hours = (from - LONGEST_SECS).div_euclid(HOUR_SECS)..=to.div_euclid(HOUR_SECS);
        plants.extend(hours.map(|hour| self.of_hour(hour, &busy)));
        let floods = (from - FLOOD_EVERY_SECS).div_euclid(FLOOD_EVERY_SECS)..=to.div_euclid(FLOOD_EVERY_SECS);
        plants.extend(floods.map(|slot| self.flood(slot, &busy)));
        for region in busy.iter().copied() {
            let rhythm = self.rhythms[region];
            let days = rhythm.local(from).0..=rhythm.local(to).0;
            plants.extend(days.map(|day| {
                let (start, end) = (rhythm.at(day, 11.5), rhythm.at(day, 13.5));
                Plant { kind: PlantedKind::Evergreen, region, start, end, slot: day, strength: 0.0 }
            }));
        }
        let rhythm = self.rhythms[busy[0]];
        plants.extend((rhythm.local(from).0..=rhythm.local(to).0).map(|day| {
            let start = rhythm.at(day, 7.0);
            let (end, strength) = (start + BOT_SECS, BOT_POSTS / BOT_SECS as f64);
            Plant { kind: PlantedKind::Bot, region: busy[0], start, end, slot: day, strength }
        }));
        plants.retain(|plant| plant.start < to && plant.end > from);
        plants.sort_by_key(|plant| (plant.start, plant.region));
        plants
    }

    /// Which of a block's hours lifts its region.
    fn is_large(&self, hour: i64) -> bool {
        let mut dice = Dice::of(&[self.seed, hour.div_euclid(BLOCK) as u64, 0xb1]);
        hour.rem_euclid(BLOCK) == dice.below(BLOCK as u64) as i64
    }

    /// All regions have their turn, in an order that changes with each round.
    fn turn(&self, hour: i64, busy: &[usize]) -> usize {
        let regions = busy.len() as i64;
        let mut order: Vec<_> = (0..busy.len()).collect();
        Dice::of(&[self.seed, hour.div_euclid(regions) as u64, 0xb2]).shuffle(&mut order);
        order[hour.rem_euclid(regions) as usize]
    }

    fn of_hour(&self, hour: i64, busy: &[usize]) -> Plant {
        let mut dice = Dice::of(&[self.seed, hour as u64, 0xb0]);
        let is_large = self.is_large(hour);
        let mut turn = self.turn(hour, busy);
        // Where a storm may still be on, nothing else starts.
        let lifted: Vec<_> =
            (hour - 3..hour).filter(|hour| self.is_large(*hour)).map(|hour| self.turn(hour, busy)).collect();
        if !is_large && lifted.len() < busy.len() {
            while lifted.contains(&turn) {
                turn = (turn + 1) % busy.len();
            }
        }
        let region = busy[turn];
        let start = hour * HOUR_SECS + 60 * dice.below(12) as i64;
        let mean = self.rhythms[region].mean() / 300.0;
        let (kind, minutes, strength) = match (is_large, hour.div_euclid(BLOCK).rem_euclid(2)) {
            (true, 0) => (PlantedKind::Goal, dice.between(20.0, 40.0), dice.between(4.0, 8.0)),
            (true, _) => (PlantedKind::Storm, dice.between(140.0, 180.0), dice.between(3.0, 4.5)),
            _ if dice.chance(1.0 / 3.0) => (PlantedKind::Link, dice.between(35.0, 55.0), mean * dice.between(0.3, 0.5)),
            _ => (PlantedKind::Festival, dice.between(50.0, 80.0), mean * dice.between(0.25, 0.4)),
        };
        Plant { kind, region, start, end: start + 60 * minutes as i64, slot: hour, strength }
    }

    fn flood(&self, slot: i64, busy: &[usize]) -> Plant {
        let mut dice = Dice::of(&[self.seed, slot as u64, 0xb3]);
        let region = busy[dice.below(busy.len() as u64) as usize];
        let start = slot * FLOOD_EVERY_SECS + 60 * dice.below(600) as i64;
        let strength = FLOOD_POSTS / FLOOD_SECS as f64;
        Plant { kind: PlantedKind::Flood, region, start, end: start + FLOOD_SECS, slot, strength }
    }

    /// As it is documented.
    pub(super) fn described(&self, plant: &Plant, id: &str) -> Planted {
        let rhythm = self.rhythms[plant.region];
        let minutes = (plant.start..plant.end).step_by(60);
        let (mut factor, mut posts) = (1.0f64, 0.0);
        for second in minutes {
            let usual = rhythm.usual(second);
            let extra = plant.extra(second, usual);
            factor = factor.max(1.0 + extra / usual);
            posts += extra * 60f64.min((plant.end - second) as f64);
        }
        Planted {
            kind: plant.kind,
            region: id.to_owned(),
            tag: plant.tag(self.seed),
            host: plant.host(self.seed),
            start_ms: plant.start * 1000,
            end_ms: plant.end * 1000,
            factor,
            posts,
        }
    }
}
