//! What of a conversation a model reads: messages are left out until the rest fits the window, by a
//! policy and never silently. Pure: sizes come in, a decision comes out; who asks counts the tokens,
//! has the summary written and notes in the trace what was left out. Left out: shortening a message.
//!
//! System messages and the last turn (the last message of the user and what follows it) always stay.
//! Other turns, which are a message of the user with its answers, stay or go whole.

use praxis_core::{CallError, ErrorCode, Message, Role};
use serde::Serialize;
use serde_json::{Value, json};

/// The most tokens that a summary is given, and the share of the room that it may take.
const SUMMARY_TOKENS: usize = 512;
const SUMMARY_SHARE: usize = 8;

/// Which turns go first where a conversation is too long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// The oldest.
    #[default]
    OldestFirst,
    /// The oldest, but never the first messages (system messages not counted).
    Pinned {
        /// How many stay, with the rest of their turns.
        first: usize,
    },
    /// The oldest, and room is kept for a summary of them.
    Summary,
}

/// What stays and what goes. Numbers are places in the messages that were given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fitted {
    /// What stays, in order.
    pub kept: Vec<usize>,
    /// What goes, in order.
    pub dropped: Vec<usize>,
    /// Tokens of what stays, without the summary.
    pub tokens: usize,
    /// Tokens of what goes.
    pub dropped_tokens: usize,
    /// The summary to have written, where the policy wants one and something goes.
    pub summary: Option<Summary>,
    policy: Policy,
}

/// A summary of the dropped messages, which the caller has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Its place among the messages that stay: as a system message before this one.
    pub at: usize,
    /// The most tokens that it may have, marks of the template included.
    pub tokens: usize,
}

/// What a conversation has to fit into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Tokens that the model reads and writes at most.
    pub window: usize,
    /// Tokens that the answer may take.
    pub answer: usize,
    /// Tokens of the tools that the model is told of.
    pub tools: usize,
}

/// What takes the most of a prompt that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The system messages.
    System,
    /// Earlier messages that the policy keeps.
    Pinned,
    /// The last message of the user and what follows it.
    Last,
    /// The room that the answer wants.
    Answer,
    /// What the model is told of tools.
    Tools,
}

/// A conversation that does not fit whatever may be left out of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the prompt has {prompt} tokens that cannot be left out{} and the answer may take {answer}, together \
     more than the model's window of {window}; the largest part is {}, with {largest_tokens} tokens",
    beside(.tools),
    .largest.name()
)]
pub struct TooLong {
    /// Tokens of all that stays whatever happens.
    pub prompt: usize,
    /// Tokens that the model reads and writes at most.
    pub window: usize,
    /// Tokens that the answer may take.
    pub answer: usize,
    /// Tokens of tools.
    pub tools: usize,
    /// The part that takes the most.
    pub largest: Part,
    /// Its tokens.
    pub largest_tokens: usize,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::System => "the system messages",
            Part::Pinned => "the pinned messages",
            Part::Last => "the last message",
            Part::Answer => "the answer's room",
            Part::Tools => "the descriptions of its tools",
        }
    }

    fn fix(self) -> &'static str {
        match self {
            Part::System => "shorten the prompt's instructions, or let fewer passages in",
            Part::Pinned => "pin fewer messages: `pinned` of `praxis.history`",
            Part::Last => "shorten the input",
            Part::Answer => "lower `maxOutputTokens`",
            Part::Tools => "name fewer `tools`, or shorten their descriptions and input schemas",
        }
    }
}

/// What a prompt has beside its messages, in a clause.
fn beside(tools: &usize) -> String {
    match tools {
        0 => String::new(),
        tools => format!(", its tools take {tools}"),
    }
}

impl From<TooLong> for CallError {
    fn from(error: TooLong) -> Self {
        CallError::new(ErrorCode::ContextLengthExceeded, error.to_string()).with_hint(format!(
            "{}, or use a model with a longer context",
            error.largest.fix()
        ))
    }
}

