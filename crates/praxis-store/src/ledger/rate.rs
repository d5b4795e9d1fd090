//! What a limit has room for: functions of its row, the time and what is asked for, exact in integers. A rate is a
//! token bucket kept as the time at which it is full again, the theoretical arrival time of GCRA. Left out: rows, and
//! claims on several limits.
//!
//! # Why giving back is bounded
//!
//! What was reserved flows back by itself as time goes. To give back what has flowed back already would make a
//! bucket fuller than it is, so the time moves back no further than the part of a reservation that lies ahead: from
//! now to the time at which the bucket would have been full after it. Others that were moved back since may have
//! moved this part, so it is taken to be nearer by all of that. The bucket is then never fuller than it would be had
//! each call asked for what it spent, and as full where calls are in a hurry.

use praxis_core::ledger::MAX_AMOUNT;

/// Microseconds of a second.
const SECOND: i128 = 1_000_000;

/// The last microsecond that is told apart, in the year 2255, so that no product overflows.
const LAST_US: i64 = 1 << 53;

/// Why there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// There is after so many microseconds, and not before.
    For(i64),
    /// There never is.
    Never,
}

/// What is left of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    /// How much.
    pub(super) amount: u64,
    /// Microseconds until all of it is there; none where it never is.
    pub(super) whole_in: Option<i64>,
}

/// A rate: so much in so many seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    amount: i128,
    period: i128,
}

/// A bucket as its row has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bucket {
    /// When it is full again, in microseconds since the epoch, and what is over of one, in parts of the amount.
    pub(super) tat_us: i64,
    pub(super) tat_part: i64,
    /// By how many microseconds it was moved back in all.
    pub(super) given_us: i64,
    /// When the row was made: tells it from one that was there before and was forgotten.
    pub(super) born_us: i64,
}

impl Bucket {
    fn full(now: i64) -> Self {
        Self {
            tat_us: now,
            tat_part: 0,
            given_us: 0,
            born_us: now,
        }
    }
}

/// All times within are microseconds times the amount, so that one of what is counted is a whole number of them.
impl Rate {
    pub(super) fn new(amount: u64, seconds: u64) -> Self {
        Self {
            amount: i128::from(amount.min(MAX_AMOUNT)),
            period: i128::from(seconds.max(1)) * SECOND,
        }
    }

    fn time(&self, us: i64) -> i128 {
        i128::from(us) * self.amount
    }

    fn full_at(&self, bucket: &Bucket) -> i128 {
        self.time(bucket.tat_us) + i128::from(bucket.tat_part)
    }

    fn moved(&self, bucket: Bucket, full_at: i128) -> Bucket {
        Bucket {
            tat_us: clip(full_at.div_euclid(self.amount)),
            tat_part: clip(full_at.rem_euclid(self.amount)),
            ..bucket
        }
    }

    /// Takes `asked` from a bucket, or says how long there is no room for it. Nothing always has room.
    pub(super) fn take(
        &self,
        bucket: Option<Bucket>,
        now: i64,
        asked: u64,
    ) -> Result<Bucket, Wait> {
        let now = now.clamp(0, LAST_US);
        let bucket = bucket.unwrap_or_else(|| Bucket::full(now));
        let asked = i128::from(asked);
        if asked == 0 {
            return Ok(bucket);
        }
        if asked > self.amount {
            return Err(Wait::Never);
        }
        let full_at = self.full_at(&bucket).max(self.time(now)) + asked * self.period;
        let excess = full_at - self.time(now) - self.period * self.amount;
        if excess > 0 {
            return Err(Wait::For(clip(ceil_div(excess, self.amount))));
        }
        Ok(self.moved(bucket, full_at))
    }

    /// Puts what was spent in the place of what was reserved. `then` is the bucket as the reservation left it.
    /// None where there is no row, and no need of one.
    pub(super) fn settle(
        &self,
        bucket: Option<Bucket>,
        then: &Bucket,
        now: i64,
        reserved: u64,
        spent: u64,
    ) -> Option<Bucket> {
        let now = now.clamp(0, LAST_US);
        let over = (i128::from(spent) - i128::from(reserved)) * self.period;
        if over == 0 || self.amount == 0 {
            return bucket;
        }
        if over > 0 {
            let bucket = bucket.unwrap_or_else(|| Bucket::full(now));
            let full_at = self.full_at(&bucket).max(self.time(now));
            return Some(self.moved(bucket, full_at + over));
        }
        let bucket = bucket?;
        if bucket.born_us != then.born_us {
            return Some(bucket);
        }
        let since = bucket.given_us.saturating_sub(then.given_us);
        let ahead = self.full_at(then) - self.time(since) - self.time(now);
        let back = (-over).min(ahead).max(0);
        let moved = self.moved(bucket, self.full_at(&bucket) - back);
        Some(Bucket {
            given_us: clip(i128::from(bucket.given_us) + ceil_div(back, self.amount)),
            ..moved
        })
    }

    /// What is left in a bucket.
    pub(super) fn left(&self, bucket: Option<Bucket>, now: i64) -> Left {
        let now = now.clamp(0, LAST_US);
        let whole = self.amount * self.period;
        let missing = match bucket {
            Some(bucket) => (self.full_at(&bucket) - self.time(now)).max(0),
            None => 0,
        };
        Left {
            amount: u64::try_from((whole - missing).max(0) / self.period).unwrap_or(0),
            whole_in: match self.amount {
                0 => None,
                amount => Some(clip(ceil_div(missing, amount))),
            },
        }
    }
}

/// Of two numbers of which the second is positive.
fn ceil_div(a: i128, b: i128) -> i128 {
    -(-a).div_euclid(b)
}

fn clip(number: i128) -> i64 {
    i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX })
}

/// A budget that is counted in windows: the amount, and when the window ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    pub(super) amount: u64,
    pub(super) ends_us: Option<i64>,
}

impl Budget {
    /// Adds `asked` to what is used of it, or says how long there is no room. Nothing always has room.
    pub(super) fn take(&self, used: u64, now: i64, asked: u64) -> Result<u64, Wait> {
        if asked == 0 {
            return Ok(used);
        }
        match used.checked_add(asked) {
            Some(sum) if sum <= self.amount => Ok(sum),
            _ if asked > self.amount => Err(Wait::Never),
            _ => Err(self.rest_of_window(now).map_or(Wait::Never, Wait::For)),
        }
    }

    /// What is left of it.
    pub(super) fn left(&self, used: u64, now: i64) -> Left {
        Left {
            amount: self.amount.saturating_sub(used),
            whole_in: self.rest_of_window(now),
        }
    }

    fn rest_of_window(&self, now: i64) -> Option<i64> {
        Some(self.ends_us?.saturating_sub(now).max(0))
    }
}

/// Puts what was spent in the place of what was reserved in a sum.
pub(super) fn settled(used: u64, reserved: u64, spent: u64) -> u64 {
    match spent.checked_sub(reserved) {
        Some(over) => used.saturating_add(over),
        None => used.saturating_sub(reserved - spent),
    }
}

#[cfg(test)]
mod tests;
