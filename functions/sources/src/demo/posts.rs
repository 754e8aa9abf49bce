//! The posts of the demo.

use std::borrow::Cow;
use std::ops::Range;

use birdsong_domain::post::{GeoBox, InstallationKey, Kind, Point, SourcePost};
use birdsong_domain::region::Region;
use birdsong_domain::time::SNOWFLAKE_EPOCH_MS;

use crate::source::{Clock, Context};

use super::NAME;
use super::draw::Dice;
use super::planted::{EVERGREEN, Plant, Planted, PlantedKind, Stage};
use super::rhythm::Rhythm;

/// Authors of a region.
const AUTHORS: u64 = 6000;
/// Share of posts that match no region.
const ELSEWHERE: f64 = 0.06;
/// Share of posts that come twice, as after a reconnect.
const TWICE: f64 = 0.004;
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

#[derive(Debug)]
struct Profile {
    id: String,
    rhythm: Rhythm,
    area: Option<GeoBox>,
    languages: Vec<(String, u32)>,
    keyword: Option<String>,
    tags: Vec<String>,
    is_everything: bool,
}

impl Profile {
    fn new(seed: u64, number: usize, is_quiet: bool, region: &Region) -> Self {
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
            rhythm: Rhythm::new(seed, number as u64, lon, is_quiet, region.everything),
            area,
            languages,
            keyword: region.keywords.iter().find(|keyword| !is_tag(keyword)).cloned(),
            tags: region.keywords.iter().filter(is_tag).map(|tag| tag.trim_start_matches('#').to_owned()).collect(),
            is_everything: region.everything,
        }
    }
}

/// A thing that is planted, and how many posts per second it adds just now.
#[derive(Debug)]
struct Extra {
    kind: PlantedKind,
    rate: f64,
    tag: Option<String>,
    host: Option<String>,
    author: Option<String>,
}

/// What a region does during a minute.
#[derive(Debug)]
struct Minute {
    rate: f64,
    /// Share of ordinary posts with the hashtag of the midday.
    evergreen: f64,
    extras: Vec<Extra>,
}

/// Where and when a post is made.
struct Spot<'a> {
    profile: &'a Profile,
    region: u64,
    second: i64,
    /// Number of the post in its second.
    number: u64,
}

/// Why a post is made.
#[derive(Clone, Copy)]
enum Cause<'a> {
    Usual { evergreen: f64 },
    Planted(&'a Extra),
}

/// The made-up stream of a set of regions.
pub struct Demo {
    seed: u64,
    /// How much of the past it starts with, in seconds.
    pub(super) backfill_secs: i64,
    key: InstallationKey,
    pub(super) clock: Clock,
    profiles: Vec<Profile>,
    quiet: Option<usize>,
}

impl Demo {
    /// Posts for the regions of `context`, the same for the same `seed`.
    #[must_use]
    pub fn new(seed: u64, backfill_secs: u64, context: &Context) -> Self {
        let regions = context.regions.list();
        // Of many regions, the second one is quiet.
        let quiet = (regions.len() >= 3 && !regions[1].everything).then_some(1);
        let profile = |(n, region): (usize, &Region)| Profile::new(seed, n, quiet == Some(n), region);
        let profiles = regions.iter().enumerate().map(profile).collect();
        let backfill_secs = i64::try_from(backfill_secs).unwrap_or(i64::MAX);
        Self { seed, backfill_secs, key: context.key, clock: context.clock.clone(), profiles, quiet }
    }

