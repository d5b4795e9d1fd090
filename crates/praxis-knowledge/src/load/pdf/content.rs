//! A page's content stream to the characters it shows and where. Left out: everything that is drawn
//! and is no text; what order a person reads in (see `layout`).

use std::collections::HashMap;
use std::rc::Rc;

use hayro_syntax::content::TypedIter;
use hayro_syntax::content::ops::TypedInstruction as Op;
use hayro_syntax::object::{Array, Dict, Name, Object, ObjectIdentifier, Stream};
use hayro_syntax::page::{Page, Resources};

use super::font::{Font, Fonts};
use super::glyph::{Glyph, IDENTITY, Matrix, level, readable, replace, then};
use super::streams::{Budget, text_entry};
use super::stretches::Stretches;
use crate::load::Pulse;

/// Instructions of one page beyond which it is no page that people read: a bound on time.
const MAX_INSTRUCTIONS: usize = 4_000_000;

/// Characters that one page shows, whether on it or beside it, and those on it, each of which takes some hundred bytes
/// until it is a part of a line: more are no text that people read.
const MAX_SHOWN: usize = 2_000_000;
const MAX_GLYPHS: usize = 500_000;

/// Forms that may stand inside each other.
const MAX_DEPTH: usize = 16;

/// States and marks that may be open.
const MAX_OPEN: usize = 512;

/// Bytes of a text that is given in place of another one: it stands for a word or two.
const MAX_REPLACEMENT: usize = 2048;

/// Fonts that a page has itself and that are kept.
const MAX_OWN_FONTS: usize = 16;

/// What a page shows.
#[derive(Debug, Default)]
pub(super) struct PageText {
    /// Its characters, in the order of the file.
    pub glyphs: Vec<Glyph>,
    /// Characters shown in fonts that do not tell what they are.
    pub unknown: usize,
    /// Pictures shown.
    pub images: usize,
    /// Whether its content, or a part of it, cannot be unpacked, nests deeper than any page does, or shows more.
    pub damaged: bool,
}

/// What a page shows, in the file's order. Ends early where nobody waits for it any more.
pub(super) fn read(
    page: &Page<'_>,
    fonts: &mut Fonts,
    budget: &mut Budget,
    pulse: &Pulse,
) -> PageText {
    let (mut content, mut damaged) = (Vec::new(), false);
    match page.raw().get::<Object<'_>>("Contents") {
        Some(Object::Stream(part)) => damaged |= !add(&mut content, &part, budget),
        Some(Object::Array(parts)) => {
            for part in parts.iter::<Stream<'_>>() {
                damaged |= !add(&mut content, &part, budget);
                if budget.exhausted() || !pulse.is_awaited() {
                    break;
                }
            }
        }
        _ => {}
    }
    let (width, height) = page.render_dimensions();
    let mut reader = Reader {
        page: PageText {
            damaged,
            ..PageText::default()
        },
        fonts,
        budget,
        pulse,
        area: (f64::from(width), f64::from(height)),
        instructions: 0,
        shown: 0,
        full: false,
        open: Vec::new(),
    };
    let state = State {
        ctm: page.initial_transform(false).as_coeffs(),
        ..State::default()
    };
    reader.run(&content, page.resources(), state, 0);
    reader.page.damaged |= reader.full;
    reader.page
}

/// Adds a part of a page's content; whether it could be.
fn add(content: &mut Vec<u8>, part: &Stream<'_>, budget: &mut Budget) -> bool {
    let Some(data) = budget.decode(part) else {
        return false;
    };
    if content.len() + data.len() > budget.one() {
        budget.exhaust();
        return false;
    }
    if content.is_empty() {
        *content = data;
    } else {
        content.extend_from_slice(&data);
    }
    content.push(b'\n');
    true
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

/// A content that is being read: of a page, or of a form on it.
struct Scope<'r> {
    resources: &'r Resources<'r>,
    depth: usize,
    state: State,
    saved: Vec<State>,
    marks: Vec<Mark>,
    /// Marks that are open beyond those that are heeded.
    more_marks: usize,
    paginations: usize,
    text: Matrix,
    line: Matrix,
    /// Fonts without an object of their own, by name.
    own: HashMap<Vec<u8>, Rc<Font>>,
}

