//! An expression of units, such as `km/h`, `kg m^2 s^-2` or `L/100km`: how much one of it is, and of what kind.

use std::collections::HashMap;
use std::sync::LazyLock;

use praxis_core::suggest::nearest;

use super::table::{AMBIGUOUS, BASES, BINARY, DECIMAL, MONEY, Prefixed, UNITS, Unit};
use crate::builtin::calculate::number::{Budget, Number, Outcome};
use crate::builtin::calculate::parse::evaluate;

/// The longest expression, in characters, and the most factors of it.
const LONGEST: usize = 100;
const MOST_FACTORS: usize = 12;

/// The largest power of a unit.
const MOST_POWER: i32 = 12;

/// Powers of the base units.
pub(super) type Dimension = [i32; BASES.len()];

/// How much one of an expression is.
#[derive(Debug)]
pub(super) struct Measure {
    /// In base units.
    pub factor: Number,
    /// Of what kind.
    pub dimension: Dimension,
    /// The zero of a temperature scale that stands alone, in kelvin.
    pub zero: Option<&'static str>,
    /// What who reads a result should know.
    pub notes: Vec<&'static str>,
}

/// A unit with its factor read.
struct Known {
    unit: &'static Unit,
    factor: Number,
    dimension: Dimension,
}

/// All units; those whose factor is none are not there, which a test tells.
static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let known = |unit: &'static Unit| {
        Some(Known {
            unit,
            factor: evaluate(unit.factor).ok()?,
            dimension: dimension(unit.base)?,
        })
    };
    UNITS.iter().filter_map(known).collect()
});

/// Places in [`KNOWN`] by symbol and by long name.
static BY_SYMBOL: LazyLock<HashMap<&'static str, usize>> =
    LazyLock::new(|| places(|unit| unit.symbols));
static BY_NAME: LazyLock<HashMap<&'static str, usize>> = LazyLock::new(|| places(|unit| unit.long));

