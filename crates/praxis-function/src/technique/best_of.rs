//! Best of n: several samples, of which a grader takes one. The grader is the model itself, which reads
//! all candidates and names the best, or a function of the application, which gives each a number.

use serde::{Deserialize, Serialize};

use super::pool::Pool;
use super::{Ask, AskId, Command, Conclusion, Event, Form, Machine, vote, written};

/// The number of the model's choice; those of grades follow it.
const CHOICE: AskId = 0;

/// Who grades.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Grader {
    /// The model, by these criteria.
    Model(String),
    /// A function that takes `output` and gives a number, or an object with a `score`.
    Function(String),
}

/// The choice at work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct BestOf {
    pool: Pool,
    grader: Grader,
    candidates: Vec<Conclusion>,
    /// Grades of the candidates; none for one whose grading failed.
    scores: Vec<Option<f64>>,
    graded: usize,
}

impl BestOf {
    pub fn new(inner: &Machine, samples: usize, temperature: f32, grader: Grader) -> Self {
        Self {
            pool: Pool::new(inner, samples, temperature),
            grader,
            candidates: Vec::new(),
            scores: Vec::new(),
            graded: 0,
        }
    }

    pub fn start(&mut self) -> Vec<Command> {
        self.pool.start()
    }

    pub fn on(&mut self, event: Event) -> Vec<Command> {
        if let Some(own) = self.pool.owned(&event) {
            return self.on_grade(own, event);
        }
        let (mut commands, end) = self.pool.on(event);
        if let Some((_, conclusion)) = end {
            self.candidates.extend(conclusion);
            if self.pool.running() == 0 {
                commands.extend(self.grade());
            }
        }
        commands
    }

    /// All candidates are there: equal ones count once, and a lone one needs no grader.
    fn grade(&mut self) -> Vec<Command> {
        let keys: Vec<String> = self
            .candidates
            .iter()
            .map(|c| vote::Vote::Text.key(&c.output))
            .collect();
        let firsts: Vec<usize> = vote::groups(&keys).iter().map(|g| g[0]).collect();
        self.candidates = firsts.iter().map(|i| self.candidates[*i].clone()).collect();
        self.scores = vec![None; self.candidates.len()];
        if self.candidates.len() <= 1 {
            return vec![self.take(0)];
        }
        match &self.grader {
            Grader::Model(criteria) => {
                let mut suffix = "\n\nThese answers were proposed:\n".to_owned();
                for (i, candidate) in self.candidates.iter().enumerate() {
                    suffix.push_str(&format!("\n[{}]\n{}\n", i + 1, written(&candidate.output)));
                }
                suffix.push_str(&format!(
                    "\nWhich of them is the best? {criteria} Write only its number."
                ));
                let numbers = (1..=self.candidates.len()).map(|n| n.to_string());
                let ask = Ask {
                    // A grader that tosses a coin grades nothing.
                    temperature: Some(0.0),
                    ..Ask::new("grade", Form::Choice(numbers.collect())).suffix(suffix)
                };
                vec![ask.command(self.pool.own(CHOICE))]
            }
            Grader::Function(function) => (CHOICE + 1..)
                .zip(&self.candidates)
                .map(|(id, candidate)| Command::Grade {
                    id: self.pool.own(id),
                    function: function.clone(),
                    output: candidate.output.clone(),
                })
                .collect(),
        }
    }

    fn on_grade(&mut self, own: AskId, event: Event) -> Vec<Command> {
        if own == CHOICE {
            let chosen = match event {
                Event::Answered { answer, .. } => answer.text.trim().parse::<usize>().ok(),
                _ => None,
            };
            // Without a choice the first is taken: it stands for the largest group of equals.
            return vec![self.take(chosen.map_or(0, |n| n.saturating_sub(1)))];
        }
        if let (Event::Graded { score, .. }, Some(slot)) =
            (&event, self.scores.get_mut(own as usize - 1))
        {
            *slot = Some(*score).filter(|score| !score.is_nan());
        }
        self.graded += 1;
        if self.graded < self.candidates.len() {
            return Vec::new();
        }
        let grade = |i: &usize| self.scores[*i].unwrap_or(f64::NEG_INFINITY);
        let best = (0..self.candidates.len())
            .rev()
            .max_by(|a, b| grade(a).total_cmp(&grade(b)));
        vec![self.take(best.unwrap_or(0))]
    }

    fn take(&self, index: usize) -> Command {
        match self.candidates.get(index).or(self.candidates.first()) {
            Some(candidate) => Command::Done(candidate.clone()),
            None => Command::GiveUp,
        }
    }
}
