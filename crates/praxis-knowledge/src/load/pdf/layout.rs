//! Characters of a page to lines in the order that a person reads: words from gaps, lines from
//! baselines, columns from the white between them. Left out: what lines mean (see `flow`).

use super::glyph::Glyph;

/// A piece of a line that wide gaps part from others, as in the row of a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell {
    /// Its text.
    pub text: String,
    /// Where it begins and ends, in points.
    pub start: f64,
    /// See `start`.
    pub end: f64,
}

/// A line of text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// Its text, in pieces where wide gaps part it.
    pub cells: Vec<Cell>,
    /// Where it begins, in points.
    pub start: f64,
    /// Where it ends, in points.
    pub end: f64,
    /// Its baseline in points, growing upwards.
    pub base: f64,
    /// Size of most of its characters, in points.
    pub size: f64,
    /// Whether all of it is bold.
    pub bold: bool,
}

impl Line {
    /// Its text in one piece.
    pub fn text(&self) -> String {
        let texts: Vec<&str> = self.cells.iter().map(|cell| cell.text.as_str()).collect();
        texts.join(" ")
    }

    /// Its characters.
    pub fn chars(&self) -> impl Iterator<Item = char> + '_ {
        self.cells.iter().flat_map(|cell| cell.text.chars())
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        let cells = self.cells.iter();
        let cells = cells.map(|cell| size_of::<Cell>() + cell.text.capacity());
        size_of::<Self>() + cells.sum::<usize>()
    }
}

/// A column, or another part of a page that is read by itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Zone {
    /// Its lines from top to bottom.
    pub lines: Vec<Line>,
    /// Whether its text stands upright.
    pub upright: bool,
}

/// Characters that follow each other on one baseline without a wide gap.
#[derive(Debug, Clone)]
struct Run {
    /// The characters but spaces, each with whether a space stands before it.
    glyphs: Vec<(Glyph, bool)>,
    start: f64,
    end: f64,
    base: f64,
    size: f64,
}

/// Gap between characters, in font sizes, that ends a run; with a space in it, it may be wider.
const RUN_GAP: (f64, f64) = (0.8, 1.2);

/// Gap in a line, in font sizes, that parts cells.
const CELL_GAP: f64 = 1.8;

/// Directions of text on one page.
const MAX_ANGLES: usize = 64;

/// Sizes of characters in one line that are told apart.
const MAX_SIZES: usize = 64;

/// Runs on a page beyond which columns are not looked for: a drawing, not a text.
const MAX_RUNS: usize = 20_000;

/// Columns inside columns.
const MAX_COLUMN_DEPTH: usize = 4;

/// Stretches of white that are looked at as columns' gaps.
const MAX_WHITES: usize = 64;

/// Runs of a line, from the last one back, that another one is compared with.
const MAX_BESIDE: usize = 64;

/// The zones of a page in reading order.
pub(super) fn zones(glyphs: Vec<Glyph>) -> Vec<Zone> {
    let mut angles: Vec<(i16, Vec<Glyph>)> = Vec::new();
    for glyph in glyphs {
        match angles.iter().position(|(angle, _)| *angle == glyph.angle) {
            Some(index) => angles[index].1.push(glyph),
            None if angles.len() < MAX_ANGLES => angles.push((glyph.angle, vec![glyph])),
            None => {}
        }
    }
    // Most of the text first; a label along an axis or a watermark after it.
    angles.sort_by_key(|(_, group)| std::cmp::Reverse(group.len()));
    let mut zones = Vec::new();
    for (angle, group) in angles {
        let mut parts = Vec::new();
        order(runs(group), 0, &mut parts);
        zones.extend(parts.into_iter().map(|lines| Zone {
            lines,
            upright: angle == 0,
        }));
    }
    zones.retain(|zone| !zone.lines.is_empty());
    zones
}

