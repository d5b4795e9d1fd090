//! A template's tags before the `handlebars` crate parses them: blocks are matched, and what its
//! grammar does not know is put into words that it does.
//!
//! - `{{.}}` and `{{..}}` become `this` and `../this`.
//! - Sections of Mustache, `{{#name}}` and `{{^name}}`, become blocks of our own helpers; the crate has
//!   no inverted ones, and takes others for an unknown helper.
//! - Comments with `~` become a helper that writes nothing; the grammar has no `~` there.
//! - A partial's name may stand in quotes or brackets.
//! - The crate indents a partial by the spaces before it even where it stands within a line; an empty
//!   tag between the two prevents that.
//!
//! Depth is bounded here, because the crate's parser recurses.

use super::Flaw;
use super::compile::{BLOCKS, INVERTED, NOTHING, SECTION, unknown_helper};

/// Blocks within blocks of one template.
const DEEPEST_BLOCK: usize = 32;

/// Parentheses and brackets within one tag.
const DEEPEST_TAG: usize = 16;

/// The template in the crate's words.
///
/// # Errors
/// Tags and blocks that do not end, or not where they should.
pub(super) fn prepare(source: &str) -> Result<String, Flaw> {
    let mut scanner = Scanner {
        source,
        at: 0,
        out: String::with_capacity(source.len() + 16),
        open: Vec::new(),
    };
    while let Some(start) = scanner.next_tag() {
        scanner.tag(start)?;
    }
    scanner.out.push_str(&source[scanner.at..]);
    match scanner.open.pop() {
        Some(block) => Err(flaw(
            source,
            block.at,
            format!("`{{{{{}{}}}}}` has no end", block.sign, block.name),
            format!("end it with `{{{{/{}}}}}`", block.name),
        )),
        None => Ok(scanner.out),
    }
}

/// A flaw at a byte of the source.
pub(super) fn flaw(source: &str, at: usize, message: String, help: String) -> Flaw {
    let before = &source[..at];
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    Flaw {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        message,
        help,
    }
}

/// A block that has begun.
struct Open<'a> {
    sign: &'static str,
    name: &'a str,
    /// The name that its end gets.
    end: &'a str,
    at: usize,
}

struct Scanner<'a> {
    source: &'a str,
    /// What comes before is in `out`.
    at: usize,
    out: String,
    open: Vec<Open<'a>>,
}

impl<'a> Scanner<'a> {
    /// Copies text up to the next tag; gives where it begins.
    fn next_tag(&mut self) -> Option<usize> {
        let mut from = self.at;
        loop {
            let start = from + self.source[from..].find("{{")?;
            let text = &self.source[self.at..start];
            let backslashes = text.len() - text.trim_end_matches('\\').len();
            if backslashes == 1 {
                // `\{{` is text up to the next tag.
                from = start + 2;
                if self.source[from..].starts_with("{{") {
                    from += 2;
                }
                continue;
            }
            self.out.push_str(text);
            self.at = start;
            return Some(start);
        }
    }

    fn flaw(&self, at: usize, message: impl Into<String>, help: impl Into<String>) -> Flaw {
        flaw(self.source, at, message.into(), help.into())
    }

    /// Takes the tag at `start`.
    fn tag(&mut self, start: usize) -> Result<(), Flaw> {
        let rest = &self.source[start..];
        if rest.starts_with("{{{{") {
            return self.raw_block(start);
        }
        let bare = rest[2..].trim_start_matches('~');
        if bare.starts_with('!') {
            return self.comment(start);
        }
        let end = self.tag_end(start)?;
        let tag = &self.source[start..end];
        let inside = tag[2..tag.len() - 2].trim_matches('~').trim();
        let left = if tag[2..].starts_with('~') {
            "{{~"
        } else {
            "{{"
        };
        let right = if tag.ends_with("~}}") { "~}}" } else { "}}" };
        self.at = end;
        if let Some(partial) = inside.strip_prefix('>') {
            if self.indents(start, end, left) {
                self.out.push_str("{{");
                self.out.push_str(NOTHING);
                self.out.push_str("}}");
            }
            let partial = self.partial(partial);
            self.push(left, ">", &partial, right);
        } else if let Some(block) = inside.strip_prefix('#') {
            let (sign, call) = match block.trim_start() {
                b if b.starts_with('>') => ("#>", &b[1..]),
                b if b.starts_with('*') => ("#*", &b[1..]),
                b => ("#", b),
            };
            self.begin(start, left, sign, call.trim(), right)?;
        } else if let Some(call) = inside.strip_prefix('^').map(str::trim)
            && !call.is_empty()
        {
            self.begin(start, left, "^", call, right)?;
        } else if let Some(name) = inside.strip_prefix('/') {
            self.end(start, left, unquoted(name.trim()), right)?;
        } else if self.open.is_empty() && (word(inside) == "else" || inside == "^") {
            let help = "begin a block before it, as in `{{#if value}}`";
            return Err(self.flaw(
                start,
                format!("`{{{{{inside}}}}}` stands in no block"),
                help,
            ));
        } else if let Some(call) = inside.strip_prefix("else ").map(str::trim_start) {
            let name = word(call);
            if is_block(name) {
                self.push(left, "else ", &paths(call), right);
            } else if name == call {
                self.push(left, "else ", &format!("{SECTION} {}", paths(call)), right);
            } else {
                return Err(unknown_helper(self.source, start, name));
            }
        } else {
            let inner = &tag[2..tag.len() - 2];
            self.out.push_str("{{");
            self.out.push_str(&paths(inner));
            self.out.push_str("}}");
        }
        Ok(())
    }

