//! What passes read, of machines whose times are made up: a pass takes some time for itself, and
//! some for each token.

use super::*;

/// Seconds that a pass takes by itself, and for each token that it reads.
#[derive(Clone, Copy)]
struct Machine {
    pass: f64,
    token: f64,
}

/// A small model on a fast machine, a larger one, one of seven billion weights, and a matrix unit for
/// which weights have to be prepared in each pass.
const MACHINES: [Machine; 4] = [
    Machine {
        pass: 0.004,
        token: 0.000_5,
    },
    Machine {
        pass: 0.04,
        token: 0.005,
    },
    Machine {
        pass: 0.2,
        token: 0.025,
    },
    Machine {
        pass: 0.1,
        token: 0.001_7,
    },
];

impl Machine {
    fn time(self, tokens: usize) -> f64 {
        self.pass + self.token * tokens as f64
    }

    /// Makes a pass; how long it took.
    fn read(self, pace: &mut Pace, shares: &[Share], readers: &mut Vec<Reader>) -> f64 {
        let mut all = 0;
        for share in shares {
            for reader in readers.iter_mut() {
                if reader.place == share.place {
                    reader.left -= share.tokens;
                }
            }
            all += share.tokens;
        }
        readers.retain(|reader| reader.left > 0);
        let time = self.time(all);
        pace.learn(all, Duration::from_secs_f64(time));
        time
    }

    /// A pace that was learned by reading a long prompt.
    fn pace(self, answers: Answers) -> Pace {
        let mut pace = Pace::default();
        let mut readers = vec![reader(0, 8000)];
        while !readers.is_empty() {
            let shares = shares(&pace, answers, &readers, |_, _| false);
            self.read(&mut pace, &shares, &mut readers);
        }
        pace
    }
}

fn reader(place: usize, left: usize) -> Reader {
    Reader {
        place,
        left,
        batch: false,
    }
}

/// What a pass reads where nobody waits for another.
fn plan(pace: &Pace, answers: Answers, readers: &[Reader]) -> Vec<(usize, usize)> {
    let shares = shares(pace, answers, readers, |_, _| false);
    shares.iter().map(|s| (s.place, s.tokens)).collect()
}

/// A pace at which a second reads so many tokens.
fn pace(tokens: usize) -> Pace {
    let mut pace = Pace::default();
    pace.learn(tokens, Duration::from_secs(1));
    pace
}

#[test]
fn answers_in_progress_wait_a_bounded_time_for_each_piece_of_a_long_prompt() {
    for machine in MACHINES {
        // Until then it was alone, and read in large pieces.
        let mut pace = machine.pace(Answers::None);
        let mut readers = vec![reader(0, 4000)];
        let mut times = Vec::new();
        while !readers.is_empty() {
            let shares = shares(&pace, Answers::Beside, &readers, |_, _| false);
            times.push(machine.time(shares[0].tokens));
            machine.read(&mut pace, &shares, &mut readers);
        }
        // The first is planned by what large pieces took.
        let least = machine.time(BESIDE.least);
        let most = (BESIDE.time.as_secs_f64() + machine.pass).max(least);
        assert!(times[0] <= most * 1.01, "{} of {most}", times[0]);
        let most = (BESIDE.time.as_secs_f64() * 1.1).max(least);
        for time in &times[4..] {
            assert!(*time <= most * 1.01, "{time} of {most}");
        }
    }
}

#[test]
fn a_prompt_alone_is_read_about_as_fast_as_in_the_largest_pieces() {
    for machine in MACHINES {
        let mut pace = machine.pace(Answers::None);
        let mut readers = vec![reader(0, 4096)];
        let mut time = 0.0;
        while !readers.is_empty() {
            let shares = shares(&pace, Answers::None, &readers, |_, _| false);
            time += machine.read(&mut pace, &shares, &mut readers);
        }
        let best = 8.0 * machine.time(512);
        assert!(time < 1.06 * best, "{time} beside {best}");
    }
    // Nor does it stay slow after it was read beside answers.
    let machine = MACHINES[3];
    let mut pace = machine.pace(Answers::Beside);
    let mut readers = vec![reader(0, 4096)];
    let mut pieces = Vec::new();
    while !readers.is_empty() {
        let shares = shares(&pace, Answers::None, &readers, |_, _| false);
        pieces.push(shares[0].tokens);
        machine.read(&mut pace, &shares, &mut readers);
    }
    assert!(pieces[3] >= 448, "{pieces:?}");
}

#[test]
fn a_short_prompt_that_comes_while_a_long_one_is_read_is_read_in_the_next_pass() {
    for machine in MACHINES {
        let pace = machine.pace(Answers::None);
        let (long, short) = (reader(0, 4000), reader(1, 30));
        let shares = plan(&pace, Answers::None, &[long, short]);
        assert!(shares.contains(&(1, 30)), "{shares:?}");
        let tokens: usize = shares.iter().map(|(_, tokens)| tokens).sum();
        let alone = machine.time(30);
        // The pass may be filled up where that takes no longer than answers wait anyway.
        let most = (1.7 * alone).max(BESIDE.time.as_secs_f64() + machine.pass);
        assert!(machine.time(tokens) < most, "{shares:?}: {alone}");
    }
}

