//! Functions and constants of the calculator. Their names are those of calculators and of Python's `math`; angles are
//! in radians, `30°` is one.

use std::cmp::Ordering;

use num_bigint::BigInt;
use num_integer::Integer;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

use super::number::{Budget, Number, Outcome};
use super::real;

/// The largest number whose factorial is computed.
const MOST_FACTORIAL: i64 = 3000;

/// Decimal places of `round`.
const MOST_PLACES: i64 = 1000;

/// The largest logarithm that is looked for as a whole number.
const MOST_LOGARITHM: i64 = 4000;

/// Constants.
pub(super) const CONSTANTS: &[&str] = &["pi", "π", "tau", "e"];

/// Functions.
pub(super) const NAMES: &[&str] = &[
    "abs",
    "acos",
    "asin",
    "atan",
    "average",
    "cbrt",
    "ceil",
    "choose",
    "comb",
    "cos",
    "cosh",
    "exp",
    "factorial",
    "floor",
    "gcd",
    "lcm",
    "ln",
    "log",
    "log10",
    "log2",
    "max",
    "mean",
    "median",
    "min",
    "mod",
    "perm",
    "pow",
    "root",
    "round",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "stdev",
    "sum",
    "tan",
    "tanh",
    "trunc",
    "variance",
];

/// A constant by its name.
pub(super) fn constant(name: &str) -> Option<Number> {
    match name {
        "pi" | "π" => Some(Number::rounded(real::pi())),
        "tau" => Some(Number::rounded(real::pi() * BigInt::from(2))),
        "e" => real::exp(&BigRational::one()).ok().map(Number::rounded),
        _ => None,
    }
}

/// An angle of one degree.
pub(super) fn degree(budget: &mut Budget) -> Outcome<Number> {
    Number::rounded(real::pi()).div(&Number::whole(180), budget)
}

/// The product of all whole numbers up to this one.
pub(super) fn factorial(number: &Number, budget: &mut Budget) -> Outcome<Number> {
    let most = number
        .as_small()
        .filter(|n| (0..=MOST_FACTORIAL).contains(n));
    let most =
        most.ok_or_else(|| format!("a factorial is of a whole number from 0 to {MOST_FACTORIAL}"))?;
    let mut product = BigInt::one();
    for n in 2..=most {
        product *= n;
    }
    let product = Number {
        value: BigRational::from_integer(product),
        exact: number.exact,
    };
    budget.spend(&[&product])?;
    Ok(product)
}

/// A function's value.
///
/// # Errors
/// Words for the wrong number of arguments, and for those that it has no value for.
pub(super) fn call(name: &str, arguments: &[Number], budget: &mut Budget) -> Outcome<Number> {
    match (name, arguments) {
        ("sum", all) => sum(all, budget),
        ("mean" | "average", [_, ..]) => mean(arguments, budget),
        ("median", [_, ..]) => median(arguments, budget),
        ("variance" | "stdev", [_, _, ..]) => spread(name, arguments, budget),
        ("variance" | "stdev", _) => Err(format!(
            "`{name}` is that of a sample, and takes two numbers at least"
        )),
        ("min", [_, ..]) => extreme(arguments, Ordering::Less, budget),
        ("max", [_, ..]) => extreme(arguments, Ordering::Greater, budget),
        ("gcd" | "lcm", [_, ..]) => divisors(name, arguments, budget),
        ("round", [x]) => round(x, 0, budget),
        ("round", [x, places]) => {
            let places = places.as_small();
            let places = places.filter(|n| (-MOST_PLACES..=MOST_PLACES).contains(n));
            round(
                x,
                places.ok_or("the places of `round` are a whole number")?,
                budget,
            )
        }
        ("log", [x, base]) => log(x, base, budget),
        ("log", [_]) => {
            Err("`log(x)` is read in two ways: write ln(x), log10(x) or log(x, base)".to_owned())
        }
        ("pow", [x, exponent]) => x.pow(exponent, budget),
        ("mod", [x, by]) => x.modulo(by, budget),
        ("root", [x, degree]) => {
            let degree = degree.as_small().and_then(|n| u32::try_from(n).ok());
            x.root(
                degree.ok_or("the degree of `root(x, n)` is a whole number")?,
                budget,
            )
        }
        ("choose" | "comb" | "perm", [n, k]) => selections(name, n, k, budget),
        (_, [x]) => of_one(name, x, budget),
        _ => Err(format!("`{name}` takes {}", takes(name))),
    }
}

