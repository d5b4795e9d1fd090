//! A policy as it was read, and what it says of a call. Pure. Left out: carrying it out (`guarded`).

use std::time::Duration;

use globset::GlobMatcher;
use praxis_core::json_schema::{field, item, without_null};
use praxis_core::ledger::{Pattern, Per, What};
use praxis_core::taint::Taint;
use praxis_core::trace::redact::Steps;
use praxis_core::{CallContext, Claim, Effect, Effects, Limit, Money, Problem, Subject};
use serde_json::Value;

use super::config::{Asks, PolicyConfig, Then, WhenTainted};
use super::rules::{Rule, glob, steps};

/// How long a call waits, and an approval holds, where the policy does not say.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest that it may say.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How limits are written in a policy.
const RATE: &str = "write it like `30/min`, `5/s` or `1000/day`";
const PRICE: &str = "write what one call costs, like `0.002 usd`";
const SPEND: &str = "write it like `5 usd/day` or `100 usd/month`; it holds for each caller";

/// A policy.
#[derive(Debug, Default)]
pub(super) struct Policy {
    asks: Asks,
    when_tainted: WhenTainted,
    /// Whether what the functions give comes from outside, where it says so.
    pub outside: Option<bool>,
    /// By name first, then by glob.
    effects: Vec<(GlobMatcher, Effects)>,
    /// How often each caller may call.
    pub rate: Option<Limit>,
    price: Money,
    /// How much each caller may spend.
    pub spend: Option<Limit>,
    valid: Option<Duration>,
    /// Arguments that nobody is shown.
    pub redact: Vec<Steps>,
    rules: Vec<Rule>,
}

/// A call that is judged.
pub(super) struct Judged<'a> {
    pub function: &'a str,
    pub effects: Effects,
    pub schema: &'a Value,
    pub arguments: &'a Value,
    pub taint: &'a Taint,
    /// Names of arguments that stay on this machine, though the function is external.
    pub kept_here: &'a [&'a str],
}

/// What a policy says of a call, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may be made.
    Pass(String),
    /// A person has to let it through.
    Ask(String),
    /// It is not made.
    Deny(String),
}

