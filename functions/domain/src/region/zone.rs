//! Names of time zones, as the IANA database writes them.
//!
//! The program computes with UTC alone and has no copy of the database. So it checks the form of a name and its area;
//! whether the city exists is up to whoever shows times in that zone.

use super::config::Mistake;

/// The first parts of the names in the database. Aliases such as `US/Eastern` are left out.
const AREAS: [&str; 11] = [
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Etc",
    "Europe",
    "Indian",
    "Pacific",
];
/// Longest part of a name, in bytes. The database keeps to 14.
const MAX_PART_BYTES: usize = 32;

/// The name of a time zone: `UTC`, or an area and one or two places.
pub(super) fn checked_zone(name: String) -> Result<String, Mistake> {
    let remedy =
        "write a name of the IANA time zone database, such as \"America/Toronto\", \"Europe/Paris\" or \"UTC\"";
    if name == "UTC" {
        return Ok(name);
    }
    let mut parts = name.split('/');
    let area = parts.next().unwrap_or_default();
    let places: Vec<_> = parts.collect();
    if !(1..=2).contains(&places.len()) || !places.iter().all(|place| is_place(place)) {
        return Err((format!("{name:?} is not the name of a time zone"), remedy.into()));
    }
    if !AREAS.contains(&area) {
        let remedy = format!("{remedy}; the areas are {}", AREAS.join(", "));
        return Err((format!("{name:?} is not the name of a time zone: there is no area {area:?}"), remedy));
    }
    Ok(name)
}

fn is_place(part: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+');
    part.len() <= MAX_PART_BYTES && part.starts_with(|c: char| c.is_ascii_uppercase()) && part.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_an_area_and_a_place() {
        for name in [
            "UTC",
            "Etc/GMT+5",
            "America/Toronto",
            "America/Port-au-Prince",
            "America/North_Dakota/New_Salem",
            "Asia/Tokyo",
        ] {
            assert_eq!(checked_zone(name.into()), Ok(name.to_owned()));
        }
        for name in [
            "",
            "EST",
            "+02:00",
            "Europe",
            "Europe/",
            "/Paris",
            "europe/Paris",
            "Europe/paris",
            "Europe/Paris ",
            "Mars/Olympus",
            "US/Eastern",
            "America/Argentina/Buenos_Aires/Here",
            "Europe/../etc",
            "Europe/Paris\u{1b}[2J",
            "Europe/Saint_Étienne",
        ] {
            let (problem, remedy) = checked_zone(name.into()).unwrap_err();
            assert!(problem.contains(&format!("{name:?}")) && remedy.contains("Europe/Paris"), "{problem}; {remedy}");
            assert!(!problem.contains('\u{1b}'));
        }
        assert!(checked_zone(format!("Europe/P{}", "a".repeat(32))).is_err());
    }
}
