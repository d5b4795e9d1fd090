//! What was recognized in pictures of pages, as lines of those pages, so that headings, paragraphs and what repeats
//! at the edges are found as in any PDF. Left out: recognition (`load::ocr`).

use super::layout::{Cell, Line, Zone, stands_close};
use super::prose::ends_sentence;
use crate::load::ocr::{self, Area, Word};

/// A page that was recognized.
pub(in crate::load) struct Recognized {
    /// Its number, from 1.
    pub number: u32,
    /// What stands on it, in reading order.
    pub areas: Vec<Area>,
    /// Pixels from its top to its bottom.
    pub height: usize,
    /// Pixels of an inch.
    pub dpi: f64,
}

/// Points of an inch.
const POINTS: f64 = 72.0;

/// Gap between words, in sizes of the line, that parts cells.
const CELL_GAP: f64 = 1.8;

/// How much taller than those of the running text the letters of a heading are: what a scan blurs is less.
const TALLER: f64 = 1.22;

/// The size that headings get, in sizes of the running text: how much larger they are is not certain.
const HEADING: f64 = 1.3;

/// Pages as lines. What is not known of a picture of letters is their size: lines have that of the running text, which
/// follows from how tall most letters are, and only those that surely are headings have a larger one. With `body`, all
/// is made as large as if that were the size of running text.
pub(super) fn zones(pages: &[Recognized], body: Option<f64>) -> Vec<(u32, Vec<Zone>)> {
    let heights = Heights::of(pages);
    let own = heights.body();
    let norm = Norm {
        body: body.unwrap_or(own),
        scale: body.map_or(1.0, |body| body / own),
    };
    let of_page = |page: &Recognized| {
        let zones = page.areas.iter().map(|area| {
            // A heading stands above its text, or by itself.
            let headings = area
                .iter()
                .take_while(|line| heights.is_heading(line, page));
            let headings = headings.count();
            let lines = area.iter().enumerate();
            let lines = lines.map(|(index, line)| line_of(line, page, &norm, index < headings));
            Zone {
                lines: lines.collect(),
                upright: area.iter().all(|line| line.upright),
            }
        });
        (page.number, zones.collect())
    };
    pages.iter().map(of_page).collect()
}

/// How large running text is.
struct Norm {
    /// Its size in points.
    body: f64,
    /// Points of a point on the page.
    scale: f64,
}

fn line_of(line: &ocr::Line, page: &Recognized, norm: &Norm, is_heading: bool) -> Line {
    let points = POINTS / page.dpi * norm.scale;
    let first = line.words.first().map_or(0.0, |w| w.place.left);
    let end = line.words.iter().map(|w| w.place.right);
    let size = norm.body * if is_heading { HEADING } else { 1.0 };
    Line {
        cells: cells(&line.words, size / points, points),
        start: first * points,
        end: end.fold(first, f64::max) * points,
        base: (page.height as f64 - line.baseline) * points,
        size,
        bold: false,
    }
}

/// The words of a line of that size in pixels, put together; in pieces where wide gaps part them. `points` are those of
/// a pixel.
fn cells(words: &[Word], size: f64, points: f64) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    let mut end = f64::NEG_INFINITY;
    for word in words {
        let wide = word.place.left - end > CELL_GAP * size;
        match cells.last_mut().filter(|_| !wide) {
            Some(cell) => {
                let text = &mut cell.text;
                let (last, first) = (text.chars().last(), word.text.chars().next());
                if let (Some(last), Some(first)) = (last, first)
                    && !stands_close(last, first)
                    && !matches!(first, ',' | '.' | ';' | ':' | '!' | '?' | ')' | '%')
                {
                    text.push(' ');
                }
                text.push_str(&word.text);
                cell.end = cell.end.max(word.place.right * points);
            }
            None => cells.push(Cell {
                text: word.text.clone(),
                start: word.place.left * points,
                end: word.place.right * points,
            }),
        }
        end = end.max(word.place.right);
    }
    cells
}

/// Kinds of words whose letters are as tall: without and with what stands out above and below, and Chinese.
const KINDS: usize = 5;

fn kind(text: &str) -> Option<usize> {
    let any = |is: &dyn Fn(char) -> bool| text.chars().any(is);
    if any(&|c| stands_close(c, c)) {
        return any(&char::is_alphanumeric).then_some(4);
    }
    if !any(&char::is_alphabetic) {
        return None;
    }
    let above = any(&|c| c.is_uppercase() || c.is_ascii_digit() || "bdfhiklt".contains(c));
    let below = any(&|c| "gjpqyQ,;()".contains(c));
    Some(usize::from(above) + 2 * usize::from(below))
}

/// The size of a font, in heights of such words.
const SIZES: [f64; KINDS] = [2.25, 1.42, 1.45, 1.07, 1.07];

/// Size of running text in points, where there is none to measure.
const BODY: f64 = 10.0;

/// How tall most words are, by kind, in inches, and how many characters there are.
struct Heights([Option<(f64, usize)>; KINDS]);

