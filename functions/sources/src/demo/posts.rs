//! The posts of the demo.

use std::f64::consts::TAU;

use birdsong_domain::post::{GeoBox, InstallationKey, Kind, Point, SourcePost};
use birdsong_domain::region::Region;
use birdsong_domain::time::SNOWFLAKE_EPOCH_MS;

use crate::dice;
use crate::source::{Clock, Context};

use super::NAME;

/// Posts per second and region, on the average of a day.
const BASE_RATE: f64 = 0.45;
/// Authors of a region.
const AUTHORS: u64 = 6000;
/// Share of posts that match no region.
const ELSEWHERE: f64 = 0.06;
/// Share of posts that come twice, as after a reconnect.
const TWICE: f64 = 0.004;
/// A burst may start in each slot of this many seconds.
const BURST_SLOT_SECS: i64 = 1800;

const TAGS: &[&str] = &[
    "NowPlaying",
    "Weather",
    "Metro",
    "Breaking",
    "Coffee",
    "Traffic",
    "Hiring",
    "Music",
    "Photo",
    "Football",
    "F1",
    "BTS",
    "Anime",
    "Crypto",
    "AI",
    "Election",
    "Climate",
    "Food",
    "Cinema",
    "Books",
    "Cats",
    "Sunrise",
    "Festival",
    "Startup",
    "Gaming",
    "Hockey",
    "Running",
    "Art",
    "Science",
    "Travel",
    "Vintage",
    "Jazz",
    "Tennis",
    "Garden",
    "Podcast",
    "Poetry",
    "Fashion",
    "Theatre",
    "Cycling",
    "Chess",
];
const EVENTS: &[&str] =
    &["Goal", "Earthquake", "Blackout", "Concert", "Storm", "Derby", "Premiere", "Strike", "Marathon"];
const HOSTS: &[&str] =
    &["news.example", "video.example", "music.example", "photos.example", "blog.example", "shop.example"];

/// West, south, east, north in degrees.
type Edges = [f64; 4];
type Weights = &'static [(&'static str, u32)];

/// Languages around a place: the first box that contains a region's middle decides what is spoken there.
const SPOKEN: &[(Edges, Weights)] = &[
    ([-79.8, 44.9, -57.0, 62.0], &[("fr", 62), ("en", 33), ("es", 3), ("ar", 2)]),
    ([-5.2, 42.3, 8.3, 51.1], &[("fr", 78), ("en", 13), ("ar", 4), ("es", 3), ("pt", 2)]),
    ([-74.0, -34.0, -34.0, 5.0], &[("pt", 87), ("es", 7), ("en", 6)]),
    ([128.0, 30.0, 146.0, 46.0], &[("ja", 90), ("en", 6), ("ko", 3), ("zh", 1)]),
    ([-118.0, 14.0, -86.0, 32.7], &[("es", 86), ("en", 14)]),
    ([5.8, 47.2, 15.1, 55.1], &[("de", 82), ("en", 12), ("tr", 6)]),
    ([-180.0, -90.0, 180.0, 90.0], &[("en", 80), ("es", 9), ("fr", 3), ("pt", 3), ("ja", 2), ("und", 3)]),
];

/// Random draws of a seed.
#[derive(Debug, Clone)]
struct Dice(dice::Dice);

impl Dice {
    fn of(parts: &[u64]) -> Self {
        Self(dice::Dice::of(parts))
    }

    /// In 0..1.
    fn share(&mut self) -> f64 {
        (self.0.draw() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.share() * n as f64) as u64
    }

    fn chance(&mut self, share: f64) -> bool {
        self.share() < share
    }

    /// By Poisson's law, by counting exponential waits.
    fn poisson(&mut self, mean: f64) -> u32 {
        let (mut n, mut left) = (0, mean);
        loop {
            left += (1.0 - self.share()).ln();
            if left < 0.0 || n > 10_000 {
                return n;
            }
            n += 1;
        }
    }

    /// Rank by Zipf's law (exponent 1) in 0..n, by the inverse of the harmonic integral.
    fn zipf(&mut self, n: u64) -> u64 {
        let rank = ((n as f64 + 1.0).ln() * self.share()).exp() - 1.0;
        (rank as u64).min(n - 1)
    }

