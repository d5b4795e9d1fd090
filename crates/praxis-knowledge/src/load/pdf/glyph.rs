//! A character with its place on a page, and the geometry that puts it there. Left out: which
//! characters a page shows (see `content`).

use unicode_normalization::UnicodeNormalization;

/// A character on a page.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Glyph {
    /// The character.
    pub char: char,
    /// Where it begins and ends along its line, in points.
    pub start: f64,
    /// See `start`.
    pub end: f64,
    /// Its baseline, in points, growing from the last line to the first.
    pub base: f64,
    /// Size of its font as it appears, in points.
    pub size: f64,
    /// Whether its strokes are heavy.
    pub bold: bool,
    /// Direction of its line in degrees, counted against the clock; 0 for upright text.
    pub angle: i16,
}

/// A transformation of the plane, as PDF writes it.
pub(super) type Matrix = [f64; 6];

/// `first`, then `second`.
pub(super) fn then(first: Matrix, second: Matrix) -> Matrix {
    let [a, b, c, d, e, f] = first;
    let [p, q, r, s, t, u] = second;
    [
        a * p + b * r,
        a * q + b * s,
        c * p + d * r,
        c * q + d * s,
        e * p + f * r + t,
        e * q + f * s + u,
    ]
}

/// No transformation.
pub(super) const IDENTITY: Matrix = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];

/// An angle in whole degrees, from -179 to 180; scanned pages are a little off the level.
pub(super) fn level(degrees: f64) -> i16 {
    let right = (degrees / 90.0).round() * 90.0;
    let level = if (degrees - right).abs() <= 4.0 {
        right
    } else {
        degrees.round()
    };
    if level <= -180.0 { 180 } else { level as i16 }
}

/// Characters as people write them: ligatures, presentation forms and Kangxi radicals, which fonts
/// map to, are taken apart; control characters vanish; every space is a space.
pub(super) fn readable(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars()
        .flat_map(|c| {
            let rewritten = matches!(c,
                '\u{fb00}'..='\u{fb06}' | '\u{2e80}'..='\u{2fdf}' | '\u{f900}'..='\u{faff}');
            let whole = (!rewritten).then_some(c);
            let parts = rewritten.then(|| c.nfkc()).into_iter().flatten();
            whole.into_iter().chain(parts)
        })
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !c.is_control() && *c != '\u{feff}' && *c != '\u{fffd}')
}

/// Puts a text in place of the glyphs from `from` on, if they stand on one line.
pub(super) fn replace(glyphs: &mut Vec<Glyph>, from: usize, with: &str) {
    // Such a text stands for a word or two; a longer one is a description of a picture.
    let Some(shown) = glyphs.get(from..).filter(|s| s.len() < 500) else {
        return;
    };
    let (Some(first), Some(last)) = (shown.first().cloned(), shown.last()) else {
        return;
    };
    if shown
        .iter()
        .any(|g| g.angle != first.angle || (g.base - first.base).abs() > first.size)
    {
        return;
    }
    let characters: Vec<char> = readable(with).collect();
    let step = (last.end - first.start) / characters.len().max(1) as f64;
    glyphs.truncate(from);
    for (index, char) in characters.into_iter().enumerate() {
        let start = first.start + step * index as f64;
        glyphs.push(Glyph {
            char,
            start,
            end: start + step,
            ..first.clone()
        });
    }
}
