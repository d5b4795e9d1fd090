//! Rows that a query gave, as they are kept, compared and told.
//!
//! Two samples agree where their rows do: what a column is called and where it stands says nothing, numbers are equal
//! to their sixth digit, and the order of rows counts only where the query sorts. Left out: reading rows from a
//! database (`run`).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::sql::Rows;

/// Rows under the names of their columns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Grid {
    /// What the columns are called.
    pub columns: Vec<String>,
    /// The rows, as long as there are columns.
    pub rows: Vec<Vec<Value>>,
    /// Whether there are more rows than these.
    pub cut: bool,
}

impl From<Rows> for Grid {
    fn from(rows: Rows) -> Self {
        Self {
            columns: rows.columns,
            rows: rows.rows,
            cut: rows.cut,
        }
    }
}

impl Grid {
    /// Whether it says nothing: no rows, or no value but NULL.
    pub fn is_empty(&self) -> bool {
        self.rows.iter().flatten().all(Value::is_null)
    }

    /// What grids that say the same have in common.
    pub fn key(&self, ordered: bool) -> String {
        let cells: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().map(normal).collect())
            .collect();
        let width = self.columns.len();
        // Columns are put in an order that depends on their values alone.
        let mut columns: Vec<(Vec<&str>, usize)> = (0..width)
            .map(|at| {
                let mut column: Vec<&str> = cells
                    .iter()
                    .map(|row| row.get(at).map_or("", String::as_str))
                    .collect();
                if !ordered {
                    column.sort_unstable();
                }
                (column, at)
            })
            .collect();
        columns.sort();
        let mut rows: Vec<String> = cells
            .iter()
            .map(|row| {
                let cells = columns
                    .iter()
                    .map(|(_, at)| row.get(*at).map_or("", String::as_str));
                cells.collect::<Vec<_>>().join("\u{1f}")
            })
            .collect();
        if !ordered {
            rows.sort_unstable();
        }
        format!("{width}\u{1e}{}", rows.join("\u{1e}"))
    }
}

/// A value in the form in which equal ones are equal.
fn normal(value: &Value) -> String {
    match value {
        Value::Null => "\u{0}".to_owned(),
        Value::Bool(is) => number(f64::from(u8::from(*is))),
        Value::Number(n) => n.as_f64().map_or_else(|| n.to_string(), number),
        // Exact decimals come as texts.
        Value::String(text) => match decimal(text) {
            Some(n) => number(n),
            None => text.trim().to_owned(),
        },
        other => other.to_string(),
    }
}

/// The number that a text is, written as databases write them.
pub(crate) fn decimal(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let fits = |c: char| c.is_ascii_digit() || c == '.';
    if digits.is_empty() || digits.len() > 24 || !digits.chars().all(fits) {
        return None;
    }
    text.parse().ok()
}

/// A number to its sixth digit after the point.
fn number(n: f64) -> String {
    let text = format!("{n:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    match text {
        "-0" => "0".to_owned(),
        text => text.to_owned(),
    }
}

/// A value as people read it: texts without quotes, NULL as nothing.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether a query sorts its rows: an `ORDER BY` outside of parentheses, texts and quotes.
pub(crate) fn is_ordered(sql: &str) -> bool {
    let mut depth = 0usize;
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut chars = sql.chars();
    while let Some(c) = chars.next() {
        if c.is_alphanumeric() || c == '_' {
            word.push(c.to_ascii_lowercase());
            continue;
        }
        if !word.is_empty() {
            let ended = std::mem::take(&mut word);
            if depth == 0 {
                words.push(ended);
            }
        }
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '\'' | '"' | '`' => {
                chars.by_ref().find(|inner| *inner == c);
            }
            _ => {}
        }
    }
    words
        .windows(2)
        .any(|pair| pair[0] == "order" && pair[1] == "by")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn grid(columns: usize, rows: Value) -> Grid {
        let columns = (0..columns).map(|i| format!("c{i}")).collect();
        let rows = serde_json::from_value(rows).unwrap();
        Grid {
            columns,
            rows,
            cut: false,
        }
    }

    #[test]
    fn grids_that_say_the_same_have_one_key() {
        for (a, b, ordered, same) in [
            (
                json!([[1, "a"], [2, "b"]]),
                json!([[2.0, "b"], [1, "a"]]),
                false,
                true,
            ),
            (
                json!([[1, "a"], [2, "b"]]),
                json!([[2.0, "b"], [1, "a"]]),
                true,
                false,
            ),
            (
                json!([[1, "a"], [2, "b"]]),
                json!([["a", 1], ["b", 2]]),
                true,
                true,
            ),
            (json!([["12.50", "x"]]), json!([[12.5, " x "]]), false, true),
            (json!([[0.1 + 0.2, true]]), json!([[0.3, 1]]), false, true),
            (json!([[null, 1]]), json!([["", 1]]), false, false),
            (
                json!([[1, 2], [2, 1]]),
                json!([[1, 1], [2, 2]]),
                false,
                false,
            ),
            (json!([[1, 1]]), json!([[1, 1], [1, 1]]), false, false),
        ] {
            let (x, y) = (
                grid(2, a.clone()).key(ordered),
                grid(2, b.clone()).key(ordered),
            );
            assert_eq!(x == y, same, "{a} {b}");
        }
        assert_ne!(grid(1, json!([])).key(false), grid(2, json!([])).key(false));
    }

    #[test]
    fn only_null_is_empty() {
        assert!(grid(1, json!([])).is_empty());
        assert!(grid(1, json!([[null], [null]])).is_empty());
        assert!(!grid(1, json!([[0]])).is_empty());
    }

    #[test]
    fn a_query_sorts_by_its_own_order() {
        for (sql, ordered) in [
            ("SELECT a FROM t ORDER BY a", true),
            ("SELECT a FROM t\norder\nby a LIMIT 1", true),
            ("SELECT a FROM (SELECT a FROM t ORDER BY a) AS x", false),
            ("SELECT RANK() OVER (ORDER BY a) FROM t", false),
            ("SELECT 'x ORDER BY (' FROM t", false),
            ("SELECT \"order\" FROM t", false),
        ] {
            assert_eq!(is_ordered(sql), ordered, "{sql}");
        }
    }
}