#[test]
fn answers_wait_for_a_short_prompt_and_not_for_a_long_one() {
    let pace = pace(400);
    assert!(holds_up(&pace, &[reader(0, 4000), reader(1, 90)]));
    assert!(!holds_up(&pace, &[reader(0, 4000), reader(1, 130)]));
    assert!(!holds_up(&pace, &[]));
    // What nobody waits for is nothing to wait for.
    let batch = Reader {
        batch: true,
        ..reader(1, 90)
    };
    assert!(!holds_up(&pace, &[reader(0, 4000), batch]));
    assert!(!holds_up(&pace, &[batch]));
    assert!(holds_up(&pace, &[batch, reader(2, 100)]));
    let readers = [reader(0, 4000), reader(1, 90)];
    assert_eq!(plan(&pace, Answers::Waiting, &readers), [(0, 32), (1, 90)]);
}

#[test]
fn the_shortest_goes_first_and_the_oldest_reads_a_quarter_in_any_case() {
    let pace = pace(1000);
    for (what, lefts, expected) in [
        ("alone", vec![4000], vec![(0, 96)]),
        ("a short end", vec![7], vec![(0, 7)]),
        ("a shorter one", vec![4000, 50], vec![(0, 32), (1, 50)]),
        (
            "two shorter ones",
            vec![4000, 30, 20],
            vec![(0, 32), (2, 20), (1, 30)],
        ),
        (
            "more than the pass has",
            vec![4000, 500, 300],
            vec![(0, 16), (2, 80)],
        ),
        ("the oldest is the shortest", vec![300, 4000], vec![(0, 96)]),
        ("the oldest ends", vec![20, 4000], vec![(0, 20), (1, 64)]),
        ("of equals the older", vec![100, 100], vec![(0, 96)]),
    ] {
        let readers: Vec<_> = lefts
            .into_iter()
            .enumerate()
            .map(|(i, n)| reader(i, n))
            .collect();
        assert_eq!(plan(&pace, Answers::Beside, &readers), expected, "{what}");
    }
}

#[test]
fn a_long_prompt_ends_however_many_short_ones_come() {
    let machine = MACHINES[1];
    let mut pace = machine.pace(Answers::None);
    let mut readers = vec![reader(0, 2000)];
    let mut passes = 0;
    while readers.iter().any(|reader| reader.place == 0) {
        passes += 1;
        readers.extend([reader(2 * passes, 100), reader(2 * passes + 1, 100)]);
        let shares = shares(&pace, Answers::Beside, &readers, |_, _| false);
        machine.read(&mut pace, &shares, &mut readers);
        assert!(passes <= 2000 / STEP, "the oldest was put off");
    }
}

#[test]
fn whoever_waits_goes_before_what_nobody_waits_for() {
    let pace = pace(1000);
    let batch = Reader {
        batch: true,
        ..reader(1, 20)
    };
    let readers = [reader(0, 2000), batch, reader(2, 80)];
    let expected = [(0, 16), (2, 80)];
    assert_eq!(plan(&pace, Answers::Beside, &readers), expected);
}

#[test]
fn what_prompts_begin_with_is_read_once() {
    let pace = pace(1000);
    let readers = [reader(0, 600), reader(1, 50), reader(2, 50), reader(3, 400)];
    let same = |place: usize, other: usize| place == 2 && other == 1;
    let read = shares(&pace, Answers::None, &readers, same);
    let places: Vec<_> = read.iter().map(|share| share.place).collect();
    assert!(!places.contains(&2), "{read:?}");
    assert!(places.contains(&1), "{read:?}");
}

#[test]
fn pieces_are_whole_steps_within_their_bounds_at_any_pace() {
    for per_second in [1, 20, 70, 333, 1000, 5000, 1_000_000] {
        for (answers, bound) in [(Answers::Beside, &BESIDE), (Answers::None, &ALONE)] {
            let read = plan(&pace(per_second.max(STEP)), answers, &[reader(0, 9000)]);
            let [(0, tokens)] = read[..] else {
                panic!("{read:?}");
            };
            assert!((bound.least..=bound.most).contains(&tokens), "{read:?}");
            assert_eq!(tokens % STEP, 0);
        }
    }
    let first = plan(&Pace::default(), Answers::None, &[reader(0, 9000)]);
    assert_eq!(first, [(0, ALONE.least)], "before anything was measured");
}

#[test]
fn a_pass_of_a_few_tokens_says_nothing_about_reading() {
    let mut pace = pace(1000);
    let before = pace.time(100);
    pace.learn(1, Duration::from_secs(3));
    assert_eq!(pace.time(100), before);
    pace.learn(512, Duration::from_secs(512));
    assert!(pace.time(1).unwrap() > Duration::from_millis(880));
}