    fn pick<'t, T: ?Sized>(&mut self, weighted: &'t [(&'t T, u32)]) -> Option<&'t T> {
        let total: u32 = weighted.iter().map(|(_, weight)| weight).sum();
        let mut at = self.below(u64::from(total)) as u32;
        weighted.iter().find_map(|(item, weight)| {
            if at < *weight {
                return Some(*item);
            }
            at -= weight;
            None
        })
    }
}

#[derive(Debug)]
struct Profile {
    id: String,
    middle_lon: f64,
    area: Option<GeoBox>,
    languages: Vec<(String, u32)>,
    keyword: Option<String>,
    tags: Vec<String>,
    is_everything: bool,
}

impl Profile {
    fn new(region: &Region) -> Self {
        let area = region.boxes.first().map(|[west, south, east, north]| GeoBox {
            west: *west,
            south: *south,
            east: *east,
            north: *north,
        });
        let (lon, lat) = area.map_or((0.0, 50.0), |area| {
            let width = (area.east - area.west).rem_euclid(360.0);
            (area.west + width / 2.0, (area.south + area.north) / 2.0)
        });
        let languages = if region.languages.is_empty() {
            let spoken = SPOKEN.iter().find(|([west, south, east, north], _)| {
                (*west..=*east).contains(&lon) && (*south..=*north).contains(&lat)
            });
            spoken.map_or(&[][..], |(_, spoken)| spoken).iter().map(|(lang, n)| ((*lang).to_owned(), *n)).collect()
        } else {
            region.languages.iter().map(|lang| (lang.clone(), 1)).collect()
        };
        let is_tag = |keyword: &&String| keyword.starts_with('#');
        Self {
            id: region.id.clone(),
            middle_lon: lon,
            area,
            languages,
            keyword: region.keywords.iter().find(|keyword| !is_tag(keyword)).cloned(),
            tags: region.keywords.iter().filter(is_tag).map(|tag| tag.trim_start_matches('#').to_owned()).collect(),
            is_everything: region.everything,
        }
    }

    /// Posts per second: a night's low at 4 o'clock local (sun) time, an evening's high, and bursts.
    fn rate(&self, seed: u64, region: u64, second: i64) -> (f64, Option<&'static str>) {
        let hour = (second as f64 / 3600.0 + self.middle_lon / 15.0).rem_euclid(24.0);
        let day = 1.0 - 0.72 * (TAU * (hour - 4.0) / 24.0).cos() + 0.16 * (2.0 * TAU * (hour - 20.0) / 24.0).cos();
        let slot = second.div_euclid(BURST_SLOT_SECS);
        let mut dice = Dice::of(&[seed, region, slot as u64, 0xb0]);
        if !dice.chance(1.0 / 22.0) {
            return (BASE_RATE * day.max(0.08), None);
        }
        let begin = dice.below(600) as f64;
        let event = EVENTS[dice.below(EVENTS.len() as u64) as usize];
        let age = second.rem_euclid(BURST_SLOT_SECS) as f64 - begin;
        let rise = (age / 60.0).clamp(0.0, 1.0);
        let burst = rise * (2.0 + 3.5 * dice.share()) * (-age.max(0.0) / 420.0).exp();
        (BASE_RATE * (day.max(0.08) + burst), (burst > 0.4).then_some(event))
    }
}

/// The made-up stream of a set of regions.
pub struct Demo {
    seed: u64,
    /// How much of the past it starts with, in seconds.
    pub(super) backfill_secs: i64,
    key: InstallationKey,
    pub(super) clock: Clock,
    profiles: Vec<Profile>,
}

impl Demo {
    /// Posts for the regions of `context`, the same for the same `seed`.
    #[must_use]
    pub fn new(seed: u64, backfill_secs: u64, context: &Context) -> Self {
        let profiles = context.regions.list().iter().map(Profile::new).collect();
        let backfill_secs = i64::try_from(backfill_secs).unwrap_or(i64::MAX);
        Self { seed, backfill_secs, key: context.key, clock: context.clock.clone(), profiles }
    }

    /// Hands on every post of the second that starts at `second` (seconds since 1970), with event
    /// times within it, in no particular order. Some come twice.
    pub fn second(&self, second: i64, each: &mut dyn FnMut(&SourcePost<'_>)) {
        let mut number = 0u64;
        for (n, profile) in self.profiles.iter().enumerate() {
            let (rate, event) = profile.rate(self.seed, n as u64, second);
            let mut dice = Dice::of(&[self.seed, n as u64, second as u64]);
            for _ in 0..dice.poisson(rate) {
                number += 1;
                self.post(profile, n as u64, second, number, event, &mut dice, each);
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "one private call, all of it different things")]
    fn post(
        &self,
        profile: &Profile,
        region: u64,
        second: i64,
        number: u64,
        event: Option<&'static str>,
        dice: &mut Dice,
        each: &mut dyn FnMut(&SourcePost<'_>),
    ) {
        let time_ms = second * 1000 + dice.below(1000) as i64;
        let id = ((time_ms - SNOWFLAKE_EPOCH_MS).max(0) as u64) << 22 | (number & 0x3f_ffff);
        let kind = *dice
            .pick(&[(&Kind::Original, 35), (&Kind::Reply, 22), (&Kind::Quote, 9), (&Kind::Repost, 34)])
            .unwrap_or(&Kind::Original);
        let author = format!("{region}-{}", dice.zipf(AUTHORS));
        let weighted: Vec<(&str, u32)> = profile.languages.iter().map(|(lang, n)| (lang.as_str(), *n)).collect();
        let lang = if weighted.is_empty() { "und" } else { dice.pick(&weighted).unwrap_or("und") };

        let mut hashtags: Vec<std::borrow::Cow<'_, str>> = vec![];
        if let Some(event) = event.filter(|_| dice.chance(0.45)) {
            hashtags.push(event.into());
        }
        if dice.chance(0.38) {
            // Each region has its own favourites: the common list, turned.
            let rank = dice.zipf(TAGS.len() as u64) as usize;
            hashtags.push(TAGS[(rank + region as usize * 7) % TAGS.len()].into());
        }
        if !profile.tags.is_empty() && dice.chance(0.08) {
            hashtags.push(profile.tags[dice.below(profile.tags.len() as u64) as usize].as_str().into());
        }
        let hosts = if dice.chance(0.17) { vec![HOSTS[dice.zipf(HOSTS.len() as u64) as usize].into()] } else { vec![] };
        let mentions = if kind == Kind::Original { u32::from(dice.chance(0.2)) } else { 1 + dice.below(2) as u32 };

        // Not of the dice, so that all else of the stream stays as it is: about every third post.
        let has_media = (id >> 22) % 100 < 34;

        let mut post = SourcePost {
            id: self.key.x_post(id),
            time_ms,
            author: Some(self.key.hash(NAME, &author)),
            kind,
            lang: lang.into(),
            hashtags,
            long_hashtags: 0,
            mentions,
            hosts,
            has_media,
            text: "".into(),
            point: None,
            place: None,
            rule_tags: vec![],
            repost_of: None,
        };
        if dice.chance(ELSEWHERE) && !profile.is_everything {
            post.hashtags.clear();
            post.lang = "zxx".into();
        } else if let (Some(area), false) = (profile.area, kind == Kind::Repost) {
            let width = (area.east - area.west).rem_euclid(360.0);
            let lon = area.west + width * (0.1 + 0.8 * dice.share());
            let lat = area.south + (area.north - area.south) * (0.1 + 0.8 * dice.share());
            match dice.below(100) {
                0..12 => post.point = Some(Point { lon: if lon > 180.0 { lon - 360.0 } else { lon }, lat }),
                12..55 => post.place = Some(area),
                55..75 if profile.keyword.is_some() => {
                    post.text = profile.keyword.as_deref().unwrap_or_default().into();
                }
                _ => post.rule_tags.push(profile.id.as_str().into()),
            }
        } else {
            // As on X, a repost has no place; a rule that asks for reposts finds it.
            post.rule_tags.push(format!("rt:{}", profile.id).into());
        }
        each(&post);
        if dice.chance(TWICE) {
            each(&post);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use birdsong_domain::region::Regions;

    use super::*;

    const REGIONS: &str = "[[region]]\nid = \"paris\"\nboxes = [[2.2, 48.8, 2.5, 48.9]]\nkeywords = [\"#RATP\"]\n\
                           [[region]]\nid = \"tokyo\"\nboxes = [[139.5, 35.5, 139.9, 35.8]]\n";

    fn day() -> Vec<(u128, Kind, String, Vec<String>, i64)> {
        let context = Context {
            regions: Arc::new(Regions::parse("test", REGIONS).unwrap()),
            key: InstallationKey([1; 16]),
            clock: Arc::new(|| 0),
            jitter: || 0.5,
            dir: "".into(),
            secrets: Arc::new(|_| Ok(None)),
        };
        let demo = Demo::new(1, 0, &context);
        let mut posts = vec![];
        for second in 1_700_000_000..1_700_000_000 + 86_400 {
            demo.second(second, &mut |post| {
                assert_eq!(post.time_ms.div_euclid(1000), second);
                let tags = post.hashtags.iter().map(|tag| tag.to_string()).collect();
                posts.push((post.id.0, post.kind, post.lang.to_string(), tags, post.time_ms));
            });
        }
        posts
    }

    #[test]
    fn a_day_is_believable_and_the_same_each_time() {
        let posts = day();
        assert_eq!(posts, day());
        let share = |n: usize| n as f64 / posts.len() as f64;
        assert!((40_000..160_000).contains(&posts.len()), "{} posts", posts.len());
        let reposts = share(posts.iter().filter(|post| post.1 == Kind::Repost).count());
        assert!((0.3..0.38).contains(&reposts), "{reposts} reposts");
        assert!(share(posts.iter().filter(|post| post.2 == "ja").count()) > 0.25);
        let mut tags = std::collections::HashMap::<_, usize>::new();
        posts.iter().flat_map(|post| &post.3).for_each(|tag| *tags.entry(tag).or_default() += 1);
        let mut counts: Vec<_> = tags.into_values().collect();
        counts.sort_unstable();
        assert!(counts[counts.len() - 1] > 5 * counts[counts.len() / 2], "few tags are common, many rare");
        let mut ids: Vec<_> = posts.iter().map(|post| post.0).collect();
        ids.sort_unstable();
        ids.dedup();
        let repeated = posts.len() - ids.len();
        assert!(repeated > 0 && share(repeated) < 0.01, "{repeated} repeated");
    }
}
