//! From a question to rows, as a state machine without I/O: it says what to do ([`Command`]), is told what came of it
//! ([`Event`]), and concludes.
//!
//! The steps: what of the schema matters; one or more samples, each of which writes a query, has it tried, and mends
//! it by the database's own words; a vote over result sets (Wang et al. 2022, "Self-Consistency"; over results of
//! queries: Li et al. 2022, "AlphaCode", and Ni et al. 2023, "LEVER"); words for the winner. Samples begin with as
//! many as a majority needs, so that an easy question costs no more. Left out: everything that reaches outside
//! (`drive`), what is said to the model (`prompt`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::grid::{Grid, is_ordered};
use super::read::{Written, read};

/// Ways to put a question: as many samples are greedy, each of them put in another way.
pub(super) const VIEWS: usize = 3;

/// How one question may be worked on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Queries that are written independently, at least one.
    pub samples: usize,
    /// How often each is mended.
    pub repairs: u32,
    /// Temperature of all samples but the first [`VIEWS`], which are greedy.
    pub temperature: f32,
    /// Whether rows that say nothing are asked about once.
    pub doubts: bool,
    /// Whether the answer is told in words.
    pub words: bool,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Choose what of the schema the model sees.
    Link,
    /// Ask the model for a query.
    Write {
        /// The sample.
        sample: usize,
        /// Its temperature.
        temperature: f32,
        /// What it wrote before that did not work, and why; oldest first.
        mended: Vec<Mend>,
    },
    /// Check a query, let the database plan it, and run it.
    Try {
        /// The sample.
        sample: usize,
        /// The query.
        sql: String,
    },
    /// The sample is no longer needed.
    Cancel(usize),
    /// Tell these rows in words.
    Tell {
        /// The query.
        sql: String,
        /// Its rows.
        grid: Grid,
    },
    /// It is done. Nothing comes after it.
    Done(Conclusion),
    /// No query came to rows. Nothing comes after it.
    GiveUp(Vec<Attempt>),
}

/// A query that did not do, and what was wrong with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mend {
    /// The query, or what the model wrote instead of one.
    pub wrote: String,
    /// What is said of it.
    pub fault: Doubt,
}

/// What is wrong with a query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Doubt {
    /// There is none in the answer.
    NoQuery,
    /// It was not let through, or the database refused it, in these words.
    Fault(String),
    /// It gives no rows, or nothing but NULL.
    Empty,
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Event {
    /// The part of the schema is chosen.
    Linked,
    /// The model answered.
    Wrote {
        /// The sample.
        sample: usize,
        /// All that it wrote.
        text: String,
    },
    /// The query gave rows.
    Gave {
        /// The sample.
        sample: usize,
        /// They.
        grid: Grid,
    },
    /// The query failed, and another one may not.
    Faulted {
        /// The sample.
        sample: usize,
        /// What the model is told.
        fault: String,
    },
    /// The model could not be asked.
    Failed {
        /// The sample.
        sample: usize,
    },
    /// The answer in words, where they can be trusted.
    Told(Option<String>),
}

/// A query that was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// The query; what the model wrote, where there is none in it.
    pub sql: String,
    /// What was wrong with it.
    pub fault: Option<String>,
}

/// What it came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Conclusion {
    /// The query and its rows, or why the data do not answer.
    pub found: Result<Found, String>,
    /// Share of the samples that agree, in 0..=1, where there was more than one.
    pub confidence: Option<f32>,
    /// All queries that were tried, the samples one after the other.
    pub attempts: Vec<Attempt>,
    /// The answer in words.
    pub words: Option<String>,
}

/// A query and its rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Found {
    /// The query.
    pub sql: String,
    /// Its rows.
    pub grid: Grid,
}

/// How a sample ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum End {
    Found(Found),
    Refused(String),
    Nothing,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sample {
    temperature: f32,
    mended: Vec<Mend>,
    attempts: Vec<Attempt>,
    repairs_left: u32,
    may_doubt: bool,
    /// Rows that say nothing, kept for the case that the question about them brings no better ones.
    kept: Option<Found>,
    trying: Option<String>,
    end: Option<End>,
}

/// A question at work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    plan: Plan,
    samples: BTreeMap<usize, Sample>,
    verdict: Option<Conclusion>,
    over: bool,
}

impl Machine {
    /// One that has not started.
    pub fn new(plan: Plan) -> Self {
        let samples = plan.samples.max(1);
        Self {
            plan: Plan { samples, ..plan },
            samples: BTreeMap::new(),
            verdict: None,
            over: false,
        }
    }