impl Policy {
    /// Reads a policy, and what is wrong with it.
    pub fn read(config: &PolicyConfig) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut policy = Self {
            asks: config.approval,
            when_tainted: config.when_tainted,
            outside: config.outside,
            ..Self::default()
        };
        let mut say = |path: String, message: String, help: &str| {
            problems.push(Problem {
                path: format!("policy.{path}"),
                message,
                help: Some(help.to_owned()),
            });
        };
        for (name, effects) in &config.effects {
            match glob(name) {
                Ok(glob) => policy.effects.push((glob, *effects)),
                Err(message) => say(
                    format!("effects.{name}"),
                    message,
                    "write a function's name, or `shop/*` for all of a tool",
                ),
            }
        }
        let is_glob =
            |(glob, _): &(GlobMatcher, Effects)| glob.glob().glob().contains(['*', '?', '[', '{']);
        policy.effects.sort_by_key(is_glob);
        if let Some(text) = &config.rate {
            match rate(text) {
                Ok(limit) => policy.rate = Some(limit),
                Err(message) => say("rate".to_owned(), message, RATE),
            }
        }
        if let Some(text) = &config.price {
            match money(text, |per| per == Per::Ever) {
                Ok(limit) => policy.price = Money(i64::try_from(limit.amount).unwrap_or(i64::MAX)),
                Err(message) => say("price".to_owned(), message, PRICE),
            }
        }
        if let Some(text) = &config.spend {
            match money(text, |_| true) {
                Ok(_) if config.price.is_none() => {
                    let message = "nothing says what a call costs".to_owned();
                    say(
                        "spend".to_owned(),
                        message,
                        "add a price, like price = \"0.002 usd\"",
                    );
                }
                Ok(limit) => policy.spend = Some(limit),
                Err(message) => say("spend".to_owned(), message, SPEND),
            }
        }
        if let Some(period) = config.expires {
            policy.valid = Some(period.0);
            if period.0 > LONGEST {
                let message = format!("`{period}` is longer than 30 days");
                say(
                    "expires".to_owned(),
                    message,
                    "write a shorter time, like `24h`",
                );
            }
        }
        for (i, text) in config.redact.iter().enumerate() {
            match steps(text) {
                Some(at) => policy.redact.push(at),
                None => say(
                    format!("redact.{i}"),
                    format!("`{text}` is no argument"),
                    "write it like `/card/number`",
                ),
            }
        }
        for (i, rule) in config.rules.iter().enumerate() {
            match Rule::read(rule, &format!("policy.rules.{i}")) {
                Ok(rule) => policy.rules.push(rule),
                Err(problem) => problems.push(problem),
            }
        }
        (policy, problems)
    }

    /// What a function does, as the policy has it, else as it declares.
    pub fn effects_of(&self, function: &str, declared: Effects) -> Effects {
        let own = self
            .effects
            .iter()
            .find(|(glob, _)| glob.is_match(function));
        own.map_or(declared, |(_, effects)| *effects)
    }

    /// How long a call may wait.
    pub fn valid(&self) -> Duration {
        self.valid.unwrap_or(DAY)
    }

    /// What is said of a call.
    pub fn judge(&self, call: &Judged<'_>) -> Verdict {
        let mut rules = self.rules.iter().enumerate();
        let fits = |rule: &Rule| rule.is_for(call.function, call.arguments);
        if let Some((i, _)) = rules
            .clone()
            .find(|(_, rule)| rule.then == Then::Deny && fits(rule))
        {
            return Verdict::Deny(format!("rule {} of its policy denies it", i + 1));
        }
        let found = rules.find(|(_, rule)| rule.then != Then::Deny && fits(rule));
        let effects = call.effects;
        let (writes, is_final) = (
            effects.has(Effect::Write),
            effects.has(Effect::Irreversible),
        );
        let verdict = match (found.map(|(i, rule)| (i + 1, rule.then)), self.asks) {
            (Some((number, Then::Always)), _) => {
                return Verdict::Ask(format!("rule {number} of its policy asks for it"));
            }
            (Some((number, _)), _) => format!("rule {number} of its policy lets it through"),
            (None, Asks::Always) => {
                return Verdict::Ask("its policy asks for it each time".to_owned());
            }
            (None, Asks::Writes | Asks::Irreversible) if is_final => {
                return Verdict::Ask("what it does cannot be undone".to_owned());
            }
            (None, Asks::Writes) if writes => {
                return Verdict::Ask("it changes something".to_owned());
            }
            (None, Asks::Never) => "its policy asks for nothing".to_owned(),
            (None, Asks::Irreversible) => "what it does can be undone".to_owned(),
            (None, Asks::Writes) => "it changes nothing".to_owned(),
        };
        let Some(source) = call.taint.source() else {
            return Verdict::Pass(verdict);
        };
        let careful = self.when_tainted;
        let what = if careful != WhenTainted::Allow && is_final {
            "what it does cannot be undone"
        } else if careful != WhenTainted::Allow && writes {
            "it changes something"
        } else if careful == WhenTainted::Approve && carries(call) {
            "it carries texts out of this machine"
        } else {
            return Verdict::Pass(verdict);
        };
        Verdict::Ask(format!(
            "{what}, and what `{source}` gave was read before, which comes from outside"
        ))
    }

    /// What a call takes of limits; none where there are no limits and no price.
    pub fn claim(&self, tool: &str, cx: &CallContext) -> Option<Claim> {
        let of_money = cx.limits().iter().filter(|limit| limit.what == What::Money);
        let mut claim = Claim {
            money: self.price,
            ..Claim::new(cx.payer(), of_money)
        };
        if self.price == Money::default() {
            claim.limits.clear();
        }
        let subject = subject(tool, cx);
        let own = self.rate.iter().chain(&self.spend);
        let own = own.map(|limit| (subject.clone(), limit.clone()));
        claim.limits.extend(own);
        (!claim.limits.is_empty() || self.price != Money::default()).then_some(claim)
    }
}