/// How many arguments a function takes, in words.
fn takes(name: &str) -> &'static str {
    match name {
        "log" => "a number and a base",
        "round" => "a number, and the decimal places if not 0",
        "pow" => "a number and an exponent",
        "mod" => "a number and a divisor",
        "root" => "a number and a degree",
        "choose" | "comb" | "perm" => "two whole numbers",
        "mean" | "average" | "median" | "min" | "max" | "gcd" | "lcm" => "one number or more",
        _ => "one number",
    }
}

fn of_one(name: &str, x: &Number, budget: &mut Budget) -> Outcome<Number> {
    budget.spend(&[x, x])?;
    let value = &x.value;
    let rounded = |value: BigRational| Ok(Number::rounded(value));
    match name {
        "sqrt" => x.root(2, budget),
        "cbrt" => x.root(3, budget),
        "abs" => Ok(x.clone().abs()),
        "sign" => Ok(Number::whole(value.numer().signum())),
        "floor" => Ok(whole(x, x.floor())),
        "ceil" => Ok(whole(x, -x.clone().neg().floor())),
        "trunc" => Ok(whole(x, value.to_integer())),
        "factorial" => factorial(x, budget),
        "exp" if x.is_zero() => Ok(Number::whole(1)),
        "exp" => rounded(real::exp(value)?),
        "ln" if value.is_one() => Ok(Number::whole(0)),
        "ln" => rounded(real::ln(positive(x, name)?)),
        "log2" => log(x, &Number::whole(2), budget),
        "log10" => log(x, &Number::whole(10), budget),
        "sin" => rounded(real::sin_cos(value)?.0),
        "cos" => rounded(real::sin_cos(value)?.1),
        "tan" => {
            let (sin, cos) = real::sin_cos(value)?;
            if cos.is_zero() {
                return Err("there is no tangent of a right angle".to_owned());
            }
            rounded(sin / cos)
        }
        "atan" => rounded(real::atan(value)),
        "asin" | "acos" => {
            if value.numer().abs() > *value.denom() {
                return Err(format!("`{name}` takes a number from -1 to 1"));
            }
            let angle = real::asin(value);
            match name {
                "asin" => rounded(angle),
                _ => rounded(real::pi() / BigInt::from(2) - angle),
            }
        }
        "sinh" | "cosh" | "tanh" => {
            let (up, down) = (real::exp(value)?, real::exp(&-value)?);
            match name {
                "sinh" => rounded((up - down) / BigInt::from(2)),
                "cosh" => rounded((up + down) / BigInt::from(2)),
                _ => rounded((&up - &down) / (&up + &down)),
            }
        }
        _ => Err(format!("`{name}` takes {}", takes(name))),
    }
}

/// A whole number that was made of `x`.
fn whole(x: &Number, value: BigInt) -> Number {
    Number {
        value: BigRational::from_integer(value),
        exact: x.exact,
    }
}

fn positive<'n>(x: &'n Number, name: &str) -> Outcome<&'n BigRational> {
    if x.is_zero() || x.is_negative() {
        return Err(format!("`{name}` takes a number above 0"));
    }
    Ok(&x.value)
}

fn sum(all: &[Number], budget: &mut Budget) -> Outcome<Number> {
    let mut sum = Number::whole(0);
    for one in all {
        sum = sum.add(one, budget)?;
    }
    Ok(sum)
}

fn count(all: &[Number]) -> Number {
    Number::whole(BigInt::from(all.len()))
}

fn mean(all: &[Number], budget: &mut Budget) -> Outcome<Number> {
    sum(all, budget)?.div(&count(all), budget)
}

/// The variance of a sample, with n - 1, or its root.
fn spread(name: &str, all: &[Number], budget: &mut Budget) -> Outcome<Number> {
    let mean = mean(all, budget)?;
    let mut squares = Number::whole(0);
    for one in all {
        let off = one.sub(&mean, budget)?;
        squares = squares.add(&off.mul(&off, budget)?, budget)?;
    }
    let variance = squares.div(&count(&all[1..]), budget)?;
    match name {
        "variance" => Ok(variance),
        _ => variance.root(2, budget),
    }
}