    /// The first command.
    pub fn start(&self) -> Vec<Command> {
        vec![Command::Link]
    }

    /// What is to be done after `event`. Nothing, where more events are to come.
    pub fn on(&mut self, event: Event) -> Vec<Command> {
        if self.over {
            return Vec::new();
        }
        let (sample, commands) = match event {
            Event::Linked => return self.launch(self.plan.samples / 2 + 1),
            Event::Told(words) => return self.told(words),
            Event::Wrote { sample, text } => (sample, self.wrote(sample, &text)),
            Event::Gave { sample, grid } => (sample, self.gave(sample, grid)),
            Event::Faulted { sample, fault } => {
                let commands = self.with(sample, |state| {
                    let wrote = state.tried(Some(fault.clone()));
                    state.mend(sample, wrote, Doubt::Fault(fault))
                });
                (sample, commands)
            }
            Event::Failed { sample } => {
                let commands = self.with(sample, |state| {
                    state.finish();
                    Vec::new()
                });
                (sample, commands)
            }
        };
        if self.samples.get(&sample).is_none_or(|s| s.end.is_none()) {
            return commands;
        }
        self.count()
    }

    /// Begins samples until there are so many.
    fn launch(&mut self, wanted: usize) -> Vec<Command> {
        let wanted = wanted.min(self.plan.samples);
        let mut commands = Vec::new();
        for sample in self.samples.len()..wanted {
            let temperature = if sample < VIEWS {
                0.0
            } else {
                self.plan.temperature
            };
            self.samples.insert(
                sample,
                Sample {
                    temperature,
                    mended: Vec::new(),
                    attempts: Vec::new(),
                    repairs_left: self.plan.repairs,
                    may_doubt: self.plan.doubts,
                    kept: None,
                    trying: None,
                    end: None,
                },
            );
            commands.push(Command::Write {
                sample,
                temperature,
                mended: Vec::new(),
            });
        }
        commands
    }

    /// Does something with a sample that has not ended; any other changes nothing.
    fn with(
        &mut self,
        sample: usize,
        act: impl FnOnce(&mut Sample) -> Vec<Command>,
    ) -> Vec<Command> {
        match self.samples.get_mut(&sample) {
            Some(state) if state.end.is_none() => act(state),
            _ => Vec::new(),
        }
    }

    fn wrote(&mut self, sample: usize, text: &str) -> Vec<Command> {
        self.with(sample, |state| {
            match read(text) {
                Written::Sql(sql) => {
                    // What was tried is not tried again: an empty result that the model stands by is its answer.
                    let known = state
                        .mended
                        .iter()
                        .rev()
                        .find(|mend| mend.wrote == sql)
                        .cloned();
                    match known {
                        Some(mend) if mend.fault == Doubt::Empty => {
                            state.finish();
                            Vec::new()
                        }
                        Some(mend) => state.mend(sample, sql, mend.fault),
                        None => {
                            state.trying = Some(sql.clone());
                            vec![Command::Try { sample, sql }]
                        }
                    }
                }
                // Who wrote a query that only gave no rows has not refused.
                Written::Refused(_) if state.kept.is_some() => {
                    state.finish();
                    Vec::new()
                }
                Written::Refused(reason) => {
                    state.end = Some(End::Refused(reason));
                    Vec::new()
                }
                Written::Nothing => {
                    let wrote: String = text.trim().chars().take(400).collect();
                    state.attempts.push(Attempt {
                        sql: wrote.clone(),
                        fault: Some("there is no query in it".to_owned()),
                    });
                    state.mend(sample, wrote, Doubt::NoQuery)
                }
            }
        })
    }

    fn gave(&mut self, sample: usize, grid: Grid) -> Vec<Command> {
        self.with(sample, |state| {
            if grid.is_empty() && state.may_doubt {
                state.may_doubt = false;
                let sql = state.tried(Some("it gives nothing".to_owned()));
                state.kept = Some(Found {
                    sql: sql.clone(),
                    grid,
                });
                state.repairs_left += 1;
                return state.mend(sample, sql, Doubt::Empty);
            }
            let sql = state.tried(None);
            // Rows that say nothing are no better than the first that did.
            if grid.is_empty() && state.kept.is_some() {
                state.finish();
            } else {
                state.end = Some(End::Found(Found { sql, grid }));
            }
            Vec::new()
        })
    }

