//! The answer filter: a state machine without I/O between the model's stream and the reader.
//!
//! It holds back what may turn out to be the refusal sentinel or a citation, lets through citations
//! that point to a passage, and drops those that do not. A citation of a passage that shares next to
//! nothing with the statement, where another one holds it, is turned to that one: small models find
//! the answer more often than its number. The text it gives out, piece by piece, is the final text:
//! nothing is taken back.

use praxis_core::language::is_han;
use praxis_core::{Citation, Passage};

use crate::refusal::SENTINEL;

/// Share of an answer's terms that a passage must hold to be cited for an answer that cites nothing.
const SUPPORT: f32 = 0.45;

/// The same to be cited instead of the passage that the model named.
const BETTER: f32 = 0.6;

/// Share of a statement's terms below which the passage that it cites does not support it.
const UNSUPPORTED: f32 = 0.25;

/// Longest run between brackets that can be a citation.
const LONGEST_MARK: usize = 24;

/// Filters one answer.
pub(crate) struct AnswerFilter {
    /// The passages' texts in lower case.
    passages: Vec<String>,
    /// Text that is not yet decided.
    held: String,
    /// Text given out.
    text: String,
    /// Text since the last citation.
    statement: String,
    /// Citations before the first word, which show only once there is one: small models write an
    /// answer of nothing but a mark.
    leading: Vec<u32>,
    used: Vec<u32>,
    in_code: bool,
    /// Whether an answer without citations gets one.
    adds: bool,
    /// Whether it is certain that the answer is not the sentinel.
    begun: bool,
    refused: bool,
}

impl AnswerFilter {
    /// A filter for an answer over these passages.
    pub fn new(passages: &[Passage]) -> Self {
        Self {
            passages: passages.iter().map(|p| p.text.to_lowercase()).collect(),
            statement: String::new(),
            leading: Vec::new(),
            held: String::new(),
            text: String::new(),
            used: Vec::new(),
            in_code: false,
            adds: true,
            begun: false,
            refused: false,
        }
    }

    /// The same for an answer that must have a form, which a citation that is added would break.
    #[must_use]
    pub fn of_form(mut self) -> Self {
        self.adds = false;
        self
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
    pub fn finish(&mut self) -> String {
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
            && self.adds
            && let Some(best) = self.supporting(&terms(&self.text), SUPPORT)
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
                self.say(self.held.len(), &mut out);
                break;
            };
            self.say(at, &mut out);
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
                self.say(self.held.len(), out);
            }
            return Decision::Wait;
        };
        if first == '`' {
            self.in_code = !self.in_code;
        }
        if !matches!(first, '[' | '【' | '［') || self.in_code {
            self.say(spaces + first.len_utf8(), out);
            return Decision::Decided;
        }
        let inside = &body[first.len_utf8()..];
        match inside.find([']', '】', '］']) {
            Some(close) if is_mark(&inside[..close]) => {
                let numbers: Vec<u32> = inside[..close]
                    .split(|c: char| !c.is_ascii_digit())
                    .filter_map(|n| n.parse().ok())
                    .filter(|n| (1..=self.passages.len() as u32).contains(n))
                    .collect();
                let closing = inside[close..].chars().next().map_or(0, char::len_utf8);
                let end = spaces + first.len_utf8() + close + closing;
                if self.text.trim().is_empty() && out.trim().is_empty() {
                    self.leading.extend(numbers);
                    self.held.drain(..end);
                    return Decision::Decided;
                }
                if !numbers.is_empty() {
                    out.push_str(&self.held[..spaces]);
                }
                let mut marks = Vec::new();
                for number in numbers {
                    let number = self.pointed(number);
                    if !marks.contains(&number) {
                        out.push_str(&format!("[{number}]"));
                        marks.push(number);
                    }
                }
                if !marks.is_empty() {
                    self.used.extend(marks);
                    self.statement.clear();
                }
                self.held.drain(..end);
                Decision::Decided
            }
            None if !last && inside.len() <= LONGEST_MARK && inside.chars().all(in_mark) => {
                Decision::Wait
            }
            _ => {
                self.say(spaces + first.len_utf8(), out);
                Decision::Decided
            }
        }
    }

    /// Lets the first `end` bytes of what is held through.
    fn say(&mut self, end: usize, out: &mut String) {
        if !self.leading.is_empty() {
            // What stands between leading marks and the first word goes.
            let idle =
                |c: char| c.is_whitespace() || matches!(c, '.' | '。' | ',' | '，' | ':' | '：');
            if self.held[..end].trim_start_matches(idle).is_empty() {
                self.held.drain(..end);
                return;
            }
            for number in std::mem::take(&mut self.leading) {
                out.push_str(&format!("[{number}]"));
                self.used.push(number);
            }
            out.push(' ');
            let skipped = end - self.held[..end].trim_start_matches(idle).len();
            self.held.drain(..skipped);
            return self.say(end - skipped, out);
        }
        out.push_str(&self.held[..end]);
        self.statement.push_str(&self.held[..end]);
        self.held.drain(..end);
    }

    /// The passage that a citation means: the cited one, unless it does not support the statement
    /// and another one does.
    fn pointed(&self, cited: u32) -> u32 {
        let terms = terms(&self.statement);
        let Some(text) = self.passages.get(cited as usize - 1) else {
            return cited;
        };
        match self.supporting(&terms, BETTER) {
            Some(best) if share(&terms, text) < UNSUPPORTED => best,
            _ => cited,
        }
    }

    /// The number of the passage that holds most of the terms, if it holds enough of them.
    fn supporting(&self, terms: &[String], enough: f32) -> Option<u32> {
        if terms.is_empty() {
            return None;
        }
        let (best, share) = self
            .passages
            .iter()
            .enumerate()
            .map(|(i, text)| (i, share(terms, text)))
            // The earlier of equals ranks higher: passages come best first.
            .rev()
            .max_by(|a, b| a.1.total_cmp(&b.1))?;
        (share >= enough).then_some(best as u32 + 1)
    }
}

/// The share of the terms that a text in lower case holds.
fn share(terms: &[String], text: &str) -> f32 {
    let found = terms.iter().filter(|t| text.contains(t.as_str())).count();
    found as f32 / terms.len().max(1) as f32
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
        let mut filter = AnswerFilter::new(passages);
        let mut shown: String = pieces.iter().map(|p| filter.push(p)).collect();
        shown.push_str(&filter.finish());
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
            ("[1] A. [2]", "[1] A. [2]", &[1, 2]),
            ("[1]: A", "[1] A", &[1]),
            ("[1][2].", "", &[]),
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

    #[test]
    fn a_citation_of_the_wrong_passage_is_turned_to_the_one_that_holds_the_statement() {
        let passages = [
            passage("The library opens at nine."),
            passage("藤野严九郎教解剖学，是鲁迅的老师。"),
        ];
        assert_eq!(
            run(
                &["鲁迅的老师是藤野严九郎 [1]。The library opens at nine [2]."],
                &passages
            )
            .0,
            "鲁迅的老师是藤野严九郎 [2]。The library opens at nine [1]."
        );
        // A paraphrase that no passage holds word for word stays with what it cites.
        for answer in [
            "It is open in the morning [2].",
            "His teacher was Fujino [1][2].",
        ] {
            assert_eq!(run(&[answer], &passages).0, answer);
        }
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
