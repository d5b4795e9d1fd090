//! What rates and budgets admit, to the microsecond, and that no order of calls gets more than there is.

use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_774_000_000_000_000;

#[test]
fn a_rate_is_its_amount_at_once_and_as_much_again_in_its_time() {
    // Seven in a second: each takes 142857 1/7 microseconds to come back, and none of that is lost.
    let rate = Rate::new(7, 1);
    let mut bucket = None;
    for _ in 0..7 {
        bucket = Some(rate.take(bucket, NOW, 1).unwrap());
    }
    for (after, expected) in [
        (0, Err(Wait::For(142_858))),
        (142_857, Err(Wait::For(1))),
        (142_858, Ok(())),
    ] {
        let found = rate.take(bucket, NOW + after, 1).map(|_| ());
        assert_eq!(found, expected, "{after}");
    }
    let whole = |bucket, at| rate.left(bucket, at);
    assert_eq!(whole(bucket, NOW).amount, 0);
    assert_eq!(whole(bucket, NOW).whole_in, Some(1_000_000));
    assert_eq!(whole(bucket, NOW + 500_000).amount, 3);
    assert_eq!(whole(bucket, NOW + 1_000_000).amount, 7);
    assert_eq!(whole(None, NOW).whole_in, Some(0));
    // After a second all seven are there again, and no eighth, however long it is.
    for later in [1_000_000, 90_000_000] {
        assert_eq!(
            rate.take(bucket, NOW + later, 7).map(|_| ()),
            Ok(()),
            "{later}"
        );
        assert_eq!(rate.take(bucket, NOW + later, 8), Err(Wait::Never));
    }
}

#[test]
fn what_never_fits_is_refused_at_once_and_nothing_always_fits() {
    for (amount, asked, expected) in [
        (100, 101, Err(Wait::Never)),
        (100, u64::MAX, Err(Wait::Never)),
        (0, 1, Err(Wait::Never)),
        (100, 100, Ok(())),
        (100, 0, Ok(())),
        (0, 0, Ok(())),
        (u64::MAX, MAX_AMOUNT, Ok(())),
        (u64::MAX, u64::MAX, Err(Wait::Never)),
    ] {
        for seconds in [0, 1, u64::from(u32::MAX)] {
            for now in [i64::MIN, 0, NOW, i64::MAX] {
                let found = Rate::new(amount, seconds).take(None, now, asked);
                assert_eq!(found.map(|_| ()), expected, "{amount} {asked} {now}");
            }
        }
    }
    let none = Rate::new(0, 60);
    assert_eq!(none.left(None, NOW).amount, 0);
    let bucket = Bucket::full(NOW);
    assert_eq!(none.settle(Some(bucket), &bucket, NOW, 0, 9), Some(bucket));
}

#[test]
fn what_was_not_spent_is_given_back_and_what_was_spent_beyond_is_taken() {
    let rate = Rate::new(60, 60);
    let then = rate.take(None, NOW, 60).unwrap();
    for (after, spent, left) in [
        // At once: exactly what was not spent.
        (0, 60, 0),
        (0, 59, 1),
        (0, 0, 60),
        (0, 90, 0),
        // Ten seconds later ten have come back by themselves.
        (10_000_000, 60, 10),
        (10_000_000, 20, 50),
        (10_000_000, 0, 60),
        (10_000_000, 65, 5),
    ] {
        let now = NOW + after;
        let bucket = rate.settle(Some(then), &then, now, 60, spent);
        assert_eq!(rate.left(bucket, now).amount, left, "{after} {spent}");
    }
    let beyond = rate.settle(Some(then), &then, NOW, 60, 90);
    assert_eq!(rate.take(beyond, NOW, 1), Err(Wait::For(31_000_000)));
}

#[test]
fn what_has_come_back_by_itself_is_not_given_back_again() {
    let rate = Rate::new(60, 60);
    let first = rate.take(None, NOW, 60).unwrap();
    // A minute later the bucket is full and is emptied by another; then the first turns out to have spent nothing.
    let later = NOW + 60_000_000;
    let second = rate.take(Some(first), later, 60).unwrap();
    let settled = rate.settle(Some(second), &first, later, 60, 0);
    assert_eq!(settled, Some(second));

    // One that was moved by what was given back before it is not where it was.
    let rate = Rate::new(100, 100);
    let first = rate.take(None, NOW, 60).unwrap();
    let second = rate.take(Some(first), NOW, 10).unwrap();
    let now = NOW + 5_000_000;
    let bucket = rate.settle(Some(second), &first, now, 60, 0).unwrap();
    let now = NOW + 20_000_000;
    let third = rate.take(Some(bucket), now, 50).unwrap();
    let settled = rate.settle(Some(third), &second, now, 10, 0).unwrap();
    assert_eq!(rate.left(Some(settled), now).amount, 50);
}