/// Leaves out what must go for `messages`, whose tokens are `sizes`, to fit the room. A missing size counts
/// as 0.
///
/// # Errors
/// [`TooLong`] where what must stay does not fit.
pub fn fit(
    messages: &[Message],
    sizes: &[usize],
    into: Room,
    policy: Policy,
) -> Result<Fitted, TooLong> {
    let mut state = State::new(messages, sizes, policy);
    let taken = into.answer.saturating_add(into.tools);
    let room = into.window.saturating_sub(taken);
    if taken <= into.window && state.tokens() <= room {
        return Ok(state.fitted(None));
    }
    let reserve = match policy {
        Policy::Summary => (room / SUMMARY_SHARE).min(SUMMARY_TOKENS),
        Policy::OldestFirst | Policy::Pinned { .. } => 0,
    };
    while state.tokens() + reserve > room && state.drop_oldest() {}
    // A summary gives way before a message that must stay does.
    if taken > into.window || state.tokens() > room {
        return Err(state.too_long(into));
    }
    let reserve = reserve.min(room - state.tokens());
    Ok(state.fitted((reserve > 0).then_some(reserve)))
}

/// Leaves out old turns until at most `most` messages beside system messages stay: the limit that a
/// prompt sets itself. A last turn that is longer stays whole, but where nothing may stay.
pub fn keep_latest(messages: &[Message], sizes: &[usize], most: usize, policy: Policy) -> Fitted {
    let mut state = State::new(messages, sizes, policy);
    if most == 0 {
        state.free_last();
    }
    while state.spoken() > most && state.drop_oldest() {}
    let tokens = matches!(policy, Policy::Summary).then_some(SUMMARY_TOKENS);
    state.fitted(tokens)
}

impl Fitted {
    /// The messages that stay.
    pub fn messages(&self, of: &[Message]) -> Vec<Message> {
        let stays = |i: &usize| of.get(*i).cloned();
        self.kept.iter().filter_map(stays).collect()
    }

    /// What the trace says about it; nothing where nothing was left out.
    pub fn report(&self) -> Option<Value> {
        (!self.dropped.is_empty()).then(|| {
            json!({
                "policy": self.policy,
                "dropped_messages": self.dropped,
                "dropped_tokens": self.dropped_tokens,
                "kept_tokens": self.tokens,
                "summarized": self.summary.is_some(),
            })
        })
    }
}

/// What a message is to the one who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    System,
    Last,
    Pinned,
    /// Of the turn with this number, the oldest first.
    Turn(usize),
}

/// The decision so far: turns below `dropped` are out.
struct State {
    standing: Vec<Standing>,
    sizes: Vec<usize>,
    turns: usize,
    dropped: usize,
    policy: Policy,
}

impl State {
    fn new(messages: &[Message], sizes: &[usize], policy: Policy) -> Self {
        let last = messages
            .iter()
            .rposition(|m| m.role == Role::User)
            .unwrap_or(messages.len().saturating_sub(1));
        let mut pins = match policy {
            Policy::Pinned { first } => first,
            Policy::OldestFirst | Policy::Summary => 0,
        };
        let (mut standing, mut turns) = (Vec::with_capacity(messages.len()), 0);
        // The standing of the turn that is being read.
        let mut turn = None;
        for (i, message) in messages.iter().enumerate() {
            if message.role == Role::System {
                standing.push(Standing::System);
                continue;
            }
            if i >= last {
                standing.push(Standing::Last);
                continue;
            }
            let now = match turn {
                Some(same) if message.role != Role::User => same,
                _ if pins > 0 => Standing::Pinned,
                _ => {
                    turns += 1;
                    Standing::Turn(turns - 1)
                }
            };
            pins = pins.saturating_sub(1);
            turn = Some(now);
            standing.push(now);
        }
        let sizes = (0..messages.len())
            .map(|i| sizes.get(i).copied().unwrap_or(0))
            .collect();
        Self {
            standing,
            sizes,
            turns,
            dropped: 0,
            policy,
        }
    }

    /// Makes the last turn one as the others.
    fn free_last(&mut self) {
        for standing in &mut self.standing {
            if *standing == Standing::Last {
                *standing = Standing::Turn(self.turns);
            }
        }
        self.turns += 1;
    }

    fn stays(&self, i: usize) -> bool {
        !matches!(self.standing[i], Standing::Turn(turn) if turn < self.dropped)
    }

    fn sum(&self, of: impl Fn(usize) -> bool) -> usize {
        let sizes = self.sizes.iter().enumerate();
        sizes
            .filter(|(i, _)| of(*i))
            .fold(0, |sum, (_, size)| sum.saturating_add(*size))
    }

    fn tokens(&self) -> usize {
        self.sum(|i| self.stays(i))
    }

