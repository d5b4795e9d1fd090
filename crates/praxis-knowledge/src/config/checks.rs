//! What is out of its range in a table of a base's file, and the fix. Left out: what the ranges are.

use std::fmt::Display;
use std::ops::RangeInclusive;

use praxis_core::Problem;

/// The checks of one table.
pub(super) struct Checks {
    table: &'static str,
    problems: Vec<Problem>,
}

impl Checks {
    /// Checks of the table of that name.
    pub fn of(table: &'static str) -> Self {
        Self {
            table,
            problems: Vec::new(),
        }
    }

    /// Notes a value that is not `good`, with its fix. The key may have tables before it, `rerank.depth`.
    pub fn check(&mut self, key: &str, good: bool, value: &dyn Display, help: String) {
        if !good {
            let name = key.rsplit('.').next().unwrap_or(key);
            self.problems.push(Problem {
                path: format!("{}.{key}", self.table),
                message: format!("`{name}` is {value}"),
                help: Some(help),
            });
        }
    }

    /// Notes a value outside of its range; `what` says what it is: `a number`.
    pub fn within<T: PartialOrd + Display>(
        &mut self,
        key: &str,
        value: &T,
        range: &RangeInclusive<T>,
        what: &str,
    ) {
        let (low, high) = (range.start(), range.end());
        let help = format!("choose {what} between {low} and {high}");
        self.check(key, range.contains(value), value, help);
    }

    /// What was found.
    pub fn problems(self) -> Vec<Problem> {
        self.problems
    }
}