fn median(all: &[Number], budget: &mut Budget) -> Outcome<Number> {
    let mut sorted: Vec<&Number> = Vec::new();
    for one in all {
        let mut at = sorted.len();
        while at > 0 && one.compare(sorted[at - 1], budget)? == Ordering::Less {
            at -= 1;
        }
        sorted.insert(at, one);
    }
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        1 => Ok(sorted[middle].clone()),
        _ => sorted[middle - 1]
            .add(sorted[middle], budget)?
            .div(&Number::whole(2), budget),
    }
}

/// The one that is `than` all others, the first of equals.
fn extreme(all: &[Number], than: Ordering, budget: &mut Budget) -> Outcome<Number> {
    let mut best: Option<&Number> = None;
    for one in all {
        let better = match best {
            Some(best) => one.compare(best, budget)? == than,
            None => true,
        };
        if better {
            best = Some(one);
        }
    }
    best.cloned().ok_or_else(|| "one number or more".to_owned())
}

/// The greatest common divisor, or the least common multiple.
fn divisors(name: &str, all: &[Number], budget: &mut Budget) -> Outcome<Number> {
    let mut result: Option<BigInt> = None;
    for one in all {
        budget.spend(&[one, one])?;
        let next = one
            .as_whole()
            .ok_or_else(|| format!("`{name}` takes whole numbers"))?;
        let joined = match (&result, name) {
            (None, _) => next.abs(),
            (Some(so_far), "gcd") => so_far.gcd(next),
            (Some(so_far), _) => so_far.lcm(next),
        };
        let joined = Number::whole(joined);
        // One that is too long ends here.
        let joined = joined.add(&Number::whole(0), budget)?;
        result = joined.as_whole().cloned();
    }
    Ok(Number::whole(result.unwrap_or_default()))
}

/// Rounds to decimal places; halves go away from zero.
fn round(x: &Number, places: i64, budget: &mut Budget) -> Outcome<Number> {
    let ten = Number::whole(10).pow(&Number::whole(places), budget)?;
    let nearest = whole(x, x.mul(&ten, budget)?.nearest());
    nearest.div(&ten, budget)
}

fn log(x: &Number, base: &Number, budget: &mut Budget) -> Outcome<Number> {
    budget.spend(&[x, base])?;
    let (value, of) = (positive(x, "log")?, positive(base, "log")?);
    if of.is_one() {
        return Err("there is no logarithm to the base 1".to_owned());
    }
    let quotient = real::ln(value) / real::ln(of);
    let number = Number::rounded(quotient);
    // One that is a whole number is exact.
    let near = number
        .nearest()
        .to_i64()
        .filter(|n| (-MOST_LOGARITHM..=MOST_LOGARITHM).contains(n));
    if let Some(near) = near
        && x.exact
        && base.exact
        && base
            .pow(&Number::whole(near), budget)
            .is_ok_and(|power| power.exact && same(&power.value, value))
    {
        return Ok(Number::whole(near));
    }
    Ok(number)
}

/// Whether two fractions, which are in lowest terms, are one. Not by `==`, which compares as their order does.
fn same(a: &BigRational, b: &BigRational) -> bool {
    a.numer() == b.numer() && a.denom() == b.denom()
}

/// Ways to take k of n, in order for `perm`.
fn selections(name: &str, n: &Number, k: &Number, budget: &mut Budget) -> Outcome<Number> {
    let whole = |number: &Number| number.as_small().filter(|n| *n >= 0);
    let (Some(n), Some(k)) = (whole(n), whole(k)) else {
        return Err(format!("`{name}` takes two whole numbers from 0"));
    };
    if k > n {
        return Ok(Number::whole(0));
    }
    let ordered = name == "perm";
    let steps = if ordered { k } else { k.min(n - k) };
    if steps > MOST_FACTORIAL {
        return Err(format!("`{name}` goes up to {MOST_FACTORIAL} of a set"));
    }
    let mut result = Number::whole(1);
    for i in 0..steps {
        result = result.mul(&Number::whole(n - i), budget)?;
        if !ordered {
            // What is divided is a product of i + 1 numbers in a row.
            let below = BigInt::from(i + 1);
            let numer = result.value.numer() / &below;
            result = Number::whole(numer);
        }
    }
    Ok(result)
}