/// Who has a tool's own limits: each caller by itself. It is a user of a key that no key is called like.
pub(super) fn subject(tool: &str, cx: &CallContext) -> Subject {
    let name = cx.caller().name.as_deref().or(cx.payer().key.as_deref());
    Subject::user(Some(&format!("tool {tool}")), name.unwrap_or_default())
}

/// Whether a call takes texts out of this machine that a model may have chosen. A link that stands in what was read
/// tells nobody what else is known; a text that the schema lists is one of few; and some arguments are for the
/// application's own model.
fn carries(call: &Judged<'_>) -> bool {
    if !call.effects.has(Effect::External) {
        return false;
    }
    let Some(fields) = call.arguments.as_object() else {
        return has_free_text(call, call.schema, call.arguments);
    };
    let goes_out = |name: &str| !call.kept_here.contains(&name);
    let mut fields = fields.iter().filter(|(name, _)| goes_out(name));
    fields.any(|(name, value)| field_has_free_text(call, call.schema, name, value))
}

fn has_free_text(call: &Judged<'_>, schema: &Value, value: &Value) -> bool {
    let schema = without_null(call.schema, schema);
    if schema.get("enum").is_some() || schema.get("const").is_some() {
        return false;
    }
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => !call.taint.knows_link(text),
        Value::Array(items) => items.iter().enumerate().any(|(i, one)| {
            let part = item(call.schema, schema, i).unwrap_or(&Value::Null);
            has_free_text(call, part, one)
        }),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, one)| field_has_free_text(call, schema, name, one)),
    }
}

/// Whether a field of an object has a text that a model may have chosen; where the schema does not list the field, its
/// name is one.
fn field_has_free_text(call: &Judged<'_>, schema: &Value, name: &str, value: &Value) -> bool {
    let schema = without_null(call.schema, schema);
    let is_listed = schema.get("properties").and_then(|p| p.get(name)).is_some();
    let part = field(call.schema, schema, name).unwrap_or(&Value::Null);
    !is_listed || has_free_text(call, part, value)
}

/// A number of calls in a time: `30/min`, or as limits are written elsewhere.
fn rate(text: &str) -> Result<Limit, String> {
    let not = || format!("`{text}` is no number of calls in a time");
    let (count, time) = text.split_once('/').ok_or_else(not)?;
    let count = count.trim();
    let mut words: Vec<&str> = time.split_whitespace().collect();
    if let Some(unit) = words.last_mut() {
        *unit = match *unit {
            "s" | "sec" => "second",
            "m" | "min" => "minute",
            "h" => "hour",
            "d" => "day",
            other => other,
        };
    }
    let what = match count.bytes().all(|b| b.is_ascii_digit()) {
        true => " requests",
        false => "",
    };
    let limit: Limit = format!("{count}{what}/{}", words.join(" "))
        .parse()
        .map_err(|_| not())?;
    match limit {
        Limit { amount: 0, .. } => Err(format!("`{text}` lets nobody call")),
        limit if limit.what == What::Requests && limit.subject == Pattern::default() => Ok(limit),
        _ => Err(not()),
    }
}

/// An amount of money, in a time that is right.
fn money(text: &str, is_right: impl Fn(Per) -> bool) -> Result<Limit, String> {
    let limit: Result<Limit, _> = text.parse();
    match limit {
        Ok(limit)
            if limit.what == What::Money
                && limit.subject == Pattern::default()
                && is_right(limit.per) =>
        {
            Ok(limit)
        }
        _ => Err(format!(
            "`{text}` is no amount of money that can stand here"
        )),
    }
}

#[cfg(test)]
mod tests;
