//! Splits a reasoned answer, while it is written, at the mark that the answer stands behind.

/// What stands before the answer; models write it in their own ways, its Latin letters in any case.
const MARKS: &[&str] = &[
    "answer:",
    "final answer:",
    "答案：",
    "答案:",
    "最终答案：",
    "最终答案:",
];

/// What stands between a mark and the answer.
const AROUND: [char; 2] = ['*', ' '];

/// Characters that may stand before a mark on its line.
const DECORATION: [char; 3] = ['*', '#', '>'];

/// More of the reasoning and of the answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pieces {
    pub reasoning: String,
    pub answer: String,
}

/// Splits one answer. A mark counts where a line begins with it; reasoning speaks of answers too.
#[derive(Debug, Default)]
pub(crate) struct Reasoned {
    /// The beginning of a line that may turn out to be a mark.
    held: String,
    /// Whether the line that is being read has been given out in part.
    inside_line: bool,
    reasoning: String,
    answer: Option<String>,
}

impl Reasoned {
    /// Takes more of the text; gives what is certain.
    pub fn push(&mut self, more: &str) -> Pieces {
        let mut pieces = Pieces::default();
        if let Some(answer) = &mut self.answer {
            let more = if answer.is_empty() {
                more.trim_start_matches(AROUND)
            } else {
                more
            };
            answer.push_str(more);
            more.clone_into(&mut pieces.answer);
            return pieces;
        }
        self.held.push_str(more);
        loop {
            let end = self.held.find('\n').map(|at| at + 1);
            let line = &self.held[..end.unwrap_or(self.held.len())];
            if !self.inside_line {
                if let Some(mark) = mark_end(line) {
                    let rest = self.held.split_off(mark);
                    self.held.clear();
                    let rest = rest.trim_start_matches(AROUND).to_owned();
                    pieces.answer.clone_from(&rest);
                    self.answer = Some(rest);
                    break;
                }
                if end.is_none() && may_become_mark(line) {
                    break;
                }
            }
            let Some(end) = end else {
                self.inside_line = !self.held.is_empty() || self.inside_line;
                pieces.reasoning.push_str(&self.held);
                self.held.clear();
                break;
            };
            pieces.reasoning.push_str(&self.held[..end]);
            self.held.drain(..end);
            self.inside_line = false;
        }
        self.reasoning.push_str(&pieces.reasoning);
        pieces
    }

    /// Ends the text: the reasoning, and the answer if there was a mark, at the beginning of a line or,
    /// since models forget that, anywhere in the last one.
    pub fn finish(mut self) -> (String, Option<String>) {
        self.reasoning.push_str(&self.held);
        let clean = |text: &str| {
            let text = text.trim().trim_end_matches("**").trim();
            text.to_owned()
        };
        let Some(answer) = self.answer else {
            let last = self.reasoning.trim_end().rfind('\n').map_or(0, |at| at + 1);
            let line = &self.reasoning[last..];
            let mark = MARKS
                .iter()
                .filter_map(|mark| Some(last_at(line, mark)? + mark.len()))
                .max();
            let answer = mark
                .map(|mark| clean(line[mark..].trim_start_matches(AROUND)))
                .filter(|answer| !answer.is_empty());
            return (self.reasoning.trim().to_owned(), answer);
        };
        let answer = Some(clean(&answer)).filter(|answer| !answer.is_empty());
        (self.reasoning.trim().to_owned(), answer)
    }
}

/// Where the mark ends that a line begins with.
fn mark_end(line: &str) -> Option<usize> {
    let start = line.len() - undecorated(line).len();
    let at = |from: usize, mark: &str| {
        let end = from + mark.len();
        let found = line.get(from..end)?;
        found.eq_ignore_ascii_case(mark).then_some(end)
    };
    MARKS.iter().find_map(|mark| at(start, mark))
}

/// Where a mark last begins in a text. The text is compared as it is: in lower case it may have another
/// length, and its places would be those of another text.
fn last_at(text: &str, mark: &str) -> Option<usize> {
    let (text, mark) = (text.as_bytes(), mark.as_bytes());
    let mut parts = text.windows(mark.len());
    parts.rposition(|part| part.eq_ignore_ascii_case(mark))
}

/// Whether more text may make a mark of this beginning of a line.
fn may_become_mark(line: &str) -> bool {
    let body = undecorated(line);
    let begins = |mark: &&str| {
        let beginning = mark.get(..body.len());
        beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(body))
    };
    MARKS.iter().any(begins)
}

fn undecorated(line: &str) -> &str {
    line.trim_start_matches(|c: char| c.is_whitespace() || DECORATION.contains(&c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(text: &str) -> (String, Option<String>) {
        let mut reasoned = Reasoned::default();
        reasoned.push(text);
        reasoned.finish()
    }

    #[test]
    fn the_answer_stands_behind_its_mark() {
        for (text, reasoning, answer) in [
            ("2+2 is 4.\nAnswer: 4", "2+2 is 4.", Some("4")),
            ("a\n**Answer:** 4**", "a", Some("4")),
            ("a\n### Final answer: x\ny", "a", Some("x\ny")),
            ("想一想。\n答案：四", "想一想。", Some("四")),
            ("a\n#### Answer: 12", "a", Some("12")),
            (
                "The answer: is near.\nNo.",
                "The answer: is near.\nNo.",
                None,
            ),
            ("So the answer: 7", "So the answer: 7", Some("7")),
            // Letters whose lower case has another length.
            ("İ answer:ẞ", "İ answer:ẞ", Some("ẞ")),
            (
                "ẞ Answer: 4 \u{212a}",
                "ẞ Answer: 4 \u{212a}",
                Some("4 \u{212a}"),
            ),
            ("\u{212b}\nANSWER: \u{212b}", "\u{212b}", Some("\u{212b}")),
            ("Answer:", "", None),
            ("", "", None),
        ] {
            let found = whole(text);
            assert_eq!(
                (found.0.as_str(), found.1.as_deref()),
                (reasoning, answer),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_split_of_the_stream_gives_the_same(
            parts in proptest::collection::vec(
                prop_oneof!["Answer:", "answer", "答案：", "\n", "[a-z* ]{0,4}", "#{1,4}", "[İẞ\u{212a}\u{212b}]", "so the ANSWER:"], 0..10),
            size in 1usize..5,
        ) {
            let text = parts.concat();
            let mut reasoned = Reasoned::default();
            let mut shown = Pieces::default();
            let chars: Vec<char> = text.chars().collect();
            for piece in chars.chunks(size) {
                let pieces = reasoned.push(&piece.iter().collect::<String>());
                shown.reasoning.push_str(&pieces.reasoning);
                shown.answer.push_str(&pieces.answer);
            }
            let split = reasoned.finish();
            prop_assert!(split.0.starts_with(shown.reasoning.trim()));
            prop_assert_eq!(split, whole(&text));
        }
    }
}
