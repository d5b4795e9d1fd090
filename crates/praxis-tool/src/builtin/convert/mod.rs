//! `praxis/convert`: a value in other units, exactly.
//!
//! The table of units is our own: of the crates that were read, fend-core takes `dm2` for square centimeters and `gal`
//! for an acceleration. Left out: currencies, whose rates change, and units that are measured rather than defined.

mod table;
mod units;

use std::sync::Arc;

use async_trait::async_trait;
use praxis_core::{CallContext, CallError, Effects, Function, Problem, Signature};
use serde::Deserialize;
use serde_json::{Value, json};

use self::units::{Measure, described, measure};
use super::calculate::number::{Budget, Number, Outcome};
use super::calculate::{parse, shown};
use crate::work::{Work, invalid, read, tool};

/// The function's name.
pub(crate) const NAME: &str = "praxis/convert";

/// Significant digits of what has too many.
const DIGITS: u32 = 15;

/// The longest value that is a text.
const LONGEST: usize = 200;

struct Convert(Signature);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    value: Value,
    from: String,
    to: String,
}

/// The converter.
///
/// # Errors
/// None: its schema is one.
pub(super) fn function() -> Result<Arc<dyn Function>, Problem> {
    let unit = |example: &str| json!({ "type": "string", "minLength": 1, "maxLength": 100, "description": example });
    let input_schema = json!({
        "type": "object",
        "properties": {
            "value": { "type": ["number", "string"], "maxLength": LONGEST },
            "from": unit("such as km/h, lb, °F, kWh, GiB, m^2, L/100km, 斤"),
            "to": unit("a unit of the same kind, such as mph, kg, °C"),
        },
        "required": ["value", "from", "to"],
        "additionalProperties": false,
    });
    let output_schema = json!({
        "type": "object",
        "properties": {
            "result": { "type": "string" },
            "unit": { "type": "string" },
            "exact": { "type": "boolean" },
            "note": { "type": "string" },
        },
        "required": ["result", "unit", "exact"],
    });
    tool(Convert(Signature {
        name: NAME.to_owned(),
        description: "Converts a value from one unit to another: length, mass, time, temperature, area, volume, speed, \
                      energy, power, pressure, data and more. No currencies."
            .to_owned(),
        input_schema,
        output_schema,
        effects: Effects::default(),
    }))
}

#[async_trait]
impl Work for Convert {
    fn signature(&self) -> &Signature {
        &self.0
    }

    async fn work(&self, input: Value, _: &CallContext) -> Result<Value, CallError> {
        let input: Input = read(NAME, input)?;
        let converted = converted(&input).map_err(|what| invalid(NAME, what))?;
        Ok(converted)
    }
}

fn converted(input: &Input) -> Outcome<Value> {
    let text = match &input.value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let value = parse::evaluate(&text).map_err(|what| format!("`value`: {what}"))?;
    let (from, to) = (measure(&input.from)?, measure(&input.to)?);
    let mut budget = Budget::new();
    let result = if from.dimension == to.dimension {
        same_kind(&value, &from, &to, &mut budget)?
    } else if from.dimension == to.dimension.map(|power| -power) {
        // Miles per gallon and liters per 100 km, a frequency and its period.
        Number::whole(1)
            .div(&value.mul(&from.factor, &mut budget)?, &mut budget)?
            .div(&to.factor, &mut budget)?
    } else {
        return Err(format!(
            "`{}` is {} and `{}` is {}: they cannot be converted into each other",
            input.from,
            described(&from.dimension),
            input.to,
            described(&to.dimension)
        ));
    };
    let shown = shown::shown(&result, DIGITS);
    let mut output = json!({ "result": shown.text, "unit": input.to, "exact": shown.exact });
    let mut notes: Vec<&str> = from.notes;
    notes.extend(to.notes.iter().copied());
    if from.dimension != to.dimension {
        notes.push("the reciprocal was taken: one is the inverse kind of the other");
    }
    notes.sort_unstable();
    notes.dedup();
    if !notes.is_empty() {
        output["note"] = json!(notes.join("; "));
    }
    Ok(output)
}

fn same_kind(value: &Number, from: &Measure, to: &Measure, budget: &mut Budget) -> Outcome<Number> {
    let mut base = value.mul(&from.factor, budget)?;
    let is_temperature = from.zero.is_some() || to.zero.is_some();
    if let Some(zero) = from.zero {
        base = base.add(&parse::evaluate(zero)?, budget)?;
    }
    if is_temperature && base.is_negative() {
        return Err("a temperature below absolute zero, which is -273.15 °C".to_owned());
    }
    if let Some(zero) = to.zero {
        base = base.sub(&parse::evaluate(zero)?, budget)?;
    }
    base.div(&to.factor, budget)
}

#[cfg(test)]
mod tests {
    use praxis_core::trace::NoTrace;

    use super::*;

    fn convert(value: Value, from: &str, to: &str) -> Outcome<Value> {
        converted(&Input {
            value,
            from: from.to_owned(),
            to: to.to_owned(),
        })
    }

