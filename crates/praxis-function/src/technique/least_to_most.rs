//! Least to most (Zhou et al. 2022, "Least-to-Most Prompting Enables Complex Reasoning in Large Language
//! Models"): the question is broken into simpler ones, which are answered in order, turn by turn, each
//! with the answers before it at hand, and then the question itself. Examples show how a question is
//! broken up and, where they carry answers, how simple ones are answered.

use praxis_core::Message;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::steps::Steps;
use super::{Ask, Command, Event, Form, written};

/// Asks for a decomposition; the number of questions that it may have stands between.
const DECOMPOSE: [&str; 2] = [
    "\n\nDo not answer yet. Which simpler questions must be answered first, one after the other? Write at most ",
    ", each on a line of its own, numbered.",
];

/// Asks the first simpler question, behind the question itself.
const FIRST: &str = "\n\nAnswer one question at a time, in one or two sentences, with the calculation \
                     if there is one. First: ";

/// Asks the question itself, behind the answers to the simpler ones.
const WHOLE: &str = "Now answer the whole question, from what you have found.";

/// An example of how a question is broken up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decomposition {
    /// The question.
    pub question: String,
    /// The simpler ones, in order.
    pub steps: Vec<Step>,
    /// The output for the question itself.
    #[serde(default)]
    pub output: Option<Value>,
}

/// A simpler question of an example.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Step {
    /// The question.
    pub question: String,
    /// Its answer, where the example shows how it is answered.
    pub answer: Option<String>,
}

impl<'de> Deserialize<'de> for Step {
    /// A question alone, or one with its answer.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Fields {
            question: String,
            #[serde(default)]
            answer: Option<String>,
        }
        let (question, answer) = match Value::deserialize(deserializer)? {
            Value::String(question) => (question, None),
            other => {
                let fields = Fields::deserialize(other).map_err(serde::de::Error::custom)?;
                (fields.question, fields.answer)
            }
        };
        Ok(Self { question, answer })
    }
}

impl Decomposition {
    /// The conversation in which it is answered, to the end that `last` asks for; none where an answer is missing.
    fn solved(&self, last: &Steps) -> Vec<Message> {
        let answers: Option<Vec<&str>> = self.steps.iter().map(|s| s.answer.as_deref()).collect();
        let (Some(answers), Some(output)) = (answers, &self.output) else {
            return Vec::new();
        };
        let questions = self.steps.iter().map(|s| s.question.as_str());
        let (first, mut turns) = conversation(questions.zip(answers.iter().copied()), WHOLE);
        turns.insert(0, Message::user(format!("{}{first}", self.question)));
        let found = answers.last().copied().unwrap_or_default();
        turns.extend(last.example(found, written(output)));
        turns
    }
}

/// What stands behind the question itself, and the turns after it, which end with `next`.
fn conversation<'a>(
    known: impl Iterator<Item = (&'a str, &'a str)>,
    next: &str,
) -> (String, Vec<Message>) {
    let (mut first, mut turns) = (None, Vec::new());
    for (question, answer) in known {
        match first {
            None => first = Some(format!("{FIRST}{question}")),
            Some(_) => turns.push(Message::user(question)),
        }
        turns.push(Message::assistant(answer));
    }
    match first {
        None => (next.to_owned(), turns),
        Some(first) => {
            turns.push(Message::user(next));
            (first, turns)
        }
    }
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
        let suffix = format!("{}{}{}", DECOMPOSE[0], self.most, DECOMPOSE[1]);
        let mut before = Vec::new();
        for example in &self.examples {
            before.push(Message::user(format!("{}{suffix}", example.question)));
            let steps = example.steps.iter().enumerate();
            let lines: Vec<String> = steps
                .map(|(i, step)| format!("{}. {}", i + 1, step.question))
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
        let (suffix, turns) = match at {
            0 => (format!("{FIRST}{question}"), Vec::new()),
            _ => conversation(self.known(), question),
        };
        let ask = Ask::new("simpler question", Form::Free)
            .before(self.solved())
            .suffix(suffix)
            .turns(turns);
        vec![ask.command(at as u64 + 1)]
    }

    /// What has been found out.
    fn known(&self) -> impl Iterator<Item = (&str, &str)> {
        let answers = self.answers.iter().map(String::as_str);
        self.questions.iter().map(String::as_str).zip(answers)
    }

    /// The examples that show how simpler questions are answered.
    fn solved(&self) -> Vec<Message> {
        self.examples
            .iter()
            .flat_map(|example| example.solved(&self.last))
            .collect()
    }

    fn of_last(&self, commands: Vec<Command>) -> Vec<Command> {
        let behind = self.questions.len() as u64 + 1;
        commands
            .into_iter()
            .map(|command| match command {
                Command::Ask { id, mut ask } => {
                    if !self.answers.is_empty() {
                        let whole = format!("{WHOLE}{}", ask.suffix);
                        let (suffix, mut turns) = conversation(self.known(), &whole);
                        turns.append(&mut ask.turns);
                        ask = ask.suffix(suffix).turns(turns).before(self.solved());
                    }
                    ask.command(id + behind)
                }
                Command::Done(mut conclusion) => {
                    let found = self.known().map(|(q, a)| format!("{q}\n{a}"));
                    let all: Vec<String> = found.chain(conclusion.reasoning.take()).collect();
                    conclusion.reasoning = Some(all.join("\n\n")).filter(|r| !r.is_empty());
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