impl Heights {
    fn of(pages: &[Recognized]) -> Self {
        let mut heights: [Vec<(f64, usize)>; KINDS] = Default::default();
        for page in pages {
            let lines = page.areas.iter().flatten();
            for word in lines.flat_map(|line| &line.words) {
                if let Some(kind) = kind(&word.text) {
                    let length = word.text.chars().count();
                    heights[kind].push((tall(word) / page.dpi, length));
                }
            }
        }
        Self(heights.map(|of_kind| {
            let characters = of_kind.iter().map(|(_, length)| length).sum();
            median(of_kind).map(|height| (height, characters))
        }))
    }

    /// The size of running text, in points.
    fn body(&self) -> f64 {
        let sizes = self.0.iter().zip(SIZES);
        let sizes = sizes.filter_map(|(of_kind, size)| {
            let (height, characters) = (*of_kind)?;
            Some((height * size * POINTS, characters))
        });
        let most = sizes.max_by_key(|(_, characters)| *characters);
        most.map_or(BODY, |(size, _)| size)
    }

    /// Whether a line surely is a heading.
    fn is_heading(&self, line: &ocr::Line, page: &Recognized) -> bool {
        let ratios = line.words.iter().filter_map(|word| {
            let (most, _) = self.0[kind(&word.text)?]?;
            let length = word.text.chars().count();
            Some((tall(word) / page.dpi / most, length))
        });
        let ratios: Vec<_> = ratios.collect();
        let letters: usize = ratios.iter().map(|(_, length)| length).sum();
        let last = line.words.last();
        // Of two letters nothing is certain.
        letters > 2
            && !last.is_some_and(|word| ends_sentence(&word.text))
            && median(ratios).is_some_and(|ratio| ratio >= TALLER)
    }
}

fn tall(word: &Word) -> f64 {
    (word.place.bottom - word.place.top).max(1.0)
}

/// The value in the middle, each counted so many times.
fn median(mut values: Vec<(f64, usize)>) -> Option<f64> {
    values.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let all: usize = values.iter().map(|(_, times)| times).sum();
    let mut before = 0;
    values.into_iter().find_map(|(value, times)| {
        before += times;
        (before * 2 >= all).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::ocr::Place;

    /// Words side by side, each with its left and right end.
    fn words(all: &[(&str, f64, f64)]) -> Vec<Word> {
        let word = |(text, left, right): &(&str, f64, f64)| Word {
            text: (*text).to_owned(),
            confidence: 90.0,
            place: Place {
                left: *left,
                top: 0.0,
                right: *right,
                bottom: 30.0,
            },
        };
        all.iter().map(word).collect()
    }

    #[test]
    fn words_are_put_together_as_their_script_wants() {
        for (line, expected) in [
            (
                words(&[("two", 0.0, 40.0), ("words", 50.0, 90.0)]),
                vec!["two words"],
            ),
            (
                words(&[("设备", 0.0, 40.0), ("手册", 60.0, 90.0)]),
                vec!["设备手册"],
            ),
            (
                words(&[("闪烁", 0.0, 40.0), (",", 45.0, 50.0), ("LED3", 60.0, 90.0)]),
                vec!["闪烁, LED3"],
            ),
            (
                words(&[("Room", 0.0, 40.0), ("Price", 160.0, 200.0)]),
                vec!["Room", "Price"],
            ),
        ] {
            let cells = cells(&line, 30.0, 0.5);
            let texts: Vec<&str> = cells.iter().map(|cell| cell.text.as_str()).collect();
            assert_eq!(texts, expected);
            let last = line.last().unwrap().place.right;
            assert!((cells.last().unwrap().end - last / 2.0).abs() < 1e-9);
        }
    }

    #[test]
    fn only_what_surely_is_a_heading_has_a_larger_size() {
        let line = |text: &str, height: f64, top: f64| {
            let letters = text.split(' ').map(|word| Word {
                text: word.to_owned(),
                confidence: 90.0,
                place: Place {
                    left: 0.0,
                    top,
                    right: 100.0,
                    bottom: top + height,
                },
            });
            ocr::Line {
                words: letters.collect(),
                baseline: top + height,
                upright: true,
            }
        };
        let text = "Then blot and dry the lamp behind them ".repeat(3);
        let page = Recognized {
            number: 3,
            areas: vec![
                vec![
                    line("The manual", 48.0, 0.0),
                    line(text.trim_end(), 32.0, 100.0),
                    line("blurred lines behind the lid", 36.0, 150.0),
                    line("whose boxes are too tall", 60.0, 200.0),
                ],
                vec![line("A tall end.", 60.0, 300.0)],
            ],
            height: 3000,
            dpi: 300.0,
        };
        let sizes = |body| {
            let zones = zones(std::slice::from_ref(&page), body);
            assert_eq!(zones[0].0, 3);
            let lines = zones[0].1.iter().flat_map(|zone| zone.lines.clone());
            lines.collect::<Vec<_>>()
        };
        let own = sizes(None);
        let body = 32.0 / 300.0 * 72.0 * 1.42;
        for (line, expected) in own.iter().zip([HEADING, 1.0, 1.0, 1.0, 1.0]) {
            assert!((line.size - expected * body).abs() < 1e-9, "{line:?}");
        }
        assert!((own[0].base - (3000.0 - 48.0) * 0.24).abs() < 1e-9);
        let smaller = sizes(Some(body / 2.0));
        assert!((smaller[0].size - own[0].size / 2.0).abs() < 1e-9);
        assert!((smaller[0].base - own[0].base / 2.0).abs() < 1e-9);
    }
}
