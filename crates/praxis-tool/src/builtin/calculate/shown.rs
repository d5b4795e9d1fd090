//! How a number is written: as the decimal that it is, or to so many digits.

use num_bigint::BigInt;
use num_integer::Integer;
use num_rational::BigRational;
use num_traits::{One, Signed, Zero};

use super::number::Number;

/// The longest whole number and the most digits behind the point that are written out.
const MOST_DIGITS: u64 = 2000;
const MOST_BEHIND: u32 = 100;

/// Powers of ten at which numbers begin to be written as `1.5e30`.
const PLAIN: std::ops::RangeInclusive<i64> = -7..=40;

/// The longest numerator or denominator of a fraction that is told.
const MOST_FRACTION_BITS: u64 = 400;

/// A number in words.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// As a decimal.
    pub text: String,
    /// Whether that is the number itself.
    pub exact: bool,
    /// The fraction that it is, where the decimal is not.
    pub fraction: Option<String>,
}

/// Writes a number; to `digits` significant digits where it has too many.
pub(crate) fn shown(number: &Number, digits: u32) -> Shown {
    let value = &number.value;
    if number.exact
        && let Some(text) = ending(value)
    {
        return Shown {
            text,
            exact: true,
            fraction: None,
        };
    }
    let is_short = value.numer().bits().max(value.denom().bits()) <= MOST_FRACTION_BITS;
    let is_fraction = number.exact && !value.denom().is_one() && is_short;
    Shown {
        text: significant(value, digits),
        exact: false,
        fraction: is_fraction.then(|| format!("{}/{}", value.numer(), value.denom())),
    }
}

/// The decimal of a number that has one which ends, and is not too long.
fn ending(value: &BigRational) -> Option<String> {
    if value.numer().bits() / 3 > MOST_DIGITS + u64::from(MOST_BEHIND) {
        return None;
    }
    let mut rest = value.denom().clone();
    let mut behind = 0;
    let (two, five) = (BigInt::from(2), BigInt::from(5));
    for prime in [two, five] {
        let mut power = 0;
        while power <= MOST_BEHIND {
            let (next, left) = rest.div_rem(&prime);
            if !left.is_zero() {
                break;
            }
            rest = next;
            power += 1;
        }
        behind = power.max(behind);
    }
    if !rest.is_one() || behind > MOST_BEHIND {
        return None;
    }
    let whole = (value.numer() * BigInt::from(10).pow(behind)) / value.denom();
    let text = pointed(&whole.abs().to_string(), behind as usize);
    Some(if whole.is_negative() {
        format!("-{text}")
    } else {
        text
    })
}

/// Digits with a point before the last ones.
fn pointed(digits: &str, behind: usize) -> String {
    if behind == 0 {
        return digits.to_owned();
    }
    let padded = format!("{digits:0>width$}", width = behind + 1);
    let (whole, fraction) = padded.split_at(padded.len() - behind);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        return whole.to_owned();
    }
    format!("{whole}.{fraction}")
}

/// A number to so many significant digits, rounded to the nearest.
fn significant(value: &BigRational, digits: u32) -> String {
    if value.is_zero() {
        return "0".to_owned();
    }
    let sign = if value.is_negative() { "-" } else { "" };
    let value = value.abs();
    let mut exponent = magnitude(&value);
    let mut digits_of = rounded(&value, i64::from(digits) - 1 - exponent);
    // 9.99 may become 10.0.
    if digits_of.len() > digits as usize {
        exponent += 1;
        digits_of = rounded(&value, i64::from(digits) - 1 - exponent);
    }
    let trimmed = digits_of.trim_end_matches('0');
    if PLAIN.contains(&exponent) {
        let text = if exponent < 0 {
            let zeros = usize::try_from(-exponent - 1).unwrap_or_default();
            format!("0.{}{trimmed}", "0".repeat(zeros))
        } else {
            let before = usize::try_from(exponent + 1).unwrap_or_default();
            let padded = format!("{trimmed:0<before$}");
            pointed(&padded, padded.len() - before)
        };
        return format!("{sign}{text}");
    }
    let (first, rest) = trimmed.split_at(1);
    let rest = if rest.is_empty() {
        String::new()
    } else {
        format!(".{rest}")
    };
    format!("{sign}{first}{rest}e{exponent}")
}

/// The power of ten of a positive number's first digit.
fn magnitude(value: &BigRational) -> i64 {
    let bits = |n: &BigInt| i64::try_from(n.bits()).unwrap_or(i64::MAX);
    // A number is at least this power of two; log10(2) is between 0.30102 and 0.30103.
    let twos = bits(value.numer()) - bits(value.denom()) - 1;
    let least = if twos < 0 { 30_103 } else { 30_102 };
    let mut power = (twos * least).div_euclid(100_000);
    loop {
        let next = tens(power + 1);
        if value.numer() * next.denom() < value.denom() * next.numer() {
            return power;
        }
        power += 1;
    }
}

/// A power of ten.
fn tens(power: i64) -> BigRational {
    let size = u32::try_from(power.unsigned_abs()).unwrap_or(u32::MAX);
    let ten = BigInt::from(10).pow(size);
    if power >= 0 {
        BigRational::from_integer(ten)
    } else {
        BigRational::new(BigInt::one(), ten)
    }
}

/// The digits of a positive number times a power of ten, rounded to the nearest whole number.
fn rounded(value: &BigRational, power: i64) -> String {
    let scaled = value * tens(power);
    let twice: BigInt = scaled.numer() * 2 + scaled.denom();
    twice.div_floor(&(scaled.denom() * 2)).to_string()
}
