//! Which chart fits rows, if any: by what the columns hold and how many rows there are.
//!
//! One column of names and one to three of numbers: bars. One of dates: lines. Two of numbers and nothing else:
//! points. There are no pies. No chart is drawn of one row, of rows that were cut, of too many names, or of keys. Left
//! out: how it is drawn (`svg`).

use serde_json::Value;

use super::super::ask::grid::{Grid, decimal, shown};
use super::svg;

/// Rows that are drawn: bars, and points of lines and scatters.
const MOST_BARS: usize = 30;
const MOST_POINTS: usize = 500;
const FEWEST_OF_LINE: usize = 3;
const FEWEST_OF_SCATTER: usize = 5;

/// Series in one chart.
const MOST_SERIES: usize = 3;

/// Series that are drawn to one scale differ by no more than this factor.
const MOST_APART: f64 = 50.0;

/// What is drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chart {
    /// What stands above it.
    pub title: String,
    /// The form.
    pub form: Form,
    /// Numbers, one a label or a point.
    pub series: Vec<Series>,
}

/// The form of a chart.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Form {
    /// Bars beside the names of this column.
    Bars {
        /// What the names are.
        axis: String,
        /// The names.
        labels: Vec<String>,
    },
    /// Lines over the dates of this column, in order.
    Lines {
        /// What the dates are.
        axis: String,
        /// The dates.
        labels: Vec<String>,
    },
    /// Points; the one series is what is up, these numbers what is to the right.
    Points {
        /// What is to the right.
        axis: String,
        /// The numbers.
        right: Vec<f64>,
    },
}

/// Numbers of one column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    /// The column's name.
    pub name: String,
    /// Its numbers.
    pub values: Vec<f64>,
}

/// The chart of some rows as SVG, where one fits.
pub(crate) fn chart(question: &str, grid: &Grid) -> Option<String> {
    pick(question, grid).map(|chart| svg::draw(&chart))
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Number,
    Date,
    Name,
}

fn pick(question: &str, grid: &Grid) -> Option<Chart> {
    let rows = grid.rows.len();
    if grid.cut || !(2..=MOST_POINTS).contains(&rows) || !(2..=5).contains(&grid.columns.len()) {
        return None;
    }
    let kinds: Vec<Kind> = (0..grid.columns.len())
        .map(|at| kind(grid, at))
        .collect::<Option<_>>()?;
    let of = |wanted: Kind| {
        (0..kinds.len())
            .filter(|at| kinds[*at] == wanted)
            .collect::<Vec<_>>()
    };
    let (dates, names, numbers) = (of(Kind::Date), of(Kind::Name), of(Kind::Number));
    let series: Vec<Series> = numbers
        .iter()
        .map(|at| Series {
            name: grid.columns[*at].clone(),
            values: values(grid, *at),
        })
        .collect();
    let title = question.trim().to_owned();
    if dates.is_empty() && names.is_empty() {
        let [right, up] = <[Series; 2]>::try_from(series).ok()?;
        let form = Form::Points {
            axis: right.name,
            right: right.values,
        };
        return (rows >= FEWEST_OF_SCATTER).then_some(Chart {
            title,
            form,
            series: vec![up],
        });
    }
    let series = comparable(series);
    if series.is_empty() || series.iter().flat_map(|s| &s.values).all(|v| *v == 0.0) {
        return None;
    }
    // A first and a last name are one label.
    let labelled: Vec<usize> = if dates.is_empty() {
        names.clone()
    } else {
        dates.clone()
    };
    let labels: Vec<String> = grid
        .rows
        .iter()
        .map(|row| {
            let parts: Vec<String> = labelled
                .iter()
                .filter_map(|at| row.get(*at))
                .map(shown)
                .collect();
            parts.join(" ")
        })
        .collect();
    let axis = labelled
        .iter()
        .map(|at| grid.columns[*at].as_str())
        .collect::<Vec<_>>()
        .join(" ");
    let mut distinct = labels.clone();
    distinct.sort();
    distinct.dedup();
    if distinct.len() < labels.len() {
        return None;
    }
    if !dates.is_empty() {
        let fits = dates.len() == 1 && names.is_empty() && rows >= FEWEST_OF_LINE;
        return fits.then(|| in_order(title, axis, &labels, &series));
    }
    (rows <= MOST_BARS).then_some(Chart {
        title,
        form: Form::Bars { axis, labels },
        series,
    })
}

/// Lines go from the earliest date to the latest, whatever the order of the rows.
fn in_order(title: String, axis: String, labels: &[String], series: &[Series]) -> Chart {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by(|a, b| labels[*a].cmp(&labels[*b]));
    Chart {
        title,
        form: Form::Lines {
            axis,
            labels: order.iter().map(|at| labels[*at].clone()).collect(),
        },
        series: series
            .iter()
            .map(|s| Series {
                name: s.name.clone(),
                values: order.iter().map(|at| s.values[*at]).collect(),
            })
            .collect(),
    }
}

/// The first series, and those that can be seen beside it on one scale.
fn comparable(series: Vec<Series>) -> Vec<Series> {
    let most = |s: &Series| s.values.iter().fold(0.0f64, |most, v| most.max(v.abs()));
    let Some(first) = series.first().map(&most) else {
        return series;
    };
    let near =
        |other: f64| first > 0.0 && other > 0.0 && (other / first).max(first / other) <= MOST_APART;
    let mut kept = Vec::new();
    for (i, one) in series.into_iter().enumerate() {
        let size = most(&one);
        if i == 0 || (kept.len() < MOST_SERIES && near(size)) {
            kept.push(one);
        }
    }
    kept
}

