//! Rules of a policy: which functions and which arguments they are for. Pure. Left out: what becomes of the call.

use globset::{GlobBuilder, GlobMatcher};
use praxis_core::Problem;
use praxis_core::approval::canonical;
use regex::Regex;
use serde_json::Value;

use super::config::{ConditionConfig, RuleConfig, Then};

/// A rule that was read.
#[derive(Debug)]
pub(super) struct Rule {
    function: GlobMatcher,
    when: Vec<Condition>,
    /// What becomes of the call.
    pub then: Then,
}

#[derive(Debug)]
struct Condition {
    at: Vec<String>,
    tests: Vec<Test>,
}

#[derive(Debug)]
enum Test {
    /// One of these values, in their canonical form.
    OneOf(Vec<String>),
    Matches(Regex),
    Above(f64),
    Below(f64),
}

/// A glob over names of functions: `*` stays within a part of a name.
///
/// # Errors
/// What is wrong with it.
pub(super) fn glob(text: &str) -> Result<GlobMatcher, String> {
    let glob = GlobBuilder::new(text).literal_separator(true).build();
    match glob {
        Ok(glob) => Ok(glob.compile_matcher()),
        Err(error) => Err(format!("`{text}` is not a glob: {}", error.kind())),
    }
}

/// The steps to an argument: of a JSON pointer (RFC 6901), or of a path with points; `None` for what is neither.
pub(super) fn steps(text: &str) -> Option<Vec<String>> {
    let steps: Vec<String> = match text.strip_prefix('/') {
        Some(pointer) => pointer
            .split('/')
            .map(|step| step.replace("~1", "/").replace("~0", "~"))
            .collect(),
        None => text.split('.').map(str::to_owned).collect(),
    };
    steps.iter().all(|step| !step.is_empty()).then_some(steps)
}

impl Rule {
    /// Reads a rule; `path` is where it stands.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(config: &RuleConfig, path: &str) -> Result<Self, Problem> {
        let function = glob(&config.function).map_err(|message| Problem {
            path: format!("{path}.function"),
            message,
            help: Some("write a function's name, or `shop/*` for all of a tool".to_owned()),
        })?;
        let mut when = Vec::with_capacity(config.when.len());
        for (i, condition) in config.when.iter().enumerate() {
            when.push(Condition::read(condition, &format!("{path}.when.{i}"))?);
        }
        Ok(Self {
            function,
            when,
            then: config.approval,
        })
    }

    /// Whether the rule is for a call.
    ///
    /// A condition on a list holds where it holds of one element, but of a rule that lets a call through it has to hold
    /// of each: what is not certain is never let through.
    pub fn is_for(&self, function: &str, arguments: &Value) -> bool {
        let strict = self.then == Then::Never;
        self.function.is_match(function) && self.when.iter().all(|one| one.holds(arguments, strict))
    }
}

impl Condition {
    fn read(config: &ConditionConfig, path: &str) -> Result<Self, Problem> {
        let problem = |message: String, help: &str| Problem {
            path: path.to_owned(),
            message,
            help: Some(help.to_owned()),
        };
        let at = steps(&config.argument).ok_or_else(|| {
            problem(
                format!("`argument` is `{}`, which names none", config.argument),
                "write it like argument = \"/order/amount\"",
            )
        })?;
        let mut tests = Vec::new();
        if let Some(value) = &config.equals {
            tests.push(Test::OneOf(vec![canonical(value)]));
        }
        if let Some(values) = &config.one_of {
            tests.push(Test::OneOf(values.iter().map(canonical).collect()));
        }
        if let Some(pattern) = &config.matches {
            let regex = Regex::new(&format!("^(?:{pattern})$"));
            tests.push(Test::Matches(regex.map_err(|_| {
                problem(
                    format!("`{pattern}` is not a regular expression"),
                    "write one as the crate `regex` has it; it has to fit all of the text",
                )
            })?));
        }
        tests.extend(config.above.map(Test::Above));
        tests.extend(config.below.map(Test::Below));
        if tests.is_empty() {
            return Err(problem(
                format!("nothing is said of `{}`", config.argument),
                "say what it has to be: equals, one_of, matches, above or below",
            ));
        }
        Ok(Self { at, tests })
    }

    fn holds(&self, arguments: &Value, strict: bool) -> bool {
        let mut found = Found::default();
        found.gather(arguments, &self.at);
        let mut values = found.values.iter();
        let holds = |value: &&Value| self.tests.iter().all(|test| test.holds(value));
        match strict {
            true => !found.values.is_empty() && !found.is_partial && values.all(holds),
            false => values.any(holds),
        }
    }
}

/// What stands at the end of some steps.
#[derive(Default)]
struct Found<'v> {
    values: Vec<&'v Value>,
    /// Whether some of what the steps lead through has nothing there.
    is_partial: bool,
}

