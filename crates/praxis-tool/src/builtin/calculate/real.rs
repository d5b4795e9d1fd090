//! Functions whose values are no fractions: roots, logarithms, circles. Computed in fixed point with [`BITS`] binary
//! digits behind the point, so that the 60 decimal digits that are shown are right.
//!
//! Methods: Brent and Zimmermann, "Modern Computer Arithmetic", chapter 4: argument reduction and Taylor series;
//! Machin's formula for pi. Left out: bounds on arguments that are no numbers of these functions, which the
//! calculator's functions check, but for sizes.

use num_bigint::BigInt;
use num_integer::Integer;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

use super::number::{Outcome, SIGNIFICANT};

/// Binary digits behind the point.
const BITS: u64 = 384;

/// Halvings of an argument before its series.
const HALVINGS: u64 = 16;

/// The largest exponent of e, and the largest angle in binary digits.
const MOST_EXPONENT: i64 = 10_000;
const MOST_ANGLE: u64 = 64;

/// The most terms of a series; each adds a binary digit at least.
const MOST_TERMS: u64 = 2 * BITS;

fn one() -> BigInt {
    BigInt::one() << BITS
}

fn fixed(value: &BigRational) -> BigInt {
    (value.numer() << BITS).div_floor(value.denom())
}

fn fraction(value: BigInt) -> BigRational {
    BigRational::new(value, one())
}

fn times(a: &BigInt, b: &BigInt) -> BigInt {
    (a * b) >> BITS
}

/// `z + z^3/3 + z^5/5 + ...`, with signs that alternate for the arc tangent, for |z| of at most 1/2.
fn arc(z: &BigInt, alternates: bool) -> BigInt {
    let square = times(z, z);
    let (mut power, mut sum) = (z.clone(), z.clone());
    for k in 1..MOST_TERMS {
        power = times(&power, &square);
        if alternates {
            power = -power;
        }
        let term = &power / BigInt::from(2 * k + 1);
        if term.is_zero() {
            break;
        }
        sum += term;
    }
    sum
}

fn ln2() -> BigInt {
    arc(&(one() / 3), false) * 2
}

/// Pi by Machin's formula.
fn pi_fixed() -> BigInt {
    arc(&(one() / 5), true) * 16 - arc(&(one() / 239), true) * 4
}

/// The ratio of a circle's circumference to its diameter.
pub(super) fn pi() -> BigRational {
    fraction(pi_fixed())
}

/// e to this power.
///
/// # Errors
/// A power beyond 10,000.
pub(super) fn exp(x: &BigRational) -> Outcome<BigRational> {
    let whole = x.to_integer().to_i64();
    if whole.is_none_or(|n| !(-MOST_EXPONENT..=MOST_EXPONENT).contains(&n)) {
        return Err(format!(
            "e to a power beyond {MOST_EXPONENT} is out of reach"
        ));
    }
    let x = fixed(x);
    let ln2 = ln2();
    let twos = x.div_floor(&ln2);
    let small = (x - &twos * &ln2) >> HALVINGS;
    let (mut term, mut sum) = (one(), one());
    for k in 1..MOST_TERMS {
        term = times(&term, &small) / BigInt::from(k);
        if term.is_zero() {
            break;
        }
        sum += &term;
    }
    for _ in 0..HALVINGS {
        sum = times(&sum, &sum);
    }
    let twos = twos.to_i64().unwrap_or_default();
    Ok(if twos >= 0 {
        BigRational::new(sum << twos, one())
    } else {
        BigRational::new(sum, one() << -twos)
    })
}

/// The natural logarithm of a positive number.
pub(super) fn ln(x: &BigRational) -> BigRational {
    let bits = |n: &BigInt| i64::try_from(n.bits()).unwrap_or(i64::MAX);
    let twos = bits(x.numer()) - bits(x.denom());
    let near_one = if twos >= 0 {
        BigRational::new(x.numer().clone(), x.denom() << twos)
    } else {
        BigRational::new(x.numer() << -twos, x.denom().clone())
    };
    let z = (&near_one - BigRational::one()) / (&near_one + BigRational::one());
    fraction(arc(&fixed(&z), false) * 2 + ln2() * twos)
}

/// The root of this degree of a positive number.
pub(super) fn root(x: &BigRational, degree: u32) -> BigRational {
    let degree_bits = u64::from(degree);
    // As many digits behind the point as a small number needs to have enough of them at all.
    let deficit = x.denom().bits().saturating_sub(x.numer().bits());
    let behind = SIGNIFICANT + 2 + deficit / degree_bits;
    let scaled = (x.numer() << (behind * degree_bits)).div_floor(x.denom());
    BigRational::new(scaled.nth_root(degree), BigInt::one() << behind)
}

/// Sine and cosine of an angle in radians.
///
/// # Errors
/// An angle that is too large to have digits left.
pub(super) fn sin_cos(x: &BigRational) -> Outcome<(BigRational, BigRational)> {
    if x.to_integer().bits() > MOST_ANGLE {
        return Err("an angle beyond 10^19 is out of reach".to_owned());
    }
    let x = fixed(x);
    let quarter: BigInt = pi_fixed() >> 1;
    // To the nearest quarter of a turn.
    let (above, half): (BigInt, BigInt) = (&x * 2 + &quarter, &quarter * 2);
    let quarters = above.div_floor(&half);
    let small = x - &quarters * &quarter;
    let square = times(&small, &small);
    let series = |first: BigInt, from: u64| {
        let (mut term, mut sum) = (first.clone(), first);
        for k in 1..MOST_TERMS {
            let below = BigInt::from((2 * k + from - 1) * (2 * k + from));
            term = -(times(&term, &square) / below);
            if term.is_zero() {
                break;
            }
            sum += &term;
        }
        sum
    };
    let (sin, cos) = (series(small, 1), series(one(), 0));
    let turned = quarters.mod_floor(&BigInt::from(4)).to_u8();
    let (sin, cos) = match turned {
        Some(0) => (sin, cos),
        Some(1) => (cos, -sin),
        Some(2) => (-sin, -cos),
        _ => (-cos, sin),
    };
    // Nothing is taken from a small angle, so a small sine of it is right.
    if quarters.is_zero() {
        return Ok((fraction(sin), fraction(cos)));
    }
    Ok((snapped(sin), snapped(cos)))
}

/// A value that is nothing but what rounding left of zero is zero.
fn snapped(value: BigInt) -> BigRational {
    if value.bits() + SIGNIFICANT < BITS + 64 {
        return BigRational::zero();
    }
    fraction(value)
}

/// The angle with this tangent.
pub(super) fn atan(x: &BigRational) -> BigRational {
    if x.is_negative() {
        return -atan(&-x);
    }
    if x.numer() > x.denom() {
        return fraction((pi_fixed() >> 1) - fixed(&atan(&x.recip())));
    }
    let mut z = fixed(x);
    for _ in 0..3 {
        // atan z = 2 atan(z / (1 + sqrt(1 + z^2)))
        let root: BigInt = ((one() + times(&z, &z)) << BITS).sqrt();
        z = (z << BITS) / (one() + root);
    }
    fraction(arc(&z, true) << 3)
}

/// The angle with this sine, of a number from -1 to 1.
pub(super) fn asin(x: &BigRational) -> BigRational {
    let z = fixed(x);
    let beside: BigInt = ((one() - times(&z, &z)) << BITS).sqrt();
    if beside.is_zero() {
        let quarter = fraction(pi_fixed() >> 1);
        return if x.is_negative() { -quarter } else { quarter };
    }
    atan(&BigRational::new(z, beside))
}
