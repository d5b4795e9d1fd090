//! Numbers of the calculator: fractions of whole numbers, of any size up to a bound, each with whether it is exact.
//!
//! What is not exact (a root, a logarithm) is kept to [`SIGNIFICANT`] binary digits, about 96 decimal ones. Left out:
//! functions, and how a number is written.

use std::cmp::Ordering;

use num_bigint::BigInt;
use num_integer::Integer;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

use super::real;

/// A value, or words for who wrote the expression.
pub(crate) type Outcome<T> = Result<T, String>;

/// Binary digits of what is not exact.
pub(super) const SIGNIFICANT: u64 = 320;

/// The most binary digits of a numerator or a denominator: about 12,000 decimal ones.
const MOST_BITS: u64 = 40_000;

/// Work of one expression, in squares of the operands' 64-bit words: about half a second.
const WORK: u64 = 10_000_000;

/// The largest degree of a root that is looked for exactly.
const MOST_ROOT: u32 = 64;

/// A number.
#[derive(Debug, Clone)]
pub(crate) struct Number {
    pub value: BigRational,
    /// Whether nothing was rounded on the way.
    pub exact: bool,
}

/// What is left of the work that an expression may cost.
#[derive(Debug)]
pub(crate) struct Budget(u64);

impl Budget {
    pub fn new() -> Self {
        Self(WORK)
    }

    /// Takes the work of an operation on these.
    pub fn spend(&mut self, numbers: &[&Number]) -> Outcome<()> {
        let bits: u64 = numbers.iter().map(|n| n.bits()).sum();
        let words = bits / 64 + 1;
        self.take(words.saturating_mul(words))
    }

    fn take(&mut self, work: u64) -> Outcome<()> {
        match self.0.checked_sub(work) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => Err("the expression takes too much work; split it up".to_owned()),
        }
    }
}

impl Number {
    pub fn exact(value: BigRational) -> Self {
        Self { value, exact: true }
    }

    pub fn whole(value: impl Into<BigInt>) -> Self {
        Self::exact(BigRational::from_integer(value.into()))
    }

    /// A value that was rounded.
    pub fn rounded(value: BigRational) -> Self {
        Self {
            value: significant(value),
            exact: false,
        }
    }

    fn bits(&self) -> u64 {
        self.value.numer().bits() + self.value.denom().bits()
    }

    fn with(value: BigRational, exact: bool) -> Outcome<Self> {
        let value = if exact { value } else { significant(value) };
        if value.numer().bits().max(value.denom().bits()) > MOST_BITS {
            return Err("a number on the way has more than 12,000 digits".to_owned());
        }
        Ok(Self { value, exact })
    }

    pub fn is_zero(&self) -> bool {
        self.value.is_zero()
    }

    pub fn is_negative(&self) -> bool {
        self.value.is_negative()
    }

    pub fn neg(self) -> Self {
        Self {
            value: -self.value,
            exact: self.exact,
        }
    }

    pub fn abs(self) -> Self {
        if self.is_negative() { self.neg() } else { self }
    }

    pub fn add(&self, other: &Self, budget: &mut Budget) -> Outcome<Self> {
        budget.spend(&[self, other])?;
        Self::with(&self.value + &other.value, self.exact && other.exact)
    }

    pub fn sub(&self, other: &Self, budget: &mut Budget) -> Outcome<Self> {
        budget.spend(&[self, other])?;
        Self::with(&self.value - &other.value, self.exact && other.exact)
    }

    pub fn mul(&self, other: &Self, budget: &mut Budget) -> Outcome<Self> {
        budget.spend(&[self, other])?;
        Self::with(&self.value * &other.value, self.exact && other.exact)
    }

    pub fn div(&self, other: &Self, budget: &mut Budget) -> Outcome<Self> {
        if other.is_zero() {
            return Err("a division by zero".to_owned());
        }
        budget.spend(&[self, other])?;
        Self::with(&self.value / &other.value, self.exact && other.exact)
    }

    /// What a division leaves, with the sign of the divisor, as Python's `%`.
    pub fn modulo(&self, other: &Self, budget: &mut Budget) -> Outcome<Self> {
        let times = self.div(other, budget)?;
        let whole = Self {
            value: BigRational::from_integer(times.floor()),
            exact: times.exact,
        };
        self.sub(&other.mul(&whole, budget)?, budget)
    }

    /// The next whole number downwards.
    pub fn floor(&self) -> BigInt {
        self.value.numer().div_floor(self.value.denom())
    }

    /// The nearest whole number; of two, the one further from zero.
    pub fn nearest(&self) -> BigInt {
        let twice: BigInt = self.value.numer().abs() * 2 + self.value.denom();
        let away = twice.div_floor(&(self.value.denom() * 2));
        if self.is_negative() { -away } else { away }
    }

    /// The whole number that it is.
    pub fn as_whole(&self) -> Option<&BigInt> {
        self.value.denom().is_one().then(|| self.value.numer())
    }