impl<'v> Found<'v> {
    fn gather(&mut self, value: &'v Value, at: &[String]) {
        let Some((step, rest)) = at.split_first() else {
            match value {
                Value::Array(items) => items.iter().for_each(|item| self.gather(item, at)),
                one => self.values.push(one),
            }
            return;
        };
        match value {
            Value::Array(items) if step == "*" => {
                items.iter().for_each(|item| self.gather(item, rest));
            }
            Value::Object(fields) if step == "*" => {
                fields.values().for_each(|field| self.gather(field, rest));
            }
            Value::Array(items) => {
                let item = step.parse().ok().and_then(|at: usize| items.get(at));
                self.gather_or_miss(item, rest);
            }
            Value::Object(fields) => self.gather_or_miss(fields.get(step), rest),
            _ => self.is_partial = true,
        }
    }

    fn gather_or_miss(&mut self, value: Option<&'v Value>, rest: &[String]) {
        match value {
            Some(value) => self.gather(value, rest),
            None => self.is_partial = true,
        }
    }
}

impl Test {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::OneOf(values) => values.contains(&canonical(value)),
            Self::Matches(regex) => value.as_str().is_some_and(|text| regex.is_match(text)),
            Self::Above(than) => number(value).is_some_and(|number| number > *than),
            Self::Below(than) => number(value).is_some_and(|number| number < *than),
        }
    }
}

/// A number, also one that is written as a text: who takes both must not be led past a rule by quotes.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(text: &str) -> Rule {
        let config: RuleConfig = toml::from_str(text).unwrap();
        Rule::read(&config, "policy.rules.0").unwrap()
    }

    #[test]
    fn a_rule_is_for_the_functions_that_its_glob_fits() {
        for (glob, function, fits) in [
            ("**", "shop/refund", true),
            ("shop/*", "shop/refund", true),
            ("shop/*", "shop/orders/refund", false),
            ("shop/**", "shop/orders/refund", true),
            ("*/refund", "shop/refund", true),
            ("*", "shop/refund", false),
            ("shop/{refund,pay}", "shop/pay", true),
            ("shop/refund", "shop/refunds", false),
        ] {
            let rule = rule(&format!("function = \"{glob}\"\napproval = \"deny\""));
            assert_eq!(rule.is_for(function, &json!({})), fits, "{glob} {function}");
        }
    }

    #[test]
    fn conditions_are_about_one_argument() {
        let input = json!({
            "amount": 150, "limit": "150.5", "currency": "EUR", "note": "a\nb",
            "order": { "a/b": { "id": 7.0 } }, "items": [{ "price": 1 }, { "price": 9 }],
        });
        for (condition, holds) in [
            ("argument = \"/amount\", above = 100", true),
            ("argument = \"/amount\", above = 150", false),
            ("argument = \"amount\", above = 100, below = 200", true),
            ("argument = \"amount\", above = 100, below = 120", false),
            ("argument = \"limit\", above = 150", true),
            ("argument = \"currency\", above = 0", false),
            ("argument = \"currency\", equals = \"EUR\"", true),
            ("argument = \"currency\", one_of = [\"USD\", \"EUR\"]", true),
            ("argument = \"currency\", matches = \"E.R\"", true),
            ("argument = \"currency\", matches = \"E\"", false),
            ("argument = \"note\", matches = \"a\"", false),
            ("argument = \"/order/a~1b/id\", equals = 7", true),
            ("argument = \"items.1.price\", equals = 9", true),
            ("argument = \"items.2.price\", equals = 9", false),
            ("argument = \"missing\", below = 1", false),
        ] {
            for then in ["deny", "always", "never"] {
                let rule = rule(&format!(
                    "approval = \"{then}\"\nwhen = [{{ {condition} }}]"
                ));
                assert_eq!(rule.is_for("f", &input), holds, "{condition} {then}");
            }
        }
    }

    #[test]
    fn of_a_list_one_element_denies_and_all_let_through() {
        for (condition, input, any, all) in [
            (
                "argument = \"to\", matches = \".*@a[.]example\"",
                json!({ "to": ["x@a.example", "y@evil.example"] }),
                true,
                false,
            ),
            (
                "argument = \"to\", matches = \".*@a[.]example\"",
                json!({ "to": ["x@a.example", "y@a.example"] }),
                true,
                true,
            ),
            (
                "argument = \"to\", matches = \".*\"",
                json!({ "to": [] }),
                false,
                false,
            ),
            (
                "argument = \"items/*/price\", below = 10",
                json!({ "items/*/price": 1 }),
                true,
                true,
            ),
            (
                "argument = \"/items/*/price\", below = 10",
                json!({ "items": [{ "price": 1 }, {}] }),
                true,
                false,
            ),
            (
                "argument = \"items.*.price\", below = 10",
                json!({ "items": { "a": { "price": 1 }, "b": { "price": 2 } } }),
                true,
                true,
            ),
        ] {
            for (then, holds) in [("deny", any), ("always", any), ("never", all)] {
                let rule = rule(&format!(
                    "approval = \"{then}\"\nwhen = [{{ {condition} }}]"
                ));
                assert_eq!(
                    rule.is_for("f", &input),
                    holds,
                    "{condition} {then} {input}"
                );
            }
        }
    }
}
