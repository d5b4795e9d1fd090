//! Several machines of one kind side by side: what self-consistency and best-of-n have in common.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{AskId, Command, Conclusion, Event, Machine};

/// Machines whose commands go out under numbers of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pool {
    machines: Vec<Machine>,
    /// Commands of each machine that nothing came back for.
    open: Vec<BTreeSet<AskId>>,
    /// Which machines have ended.
    ended: Vec<bool>,
    temperature: f32,
}

/// How a machine of the pool ended.
pub(crate) type Ended = (usize, Option<Conclusion>);

impl Pool {
    /// `samples` copies of a machine that has not started; samples of one question need a temperature to differ.
    pub fn new(machine: &Machine, samples: usize, temperature: f32) -> Self {
        Self {
            machines: vec![machine.clone(); samples],
            open: vec![BTreeSet::new(); samples],
            ended: vec![false; samples],
            temperature,
        }
    }

    /// How many have not ended.
    pub fn running(&self) -> usize {
        self.ended.iter().filter(|ended| !**ended).count()
    }

    /// The number, outside, of a command of the pool's owner.
    pub fn own(&self, id: AskId) -> AskId {
        id * self.stride() + self.machines.len() as AskId
    }

    /// The owner's number of an event, if it is the owner's.
    pub fn owned(&self, event: &Event) -> Option<AskId> {
        let (id, index) = (event.id() / self.stride(), event.id() % self.stride());
        (index as usize == self.machines.len()).then_some(id)
    }

    pub fn start(&mut self) -> Vec<Command> {
        let mut all = Vec::new();
        for index in 0..self.machines.len() {
            let commands = self.machines[index].start();
            all.extend(self.outgoing(index, commands).0);
        }
        all
    }

    /// Hands an event to its machine: what that wants, and whether it ended by it.
    pub fn on(&mut self, event: Event) -> (Vec<Command>, Option<Ended>) {
        let (id, index) = (event.id() / self.stride(), event.id() % self.stride());
        let index = index as usize;
        // What comes after an end, or for a command that was never given, changes nothing.
        if self.ended.get(index) != Some(&false) || !self.open[index].remove(&id) {
            return (Vec::new(), None);
        }
        let commands = self.machines[index].on(event.with_id(id));
        self.outgoing(index, commands)
    }

    /// Ends all machines: their open questions are cancelled.
    pub fn cancel(&mut self) -> Vec<Command> {
        let stride = self.stride();
        let mut all = Vec::new();
        for (index, open) in self.open.iter_mut().enumerate() {
            self.ended[index] = true;
            let cancel = |id| Command::Cancel(id * stride + index as AskId);
            all.extend(std::mem::take(open).into_iter().map(cancel));
        }
        all
    }

    fn stride(&self) -> AskId {
        self.machines.len() as AskId + 1
    }

    /// A machine's commands under the pool's numbers, and its end.
    fn outgoing(&mut self, index: usize, commands: Vec<Command>) -> (Vec<Command>, Option<Ended>) {
        let (stride, count) = (self.stride(), self.machines.len() as u64);
        let outside = |id: AskId| id * stride + index as AskId;
        let open = &mut self.open[index];
        let (mut all, mut end) = (Vec::new(), None);
        for command in commands {
            all.push(match command {
                Command::Ask { id, mut ask } => {
                    open.insert(id);
                    ask.sample = ask.sample * count + index as u64;
                    ask.shown = false;
                    ask.temperature = ask.temperature.or(Some(self.temperature));
                    ask.command(outside(id))
                }
                Command::Embed { id, texts } => {
                    open.insert(id);
                    Command::Embed {
                        id: outside(id),
                        texts,
                    }
                }
                Command::Grade {
                    id,
                    function,
                    output,
                } => {
                    open.insert(id);
                    Command::Grade {
                        id: outside(id),
                        function,
                        output,
                    }
                }
                Command::Cancel(id) => {
                    open.remove(&id);
                    Command::Cancel(outside(id))
                }
                Command::Done(conclusion) => {
                    end = Some((index, Some(conclusion)));
                    continue;
                }
                Command::GiveUp => {
                    end = Some((index, None));
                    continue;
                }
            });
        }
        if end.is_some() {
            self.ended[index] = true;
        }
        (all, end)
    }
}
