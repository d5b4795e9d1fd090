//! Values of databases as JSON, exactly: what JSON's numbers cannot hold is a text with all its digits. Left out: how
//! each database sends them.

use serde_json::{Number, Value};

use crate::sql::Rows;

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

/// Rows as they come, up to the limits.
pub(crate) struct Collector {
    rows: Rows,
    most_rows: usize,
    most_bytes: usize,
    bytes: usize,
}

impl Collector {
    pub fn new(most_rows: u64, most_bytes: u64) -> Self {
        Self {
            rows: Rows::default(),
            most_rows: usize::try_from(most_rows).unwrap_or(usize::MAX),
            most_bytes: usize::try_from(most_bytes).unwrap_or(usize::MAX),
            bytes: 0,
        }
    }

    pub fn name(&mut self, columns: Vec<String>) {
        self.rows.columns = columns;
    }

    /// Takes a row. False where there is no room for more.
    pub fn push(&mut self, mut row: Vec<Value>) -> bool {
        if self.rows.rows.len() >= self.most_rows {
            self.rows.cut = true;
            return false;
        }
        for value in &mut row {
            self.rows.cut |= shorten(value);
            self.bytes = self.bytes.saturating_add(size(value));
        }
        if self.bytes > self.most_bytes {
            self.rows.cut = true;
            return false;
        }
        self.rows.rows.push(row);
        true
    }

    pub fn finish(self) -> Rows {
        self.rows
    }
}

/// Cuts a long text. Whether it was one.
fn shorten(value: &mut Value) -> bool {
    let Value::String(text) = value else {
        return false;
    };
    if text.len() <= MAX_CELL {
        return false;
    }
    let Some((end, _)) = text.char_indices().nth(MAX_CELL) else {
        return false;
    };
    text.truncate(end);
    text.push('…');
    true
}

/// Bytes that a value takes, about.
fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 4,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        other => other.to_string().len(),
    }
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

    #[test]
    fn rows_and_bytes_have_an_end() {
        let mut few = Collector::new(2, 1000);
        assert!(few.push(vec![json!(1)]) && few.push(vec![json!(2)]) && !few.push(vec![json!(3)]));
        let rows = few.finish();
        assert!(rows.cut && rows.rows.len() == 2);
        let mut small = Collector::new(10, 20);
        assert!(small.push(vec![json!("0123456789")]) && !small.push(vec![json!("0123456789")]));
        assert_eq!(small.finish().rows.len(), 1);
        let mut long = Collector::new(10, 1 << 20);
        assert!(long.push(vec![json!("字".repeat(MAX_CELL + 1))]));
        let rows = long.finish();
        assert!(rows.cut && rows.rows[0][0].as_str().is_some_and(|t| t.ends_with('…')));
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