fn runs(glyphs: Vec<Glyph>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut space = false;
    for glyph in glyphs {
        if glyph.char == ' ' {
            space = true;
            continue;
        }
        let had_space = std::mem::take(&mut space);
        if let Some(run) = runs.last_mut() {
            let size = run.size.max(glyph.size);
            let gap = glyph.start - run.end;
            let widest = if had_space { RUN_GAP.1 } else { RUN_GAP.0 };
            let level = (glyph.base - run.base).abs() < 0.25 * size;
            if level && gap < widest * size && gap > -0.6 * size {
                run.end = run.end.max(glyph.end);
                run.size = size;
                run.glyphs.push((glyph, had_space));
                continue;
            }
        }
        runs.push(Run {
            start: glyph.start,
            end: glyph.end,
            base: glyph.base,
            size: glyph.size,
            glyphs: vec![(glyph, had_space)],
        });
    }
    runs
}

/// Splits at columns, as far as there are any, and gives each part's lines.
fn order(mut runs: Vec<Run>, depth: usize, out: &mut Vec<Vec<Line>>) {
    let gutter = (depth < MAX_COLUMN_DEPTH).then(|| gutter(&runs)).flatten();
    let Some(gutter) = gutter else {
        out.push(lines(runs));
        return;
    };
    runs.sort_by(|a, b| b.base.total_cmp(&a.base));
    let (mut left, mut right, mut across) = (Vec::new(), Vec::new(), Vec::new());
    for run in runs {
        let crosses = run.start < gutter && run.end > gutter;
        if crosses {
            flush(&mut left, depth, out);
            flush(&mut right, depth, out);
            across.push(run);
        } else {
            if !across.is_empty() {
                out.push(lines(std::mem::take(&mut across)));
            }
            let side = if run.end <= gutter {
                &mut left
            } else {
                &mut right
            };
            side.push(run);
        }
    }
    flush(&mut left, depth, out);
    flush(&mut right, depth, out);
    out.push(lines(across));
}

fn flush(side: &mut Vec<Run>, depth: usize, out: &mut Vec<Vec<Line>>) {
    if !side.is_empty() {
        order(std::mem::take(side), depth + 1, out);
    }
}

/// The middle of the white between two columns of running text. Tables have white between their
/// columns too, but short cells that do not fill them.
fn gutter(runs: &[Run]) -> Option<f64> {
    const BIN: f64 = 2.0;
    const MAX_BINS: usize = 4000;
    let (left, right) = extent(runs.iter().map(|r| (r.start, r.end)));
    let bins = ((right - left) / BIN).ceil();
    if !(6..MAX_RUNS).contains(&runs.len()) || !(8.0..MAX_BINS as f64).contains(&bins) {
        return None;
    }
    let mut coverage = vec![0usize; bins as usize + 1];
    for run in runs {
        let from = ((run.start - left) / BIN).ceil() as usize;
        let to = ((run.end - left) / BIN).floor() as usize;
        for bin in coverage.iter_mut().take(to).skip(from) {
            *bin += 1;
        }
    }
    let peak = coverage.iter().copied().max().unwrap_or(0);
    let mut sizes: Vec<f64> = runs.iter().map(|r| r.size).collect();
    sizes.sort_by(f64::total_cmp);
    let narrowest = 0.7 * sizes[sizes.len() / 2];
    let mut best: Option<(usize, f64)> = None;
    let (mut at, mut whites) = (0, 0);
    while at < coverage.len() && whites < MAX_WHITES {
        let white = coverage[at..]
            .iter()
            .take_while(|c| **c * 6 <= peak)
            .count();
        if white as f64 * BIN >= narrowest && at > 0 && at + white < coverage.len() {
            whites += 1;
            // The whitest part of it.
            let least = coverage[at..at + white].iter().min().copied().unwrap_or(0);
            let places: Vec<usize> = (at..at + white).filter(|b| coverage[*b] == least).collect();
            let x = left + (places[places.len() / 2] as f64 + 0.5) * BIN;
            if let Some(score) = columns(runs, x)
                && best.is_none_or(|(other, _)| score > other)
            {
                best = Some((score, x));
            }
        }
        at += white.max(1);
    }
    best.map(|(_, x)| x)
}