    /// Messages that stay and are no system messages.
    fn spoken(&self) -> usize {
        (0..self.standing.len())
            .filter(|i| self.stays(*i) && self.standing[*i] != Standing::System)
            .count()
    }

    fn drop_oldest(&mut self) -> bool {
        let more = self.dropped < self.turns;
        self.dropped += usize::from(more);
        more
    }

    fn fitted(&self, summary: Option<usize>) -> Fitted {
        let (kept, dropped): (Vec<usize>, Vec<usize>) =
            (0..self.standing.len()).partition(|i| self.stays(*i));
        let summary = match (summary, dropped.first()) {
            (Some(tokens), Some(first)) => Some(Summary {
                at: kept.iter().filter(|k| *k < first).count(),
                tokens,
            }),
            _ => None,
        };
        Fitted {
            tokens: self.tokens(),
            dropped_tokens: self.sum(|i| !self.stays(i)),
            kept,
            dropped,
            summary,
            policy: self.policy,
        }
    }

    fn too_long(&self, room: Room) -> TooLong {
        let part = |wanted| self.sum(|i| self.standing[i] == wanted);
        let parts = [
            (Part::System, part(Standing::System)),
            (Part::Pinned, part(Standing::Pinned)),
            (Part::Last, part(Standing::Last)),
            (Part::Answer, room.answer),
            (Part::Tools, room.tools),
        ];
        let (largest, largest_tokens) = parts
            .into_iter()
            .max_by_key(|(_, tokens)| *tokens)
            .unwrap_or((Part::Last, 0));
        TooLong {
            prompt: self.tokens(),
            window: room.window,
            answer: room.answer,
            tools: room.tools,
            largest,
            largest_tokens,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Messages as letters: `s`ystem, `u`ser, `a`ssistant; each has ten tokens.
    fn messages(roles: &str) -> Vec<Message> {
        let message = |c| match c {
            's' => Message::system("x"),
            'u' => Message::user("x"),
            _ => Message::assistant("x"),
        };
        roles.chars().map(message).collect()
    }

    fn space(window: usize, answer: usize) -> Room {
        Room {
            window,
            answer,
            tools: 0,
        }
    }

    fn kept(roles: &str, room: usize, policy: Policy) -> Result<Vec<usize>, TooLong> {
        let messages = messages(roles);
        fit(
            &messages,
            &vec![10; messages.len()],
            space(room + 5, 5),
            policy,
        )
        .map(|f| f.kept)
    }

    #[test]
    fn turns_go_whole_and_the_oldest_first() {
        let pinned = |first| Policy::Pinned { first };
        for (roles, room, policy, expected) in [
            ("suauau", 60, Policy::OldestFirst, &[0, 1, 2, 3, 4, 5][..]),
            ("suauau", 59, Policy::OldestFirst, &[0, 3, 4, 5]),
            ("suauau", 39, Policy::OldestFirst, &[0, 5]),
            ("auau", 30, Policy::OldestFirst, &[1, 2, 3]),
            ("uasuau", 40, Policy::OldestFirst, &[2, 3, 4, 5]),
            ("uuuu", 20, Policy::OldestFirst, &[2, 3]),
            ("uaua", 20, Policy::OldestFirst, &[2, 3]),
            ("suauauau", 60, pinned(2), &[0, 1, 2, 5, 6, 7]),
            // A pinned message keeps its answer.
            ("uauau", 30, pinned(1), &[0, 1, 4]),
        ] {
            assert_eq!(
                kept(roles, room, policy).as_deref(),
                Ok(expected),
                "{roles} {room} {policy:?}"
            );
        }
    }

    #[test]
    fn a_summary_has_its_place_and_its_room() {
        let all = messages("suauauu");
        let fitted = fit(&all, &[10; 7], space(75, 7), Policy::Summary).unwrap();
        assert_eq!(
            (&fitted.kept[..], &fitted.dropped[..]),
            (&[0, 3, 4, 5, 6][..], &[1, 2][..])
        );
        assert_eq!(fitted.summary, Some(Summary { at: 1, tokens: 8 }));
        let report = fitted.report().unwrap();
        assert_eq!(report["dropped_tokens"], 20);
        assert_eq!(report["policy"], "summary");
        let fits = fit(&all, &[10; 7], space(100, 7), Policy::Summary).unwrap();
        assert_eq!((fits.summary, fits.report()), (None, None));
    }

    #[test]
    fn a_limit_of_messages_keeps_whole_turns() {
        let all = messages("suauauau");
        assert_eq!(
            keep_latest(&all, &[], 4, Policy::OldestFirst).kept,
            [0, 5, 6, 7]
        );
        assert_eq!(keep_latest(&all, &[], 0, Policy::OldestFirst).kept, [0]);
        let pinned = Policy::Pinned { first: 2 };
        assert_eq!(keep_latest(&all, &[], 0, pinned).kept, [0, 1, 2]);
    }

    #[test]
    fn what_cannot_fit_names_the_sizes() {
        let all = messages("suau");
        for (sizes, answer, part, words) in [
            (
                [900, 1, 1, 50],
                100,
                Part::System,
                "the system messages, with 900",
            ),
            (
                [10, 1, 1, 1200],
                100,
                Part::Last,
                "the last message, with 1200",
            ),
            (
                [10, 1, 1, 10],
                2000,
                Part::Answer,
                "the answer's room, with 2000",
            ),
        ] {
            let error = fit(&all, &sizes, space(1000, answer), Policy::OldestFirst).unwrap_err();
            assert_eq!(error.largest, part);
            assert_eq!((error.window, error.answer), (1000, answer));
            let text = error.to_string();
            assert!(text.contains(words) && text.contains("1000"), "{text}");
            let call = CallError::from(error);
            assert_eq!(call.code, ErrorCode::ContextLengthExceeded);
            assert!(call.hint.is_some());
        }
        let with_tools = Room {
            tools: 950,
            ..space(1000, 50)
        };
        let error = fit(&all, &[10; 4], with_tools, Policy::OldestFirst).unwrap_err();
        assert_eq!(error.largest, Part::Tools);
        let text = error.to_string();
        assert!(
            text.contains("its tools take 950 and the answer may take 50"),
            "{text}"
        );
        assert!(
            CallError::from(error)
                .hint
                .unwrap()
                .contains("fewer `tools`")
        );
    }

    fn policies() -> impl Strategy<Value = Policy> {
        prop_oneof![
            Just(Policy::OldestFirst),
            (0usize..5).prop_map(|first| Policy::Pinned { first }),
            Just(Policy::Summary)
        ]
    }

    proptest! {
        #[test]
        fn it_fits_keeps_order_and_never_drops_what_must_stay(
            roles in "[sua]{0,14}",
            sizes in proptest::collection::vec(0usize..60, 14),
            window in 0usize..600,
            answer in 0usize..200,
            policy in policies(),
        ) {
            let all = messages(&roles);
            // Where nobody asks, the last message is what is to be answered.
            let last = all.iter().rposition(|m| m.role == Role::User);
            let last = last.unwrap_or(all.len().saturating_sub(1));
            let must = |i: usize| all[i].role == Role::System || i >= last;
            match fit(&all, &sizes, space(window, answer), policy) {
                Ok(fitted) => {
                    let summary = fitted.summary.map_or(0, |s| s.tokens);
                    prop_assert!(fitted.tokens + summary + answer <= window);
                    prop_assert!(fitted.kept.is_sorted() && fitted.dropped.is_sorted());
                    let mut both = [fitted.kept.clone(), fitted.dropped.clone()].concat();
                    both.sort_unstable();
                    prop_assert_eq!(both, (0..all.len()).collect::<Vec<_>>());
                    prop_assert!(fitted.dropped.iter().all(|i| !must(*i)));
                    prop_assert_eq!(
                        fitted.tokens,
                        fitted.kept.iter().map(|i| sizes[*i]).sum::<usize>()
                    );
                    prop_assert_eq!(fitted.summary.is_some() && fitted.dropped.is_empty(), false);
                    // An answer goes with its question.
                    for i in 1..all.len() {
                        if all[i].role == Role::Assistant && all[i - 1].role != Role::System && !must(i) {
                            prop_assert_eq!(
                                fitted.dropped.contains(&i),
                                fitted.dropped.contains(&(i - 1))
                            );
                        }
                    }
                }
                Err(error) => {
                    prop_assert!(error.prompt + answer > window);
                    let least = (0..all.len()).filter(|i| must(*i)).map(|i| sizes[i]).sum::<usize>();
                    prop_assert!(error.prompt >= least);
                }
            }
        }
    }
}
