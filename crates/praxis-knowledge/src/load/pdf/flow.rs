//! Lines of all pages to blocks: headings by size, paragraphs by gaps and indents, tables, items of lists; what repeats
//! at the edges of pages is dropped. Left out: where lines come from, and the rows and columns of a table (`rows`).

use std::collections::HashMap;

use super::layout::{Line, Zone, extent};
use super::prose::{breaks, bullet, ends_sentence, has_leader, is_numbered, join};
use super::rows;
use crate::document::{BlockKind, Builder};

/// A page of the document.
pub(super) struct PageZones {
    /// Its number, from 1.
    pub number: u32,
    /// Its parts in reading order.
    pub zones: Vec<Zone>,
}

/// What holds for the document as a whole.
struct Norms {
    /// Size of the running text, in points.
    body: f64,
    /// Distance of baselines in font sizes.
    leading: f64,
    /// Sizes of headings, largest first.
    headings: Vec<f64>,
    /// Whether most of the text is bold, so that bold says nothing.
    bold_body: bool,
}

/// Longest heading, in characters: beyond, large text is a quotation or a poster.
const MAX_HEADING: usize = 200;

/// Distance of the rows of one table, in font sizes.
const MAX_ROW_GAP: f64 = 4.0;

/// Adds the pages' blocks.
pub(super) fn blocks(mut pages: Vec<PageZones>, builder: &mut Builder) {
    let body = body_size(&pages);
    super::margins::drop_repeated(&mut pages, body);
    let norms = norms(&pages, body);
    let mut writer = Writer {
        builder,
        norms: &norms,
        page: 1,
        open: None,
    };
    for page in &pages {
        writer.page = page.number;
        for zone in &page.zones {
            writer.zone(zone);
        }
    }
    writer.flush();
}

fn lines(pages: &[PageZones]) -> impl Iterator<Item = &Line> {
    pages.iter().flat_map(|p| &p.zones).flat_map(|z| &z.lines)
}

/// Whether there is any text.
#[cfg(feature = "ocr")]
pub(super) fn has_lines(pages: &[PageZones]) -> bool {
    lines(pages).next().is_some()
}

/// The size that most characters have, to half a point.
pub(super) fn body_size(pages: &[PageZones]) -> f64 {
    let mut sizes: HashMap<i64, usize> = HashMap::new();
    for line in lines(pages) {
        *sizes.entry(half_points(line.size)).or_default() += line.chars().count();
    }
    let most = sizes.into_iter().max_by_key(|(size, n)| (*n, *size));
    most.map_or(10.0, |(size, _)| size as f64 / 2.0)
}

fn half_points(size: f64) -> i64 {
    (size * 2.0).round() as i64
}

fn norms(pages: &[PageZones], body: f64) -> Norms {
    let mut gaps: Vec<f64> = pages
        .iter()
        .flat_map(|p| &p.zones)
        .flat_map(|z| z.lines.windows(2))
        .filter(|pair| half_points(pair[0].size) == half_points(body) && pair[1].size > 0.0)
        .map(|pair| (pair[0].base - pair[1].base) / body)
        .filter(|gap| (0.8..3.0).contains(gap))
        .collect();
    gaps.sort_by(f64::total_cmp);
    // Text of short paragraphs has as many gaps between them as within: the lower quarter tells.
    let leading = gaps.get(gaps.len() / 4).copied().unwrap_or(1.2);
    let bold = lines(pages).filter(|l| l.bold).count();
    let bold_body = bold * 2 > lines(pages).count();
    let mut headings: Vec<f64> = lines(pages)
        .filter(|l| is_larger(l, body, bold_body))
        .map(|l| l.size)
        .collect();
    headings.sort_by(|a, b| b.total_cmp(a));
    headings.dedup_by(|b, a| *b > *a * 0.96);
    Norms {
        body,
        leading,
        headings,
        bold_body,
    }
}

