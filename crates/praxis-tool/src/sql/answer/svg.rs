//! Charts as SVG: bars to the right, lines, points, with axes, round ticks and a legend where there is more than one
//! series.
//!
//! Drawn here, since a chart of this kind is a page of arithmetic: plotting crates measure texts by fonts that are not
//! there, or count a Chinese character as three letters, and have no axis of names. A picture depends on its numbers
//! alone, refers to nothing outside, runs nothing, and what values say is text. Left out: which chart is drawn
//! (`chart`).

use std::fmt::Write;

use praxis_core::language::is_han;
use quick_xml::escape::escape;

use super::chart::{Chart, Form, Series};

/// Width of a picture, and height of one whose rows do not decide it, in pixels.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;

/// Room around the plot.
const TOP: f64 = 56.0;
const RIGHT: f64 = 28.0;
const BOTTOM: f64 = 52.0;
const LEFT: f64 = 76.0;

/// Height of a bar, and what is between those of two labels.
const BAR: f64 = 16.0;
const GAP: f64 = 10.0;

/// Size of letters.
const LETTER: f64 = 12.0;

/// The longest texts, in widths of a Chinese character.
const LONGEST_LABEL: f64 = 18.0;
const LONGEST_TITLE: f64 = 52.0;

/// Labels below a line.
const MOST_LABELS: usize = 8;

/// Colours that people tell apart who do not see all of them (Okabe and Ito 2008).
const COLOURS: [&str; 3] = ["#0072B2", "#E69F00", "#009E73"];

/// Draws a chart.
pub(super) fn draw(chart: &Chart) -> String {
    let mut picture = Picture::default();
    let height = match &chart.form {
        Form::Bars { axis, labels } => bars(&mut picture, chart, axis, labels),
        Form::Lines { axis, labels } => lines(&mut picture, chart, axis, labels),
        Form::Points { axis, right } => points(&mut picture, chart, axis, right),
    };
    let title = fitting(&chart.title, LONGEST_TITLE);
    picture.text(
        16.0,
        24.0,
        "start",
        "font-size=\"15\" font-weight=\"bold\"",
        &title,
    );
    if chart.series.len() > 1 {
        legend(&mut picture, &chart.series);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} \
         {height}\" role=\"img\" font-family=\"sans-serif\" font-size=\"{LETTER}\">\n<title>{}</title>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n{}</svg>\n",
        escaped(&title),
        picture.body
    )
}

/// Elements, one after the other.
#[derive(Default)]
struct Picture {
    body: String,
}

impl Picture {
    fn text(&mut self, x: f64, y: f64, anchor: &str, more: &str, text: &str) {
        let space = if more.is_empty() { "" } else { " " };
        let _ = writeln!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"{space}{more}>{}</text>",
            escaped(text)
        );
    }

    fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), colour: &str) {
        let _ = writeln!(
            self.body,
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\"/>"
        );
    }

    fn rect(&mut self, (x, y): (f64, f64), width: f64, height: f64, colour: &str) {
        let _ = writeln!(
            self.body,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>"
        );
    }

    fn circle(&mut self, x: f64, y: f64, colour: &str) {
        let _ = writeln!(
            self.body,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"
        );
    }
}

/// Bars to the right of their labels; gives the picture's height.
fn bars(picture: &mut Picture, chart: &Chart, axis: &str, labels: &[String]) -> f64 {
    let labels: Vec<String> = labels
        .iter()
        .map(|label| fitting(label, LONGEST_LABEL))
        .collect();
    let widest = labels.iter().map(|label| width(label)).fold(0.0, f64::max);
    let left = (widest * LETTER + 24.0).max(LEFT);
    let group = BAR * chart.series.len() as f64 + GAP;
    let bottom = TOP + group * labels.len() as f64;
    let scale = Scale::of(&chart.series, true, left, WIDTH - RIGHT - 36.0);
    for tick in scale.ticks() {
        let x = scale.at(tick);
        picture.line((x, TOP), (x, bottom), "#dddddd");
        picture.text(x, bottom + 16.0, "middle", "", &written(tick));
    }
    for (i, label) in labels.iter().enumerate() {
        let top = TOP + group * i as f64 + GAP / 2.0;
        let middle = top + BAR * chart.series.len() as f64 / 2.0;
        picture.text(left - 8.0, middle + LETTER / 3.0, "end", "", label);
        for (s, series) in chart.series.iter().enumerate() {
            let value = series.values.get(i).copied().unwrap_or(0.0);
            let (zero, end) = (scale.at(0.0), scale.at(value));
            let y = top + BAR * s as f64;
            picture.rect((zero.min(end), y), (end - zero).abs(), BAR - 2.0, colour(s));
            picture.text(
                zero.max(end) + 4.0,
                y + LETTER - 1.0,
                "start",
                "fill=\"#444444\" font-size=\"10\"",
                &written(value),
            );
        }
    }
    picture.line((scale.at(0.0), TOP), (scale.at(0.0), bottom), "#444444");
    picture.text(
        left - 8.0,
        TOP - 8.0,
        "end",
        "font-style=\"italic\"",
        &fitting(axis, LONGEST_LABEL),
    );
    if let [only] = &chart.series[..] {
        let x = f64::midpoint(left, WIDTH - RIGHT);
        picture.text(
            x,
            bottom + 36.0,
            "middle",
            "font-style=\"italic\"",
            &fitting(&only.name, LONGEST_LABEL * 2.0),
        );
    }
    bottom + BOTTOM
}