    /// The whole number that it is, where that is a small one.
    pub fn as_small(&self) -> Option<i64> {
        self.as_whole()?.to_i64()
    }

    /// Which of the two is less. Not by the order of `Ratio`, which recurs as often as Euclid's algorithm steps.
    pub fn compare(&self, other: &Self, budget: &mut Budget) -> Outcome<Ordering> {
        budget.spend(&[self, other])?;
        let (a, b) = (&self.value, &other.value);
        Ok((a.numer() * b.denom()).cmp(&(b.numer() * a.denom())))
    }

    /// A power. A root in it is exact where it can be.
    pub fn pow(&self, exponent: &Self, budget: &mut Budget) -> Outcome<Self> {
        if exponent.is_zero() {
            return match self.is_zero() {
                true => Err("0^0 has no value".to_owned()),
                false => Ok(Self::whole(1)),
            };
        }
        if self.is_zero() {
            return match exponent.is_negative() {
                true => Err("a division by zero: 0 to a negative power".to_owned()),
                false => Ok(self.clone()),
            };
        }
        if exponent.as_whole().is_some() {
            let times = exponent.as_small().and_then(|n| i32::try_from(n).ok());
            let times = times.ok_or("an exponent is too large")?;
            return self.power(times, budget);
        }
        if self.is_negative() {
            return Err(
                "a negative number to a fractional power is not a real number; for odd roots write cbrt(x) or \
                 root(x, n)"
                    .to_owned(),
            );
        }
        let degree = exponent.value.denom().to_u32();
        if let Some(degree) = degree.filter(|degree| exponent.exact && *degree <= MOST_ROOT)
            && let Some(root) = self.exact_root(degree, budget)?
        {
            let times = exponent.value.numer().to_i32();
            return root.power(times.ok_or("an exponent is too large")?, budget);
        }
        budget.spend(&[self, exponent])?;
        let product = real::ln(&self.value) * &exponent.value;
        Ok(Self::rounded(real::exp(&product)?))
    }

    /// A whole power; rounded where the exact one would be too long.
    fn power(&self, times: i32, budget: &mut Budget) -> Outcome<Self> {
        let steps = times.unsigned_abs();
        let mut base = self.clone();
        let is_one = self.value.numer().abs().is_one() && self.value.denom().is_one();
        let longest = self.value.numer().bits().max(self.value.denom().bits());
        if !is_one && longest.saturating_mul(u64::from(steps)) > MOST_BITS {
            base = Self::rounded(base.value);
        }
        let mut left = steps;
        let mut result = Self::whole(1);
        while left > 0 {
            if left % 2 == 1 {
                result = result.mul(&base, budget)?;
            }
            left /= 2;
            if left > 0 {
                base = base.mul(&base, budget)?;
            }
        }
        if times < 0 {
            return Self::whole(1).div(&result, budget);
        }
        Ok(result)
    }

    /// The root of this degree, negative for a negative number and an odd degree.
    pub fn root(&self, degree: u32, budget: &mut Budget) -> Outcome<Self> {
        if degree == 0 {
            return Err("there is no root of degree 0".to_owned());
        }
        if self.is_negative() {
            if degree.is_even() {
                return Err("a negative number has no real even root".to_owned());
            }
            return Ok(self.clone().neg().root(degree, budget)?.neg());
        }
        if self.is_zero() || degree == 1 {
            return Ok(self.clone());
        }
        if degree <= MOST_ROOT {
            if let Some(root) = self.exact_root(degree, budget)? {
                return Ok(root);
            }
            return Ok(Self::rounded(real::root(&self.value, degree)));
        }
        let part = BigRational::new(BigInt::one(), degree.into());
        Ok(Self::rounded(real::exp(&(real::ln(&self.value) * part))?))
    }

    /// The root of a positive number where it is a fraction.
    fn exact_root(&self, degree: u32, budget: &mut Budget) -> Outcome<Option<Self>> {
        budget.spend(&[self, self])?;
        let whole = |n: &BigInt| {
            let root = n.nth_root(degree);
            (root.pow(degree) == *n).then_some(root)
        };
        let parts = whole(self.value.numer()).zip(whole(self.value.denom()));
        Ok(parts.map(|(numer, denom)| Self {
            value: BigRational::new(numer, denom),
            exact: self.exact,
        }))
    }
}

/// A value to [`SIGNIFICANT`] binary digits.
fn significant(value: BigRational) -> BigRational {
    let (numer, denom) = (value.numer(), value.denom());
    if numer.bits().max(denom.bits()) <= SIGNIFICANT {
        return value;
    }
    let signed = |bits: u64| i64::try_from(bits).unwrap_or(i64::MAX);
    let shift = signed(SIGNIFICANT) - (signed(numer.bits()) - signed(denom.bits()));
    if shift >= 0 {
        BigRational::new((numer << shift).div_floor(denom), BigInt::one() << shift)
    } else {
        let scaled = numer.div_floor(&(denom << -shift));
        BigRational::from_integer(scaled << -shift)
    }
}
