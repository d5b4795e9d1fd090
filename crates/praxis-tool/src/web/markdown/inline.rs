//! Marks around pieces of a line: links, emphasis, code. Left out: where lines begin and end.

/// Marks that are open at a time.
const MOST: usize = 16;

/// What a mark says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    Link(String),
    Strong,
    Emphasis,
    Code,
}

/// A mark that is open.
#[derive(Debug)]
struct Open {
    /// The element's name.
    tag: String,
    mark: Mark,
    /// Where its text begins.
    start: usize,
}

/// The marks that are open.
#[derive(Debug, Default)]
pub(super) struct Inlines(Vec<Open>);

impl Inlines {
    /// A mark begins at the end of `text`. One inside of its like says nothing more.
    pub fn open(&mut self, tag: &str, mark: Mark, text: &str) {
        let same =
            |open: &Open| std::mem::discriminant(&open.mark) == std::mem::discriminant(&mark);
        if self.0.len() < MOST && !self.0.iter().any(same) {
            self.0.push(Open {
                tag: tag.to_owned(),
                mark,
                start: text.len(),
            });
        }
    }

    /// Whether a link is open.
    pub fn in_link(&self) -> bool {
        self.0.iter().any(|open| matches!(open.mark, Mark::Link(_)))
    }

    /// The element ends: its mark, and those that were opened inside of it, are put around their texts.
    pub fn close(&mut self, tag: &str, text: &mut String) {
        let Some(at) = self.0.iter().rposition(|open| open.tag == tag) else {
            return;
        };
        for open in self.0.drain(at..).rev() {
            open.wrap(text);
        }
    }

    /// A line ends while marks are open: they are put around what is there, and go on in the next one.
    pub fn suspend(&mut self, text: &mut String) {
        for open in self.0.iter_mut().rev() {
            open.wrap(text);
            open.start = 0;
        }
    }

    /// The text of the open marks begins here: what is before it is a mark of a list.
    pub fn begin_at(&mut self, start: usize) {
        for open in &mut self.0 {
            open.start = start;
        }
    }
}

impl Open {
    /// Puts the mark around its text, without the white space at its ends.
    fn wrap(&self, text: &mut String) {
        let Some(inside) = text.get(self.start..) else {
            return;
        };
        let inner = inside.trim();
        if inner.is_empty() {
            return;
        }
        let begin = self.start + (inside.len() - inside.trim_start().len());
        let end = begin + inner.len();
        let (before, after) = match &self.mark {
            Mark::Link(url) => ("[".to_owned(), format!("]({url})")),
            Mark::Strong => ("**".to_owned(), "**".to_owned()),
            Mark::Emphasis => ("*".to_owned(), "*".to_owned()),
            Mark::Code if inner.contains('`') => ("`` ".to_owned(), " ``".to_owned()),
            Mark::Code => ("`".to_owned(), "`".to_owned()),
        };
        text.insert_str(end, &after);
        text.insert_str(begin, &before);
    }
}
