//! What is kept of an answer, and for how long.

use std::collections::HashMap;

use praxis_core::ToolCallDelta;
use proptest::prelude::*;

use super::*;

fn token(text: &str) -> TokenLogprob {
    TokenLogprob {
        token: text.to_owned(),
        logprob: -0.5,
        bytes: Some(text.as_bytes().to_vec()),
        top_logprobs: Vec::new(),
    }
}

fn call(index: usize, id: Option<&str>, name: Option<&str>, arguments: &str) -> Piece {
    Piece::ToolCall(ToolCallDelta {
        index,
        id: id.map(str::to_owned),
        name: name.map(str::to_owned),
        arguments: arguments.to_owned(),
    })
}

/// Keeps an answer of these pieces.
fn kept(pieces: &[Piece]) -> Kept {
    let mut gathered = Gathered::default();
    for piece in pieces {
        assert!(gathered.push(piece, usize::MAX));
    }
    gathered.whole("gpt", FinishReason::Stop, USAGE)
}

#[test]
fn an_answer_comes_again_in_a_few_pieces() {
    let long = "ä".repeat(150);
    let with_tokens = Piece::Delta {
        text: "y".repeat(80),
        logprobs: vec![token("y")],
    };
    let pieces = [
        Piece::Reasoning("Hm".to_owned()),
        Piece::Reasoning(", well.".to_owned()),
        delta(""),
        delta(&long[..10]),
        delta(&long[10..]),
        with_tokens.clone(),
        delta("z"),
        call(0, Some("c"), Some("get"), ""),
        call(0, None, None, "{\"a\""),
        call(0, None, None, ":1}"),
        call(1, Some("d"), Some("got"), "{}"),
    ];
    let kept = Arc::new(kept(&pieces));
    let usage = Usage {
        cached_tokens: 100,
        cache_write_tokens: 0,
        ..USAGE
    };
    let expected = [
        Piece::Reasoning("Hm, well.".to_owned()),
        delta(&"ä".repeat(64)),
        delta(&"ä".repeat(64)),
        delta(&"ä".repeat(22)),
        with_tokens,
        delta("z"),
        call(0, Some("c"), Some("get"), "{\"a\":1}"),
        call(1, Some("d"), Some("got"), "{}"),
        Piece::Done {
            finish_reason: FinishReason::Stop,
            usage: Some(usage),
        },
    ];
    assert_eq!(again(&kept), expected);
    assert_eq!(again(&kept), expected, "as often as it is wanted");
    assert_eq!(kept.model(), "gpt");
}

/// A key for each number.
fn numbered(n: u8) -> Key {
    [n; 32]
}

fn sized(bytes: usize) -> Kept {
    kept(&[delta(&"x".repeat(bytes))])
}

#[test]
fn what_was_not_asked_for_the_longest_goes_first_after_what_has_ended() {
    let now = Instant::now();
    let at = |seconds| now + Duration::from_secs(seconds);
    let mut probe = Shelf::new(usize::MAX);
    assert!(probe.put(numbered(0), sized(1000), at(9), now));
    // Room for three.
    let mut shelf = Shelf::new(3 * probe.bytes());
    for n in 1..=3 {
        assert!(shelf.put(numbered(n), sized(1000), at(100), now));
    }
    assert!(shelf.get(&numbered(1), now).is_some());
    assert!(shelf.put(numbered(4), sized(1000), at(10), now));
    let here = |shelf: &mut Shelf, time| {
        let numbers = 1..=9;
        // Asked in the order of their numbers, which is then the order of use.
        let here = numbers.filter(|n| shelf.get(&numbered(*n), time).is_some());
        here.collect::<Vec<u8>>()
    };
    assert_eq!(here(&mut shelf, now), [1, 3, 4]);
    // The fourth was used last, but it has ended.
    assert!(shelf.put(numbered(5), sized(1000), at(100), at(10)));
    assert_eq!(here(&mut shelf, at(10)), [1, 3, 5]);
    // One that takes the room of two.
    assert!(shelf.put(numbered(6), sized(1800), at(100), at(10)));
    assert_eq!(here(&mut shelf, at(10)), [5, 6]);
    // One for which there is no room leaves the others.
    assert!(!shelf.put(numbered(7), sized(9000), at(100), at(10)));
    assert_eq!(here(&mut shelf, at(10)), [5, 6]);
    // One that ended goes when it is asked for.
    assert!(here(&mut shelf, at(100)).is_empty());
    assert_eq!(shelf.bytes(), 0);
    assert!(!Shelf::new(0).put(numbered(0), sized(0), at(1), now));
}

