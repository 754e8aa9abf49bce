//! Points and boxes of posts, the same from both formats of X.

use birdsong_domain::post::{GeoBox, Point};

use crate::json::Numbers;

/// Longitude and latitude; `swapped` when the latitude comes first. `None` for a point off the globe.
pub(super) fn point(numbers: &Numbers, swapped: bool) -> Option<Point> {
    let [first, second] = numbers.as_slice() else { return None };
    let (lon, lat) = if swapped { (*second, *first) } else { (*first, *second) };
    on_globe(lon, lat)
}

fn on_globe(lon: f64, lat: f64) -> Option<Point> {
    ((-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat)).then_some(Point { lon, lat })
}

/// A box of v2 as its edges: west, south, east, north. West is larger than east in one across
/// the date line (RFC 7946, 5.2); any other is taken at its word, however wide.
pub(super) fn from_edges(edges: &Numbers) -> Option<GeoBox> {
    let [west, south, east, north] = edges.as_slice() else { return None };
    let (low, high) = (on_globe(*west, *south)?, on_globe(*east, *north)?);
    (low.lat <= high.lat).then_some(GeoBox { west: low.lon, south: low.lat, east: high.lon, north: high.lat })
}

/// The box around a ring of v1.1, the same box that v2 has for the place.
///
/// A ring does not state on which side of the globe it is. When its corners are at most 180° apart, they are the
/// edges. Otherwise its first corner decides, which X puts at the western edge: X's ring of the United States
/// starts at -179.2, extends to 179.9 and is nearly all of the globe, while a ring of small islands that
/// starts at 179.1 and extends to -179.3 is across the date line.
pub(super) fn from_ring(ring: &[Numbers]) -> Option<GeoBox> {
    let mut corners = ring.iter().map(|corner| point(corner, false));
    let first = corners.next()??;
    let (mut west, mut south, mut east, mut north) = (first.lon, first.lat, first.lon, first.lat);
    // The edges of a ring across the date line: west of it, and east of it.
    let (mut behind, mut beyond) = (180.0_f64, -180.0_f64);
    for corner in corners.chain([Some(first)]) {
        let corner = corner?;
        (west, east) = (west.min(corner.lon), east.max(corner.lon));
        (south, north) = (south.min(corner.lat), north.max(corner.lat));
        if corner.lon >= 0.0 {
            behind = behind.min(corner.lon);
        } else {
            beyond = beyond.max(corner.lon);
        }
    }
    if east - west > 180.0 && first.lon >= 0.0 {
        (west, east) = (behind, beyond);
    }
    Some(GeoBox { west, south, east, north })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::read;

    fn ring(json: &str) -> Option<[f64; 4]> {
        let ring: Vec<Numbers> = read(json.as_bytes()).unwrap();
        from_ring(&ring).map(|area| [area.west, area.south, area.east, area.north])
    }

    #[test]
    fn a_ring_has_the_box_of_v2() {
        for (json, edges) in [
            ("[[2.0,41.3],[2.0,41.4],[2.2,41.4],[2.2,41.3]]", [2.0, 41.3, 2.2, 41.4]),
            ("[[2.2,41.4],[2.0,41.4],[2.0,41.3],[2.2,41.3],[2.2,41.4]]", [2.0, 41.3, 2.2, 41.4]),
            ("[[7,8],[7,8],[7,8],[7,8]]", [7.0, 8.0, 7.0, 8.0]),
            // Nearly all of the globe, as X has the United States.
            ("[[-179.2,13.1],[-179.2,71.4],[179.9,71.4],[179.9,13.1]]", [-179.2, 13.1, 179.9, 71.4]),
            ("[[-100,10],[100,10],[100,20],[-100,20]]", [-100.0, 10.0, 100.0, 20.0]),
            // Across the date line, in both directions of a ring.
            ("[[179.1,-20],[179.1,-16],[-179.3,-16],[-179.3,-20]]", [179.1, -20.0, -179.3, -16.0]),
            ("[[179.1,-20],[-179.3,-20],[-179.3,-16],[179.1,-16],[179.1,-20]]", [179.1, -20.0, -179.3, -16.0]),
            ("[[180,-20],[180,-16],[-179.3,-16],[-179.3,-20]]", [180.0, -20.0, -179.3, -16.0]),
        ] {
            assert_eq!(ring(json), Some(edges), "{json}");
        }
    }

    #[test]
    fn a_broken_ring_has_no_box() {
        for json in ["[]", "[[]]", "[[null,null]]", "[[1,2],[3]]", "[[1,2],[200,2]]", "[[1,2],[\"3\",4]]"] {
            assert_eq!(ring(json), None, "{json}");
        }
    }
}
