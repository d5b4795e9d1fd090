//! What a guard does: steps for what goes into a function and for what comes out of it. Pure.
//!
//! Of the steps with rules, the first that names a kind decides what becomes of it. Of those with categories each has a
//! threshold of its own, and each is looked at. Left out: reading a prompt's front matter (`extension::guard`).

use crate::personal::{Kind, Kinds};

/// `praxis.guard`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Guard {
    /// What is done with inputs and history, before anything else is.
    pub input: Vec<Step>,
    /// What is done with answers, before anybody sees them.
    pub output: Vec<Step>,
    /// What becomes of a call whose texts cannot be judged.
    pub on_error: OnError,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    pub what: What,
    pub action: Action,
}

/// What a step looks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    /// Personal data or secrets.
    Rules(Kinds),
    /// Categories.
    Categories {
        wanted: Vec<Wanted>,
        /// The chat model that judges, instead of the classifier.
        judge: Option<String>,
    },
}

/// A category that is looked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    pub category: String,
    /// From which score on; by default what the classifier says.
    pub threshold: Option<f32>,
    /// Whether it goes without saying where nothing scores it: of `all`, those that are there.
    pub optional: bool,
}

/// What is done where something is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// A placeholder takes its place.
    Mask,
    /// The call ends.
    Block,
    /// The trace says so.
    Flag,
}

impl Action {
    pub const ALL: [Self; 3] = [Self::Mask, Self::Block, Self::Flag];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mask => "mask",
            Self::Block => "block",
            Self::Flag => "flag",
        }
    }
}

/// What becomes of a call whose texts cannot be judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum OnError {
    /// It fails.
    #[default]
    Block,
    /// It goes on, and the trace says so.
    Pass,
}

impl OnError {
    pub const ALL: [Self; 2] = [Self::Block, Self::Pass];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Pass => "pass",
        }
    }
}

/// What steps with rules come to: the action for each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    pub mask: Kinds,
    pub block: Kinds,
    pub flag: Kinds,
}

impl Rules {
    /// Those of some steps.
    pub fn of(steps: &[Step]) -> Self {
        let decided = Kind::ALL.into_iter().filter_map(|kind| {
            let step = steps
                .iter()
                .find(|step| matches!(&step.what, What::Rules(kinds) if kinds.has(kind)))?;
            // An address of a host is told of and nothing else, whatever group named it.
            let action = if kind.is_only_flagged() {
                Action::Flag
            } else {
                step.action
            };
            Some((kind, action))
        });
        let decided: Vec<(Kind, Action)> = decided.collect();
        let kinds = |action: Action| {
            let of_action = decided.iter().filter(move |(_, a)| *a == action);
            of_action.map(|(kind, _)| *kind).collect()
        };
        Self {
            mask: kinds(Action::Mask),
            block: kinds(Action::Block),
            flag: kinds(Action::Flag),
        }
    }

    /// All kinds that something is done about.
    pub fn all(self) -> Kinds {
        self.mask.with(self.block).with(self.flag)
    }

    /// What is done about a kind; nothing where no step names it.
    pub fn action(self, kind: Kind) -> Option<Action> {
        let kinds = [
            (Action::Block, self.block),
            (Action::Mask, self.mask),
            (Action::Flag, self.flag),
        ];
        let found = kinds.into_iter().find(|(_, kinds)| kinds.has(kind));
        found.map(|(action, _)| action)
    }
}

impl Guard {
    /// Whether answers wait until they are judged: where one may be blocked or changed.
    pub fn holds_back(&self) -> bool {
        self.output.iter().any(|step| step.action != Action::Flag)
    }

    /// Whether they wait for their end: a chat model judges them as a whole.
    pub fn waits_for_the_end(&self) -> bool {
        let judged = |step: &&Step| matches!(&step.what, What::Categories { judge: Some(_), .. });
        let mut steps = self.output.iter().filter(judged);
        steps.any(|step| step.action != Action::Flag)
    }

    /// Chat models that it asks.
    pub fn judges(&self) -> impl Iterator<Item = &str> {
        let steps = self.input.iter().chain(&self.output);
        steps.filter_map(|step| match &step.what {
            What::Categories { judge, .. } => judge.as_deref(),
            What::Rules(_) => None,
        })
    }

    /// Categories that the classifier is asked for.
    pub fn classified(&self) -> impl Iterator<Item = &str> {
        let steps = self.input.iter().chain(&self.output);
        steps
            .filter_map(|step| match &step.what {
                What::Categories {
                    wanted,
                    judge: None,
                } => Some(wanted),
                _ => None,
            })
            .flatten()
            .map(|wanted| wanted.category.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(kinds: &[Kind], action: Action) -> Step {
        Step {
            what: What::Rules(Kinds::of(kinds)),
            action,
        }
    }

    #[test]
    fn the_first_step_that_names_a_kind_decides() {
        let steps = [
            rules(&[Kind::Email], Action::Flag),
            rules(&[Kind::Email, Kind::Phone, Kind::IpAddress], Action::Mask),
            rules(&Kind::ALL, Action::Block),
        ];
        let rules = Rules::of(&steps);
        for (kind, action) in [
            (Kind::Email, Action::Flag),
            (Kind::Phone, Action::Mask),
            (Kind::ApiKey, Action::Block),
            (Kind::IpAddress, Action::Flag),
        ] {
            assert_eq!(rules.action(kind), Some(action), "{kind:?}");
        }
        assert_eq!(rules.all(), Kinds::ALL);
        let none = Rules::of(&[]);
        assert_eq!(
            (none.action(Kind::Email), none.all()),
            (None, Kinds::default())
        );
    }

    #[test]
    fn answers_wait_only_for_what_may_change_them() {
        let categories = |action, judge: Option<&str>| Step {
            what: What::Categories {
                wanted: Vec::new(),
                judge: judge.map(str::to_owned),
            },
            action,
        };
        for (steps, holds, waits) in [
            (vec![], false, false),
            (vec![categories(Action::Flag, Some("m"))], false, false),
            (vec![rules(&[Kind::Email], Action::Mask)], true, false),
            (vec![categories(Action::Block, None)], true, false),
            (vec![categories(Action::Block, Some("m"))], true, true),
        ] {
            let guard = Guard {
                output: steps,
                ..Guard::default()
            };
            assert_eq!(
                (guard.holds_back(), guard.waits_for_the_end()),
                (holds, waits),
                "{guard:?}"
            );
        }
    }
}
