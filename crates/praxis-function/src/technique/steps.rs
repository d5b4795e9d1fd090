//! Reasoning before the answer: step by step (Kojima et al. 2022, "Large Language Models are Zero-Shot
//! Reasoners") and, where examples show how, chain of thought (Wei et al. 2022). The two differ in the
//! examples alone, which the driver puts before the question.

use praxis_core::Message;
use serde::{Deserialize, Serialize};

use super::{Ask, AskId, Command, Event, Form, concluded};

const REASON: AskId = 0;
const EXTRACT: AskId = 1;

/// What is written before the answer of a reasoned text.
const MARK: &str = "Answer:";

const THINK: &str =
    "\n\nThink step by step. Then write the answer alone on the last line, after `Answer:`.";
const THINK_FIRST: &str =
    "\n\nFirst think step by step, in a few short sentences. Do not write the final output yet.";
const EXTRACT_TEXT: &str =
    "So what is the answer? Write the answer alone, without any explanation.";
/// Asks for the output behind reasoning that an answer of its own holds.
const EXTRACT_OUTPUT: &str = "Now write the final output, and nothing else.";

/// Reasoning in the same answer where the output is text; in an answer of its own where it is JSON,
/// since what is constrained to a schema has no room to think.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Steps {
    structured: bool,
    reasoning: String,
}

impl Steps {
    pub fn new(structured: bool) -> Self {
        Self {
            structured,
            reasoning: String::new(),
        }
    }

    pub fn start(&mut self) -> Vec<Command> {
        let ask = if self.structured {
            Ask::new("reason", Form::Free).suffix(THINK_FIRST)
        } else {
            Ask::new("reason", Form::Reasoned).suffix(THINK)
        };
        vec![ask.shown().command(REASON)]
    }

    /// How an example ends, as it is asked for: with reasoning and output in one answer, or in one each.
    pub fn example(&self, reasoning: &str, output: String) -> Vec<Message> {
        if self.structured {
            vec![
                Message::assistant(reasoning),
                Message::user(EXTRACT_OUTPUT),
                Message::assistant(output),
            ]
        } else {
            vec![Message::assistant(format!("{reasoning}\n{MARK} {output}"))]
        }
    }

    pub fn on(&mut self, event: Event) -> Vec<Command> {
        let command = match event {
            Event::Answered { id: REASON, answer } => {
                self.reasoning = answer.text.clone();
                if answer.output.is_some() {
                    let event = Event::Answered { id: REASON, answer };
                    concluded(event, Some(self.reasoning.clone()))
                } else {
                    let (suffix, extract) = if self.structured {
                        (THINK_FIRST, EXTRACT_OUTPUT)
                    } else {
                        (THINK, EXTRACT_TEXT)
                    };
                    let turns = vec![Message::assistant(answer.text), Message::user(extract)];
                    Ask::new("extract", Form::Output)
                        .suffix(suffix)
                        .turns(turns)
                        .shown()
                        .command(EXTRACT)
                }
            }
            event => concluded(event, Some(self.reasoning.clone())),
        };
        vec![command]
    }
}