    fn push(&mut self, left: &str, sign: &str, call: &str, right: &str) {
        for piece in [left, sign, call, right] {
            self.out.push_str(piece);
        }
    }

    /// Where the tag ends: after its `}}`, that of a text in quotes does not count.
    fn tag_end(&self, start: usize) -> Result<usize, Flaw> {
        let bytes = self.source.as_bytes();
        let triple = self.source[start..].starts_with("{{{");
        let mut at = start + 2;
        let (mut quote, mut depth) = (None, 0_usize);
        while at < bytes.len() {
            let byte = bytes[at];
            match quote {
                Some(q) => match byte {
                    b'\\' => at += 1,
                    _ if byte == q => quote = None,
                    _ => {}
                },
                None => match byte {
                    b'"' | b'\'' => quote = Some(byte),
                    b'(' | b'[' | b'{' => {
                        depth += 1;
                        if depth > DEEPEST_TAG {
                            return Err(self.flaw(
                                start,
                                format!("a tag nests more than {DEEPEST_TAG} levels deep"),
                                "compute less in one tag",
                            ));
                        }
                    }
                    b')' | b']' => depth = depth.saturating_sub(1),
                    b'}' if self.source[at..].starts_with("}}") => {
                        // The `}` of `{{{x}}}` and of `{{~{x}~}}` belongs to the tag.
                        let more = triple && self.source[at..].starts_with("}}}");
                        return Ok(at + 2 + usize::from(more));
                    }
                    b'}' => depth = depth.saturating_sub(1),
                    _ => {}
                },
            }
            at += 1;
        }
        Err(self.flaw(
            start,
            "a tag that begins with `{{` has no `}}`",
            "close it; write `\\{{` for the two characters themselves",
        ))
    }

    fn comment(&mut self, start: usize) -> Result<(), Flaw> {
        let rest = &self.source[start..];
        let inside = rest[2..].trim_start_matches('~');
        let opened = rest.len() - inside.len();
        let long = inside.starts_with("!--");
        let close = if long {
            // As in the original, a long comment ends at `--}}`, also with `~` between.
            match (inside[3..].find("--}}"), inside[3..].find("--~}}")) {
                (Some(a), Some(b)) if b < a => Some((b + 3, 5)),
                (Some(a), _) => Some((a + 3, 4)),
                (None, Some(b)) => Some((b + 3, 5)),
                (None, None) => None,
            }
        } else {
            inside.find("}}").map(|at| (at, 2))
        };
        let Some((at, closing)) = close else {
            let ending = if long { "--}}" } else { "}}" };
            return Err(self.flaw(
                start,
                "a comment has no end",
                format!("end it with `{ending}`"),
            ));
        };
        let end = opened + at + closing;
        let comment = &rest[..end];
        let (left, right) = (comment.starts_with("{{~"), comment.ends_with("~}}"));
        if left || right {
            self.out.push_str(if left { "{{~" } else { "{{" });
            self.out.push_str(NOTHING);
            // Lines keep their numbers.
            let lines = comment.matches('\n').count();
            self.out.push_str(&"\n".repeat(lines));
            self.out.push_str(if right { "~}}" } else { "}}" });
        } else {
            self.out.push_str(comment);
        }
        self.at = start + end;
        Ok(())
    }

    /// `{{{{raw}}}}` to `{{{{/raw}}}}`: text in which nothing is a tag.
    fn raw_block(&mut self, start: usize) -> Result<(), Flaw> {
        let rest = &self.source[start..];
        let name = rest[4..].split("}}}}").next().unwrap_or_default().trim();
        if name != "raw" {
            return Err(self.flaw(
                start,
                "four braces begin a block of raw text",
                "write `{{{{raw}}}} text {{{{/raw}}}}`",
            ));
        }
        match rest.find("{{{{/raw}}}}") {
            Some(at) => {
                let end = at + "{{{{/raw}}}}".len();
                self.out.push_str(&rest[..end]);
                self.at = start + end;
                Ok(())
            }
            None => Err(self.flaw(
                start,
                "`{{{{raw}}}}` has no end",
                "end it with `{{{{/raw}}}}`",
            )),
        }
    }

