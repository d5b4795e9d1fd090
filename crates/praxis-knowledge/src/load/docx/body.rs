//! Paragraphs, tables and notes of a DOCX part, in order. Left out: how the package is opened.

use std::collections::{HashMap, HashSet};

use super::numbering::Numbering;
use super::styles::{Styles, set_list};
use crate::document::{BlockKind, Builder};
use crate::load::LoadError;
use crate::load::grid::Grid;
use crate::load::xml::{self, Attributes, Event};

/// Notes by their id.
type Notes = HashMap<String, String>;

/// Columns of a table, of which Word allows no more; what stands beyond is in the last one.
const MAX_COLUMNS: usize = 63;

/// Elements that are passed over with all that is in them: what was deleted or moved away, and the
/// older twin of a drawing that is there in two forms.
const SKIPPED: &[&str] = &[
    "del",
    "moveFrom",
    "Fallback",
    "instrText",
    "delText",
    "rubyPr",
    "rt",
];

/// The blocks of the main part. `notes` are the footnotes and the endnotes.
///
/// # Errors
/// [`LoadError::Damaged`].
pub(super) fn read(
    text: &str,
    styles: &Styles,
    numbering: Numbering,
    notes: &[Notes; 2],
) -> Result<Builder, LoadError> {
    let mut walk = Walk::new(styles, numbering, notes);
    xml::each(text, |event| walk.event(event))?;
    walk.flush();
    Ok(walk.builder)
}