/// Lines over their dates; gives the picture's height.
fn lines(picture: &mut Picture, chart: &Chart, axis: &str, labels: &[String]) -> f64 {
    let scale = upright(picture, chart, axis);
    let last = labels.len().saturating_sub(1).max(1) as f64;
    let x = |i: usize| LEFT + (WIDTH - RIGHT - LEFT) * i as f64 / last;
    let step = labels.len().div_ceil(MOST_LABELS).max(1);
    for (i, label) in labels.iter().enumerate().step_by(step) {
        picture.text(
            x(i),
            HEIGHT - BOTTOM + 16.0,
            "middle",
            "font-size=\"10\"",
            &fitting(label, 8.0),
        );
    }
    for (s, series) in chart.series.iter().enumerate() {
        let places: Vec<String> = series
            .values
            .iter()
            .enumerate()
            .map(|(i, value)| format!("{:.1},{:.1}", x(i), scale.at(*value)))
            .collect();
        let _ = writeln!(
            picture.body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>",
            places.join(" "),
            colour(s)
        );
        if series.values.len() <= 40 {
            for (i, value) in series.values.iter().enumerate() {
                picture.circle(x(i), scale.at(*value), colour(s));
            }
        }
    }
    HEIGHT
}

/// Points; gives the picture's height.
fn points(picture: &mut Picture, chart: &Chart, axis: &str, right: &[f64]) -> f64 {
    let up = upright(picture, chart, axis);
    let across = Series {
        name: axis.to_owned(),
        values: right.to_vec(),
    };
    let along = Scale::of(std::slice::from_ref(&across), false, LEFT, WIDTH - RIGHT);
    for tick in along.ticks() {
        picture.text(
            along.at(tick),
            HEIGHT - BOTTOM + 16.0,
            "middle",
            "",
            &written(tick),
        );
    }
    for series in &chart.series {
        for (x, y) in right.iter().zip(&series.values) {
            picture.circle(along.at(*x), up.at(*y), colour(0));
        }
    }
    HEIGHT
}

/// An axis of numbers on the left, its lines across, and the names of both axes.
fn upright(picture: &mut Picture, chart: &Chart, axis: &str) -> Scale {
    let from_zero = !matches!(chart.form, Form::Points { .. });
    let scale = Scale::of(&chart.series, from_zero, HEIGHT - BOTTOM, TOP);
    for tick in scale.ticks() {
        let y = scale.at(tick);
        picture.line((LEFT, y), (WIDTH - RIGHT, y), "#dddddd");
        picture.text(LEFT - 8.0, y + LETTER / 3.0, "end", "", &written(tick));
    }
    picture.line((LEFT, TOP), (LEFT, HEIGHT - BOTTOM), "#444444");
    picture.line(
        (LEFT, HEIGHT - BOTTOM),
        (WIDTH - RIGHT, HEIGHT - BOTTOM),
        "#444444",
    );
    let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
    picture.text(
        middle,
        HEIGHT - 12.0,
        "middle",
        "font-style=\"italic\"",
        &fitting(axis, LONGEST_LABEL * 2.0),
    );
    if let [only] = &chart.series[..] {
        picture.text(
            LEFT,
            TOP - 8.0,
            "middle",
            "font-style=\"italic\"",
            &fitting(&only.name, LONGEST_LABEL),
        );
    }
    scale
}

