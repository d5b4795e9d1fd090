//! How much of which prompts a pass reads. A pass is bounded by the time that it will take, by what
//! earlier ones took, so that answers in progress get their next tokens and a new request its first
//! one soon, on a slow machine or with a large model as well. Nothing here computes, waits or reads
//! a clock.

use std::time::Duration;

/// Tokens of a prompt that kernels take together: a tile of the matrix unit, two panels of the others.
const STEP: usize = 16;

/// Tokens next to which an older measure of the pace counts half.
const HALF: f64 = 64.0;

/// How much a pass reads.
struct Bound {
    /// How long the pass should take.
    time: Duration,
    /// Tokens whatever they take: fewer would read all weights for next to nothing.
    least: usize,
    /// Tokens however fast they are: more gain nothing.
    most: usize,
}

/// Where nobody waits: a second, in which what a pass costs besides its tokens does not count.
const ALONE: Bound = Bound {
    time: Duration::from_secs(1),
    least: 128,
    most: 512,
};

/// A prompt that is short: answers in progress may wait for one pass that reads it.
const SHORT: Bound = Bound {
    time: Duration::from_millis(300),
    least: 32,
    most: 256,
};

/// Beside answers, which get their next tokens at the end of the pass.
const BESIDE: Bound = Bound {
    time: Duration::from_millis(100),
    least: 32,
    most: 128,
};

/// What reading a token takes, as the last passes showed.
#[derive(Debug, Default)]
pub(super) struct Pace {
    seconds: Option<f64>,
}

impl Pace {
    /// Notes how long a pass took that read so many tokens. What it did besides counts as theirs:
    /// pieces get smaller until the whole pass takes as long as it should. A pass of a few tokens
    /// tells nothing about reading.
    pub(super) fn learn(&mut self, tokens: usize, time: Duration) {
        if tokens < STEP {
            return;
        }
        let now = time.as_secs_f64() / tokens as f64;
        // A mean in which long pieces count for more.
        let share = tokens as f64 / (tokens as f64 + HALF);
        let mean = self
            .seconds
            .map_or(now, |before| before + share * (now - before));
        self.seconds = Some(mean);
    }

    /// How long so many tokens will take; `None` where nothing was read yet.
    pub(super) fn time(&self, tokens: usize) -> Option<Duration> {
        Duration::try_from_secs_f64(self.seconds? * tokens as f64).ok()
    }

    /// Tokens that are read within a bound.
    fn within(&self, bound: &Bound) -> usize {
        let tokens = match self.seconds {
            Some(seconds) => (bound.time.as_secs_f64() / seconds) as usize,
            None => bound.least,
        };
        tokens.clamp(bound.least, bound.most)
    }

    /// The same in whole steps, for a pass.
    fn tokens(&self, bound: &Bound) -> usize {
        self.within(bound) / STEP * STEP
    }
}

/// A request that reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reader {
    /// Its place among those that run.
    pub(super) place: usize,
    /// Tokens that it has to read.
    pub(super) left: usize,
    /// Whether nobody waits for it.
    pub(super) batch: bool,
}

impl Reader {
    /// The lowest goes first.
    fn rank(&self) -> (bool, usize) {
        (self.batch, self.left)
    }
}

/// Answers in progress while prompts are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    /// There are none.
    None,
    /// They get their next tokens in the same pass.
    Beside,
    /// They are left out of the pass, so that a new one begins sooner.
    Waiting,
}

/// Tokens of a prompt that a pass reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) place: usize,
    pub(super) tokens: usize,
}

/// Whether one pass brings a request that somebody waits for to its first token, so that answers in
/// progress wait for it, since it would wait for them otherwise.
pub(super) fn holds_up(pace: &Pace, readers: &[Reader]) -> bool {
    let first = readers.iter().min_by_key(|reader| reader.rank());
    first.is_some_and(|reader| !reader.batch && reader.left <= pace.within(&SHORT))
}

/// What the next pass reads of prompts, oldest requests first. Whoever has least left goes before
/// others, and requests that nobody waits for behind: a short prompt does not wait until long ones
/// are read. The oldest reads a quarter of each pass in any case, so that it is not put off for
/// ever. `waits` says whether the first reads nothing because the second reads what they both begin
/// with. The oldest's share comes first.
pub(super) fn shares(
    pace: &Pace,
    answers: Answers,
    readers: &[Reader],
    waits: impl Fn(usize, usize) -> bool,
) -> Vec<Share> {
    let Some(oldest) = readers.first() else {
        return Vec::new();
    };
    let mut order: Vec<&Reader> = readers.iter().collect();
    order.sort_by_key(|reader| reader.rank());
    let budget = budget(pace, answers, &order);
    let mut kept = share_of_oldest(budget).min(oldest.left);
    let mut free = budget - kept;
    let mut others: Vec<Share> = Vec::new();
    for reader in order {
        if reader.place == oldest.place {
            let tokens = cut(reader.left, kept + free);
            free = kept + free - tokens;
            kept = tokens;
            continue;
        }
        let tokens = cut(reader.left, free);
        let after = |other: usize| waits(reader.place, other);
        if tokens == 0 || after(oldest.place) || others.iter().any(|other| after(other.place)) {
            continue;
        }
        free -= tokens;
        others.push(Share {
            place: reader.place,
            tokens,
        });
    }
    // What the others did not take is the oldest's.
    let oldest = Share {
        place: oldest.place,
        tokens: cut(oldest.left, kept + free),
    };
    [vec![oldest], others].concat()
}

/// How many tokens a pass reads for requests in the order in which they go.
fn budget(pace: &Pace, answers: Answers, order: &[&Reader]) -> usize {
    let (beside, alone) = (pace.tokens(&BESIDE), pace.tokens(&ALONE));
    let first = order.first().map_or(0, |reader| reader.left);
    match answers {
        Answers::Beside => beside,
        Answers::Waiting => with_share_of_oldest(first.min(pace.within(&SHORT))).max(beside),
        Answers::None => {
            let all: usize = order.iter().map(|reader| reader.left).sum();
            // The first waits for all of its pass, so that is as short as it needs; unless there is
            // nobody else, or one pass reads all there is.
            if order.len() == 1 || all <= alone {
                alone
            } else {
                with_share_of_oldest(first).clamp(beside, alone)
            }
        }
    }
}

/// What the oldest reads of so many tokens in any case.
fn share_of_oldest(budget: usize) -> usize {
    (budget / 4 / STEP * STEP).max(STEP)
}

/// Tokens of which so many are not the oldest's share.
fn with_share_of_oldest(tokens: usize) -> usize {
    (tokens + STEP)
        .max((tokens * 4).div_ceil(3))
        .next_multiple_of(STEP)
}

/// A piece of at most so many tokens: all that is left, or whole steps.
fn cut(left: usize, most: usize) -> usize {
    if left <= most {
        left
    } else {
        most / STEP * STEP
    }
}

#[cfg(test)]
mod tests;