    /// Everything that is planted between these times (milliseconds since 1970), also in part, by start. The quiet
    /// region, if there is one, is listed for all of the time.
    ///
    /// It follows from the seed, the regions and the times alone, as the posts do.
    #[must_use]
    pub fn planted(&self, from_ms: i64, to_ms: i64) -> Vec<Planted> {
        let rhythms = self.rhythms();
        let stage = Stage { seed: self.seed, rhythms: &rhythms, quiet: self.quiet };
        let quiet = self.quiet.map(|region| Planted {
            kind: PlantedKind::Quiet,
            region: self.profiles[region].id.clone(),
            tag: None,
            host: None,
            start_ms: from_ms,
            end_ms: to_ms,
            factor: 1.0,
            posts: 0.0,
        });
        let plants = stage.plants(from_ms.div_euclid(1000), to_ms.saturating_add(999).div_euclid(1000));
        let described = plants.iter().map(|plant| stage.described(plant, &self.profiles[plant.region].id));
        quiet.into_iter().chain(described).collect()
    }

    fn rhythms(&self) -> Vec<&Rhythm> {
        self.profiles.iter().map(|profile| &profile.rhythm).collect()
    }

    /// The state of all regions in the minute that starts at `second`.
    fn minute(&self, second: i64) -> Vec<Minute> {
        let rhythms = self.rhythms();
        let minute = |profile: &Profile| Minute { rate: profile.rhythm.rate(second), evergreen: 0.0, extras: vec![] };
        let mut minutes: Vec<_> = self.profiles.iter().map(minute).collect();
        let stage = Stage { seed: self.seed, rhythms: &rhythms, quiet: self.quiet };
        for plant in stage.plants(second, second + 60) {
            let minute = &mut minutes[plant.region];
            minute.evergreen += plant.evergreen(second);
            let rate = plant.extra(second, rhythms[plant.region].usual(second));
            if rate > 0.0 {
                minute.extras.push(self.extra(&plant, rate));
            }
        }
        minutes
    }

    fn extra(&self, plant: &Plant, rate: f64) -> Extra {
        let author = match plant.kind {
            PlantedKind::Flood => Some(format!("{}-flood-{}", plant.region, plant.slot)),
            PlantedKind::Bot => Some(format!("{}-bot", plant.region)),
            _ => None,
        };
        Extra { kind: plant.kind, rate, tag: plant.tag(self.seed), host: plant.host(self.seed), author }
    }

