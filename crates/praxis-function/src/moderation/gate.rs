//! Holds a text that comes in pieces back until it is judged, window by window. Pure: who judges is `guard`.
//!
//! A window ends where a sentence does, and is judged together with some of what went before. Where rules look for
//! values, no window ends inside of one, nor so near to the end of what is known that it could. The windows of a text
//! are the same whatever pieces it comes in, so that an answer that streams is let through where the whole one is.

use super::windows::ends_sentence;
use crate::personal::{Kinds, find};

/// Characters of a window, if its sentences can be cut so.
const LEAST: usize = 80;
const MOST: usize = 400;

/// Characters of a window that nothing can be cut in: a key, a token, a line without spaces.
const LONGEST: usize = 16_384;

/// Characters behind a window that are looked at before it is cut, where rules look for values.
const AHEAD: usize = 96;

/// Characters before a window that it is judged with.
const BEHIND: usize = 200;

/// The beginning of what spans many lines, and its end.
const BEGINS: &str = "-----BEGIN";
const ENDS: &str = "-----END";

/// A piece of text to be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Window {
    /// What went before it, and was let through.
    pub before: String,
    /// What is let through with it.
    pub text: String,
}

impl Window {
    /// All that is judged.
    pub fn whole(&self) -> String {
        format!("{}{}", self.before, self.text)
    }
}

/// A text on its way.
#[derive(Debug)]
pub(super) struct Gate {
    /// Kinds that no window may cut through.
    kinds: Kinds,
    held: Vec<char>,
    before: Vec<char>,
    /// Where the search for the end of the window goes on.
    from: usize,
}

impl Gate {
    /// For one text, and rules that look for these kinds.
    pub fn new(kinds: Kinds) -> Self {
        Self {
            kinds,
            held: Vec::new(),
            before: Vec::new(),
            from: LEAST,
        }
    }

    /// Takes more of the text.
    pub fn push(&mut self, text: &str) {
        self.held.extend(text.chars());
    }

    /// The next window, if it is known where it ends; at the end of the text all that is left.
    pub fn next(&mut self, ended: bool) -> Option<Window> {
        if self.held.is_empty() {
            return None;
        }
        let length = match self.cut(ended) {
            Some(length) => length.clamp(1, self.held.len()),
            None if ended => self.held.len(),
            None => return None,
        };
        self.from = LEAST;
        let rest = self.held.split_off(length);
        let text = std::mem::replace(&mut self.held, rest);
        let before = self.before.iter().collect();
        self.before.extend(&text);
        let forgotten = self.before.len().saturating_sub(BEHIND);
        self.before.drain(..forgotten);
        Some(Window {
            before,
            text: text.into_iter().collect(),
        })
    }

    /// Where the window ends; nothing where more of the text must be known for that.
    fn cut(&mut self, ended: bool) -> Option<usize> {
        loop {
            let at = self.boundary(self.from, ended)?;
            match self.clear(at, ended)? {
                clear if clear <= at || clear >= LONGEST => {
                    return Some(clear.min(LONGEST).max(at));
                }
                // A value goes on behind it.
                inside => self.from = inside,
            }
        }
    }

    /// The first place from here on where a window may end.
    fn boundary(&self, from: usize, ended: bool) -> Option<usize> {
        let mut space = None;
        let mut length = from;
        loop {
            if length >= LONGEST {
                return Some(LONGEST);
            }
            let last = self.held.get(length - 1)?;
            let next = self.held.get(length).copied();
            if next.is_none() && !ended {
                return None;
            }
            let is_long = length >= MOST.max(from);
            if ends_sentence(*last, next) {
                return Some(length);
            }
            if last.is_whitespace() {
                if is_long {
                    return Some(length);
                }
                space = Some(length);
            }
            if is_long {
                if let Some(space) = space {
                    return Some(space);
                }
                // Not between the letters of a word or a key.
                let joined = |c: char| c.is_ascii_graphic();
                if !(joined(*last) && next.is_some_and(joined)) {
                    return Some(length);
                }
            }
            length += 1;
        }
    }

    /// The same place, or the end of the value that it would cut through; nothing where that is not known.
    fn clear(&self, at: usize, ended: bool) -> Option<usize> {
        if self.kinds.is_empty() {
            return Some(at);
        }
        let known = at + AHEAD;
        if self.held.len() < known && !ended {
            return None;
        }
        if self.is_open(at) {
            return Some(at + 1);
        }
        let seen = self.held.get(..known.min(self.held.len()))?;
        let text: String = self.before.iter().chain(seen).collect();
        let bytes = |chars: usize| -> usize {
            let all = self.before.iter().chain(seen);
            let all = all.take(self.before.len() + chars);
            all.map(|c| c.len_utf8()).sum()
        };
        let place = bytes(at);
        let inside = find(&text, &self.kinds)
            .into_iter()
            .find(|found| found.range.start < place && place < found.range.end);
        let Some(found) = inside else {
            return Some(at);
        };
        let upto = text.get(..found.range.end).unwrap_or(&text);
        let end = upto.chars().count().saturating_sub(self.before.len());
        Some(end.max(at + 1))
    }

