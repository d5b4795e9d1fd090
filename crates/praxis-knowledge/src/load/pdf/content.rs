//! A page's content stream to the characters it shows and where. Left out: everything that is drawn
//! and is no text; what order a person reads in (see `layout`).

use std::collections::HashMap;
use std::rc::Rc;

use hayro_syntax::content::TypedIter;
use hayro_syntax::content::ops::TypedInstruction as Op;
use hayro_syntax::object::{Array, Dict, Name, Object, ObjectIdentifier, Stream};
use hayro_syntax::page::{Page, Resources};

use super::font::Font;
use super::glyph::{Glyph, IDENTITY, Matrix, level, readable, replace, then};
use super::nesting::shallow;
use super::streams::{Budget, text_entry};

/// Instructions of one page beyond which it is no page that people read: a bound on time.
const MAX_INSTRUCTIONS: usize = 4_000_000;

/// Forms that may stand inside each other.
const MAX_DEPTH: usize = 16;

/// What a page shows.
#[derive(Debug, Default)]
pub(super) struct PageText {
    /// Its characters, in the order of the file.
    pub glyphs: Vec<Glyph>,
    /// Characters shown in fonts that do not tell what they are.
    pub unknown: usize,
    /// Pictures shown.
    pub images: usize,
    /// Whether its content, or a part of it, cannot be unpacked, or nests deeper than any page does.
    pub damaged: bool,
}

/// Fonts of a document by their object, so that each is read once.
pub(super) type Fonts = HashMap<ObjectIdentifier, Rc<Font>>;

/// What a page shows, in the file's order.
pub(super) fn read(page: &Page<'_>, fonts: &mut Fonts, budget: &mut Budget) -> PageText {
    let mut parts: Vec<Stream<'_>> = Vec::new();
    match page.raw().get::<Object<'_>>("Contents") {
        Some(Object::Stream(stream)) => parts.push(stream),
        Some(Object::Array(array)) => parts.extend(array.iter::<Stream<'_>>()),
        _ => {}
    }
    let (mut content, mut damaged) = (Vec::new(), false);
    for part in parts {
        match budget.decode(&part) {
            Some(data) => content.extend(data),
            None => damaged = true,
        }
        content.push(b'\n');
    }
    let (width, height) = page.render_dimensions();
    let mut reader = Reader {
        page: PageText {
            damaged,
            ..PageText::default()
        },
        fonts,
        budget,
        area: (f64::from(width), f64::from(height)),
        instructions: 0,
        open: Vec::new(),
    };
    let state = State {
        ctm: page.initial_transform(false).as_coeffs(),
        ..State::default()
    };
    reader.run(&content, page.resources(), state, 0);
    reader.page
}

#[derive(Clone)]
struct State {
    ctm: Matrix,
    font: Option<Rc<Font>>,
    size: f64,
    character_spacing: f64,
    word_spacing: f64,
    scaling: f64,
    leading: f64,
    rise: f64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            ctm: IDENTITY,
            font: None,
            size: 0.0,
            character_spacing: 0.0,
            word_spacing: 0.0,
            scaling: 1.0,
            leading: 0.0,
            rise: 0.0,
        }
    }
}

/// Marked content that is open.
enum Mark {
    Plain,
    /// A page header or footer, marked as such.
    Pagination,
    /// A text given in place of what is shown from this glyph on.
    Replaced(String, usize),
}

struct Reader<'f> {
    page: PageText,
    fonts: &'f mut Fonts,
    budget: &'f mut Budget,
    area: (f64, f64),
    instructions: usize,
    /// Forms that are being shown: one inside itself is an error.
    open: Vec<ObjectIdentifier>,
}

