//! What stands on a slide, shape by shape. Left out: where it stands; shapes come in the order in which
//! they were drawn, which is nearly always that of reading.

use crate::document::BlockKind;
use crate::load::LoadError;
use crate::load::grid::Grid;
use crate::load::xml::{self, Attributes, Event};

/// Deeper bullets are shown like those of this level.
const MAX_LEVEL: usize = 8;

/// What a slide shows.
#[derive(Default)]
pub(super) struct Slide {
    /// Its title, on one line.
    pub title: String,
    /// All else, in order.
    pub blocks: Vec<(BlockKind, String)>,
    /// Whether a presentation passes it over.
    pub hidden: bool,
}

/// What a shape is for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Role {
    /// A box of text that someone drew.
    #[default]
    Free,
    Title,
    /// The place for the bullets of the slide, or for its notes.
    Body,
    /// Date, footer, number: the same on all slides.
    Repeated,
}

#[derive(Default)]
struct Shape {
    role: Role,
    /// Numbers that the levels of its list have counted to.
    counts: [u32; MAX_LEVEL + 1],
}

#[derive(Default)]
struct Paragraph {
    text: String,
    level: usize,
    bullet: Bullet,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Bullet {
    /// As the layout has it.
    #[default]
    Inherited,
    Mark,
    Number,
    None,
}

#[derive(Default)]
struct Walk {
    slide: Slide,
    shapes: Vec<Shape>,
    paragraph: Paragraph,
    table: Option<Table>,
    in_text: bool,
    /// Depth inside of what is passed over.
    skipped: usize,
}

/// A table that is open. A cell over several columns is followed by cells that are empty.
#[derive(Default)]
struct Table {
    grid: Grid,
    /// Cells of the open row that have begun.
    cells: usize,
}

/// The parts of a slide.
///
/// # Errors
/// [`LoadError::Damaged`].
pub(super) fn read(text: &str) -> Result<Slide, LoadError> {
    let mut walk = Walk::default();
    xml::each(text, |event| walk.event(event))?;
    Ok(walk.slide)
}

/// The paragraphs of a slide's notes.
///
/// # Errors
/// [`LoadError::Damaged`].
pub(super) fn notes(text: &str) -> Result<Vec<String>, LoadError> {
    let slide = read(text)?;
    let texts = slide.blocks.into_iter().map(|(_, text)| text);
    Ok(texts
        .map(|t| t.trim_start().trim_start_matches("- ").to_owned())
        .collect())
}

/// The texts in the shapes of a diagram (SmartArt).
///
/// # Errors
/// [`LoadError::Damaged`].
pub(super) fn diagram(text: &str) -> Result<Vec<String>, LoadError> {
    let (mut texts, mut shown, mut in_text) = (Vec::new(), false, false);
    let mut paragraph = String::new();
    xml::each(text, |event| match event {
        Event::Start("pt", a) => {
            shown = matches!(a.get("type").as_deref(), None | Some("node" | "asst"));
        }
        Event::Start("t", _) => in_text = shown,
        Event::End("t") => in_text = false,
        Event::Text(part) if in_text => paragraph.push_str(part),
        Event::End("p") => {
            let text = std::mem::take(&mut paragraph);
            if !text.trim().is_empty() {
                texts.push(text.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
        _ => {}
    })?;
    Ok(texts)
}

impl Walk {
    fn event(&mut self, event: Event<'_>) {
        match event {
            // The older twin of a drawing that is there in two forms.
            Event::Start("Fallback", _) => self.skipped += 1,
            Event::End("Fallback") => self.skipped = self.skipped.saturating_sub(1),
            _ if self.skipped > 0 => {}
            Event::Start(name, attributes) => self.start(name, &attributes),
            Event::End(name) => self.end(name),
            Event::Text(text) if self.in_text => self.paragraph.text.push_str(text),
            Event::Text(_) => {}
        }
    }

    fn start(&mut self, name: &str, attributes: &Attributes<'_>) {
        match name {
            "sld" => {
                self.slide.hidden =
                    matches!(attributes.get("show").as_deref(), Some("0" | "false"));
            }
            "sp" => self.shapes.push(Shape::default()),
            "ph" => {
                if let Some(shape) = self.shapes.last_mut() {
                    shape.role = role(attributes.get("type").as_deref());
                }
            }
            "p" => self.paragraph = Paragraph::default(),
            "pPr" => {
                let level = attributes.get("lvl").and_then(|l| l.parse().ok());
                self.paragraph.level = level.unwrap_or(0).min(MAX_LEVEL);
            }
            "buNone" => self.paragraph.bullet = Bullet::None,
            "buChar" | "buBlip" => self.paragraph.bullet = Bullet::Mark,
            "buAutoNum" => self.paragraph.bullet = Bullet::Number,
            "t" => self.in_text = true,
            "br" => self.paragraph.text.push('\n'),
            "tbl" => self.table = Some(Table::default()),
            "tr" => {
                if let Some(table) = &mut self.table {
                    table.grid.row();
                    table.cells = 0;
                }
            }
            "tc" => {
                if let Some(table) = &mut self.table {
                    table.cells += 1;
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        match name {
            "t" => self.in_text = false,
            "p" => self.flush(),
            "sp" => {
                self.shapes.pop();
            }
            "tbl" => {
                if let Some(table) = self.table.take() {
                    let text = table.grid.finish();
                    self.slide.blocks.push((BlockKind::Table, text));
                }
            }
            _ => {}
        }
    }

    /// Ends the open paragraph.
    fn flush(&mut self) {
        let paragraph = std::mem::take(&mut self.paragraph);
        let text = paragraph.text.trim();
        if text.is_empty() {
            return;
        }
        let one_line = || text.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some(table) = &mut self.table {
            table.grid.add(table.cells.saturating_sub(1), &one_line());
            return;
        }
        let mut outside = Shape::default();
        let shape = self.shapes.last_mut().unwrap_or(&mut outside);
        let bullet = match (paragraph.bullet, shape.role) {
            (Bullet::Inherited, Role::Body) => Bullet::Mark,
            (bullet, _) => bullet,
        };
        let indent = "  ".repeat(paragraph.level);
        match (shape.role, bullet) {
            (Role::Repeated, _) => {}
            (Role::Title, _) => {
                if !self.slide.title.is_empty() {
                    self.slide.title.push(' ');
                }
                self.slide.title.push_str(&one_line());
            }
            (_, Bullet::Mark) => {
                let item = format!("{indent}- {text}");
                self.slide.blocks.push((BlockKind::ListItem, item));
            }
            (_, Bullet::Number) => {
                let count = &mut shape.counts[paragraph.level];
                *count = count.saturating_add(1);
                let item = format!("{indent}{count}. {text}");
                self.slide.blocks.push((BlockKind::ListItem, item));
            }
            (_, Bullet::None | Bullet::Inherited) => {
                let block = (BlockKind::Paragraph, text.to_owned());
                self.slide.blocks.push(block);
            }
        }
        // Deeper levels count anew.
        for count in &mut shape.counts[paragraph.level + 1..] {
            *count = 0;
        }
    }
}

/// The role of a placeholder, by its type.
fn role(kind: Option<&str>) -> Role {
    match kind {
        Some("title" | "ctrTitle") => Role::Title,
        Some("subTitle") => Role::Free,
        Some("dt" | "ftr" | "sldNum" | "hdr" | "sldImg") => Role::Repeated,
        _ => Role::Body,
    }
}