    /// Whether a block of lines is begun before this place and not ended.
    fn is_open(&self, at: usize) -> bool {
        let text: String = self.held.iter().take(at).collect();
        let Some(begin) = text.rfind(BEGINS) else {
            return false;
        };
        let rest = text.get(begin..).unwrap_or_default();
        rest.rfind(ENDS)
            .and_then(|end| rest.get(end + ENDS.len()..))
            .is_none_or(|tail| !tail.contains("-----"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The windows of a text that comes in pieces of these lengths, again and again.
    fn windows(text: &str, kinds: Kinds, lengths: &[usize]) -> Vec<Window> {
        let chars: Vec<char> = text.chars().collect();
        let mut gate = Gate::new(kinds);
        let mut found = Vec::new();
        let mut lengths = lengths.iter().cycle();
        let mut at = 0;
        while at < chars.len() {
            let end = (at + lengths.next().unwrap()).min(chars.len());
            gate.push(&chars[at..end].iter().collect::<String>());
            at = end;
            while let Some(window) = gate.next(false) {
                found.push(window);
            }
        }
        while let Some(window) = gate.next(true) {
            found.push(window);
        }
        found
    }

    fn texts(windows: &[Window]) -> Vec<&str> {
        windows.iter().map(|window| window.text.as_str()).collect()
    }

    #[test]
    fn windows_end_where_sentences_do() {
        let sentence = format!("{}.", "word ".repeat(18).trim_end());
        let text = format!("{sentence} {sentence} {sentence}");
        let found = windows(&text, Kinds::default(), &[7]);
        let later = format!(" {sentence}");
        assert_eq!(
            texts(&found),
            [sentence.as_str(), later.as_str(), later.as_str()]
        );
        assert_eq!(found[0].before, "");
        assert_eq!(found[1].before, sentence);
        assert_eq!(
            found[2].before.chars().count(),
            sentence.len() + later.len()
        );
        // Short sentences go together; one without an end is cut between words.
        assert_eq!(
            windows("Yes. No. Perhaps.", Kinds::default(), &[3]).len(),
            1
        );
        let endless = "word ".repeat(200);
        let found = windows(&endless, Kinds::default(), &[1]);
        assert!(found.len() > 1 && found.iter().all(|w| w.text.ends_with(' ')));
        assert!(found.iter().all(|w| w.text.chars().count() <= MOST));
        let word = "x".repeat(MOST * 3);
        assert_eq!(windows(&word, Kinds::default(), &[50]).len(), 1);
        let han = "字".repeat(MOST * 2);
        assert_eq!(windows(&han, Kinds::default(), &[50]).len(), 2);
        assert!(windows("", Kinds::ALL, &[1]).is_empty());
    }

    #[test]
    fn no_window_cuts_through_a_value() {
        let filler = "word ".repeat(77);
        let lines = format!("{}\n", "aB3+".repeat(16)).repeat(20);
        let key = format!("-----BEGIN PRIVATE KEY-----\n{lines}-----END PRIVATE KEY-----");
        for value in [
            "ann@example.com",
            "4111 1111 1111 1111",
            "13800138000",
            key.as_str(),
        ] {
            for shift in 0..24 {
                let text = format!("{}{filler}{value} is it. {filler}", "y".repeat(shift));
                let found = windows(&text, Kinds::ALL, &[5]);
                let holds = found.iter().any(|window| window.text.contains(value));
                assert!(holds, "{shift} {value}: {:?}", texts(&found));
            }
        }
    }

    #[test]
    fn a_block_without_an_end_is_let_go_at_last() {
        let text = format!("-----BEGIN PRIVATE KEY-----\n{}", "aB3+ \n".repeat(9000));
        let found = windows(&text, Kinds::ALL, &[1000]);
        assert!(found.len() > 1);
        assert_eq!(texts(&found).concat(), text);
    }

    proptest! {
        #[test]
        fn windows_do_not_depend_on_the_pieces(
            text in "([a-z]{1,9}[ .!\n]|[一-三]{1,30}。|ann@example\\.com |4111 1111 1111 1111|-----BEGIN ){0,60}",
            lengths in prop::collection::vec(1usize..90, 1..8),
            all in any::<bool>(),
        ) {
            let kinds = if all { Kinds::ALL } else { Kinds::default() };
            let whole = windows(&text, kinds, &[usize::MAX / 2]);
            prop_assert_eq!(&windows(&text, kinds, &lengths), &whole);
            prop_assert_eq!(texts(&whole).concat(), text);
        }
    }
}