    #[test]
    fn values_are_converted_exactly() {
        for (value, from, to, wanted) in [
            (json!(1), "mile", "km", "1.609344"),
            (json!(100), "km/h", "m/s", "27.7777777777778"),
            (json!(60), "mph", "km/h", "96.56064"),
            (json!(5), "ft", "in", "60"),
            (json!(70), "kg", "lbs", "154.323583529414"),
            (json!(3), "斤", "kg", "1.5"),
            (json!(10), "亩", "公顷", "0.666666666666667"),
            (json!(5), "公里", "英里", "3.10685596118667"),
            (json!(98.6), "°F", "°C", "37"),
            (json!(-40), "C", "F", "-40"),
            (json!(0), "K", "celsius", "-273.15"),
            (json!(20), "摄氏度", "华氏度", "68"),
            (json!(1), "kWh", "MJ", "3.6"),
            (json!(1), "GiB", "MB", "1073.741824"),
            (json!(100), "Mbps", "MB/s", "12.5"),
            (json!(1), "TB", "GiB", "931.322574615478515625"),
            (json!(512), "KB", "bytes", "512000"),
            (json!(1), "atm", "psi", "14.6959487755134"),
            (json!(30), "mpg", "L/100km", "7.84048611111111"),
            (json!(8), "L/100 km", "mpg", "29.4018229166667"),
            (json!(50), "Hz", "ms", "20"),
            (json!(180), "degrees", "rad", "3.14159265358979"),
            (json!(1), "acre", "square feet", "43560"),
            (json!(1), "cubic meter", "liters", "1000"),
            (json!(2.5), "dm^2", "cm²", "250"),
            (json!(1), "N m", "J", "1"),
            (json!(1), "kg m^2/s^2", "joule", "1"),
            (json!(9), "W/m^2/K", "W/m^2/°C", "9"),
            (json!(2), "hours", "minutes", "120"),
            (json!("1/3"), "cup", "ml", "78.8627455"),
            (json!(16), "fl oz", "pint", "1"),
            (json!(4.7), "µF", "nF", "4700"),
            (json!(1), "light_year", "km", "9460730472580.8"),
            (json!(25), "%", "ppm", "250000"),
            (json!(1), "troy_ounce", "g", "31.1034768"),
        ] {
            let output = convert(value, from, to);
            let output = output.unwrap_or_else(|error| panic!("{from} to {to}: {error}"));
            assert_eq!(output["result"], wanted, "{from} to {to}");
            assert_eq!(output["unit"], to);
        }
    }

    #[test]
    fn what_is_not_converted_is_told_why() {
        for (value, from, to, wanted) in [
            (json!(1), "USD", "EUR", "is money"),
            (json!(1), "元", "$", "is money"),
            (json!(1), "kg", "m", "`kg` is kg and `m` is m"),
            (json!(1), "km/h", "km", "m s^-1"),
            (json!(1), "ton", "kg", "short_ton (2000 lb)"),
            (json!(1), "kilometrs", "m", "there is no unit"),
            (json!(1), "pounds", "ounse", "did you mean `ounce`?"),
            (json!(1), "m^99", "m", "no whole power"),
            (json!(1), "m/", "m", "is no unit"),
            (json!(1), "", "m", "is no unit"),
            (json!(-300), "°C", "K", "absolute zero"),
            (json!("five"), "m", "ft", "`value`"),
            (json!(0), "mpg", "L/100km", "division by zero"),
        ] {
            let error = convert(value, from, to).unwrap_err();
            assert!(error.contains(wanted), "{from} to {to}: {error}");
        }
    }

    #[test]
    fn what_a_reader_should_know_is_noted() {
        for (from, to, wanted) in [
            ("gallon", "L", "a US unit"),
            ("year", "days", "365.2425"),
            ("F", "C", "F is read as °F"),
            ("KB", "KiB", "1024 is Ki"),
            ("hp", "kW", "mechanical"),
            ("s", "Hz", "reciprocal"),
        ] {
            let output = convert(json!(1), from, to).unwrap();
            assert!(
                output["note"].as_str().unwrap().contains(wanted),
                "{output}"
            );
        }
        assert_eq!(convert(json!(1), "m", "cm").unwrap().get("note"), None);
    }

    #[tokio::test]
    async fn a_call_gives_what_its_schema_says() {
        let function = function().unwrap();
        let schema = jsonschema::validator_for(&function.signature().output_schema).unwrap();
        let cx = CallContext::new(Arc::new(NoTrace));
        let input = json!({"value": "12", "from": "inches", "to": "cm"});
        let output = function.call(input, &cx).await.unwrap();
        assert!(schema.is_valid(&output));
        assert_eq!(
            output,
            json!({"result": "30.48", "unit": "cm", "exact": true})
        );
        let wrong = json!({"value": true, "from": "inches", "to": "cm"});
        // It is a text that is no number.
        assert!(function.call(wrong, &cx).await.is_err());
    }
}
