//! How deep each line of a program stands, by brackets or by indentation. Strings and comments are passed
//! over. Left out: what the line says.

use super::syntax::{Depth, Syntax};

/// Deeper than any line: inside of a string, or of brackets that go on over lines.
const INSIDE: usize = usize::MAX;

/// Columns that a tab moves by.
const TAB: usize = 4;

/// A line, and how deep it stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Line {
    /// First byte.
    pub start: usize,
    /// Byte after its end, which is part of it.
    pub end: usize,
    /// How deep it begins.
    pub depth: usize,
    /// Whether it begins inside of a string or a comment.
    pub inside: bool,
    /// Whether nothing is on it.
    pub blank: bool,
}

/// The lines of a source.
pub(super) fn read(source: &str, syntax: &Syntax) -> Vec<Line> {
    let scan = Scan::new(source, syntax);
    let (states, balanced) = scan.run();
    let mut at = 0;
    source
        .split_inclusive('\n')
        .enumerate()
        .map(|(i, text)| {
            let (start, end) = (at, at + text.len());
            at = end;
            let (brackets, inside) = states.get(i).copied().unwrap_or((0, false));
            // Where brackets do not match, something was misread: indentation is right more often.
            let by_brackets = syntax.depth == Depth::Brackets && balanced;
            let depth = match (by_brackets, inside) {
                (_, true) if balanced => INSIDE,
                (true, _) => brackets,
                (false, _) if balanced && brackets > 0 && syntax.depth == Depth::Indentation => {
                    INSIDE
                }
                (false, _) => indentation(text),
            };
            Line {
                start,
                end,
                depth,
                inside: inside && balanced,
                blank: text.trim().is_empty(),
            }
        })
        .collect()
}

fn indentation(line: &str) -> usize {
    line.chars()
        .take_while(|c| matches!(c, ' ' | '\t'))
        .map(|c| if c == '\t' { TAB } else { 1 })
        .sum()
}

struct Scan<'a> {
    source: &'a str,
    syntax: &'a Syntax,
    at: usize,
    /// Open brackets.
    brackets: usize,
    /// Whether more were closed than opened.
    under: bool,
    /// For each line, the open brackets at its beginning, and whether a string or comment was open.
    lines: Vec<(usize, bool)>,
}

impl<'a> Scan<'a> {
    fn new(source: &'a str, syntax: &'a Syntax) -> Self {
        Self {
            source,
            syntax,
            at: 0,
            brackets: 0,
            under: false,
            lines: vec![(0, false)],
        }
    }

    /// The state at the beginning of each line, and whether brackets match in the end.
    fn run(mut self) -> (Vec<(usize, bool)>, bool) {
        while let Some(c) = self.rest().chars().next() {
            let rest = self.rest();
            let begins = |marks: &[&str]| marks.iter().any(|mark| rest.starts_with(mark));
            if let Some((open, close)) = self
                .syntax
                .long
                .iter()
                .find(|(open, _)| rest.starts_with(open))
            {
                self.at += open.len();
                self.pass(close, true);
                continue;
            }
            if begins(self.syntax.line_comments) {
                let end = rest.find('\n').unwrap_or(rest.len());
                self.at += end;
                continue;
            }
            match c {
                '\n' => {
                    self.at += 1;
                    self.lines.push((self.brackets, false));
                }
                '\'' if self.syntax.lifetimes => self.character(),
                c if self.syntax.quotes.contains(c) => {
                    self.at += 1;
                    self.pass(c.encode_utf8(&mut [0; 4]), false);
                }
                '(' | '[' | '{' => {
                    self.brackets += 1;
                    self.at += 1;
                }
                ')' | ']' | '}' => {
                    self.under |= self.brackets == 0;
                    self.brackets = self.brackets.saturating_sub(1);
                    self.at += 1;
                }
                c => self.at += c.len_utf8(),
            }
        }
        let balanced = self.brackets == 0 && !self.under;
        (self.lines, balanced)
    }

    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    /// Passes over the rest of a string or comment; a short one ends with its line at the latest.
    fn pass(&mut self, close: &str, long: bool) {
        let rest = self.rest();
        let escapes = self.syntax.escapes && close.ends_with(['"', '\'', '`']);
        let mut chars = rest.char_indices();
        while let Some((i, c)) = chars.next() {
            if rest[i..].starts_with(close) {
                self.at += i + close.len();
                return;
            }
            match c {
                '\\' if escapes => {
                    if let Some((_, '\n')) = chars.next() {
                        self.lines.push((self.brackets, true));
                    }
                }
                '\n' if !long => {
                    self.at += i;
                    return;
                }
                '\n' => self.lines.push((self.brackets, true)),
                _ => {}
            }
        }
        self.at = self.source.len();
    }

    /// Passes over a character in quotes, or the quote of a lifetime.
    fn character(&mut self) {
        let mut chars = self.rest().chars().skip(1);
        match (chars.next(), chars.next()) {
            (Some('\\'), _) => {
                self.at += 1;
                self.pass("'", false);
            }
            (Some(c), Some('\'')) => self.at += 2 + c.len_utf8(),
            _ => self.at += 1,
        }
    }
}
