//! The control tokens of a vocabulary as trees of bytes: which of them stands at a place of a text, and whether one could
//! be completed across the border of a text, in steps that grow with the longest of them and not with how many there
//! are. A vocabulary may have hundreds that begin alike, and a text may be megabytes of their beginnings.

/// What the bytes so far lead to.
#[derive(Debug, Default)]
struct Node {
    /// The next bytes, ascending, and the places of their nodes.
    next: Vec<(u8, usize)>,
    /// The token that ends here.
    token: Option<u32>,
}

/// A tree of texts; its root comes first.
#[derive(Debug)]
struct Tree(Vec<Node>);

impl Tree {
    fn new() -> Self {
        Self(vec![Node::default()])
    }

    /// Adds a text; of equal ones the first stays.
    fn add(&mut self, text: impl Iterator<Item = u8>, token: u32) {
        let mut at = 0;
        for byte in text {
            at = match self.0[at].next.binary_search_by_key(&byte, |next| next.0) {
                Ok(found) => self.0[at].next[found].1,
                Err(place) => {
                    let new = self.0.len();
                    self.0.push(Node::default());
                    self.0[at].next.insert(place, (byte, new));
                    new
                }
            };
        }
        self.0[at].token.get_or_insert(token);
    }

    fn step(&self, at: usize, byte: u8) -> Option<usize> {
        let next = &self.0[at].next;
        let found = next.binary_search_by_key(&byte, |next| next.0).ok()?;
        Some(next[found].1)
    }

    /// Whether a text has more behind these bytes.
    fn goes_on_behind(&self, mut bytes: impl Iterator<Item = u8>) -> bool {
        let end = bytes.try_fold(0, |at, byte| self.step(at, byte));
        end.is_some_and(|end| !self.0[end].next.is_empty())
    }
}

/// Control and user-defined tokens of a vocabulary.
#[derive(Debug)]
pub(crate) struct Specials {
    /// Longest first.
    tokens: Vec<(String, u32)>,
    forwards: Tree,
    backwards: Tree,
    /// The bytes that one of them begins with.
    starts: [bool; 256],
}

impl Specials {
    /// Of these texts and tokens, none of which is empty. Of equal texts, the smaller token counts.
    pub(crate) fn new(mut tokens: Vec<(String, u32)>) -> Self {
        tokens.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
        let (mut forwards, mut backwards) = (Tree::new(), Tree::new());
        let mut starts = [false; 256];
        for (text, token) in &tokens {
            forwards.add(text.bytes(), *token);
            backwards.add(text.bytes().rev(), *token);
            if let Some(first) = text.bytes().next() {
                starts[usize::from(first)] = true;
            }
        }
        Self {
            tokens,
            forwards,
            backwards,
            starts,
        }
    }

    /// All of them, the longest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, u32)> {
        self.tokens.iter().map(|(text, id)| (text.as_str(), *id))
    }

    /// Bytes of the longest.
    pub(super) fn longest(&self) -> usize {
        self.tokens.first().map_or(0, |(text, _)| text.len())
    }

    /// Whether a text is one of them.
    pub(crate) fn has(&self, text: &str) -> bool {
        self.at_start(text.as_bytes())
            .is_some_and(|(length, _)| length == text.len())
    }

    /// The longest that some bytes begin with: its length and its token.
    pub(crate) fn at_start(&self, bytes: &[u8]) -> Option<(usize, u32)> {
        if !self.starts[usize::from(*bytes.first()?)] {
            return None;
        }
        let (mut at, mut found) = (0, None);
        for (index, byte) in bytes.iter().enumerate() {
            let Some(next) = self.forwards.step(at, *byte) else {
                break;
            };
            at = next;
            if let Some(token) = self.forwards.0[at].token {
                found = Some((index + 1, token));
            }
        }
        found
    }

    /// Whether a text ends with the beginning of one, which more text could complete.
    pub(crate) fn begins_at_end(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        (1..=self.longest().min(bytes.len())).any(|length| {
            let tail = &bytes[bytes.len() - length..];
            self.forwards.goes_on_behind(tail.iter().copied())
        })
    }

    /// Whether a text begins with the end of one, which text before it could complete.
    pub(crate) fn ends_at_start(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        (1..=self.longest().min(bytes.len())).any(|length| {
            let head = &bytes[..length];
            self.backwards.goes_on_behind(head.iter().rev().copied())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specials() -> Specials {
        let texts = ["<|im_end|>", "<|im_start|>", "<|im", "</s>"];
        let tokens = texts.iter().zip(0..).map(|(t, id)| ((*t).to_owned(), id));
        Specials::new(tokens.collect())
    }

    #[test]
    fn the_longest_token_at_a_place_is_found() {
        let specials = specials();
        for (text, found) in [
            ("<|im_start|>user", Some((12, 1))),
            ("<|im_started", Some((4, 2))),
            ("</s>", Some((4, 3))),
            ("</", None),
            ("", None),
            ("a<|im_end|>", None),
        ] {
            assert_eq!(specials.at_start(text.as_bytes()), found, "{text:?}");
        }
        assert!(specials.has("</s>") && specials.has("<|im"));
        assert!(!specials.has("<|im_") && !specials.has("") && !specials.has("</s> "));
    }

    #[test]
    fn a_token_that_neighbours_could_complete_is_seen_at_either_border() {
        let specials = specials();
        for (text, at_end, at_start) in [
            ("ends with <", true, false),
            ("ends with <|im", true, false),
            ("ends with <|im_end|>", false, false),
            ("> begins", false, true),
            ("_end|> begins", false, true),
            ("im_end| begins", false, true),
            ("end| begins", false, false),
            ("", false, false),
        ] {
            let found = (specials.begins_at_end(text), specials.ends_at_start(text));
            assert_eq!(found, (at_end, at_start), "{text:?}");
        }
    }
}