impl Scope<'_> {
    fn begin(&mut self, mark: impl FnOnce() -> Mark) {
        if self.marks.len() >= MAX_OPEN {
            self.more_marks += 1;
            return;
        }
        let mark = mark();
        self.paginations += usize::from(matches!(mark, Mark::Pagination));
        self.marks.push(mark);
    }

    fn end(&mut self) -> Option<Mark> {
        if self.more_marks > 0 {
            self.more_marks -= 1;
            return None;
        }
        let mark = self.marks.pop()?;
        self.paginations -= usize::from(matches!(mark, Mark::Pagination));
        Some(mark)
    }

    fn next_line(&mut self, x: f64, y: f64) {
        self.line = then([1.0, 0.0, 0.0, 1.0, x, y], self.line);
        self.text = self.line;
    }
}

struct Reader<'f> {
    page: PageText,
    fonts: &'f mut Fonts,
    budget: &'f mut Budget,
    pulse: &'f Pulse,
    area: (f64, f64),
    instructions: usize,
    /// Characters that it has shown.
    shown: usize,
    /// Whether it shows more than is read.
    full: bool,
    /// Forms that are being shown: one inside itself is an error.
    open: Vec<ObjectIdentifier>,
}

impl Reader<'_> {
    fn run(&mut self, content: &[u8], resources: &Resources<'_>, start: State, depth: usize) {
        let mut scope = Scope {
            resources,
            depth,
            state: start,
            saved: Vec::new(),
            marks: Vec::new(),
            more_marks: 0,
            paginations: 0,
            text: IDENTITY,
            line: IDENTITY,
            own: HashMap::new(),
        };
        let mut stretches = Stretches::new(content);
        for stretch in stretches.by_ref() {
            let mut operations = TypedIter::new(stretch);
            while let Some(operation) = operations.next() {
                self.instructions += 1;
                let enough = self.full || self.instructions > MAX_INSTRUCTIONS;
                if enough || !self.pulse.is_awaited() {
                    return;
                }
                self.step(&operation, &mut scope);
            }
        }
        self.page.images += stretches.pictures;
        self.page.damaged |= !stretches.whole;
    }

    fn step(&mut self, operation: &Op<'_, '_>, scope: &mut Scope<'_>) {
        let state = &mut scope.state;
        match operation {
            Op::SaveState(_) if scope.saved.len() < MAX_OPEN => scope.saved.push(state.clone()),
            Op::RestoreState(_) => {
                if let Some(saved) = scope.saved.pop() {
                    *state = saved;
                }
            }
            Op::Transform(m) => {
                let m = [m.0, m.1, m.2, m.3, m.4, m.5].map(|n| n.as_f64());
                state.ctm = then(m, state.ctm);
            }
            Op::BeginText(_) => (scope.text, scope.line) = (IDENTITY, IDENTITY),
            Op::CharacterSpacing(n) => state.character_spacing = n.0.as_f64(),
            Op::WordSpacing(n) => state.word_spacing = n.0.as_f64(),
            Op::HorizontalScaling(n) => state.scaling = n.0.as_f64() / 100.0,
            Op::TextLeading(n) => state.leading = n.0.as_f64(),
            Op::TextRise(n) => state.rise = n.0.as_f64(),
            Op::TextFont(font) => {
                state.size = font.1.as_f64();
                scope.state.font = self.font(font.0, scope.resources, &mut scope.own);
            }
            Op::NextLine(m) => scope.next_line(m.0.as_f64(), m.1.as_f64()),
            Op::NextLineAndSetLeading(m) => {
                state.leading = -m.1.as_f64();
                scope.next_line(m.0.as_f64(), m.1.as_f64());
            }
            Op::NextLineUsingLeading(_) => scope.next_line(0.0, -scope.state.leading),
            Op::SetTextMatrix(m) => {
                scope.line = [m.0, m.1, m.2, m.3, m.4, m.5].map(|n| n.as_f64());
                scope.text = scope.line;
            }
            Op::ShowText(shown) => self.show(shown.0.as_bytes(), scope),
            Op::ShowTexts(parts) => self.show_all(parts.0, scope),
            Op::NextLineAndShowText(shown) => {
                scope.next_line(0.0, -scope.state.leading);
                self.show(shown.0.as_bytes(), scope);
            }
            Op::ShowTextWithParameters(shown) => {
                state.word_spacing = shown.0.as_f64();
                state.character_spacing = shown.1.as_f64();
                scope.next_line(0.0, -scope.state.leading);
                self.show(shown.2.as_bytes(), scope);
            }
            Op::XObject(object) => {
                if let Some(stream) = scope.resources.get_x_object(object.0) {
                    self.object(&stream, scope);
                }
            }
            Op::BeginMarkedContent(_) => scope.begin(|| Mark::Plain),
            Op::BeginMarkedContentWithProperties(mark) => {
                let resources = scope.resources;
                scope.begin(|| {
                    let properties = match mark.1 {
                        Object::Dict(dict) => Some(dict.clone()),
                        Object::Name(name) => resources.properties.get::<Dict<'_>>(name),
                        _ => None,
                    };
                    self.mark(mark.0, properties.as_ref())
                });
            }
            Op::EndMarkedContent(_) => {
                if let Some(Mark::Replaced(with, from)) = scope.end() {
                    replace(&mut self.page.glyphs, from, &with);
                }
            }
            _ => {}
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
        text_entry(properties, "ActualText", MAX_REPLACEMENT)
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
        if let Some(font) = reference.and_then(|r| self.fonts.get(r)) {
            return Some(font);
        }
        let font = resources.get_font(name)?;
        let font = self.fonts.read(reference, &font, self.budget);
        if reference.is_none() {
            if own.len() >= MAX_OWN_FONTS {
                own.clear();
            }
            own.insert(AsRef::<[u8]>::as_ref(name).to_vec(), font.clone());
        }
        Some(font)
    }

    fn object(&mut self, stream: &Stream<'_>, scope: &Scope<'_>) {
        let (dict, depth) = (stream.dict(), scope.depth);
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
                    ctm: then(matrix, scope.state.ctm),
                    ..scope.state.clone()
                };
                match dict.get::<Dict<'_>>("Resources") {
                    Some(own) => self.run(&content, &Resources::new(own), state, depth + 1),
                    None => self.run(&content, scope.resources, state, depth + 1),
                }
                self.open.pop();
            }
            _ => {}
        }
    }

    fn show_all(&mut self, parts: &Array<'_>, scope: &mut Scope<'_>) {
        for part in parts.iter::<Object<'_>>() {
            match part {
                Object::String(shown) => self.show(shown.as_bytes(), scope),
                Object::Number(back) => {
                    let moved = -back.as_f64() / 1000.0 * scope.state.size;
                    advance(&mut scope.text, &scope.state, moved);
                }
                _ => {}
            }
        }
    }

    fn show(&mut self, bytes: &[u8], scope: &mut Scope<'_>) {
        let (state, text) = (&scope.state, &mut scope.text);
        let Some(font) = &state.font else {
            return;
        };
        let hidden = scope.paginations > 0;
        for shown in font.decode(bytes) {
            self.shown += 1;
            let beyond = self.shown > MAX_SHOWN || self.page.glyphs.len() >= MAX_GLYPHS;
            if self.full || beyond || !self.budget.show(shown.weight) {
                self.full = true;
                return;
            }
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
