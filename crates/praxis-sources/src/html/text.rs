//! The text of the block that is open: its white space, what of it the page says, and how much of that is in links.
//! Left out: where blocks begin and end.

use super::content::Kind;

/// The text of the open block, or of the open cell of a table.
#[derive(Debug, Default)]
pub struct Text {
    /// What the block is.
    pub(super) kind: Kind,
    /// White space that counts once text follows it.
    pub(super) due: bool,
    /// Whether a link is open.
    pub(super) in_link: bool,
    /// Elements that are open in which white space is text.
    pub(super) preformatted: usize,
    written: String,
    /// Length of the mark that an item's text begins with.
    mark: usize,
    /// Bytes that the page says, and those of them in links.
    size: usize,
    linked: usize,
}

/// A text that has ended.
#[derive(Debug)]
pub(super) struct Passage {
    pub kind: Kind,
    pub text: String,
    /// Bytes that the page says, and those of them in links.
    pub size: usize,
    pub linked: usize,
}

impl Text {
    /// What the block is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether white space is text here: in `<pre>` and its like.
    pub fn is_preformatted(&self) -> bool {
        self.preformatted > 0
    }

    /// Where what is written next begins.
    pub fn end(&self) -> usize {
        self.written.len()
    }

    /// Writes the space that is due, if anything is before it.
    pub fn space(&mut self) {
        let due = std::mem::take(&mut self.due);
        if due && self.written.len() > self.mark && !self.written.ends_with(['\n', ' ']) {
            self.written.push(' ');
            self.count(1);
        }
    }

    /// Writes what is no text of the page, such as a picture; it has `size` bytes that the page says.
    pub fn put(&mut self, written: &str, size: usize) {
        self.space();
        self.written.push_str(written);
        self.count(size);
    }

    /// Puts marks, made for the text within, around what was written from `start` on: not around the white space at its
    /// ends, nor around the mark of a list, and around nothing none.
    pub fn surround(&mut self, start: usize, marks: impl FnOnce(&str) -> (String, String)) {
        let start = start.max(self.mark);
        let Some(inside) = self.written.get(start..) else {
            return;
        };
        let inner = inside.trim();
        if inner.is_empty() {
            return;
        }
        let begin = start + (inside.len() - inside.trim_start().len());
        let end = begin + inner.len();
        let (before, after) = marks(inner);
        self.written.insert_str(end, &after);
        self.written.insert_str(begin, &before);
    }

    /// Adds text of the page; where it is not preformatted, any white space is one space.
    pub(super) fn add(&mut self, text: &str) {
        if self.is_preformatted() {
            self.written.push_str(text);
            self.count(text.len());
            return;
        }
        for word in text.split_inclusive(char::is_whitespace) {
            let inner = word.trim_end();
            if !inner.is_empty() {
                self.space();
                let before = self.written.len();
                let shown = inner
                    .chars()
                    .filter(|c| !matches!(c, '\u{ad}' | '\u{200b}'));
                self.written.extend(shown);
                self.count(self.written.len() - before);
            }
            self.due |= inner.len() < word.len();
        }
    }

    fn count(&mut self, bytes: usize) {
        self.size += bytes;
        if self.in_link {
            self.linked += bytes;
        }
    }

    /// Ends a line within the block; one that says nothing is none.
    pub(super) fn line(&mut self) {
        self.due = false;
        if self.written.len() > self.mark {
            self.written.push('\n');
        }
    }

    /// Begins an item of a list, with its mark.
    pub(super) fn item(&mut self, mark: &str) {
        self.kind = Kind::Item;
        self.written.push_str(mark);
        self.mark = self.written.len();
    }

    /// Whether this is an item without text as yet.
    pub(super) fn is_new_item(&self) -> bool {
        self.kind == Kind::Item && self.written.len() == self.mark
    }

    /// Ends the text, and begins a paragraph. Of an item without text nothing is left.
    pub(super) fn take(&mut self) -> Passage {
        let empty = self.is_new_item();
        self.due = false;
        self.mark = 0;
        let kind = std::mem::take(&mut self.kind);
        let mut text = std::mem::take(&mut self.written);
        match kind {
            _ if empty => text.clear(),
            Kind::Code => {
                // The line break after the tag is none (HTML standard, "The pre element").
                if text.starts_with('\n') {
                    text.remove(0);
                }
                text.truncate(text.trim_end().len());
            }
            Kind::Heading(_) => text = one_line(&text),
            _ if text.contains('\n') => {
                let lines = text.lines().map(str::trim_end);
                let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
                text = lines.join("\n");
            }
            _ => text.truncate(text.trim_end().len()),
        }
        Passage {
            kind,
            text,
            size: std::mem::take(&mut self.size),
            linked: std::mem::take(&mut self.linked),
        }
    }
}

/// A text with one space for any white space.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_page_says_is_counted_and_marks_are_not() {
        let mut text = Text::default();
        text.item("1. ");
        assert!(text.is_new_item());
        text.add(" \n see ");
        let start = text.end();
        text.in_link = true;
        text.add("the  ma\u{ad}p ");
        text.in_link = false;
        text.surround(start, |_| ("[".to_owned(), "]".to_owned()));
        text.put("![x y](z)", 3);
        // Not around the mark of the list.
        text.surround(0, |_| ("*".to_owned(), "*".to_owned()));
        let passage = text.take();
        assert_eq!(passage.kind, Kind::Item);
        assert_eq!(passage.text, "1. *see [the map] ![x y](z)*");
        // `see the map`, a space and the three of the picture; in the link, the space before it too.
        assert_eq!((passage.size, passage.linked), (15, 8));
        assert_eq!(text.kind(), Kind::Paragraph);
    }

    #[test]
    fn each_kind_of_block_has_its_white_space() {
        for (kind, lines, expected) in [
            (Kind::Paragraph, ["a ", "", "b"], "a\nb"),
            (Kind::Heading(1), ["a ", "", "b"], "a b"),
            (Kind::Code, ["", " a", "  b\n\n"], " a\n  b"),
        ] {
            let mut text = Text {
                kind,
                preformatted: 1,
                ..Text::default()
            };
            text.add(&lines.join("\n"));
            assert_eq!(text.take().text, expected, "{kind:?}");
        }
        let mut item = Text::default();
        item.item("- ");
        item.line();
        assert_eq!(item.take().text, "", "an item without text");
    }
}
