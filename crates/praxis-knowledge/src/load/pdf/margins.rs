//! Running headers, footers and page numbers: lines at the edges of pages that repeat on most of them.
//! Left out: those that a tagged PDF marks as such, which the content reader skips.

use std::collections::HashMap;

use super::flow::{PageZones, is_larger};
use super::layout::Line;

/// Rows of lines at the top and at the bottom of a page that may be a header or a footer.
const DEEP: usize = 3;

/// Distance of the baselines between a header and the text, in font sizes.
const GAP: f64 = 1.6;

/// Share of the pages that a header stands on at least, in percent: left and right ones differ.
const SHARE: usize = 40;

/// Drops the lines at pages' edges that repeat but for numbers. `body` is the size of running text.
pub(super) fn drop_repeated(pages: &mut [PageZones], body: f64) {
    let count = pages.len();
    if count < 2 {
        return;
    }
    let mut seen: HashMap<Key, Seen> = HashMap::new();
    for page in pages.iter() {
        let mut of_page: HashMap<Key, String> = HashMap::new();
        for (top, line) in edges(page) {
            of_page.insert(key(top, line), line.text());
        }
        for (key, text) in of_page {
            let seen = seen.entry(key).or_default();
            seen.times += 1;
            match &seen.text {
                Some(first) => seen.varies |= *first != text,
                None => seen.text = Some(text),
            }
        }
    }
    let repeats = |top: bool, line: &Line| {
        let key = key(top, line);
        let number = is_page_number(&key.1);
        let Some(same) = seen.get(&key) else {
            return false;
        };
        let least = if number { 2 } else { 3 };
        // A heading such as `Chapter 1` repeats but for its number, and is none the less a heading.
        let heading = is_larger(line, body, false) && !number && same.varies;
        let often = number || same.times * 100 >= count * SHARE;
        same.times >= least && often && !heading
    };
    for page in pages.iter_mut() {
        let dropped: Vec<Line> = edges(page)
            .into_iter()
            .filter(|(top, line)| repeats(*top, line))
            .map(|(_, line)| line.clone())
            .collect();
        let all: usize = page.zones.iter().map(|z| z.lines.len()).sum();
        if dropped.is_empty() || dropped.len() == all {
            continue;
        }
        for zone in &mut page.zones {
            zone.lines.retain(|line| !dropped.contains(line));
        }
        page.zones.retain(|zone| !zone.lines.is_empty());
    }
}

/// The outermost lines of a page, and whether each stands at the top.
fn edges(page: &PageZones) -> Vec<(bool, &Line)> {
    let mut lines: Vec<&Line> = page
        .zones
        .iter()
        .filter(|z| z.upright)
        .flat_map(|z| &z.lines)
        .collect();
    lines.sort_by(|a, b| b.base.total_cmp(&a.base));
    let top = margin(&lines);
    lines.reverse();
    let rest = lines.len() - top;
    let bottom = margin(&lines).min(rest);
    let below = lines.iter().take(bottom).map(|l| (false, *l));
    let above = lines.iter().rev().take(top).map(|l| (true, *l));
    above.chain(below).collect()
}

/// How many of these lines, from the edge inwards, stand apart from the text by a gap.
fn margin(lines: &[&Line]) -> usize {
    let (mut rows, mut apart) = (1, 0);
    for (index, pair) in lines.windows(2).enumerate() {
        let gap = (pair[0].base - pair[1].base).abs();
        let size = pair[0].size.max(pair[1].size);
        if gap > GAP * size {
            apart = index + 1;
        }
        rows += usize::from(gap > 0.4 * size);
        if rows > DEEP {
            break;
        }
    }
    apart
}

/// What lines that repeat have in common: the edge, the text but for numbers, and the size in half
/// points. A header often repeats the title, which is larger where it is the title.
type Key = (bool, String, i64);

/// On how many pages a line stands, and whether it is the same on all of them.
#[derive(Default)]
struct Seen {
    times: usize,
    text: Option<String>,
    varies: bool,
}

fn key(top: bool, line: &Line) -> Key {
    (top, pattern(&line.text()), (line.size * 2.0).round() as i64)
}

/// A line's text with its numbers taken out.
fn pattern(text: &str) -> String {
    let mut pattern = String::new();
    for c in text.chars() {
        match c {
            c if c.is_ascii_digit() => {
                if !pattern.ends_with('#') {
                    pattern.push('#');
                }
            }
            c if c.is_whitespace() => {}
            c => pattern.extend(c.to_lowercase()),
        }
    }
    pattern
}

/// Whether a pattern is that of a page number alone.
fn is_page_number(pattern: &str) -> bool {
    let mut rest = pattern.to_owned();
    for word in ["page", "of", "第", "页", "共", "頁"] {
        rest = rest.replace(word, "");
    }
    rest.contains('#') && rest.chars().all(|c| "#-–—/|·.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::pdf::layout::{Cell, Zone};

    fn cell(text: &str) -> Cell {
        Cell {
            text: text.to_owned(),
            start: 50.0,
            end: 300.0,
        }
    }

    fn page(number: u32, texts: &[&str]) -> PageZones {
        let lines = (0..).zip(texts).map(|(row, text)| Line {
            cells: vec![cell(text)],
            start: 50.0,
            end: 300.0,
            // A header above, and what follows the fourth line below, stand apart.
            base: 800.0 - f64::from(14 * row + 20 * i32::from(row > 0) + 20 * i32::from(row > 3)),
            size: 10.0,
            bold: false,
        });
        let zone = Zone {
            lines: lines.collect(),
            upright: true,
        };
        PageZones {
            number,
            zones: vec![zone],
        }
    }

    fn texts(pages: &[PageZones]) -> Vec<String> {
        let zones = pages.iter().flat_map(|p| &p.zones);
        zones.flat_map(|z| &z.lines).map(Line::text).collect()
    }

    #[test]
    fn headers_footers_and_page_numbers_are_dropped_and_text_is_not() {
        let mut pages: Vec<PageZones> = (1..=4)
            .map(|n| {
                let (a, b) = (format!("text a{n}x"), format!("text b{n}x"));
                let words = ["one", "two", "three", "four"][n as usize - 1];
                page(n, &["Handbook", &a, words, &b, &format!("- {n} -")])
            })
            .collect();
        for (n, page) in pages.iter_mut().enumerate() {
            page.zones[0].lines[1].cells = vec![cell(["alpha", "beta", "gamma", "delta"][n])];
            page.zones[0].lines[3].cells = vec![cell(["red", "green", "blue", "grey"][n])];
        }
        drop_repeated(&mut pages, 10.0);
        assert_eq!(
            texts(&pages),
            [
                "alpha", "one", "red", "beta", "two", "green", "gamma", "three", "blue", "delta",
                "four", "grey"
            ]
        );
    }

    #[test]
    fn a_title_is_kept_where_headers_repeat_it() {
        let mut pages: Vec<PageZones> = (1..)
            .zip(["one", "two", "three", "four"])
            .map(|(n, text)| page(n, &["Manual", text]))
            .collect();
        pages[0].zones[0].lines[0].size = 20.0;
        drop_repeated(&mut pages, 10.0);
        assert_eq!(texts(&pages), ["Manual", "one", "two", "three", "four"]);
    }

    #[test]
    fn a_page_that_is_nothing_but_a_header_is_kept() {
        let mut pages: Vec<PageZones> = (1..=3).map(|n| page(n, &["Same"])).collect();
        drop_repeated(&mut pages, 10.0);
        assert_eq!(texts(&pages), ["Same", "Same", "Same"]);
    }
}
