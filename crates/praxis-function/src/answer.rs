//! The answer filter: a state machine without I/O between the model's stream and the reader.
//!
//! It holds back what may turn out to be the refusal sentinel or a citation, lets through citations
//! that point to a passage, and drops those that do not. The text it gives out, piece by piece, is
//! the final text: nothing is taken back.

use praxis_core::language::is_han;
use praxis_core::{Citation, Passage};

use crate::refusal::SENTINEL;

/// Share of an answer's terms that a passage must hold to be cited for an answer that cites nothing.
const SUPPORT: f32 = 0.6;

/// Longest run between brackets that can be a citation.
const LONGEST_MARK: usize = 24;

/// Filters one answer.
pub(crate) struct AnswerFilter {
    passages: usize,
    /// Text that is not yet decided.
    held: String,
    /// Text given out.
    text: String,
    used: Vec<u32>,
    in_code: bool,
    /// Whether it is certain that the answer is not the sentinel.
    begun: bool,
    refused: bool,
}

impl AnswerFilter {
    /// A filter for an answer over that many passages.
    pub fn new(passages: usize) -> Self {
        Self {
            passages,
            held: String::new(),
            text: String::new(),
            used: Vec::new(),
            in_code: false,
            begun: false,
            refused: false,
        }
    }

    /// Whether the model said that the passages hold no answer.
    pub fn refused(&self) -> bool {
        self.refused
    }

    /// Takes more of the model's text; gives what may be shown.
    pub fn push(&mut self, more: &str) -> String {
        if self.refused {
            return String::new();
        }
        self.held.push_str(more);
        self.decide(false)
    }

    /// Ends the answer; gives the rest. An answer without citations gets that of the passage which
    /// supports it, if one does.
    pub fn finish(&mut self, passages: &[Passage]) -> String {
        if self.refused {
            return String::new();
        }
        let mut rest = self.decide(true);
        let trimmed = rest.trim_end().len();
        if self.text.len() >= rest.len() {
            self.text.truncate(self.text.len() - (rest.len() - trimmed));
        }
        rest.truncate(trimmed);
        if self.used.is_empty()
            && let Some(best) = supporting(&self.text, passages)
        {
            let mark = format!(" [{best}]");
            self.text.push_str(&mark);
            rest.push_str(&mark);
            self.used.push(best);
        }
        rest
    }

    /// The citations of the answer, by number.
    pub fn citations(&self, passages: &[Passage]) -> Vec<Citation> {
        let mut numbers = self.used.clone();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
            .into_iter()
            .filter_map(|number| {
                let passage = passages.get(number as usize - 1)?.clone();
                Some(Citation { number, passage })
            })
            .collect()
    }

    fn decide(&mut self, last: bool) -> String {
        if !self.begun {
            let start = self.held.trim_start();
            if start.starts_with(SENTINEL) {
                self.refused = true;
                self.held.clear();
                return String::new();
            }
            if SENTINEL.starts_with(start) && !last {
                return String::new();
            }
            self.begun = true;
        }
        let mut out = String::new();
        loop {
            let Some(at) = self.held.find(['[', '【', '［', '`', ' ', '\n']) else {
                out.push_str(&std::mem::take(&mut self.held));
                break;
            };
            out.push_str(&self.held[..at]);
            self.held.drain(..at);
            match self.special(last, &mut out) {
                Decision::Decided => {}
                Decision::Wait => break,
            }
        }
        if self.text.is_empty() {
            out = out.trim_start().to_owned();
        }
        self.text.push_str(&out);
        out
    }

    /// Handles the character that `held` begins with.
    fn special(&mut self, last: bool, out: &mut String) -> Decision {
        let spaces = self.held.len() - self.held.trim_start_matches([' ', '\n']).len();
        let body = &self.held[spaces..];
        let Some(first) = body.chars().next() else {
            // Space at the end may stand before a citation that is dropped.
            if last {
                out.push_str(&std::mem::take(&mut self.held));
            }
            return Decision::Wait;
        };
        if first == '`' {
            self.in_code = !self.in_code;
        }
        if !matches!(first, '[' | '【' | '［') || self.in_code {
            let end = spaces + first.len_utf8();
            out.push_str(&self.held[..end]);
            self.held.drain(..end);
            return Decision::Decided;
        }
        let inside = &body[first.len_utf8()..];
        match inside.find([']', '】', '］']) {
            Some(close) if is_mark(&inside[..close]) => {
                let numbers: Vec<u32> = inside[..close]
                    .split(|c: char| !c.is_ascii_digit())
                    .filter_map(|n| n.parse().ok())
                    .filter(|n| (1..=self.passages as u32).contains(n))
                    .collect();
                let closing = inside[close..].chars().next().map_or(0, char::len_utf8);
                let end = spaces + first.len_utf8() + close + closing;
                if !numbers.is_empty() {
                    out.push_str(&self.held[..spaces]);
                }
                for number in numbers {
                    out.push_str(&format!("[{number}]"));
                    self.used.push(number);
                }
                self.held.drain(..end);
                Decision::Decided
            }
            None if !last && inside.len() <= LONGEST_MARK && inside.chars().all(in_mark) => {
                Decision::Wait
            }
            _ => {
                let end = spaces + first.len_utf8();
                out.push_str(&self.held[..end]);
                self.held.drain(..end);
                Decision::Decided
            }
        }
    }
}

enum Decision {
    Decided,
    Wait,
}

