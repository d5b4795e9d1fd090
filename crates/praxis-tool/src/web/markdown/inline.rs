//! Marks around pieces of a line: links, emphasis, code. Left out: where lines begin and end.

use praxis_sources::html::Text;

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
    pub fn open(&mut self, tag: &str, mark: Mark, text: &Text) {
        let same =
            |open: &Open| std::mem::discriminant(&open.mark) == std::mem::discriminant(&mark);
        if self.0.len() < MOST && !self.0.iter().any(same) {
            self.0.push(Open {
                tag: tag.to_owned(),
                mark,
                start: text.end(),
            });
        }
    }

    /// The element ends: its mark, and those that were opened inside of it, are put around their texts.
    pub fn close(&mut self, tag: &str, text: &mut Text) {
        let Some(at) = self.0.iter().rposition(|open| open.tag == tag) else {
            return;
        };
        for open in self.0.drain(at..).rev() {
            open.wrap(text);
        }
    }

    /// A text ends while marks are open: they are put around what is there, and go on in the next one.
    pub fn suspend(&mut self, text: &mut Text) {
        for open in self.0.iter_mut().rev() {
            open.wrap(text);
            open.start = 0;
        }
    }
}

impl Open {
    /// Puts the mark around its text.
    fn wrap(&self, text: &mut Text) {
        text.surround(self.start, |inner| match &self.mark {
            Mark::Link(url) => ("[".to_owned(), format!("]({url})")),
            Mark::Strong => ("**".to_owned(), "**".to_owned()),
            Mark::Emphasis => ("*".to_owned(), "*".to_owned()),
            Mark::Code if inner.contains('`') => ("`` ".to_owned(), " ``".to_owned()),
            Mark::Code => ("`".to_owned(), "`".to_owned()),
        });
    }
}