/// The notes of a footnote or endnote part, by id.
///
/// # Errors
/// [`LoadError::Damaged`].
pub(super) fn notes(text: &str) -> Result<Notes, LoadError> {
    let mut all = Notes::new();
    let mut open: Option<(String, String)> = None;
    let (mut in_text, mut skipped) = (false, 0usize);
    xml::each(text, |event| match event {
        Event::Start("footnote" | "endnote", a) => {
            // The separators above the notes have a type, notes have none.
            open = a
                .get("id")
                .filter(|_| a.get("type").is_none())
                .map(|id| (id, String::new()));
        }
        Event::End("footnote" | "endnote") => {
            if let Some((id, text)) = open.take() {
                all.insert(id, text.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
        Event::Start(name, _) if SKIPPED.contains(&name) => skipped += 1,
        Event::End(name) if SKIPPED.contains(&name) => skipped = skipped.saturating_sub(1),
        Event::Start("t", _) => in_text = skipped == 0,
        Event::End("t") => in_text = false,
        Event::Start("tab" | "br", _) | Event::End("p") => {
            if let Some((_, text)) = &mut open {
                text.push(' ');
            }
        }
        Event::Text(part) if in_text => {
            if let Some((_, text)) = &mut open {
                text.push_str(part);
            }
        }
        _ => {}
    })?;
    Ok(all)
}

/// A paragraph that is being read.
#[derive(Default)]
struct Paragraph {
    text: String,
    style: Option<String>,
    outline: Option<u8>,
    list: Option<(String, u8)>,
    /// Notes that it refers to: their number and text.
    notes: Vec<(usize, String)>,
}

struct Walk<'a> {
    builder: Builder,
    styles: &'a Styles,
    numbering: Numbering,
    notes: &'a [Notes; 2],
    paragraph: Paragraph,
    /// Paragraphs around the text box that is open.
    outside: Vec<Paragraph>,
    note_count: usize,
    /// Notes that are in the text already.
    shown: HashSet<(usize, String)>,
    /// Depths of what is open.
    skipped: usize,
    in_text: bool,
    in_paragraph_properties: usize,
    in_run_properties: usize,
    hidden_run: bool,
    /// Tables that are open, and the outermost one; inner ones are part of its cells.
    tables: usize,
    table: Grid,
    /// The column of its open cell, and how many columns that is of.
    column: usize,
    span: usize,
}

impl<'a> Walk<'a> {
    fn new(styles: &'a Styles, numbering: Numbering, notes: &'a [Notes; 2]) -> Self {
        Self {
            builder: Builder::default(),
            styles,
            numbering,
            notes,
            paragraph: Paragraph::default(),
            outside: Vec::new(),
            note_count: 0,
            shown: HashSet::new(),
            skipped: 0,
            in_text: false,
            in_paragraph_properties: 0,
            in_run_properties: 0,
            hidden_run: false,
            tables: 0,
            table: Grid::default(),
            column: 0,
            span: 1,
        }
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            // `<w:del/>` inside properties tells of a deleted mark or row and holds nothing.
            Event::Start(name, _) if SKIPPED.contains(&name) => self.skipped += 1,
            Event::End(name) if SKIPPED.contains(&name) => {
                self.skipped = self.skipped.saturating_sub(1);
            }
            _ if self.skipped > 0 => {}
            Event::Start(name, attributes) => self.start(name, &attributes),
            Event::End(name) => self.end(name),
            Event::Text(text) if self.in_text && !self.hidden_run => {
                self.paragraph.text.push_str(text);
            }
            Event::Text(_) => {}
        }
    }

    fn start(&mut self, name: &str, attributes: &Attributes<'_>) {
        match name {
            "pPr" => self.in_paragraph_properties += 1,
            "rPr" => self.in_run_properties += 1,
            "vanish" if self.in_run_properties > 0 && self.in_paragraph_properties == 0 => {
                self.hidden_run = attributes.is_on();
            }
            _ if self.in_paragraph_properties > 0 => self.property(name, attributes),
            "t" => self.in_text = true,
            "tab" if !self.hidden_run => self.paragraph.text.push('\t'),
            "br" | "cr" if !self.hidden_run => self.paragraph.text.push('\n'),
            "noBreakHyphen" => self.paragraph.text.push('-'),
            "footnoteReference" => self.refer(0, attributes),
            "endnoteReference" => self.refer(1, attributes),
            "txbxContent" => {
                let paragraph = std::mem::take(&mut self.paragraph);
                self.outside.push(paragraph);
            }
            "tbl" => {
                if self.tables == 0 {
                    self.flush();
                }
                self.tables += 1;
            }
            "tr" if self.tables == 1 => {
                self.table.row();
                self.column = 0;
            }
            "tc" if self.tables == 1 => self.span = 1,
            "gridSpan" if self.tables == 1 => {
                let span = attributes.get("val").and_then(|v| v.parse().ok());
                self.span = span.unwrap_or(1).clamp(1, MAX_COLUMNS);
            }
            _ => {}
        }
    }

    fn property(&mut self, name: &str, attributes: &Attributes<'_>) {
        let value = attributes.get("val");
        match name {
            "pStyle" => self.paragraph.style = value,
            "outlineLvl" => self.paragraph.outline = value.and_then(|v| v.parse().ok()),
            "ilvl" | "numId" => set_list(&mut self.paragraph.list, name, value),
            "numPr" => {
                self.paragraph.list.get_or_insert_default();
            }
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        match name {
            "pPr" => self.in_paragraph_properties = self.in_paragraph_properties.saturating_sub(1),
            "rPr" => self.in_run_properties = self.in_run_properties.saturating_sub(1),
            "r" => self.hidden_run = false,
            "t" => self.in_text = false,
            "p" => self.flush(),
            "txbxContent" => {
                self.flush();
                self.paragraph = self.outside.pop().unwrap_or_default();
            }
            // What is over several columns stands in the first of them.
            "tc" if self.tables == 1 => {
                self.column = (self.column + self.span).min(MAX_COLUMNS - 1);
            }
            "tbl" => {
                self.tables = self.tables.saturating_sub(1);
                if self.tables == 0 {
                    let table = std::mem::take(&mut self.table);
                    self.builder.push(BlockKind::Table, &table.finish(), None);
                }
            }
            _ => {}
        }
    }

    fn refer(&mut self, part: usize, attributes: &Attributes<'_>) {
        let Some(id) = attributes.get("id") else {
            return;
        };
        if let Some(note) = self.notes[part].get(&id).filter(|n| !n.is_empty()) {
            self.note_count += 1;
            self.paragraph.text.push_str(&raised(self.note_count));
            // One that is referred to many times is shown once, or a small file would be a long text.
            if self.shown.insert((part, id)) {
                self.paragraph.notes.push((self.note_count, note.clone()));
            }
        }
    }

    /// Ends the open paragraph.
    fn flush(&mut self) {
        let paragraph = std::mem::take(&mut self.paragraph);
        if self.tables > 0 && self.outside.is_empty() {
            self.add_to_cell(&paragraph);
            return;
        }
        if paragraph.text.trim().is_empty() {
            return;
        }
        let style = paragraph.style.as_deref().unwrap_or_default();
        if self.styles.is_contents(style) {
            return;
        }
        let heading = match paragraph.outline {
            Some(level @ 0..9) => Some(level + 1),
            Some(_) => None,
            None => self.styles.heading(style),
        };
        // The list 0 takes a paragraph out of the list that its style puts it in.
        let list = paragraph.list.or_else(|| self.styles.list(style));
        let list = list.filter(|(id, _)| id != "0");
        let (kind, mark) = match (heading, list) {
            (Some(level), _) => (BlockKind::Heading(level.min(6)), String::new()),
            (None, Some((id, level))) => (BlockKind::ListItem, self.numbering.mark(&id, level)),
            (None, None) => (BlockKind::Paragraph, String::new()),
        };
        let text = format!("{mark}{}", paragraph.text.trim());
        self.builder.push(kind, &text, None);
        for (number, note) in paragraph.notes {
            let text = format!("{} {note}", raised(number));
            self.builder.push(BlockKind::Paragraph, &text, None);
        }
    }

    fn add_to_cell(&mut self, paragraph: &Paragraph) {
        let words = paragraph
            .text
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        if words.is_empty() {
            return;
        }
        self.table.add(self.column, &words);
        for (number, note) in &paragraph.notes {
            let note = format!("({} {note})", raised(*number));
            self.table.add(self.column, &note);
        }
    }
}

/// A number in raised digits, as notes are marked.
fn raised(number: usize) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    number
        .to_string()
        .bytes()
        .filter_map(|b| DIGITS.get(usize::from(b.wrapping_sub(b'0'))))
        .collect()
}
