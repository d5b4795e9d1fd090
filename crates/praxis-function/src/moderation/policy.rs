//! What a guard does: steps for what goes into a function and for what comes out of it. Pure.
//!
//! Of the steps with rules, the first that names a kind decides what becomes of it. Of those with categories each has a
//! threshold of its own, and each is looked at. Where the application has a guard too, the stricter of the two holds.
//! Left out: how guards are written (`written`).

use crate::personal::{Kind, Kinds};

/// `praxis.guard`, the application's `[guard]`, or what the two come to.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Guard {
    /// What is done with inputs and history, before anything else is.
    pub input: Vec<Step>,
    /// What is done with answers, before anybody sees them.
    pub output: Vec<Step>,
    /// Who wrote it.
    pub whose: Whose,
    /// Whether the function does without the application's guard.
    pub alone: bool,
}

/// Who wrote a guard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Whose {
    /// A function's own.
    #[default]
    Function,
    /// The application's.
    Application,
    /// Both have a say.
    Both,
}

impl Whose {
    /// As traces have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Application => "application",
            Self::Both => "application and function",
        }
    }

    /// Where it is written what is let through.
    pub fn place(self) -> &'static str {
        match self {
            Self::Function => "`praxis.guard` of its prompt file says what is let through",
            Self::Application => "`[guard]` in praxis.toml says what is let through",
            Self::Both => {
                "`[guard]` in praxis.toml and `praxis.guard` of its prompt file say what is let through"
            }
        }
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    pub what: What,
    pub action: Action,
    /// What becomes of a call whose texts it cannot judge.
    pub on_error: OnError,
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

    /// How much it does: of two that are said of one thing, the one that does more holds.
    fn strictness(self) -> u8 {
        match self {
            Self::Flag => 0,
            Self::Mask => 1,
            Self::Block => 2,
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

/// The steps of two guards as one: of each kind what the stricter one says, and all categories of both.
fn joined(application: &[Step], own: &[Step]) -> Vec<Step> {
    let (theirs, ours) = (Rules::of(application), Rules::of(own));
    // The first that names a kind decides.
    let rules = [
        (Action::Block, theirs.block.with(ours.block)),
        (Action::Mask, theirs.mask.with(ours.mask)),
        (Action::Flag, theirs.flag.with(ours.flag)),
    ];
    let rules = rules.into_iter().filter(|(_, kinds)| !kinds.is_empty());
    let mut steps: Vec<Step> = rules
        .map(|(action, kinds)| Step {
            what: What::Rules(kinds),
            action,
            on_error: OnError::Block,
        })
        .collect();
    for step in application.iter().chain(own) {
        if matches!(step.what, What::Categories { .. }) && !steps.contains(step) {
            steps.push(step.clone());
        }
    }
    steps
}

/// Kinds of which some steps say less than the application's, whose word holds.
fn overruled(application: &[Step], own: &[Step]) -> Vec<Kind> {
    let (theirs, ours) = (Rules::of(application), Rules::of(own));
    let says_less = |kind: &Kind| {
        let pair = theirs.action(*kind).zip(ours.action(*kind));
        pair.is_some_and(|(theirs, ours)| ours.strictness() < theirs.strictness())
    };
    Kind::ALL.into_iter().filter(says_less).collect()
}

impl Guard {
    /// Whether it looks at nothing.
    pub fn is_empty(&self) -> bool {
        self.input.is_empty() && self.output.is_empty()
    }

    /// This guard of an application and a function's own as one: the function's can only add to it, unless it does
    /// without the application's.
    pub fn with(&self, own: Option<Self>) -> Self {
        let Some(own) = own else {
            return self.clone();
        };
        if own.alone {
            return own;
        }
        Self {
            input: joined(&self.input, &own.input),
            output: joined(&self.output, &own.output),
            whose: match own.is_empty() {
                true => self.whose,
                false => Whose::Both,
            },
            alone: false,
        }
    }

    /// By side, the kinds of which a function's own guard says less than this one, so that its word counts for nothing.
    pub fn overrules(&self, own: &Self) -> [(&'static str, Vec<Kind>); 2] {
        [
            ("input", overruled(&self.input, &own.input)),
            ("output", overruled(&self.output, &own.output)),
        ]
    }

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
            on_error: OnError::Block,
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
    fn of_two_guards_the_stricter_one_holds_for_each_kind() {
        let hate = |threshold: f32, on_error| Step {
            what: What::Categories {
                wanted: vec![Wanted {
                    category: "hate".to_owned(),
                    threshold: Some(threshold),
                    optional: false,
                }],
                judge: None,
            },
            action: Action::Block,
            on_error,
        };
        let application = Guard {
            input: vec![
                rules(&[Kind::Email], Action::Mask),
                rules(&[Kind::Phone, Kind::ApiKey], Action::Flag),
                hate(0.5, OnError::Block),
            ],
            whose: Whose::Application,
            ..Guard::default()
        };
        let own = Guard {
            input: vec![
                rules(&[Kind::Email, Kind::Card], Action::Flag),
                rules(&[Kind::Phone], Action::Block),
                hate(0.9, OnError::Pass),
            ],
            ..Guard::default()
        };
        let both = application.with(Some(own.clone()));
        let held = Rules::of(&both.input);
        for (kind, action) in [
            (Kind::Email, Some(Action::Mask)),
            (Kind::Phone, Some(Action::Block)),
            (Kind::ApiKey, Some(Action::Flag)),
            (Kind::Card, Some(Action::Flag)),
            (Kind::Jwt, None),
        ] {
            assert_eq!(held.action(kind), action, "{kind:?}");
        }
        let judged = [hate(0.5, OnError::Block), hate(0.9, OnError::Pass)];
        assert!(both.input.ends_with(&judged), "{both:?}");
        assert_eq!(both.whose, Whose::Both);
        let [(side, kinds), (_, none)] = application.overrules(&own);
        assert_eq!((side, kinds), ("input", vec![Kind::Email]));
        assert!(none.is_empty());
        // What both say alike is done once.
        let twice = application.with(Some(application.clone()));
        assert_eq!(twice.input.len(), application.input.len());
        // Without one, or with one that does without it.
        assert_eq!(application.with(None), application);
        let alone = Guard { alone: true, ..own };
        assert_eq!(application.with(Some(alone.clone())), alone);
    }

    #[test]
    fn answers_wait_only_for_what_may_change_them() {
        let categories = |action, judge: Option<&str>| Step {
            what: What::Categories {
                wanted: Vec::new(),
                judge: judge.map(str::to_owned),
            },
            action,
            on_error: OnError::Block,
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
