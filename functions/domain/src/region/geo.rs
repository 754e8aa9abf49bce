//! Boxes on the globe: which points are in one, and whether a place belongs to one.
//!
//! A box extends eastwards from its west to its east edge, so it may be wider than half the globe, and
//! it crosses the antimeridian when west is larger than east.

use crate::post::{GeoBox, Point};

/// Share of a place's area that must lie in a region's box.
const PLACE_OVERLAP: f64 = 0.5;
/// Room for the rounding of edges and sines in a share that is exactly half: less than a
/// micrometre of a place a kilometre wide.
const ROUNDING: f64 = 1e-9;

impl GeoBox {
    /// Width in degrees of longitude, from 0 to 360.
    #[must_use]
    pub fn width(&self) -> f64 {
        let width = self.east - self.west;
        if width < 0.0 { width + 360.0 } else { width }
    }

    fn has_longitude(&self, lon: f64) -> bool {
        if self.west <= self.east {
            (self.west..=self.east).contains(&lon)
        } else {
            lon >= self.west || lon <= self.east
        }
    }

    /// Whether a point is in the box, edges included. 180 and -180 are one meridian, and at a pole all
    /// meridians meet.
    #[must_use]
    pub fn contains(&self, point: Point) -> bool {
        (self.south..=self.north).contains(&point.lat)
            && (self.has_longitude(point.lon)
                || (point.lon.abs() == 180.0 && self.has_longitude(-point.lon))
                || point.lat.abs() == 90.0)
    }

    /// Whether at least half of the place's area on the sphere is in this box. A place without area is
    /// a point or a line and counts by its middle.
    #[must_use]
    pub fn matches_place(&self, place: GeoBox) -> bool {
        let (width, height) = (place.width(), place.north - place.south);
        if height <= 0.0 || width <= 0.0 {
            let lon = place.west + width / 2.0;
            let lon = if lon > 180.0 { lon - 360.0 } else { lon };
            return self.contains(Point { lon, lat: place.south + height / 2.0 });
        }
        let (south, north) = (place.south.max(self.south), place.north.min(self.north));
        if south >= north {
            return false;
        }
        // Measured eastwards from the place's western edge; the box may start before it, so it is
        // also tried one turn earlier.
        let from = (self.west - place.west).rem_euclid(360.0);
        let shared = |from: f64| (width.min(from + self.width()) - from.max(0.0)).max(0.0);
        let shared_width = shared(from) + shared(from - 360.0);
        shared_width * zone(south, north) >= (PLACE_OVERLAP - ROUNDING) * width * zone(place.south, place.north)
    }
}