/// Whether a line's size sets it apart from the body; less does, if it is bold as well.
pub(super) fn is_larger(line: &Line, body: f64, bold_body: bool) -> bool {
    let factor = if line.bold && !bold_body { 1.07 } else { 1.14 };
    let letters = line.chars().filter(|c| c.is_alphabetic());
    // A single large letter is an initial of a paragraph.
    line.size >= body * factor && letters.take(2).count() == 2
}

/// A block that is being put together.
struct Open {
    kind: BlockKind,
    text: String,
    last: Line,
    /// Page that it begins on.
    page: u32,
    /// Whether the last line is as long as its column is wide, so that a sentence may go on elsewhere.
    full: bool,
    /// Lines of the table so far.
    lines: Vec<Line>,
}

struct Writer<'a> {
    builder: &'a mut Builder,
    norms: &'a Norms,
    page: u32,
    open: Option<Open>,
}

impl Writer<'_> {
    fn zone(&mut self, zone: &Zone) {
        let (left, right) = extent(zone.lines.iter().map(|l| (l.start, l.end)));
        for (index, line) in zone.lines.iter().enumerate() {
            let next = zone.lines.get(index + 1);
            let kind = self.kind(zone, index);
            let joins = self.open.as_ref().is_some_and(|open| {
                let near = &zone.lines[index.saturating_sub(4)..zone.lines.len().min(index + 4)];
                kind == open.kind
                    && self.continues(open, line, next, (left, right), index == 0, near)
            });
            if !joins {
                self.flush();
            }
            // A width that one or two lines have is no column's.
            let width = if zone.lines.len() > 2 {
                right
            } else {
                f64::INFINITY
            };
            self.add(kind, line, width);
        }
    }

    fn kind(&self, zone: &Zone, index: usize) -> BlockKind {
        let line = &zone.lines[index];
        if let Some(level) = self.heading(zone, index) {
            return BlockKind::Heading(level);
        }
        if self.is_of_table(zone, index) {
            return BlockKind::Table;
        }
        if line
            .cells
            .first()
            .is_some_and(|c| bullet(&c.text).is_some())
        {
            return BlockKind::ListItem;
        }
        match &self.open {
            // What follows an item's first line belongs to it if it is indented as far or farther.
            Some(open)
                if open.kind == BlockKind::ListItem
                    && line.start > open.last.start - 0.3 * line.size
                    && index > 0
                    && self.follows(&open.last, line) =>
            {
                BlockKind::ListItem
            }
            _ => BlockKind::Paragraph,
        }
    }

    /// Whether a line is one of a table: one of several cells among others, or one that goes on with a cell above it.
    fn is_of_table(&self, zone: &Zone, index: usize) -> bool {
        let line = &zone.lines[index];
        let after = [index + 1, index + 2].map(|i| zone.lines.get(i));
        // What comes from another column or page is no row of a table that is open, and what is far below neither.
        let open = self.open.as_ref().filter(|open| {
            let near = index > 0 && open.last.base - line.base < MAX_ROW_GAP * line.size.max(1.0);
            near && open.kind == BlockKind::Table
        });
        if line.cells.len() == 1 {
            return open.is_some_and(|open| rows::goes_on(&open.lines, line, after[0]));
        }
        let has_cells = |l: Option<&Line>| l.is_some_and(|l| l.cells.len() > 1);
        let before = index.checked_sub(1).and_then(|i| zone.lines.get(i));
        // A row may go on below itself before the next one comes.
        let below = after[0].filter(|_| has_cells(after[1]));
        let goes_on = || {
            let row = std::slice::from_ref(line);
            below.is_some_and(|below| rows::goes_on(row, below, after[1]))
        };
        has_cells(before) || has_cells(after[0]) || open.is_some() || goes_on()
    }

    fn heading(&self, zone: &Zone, index: usize) -> Option<u8> {
        let line = &zone.lines[index];
        let length = line.text().chars().count();
        if !zone.upright || length > MAX_HEADING || has_leader(&line.text()) {
            return None;
        }
        if is_larger(line, self.norms.body, self.norms.bold_body) {
            let level = self
                .norms
                .headings
                .iter()
                .filter(|s| **s * 0.96 >= line.size)
                .count();
            return Some(u8::try_from(level + 1).unwrap_or(6).min(6));
        }
        // Bold text of the body's size is a heading where it stands by itself above a paragraph.
        let before = index.checked_sub(1).and_then(|i| zone.lines.get(i));
        let after = zone.lines.get(index + 1)?;
        let apart = before.is_none_or(|b| {
            !self.follows(b, line) || b.bold != line.bold && ends_sentence(&b.text())
        });
        let text = line.text();
        let alone = line.bold
            && !self.norms.bold_body
            && !after.bold
            && after.cells.len() == 1
            && line.cells.len() == 1
            && apart
            && length <= 80
            && text.chars().filter(|c| c.is_alphabetic()).count() >= 2
            && !text.ends_with(['.', ',', ':', ';', '。', '，', '：', '；', '、']);
        let level = u8::try_from(self.norms.headings.len() + 1)
            .unwrap_or(6)
            .min(6);
        alone.then_some(level)
    }

    /// Whether a line is the next one of the same paragraph, by its distance.
    fn follows(&self, last: &Line, line: &Line) -> bool {
        let gap = (last.base - line.base) / last.size.max(line.size);
        gap > 0.0 && gap < self.norms.leading.max(1.0) * 1.22 + 0.05
    }

    fn continues(
        &self,
        open: &Open,
        line: &Line,
        next: Option<&Line>,
        (left, right): (f64, f64),
        new_zone: bool,
        near: &[Line],
    ) -> bool {
        let last = &open.last;
        let size = line.size.max(1.0);
        if (last.size - line.size).abs() > 0.08 * size {
            return false;
        }
        let text = line.text();
        match open.kind {
            BlockKind::Table => {
                return !new_zone && last.base - line.base < MAX_ROW_GAP * size;
            }
            BlockKind::Heading(_) => {
                return !new_zone && last.base - line.base < 1.8 * size && last.bold == line.bold;
            }
            BlockKind::ListItem if bullet(&text).is_some() => return false,
            _ => {}
        }
        if new_zone {
            // A sentence goes on in the next column, or on the next page.
            let goes_on = open.full && !ends_sentence(&open.text);
            return goes_on && !text.starts_with(char::is_uppercase);
        }
        if !self.follows(last, line) || is_numbered(&text) || has_leader(&last.text()) {
            return false;
        }
        let indented = |l: &Line| l.start - left > 0.8 * size;
        if indented(line) && !indented(last) && open.kind == BlockKind::Paragraph {
            let hangs = next.is_some_and(|n| {
                self.follows(line, n) && (n.start - line.start).abs() < 0.3 * size
            });
            if !hangs {
                return false;
            }
        }
        let short = right - last.end > 0.25 * (right - left);
        !(short && ends_sentence(&open.text))
            && (open.kind == BlockKind::ListItem || !breaks(last, line, near))
    }

    fn add(&mut self, kind: BlockKind, line: &Line, right: f64) {
        let page = self.page;
        let open = self.open.get_or_insert_with(|| Open {
            kind,
            text: String::new(),
            last: line.clone(),
            page,
            full: false,
            lines: Vec::new(),
        });
        open.last = line.clone();
        open.full = right - line.end < 2.5 * line.size && line.end - line.start > 12.0 * line.size;
        if kind == BlockKind::Table {
            open.lines.push(line.clone());
            return;
        }
        let text = line.text();
        match bullet(&text) {
            Some(item) if kind == BlockKind::ListItem => {
                open.text.push_str("- ");
                open.text.push_str(item);
            }
            _ => join(&mut open.text, &text),
        }
    }

    fn flush(&mut self) {
        let Some(open) = self.open.take() else {
            return;
        };
        let text = if open.kind == BlockKind::Table {
            rows::table(&open.lines)
        } else {
            open.text
        };
        self.builder
            .push(open.kind, &text.replace('\u{ad}', ""), Some(open.page));
    }
}