    /// Hands on every post of the second that starts at `second` (seconds since 1970), with event
    /// times within it, in no particular order. Some come twice.
    pub fn second(&self, second: i64, each: &mut dyn FnMut(&SourcePost<'_>)) {
        self.seconds(second..second + 1, each);
    }

    /// The same of all seconds of a span.
    pub(super) fn seconds(&self, seconds: Range<i64>, each: &mut dyn FnMut(&SourcePost<'_>)) {
        let mut at = seconds.start;
        while at < seconds.end {
            let start = at.div_euclid(60) * 60;
            let minutes = self.minute(start);
            let end = (start + 60).min(seconds.end);
            (at..end).for_each(|second| self.of_second(second, &minutes, each));
            at = end;
        }
    }

    fn of_second(&self, second: i64, minutes: &[Minute], each: &mut dyn FnMut(&SourcePost<'_>)) {
        let mut number = 0u64;
        for (n, (profile, minute)) in self.profiles.iter().zip(minutes).enumerate() {
            let mut dice = Dice::of(&[self.seed, n as u64, second as u64]);
            for _ in 0..dice.poisson(minute.rate) {
                number += 1;
                let spot = Spot { profile, region: n as u64, second, number };
                self.post(&spot, Cause::Usual { evergreen: minute.evergreen }, &mut dice, each);
            }
            for extra in &minute.extras {
                for _ in 0..dice.poisson(extra.rate) {
                    number += 1;
                    let spot = Spot { profile, region: n as u64, second, number };
                    self.post(&spot, Cause::Planted(extra), &mut dice, each);
                }
            }
        }
    }

    fn post(&self, place: &Spot<'_>, cause: Cause<'_>, dice: &mut Dice, each: &mut dyn FnMut(&SourcePost<'_>)) {
        let Spot { profile, region, second, number } = *place;
        let time_ms = second * 1000 + dice.below(1000) as i64;
        let id = ((time_ms - SNOWFLAKE_EPOCH_MS).max(0) as u64) << 22 | (number & 0x3f_ffff);
        let planted = match cause {
            Cause::Usual { .. } => None,
            Cause::Planted(extra) => Some(extra),
        };
        let kind = *dice
            .pick(&[(&Kind::Original, 35), (&Kind::Reply, 22), (&Kind::Quote, 9), (&Kind::Repost, 34)])
            .filter(|_| planted.is_none_or(|extra| extra.author.is_none()))
            .unwrap_or(&Kind::Original);
        let author = match planted {
            None => format!("{region}-{}", dice.zipf(AUTHORS)),
            Some(Extra { author: Some(author), .. }) => author.clone(),
            // Something that happens makes all sorts of people write.
            Some(_) => format!("{region}-{}", dice.below(AUTHORS)),
        };
        let weighted: Vec<(&str, u32)> = profile.languages.iter().map(|(lang, n)| (lang.as_str(), *n)).collect();
        let lang = if weighted.is_empty() { "und" } else { dice.pick(&weighted).unwrap_or("und") };

        let mut hashtags: Vec<Cow<'_, str>> = vec![];
        let mut hosts: Vec<Cow<'_, str>> = vec![];
        match cause {
            Cause::Usual { evergreen } => {
                if dice.chance(evergreen) {
                    hashtags.push(EVERGREEN.into());
                }
            }
            Cause::Planted(extra) => {
                let tagged = match extra.kind {
                    PlantedKind::Goal => 0.8,
                    PlantedKind::Storm => 0.65,
                    _ => 1.0,
                };
                hashtags.extend(extra.tag.as_deref().filter(|_| dice.chance(tagged)).map(Cow::from));
                hosts.extend(extra.host.as_deref().map(Cow::from));
                match extra.kind {
                    PlantedKind::Goal if dice.chance(0.4) => hashtags.push("Football".into()),
                    PlantedKind::Storm if dice.chance(0.2) => hosts.push("weather.example".into()),
                    _ => (),
                }
            }
        }
        let is_alone = planted.is_some_and(|extra| extra.author.is_some());
        if dice.chance(0.38) && !is_alone {
            // Each region has its own favourites: the common list, turned.
            let rank = dice.zipf(TAGS.len() as u64) as usize;
            let tag = TAGS[(rank + region as usize * 7) % TAGS.len()];
            if !hashtags.iter().any(|known| known == tag) {
                hashtags.push(tag.into());
            }
        }
        if !profile.tags.is_empty() && dice.chance(0.08) {
            hashtags.push(profile.tags[dice.below(profile.tags.len() as u64) as usize].as_str().into());
        }
        if hosts.is_empty() && dice.chance(0.17) {
            hosts.push(HOSTS[dice.zipf(HOSTS.len() as u64) as usize].into());
        }
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
        if dice.chance(ELSEWHERE) && planted.is_none() && !profile.is_everything {
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
    use std::collections::{HashMap, HashSet};
    use std::sync::Arc;

    use birdsong_domain::region::Regions;

    use super::*;

    const REGIONS: &str = "[[region]]\nid = \"paris\"\nboxes = [[2.2, 48.8, 2.5, 48.9]]\nkeywords = [\"#RATP\"]\n\
                           [[region]]\nid = \"toronto\"\nboxes = [[-79.6, 43.6, -79.2, 43.8]]\n\
                           [[region]]\nid = \"tokyo\"\nboxes = [[139.5, 35.5, 139.9, 35.8]]\n";
    const DAY: Range<i64> = 1_700_000_000..1_700_086_400;

    fn demo(seed: u64) -> Demo {
        let context = Context {
            regions: Arc::new(Regions::parse("test", REGIONS).unwrap()),
            key: InstallationKey([1; 16]),
            clock: Arc::new(|| 0),
            jitter: || 0.5,
            dir: "".into(),
            secrets: Arc::new(|_| Ok(None)),
        };
        Demo::new(seed, 0, &context)
    }

    struct Seen {
        id: u128,
        kind: Kind,
        author: u64,
        lang: String,
        tags: Vec<String>,
        hosts: Vec<String>,
        time_ms: i64,
        area: Option<usize>,
    }

    fn posts(demo: &Demo, seconds: Range<i64>) -> Vec<Seen> {
        let mut posts = vec![];
        demo.seconds(seconds, &mut |post| {
            let of_rule = |profile: &Profile| {
                let rt = format!("rt:{}", profile.id);
                let is_in = |area: &GeoBox| {
                    post.place.is_some_and(|place| place == *area)
                        || post.point.is_some_and(|Point { lon, lat }| {
                            (area.west..=area.east).contains(&lon) && (area.south..=area.north).contains(&lat)
                        })
                };
                post.rule_tags.iter().any(|tag| *tag == profile.id || *tag == rt)
                    || profile.area.as_ref().is_some_and(is_in)
            };
            let list = |texts: &[Cow<'_, str>]| texts.iter().map(ToString::to_string).collect();
            posts.push(Seen {
                id: post.id.0,
                kind: post.kind,
                author: post.author.unwrap(),
                lang: post.lang.to_string(),
                tags: list(&post.hashtags),
                hosts: list(&post.hosts),
                time_ms: post.time_ms,
                area: demo.profiles.iter().position(of_rule),
            });
        });
        posts
    }

    #[test]
    fn a_day_is_believable() {
        let posts = posts(&demo(1), DAY);
        let share = |n: usize| n as f64 / posts.len() as f64;
        assert!((20_000..40_000).contains(&posts.len()), "{} posts", posts.len());
        let reposts = share(posts.iter().filter(|post| post.kind == Kind::Repost).count());
        assert!((0.3..0.38).contains(&reposts), "{reposts} reposts");
        assert!(share(posts.iter().filter(|post| post.lang == "ja").count()) > 0.25);
        let mut tags = HashMap::<_, usize>::new();
        posts.iter().flat_map(|post| &post.tags).for_each(|tag| *tags.entry(tag).or_default() += 1);
        let mut counts: Vec<_> = tags.into_values().collect();
        counts.sort_unstable();
        assert!(counts[counts.len() - 1] > 5 * counts[counts.len() / 2], "few tags are common, many rare");
        let ids: HashSet<_> = posts.iter().map(|post| post.id).collect();
        let repeated = posts.len() - ids.len();
        assert!(repeated > 0 && share(repeated) < 0.01, "{repeated} repeated");
        let of = |region: usize| posts.iter().filter(|post| post.area == Some(region)).count();
        assert!((300..1400).contains(&of(1)), "{} posts of the quiet region", of(1));
        assert!(of(0) > 5000 && of(2) > 5000);
    }

    /// The same posts whether they are made second by second, as live, or as one span, as of the past.
    #[test]
    fn posts_are_a_function_of_the_second() {
        let (demo, all) = (demo(3), |posts: Vec<Seen>| -> Vec<_> {
            posts.into_iter().map(|post| (post.id, post.author, post.tags, post.hosts, post.time_ms)).collect()
        });
        let span = 1_700_000_017..1_700_007_133;
        let whole = all(posts(&demo, span.clone()));
        let single = span.flat_map(|second| {
            let posts = posts(&demo, second..second + 1);
            assert!(posts.iter().all(|post| post.time_ms.div_euclid(1000) == second));
            all(posts)
        });
        let single: Vec<_> = single.collect();
        assert_eq!(whole, single);
        assert_ne!(whole, all(posts(&self::demo(4), 1_700_000_017..1_700_007_133)));
    }

    #[test]
    fn whenever_somebody_looks_something_has_just_started() {
        let demo = demo(1);
        for minute in 0..2 * 1440 {
            let now_ms = DAY.start * 1000 + minute * 60_000;
            let found: Vec<_> = demo.planted(now_ms - 86_400_000, now_ms).into_iter().collect();
            let began = |planted: &&Planted| planted.start_ms > now_ms - 86_400_000 && planted.start_ms <= now_ms;
            let trends: Vec<_> = found.iter().filter(|planted| planted.kind.is_trend()).filter(began).collect();
            let newest = trends.iter().max_by_key(|planted| planted.start_ms).unwrap();
            assert!(newest.end_ms > now_ms - 3_600_000 && newest.start_ms > now_ms - 4_320_000, "{newest:?}");
            let large = trends.iter().filter(|trend| matches!(trend.kind, PlantedKind::Goal | PlantedKind::Storm));
            assert!((2..=4).contains(&large.count()));
            for kind in [PlantedKind::Flood, PlantedKind::Bot, PlantedKind::Evergreen, PlantedKind::Quiet] {
                assert!(found.iter().any(|planted| planted.kind == kind), "{kind:?}");
            }
            assert!(trends.iter().all(|planted| planted.region != "toronto"), "the quiet region");
        }
    }

    #[test]
    fn what_is_planted_is_in_the_posts() {
        let (demo, mut found) = (demo(1), HashSet::new());
        let posts = posts(&demo, DAY.start - 7200..DAY.end + 14_400);
        let planted = demo.planted(DAY.start * 1000, DAY.end * 1000);
        assert_eq!(planted, demo.planted(DAY.start * 1000, DAY.end * 1000));
        for planted in planted.iter().filter(|planted| planted.start_ms >= DAY.start * 1000) {
            let region = demo.profiles.iter().position(|profile| profile.id == planted.region);
            let has = |list: &[String], wanted: &Option<String>| wanted.as_ref().is_none_or(|text| list.contains(text));
            let of: Vec<_> = posts
                .iter()
                .filter(|post| post.area == region && (planted.start_ms..planted.end_ms).contains(&post.time_ms))
                .filter(|post| has(&post.tags, &planted.tag) && has(&post.hosts, &planted.host))
                .collect();
            let authors: HashSet<_> = of.iter().map(|post| post.author).collect();
            let posts = of.len() as f64;
            let about = |share: f64| (posts / (planted.posts * share) - 1.0).abs() < 0.35;
            found.insert(planted.kind);
            match planted.kind {
                PlantedKind::Goal => {
                    assert!((2.5..=8.0).contains(&planted.factor) && about(0.8), "{planted:?} {posts}");
                    assert!((20..=40).contains(&((planted.end_ms - planted.start_ms) / 60_000)));
                }
                PlantedKind::Storm => {
                    assert!((2.5..=4.5).contains(&planted.factor) && about(0.65), "{planted:?} {posts}");
                }
                PlantedKind::Festival | PlantedKind::Link => assert!(about(1.0), "{planted:?} {posts}"),
                PlantedKind::Flood => assert!(authors.len() == 1 && posts > 200.0, "{planted:?} {posts}"),
                PlantedKind::Bot => assert!(authors.len() == 1 && about(1.0), "{planted:?} {posts}"),
                PlantedKind::Evergreen => assert!(posts > 60.0 && authors.len() > 40, "{planted:?} {posts}"),
                PlantedKind::Quiet => (),
            }
            if planted.kind.is_trend() {
                assert!(authors.len() * 2 > of.len(), "{planted:?}: {} authors", authors.len());
            }
        }
        assert_eq!(found.len(), 8, "{found:?}");
        // New means new.
        for planted in planted.iter().filter(|planted| planted.kind == PlantedKind::Festival) {
            let before = posts.iter().filter(|post| post.time_ms < planted.start_ms);
            assert!(before.flat_map(|post| &post.tags).all(|tag| Some(tag) != planted.tag.as_ref()), "{planted:?}");
        }
    }
}