    /// A sample has ended: whether it is enough.
    fn count(&mut self) -> Vec<Command> {
        let running: Vec<usize> = self.running().collect();
        let unborn = self.plan.samples - self.samples.len();
        let groups = self.groups();
        let votes = |i: usize| groups.get(i).map_or(0, |group| group.members.len());
        let decided = votes(0) > votes(1) + running.len() + unborn;
        if !decided && !running.is_empty() {
            return Vec::new();
        }
        if !decided && unborn > 0 {
            return self.launch(self.plan.samples);
        }
        let mut commands: Vec<Command> = running
            .iter()
            .map(|sample| Command::Cancel(*sample))
            .collect();
        commands.push(self.conclude(&groups));
        commands
    }

    fn running(&self) -> impl Iterator<Item = usize> + '_ {
        self.samples
            .iter()
            .filter(|(_, s)| s.end.is_none())
            .map(|(i, _)| *i)
    }

    /// Samples that came to the same, the winners first: most votes, then rows that say something, then the earliest.
    fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for (sample, state) in &self.samples {
            let (key, says) = match &state.end {
                Some(End::Found(found)) => {
                    let key = found.grid.key(is_ordered(&found.sql));
                    (key, !found.grid.is_empty())
                }
                Some(End::Refused(_)) => ("refused".to_owned(), false),
                Some(End::Nothing) | None => continue,
            };
            match groups.iter_mut().find(|group| group.key == key) {
                Some(group) => group.members.push(*sample),
                None => groups.push(Group {
                    key,
                    says,
                    members: vec![*sample],
                }),
            }
        }
        // The sort keeps the order of equals, which is that of their first members.
        groups.sort_by(|a, b| {
            let votes = b.members.len().cmp(&a.members.len());
            votes.then(b.says.cmp(&a.says))
        });
        groups
    }

    fn conclude(&mut self, groups: &[Group]) -> Command {
        let attempts: Vec<Attempt> = self
            .samples
            .values()
            .flat_map(|s| s.attempts.iter().cloned())
            .collect();
        let winner = groups.first().and_then(|group| {
            let end = self.samples.get(group.members.first()?)?.end.clone()?;
            Some((end, group.members.len()))
        });
        let Some((end, votes)) = winner else {
            self.over = true;
            return Command::GiveUp(attempts);
        };
        // Samples that were not needed have no say.
        let of = self.samples.values().filter(|s| s.end.is_some()).count();
        let confidence = (self.plan.samples > 1).then(|| votes as f32 / of as f32);
        let found = match end {
            End::Found(found) => Ok(found),
            End::Refused(reason) => Err(reason),
            End::Nothing => {
                self.over = true;
                return Command::GiveUp(attempts);
            }
        };
        let conclusion = Conclusion {
            found,
            confidence,
            attempts,
            words: None,
        };
        match &conclusion.found {
            Ok(found) if self.plan.words => {
                let tell = Command::Tell {
                    sql: found.sql.clone(),
                    grid: found.grid.clone(),
                };
                self.verdict = Some(conclusion);
                tell
            }
            _ => {
                self.over = true;
                Command::Done(conclusion)
            }
        }
    }

    fn told(&mut self, words: Option<String>) -> Vec<Command> {
        let Some(mut conclusion) = self.verdict.take() else {
            return Vec::new();
        };
        self.over = true;
        conclusion.words = words;
        vec![Command::Done(conclusion)]
    }
}

struct Group {
    key: String,
    says: bool,
    members: Vec<usize>,
}

impl Sample {
    /// Notes what became of the query that was tried, and gives it.
    fn tried(&mut self, fault: Option<String>) -> String {
        let sql = self.trying.take().unwrap_or_default();
        self.attempts.push(Attempt {
            sql: sql.clone(),
            fault,
        });
        sql
    }

    /// Asks for a better query, or ends.
    fn mend(&mut self, sample: usize, wrote: String, fault: Doubt) -> Vec<Command> {
        let Some(left) = self.repairs_left.checked_sub(1) else {
            self.finish();
            return Vec::new();
        };
        self.repairs_left = left;
        self.mended.push(Mend { wrote, fault });
        // Who wrote what does not do is to write something else.
        let least = 0.2 * self.mended.len().saturating_sub(1) as f32;
        vec![Command::Write {
            sample,
            temperature: self.temperature.max(least),
            mended: self.mended.clone(),
        }]
    }

    /// Ends with what was kept, if anything.
    fn finish(&mut self) {
        self.end = Some(self.kept.take().map_or(End::Nothing, End::Found));
    }
}

#[cfg(test)]
mod tests;
