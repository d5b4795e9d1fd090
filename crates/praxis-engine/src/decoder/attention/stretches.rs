//! One long sequence shared between threads (Flash-Decoding: Dao et al. 2023). An answer's next
//! token is one task for each key-value head, and models have few of those: two or three, whatever
//! the threads. So where tasks are few, each stretch of a task's keys is a piece of work of its own,
//! and what the stretches came to is merged behind them.
//!
//! Whether that is done changes nothing but the time: a task that one thread computes keeps its
//! stretches apart too, and merges them in the same order.

use std::cell::Cell;

use rayon::prelude::*;

use super::{SCRATCH, Sums, Task};
use crate::compute::Disjoint;
use crate::compute::line::room;
use crate::compute::simd::{self, Isa, Kernel};

/// Blocks of keys in a stretch: 256 tokens, next to which merging costs nothing.
pub(super) const STRETCH: usize = 4;

/// Tasks for each thread that keep all threads busy to the end, or nearly so.
const ENOUGH: usize = 4;

/// Numbers that the stretches of a layer may come to, 64 MiB of them: one answer's next token is far
/// below, and the queries of a long prompt's piece keep threads busy without.
const MOST: usize = 16 << 20;

thread_local! {
    /// What the stretches of a layer came to, kept because it is needed all the time.
    static SUMS: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Whether threads would wait for each other if every task were computed by one of them.
pub(super) fn are_worth_it(tasks: &[Task<'_>]) -> bool {
    let threads = rayon::current_num_threads();
    if threads == 1 || tasks.len() >= ENOUGH * threads {
        return false;
    }
    let divisible = tasks.iter().filter(|task| is_divisible(task));
    (1..=MOST).contains(&divisible.map(numbers).sum::<usize>())
}

/// Whether the task has stretches that can be computed apart; the matrix unit's have not.
fn is_divisible(task: &Task<'_>) -> bool {
    task.amx.is_none() && task.stretches() > 1
}

/// Numbers that a stretch of the task comes to: sums, maxima and totals.
pub(super) fn size(task: &Task<'_>) -> usize {
    task.rows() * (task.heads.dim + 2)
}

/// Numbers that all stretches of the task come to.
fn numbers(task: &Task<'_>) -> usize {
    task.stretches() * size(task)
}

/// Computes the tasks, those with long sequences stretch by stretch.
pub(super) fn share(tasks: &[Task<'_>]) {
    let (divided, whole): (Vec<&Task<'_>>, Vec<&Task<'_>>) =
        tasks.iter().partition(|task| is_divisible(task));
    let mut len = 0;
    let divided: Vec<(&Task<'_>, usize)> = divided
        .into_iter()
        .map(|task| {
            let first = len;
            len += numbers(task);
            (task, first)
        })
        .collect();
    let mut memory = SUMS.take();
    let sums = Disjoint::new(room(&mut memory, len, 0.0));
    let mut work: Vec<Work<'_>> = whole.into_iter().map(|task| Work::Whole(*task)).collect();
    for (task, first) in &divided {
        work.extend((0..task.stretches()).map(|stretch| {
            Work::Part(Stretch {
                task: **task,
                stretch,
                at: first + stretch * size(task),
                sums: &sums,
            })
        }));
    }
    work.into_par_iter().for_each(simd::run);
    let sums = &memory[..len];
    divided
        .into_par_iter()
        .map(|(task, first)| Merge {
            task: *task,
            sums: &sums[first..first + numbers(task)],
        })
        .for_each(simd::run);
    SUMS.set(memory);
}

/// What a thread computes at a time.
enum Work<'a> {
    Whole(Task<'a>),
    Part(Stretch<'a>),
}

impl Kernel for Work<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        match self {
            Work::Whole(task) => task.run(isa),
            Work::Part(stretch) => stretch.run(isa),
        }
    }
}

/// One stretch of a task's keys.
pub(super) struct Stretch<'a> {
    pub(super) task: Task<'a>,
    pub(super) stretch: usize,
    /// Where what it comes to is written, and from where on: [`size`] numbers.
    pub(super) sums: &'a Disjoint<'a>,
    pub(super) at: usize,
}

impl Kernel for Stretch<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let mut scratch = SCRATCH.take();
        self.task.take_queries(&mut scratch);
        self.task.stretch(isa, &mut scratch, self.stretch);
        let running = &scratch.running;
        let mut at = self.at;
        for numbers in [&running.sums, &running.maxima, &running.totals] {
            // SAFETY: each stretch of each task has a range of its own, of as many numbers as are
            // written here, and nobody reads them before all stretches are computed.
            unsafe { self.sums.write(at, numbers) };
            at += numbers.len();
        }
        SCRATCH.set(scratch);
    }
}

/// Merges what a task's stretches came to.
pub(super) struct Merge<'a> {
    pub(super) task: Task<'a>,
    /// Of one stretch after the other, as [`Stretch`] writes them.
    pub(super) sums: &'a [f32],
}

impl Kernel for Merge<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let (rows, d) = (self.task.rows(), self.task.heads.dim);
        let mut scratch = SCRATCH.take();
        scratch.merged.begin(rows, d);
        for numbers in self.sums.chunks_exact(size(&self.task)) {
            let (sums, others) = numbers.split_at(rows * d);
            let (maxima, totals) = others.split_at(rows);
            let stretch = Sums {
                sums,
                maxima,
                totals,
            };
            scratch.merged.merge(stretch, d);
        }
        self.task.end(&mut scratch.merged, rows);
        SCRATCH.set(scratch);
    }
}