impl Reader<'_> {
    fn run(&mut self, content: &[u8], resources: &Resources<'_>, start: State, depth: usize) {
        let mut state = start;
        let mut saved: Vec<State> = Vec::new();
        let (mut marks, mut paginations) = (Vec::<Mark>::new(), 0usize);
        let (mut text, mut line) = (IDENTITY, IDENTITY);
        // Fonts without an object of their own, by name.
        let mut own: HashMap<Vec<u8>, Rc<Font>> = HashMap::new();
        let (content, is_whole) = shallow(content);
        self.page.damaged |= !is_whole;
        let mut operations = TypedIter::new(content);
        while let Some(operation) = operations.next() {
            self.instructions += 1;
            if self.instructions > MAX_INSTRUCTIONS {
                return;
            }
            let hidden = paginations > 0;
            let next_line = |line: &mut Matrix, x: f64, y: f64| {
                *line = then([1.0, 0.0, 0.0, 1.0, x, y], *line);
                *line
            };
            match operation {
                Op::SaveState(_) if saved.len() < 512 => saved.push(state.clone()),
                Op::RestoreState(_) => state = saved.pop().unwrap_or(state),
                Op::Transform(m) => {
                    let m = [m.0, m.1, m.2, m.3, m.4, m.5].map(|n| n.as_f64());
                    state.ctm = then(m, state.ctm);
                }
                Op::BeginText(_) => (text, line) = (IDENTITY, IDENTITY),
                Op::CharacterSpacing(n) => state.character_spacing = n.0.as_f64(),
                Op::WordSpacing(n) => state.word_spacing = n.0.as_f64(),
                Op::HorizontalScaling(n) => state.scaling = n.0.as_f64() / 100.0,
                Op::TextLeading(n) => state.leading = n.0.as_f64(),
                Op::TextRise(n) => state.rise = n.0.as_f64(),
                Op::TextFont(font) => {
                    state.size = font.1.as_f64();
                    state.font = self.font(font.0, resources, &mut own);
                }
                Op::NextLine(m) => text = next_line(&mut line, m.0.as_f64(), m.1.as_f64()),
                Op::NextLineAndSetLeading(m) => {
                    state.leading = -m.1.as_f64();
                    text = next_line(&mut line, m.0.as_f64(), m.1.as_f64());
                }
                Op::NextLineUsingLeading(_) => text = next_line(&mut line, 0.0, -state.leading),
                Op::SetTextMatrix(m) => {
                    line = [m.0, m.1, m.2, m.3, m.4, m.5].map(|n| n.as_f64());
                    text = line;
                }
                Op::ShowText(shown) => self.show(shown.0.as_bytes(), &state, &mut text, hidden),
                Op::ShowTexts(parts) => self.show_all(parts.0, &state, &mut text, hidden),
                Op::NextLineAndShowText(shown) => {
                    text = next_line(&mut line, 0.0, -state.leading);
                    self.show(shown.0.as_bytes(), &state, &mut text, hidden);
                }
                Op::ShowTextWithParameters(shown) => {
                    state.word_spacing = shown.0.as_f64();
                    state.character_spacing = shown.1.as_f64();
                    text = next_line(&mut line, 0.0, -state.leading);
                    self.show(shown.2.as_bytes(), &state, &mut text, hidden);
                }
                Op::XObject(object) => {
                    if let Some(stream) = resources.get_x_object(object.0) {
                        self.object(&stream, resources, &state, depth);
                    }
                }
                Op::InlineImage(_) => self.page.images += 1,
                Op::BeginMarkedContent(_) => marks.push(Mark::Plain),
                Op::BeginMarkedContentWithProperties(mark) => {
                    let properties = match mark.1 {
                        Object::Dict(dict) => Some(dict.clone()),
                        Object::Name(name) => resources.properties.get::<Dict<'_>>(name),
                        _ => None,
                    };
                    let mark = self.mark(mark.0, properties.as_ref());
                    paginations += usize::from(matches!(mark, Mark::Pagination));
                    marks.push(mark);
                }
                Op::EndMarkedContent(_) => match marks.pop() {
                    Some(Mark::Replaced(with, from)) => {
                        replace(&mut self.page.glyphs, from, &with);
                    }
                    Some(Mark::Pagination) => paginations -= 1,
                    Some(Mark::Plain) | None => {}
                },
                _ => {}
            }
        }
    }

    fn mark(&self, tag: &Name<'_>, properties: Option<&Dict<'_>>) -> Mark {
        let Some(properties) = properties else {
            return Mark::Plain;
        };
        let kind = properties.get::<Name<'_>>("Type");
        if tag.as_str() == "Artifact" && kind.is_some_and(|k| k.as_str() == "Pagination") {
            return Mark::Pagination;
        }
        text_entry(properties, "ActualText")
            .map_or(Mark::Plain, |t| Mark::Replaced(t, self.page.glyphs.len()))
    }

    fn font(
        &mut self,
        name: &Name<'_>,
        resources: &Resources<'_>,
        own: &mut HashMap<Vec<u8>, Rc<Font>>,
    ) -> Option<Rc<Font>> {
        if let Some(font) = own.get(name.as_ref() as &[u8]) {
            return Some(font.clone());
        }
        let reference = resources.fonts.get_ref(name).map(ObjectIdentifier::from);
        if let Some(font) = reference.and_then(|r| self.fonts.get(&r)) {
            return Some(font.clone());
        }
        let font = Rc::new(Font::new(&resources.get_font(name)?, self.budget));
        match reference {
            Some(reference) => self.fonts.insert(reference, font.clone()),
            None => own.insert(AsRef::<[u8]>::as_ref(name).to_vec(), font.clone()),
        };
        Some(font)
    }

    fn object(
        &mut self,
        stream: &Stream<'_>,
        resources: &Resources<'_>,
        state: &State,
        depth: usize,
    ) {
        let dict = stream.dict();
        match dict.get::<Name<'_>>("Subtype") {
            Some(kind) if kind.as_str() == "Image" => self.page.images += 1,
            Some(kind) if kind.as_str() == "Form" && depth < MAX_DEPTH => {
                if self.open.contains(&stream.obj_id()) {
                    return;
                }
                let Some(content) = self.budget.decode(stream) else {
                    return;
                };
                self.open.push(stream.obj_id());
                let matrix = dict.get::<[f64; 6]>("Matrix").unwrap_or(IDENTITY);
                let state = State {
                    ctm: then(matrix, state.ctm),
                    ..state.clone()
                };
                match dict.get::<Dict<'_>>("Resources") {
                    Some(own) => self.run(&content, &Resources::new(own), state, depth + 1),
                    None => self.run(&content, resources, state, depth + 1),
                }
                self.open.pop();
            }
            _ => {}
        }
    }

    fn show_all(&mut self, parts: &Array<'_>, state: &State, text: &mut Matrix, hidden: bool) {
        for part in parts.iter::<Object<'_>>() {
            match part {
                Object::String(shown) => self.show(shown.as_bytes(), state, text, hidden),
                Object::Number(back) => {
                    let moved = -back.as_f64() / 1000.0 * state.size;
                    advance(text, state, moved);
                }
                _ => {}
            }
        }
    }

    fn show(&mut self, bytes: &[u8], state: &State, text: &mut Matrix, hidden: bool) {
        let Some(font) = &state.font else {
            return;
        };
        for shown in font.decode(bytes) {
            let width = shown.advance * state.size;
            let mut spacing = state.character_spacing;
            if shown.is_space {
                spacing += state.word_spacing;
            }
            if shown.text.is_empty() {
                self.page.unknown += usize::from(!shown.is_space && !hidden);
            } else if !hidden {
                self.place(&shown.text, width, state, *text, font);
            }
            advance(text, state, width + spacing);
        }
    }

    /// Adds a shown character where the matrices put it.
    fn place(&mut self, shown: &str, width: f64, state: &State, text: Matrix, font: &Font) {
        let (across, rise) = if font.vertical {
            (0.0, 0.0)
        } else {
            (width * state.scaling, state.rise)
        };
        let whole = then(then([1.0, 0.0, 0.0, 1.0, 0.0, rise], text), state.ctm);
        let [a, b, c, d, x, y] = whole;
        let inside = |at: f64, end: f64| (-20.0..=end + 20.0).contains(&at);
        if !inside(x, self.area.0) || !inside(y, self.area.1) {
            return;
        }
        let (direction, length) = if font.vertical {
            ((-c, -d), width)
        } else {
            ((a, b), across)
        };
        // A negative font size turns the text around.
        let sign = if length < 0.0 { -1.0 } else { 1.0 };
        let unit = direction.0.hypot(direction.1);
        let size = state.size.abs() * c.hypot(d);
        if !(unit.is_finite() && size.is_finite() && unit > 0.0 && size > 0.1) {
            return;
        }
        let angle = level((sign * direction.1).atan2(sign * direction.0).to_degrees());
        let (sin, cos) = f64::from(angle).to_radians().sin_cos();
        let start = x * cos + y * sin;
        let length = length.abs() * unit;
        let characters: Vec<char> = readable(shown).collect();
        let step = length / characters.len().max(1) as f64;
        for (index, char) in characters.into_iter().enumerate() {
            self.page.glyphs.push(Glyph {
                char,
                start: start + step * index as f64,
                end: start + step * (index + 1) as f64,
                base: y * cos - x * sin,
                size,
                bold: font.bold,
                angle,
            });
        }
    }
}

/// Moves the text position on, in text space.
fn advance(text: &mut Matrix, state: &State, by: f64) {
    let vertical = state.font.as_ref().is_some_and(|f| f.vertical);
    let (x, y) = if vertical {
        (0.0, -by)
    } else {
        (by * state.scaling, 0.0)
    };
    *text = then([1.0, 0.0, 0.0, 1.0, x, y], *text);
}