    fn begin(
        &mut self,
        start: usize,
        left: &str,
        sign: &'static str,
        call: &'a str,
        right: &str,
    ) -> Result<(), Flaw> {
        if self.open.len() >= DEEPEST_BLOCK {
            return Err(self.flaw(
                start,
                format!("blocks nest more than {DEEPEST_BLOCK} levels deep"),
                "move some of them to a partial",
            ));
        }
        let name = unquoted(word(call));
        let end = match sign {
            "#>" => {
                let partial = self.partial(call);
                self.push(left, sign, &partial, right);
                name
            }
            "#*" => {
                self.push(left, sign, call, right);
                name
            }
            "#" if is_block(name) => {
                self.push(left, sign, &paths(call), right);
                name
            }
            // A section has a path and nothing else.
            _ if name != call => {
                let found = if sign == "^" && is_block(name) {
                    self.flaw(
                        start,
                        format!("`{{{{^{name}}}}}` with arguments is not supported"),
                        format!("write `{{{{#{name} ...}}}}{{{{else}}}}...{{{{/{name}}}}}`"),
                    )
                } else {
                    unknown_helper(self.source, start, name)
                };
                return Err(found);
            }
            "^" => {
                let call = format!("{INVERTED} {}", paths(call));
                self.push(left, "#", &call, right);
                INVERTED
            }
            _ => {
                let call = format!("{SECTION} {}", paths(call));
                self.push(left, "#", &call, right);
                SECTION
            }
        };
        self.open.push(Open {
            sign,
            name,
            end,
            at: start,
        });
        Ok(())
    }

    fn end(&mut self, start: usize, left: &str, name: &str, right: &str) -> Result<(), Flaw> {
        match self.open.pop() {
            Some(open) if open.name == name || (open.sign == "#>" && name.is_empty()) => {
                // The end of a partial block may go without its name.
                let end = if open.sign == "#>" { "" } else { open.end };
                self.push(left, "/", end, right);
                Ok(())
            }
            Some(open) => Err(self.flaw(
                start,
                format!(
                    "`{{{{/{name}}}}}` ends a block that began as `{{{{{}{}}}}}`",
                    open.sign, open.name
                ),
                format!("end it with `{{{{/{}}}}}` first", open.name),
            )),
            None => Err(self.flaw(
                start,
                format!("`{{{{/{name}}}}}` ends a block that has not begun"),
                format!("begin it with `{{{{#{name}}}}}`, or remove the end"),
            )),
        }
    }

    /// A partial's call with its name as the grammar wants it.
    fn partial(&self, call: &str) -> String {
        let call = call.trim();
        let name = word(call);
        let rest = &call[name.len()..];
        if name.starts_with(['"', '[']) {
            format!("'{}'{}", unquoted(name), paths(rest))
        } else if name.starts_with('(') {
            paths(call)
        } else {
            format!("{name}{}", paths(rest))
        }
    }

    /// Whether the crate would indent this partial though it does not stand alone on its line.
    fn indents(&self, start: usize, end: usize, left: &str) -> bool {
        let blank = |c: char| c == ' ' || c == '\t';
        let before = self.source[..start].trim_end_matches(blank);
        let after = self.source[end..].trim_start_matches(blank);
        let alone = (before.is_empty() || before.ends_with('\n'))
            && (after.is_empty() || after.starts_with(['\n', '\r']));
        left == "{{" && before.len() < start && !alone
    }
}

fn is_block(name: &str) -> bool {
    BLOCKS.contains(&name)
}

/// The first word of a call; quotes, brackets and parentheses hold together.
fn word(call: &str) -> &str {
    let close = match call.chars().next() {
        Some('"') => '"',
        Some('\'') => '\'',
        Some('[') => ']',
        _ => {
            let end = call.find(char::is_whitespace).unwrap_or(call.len());
            return &call[..end];
        }
    };
    match call[1..].find(close) {
        Some(at) => &call[..at + 2],
        None => call,
    }
}

fn unquoted(name: &str) -> &str {
    for (open, close) in [('"', '"'), ('\'', '\''), ('[', ']')] {
        if let Some(inner) = name.strip_prefix(open).and_then(|n| n.strip_suffix(close)) {
            return inner;
        }
    }
    name
}

/// The call with `.` and `..`, where they stand alone, as paths that the grammar knows.
fn paths(call: &str) -> String {
    let mut out = String::with_capacity(call.len());
    let mut quote: Option<char> = None;
    let mut token = String::new();
    let mut escaped = false;
    let flush = |token: &mut String, out: &mut String| {
        out.push_str(match token.as_str() {
            "." => "this",
            ".." => "../this",
            other => other,
        });
        token.clear();
    };
    for c in call.chars() {
        if let Some(q) = quote {
            token.push(c);
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == q {
                quote = None;
            }
            continue;
        }
        match c {
            '"' | '\'' => {
                quote = Some(c);
                token.push(c);
            }
            '[' => {
                quote = Some(']');
                token.push(c);
            }
            c if c.is_whitespace()
                || matches!(c, '(' | ')' | '=' | '|' | '~' | '{' | '}' | '&') =>
            {
                flush(&mut token, &mut out);
                out.push(c);
            }
            c => token.push(c),
        }
    }
    flush(&mut token, &mut out);
    out
}
