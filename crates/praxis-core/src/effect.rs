//! What a call of a function does to the world, as its signature declares it. Left out: what follows from it, which
//! policies say (`praxis-tool`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing that a call may do.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It looks at something.
    Read,
    /// It changes something: a file, a row, an order.
    Write,
    /// What it is given leaves this machine.
    External,
    /// What it does cannot be undone: money that is sent, a letter, a deletion.
    Irreversible,
}

impl Effect {
    /// All of them, as they are declared.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::External, Self::Irreversible];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::External => "external",
            Self::Irreversible => "irreversible",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Read => 1,
            Self::Write => 2,
            Self::External => 4,
            Self::Irreversible => 8,
        }
    }
}

/// What a call may do: a list of `read`, `write`, `external` and `irreversible`. One that says nothing reads at most.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(from = "Vec<Effect>", into = "Vec<Effect>")]
pub struct Effects(u8);

impl Effects {
    /// It looks at something, and no more.
    pub const READ: Self = Self::of(&[Effect::Read]);

    /// These effects.
    pub const fn of(effects: &[Effect]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < effects.len() {
            bits |= effects[at].bit();
            at += 1;
        }
        Self(bits)
    }

    /// Whether this is one of them.
    pub const fn has(self, effect: Effect) -> bool {
        self.0 & effect.bit() != 0
    }

    /// These and those.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Each of them once, as they are declared.
    pub fn iter(self) -> impl Iterator<Item = Effect> {
        Effect::ALL
            .into_iter()
            .filter(move |effect| self.has(*effect))
    }

    /// Whether the world is the same after it: it neither writes nor does what cannot be undone. What it is given may
    /// leave this machine all the same.
    pub const fn only_reads(self) -> bool {
        !self.has(Effect::Write) && !self.has(Effect::Irreversible)
    }
}

impl From<Vec<Effect>> for Effects {
    fn from(effects: Vec<Effect>) -> Self {
        Self::of(&effects)
    }
}

impl From<Effects> for Vec<Effect> {
    fn from(effects: Effects) -> Self {
        effects.iter().collect()
    }
}

/// The words, separated by commas; `read` where there are none.
impl fmt::Display for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.iter().map(Effect::as_str).collect();
        match words.is_empty() {
            true => f.write_str(Effect::Read.as_str()),
            false => f.write_str(&words.join(", ")),
        }
    }
}

impl fmt::Debug for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Effects({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_are_a_set_that_is_written_as_words() {
        for (text, effects, only_reads) in [
            ("[]", Effects::default(), true),
            (r#"["read"]"#, Effects::READ, true),
            (
                r#"["read","external"]"#,
                Effects::of(&[Effect::External, Effect::Read, Effect::External]),
                true,
            ),
            (r#"["write"]"#, Effects::of(&[Effect::Write]), false),
            (
                r#"["irreversible"]"#,
                Effects::of(&[Effect::Irreversible]),
                false,
            ),
            (
                r#"["read","write","external","irreversible"]"#,
                Effects::of(&Effect::ALL),
                false,
            ),
        ] {
            assert_eq!(serde_json::to_string(&effects).unwrap(), text);
            let read: Effects = serde_json::from_str(text).unwrap();
            assert_eq!(read, effects, "{text}");
            assert_eq!(effects.only_reads(), only_reads, "{text}");
        }
        assert!(serde_json::from_str::<Effects>(r#"["writes"]"#).is_err());
        assert_eq!(Effects::default().to_string(), "read");
    }

    #[test]
    fn a_union_has_what_either_has() {
        let all = Effect::ALL;
        for one in all {
            for other in all {
                let both = Effects::of(&[one]).union(Effects::of(&[other]));
                let found: Vec<Effect> = both.iter().collect();
                for effect in all {
                    assert_eq!(
                        found.contains(&effect),
                        effect == one || effect == other,
                        "{one:?} {other:?}"
                    );
                }
            }
        }
    }
}