/// How many lines stand in columns if `x` is between two; none if they do not look like columns.
fn columns(runs: &[Run], x: f64) -> Option<usize> {
    let side = |is_in: &dyn Fn(&Run) -> bool| -> Option<usize> {
        let members: Vec<&Run> = runs.iter().filter(|r| is_in(r)).collect();
        let (start, end) = extent(members.iter().map(|r| (r.start, r.end)));
        let rows = rows_of(&members);
        let characters: usize = members
            .iter()
            .flat_map(|r| &r.glyphs)
            .map(|(g, _)| if is_wide(g.char) { 2 } else { 1 })
            .sum();
        let filled: f64 = members.iter().map(|r| r.end - r.start).sum();
        let running =
            rows >= 3 && characters >= rows * 14 && filled >= 0.55 * (end - start) * rows as f64;
        running.then_some(rows)
    };
    let left = side(&|r| r.end <= x)?;
    let right = side(&|r| r.start >= x)?;
    let crossing: Vec<&Run> = runs.iter().filter(|r| r.start < x && r.end > x).collect();
    (rows_of(&crossing) <= left.max(right)).then_some(left.min(right))
}

/// Where the first of some spans begins, and where the last ends.
pub(super) fn extent(spans: impl Iterator<Item = (f64, f64)>) -> (f64, f64) {
    spans.fold(
        (f64::INFINITY, f64::NEG_INFINITY),
        |(left, right), (start, end)| (left.min(start), right.max(end)),
    )
}

/// Distinct baselines.
fn rows_of(runs: &[&Run]) -> usize {
    let mut bases: Vec<f64> = runs.iter().map(|r| r.base).collect();
    bases.sort_by(f64::total_cmp);
    let size = runs.iter().map(|r| r.size).fold(0.0, f64::max);
    bases.dedup_by(|b, a| (*b - *a).abs() < 0.4 * size);
    bases.len()
}

/// Runs as lines from top to bottom.
fn lines(mut runs: Vec<Run>) -> Vec<Line> {
    runs.sort_by(|a, b| b.base.total_cmp(&a.base));
    let mut rows: Vec<Vec<Run>> = Vec::new();
    for run in runs {
        match rows.last_mut() {
            Some(row) if joins(row, &run) => row.push(run),
            _ => rows.push(vec![run]),
        }
    }
    rows.into_iter().filter_map(line).collect()
}

/// Whether a run stands on the line of others, which come from above: the last ones are the nearest, and the first one
/// may be taller than all.
fn joins(row: &[Run], run: &Run) -> bool {
    let last = row.iter().rev().take(MAX_BESIDE);
    last.chain(row.first()).any(|other| beside(other, run))
}

/// Whether two runs stand on one line: most of the smaller one's height is shared.
fn beside(a: &Run, b: &Run) -> bool {
    let top = |r: &Run| r.base + 0.8 * r.size;
    let bottom = |r: &Run| r.base - 0.2 * r.size;
    let shared = top(a).min(top(b)) - bottom(a).max(bottom(b));
    shared > 0.55 * a.size.min(b.size)
}

fn line(mut row: Vec<Run>) -> Option<Line> {
    row.sort_by(|a, b| a.start.total_cmp(&b.start));
    // Text shown twice, a little apart, looks bold.
    let before = row.len();
    row.dedup_by(|b, a| {
        (a.start - b.start).abs() < 0.2 * a.size && characters(a).eq(characters(b))
    });
    let doubled = row.len() < before;
    let reference = row
        .iter()
        .max_by(|a, b| (a.end - a.start).total_cmp(&(b.end - b.start)))?;
    let (base, start) = (reference.base, row.first()?.start);
    let end = row.iter().map(|r| r.end).fold(f64::NEG_INFINITY, f64::max);
    let glyphs: Vec<(Glyph, bool)> = row.into_iter().flat_map(|r| r.glyphs).collect();
    let size = common_size(&glyphs);
    let heavy = glyphs.iter().filter(|(g, _)| g.bold).count();
    let cells = words(&glyphs, size);
    (!cells.is_empty()).then(|| Line {
        cells,
        start,
        end,
        base,
        size,
        bold: doubled || heavy * 10 >= glyphs.len() * 9,
    })
}

