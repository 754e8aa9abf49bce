//! `/api/regions`: the regions that are watched.

use birdsong_domain::region::Region;
use serde::Serialize;
use utoipa::ToSchema;

/// The regions that are watched.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Regions)]
pub(crate) struct RegionsAnswer {
    /// The regions, in the order of the regions file. The first one is the default of `/api/windows`. Empty until a
    /// streamer has published its regions.
    regions: Vec<RegionReport>,
    /// Length of a window, in seconds.
    #[schema(minimum = 60, maximum = 3600)]
    window_secs: u32,
}

/// A region: a named filter. A post counts in each region that it matches.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Region)]
struct RegionReport {
    /// Id, for queries.
    #[schema(pattern = "^[a-z0-9-][a-z0-9_-]{0,63}$")]
    id: String,
    /// Name, for people.
    name: String,
    /// Bounding boxes as `[west, south, east, north]`, in degrees. A box whose west is greater than its east crosses
    /// the antimeridian.
    boxes: Vec<[f64; 4]>,
    /// Keywords, phrases and `#hashtags`, as in the regions file.
    keywords: Vec<String>,
    /// Languages as BCP 47 primary tags. With other filters they narrow these; alone they match every post in them.
    languages: Vec<String>,
    /// Tags of filter rules that are managed at the source.
    rules: Vec<String>,
    /// Name of the region's time zone in the IANA database, such as `America/Toronto`, for showing times; left out when
    /// the regions file has none. Only its form is checked: the database of the reader decides whether the zone exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 3, max_length = 96, nullable = false)]
    tz: Option<String>,
}

impl RegionsAnswer {
    pub(crate) fn new(regions: &[Region], window_secs: u32) -> Self {
        let report = |region: &Region| RegionReport {
            id: region.id.clone(),
            name: region.name.clone(),
            boxes: region.boxes.clone(),
            keywords: region.keywords.clone(),
            languages: region.languages.clone(),
            rules: region.rules.clone(),
            tz: region.tz.clone(),
        };
        Self { regions: regions.iter().map(report).collect(), window_secs }
    }
}