fn places(names: fn(&'static Unit) -> &'static [&'static str]) -> HashMap<&'static str, usize> {
    let mut all = HashMap::new();
    for (i, known) in KNOWN.iter().enumerate() {
        for name in names(known.unit) {
            all.entry(*name).or_insert(i);
        }
    }
    all
}

/// `kg m s^-2` as powers.
fn dimension(text: &str) -> Option<Dimension> {
    let mut powers = Dimension::default();
    for part in text.split_whitespace() {
        let (base, power) = part.split_once('^').unwrap_or((part, "1"));
        let at = BASES.iter().position(|b| *b == base)?;
        powers[at] += power.parse::<i32>().ok()?;
    }
    Some(powers)
}

/// Base units with their powers, for people.
pub(super) fn described(dimension: &Dimension) -> String {
    let parts: Vec<String> = BASES
        .iter()
        .zip(dimension)
        .filter(|(_, power)| **power != 0)
        .map(|(base, power)| match power {
            1 => (*base).to_owned(),
            _ => format!("{base}^{power}"),
        })
        .collect();
    if parts.is_empty() {
        return "a plain number".to_owned();
    }
    parts.join(" ")
}

/// Reads an expression of units.
///
/// # Errors
/// What is no unit, or several.
pub(super) fn measure(text: &str) -> Outcome<Measure> {
    if text.chars().count() > LONGEST {
        return Err(format!("a unit has {LONGEST} characters at most"));
    }
    let parts = parts(text)?;
    let mut budget = Budget::new();
    let mut measure = Measure {
        factor: Number::whole(1),
        dimension: Dimension::default(),
        zero: None,
        notes: Vec::new(),
    };
    let alone = parts.len() == 1 && parts[0].power == 1;
    for part in &parts {
        if let Ok(number) = part.name.parse::<u32>() {
            let number = Number::whole(number).pow(&Number::whole(part.power), &mut budget)?;
            measure.factor = measure.factor.mul(&number, &mut budget)?;
            continue;
        }
        let (known, prefix, note) = find(&part.name)?;
        let one = known.factor.mul(&prefix, &mut budget)?;
        let one = one.pow(&Number::whole(part.power), &mut budget)?;
        measure.factor = measure.factor.mul(&one, &mut budget)?;
        for (power, own) in measure.dimension.iter_mut().zip(known.dimension) {
            *power += own * part.power;
        }
        if alone {
            measure.zero = zero(known.unit);
        }
        let notes = [known.unit.note, note];
        measure
            .notes
            .extend(notes.iter().filter(|note| !note.is_empty()));
    }
    Ok(measure)
}

/// The zero of a temperature scale, in kelvin.
fn zero(unit: &Unit) -> Option<&'static str> {
    match unit.symbols.first() {
        Some(&"°C") => Some("273.15"),
        Some(&"°F") => Some("459.67 * 5 / 9"),
        _ => None,
    }
}

/// A unit of an expression, with its power.
struct Part {
    name: String,
    power: i32,
}

/// The factors of an expression: behind a `/` or `per`, one is divided by.
fn parts(text: &str) -> Outcome<Vec<Part>> {
    let spaced = text
        .replace("fl oz", "floz")
        .replace("fl. oz.", "floz")
        .replace(['*', '·', '×', '⋅'], " ")
        .replace('/', " / ")
        .replace('²', "^2")
        .replace('³', "^3");
    let (mut parts, mut sign, mut power) = (Vec::<Part>::new(), 1, 1);
    let words: Vec<&str> = spaced.split_whitespace().collect();
    for (i, word) in words.iter().enumerate() {
        match word.to_lowercase().as_str() {
            "/" | "per" => {
                sign = -1;
                continue;
            }
            "square" | "sq" => {
                power = 2;
                continue;
            }
            "cubic" | "cu" => {
                power = 3;
                continue;
            }
            _ => {}
        }
        // `100km` is a number and a unit.
        let digits = word.chars().take_while(char::is_ascii_digit).count();
        let (number, name) = word.split_at(digits);
        if !number.is_empty() {
            parts.push(part(number, sign, text)?);
        }
        if !name.is_empty() {
            parts.push(part(name, sign * power, text)?);
        } else if power != 1 {
            return Err(format!("`{text}`: a unit is missing"));
        }
        // What a `/` divides by is what stands behind it, with the number before it: `L/100 km`.
        let is_number = name.is_empty() && i + 1 < words.len();
        if !is_number {
            sign = 1;
        }
        power = 1;
    }
    if parts.is_empty() || sign != 1 || power != 1 {
        return Err(format!("`{text}` is no unit"));
    }
    if parts.len() > MOST_FACTORS {
        return Err(format!("a unit has {MOST_FACTORS} factors at most"));
    }
    Ok(parts)
}

/// `m^2` with its power.
fn part(word: &str, sign: i32, text: &str) -> Outcome<Part> {
    let (name, power) = word.split_once('^').unwrap_or((word, "1"));
    let wrong =
        || format!("`{text}`: `{word}` has no whole power from -{MOST_POWER} to {MOST_POWER}");
    let power: i32 = power.parse().map_err(|_| wrong())?;
    if !(-MOST_POWER..=MOST_POWER).contains(&power) {
        return Err(wrong());
    }
    Ok(Part {
        name: name.to_owned(),
        power: power * sign,
    })
}

/// A unit by its name, the prefix that it has there, and a note about it.
fn find(name: &str) -> Outcome<(&'static Known, Number, &'static str)> {
    let lower = name.to_lowercase();
    if MONEY.contains(&lower.as_str()) {
        return Err(format!(
            "`{name}` is money: rates change from minute to minute and are not known here; use a tool that asks for \
             them"
        ));
    }
    if let Some((_, which)) = AMBIGUOUS.iter().find(|(word, _)| *word == lower) {
        return Err(format!("`{name}` means several units: {which}"));
    }
    let known = |i: &usize| KNOWN.get(*i);
    let one = || Number::whole(1);
    let singular = lower.strip_suffix('s').unwrap_or(&lower);
    let by_name = |name: &str| BY_NAME.get(name).and_then(known);
    if let Some(unit) = BY_SYMBOL.get(name).and_then(known) {
        let read_as = match name {
            "C" => "C is read as °C; the unit of charge is coulomb",
            "F" => "F is read as °F; the unit of capacitance is farad",
            _ => "",
        };
        return Ok((unit, one(), read_as));
    }
    if let Some(unit) = by_name(&lower).or_else(|| by_name(singular)) {
        return Ok((unit, one(), ""));
    }
    for (prefixes, base, kind) in [
        (BINARY, 2, Prefixed::Binary),
        (DECIMAL, 10, Prefixed::Decimal),
    ] {
        let fits = |unit: &&Known| {
            unit.unit.prefixed != Prefixed::No
                && (kind == Prefixed::Decimal || unit.unit.prefixed == Prefixed::Binary)
        };
        for (symbol, long, power) in prefixes {
            let prefixed = name
                .strip_prefix(symbol)
                .and_then(symbol_of_prefixed)
                .or_else(|| by_name(lower.strip_prefix(long)?))
                .or_else(|| by_name(singular.strip_prefix(long)?));
            if let Some(unit) = prefixed.filter(fits) {
                return Ok((unit, power_of(base, *power)?, ""));
            }
        }
    }
    // The capital K of storage makers.
    if let Some(unit) = name
        .strip_prefix('K')
        .and_then(symbol_of_prefixed)
        .filter(|unit| unit.unit.prefixed == Prefixed::Binary)
    {
        return Ok((unit, Number::whole(1000), "K is read as 1000; 1024 is Ki"));
    }
    Err(unknown(name))
}

/// The unit of a symbol that takes prefixes, which need not be the one that the symbol means alone.
fn symbol_of_prefixed(symbol: &str) -> Option<&'static Known> {
    KNOWN
        .iter()
        .find(|known| known.unit.prefixed != Prefixed::No && known.unit.symbols.contains(&symbol))
}

fn power_of(base: i32, power: i32) -> Outcome<Number> {
    Number::whole(base).pow(&Number::whole(power), &mut Budget::new())
}

fn unknown(name: &str) -> String {
    let names = BY_NAME.keys().chain(BY_SYMBOL.keys()).copied();
    let mut names: Vec<&str> = names
        .chain(["kg", "km", "cm", "mm", "mg", "ml", "kw", "kwh", "kcal"])
        .collect();
    names.sort_unstable();
    match nearest(name, names) {
        Some(near) => format!("there is no unit `{name}`; did you mean `{near}`?"),
        None => {
            format!("there is no unit `{name}`; units are such as km/h, kg, lb, °F, kWh, MiB, 斤")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_of_the_table_has_a_factor_a_dimension_and_names_of_its_own() {
        assert_eq!(KNOWN.len(), UNITS.len());
        let mut names: Vec<&str> = UNITS.iter().flat_map(|u| u.long).copied().collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "a long name is there twice");
        for name in UNITS
            .iter()
            .flat_map(|unit| unit.long.iter().chain(unit.symbols))
        {
            assert!(find(name).is_ok(), "{name}");
        }
    }
}
