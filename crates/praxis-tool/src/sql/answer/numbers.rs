//! Whether an answer in words can be trusted: each of its numbers is in the rows, in the question, or counts the rows.
//!
//! A small model that tells a table makes up sums and shifts digits; its words are then left out, and the table is
//! told alone. Rounding is fine, and so are percent, thousands, 万 and 亿. Left out: names, which nobody can tell from
//! words.

use serde_json::Value;

use super::super::ask::grid::{Grid, shown};

/// The longest answer that is looked at, in characters, and the most numbers of rows.
const LONGEST: usize = 4_000;
const MOST_NUMBERS: usize = 20_000;

/// A number as it is written.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Number {
    value: f64,
    /// Half of its last digit's place: how far it may be off by rounding.
    slack: f64,
}

/// Whether words say nothing that the rows do not: there are some, and their numbers are found.
pub(crate) fn is_vouched(words: &str, question: &str, grid: &Grid) -> bool {
    if words.trim().is_empty() || words.chars().count() > LONGEST {
        return false;
    }
    let mut known: Vec<f64> = Vec::new();
    for value in grid.rows.iter().flatten() {
        match value {
            Value::Number(number) => known.extend(number.as_f64()),
            other => known.extend(numbers(&shown(other)).iter().map(|n| n.value)),
        }
        if known.len() > MOST_NUMBERS {
            break;
        }
    }
    for text in grid.columns.iter().map(String::as_str).chain([question]) {
        known.extend(numbers(text).iter().map(|n| n.value));
    }
    let rows = grid.rows.len();
    let is_known = |n: &Number| {
        // Lists are numbered, and rows are counted.
        let counts = n.value >= 0.0 && n.value.fract() == 0.0 && n.value <= rows as f64;
        // A share is told in percent, a loss without its sign.
        let fits = |known: f64| {
            let near = |x: f64| (x.abs() - n.value.abs()).abs() <= n.slack + 1e-9 * x.abs();
            near(known) || near(known * 100.0)
        };
        counts || known.iter().any(|known| fits(*known))
    };
    numbers(words).iter().all(is_known)
}

/// The numbers of a text: `1,234.50`, `12%`, `1.2 million`, `3万`.
fn numbers(text: &str) -> Vec<Number> {
    let chars: Vec<char> = text.chars().take(LONGEST).collect();
    let mut all = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        if !chars[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let mut digits = String::new();
        let mut decimals: Option<i32> = None;
        while at < chars.len() {
            let next_is_digit = chars.get(at + 1).is_some_and(char::is_ascii_digit);
            match chars[at] {
                digit if digit.is_ascii_digit() => {
                    digits.push(digit);
                    decimals = decimals.map(|d| d + 1);
                }
                // A comma before three digits groups them.
                ',' if decimals.is_none() && is_group(&chars, at) => {}
                '.' if decimals.is_none() && next_is_digit => {
                    digits.push('.');
                    decimals = Some(0);
                }
                _ => break,
            }
            at += 1;
        }
        let scale = scale(&chars[at..]);
        if let Ok(value) = digits.parse::<f64>() {
            // A small number without a fraction is not a rounded one.
            let is_exact = decimals.is_none() && value < 10.0;
            let place = 10f64.powi(-decimals.unwrap_or(0));
            all.push(Number {
                value: value * scale,
                slack: if is_exact { 0.0 } else { 0.5 * place * scale },
            });
        }
    }
    all
}

/// Whether a comma stands before exactly three digits.
fn is_group(chars: &[char], at: usize) -> bool {
    let digits = chars[at + 1..]
        .iter()
        .take_while(|c| c.is_ascii_digit())
        .count();
    digits == 3
}

/// What the word behind a number multiplies it by.
fn scale(rest: &[char]) -> f64 {
    let word: String = rest.iter().skip_while(|c| **c == ' ').take(8).collect();
    let word = word.to_lowercase();
    let named = [
        ("thousand", 1e3),
        ("million", 1e6),
        ("billion", 1e9),
        ("万", 1e4),
        ("亿", 1e8),
    ];
    named
        .iter()
        .find(|(name, _)| word.starts_with(*name))
        .map_or(1.0, |(_, scale)| *scale)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::tests::grid;
    use super::*;

    #[test]
    fn numbers_that_are_not_in_the_rows_are_not_told() {
        let sales = json!([
            ["Brazil", 1234.5678, "2023-05-31"],
            ["Norway", 200, "2022-01-02"]
        ]);
        let sales = grid(&["country", "revenue", "day"], sales);
        for (words, vouched) in [
            ("Brazil made 1,234.57 and Norway 200.", true),
            ("Brazil made about 1235.", true),
            ("Brazil made about 1.2 thousand.", true),
            ("巴西的收入约为0.12万。", true),
            ("On 2023-05-31 it was Brazil.", true),
            ("The top 5 are led by Brazil; there are 2 countries.", true),
            ("1. Brazil\n2. Norway", true),
            ("Brazil leads.", true),
            ("Together they made 1434.57.", false),
            ("Brazil made 1,243.57.", false),
            ("Norway made 20.", false),
            ("Brazil made 1234.5.", false),
            ("", false),
        ] {
            assert_eq!(
                is_vouched(words, "Top 5 countries?", &sales),
                vouched,
                "{words}"
            );
        }
        let share = grid(&["share"], json!([["0.1234"]]));
        assert!(is_vouched("It is 12.34%.", "Which share?", &share));
        assert!(is_vouched("约 12%", "占比多少？", &share));
        assert!(!is_vouched("It is 13%.", "Which share?", &share));
        let loss = grid(&["change"], json!([[-5.5]]));
        assert!(is_vouched("It fell by 5.5.", "How much?", &loss));
    }

    proptest! {
        /// What is told as it is in the rows is always vouched for.
        #[test]
        fn every_number_of_the_rows_is_known(value in -1e9f64..1e9) {
            let rows = grid(&["x"], json!([[value]]));
            let words = format!("It is {value}.");
            prop_assert!(is_vouched(&words, "?", &rows));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,60}") {
            let _ = is_vouched(&text, &text, &grid(&["x"], json!([[text.clone()]])));
        }
    }
}