fn characters(run: &Run) -> impl Iterator<Item = char> + '_ {
    run.glyphs.iter().map(|(g, _)| g.char)
}

/// The size that most characters have.
fn common_size(glyphs: &[(Glyph, bool)]) -> f64 {
    let mut sizes: Vec<(f64, usize)> = Vec::new();
    for (glyph, _) in glyphs {
        let alike = |(s, _): &(f64, usize)| (*s - glyph.size).abs() < 0.2;
        match sizes.iter().position(alike) {
            Some(index) => sizes[index].1 += 1,
            None if sizes.len() < MAX_SIZES => sizes.push((glyph.size, 1)),
            None => {}
        }
    }
    sizes
        .iter()
        .max_by_key(|(_, n)| *n)
        .map_or(0.0, |(s, _)| *s)
}

/// Characters of a line as cells of words. A gap is a space if it is clearly wider than those between
/// the letters of this line: some are set with wide letters, some with no space characters at all.
fn words(glyphs: &[(Glyph, bool)], size: f64) -> Vec<Cell> {
    let gap = |i: usize| glyphs[i].0.start - glyphs[i - 1].0.end;
    let mut gaps: Vec<f64> = (1..glyphs.len())
        .filter(|i| !glyphs[*i].1)
        .map(gap)
        .collect();
    gaps.sort_by(f64::total_cmp);
    let usual = gaps.get(gaps.len() / 2).copied().unwrap_or(0.0);
    let usual = if gaps.len() >= 6 {
        usual.clamp(0.0, 0.8 * size)
    } else {
        0.0
    };
    let mut cells: Vec<Cell> = Vec::new();
    for (i, (glyph, space)) in glyphs.iter().enumerate() {
        if i == 0 {
            cells.push(begin(glyph));
        } else {
            let wide =
                usize::from(is_wide(glyph.char)) + usize::from(is_wide(glyphs[i - 1].0.char));
            let least = [0.14, 0.35, 0.9][wide] * size.min(glyph.size.max(0.7 * size));
            let gap = gap(i);
            if gap > CELL_GAP * size + usual {
                cells.push(begin(glyph));
            } else if let Some(cell) = cells.last_mut()
                && (*space || gap > usual + least)
            {
                cell.text.push(' ');
            }
        }
        if let Some(cell) = cells.last_mut() {
            cell.text.push(glyph.char);
            cell.end = cell.end.max(glyph.end);
        }
    }
    for cell in &mut cells {
        cell.text = cell.text.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    cells.retain(|cell| !cell.text.is_empty());
    cells
}

/// The cell that begins with a character.
fn begin(glyph: &Glyph) -> Cell {
    Cell {
        text: String::new(),
        start: glyph.start,
        end: glyph.end,
    }
}

/// Whether a character is as wide as it is high.
fn is_wide(c: char) -> bool {
    praxis_core::language::is_han(c)
        || matches!(c, '\u{3000}'..='\u{30ff}' | '\u{ff00}'..='\u{ff60}')
}

/// Whether two characters stand beside each other without a space: Chinese and Japanese ones do, and
/// so do the quotes and dashes that they share with English.
pub(super) fn stands_close(a: char, b: char) -> bool {
    let shared = |c: char| matches!(c, '\u{2018}'..='\u{201d}' | '—' | '…' | '·');
    is_wide(a) && (is_wide(b) || shared(b)) || shared(a) && is_wide(b)
}
