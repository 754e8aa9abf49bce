//! Numbers in digits.

use birdsong_domain::frame::eight_digits;

use super::walk::Odd;
use super::{Field, put};

/// Numbers of so many digits fit into 64 bits.
const MOST_DIGITS: usize = 19;

/// Up to here every whole number is a float.
const MOST_EXACT: u64 = 1 << 53;

/// Powers of ten, all exact.
const POWERS: [f64; MOST_DIGITS] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18];

/// A number of at most [`MOST_DIGITS`] and nothing else, as nearly all ids are.
pub(super) fn whole(text: &str) -> Option<u64> {
    let digits = text.as_bytes();
    if digits.is_empty() || digits.len() > MOST_DIGITS {
        return None;
    }
    let (eights, rest) = digits.as_chunks();
    let mut number = 0;
    for eight in eights {
        number = number * 100_000_000 + eight_digits(u64::from_le_bytes(*eight))?;
    }
    rest.iter().try_fold(number, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0')))
}

/// Puts a number, which JSON allows, into a place.
///
/// # Errors
/// When readers differ in what it is.
pub(super) fn put_number<'a, T: Field<'a>>(number: &str, place: &mut T) -> Result<(), Odd> {
    match exactly(number.as_bytes()) {
        Some((whole, 0)) => put(place, T::unsigned(whole)),
        // Both parts are exact, so the quotient is the number that is closest (Clinger, "How to read floating point numbers accurately", 1990).
        Some((digits, decimals)) if digits > 0 && digits <= MOST_EXACT => {
            put(place, T::float(digits as f64 / POWERS[decimals]))
        }
        _ => put_any_number(number, place)?,
    }
    Ok(())
}

/// The digits of a number without sign and exponent, and how many of them are decimals.
#[inline]
fn exactly(number: &[u8]) -> Option<(u64, usize)> {
    if number.len() > MOST_DIGITS {
        return None;
    }
    let (mut digits, mut point) = (0u64, None);
    for (n, byte) in number.iter().enumerate() {
        match byte {
            b'0'..=b'9' => digits = digits * 10 + u64::from(byte - b'0'),
            b'.' => point = Some(n + 1),
            _ => return None,
        }
    }
    Some((digits, point.map_or(0, |point| number.len() - point)))
}

fn put_any_number<'a, T: Field<'a>>(number: &str, place: &mut T) -> Result<(), Odd> {
    if let Ok(number) = number.parse() {
        put(place, T::unsigned(number));
        return Ok(());
    }
    let real: f64 = number.parse().map_err(|_| Odd)?;
    // Readers differ in the sign of zero, and in what is too large.
    if (real == 0.0 && real.is_sign_negative()) || !real.is_finite() {
        return Err(Odd);
    }
    put(place, T::float(real));
    Ok(())
}