/// What a column holds; none where it cannot be drawn, since a value is missing.
fn kind(grid: &Grid, at: usize) -> Option<Kind> {
    let name = grid.columns[at].to_lowercase();
    let mut cells = Vec::with_capacity(grid.rows.len());
    for row in &grid.rows {
        match row.get(at) {
            None | Some(Value::Null | Value::Array(_) | Value::Object(_)) => return None,
            Some(value) => cells.push(value),
        }
    }
    let is_year = |value: &&Value| {
        number(value).is_some_and(|n| n.fract() == 0.0 && (1000.0..3000.0).contains(&n))
    };
    let is_called = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if cells
        .iter()
        .all(|value| number(value).is_some_and(f64::is_finite))
    {
        let is_key = name == "id" || name.ends_with("_id") || name.ends_with("编号");
        return Some(if is_key {
            Kind::Name
        } else if is_called(&["year", "年"]) && cells.iter().all(is_year) {
            Kind::Date
        } else {
            Kind::Number
        });
    }
    let is_date = |value: &&Value| value.as_str().is_some_and(is_date);
    Some(if cells.iter().all(is_date) {
        Kind::Date
    } else {
        Kind::Name
    })
}

/// A date as databases write it: `2023`, `2023-05`, `2023-05-31`, with a time behind it or without.
fn is_date(text: &str) -> bool {
    let day = text.split(['T', ' ']).next().unwrap_or("");
    let parts: Vec<&str> = day.split('-').collect();
    let fits =
        |part: &str, width: usize| part.len() == width && part.bytes().all(|b| b.is_ascii_digit());
    match &parts[..] {
        [year, month] => fits(year, 4) && fits(month, 2),
        [year, month, day] => fits(year, 4) && fits(month, 2) && fits(day, 2),
        _ => false,
    }
}

fn values(grid: &Grid, at: usize) -> Vec<f64> {
    grid.rows
        .iter()
        .map(|row| row.get(at).and_then(number).unwrap_or(0.0))
        .collect()
}

/// The number that a value is; exact decimals come as texts.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::String(text) => decimal(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::grid;
    use super::*;

    fn form(columns: &[&str], rows: Value) -> &'static str {
        match pick("Why?", &grid(columns, rows)).map(|chart| chart.form) {
            None => "none",
            Some(Form::Bars { .. }) => "bars",
            Some(Form::Lines { .. }) => "lines",
            Some(Form::Points { .. }) => "points",
        }
    }

    #[test]
    fn the_columns_decide_which_chart_fits() {
        for (columns, rows, wanted) in [
            (&["country", "n"][..], json!([["a", 1], ["b", 2]]), "bars"),
            (
                &["first", "last", "n"],
                json!([["a", "x", "1.5"], ["a", "y", "2"]]),
                "bars",
            ),
            (
                &["day", "n"],
                json!([["2023-01-02", 1], ["2023-01-01", 2], ["2023-01-03", 2]]),
                "lines",
            ),
            (
                &["month", "n"],
                json!([["2023-01", 1], ["2023-02", 2], ["2023-03", 0]]),
                "lines",
            ),
            (
                &["year", "n"],
                json!([[2021, 1], [2022, 2], [2023, 0]]),
                "lines",
            ),
            (
                &["a", "b"],
                json!([[1, 2], [2, 3], [3, 4], [4, 5], [5, 7]]),
                "points",
            ),
            (&["customer_id", "n"], json!([[7, 1], [8, 2]]), "bars"),
            // One number, one row, nothing to compare, names twice, gaps, all nothing.
            (&["n"], json!([[1], [2]]), "none"),
            (&["country", "n"], json!([["a", 1]]), "none"),
            (&["a", "b"], json!([["x", "y"], ["z", "w"]]), "none"),
            (&["country", "n"], json!([["a", 1], ["a", 2]]), "none"),
            (&["country", "n"], json!([["a", 1], ["b", null]]), "none"),
            (&["country", "n"], json!([["a", 0], ["b", 0]]), "none"),
            (&["a", "b"], json!([[1, 2], [2, 3]]), "none"),
        ] {
            assert_eq!(form(columns, rows.clone()), wanted, "{columns:?} {rows}");
        }
        let many: Vec<Value> = (0..40).map(|i| json!([format!("c{i}"), i])).collect();
        assert_eq!(form(&["country", "n"], json!(many)), "none");
        let mut cut = grid(&["country", "n"], json!([["a", 1], ["b", 2]]));
        cut.cut = true;
        assert!(pick("?", &cut).is_none());
    }

    #[test]
    fn lines_go_forward_and_scales_are_shared_only_where_they_fit() {
        let rows = json!([
            ["2023-02", 5, 900000],
            ["2023-01", 4, 800000],
            ["2023-03", 6, 700000]
        ]);
        let chart = pick("?", &grid(&["month", "orders", "revenue"], rows)).unwrap();
        assert_eq!(chart.series.len(), 1);
        assert_eq!(chart.series[0].values, [4.0, 5.0, 6.0]);
        assert!(matches!(&chart.form, Form::Lines { labels, .. } if labels[0] == "2023-01"));
        let rows = json!([["a", 5, 9], ["b", 4, 8]]);
        assert_eq!(
            pick("?", &grid(&["x", "sold", "bought"], rows))
                .unwrap()
                .series
                .len(),
            2
        );
    }
}