fn legend(picture: &mut Picture, series: &[Series]) {
    let mut x = LEFT;
    for (s, one) in series.iter().enumerate() {
        let name = fitting(&one.name, LONGEST_LABEL);
        picture.rect((x, TOP - 20.0), 10.0, 10.0, colour(s));
        picture.text(x + 14.0, TOP - 11.0, "start", "", &name);
        x += 34.0 + width(&name) * LETTER;
    }
}

fn colour(series: usize) -> &'static str {
    COLOURS[series % COLOURS.len()]
}

/// Where numbers are on an axis.
struct Scale {
    low: f64,
    high: f64,
    step: f64,
    /// Where `low` and `high` are, in pixels.
    from: f64,
    to: f64,
}

impl Scale {
    /// An axis for all values, with round ends, that begins at zero where it should.
    fn of(series: &[Series], from_zero: bool, from: f64, to: f64) -> Self {
        let values = || series.iter().flat_map(|s| s.values.iter().copied());
        let mut low = values().fold(f64::INFINITY, f64::min);
        let mut high = values().fold(f64::NEG_INFINITY, f64::max);
        if !(low.is_finite() && high.is_finite()) {
            (low, high) = (0.0, 1.0);
        }
        if from_zero {
            (low, high) = (low.min(0.0), high.max(0.0));
        }
        if high - low <= f64::EPSILON * high.abs().max(low.abs()) {
            (low, high) = (low - 0.5, high + 0.5);
        }
        // Ticks at 1, 2 or 5 of a power of ten (Heckbert 1990, "Nice Numbers for Graph Labels").
        let rough = (high - low) / 5.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = match rough / power {
            x if x <= 1.0 => power,
            x if x <= 2.0 => 2.0 * power,
            x if x <= 5.0 => 5.0 * power,
            _ => 10.0 * power,
        };
        Self {
            low: (low / step).floor() * step,
            high: (high / step).ceil() * step,
            step,
            from,
            to,
        }
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    fn ticks(&self) -> Vec<f64> {
        let count = ((self.high - self.low) / self.step)
            .round()
            .clamp(1.0, 20.0) as usize;
        (0..=count)
            .map(|i| self.low + self.step * i as f64)
            .collect()
    }
}

/// A number as an axis has it: short, with the letters of thousands.
fn written(value: f64) -> String {
    let (scaled, letter) = match value.abs() {
        x if x >= 1e9 => (value / 1e9, "G"),
        x if x >= 1e6 => (value / 1e6, "M"),
        x if x >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let digits = if scaled.abs() < 1.0 { 4 } else { 2 };
    let text = format!("{scaled:.digits$}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let text = if matches!(text, "-0" | "") { "0" } else { text };
    format!("{text}{letter}")
}

/// About how wide a text is, in widths of a Chinese character.
fn width(text: &str) -> f64 {
    text.chars()
        .map(|c| {
            if is_han(c) || c > '\u{2e7f}' {
                1.0
            } else {
                0.58
            }
        })
        .sum()
}

/// A text on one line that is no wider than this.
fn fitting(text: &str, most: f64) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    if width(&line) <= most {
        return line;
    }
    let mut kept = String::new();
    let mut left = most - 1.0;
    for c in line.chars() {
        left -= width(c.encode_utf8(&mut [0; 4]));
        if left < 0.0 {
            break;
        }
        kept.push(c);
    }
    format!("{}…", kept.trim_end())
}

/// A text as XML has it, without characters that XML cannot have.
fn escaped(text: &str) -> String {
    let fits = |c: &char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
    let clean: String = text.chars().filter(fits).collect();
    escape(clean.as_str()).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "tests"
    )]

    use proptest::prelude::*;
    use quick_xml::Reader;
    use quick_xml::events::Event;
    use serde_json::{Value, json};

    use super::super::chart::chart;
    use super::super::tests::grid;
    use super::*;

    /// The elements of a picture by their names, and its texts.
    fn parsed(svg: &str) -> (Vec<String>, Vec<String>) {
        let mut reader = Reader::from_str(svg);
        let (mut elements, mut texts, mut text) = (Vec::new(), Vec::new(), String::new());
        loop {
            match reader.read_event().unwrap() {
                Event::Start(start) | Event::Empty(start) => {
                    let name = start.name();
                    let name: &str = name.as_ref();
                    for attribute in start.attributes() {
                        let attribute = attribute.unwrap();
                        let key: &str = attribute.key.as_ref();
                        assert!(
                            !key.starts_with("on") && !key.contains("href") && key != "style",
                            "{key}"
                        );
                    }
                    elements.push(name.to_owned());
                }
                Event::Text(part) => text.push_str(&part),
                Event::GeneralRef(part) => text.push_str(&format!("&{};", &*part)),
                Event::End(_) => {
                    let whole = std::mem::take(&mut text);
                    if !whole.trim().is_empty() {
                        texts.push(
                            quick_xml::escape::unescape(whole.trim())
                                .unwrap()
                                .into_owned(),
                        );
                    }
                }
                Event::Eof => return (elements, texts),
                _ => {}
            }
        }
    }