fn in_mark(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, ',' | ' ' | '，' | '、' | '-' | ';')
}

fn is_mark(inside: &str) -> bool {
    inside.chars().any(|c| c.is_ascii_digit()) && inside.chars().all(in_mark)
}

/// The number of the passage that holds most of the answer's terms, if it holds enough of them.
fn supporting(answer: &str, passages: &[Passage]) -> Option<u32> {
    let terms = terms(answer);
    if terms.is_empty() {
        return None;
    }
    let (best, share) = passages
        .iter()
        .enumerate()
        .map(|(i, p)| {
            let text = p.text.to_lowercase();
            let found = terms.iter().filter(|t| text.contains(t.as_str())).count();
            (i, found as f32 / terms.len() as f32)
        })
        // The earlier of equals ranks higher: passages come best first.
        .rev()
        .max_by(|a, b| a.1.total_cmp(&b.1))?;
    (share >= SUPPORT).then_some(best as u32 + 1)
}

/// Words of four letters and more, numbers, and pairs of Chinese characters.
fn terms(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let mut terms: Vec<String> = lower
        .split(|c: char| !c.is_alphanumeric() || is_han(c))
        .filter(|w| w.chars().count() >= 4 || w.chars().any(|c| c.is_ascii_digit()))
        .map(str::to_owned)
        .collect();
    let chars: Vec<char> = lower.chars().collect();
    terms.extend(
        chars
            .windows(2)
            .filter(|w| w.iter().all(|c| is_han(*c)))
            .map(|w| w.iter().collect::<String>()),
    );
    terms.sort_unstable();
    terms.dedup();
    terms
}

#[cfg(test)]
mod tests {
    use praxis_core::{ChunkId, DocumentId};
    use proptest::prelude::*;

    use super::*;

    fn passage(text: &str) -> Passage {
        Passage {
            chunk: ChunkId::from_string("c"),
            document: DocumentId::from_string("d"),
            title: "t".into(),
            uri: "u".into(),
            headings: vec![],
            page: None,
            start: 0,
            end: 1,
            text: text.into(),
            score: 1.0,
            relevance: 1.0,
        }
    }

    fn run(pieces: &[&str], passages: &[Passage]) -> (String, Vec<u32>, bool) {
        let mut filter = AnswerFilter::new(passages.len());
        let mut shown: String = pieces.iter().map(|p| filter.push(p)).collect();
        shown.push_str(&filter.finish(passages));
        assert_eq!(shown, filter.text);
        let numbers = filter
            .citations(passages)
            .iter()
            .map(|c| c.number)
            .collect();
        (shown, numbers, filter.refused())
    }

    #[test]
    fn citations_are_kept_normalized_or_dropped() {
        let two = [passage("alpha"), passage("beta")];
        for (answer, shown, numbers) in [
            ("A [1]. B [2].", "A [1]. B [2].", &[1, 2][..]),
            ("A【1】B［2］", "A[1]B[2]", &[1, 2]),
            ("A [1, 2]", "A [1][2]", &[1, 2]),
            ("A [3]. B [1]", "A. B [1]", &[1]),
            ("A [9][1]", "A[1]", &[1]),
            ("x `a[1]` [2]", "x `a[1]` [2]", &[2]),
            ("[link](x) [1]", "[link](x) [1]", &[1]),
            ("open [1", "open [1", &[]),
        ] {
            let (text, used, refused) = run(&[answer], &two);
            assert_eq!(
                (text.as_str(), &used[..], refused),
                (shown, numbers, false),
                "{answer}"
            );
        }
    }

    #[test]
    fn the_sentinel_never_shows() {
        let one = [passage("x")];
        assert_eq!(
            run(&[" NOT_IN", "_DOCUMENTS", "."], &one),
            (String::new(), vec![], true)
        );
        assert_eq!(run(&["NOT", " so"], &one).0, "NOT so");
    }

    #[test]
    fn an_answer_without_marks_is_given_the_passage_that_supports_it() {
        let passages = [
            passage("The library opens at nine."),
            passage("藤野严九郎教解剖学，是鲁迅的老师。"),
        ];
        assert_eq!(
            run(&["鲁迅的老师是藤野严九郎。"], &passages).0,
            "鲁迅的老师是藤野严九郎。 [2]"
        );
        assert_eq!(run(&["The library opens at nine."], &passages).1, [1]);
        assert_eq!(
            run(&["Bananas grow in Ecuador."], &passages).1,
            Vec::<u32>::new()
        );
    }

    proptest! {
        #[test]
        fn any_split_of_the_stream_gives_the_same_answer(
            parts in proptest::collection::vec(prop_oneof!["\\[[0-9, ]{0,4}\\]", "[a-c ]{0,5}", "【[12]】", "`", "\\[", "好", "NOT_IN"], 0..12),
            cuts in proptest::collection::vec(1usize..4, 0..60),
        ) {
            let text = parts.concat();
            let two = [passage("alpha"), passage("beta")];
            let chars: Vec<char> = text.chars().collect();
            let mut pieces = Vec::new();
            let mut at = 0;
            for cut in cuts {
                let end = (at + cut).min(chars.len());
                pieces.push(chars[at..end].iter().collect::<String>());
                at = end;
            }
            pieces.push(chars[at..].iter().collect());
            let split: Vec<&str> = pieces.iter().map(String::as_str).collect();
            prop_assert_eq!(run(&split, &two), run(&[&text], &two));
        }
    }
}