#[derive(Debug, Clone)]
enum Step {
    Put { key: u8, size: usize, ttl: u64 },
    Get { key: u8 },
    Wait { seconds: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0_u8..12, 0_usize..3000, 0_u64..50).prop_map(|(key, size, ttl)| Step::Put {
            key,
            size,
            ttl
        }),
        (0_u8..12).prop_map(|key| Step::Get { key }),
        (0_u64..20).prop_map(|seconds| Step::Wait { seconds }),
    ];
    proptest::collection::vec(step, 0..200)
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let id = || proptest::option::of("[a-c]{0,2}");
    let piece = prop_oneof![
        "\\PC{0,90}".prop_map(|text| delta(&text)),
        "\\PC{0,90}".prop_map(Piece::Reasoning),
        "\\PC{0,90}".prop_map(|text| Piece::Delta {
            logprobs: vec![token(&text)],
            text,
        }),
        (0_usize..4, id(), id(), "[a-z{}]{0,9}").prop_map(|(index, id, name, arguments)| {
            call(index, id.as_deref(), name.as_deref(), &arguments)
        }),
    ];
    proptest::collection::vec(piece, 0..40)
}

proptest! {
    #[test]
    fn a_shelf_keeps_its_bound_and_gives_what_was_put_there(
        most in 0_usize..12_000,
        steps in steps(),
    ) {
        let mut now = Instant::now();
        let mut shelf = Shelf::new(most);
        let mut put: HashMap<u8, (Kept, Instant)> = HashMap::new();
        for step in steps {
            match step {
                Step::Put { key, size, ttl } => {
                    let (kept, ends) = (sized(size), now + Duration::from_secs(ttl));
                    if shelf.put(numbered(key), kept.clone(), ends, now) {
                        put.insert(key, (kept.clone(), ends));
                        if ttl > 0 {
                            let found = shelf.get(&numbered(key), now);
                            prop_assert_eq!(found.as_deref(), Some(&kept));
                        }
                    } else {
                        prop_assert!(kept.bytes() + 1024 > most);
                    }
                }
                Step::Get { key } => {
                    if let Some(found) = shelf.get(&numbered(key), now) {
                        let (kept, ends) = &put[&key];
                        prop_assert_eq!(&*found, kept);
                        prop_assert!(now < *ends);
                    }
                }
                Step::Wait { seconds } => now += Duration::from_secs(seconds),
            }
            prop_assert!(shelf.is_sound());
            prop_assert!(shelf.bytes() <= most);
        }
    }

    #[test]
    fn an_answer_that_comes_again_is_the_same(pieces in pieces()) {
        let kept = Arc::new(kept(&pieces));
        let again = again(&kept);
        let (first, second) = (whole(&pieces), whole(&again));
        prop_assert_eq!((&first.0, &first.1), (&second.0, &second.1));
        prop_assert_eq!((&first.2, &first.3), (&second.2, &second.3));
        prop_assert_eq!(second.4.map(|done| done.0), Some(FinishReason::Stop));
        for piece in &again {
            if let Piece::Delta { text, logprobs } = piece {
                let length = text.chars().count();
                prop_assert!(!logprobs.is_empty() || (1..=kept::PIECE).contains(&length));
            }
        }
    }

    #[test]
    fn no_more_is_gathered_than_may_be(pieces in pieces(), most in 0_usize..3000) {
        let mut gathered = Gathered::default();
        for piece in &pieces {
            if !gathered.push(piece, most) {
                break;
            }
        }
        let whole = gathered.whole("gpt", FinishReason::Stop, USAGE);
        // Beside the pieces there is their list, and what an allocator needs for what was put together.
        prop_assert!(whole.bytes() <= 2 * most + 1024);
    }
}
