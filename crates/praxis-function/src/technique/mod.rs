//! Reasoning techniques: how one question to a function becomes several to the model.
//!
//! A technique is a state machine without I/O: it says what to ask ([`Command`]), is told what came
//! back ([`Event`]), and concludes in the end. So it is tested as a table, stored as JSON, and composed:
//! self-consistency runs any other technique several times and votes. Left out: rendering, asking,
//! checking of outputs and budgets, which are the driver's (`run`); which words a prompt may write
//! under `praxis.technique` (`spec`).

mod best_of;
mod least_to_most;
mod pool;
mod reasoned;
mod revise;
mod self_consistency;
mod spec;
mod steps;
mod vote;

use praxis_core::Message;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use reasoned::Reasoned;
pub(crate) use spec::{Example, Examples, Selection, Technique};
pub(crate) use steps::Steps;

/// Tells the commands of one machine apart; what comes back carries the same number.
pub(crate) type AskId = u64;

/// What a machine wants done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Ask the model.
    Ask {
        /// Its number.
        id: AskId,
        /// The question.
        ask: Ask,
    },
    /// An answer is no longer needed.
    Cancel(AskId),
    /// Turn texts into vectors.
    Embed {
        /// Its number.
        id: AskId,
        /// The texts.
        texts: Vec<String>,
    },
    /// Let a function of the application grade an output.
    Grade {
        /// Its number.
        id: AskId,
        /// The function's name.
        function: String,
        /// What is graded.
        output: Value,
    },
    /// The call's output is there. Nothing comes after it.
    Done(Conclusion),
    /// There is no output, because what was asked failed. Nothing comes after it.
    GiveUp,
}

/// One question to the model, beside the messages that the prompt itself makes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ask {
    /// What it is for, as traces name it.
    pub step: String,
    /// Turns before the prompt's last message of the user: examples of this very question.
    pub before: Vec<Message>,
    /// Added to the prompt's last message of the user.
    pub suffix: String,
    /// Turns after the prompt's messages.
    pub turns: Vec<Message>,
    /// What the answer must be.
    pub form: Form,
    /// Which of several samples it belongs to: each has a seed of its own.
    pub sample: u64,
    /// Overrides the prompt's temperature.
    pub temperature: Option<f32>,
    /// Whether the reader may see the answer while it is written.
    pub shown: bool,
}

impl Ask {
    /// A question that is the prompt and nothing else.
    fn new(step: &str, form: Form) -> Self {
        Self {
            step: step.to_owned(),
            before: Vec::new(),
            suffix: String::new(),
            turns: Vec::new(),
            form,
            sample: 0,
            temperature: None,
            shown: false,
        }
    }

    fn suffix(mut self, suffix: impl Into<String>) -> Self {
        self.suffix = suffix.into();
        self
    }

    fn before(mut self, turns: Vec<Message>) -> Self {
        self.before = turns;
        self
    }

    fn turns(mut self, turns: Vec<Message>) -> Self {
        self.turns = turns;
        self
    }

    fn shown(mut self) -> Self {
        self.shown = true;
        self
    }

    fn command(self, id: AskId) -> Command {
        Command::Ask { id, ask: self }
    }
}

/// What an answer must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Form {
    /// Any text.
    Free,
    /// What the function promises: checked, and repaired where it must be.
    Output,
    /// Reasoning, then behind a mark what the function promises.
    Reasoned,
    /// One of these words.
    Choice(Vec<String>),
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Event {
    /// The model answered.
    Answered {
        /// The question's number.
        id: AskId,
        /// The answer.
        answer: Answer,
    },
    /// The vectors, one a text, of length 1.
    Embedded {
        /// The command's number.
        id: AskId,
        /// The vectors.
        vectors: Vec<Vec<f32>>,
    },
    /// The grade; more is better.
    Graded {
        /// The command's number.
        id: AskId,
        /// The grade.
        score: f64,
    },
    /// It failed; the driver keeps the error.
    Failed {
        /// The command's number.
        id: AskId,
    },
}

impl Event {
    fn id(&self) -> AskId {
        match self {
            Self::Answered { id, .. }
            | Self::Embedded { id, .. }
            | Self::Graded { id, .. }
            | Self::Failed { id } => *id,
        }
    }

    fn with_id(mut self, new: AskId) -> Self {
        match &mut self {
            Self::Answered { id, .. }
            | Self::Embedded { id, .. }
            | Self::Graded { id, .. }
            | Self::Failed { id } => *id = new,
        }
        self
    }
}

/// A model's answer as its form wants it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// The text; of a reasoned answer, what stands before the mark.
    pub text: String,
    /// The output, checked; none for free text, and for reasoning that never came to a mark.
    pub output: Option<Value>,
}

/// What a technique comes to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Conclusion {
    /// The function's output.
    pub output: Value,
    /// How the model came to it.
    pub reasoning: Option<String>,
    /// Share of the samples that agree, those that failed among them, in 0..=1, where there was a vote. Samples
    /// that were cancelled because the vote was decided do not count.
    pub confidence: Option<f32>,
    /// What was voted for, most votes first.
    pub votes: Vec<(String, usize)>,
}

impl Conclusion {
    fn new(output: Value, reasoning: Option<String>) -> Self {
        Self {
            output,
            reasoning: reasoning.filter(|r| !r.trim().is_empty()),
            confidence: None,
            votes: Vec::new(),
        }
    }
}

/// A technique at work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Machine {
    /// The prompt, asked once.
    Direct,
    /// Reasoning first.
    Steps(steps::Steps),
    /// Simpler questions first.
    LeastToMost(least_to_most::LeastToMost),
    /// Several samples and a vote.
    SelfConsistency(self_consistency::SelfConsistency),
    /// Several samples and a grader.
    BestOf(best_of::BestOf),
    /// A draft, a critique, a better answer.
    Revise(revise::Revise),
}

impl Machine {
    /// The first commands; never none.
    pub fn start(&mut self) -> Vec<Command> {
        match self {
            Self::Direct => vec![Ask::new("answer", Form::Output).shown().command(0)],
            Self::Steps(machine) => machine.start(),
            Self::LeastToMost(machine) => machine.start(),
            Self::SelfConsistency(machine) => machine.start(),
            Self::BestOf(machine) => machine.start(),
            Self::Revise(machine) => machine.start(),
        }
    }

    /// What it comes to where nothing more can be asked: a vote that what is still out cannot change.
    pub fn decided(&self) -> Option<Conclusion> {
        match self {
            Self::SelfConsistency(machine) => machine.decided(),
            _ => None,
        }
    }

    /// What is to be done after `event`. Nothing, where a machine waits for more; a machine that waits
    /// for nothing has concluded or given up.
    pub fn on(&mut self, event: Event) -> Vec<Command> {
        match self {
            Self::Direct => vec![concluded(event, None)],
            Self::Steps(machine) => machine.on(event),
            Self::LeastToMost(machine) => machine.on(event),
            Self::SelfConsistency(machine) => machine.on(event),
            Self::BestOf(machine) => machine.on(event),
            Self::Revise(machine) => machine.on(event),
        }
    }
}

/// The end of a machine whose last question was for the output.
fn concluded(event: Event, reasoning: Option<String>) -> Command {
    match event {
        Event::Answered { answer, .. } => match answer.output {
            Some(output) => Command::Done(Conclusion::new(output, reasoning)),
            None => Command::GiveUp,
        },
        _ => Command::GiveUp,
    }
}

/// An output as the model would write it.
pub(crate) fn written(output: &Value) -> String {
    match output {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
