//! Self-consistency (Wang et al. 2022, "Self-Consistency Improves Chain of Thought Reasoning in Language
//! Models"): several samples, and the answer that most of them come to. The vote ends as soon as the
//! samples that are still out cannot change it.

use serde::{Deserialize, Serialize};

use super::pool::Pool;
use super::vote::{self, Vote};
use super::{AskId, Command, Conclusion, Event, Machine, written};

/// The pool's owner asks for vectors once.
const VECTORS: AskId = 0;

/// The vote at work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SelfConsistency {
    pool: Pool,
    vote: Vote,
    early_stop: bool,
    /// What the samples came to, in the order of their ends: that of the samples would make the winner
    /// of a tie depend on their number, and this on nothing but time, so ties go to the lower sample.
    ends: Vec<(usize, Conclusion)>,
    /// Samples that came to nothing: they have no vote, and agree with none.
    failed: usize,
}

impl SelfConsistency {
    pub fn new(inner: &Machine, samples: usize, temperature: f32, vote: Vote) -> Self {
        Self {
            pool: Pool::new(inner, samples, temperature),
            vote,
            early_stop: true,
            ends: Vec::new(),
            failed: 0,
        }
    }

    /// Waits for all samples, so that the confidence is that of all.
    pub fn patient(mut self) -> Self {
        self.early_stop = false;
        self
    }

    pub fn start(&mut self) -> Vec<Command> {
        self.pool.start()
    }

    pub fn on(&mut self, event: Event) -> Vec<Command> {
        if self.pool.owned(&event) == Some(VECTORS) {
            let groups = match event {
                Event::Embedded { vectors, .. } => vote::clusters(&vectors),
                // Without vectors, texts that are the same still agree.
                _ => self.groups(),
            };
            return vec![self.conclude(&groups)];
        }
        let (mut commands, end) = self.pool.on(event);
        let Some((sample, conclusion)) = end else {
            return commands;
        };
        match conclusion {
            Some(conclusion) => {
                self.ends.push((sample, conclusion));
                self.ends.sort_by_key(|(sample, _)| *sample);
            }
            None => self.failed += 1,
        }
        let running = self.pool.running();
        let by_meaning = self.vote == Vote::Embedding;
        if running > 0 {
            // What texts mean is compared when all are there.
            if self.early_stop && !by_meaning && vote::is_decided(&self.groups(), running) {
                commands.extend(self.pool.cancel());
                commands.push(self.conclude(&self.groups()));
            }
            return commands;
        }
        if by_meaning && self.ends.len() > 1 {
            let texts = self.ends.iter().map(|(_, c)| written(&c.output)).collect();
            commands.push(Command::Embed {
                id: self.pool.own(VECTORS),
                texts,
            });
        } else {
            commands.push(self.conclude(&self.groups()));
        }
        commands
    }

    /// The ends that agree, as indices, most of them first.
    fn groups(&self) -> Vec<Vec<usize>> {
        let keys = self.ends.iter().map(|(_, c)| self.vote.key(&c.output));
        vote::groups(&keys.collect::<Vec<_>>())
    }

    /// What the vote comes to where no other sample can end; nothing where those that are out might change it.
    pub fn decided(&self) -> Option<Conclusion> {
        let groups = self.groups();
        let out = self.pool.running();
        let is_decided = self.vote != Vote::Embedding && vote::is_decided(&groups, out);
        // Those that are out are as good as failed.
        self.concluded(&groups, self.ends.len() + self.failed + out)
            .filter(|_| is_decided)
    }

    fn conclude(&self, groups: &[Vec<usize>]) -> Command {
        let of = self.ends.len() + self.failed;
        let end = self.concluded(groups, of);
        end.map_or(Command::GiveUp, Command::Done)
    }

    /// The answer of the largest group, of so many samples.
    fn concluded(&self, groups: &[Vec<usize>], of: usize) -> Option<Conclusion> {
        let winners = groups.first()?;
        let winner = &self.ends[winners[0]].1;
        let votes = |group: &Vec<usize>| (written(&self.ends[group[0]].1.output), group.len());
        Some(Conclusion {
            output: winner.output.clone(),
            reasoning: winner.reasoning.clone(),
            confidence: Some(winners.len() as f32 / of as f32),
            votes: groups.iter().map(votes).collect(),
        })
    }
}