/// Area between two parallels, up to a factor: on a sphere it grows with the difference of the
/// sines (Archimedes). Written as a product, which stays exact where both sines are nearly 1.
fn zone(south: f64, north: f64) -> f64 {
    let (south, north) = (south.to_radians(), north.to_radians());
    2.0 * (south.midpoint(north)).cos() * ((north - south) / 2.0).sin()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn area(west: f64, south: f64, east: f64, north: f64) -> GeoBox {
        GeoBox { west, south, east, north }
    }

    #[test]
    fn half_of_a_place_is_half_of_its_area_on_the_sphere() {
        // sin 60° = 0.8660; of the area of 0..60°N, 47.6 % is north of 27°N, 51.2 % north of 25°N.
        let place = area(0.0, 0.0, 10.0, 60.0);
        assert!(!area(0.0, 27.0, 10.0, 60.0).matches_place(place), "55 % of its degrees, 47.6 % of its area");
        assert!(area(0.0, 25.0, 10.0, 60.0).matches_place(place));
        // Half of the area is south of asin(0.4330) = 25.6589°.
        assert!(area(0.0, 0.0, 10.0, 25.66).matches_place(place), "43 % of its degrees, half of its area");
        assert!(!area(0.0, 0.0, 10.0, 25.65).matches_place(place));
        // 48.2..60°N: the part south of 54°N has 49.2 % of the degrees and 52.7 % of the area.
        let place = area(-5.0, 48.2, 5.0, 60.0);
        assert!(area(-5.0, 40.0, 5.0, 54.0).matches_place(place));
        assert!(!area(-5.0, 54.0, 5.0, 70.0).matches_place(place));
        // Half is enough, though neither edge nor sine is an exact number.
        for (half, place) in [
            (area(0.0, 0.0, 20.0, 20.0), area(0.0, -10.0, 20.0, 10.0)),
            (area(0.1, -70.3, 0.4, 0.0), area(0.1, -70.3, 0.4, 70.3)),
            (area(-73.55, 45.0, -73.0, 46.0), area(-73.6, 45.4, -73.5, 45.7)),
            (area(179.9, -10.0, -175.0, 10.0), area(179.7, -1.0, -179.9, 1.0)),
        ] {
            assert!(half.matches_place(place), "{half:?} {place:?}");
        }
    }

    #[test]
    fn a_box_wider_than_half_the_globe_keeps_its_width() {
        let wide = area(-179.2, 18.9, 179.9, 72.7);
        assert!((wide.width() - 359.1).abs() < 1e-9);
        for (of, has) in [
            (area(-180.0, -90.0, 180.0, 90.0), true),
            (area(-179.2, 18.9, 179.9, 72.7), true),
            (area(-125.0, 24.0, -66.0, 50.0), false),
            (area(170.0, 50.0, -160.0, 72.0), false),
            (area(20.0, 41.0, -169.0, 82.0), false),
        ] {
            assert_eq!(of.matches_place(wide), has, "{of:?}");
        }
        assert!(wide.contains(Point { lon: 0.0, lat: 51.0 }));
        assert!(wide.matches_place(area(-0.5, 51.3, 0.3, 51.7)));
        assert!(!wide.contains(Point { lon: 179.95, lat: 51.0 }));
        // The same width elsewhere: all but a slice at Greenwich.
        let other = area(0.5, -10.0, -0.4, 10.0);
        assert!((other.width() - 359.1).abs() < 1e-9);
        assert!(
            other.matches_place(area(179.0, -1.0, -179.0, 1.0)) && !other.matches_place(area(-0.3, -1.0, 0.4, 1.0))
        );
    }

    #[test]
    fn places_across_the_antimeridian_count_where_they_are() {
        let islands = area(172.4, 51.2, -170.0, 53.0);
        let greenwich = area(-90.0, -90.0, 90.0, 90.0);
        let fiji = area(177.0, -19.0, -178.0, -16.0);
        for (place, region, has) in [
            (islands, area(170.0, 50.0, -165.0, 55.0), true),
            (islands, area(-180.0, 50.0, -165.0, 55.0), true),
            (islands, area(170.0, 50.0, 180.0, 55.0), false),
            (islands, greenwich, false),
            (area(-179.9, -18.0, -178.5, -17.0), fiji, true),
            (area(178.0, -18.0, -178.5, -17.0), fiji, true),
            (area(-179.0, -18.0, -175.0, -17.0), fiji, false),
        ] {
            assert_eq!(region.matches_place(place), has, "{region:?} {place:?}");
        }
    }

    #[test]
    fn a_box_has_no_mirror_image() {
        let fiji = area(177.0, -19.0, -178.0, -16.0);
        for (lon, has) in [
            (177.0, true),
            (-177.5, false),
            (178.5, true),
            (-178.0, true),
            (-178.5, true),
            (180.0, true),
            (176.5, false),
        ] {
            assert_eq!(fiji.contains(Point { lon, lat: -17.0 }), has, "{lon}");
        }
        assert!(!area(-74.0, 45.0, -73.0, 46.0).contains(Point { lon: 73.5, lat: 45.5 }));
    }

    #[test]
    fn a_place_without_area_counts_by_its_middle() {
        let fiji = area(177.0, -19.0, -178.0, -16.0);
        for (place, has) in [
            (area(179.0, -17.0, 179.0, -17.0), true),
            (area(0.0, -17.0, 0.0, -17.0), false),
            // Lines: along a parallel across the antimeridian, and along a meridian.
            (area(178.0, -17.0, -178.0, -17.0), true),
            (area(178.0, -17.0, -168.0, -17.0), false),
            (area(179.0, -20.0, 179.0, -14.0), true),
            (area(179.0, -20.0, 179.0, 0.0), false),
            (area(178.0, -17.0, -177.0, -17.0), true),
            // Its middle is the antimeridian itself, which both boxes touch.
            (area(179.0, -17.0, -179.0, -17.0), true),
        ] {
            assert_eq!(fiji.matches_place(place), has, "{place:?}");
        }
        for edge in [area(170.0, -20.0, 180.0, -10.0), area(-180.0, -20.0, -170.0, -10.0)] {
            assert!(edge.matches_place(area(179.0, -17.0, -179.0, -17.0)));
            assert!(
                edge.contains(Point { lon: 180.0, lat: -15.0 }) && edge.contains(Point { lon: -180.0, lat: -15.0 })
            );
        }
    }

    #[test]
    fn at_a_pole_all_longitudes_are_one() {
        let cap = area(100.0, 80.0, 120.0, 90.0);
        assert!(cap.contains(Point { lon: 0.0, lat: 90.0 }) && !cap.contains(Point { lon: 0.0, lat: 89.9 }));
        assert!(cap.matches_place(area(-20.0, 90.0, 10.0, 90.0)));
        assert!(!cap.contains(Point { lon: 110.0, lat: -90.0 }));
        // So near the pole that both sines are 1 in a double.
        let spot = area(110.0, 90.0 - 1e-9, 111.0, 90.0);
        assert!(cap.matches_place(spot) && !area(110.5, 80.0, 120.0, 90.0 - 6e-10).matches_place(spot));
        assert!(area(-180.0, 60.0, 180.0, 90.0).matches_place(area(-180.0, 80.0, 180.0, 90.0)));
        assert!(!area(-180.0, 88.0, 180.0, 90.0).matches_place(area(-180.0, 80.0, 180.0, 90.0)), "4 % of the cap");
    }

    /// Share of the place that is in the region, from many small cells.
    fn share_by_cells(region: GeoBox, place: GeoBox) -> f64 {
        const CELLS: u32 = 400;
        let (mut all, mut shared) = (0.0, 0.0);
        let middles =
            |from: f64, span: f64| (0..CELLS).map(move |n| from + span * (f64::from(n) + 0.5) / f64::from(CELLS));
        let east_of = |lon: f64| (lon - region.west).rem_euclid(360.0) <= region.width();
        let columns = middles(place.west, place.width()).filter(|lon| east_of(*lon)).count() as f64;
        for lat in middles(place.south, place.north - place.south) {
            all += lat.to_radians().cos() * f64::from(CELLS);
            if (region.south..=region.north).contains(&lat) {
                shared += lat.to_radians().cos() * columns;
            }
        }
        shared / all
    }

    fn any_box() -> impl Strategy<Value = GeoBox> {
        (-180.0f64..180.0, 0.5f64..359.5, -90.0f64..89.0, 0.0f64..1.0).prop_map(|(west, width, south, height)| {
            let east = west + width;
            area(west, south, if east > 180.0 { east - 360.0 } else { east }, south + (90.0 - south) * height.max(0.01))
        })
    }

    proptest! {
        #[test]
        fn half_agrees_with_a_sum_over_small_cells(region in any_box(), place in any_box()) {
            let share = share_by_cells(region, place);
            // The cells along an edge count whole or not at all.
            prop_assume!((share - 0.5).abs() > 0.02);
            prop_assert_eq!(region.matches_place(place), share > 0.5, "{} {:?} {:?}", share, region, place);
        }

        #[test]
        fn where_the_globe_is_cut_does_not_matter(region in any_box(), place in any_box(), turn in -360.0f64..360.0) {
            let turned = |lon: f64| (lon + turn + 180.0).rem_euclid(360.0) - 180.0;
            let of = |b: GeoBox| area(turned(b.west), b.south, turned(b.east), b.north);
            prop_assume!((share_by_cells(region, place) - 0.5).abs() > 1e-3);
            prop_assert_eq!(region.matches_place(place), of(region).matches_place(of(place)));
        }

        #[test]
        fn a_box_matches_itself_and_points_on_its_edges(of in any_box()) {
            prop_assert!(of.matches_place(of));
            for (lon, lat) in [(of.west, of.south), (of.east, of.north)] {
                prop_assert!(of.contains(Point { lon, lat }), "{lon} {lat}");
            }
        }
    }
}
