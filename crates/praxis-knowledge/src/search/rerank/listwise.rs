//! Ranking by a chat model that sees several passages at once (RankGPT, Sun et al. 2023): a window slides from
//! the end of the list to its beginning, and what is best in it moves on with it. A state machine without I/O.
//!
//! Of each window only the best are asked for, as many as the next window shares with it; the others keep their
//! order. That is half the tokens of a whole ranking, and all that the next window sees.

use serde::{Deserialize, Serialize};

/// Passages that a model sees at once.
const WINDOW: usize = 10;

/// Places that the window moves on.
const STRIDE: usize = 5;

/// A ranking in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sliding {
    /// Candidates by their first places, the best so far first.
    order: Vec<usize>,
    /// The end of the window that is to be asked about; 0 when all is done.
    end: usize,
}

impl Sliding {
    /// Over `count` candidates in the order that they have.
    pub fn new(count: usize) -> Self {
        Self {
            order: (0..count).collect(),
            end: if count > 1 { count } else { 0 },
        }
    }

    fn start(&self) -> usize {
        self.end.saturating_sub(WINDOW)
    }

    /// The candidates to be asked about, and how many of the best are wanted; `None` at the end.
    pub fn window(&self) -> Option<(&[usize], usize)> {
        let window = &self.order[self.start()..self.end];
        let best = STRIDE.min(window.len().saturating_sub(1));
        (best > 0).then_some((window, best))
    }

    /// Takes what the model said of the window: numbers from 1, the best first. Any others count for
    /// nothing.
    pub fn take(&mut self, said: &[usize]) {
        let start = self.start();
        let window = permuted(&self.order[start..self.end], said);
        self.order.splice(start..self.end, window);
        self.end = if start == 0 { 0 } else { self.end - STRIDE };
    }

    /// The candidates, best first: each exactly once, whatever was said.
    pub fn order(&self) -> &[usize] {
        &self.order
    }
}

/// The items that numbers from 1 name, in their order, and then the others in their own.
fn permuted(items: &[usize], said: &[usize]) -> Vec<usize> {
    let mut left: Vec<Option<usize>> = items.iter().copied().map(Some).collect();
    let mut order: Vec<usize> = said
        .iter()
        .filter_map(|number| left.get_mut(number.checked_sub(1)?)?.take())
        .collect();
    order.extend(left.into_iter().flatten());
    order
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn windows_slide_from_the_end_to_the_beginning() {
        for (count, windows) in [
            (0, &[][..]),
            (1, &[]),
            (2, &[(0, 2, 1)]),
            (7, &[(0, 7, 5)]),
            (12, &[(2, 12, 5), (0, 7, 5)]),
            (
                30,
                &[
                    (20, 30, 5),
                    (15, 25, 5),
                    (10, 20, 5),
                    (5, 15, 5),
                    (0, 10, 5),
                ],
            ),
        ] {
            let mut sliding = Sliding::new(count);
            let mut seen = Vec::new();
            while let Some((window, best)) = sliding.window() {
                seen.push((window[0], window[0] + window.len(), best));
                sliding.take(&[]);
            }
            assert_eq!(seen, windows, "{count}");
            assert!(sliding.order().iter().copied().eq(0..count));
        }
    }

    #[test]
    fn the_best_of_the_last_window_comes_to_the_first_place() {
        let mut sliding = Sliding::new(30);
        while let Some((window, _)) = sliding.window() {
            // The model knows that candidate 27 answers the question.
            let number = window.iter().position(|c| *c == 27).map(|i| i + 1);
            sliding.take(number.as_slice());
        }
        assert_eq!(sliding.order()[..3], [27, 0, 1]);
    }

    #[test]
    fn a_half_ranked_list_can_be_stored_and_goes_on() {
        let mut sliding = Sliding::new(12);
        sliding.take(&[10, 9]);
        let text = serde_json::to_string(&sliding).unwrap();
        let mut stored: Sliding = serde_json::from_str(&text).unwrap();
        assert_eq!(stored, sliding);
        stored.take(&[3]);
        assert_eq!(stored.order()[..2], [11, 0]);
    }

    proptest! {
        #[test]
        fn each_candidate_comes_exactly_once_whatever_is_said(
            count in 0usize..60,
            said in proptest::collection::vec(proptest::collection::vec(0usize..14, 0..20), 0..20),
        ) {
            let mut sliding = Sliding::new(count);
            let mut said = said.into_iter();
            let mut asked = 0;
            while sliding.window().is_some() {
                sliding.take(&said.next().unwrap_or_default());
                asked += 1;
                prop_assert!(asked <= count.div_ceil(STRIDE));
            }
            let mut order = sliding.order().to_vec();
            order.sort_unstable();
            prop_assert!(order.into_iter().eq(0..count));
        }

        #[test]
        fn what_is_said_comes_first(numbers in Just((1usize..=10).collect::<Vec<_>>()).prop_shuffle()) {
            let items: Vec<usize> = (0..10).collect();
            let order = permuted(&items, &numbers);
            prop_assert!(order.iter().zip(&numbers).all(|(item, number)| *item == number - 1));
        }
    }
}
