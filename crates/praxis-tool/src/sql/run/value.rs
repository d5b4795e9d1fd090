//! Values of databases as JSON, exactly: what JSON's numbers cannot hold is a text with all its digits. Left out: how
//! each database sends them.

use serde_json::{Number, Value};

/// The largest whole number up to which all are exact in a double (RFC 8259, section 6).
const EXACT: i128 = (1 << 53) - 1;

/// Digits of a decimal that every double keeps.
const DIGITS: usize = 15;

/// Characters of one value.
pub(super) const MAX_CELL: usize = 16_384;

/// A whole number.
pub(super) fn integer(number: i128) -> Value {
    match i64::try_from(number) {
        Ok(small) if (-EXACT..=EXACT).contains(&number) => Value::from(small),
        _ => Value::String(number.to_string()),
    }
}

/// A number of 64 bits that is not exact anyway.
pub(super) fn float(number: f64) -> Value {
    match Number::from_f64(number) {
        Some(number) => Value::Number(number),
        None if number.is_nan() => Value::String("NaN".to_owned()),
        None if number > 0.0 => Value::String("Infinity".to_owned()),
        None => Value::String("-Infinity".to_owned()),
    }
}

/// A number by its digits.
pub(super) fn number(digits: &str) -> Value {
    if let Ok(whole) = digits.parse::<i128>() {
        return integer(whole);
    }
    let significant = digits
        .trim_start_matches(['-', '+', '0', '.'])
        .bytes()
        .filter(u8::is_ascii_digit)
        .count();
    let plain = digits
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.'));
    match digits.parse::<f64>() {
        Ok(number) if !plain || significant <= DIGITS => float(number),
        _ => Value::String(digits.to_owned()),
    }
}

/// Bytes that are no text: how many there are.
pub(super) fn blob(length: usize) -> Value {
    Value::String(format!("<{length} bytes>"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_keep_all_their_digits() {
        for (digits, value) in [
            ("0", json!(0)),
            ("-7", json!(-7)),
            ("9007199254740991", json!(9_007_199_254_740_991_i64)),
            ("9007199254740992", json!("9007199254740992")),
            ("18446744073709551615", json!("18446744073709551615")),
            ("1.10", json!(1.1)),
            ("-0.001", json!(-0.001)),
            ("123456789012.345", json!(123_456_789_012.345)),
            (
                "12345678901234567890.1234567890",
                json!("12345678901234567890.1234567890"),
            ),
            ("1e10", json!(1e10)),
            ("NaN", json!("NaN")),
        ] {
            assert_eq!(number(digits), value, "{digits}");
        }
        assert_eq!(float(f64::INFINITY), json!("Infinity"));
        assert_eq!(blob(3), json!("<3 bytes>"));
    }

    proptest! {
        #[test]
        fn a_decimal_of_few_digits_is_what_it_was(whole in 0u64..1_000_000_000, part in 0u32..1_000_000) {
            let digits = format!("{whole}.{part:06}");
            let expected = digits.trim_end_matches('0').trim_end_matches('.').to_owned();
            let value = number(&digits);
            let back = match &value {
                Value::Number(n) => n.as_f64().map_or_else(String::new, |n| format!("{n}")),
                other => other.to_string(),
            };
            prop_assert_eq!(back, expected);
        }
    }
}
