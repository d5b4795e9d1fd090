//! `[policy]` of a tool file: which calls need a person, which are refused, and how much may be called. Left out: what
//! is decided by it (`policy`), and arguments (`rules`).

use std::collections::BTreeMap;

use praxis_core::period::Period;
use praxis_core::{Effects, Problem};
use serde::Deserialize;
use serde_json::Value;

use super::policy::Policy;

/// The policy of a tool file. What it does not say is careful: what writes or cannot be undone needs an approval.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyConfig {
    /// Which calls need a person's approval, where no rule says it.
    pub approval: Asks,
    /// Which calls need one after the call tree has read what comes from outside, whatever else is said.
    pub when_tainted: WhenTainted,
    /// Whether what the functions give comes from people or places that are not trusted; else the kind decides.
    pub outside: Option<bool>,
    /// What functions do to the world, by name or glob, in the place of what they declare.
    pub effects: BTreeMap<String, Effects>,
    /// How often each caller may call the tool: `30/min`.
    pub rate: Option<String>,
    /// What a call costs: `0.002 usd`.
    pub price: Option<String>,
    /// How much each caller may spend on the tool: `5 usd/day`.
    pub spend: Option<String>,
    /// How long a call waits for an approval, and how long an approval holds; a day where nothing is said.
    pub expires: Option<Period>,
    /// Arguments that nobody is shown, as JSON pointers, beside those whose names tell.
    pub redact: Vec<String>,
    /// Rules for some functions and arguments. One that denies counts before all others; of those, the first.
    pub rules: Vec<RuleConfig>,
}

/// Which calls need a person's approval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asks {
    /// None.
    Never,
    /// All.
    Always,
    /// Those that write or do what cannot be undone.
    #[default]
    Writes,
    /// Those that do what cannot be undone.
    Irreversible,
}

/// Which calls need an approval after something from outside was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenTainted {
    /// Those that write, those that do what cannot be undone, and those that carry texts out of this machine.
    #[default]
    Approve,
    /// Those that write or do what cannot be undone.
    Writes,
    /// None beside those that need one anyway.
    Allow,
}

/// A rule for some functions and arguments.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    /// The functions, by name or glob: `*` within a part of a name, `**` over all. All of the file where nothing is
    /// said.
    #[serde(default = "all")]
    pub function: String,
    /// What must hold of the arguments, all of it.
    #[serde(default)]
    pub when: Vec<ConditionConfig>,
    /// What becomes of such calls.
    pub approval: Then,
}

/// What becomes of a call that a rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// It needs no approval.
    Never,
    /// It needs one.
    Always,
    /// It is not made.
    Deny,
}

/// What must hold of an argument, all that is said.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConditionConfig {
    /// The argument: a JSON pointer (`/order/amount`) or a path (`order.amount`); `*` is each element.
    pub argument: String,
    /// It is this value.
    pub equals: Option<Value>,
    /// It is one of these.
    pub one_of: Option<Vec<Value>>,
    /// It is a text, and all of it fits this regular expression.
    pub matches: Option<String>,
    /// It is a number larger than this.
    pub above: Option<f64>,
    /// It is a number smaller than this.
    pub below: Option<f64>,
}

fn all() -> String {
    "**".to_owned()
}

impl PolicyConfig {
    /// Whether a person lets each single call through.
    pub(crate) fn always_asks(&self) -> bool {
        let lets_through = |rule: &RuleConfig| rule.approval == Then::Never;
        self.approval == Asks::Always && !self.rules.iter().any(lets_through)
    }

    /// What is wrong with it; paths begin with `policy`.
    pub fn problems(&self) -> Vec<Problem> {
        Policy::read(self).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PolicyConfig, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_policy_is_written_in_a_few_lines() {
        let text = r#"
            approval = "irreversible"
            when_tainted = "writes"
            outside = true
            rate = "30/min"
            price = "0.002 usd"
            spend = "5 usd/day"
            expires = "2h"
            redact = ["/card/number"]

            [effects]
            "shop/refund" = ["write", "irreversible"]

            [[rules]]
            function = "shop/*"
            approval = "always"
            when = [{ argument = "/amount", above = 100 }, { argument = "currency", one_of = ["EUR"] }]

            [[rules]]
            approval = "deny"
        "#;
        let policy = read(text).unwrap();
        let problems = policy.problems();
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(policy.rules[0].when[0].above, Some(100.0));
        assert_eq!(policy.rules[1].function, "**");
        let refund = policy.effects["shop/refund"];
        assert!(!refund.only_reads());
        let nothing = read("").unwrap();
        assert_eq!(nothing, PolicyConfig::default());
        assert_eq!(nothing.approval, Asks::Writes);
        assert_eq!(nothing.when_tainted, WhenTainted::Approve);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place_and_the_fix() {
        for (text, path, says) in [
            ("rate = \"often\"", "policy.rate", "30/min"),
            ("rate = \"30\"", "policy.rate", "30/min"),
            ("rate = \"0/min\"", "policy.rate", "nobody"),
            ("rate = \"5 usd/day\"", "policy.rate", "30/min"),
            ("price = \"cheap\"", "policy.price", "0.002 usd"),
            ("price = \"1 usd/day\"", "policy.price", "0.002 usd"),
            ("spend = \"5 usd/day\"", "policy.spend", "price"),
            (
                "price = \"1 usd\"\nspend = \"5 tokens/day\"",
                "policy.spend",
                "5 usd/day",
            ),
            (
                "price = \"1 usd\"\nspend = \"5 usd/day for user:*\"",
                "policy.spend",
                "each caller",
            ),
            ("expires = \"90d\"", "policy.expires", "30 days"),
            ("redact = [\"\"]", "policy.redact.0", "/"),
            ("[effects]\n\"a[\" = []", "policy.effects.a[", "glob"),
            (
                "[[rules]]\nfunction = \"a[\"\napproval = \"never\"",
                "policy.rules.0.function",
                "glob",
            ),
            (
                "[[rules]]\napproval = \"deny\"\n[[rules]]\napproval = \"never\"\nwhen = [{ equals = 1 }]",
                "policy.rules.1.when.0",
                "argument",
            ),
            (
                "[[rules]]\napproval = \"never\"\nwhen = [{ argument = \"/a\" }]",
                "policy.rules.0.when.0",
                "equals",
            ),
            (
                "[[rules]]\napproval = \"never\"\nwhen = [{ argument = \"/a\", matches = \"(\" }]",
                "policy.rules.0.when.0",
                "regular expression",
            ),
        ] {
            let problems = read(text).unwrap().problems();
            let [problem] = problems.as_slice() else {
                panic!("{text}: {problems:?}");
            };
            assert_eq!(problem.path, path, "{text}");
            assert!(problem.to_string().contains(says), "{text}: {problem}");
        }
        for text in [
            "aproval = \"never\"",
            "approval = \"sometimes\"",
            "[[rules]]",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
