//! Reflect and revise (Madaan et al. 2023, "Self-Refine"): a draft by any technique, the model's own
//! critique of it, and an answer that heeds the critique; again until nothing is left to mend or the
//! rounds are over. That the documents hold no answer is nothing to mend.

use praxis_core::Message;
use serde::{Deserialize, Serialize};

use super::{Ask, AskId, Command, Conclusion, Event, Form, Machine, written};
use crate::refusal::SENTINEL;

const FINE: &str = "NOTHING TO MEND";
const REWRITE: &str =
    "Write the whole answer again, better, in the same form and language. Write nothing else.";

/// The revision at work. Numbers of the draft's commands are even, its own odd.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Revise {
    draft: Box<Machine>,
    criteria: String,
    rounds: usize,
    /// The best answer so far.
    current: Option<Conclusion>,
    critique: String,
    next: AskId,
}

impl Revise {
    pub fn new(draft: Machine, rounds: usize, criteria: String) -> Self {
        Self {
            draft: Box::new(draft),
            criteria,
            rounds,
            current: None,
            critique: String::new(),
            next: 0,
        }
    }

    pub fn start(&mut self) -> Vec<Command> {
        let commands = self.draft.start();
        self.of_draft(commands)
    }

    pub fn on(&mut self, event: Event) -> Vec<Command> {
        let id = event.id();
        if id.is_multiple_of(2) {
            let commands = self.draft.on(event.with_id(id / 2));
            return self.of_draft(commands);
        }
        let Some(current) = self.current.clone() else {
            return vec![Command::GiveUp];
        };
        let Event::Answered { answer, .. } = event else {
            // What cannot be improved is still an answer.
            return vec![Command::Done(current)];
        };
        match answer.output {
            // A critique has no output.
            None if self.critique.is_empty() => {
                if answer.text.to_uppercase().contains(FINE) || answer.text.trim().is_empty() {
                    return vec![Command::Done(current)];
                }
                self.critique = answer.text;
                let ask = Ask::new("revise", Form::Output).turns(vec![
                    Message::assistant(written(&current.output)),
                    Message::user(self.wanted()),
                    Message::assistant(self.critique.clone()),
                    Message::user(REWRITE),
                ]);
                let last = self.rounds == 1;
                vec![self.own(if last { ask.shown() } else { ask })]
            }
            None => vec![Command::Done(current)],
            Some(output) => {
                let same = output == current.output;
                self.critique.clear();
                self.rounds -= 1;
                self.current = Some(Conclusion { output, ..current });
                if same {
                    self.finish()
                } else {
                    self.criticise()
                }
            }
        }
    }

    fn of_draft(&mut self, commands: Vec<Command>) -> Vec<Command> {
        let mut all = Vec::new();
        for command in commands {
            match command {
                Command::Ask { id, mut ask } => {
                    ask.shown = false;
                    all.push(ask.command(id * 2));
                }
                Command::Cancel(id) => all.push(Command::Cancel(id * 2)),
                Command::Embed { id, texts } => all.push(Command::Embed { id: id * 2, texts }),
                Command::Grade {
                    id,
                    function,
                    output,
                } => all.push(Command::Grade {
                    id: id * 2,
                    function,
                    output,
                }),
                Command::Done(conclusion) => {
                    self.current = Some(conclusion);
                    all.extend(self.criticise());
                }
                Command::GiveUp => all.push(Command::GiveUp),
            }
        }
        all
    }

    fn criticise(&mut self) -> Vec<Command> {
        let wanting = |current: &&Conclusion| self.rounds > 0 && current.output != SENTINEL;
        let Some(current) = self.current.as_ref().filter(wanting) else {
            return self.finish();
        };
        let ask = Ask::new("criticise", Form::Free).turns(vec![
            Message::assistant(written(&current.output)),
            Message::user(self.wanted()),
        ]);
        vec![self.own(ask)]
    }

    fn wanted(&self) -> String {
        format!(
            "Read your answer again as a strict reviewer. {} List in a few lines what is wrong or \
             missing. If nothing is, write only {FINE}.",
            self.criteria
        )
    }

    fn finish(&self) -> Vec<Command> {
        vec![self.current.clone().map_or(Command::GiveUp, Command::Done)]
    }

    fn own(&mut self, ask: Ask) -> Command {
        let id = self.next * 2 + 1;
        self.next += 1;
        ask.command(id)
    }
}
