//! Least to most (Zhou et al. 2022, "Least-to-Most Prompting Enables Complex Reasoning in Large Language
//! Models"): the question is broken into simpler ones, which are answered in order, each with the
//! answers before it at hand, and then the question itself.

use praxis_core::Message;
use serde::{Deserialize, Serialize};

use super::steps::Steps;
use super::{Ask, Command, Event, Form};

/// An example of how a question is broken up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decomposition {
    /// The question.
    pub question: String,
    /// The simpler ones, in order.
    pub steps: Vec<String>,
}

/// The technique at work. The decomposition has number 0, the simpler questions 1 and up; the last
/// question's are those of [`Steps`] behind them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LeastToMost {
    examples: Vec<Decomposition>,
    most: usize,
    questions: Vec<String>,
    answers: Vec<String>,
    last: Steps,
}

impl LeastToMost {
    pub fn new(examples: Vec<Decomposition>, most: usize, structured: bool) -> Self {
        Self {
            examples,
            most,
            questions: Vec::new(),
            answers: Vec::new(),
            last: Steps::new(structured),
        }
    }

    pub fn start(&mut self) -> Vec<Command> {
        let suffix = format!(
            "\n\nDo not answer yet. Which simpler questions must be answered first, one after the other? \
             Write at most {}, each on a line of its own, numbered.",
            self.most
        );
        let mut before = Vec::new();
        for example in &self.examples {
            before.push(Message::user(format!("{}{suffix}", example.question)));
            let steps = example.steps.iter().enumerate();
            let lines: Vec<String> = steps
                .map(|(i, step)| format!("{}. {step}", i + 1))
                .collect();
            before.push(Message::assistant(lines.join("\n")));
        }
        let ask = Ask::new("decompose", Form::Free)
            .before(before)
            .suffix(suffix);
        vec![ask.command(0)]
    }

    pub fn on(&mut self, event: Event) -> Vec<Command> {
        let behind = self.questions.len() as u64 + 1;
        match event {
            Event::Answered { id: 0, answer } => {
                self.questions = questions(&answer.text, self.most);
                self.next()
            }
            // A question without a list of simpler ones can still be answered.
            Event::Failed { id: 0 } => self.next(),
            Event::Answered { id, answer } if id < behind => {
                self.answers.push(answer.text.trim().to_owned());
                self.next()
            }
            Event::Failed { id } if id < behind => vec![Command::GiveUp],
            event => {
                let id = event.id() - behind;
                let commands = self.last.on(event.with_id(id));
                self.of_last(commands)
            }
        }
    }

    fn next(&mut self) -> Vec<Command> {
        let at = self.answers.len();
        let Some(question) = self.questions.get(at) else {
            let commands = self.last.start();
            return self.of_last(commands);
        };
        let ask = Ask::new("simpler question", Form::Free).suffix(format!(
            "{}\n\nDo not answer that yet. Answer only this question, with its calculation if there is one, in one or two sentences: {question}",
            self.known()
        ));
        vec![ask.command(at as u64 + 1)]
    }

    /// What has been found out.
    fn known(&self) -> String {
        let pairs = self.questions.iter().zip(&self.answers);
        let lines: Vec<String> = pairs.map(|(q, a)| format!("\n{q}\n{a}")).collect();
        if lines.is_empty() {
            String::new()
        } else {
            format!("\n\nThis is known:\n{}", lines.join("\n"))
        }
    }

    fn of_last(&self, commands: Vec<Command>) -> Vec<Command> {
        let behind = self.questions.len() as u64 + 1;
        let known = self.known();
        commands
            .into_iter()
            .map(|command| match command {
                Command::Ask { id, mut ask } => {
                    ask.suffix.insert_str(0, &known);
                    ask.command(id + behind)
                }
                Command::Done(mut conclusion) => {
                    let reasoning = conclusion.reasoning.take().unwrap_or_default();
                    let all = format!("{}\n\n{reasoning}", known.trim());
                    conclusion.reasoning = Some(all.trim().to_owned()).filter(|r| !r.is_empty());
                    Command::Done(conclusion)
                }
                other => other,
            })
            .collect()
    }
}

/// The numbered lines of a decomposition.
fn questions(text: &str, most: usize) -> Vec<String> {
    text.lines()
        .filter_map(|line| {
            let line = line.trim().trim_start_matches(['*', '-', ' ']);
            let digits = line.chars().take_while(char::is_ascii_digit).count();
            let rest = line.get(digits..)?;
            let rest = rest.strip_prefix(['.', ')', ':', '、', '．'])?.trim();
            let rest = rest.trim_matches(['*', '"', ' ']);
            (digits > 0 && !rest.is_empty()).then(|| rest.to_owned())
        })
        .take(most)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::questions;

    #[test]
    fn numbered_lines_are_questions() {
        let text = "Sure:\n1. How many?\n2) **How much?**\n\n- 3: Why?\nNONE of it\n4. ";
        assert_eq!(questions(text, 9), ["How many?", "How much?", "Why?"]);
        assert_eq!(questions(text, 2).len(), 2);
        assert!(questions("NONE", 3).is_empty());
    }
}