    fn count(elements: &[String], name: &str) -> usize {
        elements.iter().filter(|e| *e == name).count()
    }

    #[test]
    fn bars_have_labels_values_and_axes() {
        let rows = json!([["巴西", 190.1], ["Norway & Co <script>", 39.62], ["c", -3]]);
        let svg = chart("哪个国家消费最多？", &grid(&["country", "total"], rows)).unwrap();
        let (elements, texts) = parsed(&svg);
        // The ground and three bars.
        assert_eq!(count(&elements, "rect"), 4);
        for text in [
            "哪个国家消费最多？",
            "巴西",
            "Norway & Co <script>",
            "country",
            "total",
            "190.1",
            "-3",
        ] {
            assert!(texts.iter().any(|t| t == text), "{text}: {texts:?}");
        }
        assert!(!svg.contains("<script"));
    }

    #[test]
    fn two_series_have_a_legend() {
        let rows = json!([["2023-01", 5, 9], ["2023-02", 4, 8], ["2023-03", 7, 7]]);
        let svg = chart(
            "Sold and bought?",
            &grid(&["month", "sold", "bought"], rows),
        )
        .unwrap();
        let (elements, texts) = parsed(&svg);
        assert_eq!(
            (count(&elements, "polyline"), count(&elements, "circle")),
            (2, 6)
        );
        assert!(
            ["sold", "bought", "month", "2023-01"]
                .iter()
                .all(|t| texts.iter().any(|x| x == t)),
            "{texts:?}"
        );
    }

    #[test]
    fn points_are_where_their_numbers_are() {
        let rows = json!([[1, 10], [2, 20], [3, 15], [4, 40], [5, 50]]);
        let svg = chart("?", &grid(&["age", "pay"], rows)).unwrap();
        let (elements, texts) = parsed(&svg);
        assert_eq!(count(&elements, "circle"), 5);
        assert!(texts.iter().any(|t| t == "age") && texts.iter().any(|t| t == "pay"));
        // More is higher: smaller y.
        let ys: Vec<f64> = svg
            .split("cy=\"")
            .skip(1)
            .map(|part| part.split('"').next().unwrap().parse().unwrap())
            .collect();
        assert!(
            ys[0] > ys[2] && ys[2] > ys[1] && ys[1] > ys[3] && ys[3] > ys[4],
            "{ys:?}"
        );
    }

    #[test]
    fn ticks_are_round_and_hold_all_values() {
        for (values, ticks) in [
            (vec![3.0, 97.0], vec![0.0, 20.0, 40.0, 60.0, 80.0, 100.0]),
            (vec![-5.0, 5.0], vec![-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0]),
            (vec![0.0], vec![-0.6, -0.4, -0.2, 0.0, 0.2, 0.4, 0.6]),
        ] {
            let series = [Series {
                name: String::new(),
                values,
            }];
            let found = Scale::of(&series, true, 0.0, 100.0).ticks();
            let same = found.len() == ticks.len()
                && found.iter().zip(&ticks).all(|(a, b)| (a - b).abs() < 1e-9);
            assert!(same, "{found:?} {ticks:?}");
        }
        for (value, text) in [
            (0.0, "0"),
            (1_234_567.0, "1.23M"),
            (15_000.0, "15k"),
            (-0.5, "-0.5"),
            (9_999.0, "9999"),
        ] {
            assert_eq!(written(value), text);
        }
    }

    proptest! {
        /// Whatever texts and numbers are drawn, the picture is XML and has one bar a number.
        #[test]
        fn every_picture_is_well_formed(
            labels in proptest::collection::btree_set("\\PC{1,12}", 2..20),
            numbers in proptest::collection::vec(-1e12f64..1e12, 20),
            title in "(?s).{0,80}",
        ) {
            let rows: Vec<Value> = labels.iter().zip(&numbers).map(|(l, n)| json!([format!("~{l}"), n])).collect();
            let svg = chart(&title, &grid(&["名称", "n"], json!(rows)));
            prop_assume!(svg.is_some());
            let (elements, _) = parsed(&svg.unwrap());
            prop_assert_eq!(count(&elements, "rect"), labels.len() + 1);
        }
    }
}