#[test]
fn a_bucket_that_was_forgotten_gives_nothing_back() {
    let rate = Rate::new(60, 60);
    let then = rate.take(None, NOW, 60).unwrap();
    assert_eq!(rate.settle(None, &then, NOW, 60, 0), None);
    let anew = rate.take(None, NOW + 1, 60).unwrap();
    let settled = rate.settle(Some(anew), &then, NOW + 1, 60, 0);
    assert_eq!(settled, Some(anew));
    let beyond = rate.settle(None, &then, NOW, 0, 9);
    assert_eq!(rate.left(beyond, NOW).amount, 51);
}

#[test]
fn a_budget_is_a_sum_until_its_window_ends() {
    let day = Budget {
        amount: 100,
        ends_us: Some(NOW + 5),
    };
    let ever = Budget {
        amount: 100,
        ends_us: None,
    };
    for (budget, used, asked, expected) in [
        (day, 0, 100, Ok(100)),
        (day, 99, 1, Ok(100)),
        (day, 100, 1, Err(Wait::For(5))),
        (day, 0, 101, Err(Wait::Never)),
        (day, 250, 0, Ok(250)),
        (day, u64::MAX, 1, Err(Wait::For(5))),
        (ever, 99, 1, Ok(100)),
        (ever, 100, 1, Err(Wait::Never)),
    ] {
        assert_eq!(budget.take(used, NOW, asked), expected, "{used} {asked}");
    }
    assert_eq!(day.left(30, NOW).amount, 70);
    assert_eq!(day.left(130, NOW).amount, 0);
    assert_eq!(ever.left(30, NOW).whole_in, None);
    for (used, reserved, spent, expected) in [
        (50, 20, 5, 35),
        (50, 20, 20, 50),
        (50, 20, 25, 55),
        (10, 20, 5, 0),
        (u64::MAX, 1, 9, u64::MAX),
    ] {
        assert_eq!(settled(used, reserved, spent), expected);
    }
}

/// What happens to a bucket: time goes by, then a call asks for so much, or one that was admitted is settled.
#[derive(Debug, Clone)]
enum Step {
    Take { asked: u64 },
    Settle { which: usize, spent: u64 },
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let time = prop_oneof![Just(0), 0_i64..3, 0_i64..200_000, 0_i64..40_000_000];
    let step = prop_oneof![
        (0_u64..70).prop_map(|asked| Step::Take { asked }),
        (0_u64..4).prop_map(|asked| Step::Take { asked }),
        (any::<usize>(), 0_u64..70).prop_map(|(which, spent)| Step::Settle { which, spent }),
    ];
    proptest::collection::vec((time, step), 1..60)
}

struct Call {
    at: i64,
    /// As far as it is known: what was reserved, until it is settled.
    spent: u64,
    reserved: u64,
    then: Bucket,
    is_open: bool,
}

proptest! {
    #[test]
    fn no_run_of_calls_gets_more_than_the_amount_and_what_has_come_since(
        steps in steps(),
        amount in prop_oneof![Just(1_u64), Just(3), Just(7), Just(60)],
        seconds in prop_oneof![Just(1_u64), Just(7), Just(60)],
    ) {
        let rate = Rate::new(amount, seconds);
        let (mut now, mut bucket) = (NOW, None);
        let mut calls: Vec<Call> = Vec::new();
        for (time, step) in steps {
            now += time;
            match step {
                Step::Take { asked } => {
                    let left = rate.left(bucket, now);
                    let whole_in = left.whole_in.unwrap();
                    prop_assert_eq!(rate.left(bucket, now + whole_in).amount, amount);
                    match rate.take(bucket, now, asked) {
                        Ok(then) => {
                            prop_assert!(asked <= left.amount);
                            let call = Call { at: now, spent: asked, reserved: asked, then, is_open: true };
                            calls.push(call);
                            bucket = Some(then);
                        }
                        Err(Wait::Never) => prop_assert!(asked > amount),
                        Err(Wait::For(wait)) => {
                            prop_assert!(asked > left.amount && wait > 0);
                            prop_assert!(rate.take(bucket, now + wait, asked).is_ok());
                            prop_assert_eq!(
                                rate.take(bucket, now + wait - 1, asked),
                                Err(Wait::For(1))
                            );
                        }
                    }
                }
                Step::Settle { which, spent } => {
                    let mut open: Vec<&mut Call> = calls.iter_mut().filter(|c| c.is_open).collect();
                    if open.is_empty() {
                        continue;
                    }
                    let which = which % open.len();
                    let call = &mut open[which];
                    call.spent = spent.min(call.reserved);
                    call.is_open = false;
                    bucket = rate.settle(bucket, &call.then, now, call.reserved, call.spent);
                }
            }
        }
        for (first, start) in calls.iter().enumerate() {
            let mut sum = 0;
            for call in &calls[first..] {
                sum += i128::from(call.spent);
                let time = rate.period + i128::from(call.at - start.at);
                prop_assert!(sum * rate.period <= rate.amount * time);
            }
        }
    }
}
