//! What models cost at their providers, by the providers' names for them: the table that comes with Praxis
//! (`prices.toml`), and an application's own of the same form, which goes before it. Left out: what depends on a single
//! request beside the length of its prompt (the hour, batches), and prices that were agreed with a provider.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use jiff::civil::Date;
use praxis_core::Problem;
use praxis_core::suggest::nearest;
use praxis_hub::Task;
use serde::Deserialize;
use toml::Value;

use crate::config::Provider;
use crate::price::{Price, Tiers};

/// The most that a million tokens can cost, in US dollars: what is dearer was written for another unit.
const MOST: f64 = 1000.0;

/// Where a region stands before the name of a model at Amazon Bedrock. Those of the government cost more, and are not
/// among them.
const REGIONS: &[&str] = &["us.", "eu.", "apac.", "global.", "jp.", "au.", "in.", "ca."];

/// The provider whose names and prices include regions; built in or not, its prices can be read.
const BEDROCK: &str = "bedrock";

static BUILTIN: LazyLock<Result<Prices, Problem>> =
    LazyLock::new(|| Prices::read(include_str!("../prices.toml")));

/// Prices of models, from one table or several.
#[derive(Debug, Clone)]
pub struct Prices {
    /// In the order in which they are asked.
    tables: Vec<Arc<Table>>,
}

/// An entry of a table of prices.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The provider's names for the models; `*` at the end stands for any rest.
    pub models: Vec<String>,
    /// What they cost.
    pub price: Price,
    /// The day on which it was seen, as `2026-11-27`.
    pub seen: String,
    /// Where it was seen.
    pub source: String,
}

#[derive(Debug)]
struct Table {
    date: Date,
    /// By provider.
    entries: BTreeMap<String, Vec<Listed>>,
}

/// A table as it is written. Its entries are read one by one, so that what is wrong is said of one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    date: Value,
    #[serde(default)]
    prices: BTreeMap<String, Vec<Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    models: Vec<String>,
    #[serde(default)]
    task: Option<Task>,
    input: f64,
    #[serde(default)]
    cached_input: Option<f64>,
    #[serde(default)]
    cache_write: Option<f64>,
    #[serde(default)]
    output: Option<f64>,
    #[serde(default)]
    above: Tiers,
    seen: String,
    source: String,
}

impl Prices {
    /// The prices that come with Praxis.
    ///
    /// # Errors
    /// As [`Prices::read`]; a test keeps it from happening.
    pub fn builtin() -> Result<Self, Problem> {
        (*BUILTIN).clone()
    }

    /// Reads the text of a `prices.toml`.
    ///
    /// # Errors
    /// What is wrong; its path names the entry, or the line where the file is no such table.
    pub fn read(text: &str) -> Result<Self, Problem> {
        let written: Written = toml::from_str(text).map_err(|error| unreadable(text, &error))?;
        let date = match &written.date {
            Value::String(date) => day("date", date)?,
            Value::Datetime(date) => day("date", &date.to_string())?,
            other => day("date", other.type_str())?,
        };
        let mut entries = BTreeMap::new();
        for (provider, values) in written.prices {
            known(&provider)?;
            let listed = listed(&provider, values, date)?;
            entries.insert(provider, listed);
        }
        let table = Arc::new(Table { date, entries });
        Ok(Self {
            tables: vec![table],
        })
    }

    /// The same, with those of `others` for models that are not among these.
    #[must_use]
    pub fn before(mut self, others: &Prices) -> Self {
        self.tables.extend(others.tables.iter().cloned());
        self
    }

    /// What a model costs at its provider's own address, and the day on which that was seen.
    ///
    /// `None`: it is not known, which does not mean that it is free. Who counts says so once, and counts nothing for
    /// its answers rather than zero; who keeps a limit of money refuses the model until it is given a `price`. Names
    /// mean something else at an address that somebody set (`base_url`): do not ask for those.
    pub fn find(&self, provider: &str, model: &str) -> Option<(Price, &str)> {
        let found = self.entry(provider, model)?;
        Some((found.price, found.seen.as_str()))
    }

    /// The same with all that is known of it.
    pub fn entry(&self, provider: &str, model: &str) -> Option<&Listed> {
        self.tables
            .iter()
            .find_map(|table| table.find(provider, model))
    }

    /// All entries by provider, those that go before first.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Listed)> {
        self.tables.iter().flat_map(|table| {
            let by_provider = table.entries.iter();
            by_provider.flat_map(|(name, all)| all.iter().map(move |one| (name.as_str(), one)))
        })
    }

    /// The days on which the tables were looked through as wholes, in the order in which they are asked.
    pub fn dates(&self) -> impl Iterator<Item = Date> {
        self.tables.iter().map(|table| table.date)
    }
}

impl Table {
    /// The provider's own entries go before those of the one that it sells alike, and a whole name before the same
    /// without its region.
    fn find(&self, provider: &str, model: &str) -> Option<&Listed> {
        let names = [Some(model), without_region(provider, model)];
        let sellers = [Some(provider), alike(provider)];
        sellers.iter().flatten().find_map(|seller| {
            names
                .iter()
                .flatten()
                .find_map(|name| self.of(seller, name))
        })
    }

    /// An exact name goes before a pattern, a longer pattern before a shorter one.
    fn of(&self, provider: &str, model: &str) -> Option<&Listed> {
        let mut best: Option<(usize, &Listed)> = None;
        for entry in self.entries.get(provider)? {
            for name in &entry.models {
                let Some(start) = name.strip_suffix('*') else {
                    if name == model {
                        return Some(entry);
                    }
                    continue;
                };
                let is_longer = best.is_none_or(|(length, _)| start.len() > length);
                if is_longer && model.starts_with(start) {
                    best = Some((start.len(), entry));
                }
            }
        }
        best.map(|(_, entry)| entry)
    }
}

/// A Bedrock name without its region; `None` where it has none.
fn without_region<'a>(provider: &str, model: &'a str) -> Option<&'a str> {
    if provider != BEDROCK {
        return None;
    }
    REGIONS
        .iter()
        .find_map(|region| model.strip_prefix(*region))
}

/// Whose models a provider has, at the same price.
fn alike(provider: &str) -> Option<&'static str> {
    matches!(provider, "azure" | "openai-responses").then_some("openai")
}

/// # Errors
/// Where no provider is called so.
fn known(provider: &str) -> Result<(), Problem> {
    let mut names: Vec<&str> = Provider::all()
        .filter(|p| !p.is_local())
        .map(Provider::as_str)
        .collect();
    names.push(BEDROCK);
    if names.contains(&provider) {
        return Ok(());
    }
    let near = nearest(provider, names.iter().copied());
    Err(Problem {
        path: format!("prices.{provider}"),
        message: format!("no provider is called `{provider}`"),
        help: near.map(|name| format!("did you mean `{name}`?")),
    })
}

/// The entries of a provider.
fn listed(provider: &str, values: Vec<Value>, date: Date) -> Result<Vec<Listed>, Problem> {
    let mut names = BTreeSet::new();
    let mut all = Vec::new();
    for (number, value) in values.into_iter().enumerate() {
        let path = place(provider, number, &value);
        let entry = sound(&path, value, date)?;
        if let Some(again) = entry
            .models
            .iter()
            .find(|name| !names.insert((*name).clone()))
        {
            return Err(wrong(&path, format!("`{again}` is listed twice")));
        }
        all.push(entry);
    }
    Ok(all)
}

/// What an entry is called in an error: its first model, or its number.
fn place(provider: &str, number: usize, value: &Value) -> String {
    let models = value.get("models").and_then(Value::as_array);
    let first = models.and_then(|all| all.first()?.as_str());
    match first {
        Some(name) => format!("prices.{provider} `{name}`"),
        None => format!("prices.{provider}, entry {}", number + 1),
    }
}

/// An entry in which nothing is wrong.
fn sound(path: &str, value: Value, date: Date) -> Result<Listed, Problem> {
    let entry: Entry = value
        .try_into()
        .map_err(|error: toml::de::Error| wrong(path, error.message().to_owned()))?;
    let is_name = |name: &String| {
        let start = name.strip_suffix('*').unwrap_or(name);
        !name.trim().is_empty() && !start.contains('*')
    };
    if entry.models.is_empty() || !entry.models.iter().all(is_name) {
        let message = "`models` are names, with a `*` at their end at most".to_owned();
        return Err(wrong(path, message));
    }
    let answers = !matches!(entry.task, Some(Task::Embedding | Task::Reranking));
    if answers && entry.output.is_none() {
        return Err(Problem {
            help: Some("or `task = \"embedding\"`, whose answers cost nothing".to_owned()),
            ..wrong(path, "missing field `output`".to_owned())
        });
    }
    let price = Price {
        input: entry.input,
        cached_input: entry.cached_input,
        cache_write: entry.cache_write,
        output: entry.output.unwrap_or_default(),
        audio_minute: 0.0,
        above: entry.above,
    };
    if !price.numbers().all(|number| (0.0..=MOST).contains(&number)) {
        let message = format!("a price is in US dollars for a million tokens, from 0 to {MOST}");
        return Err(wrong(path, message));
    }
    let seen = day(path, &entry.seen)?;
    if seen > date {
        let message = format!("was seen on {seen}, after the file's `date`, {date}");
        return Err(wrong(path, message));
    }
    if entry.source.trim().is_empty() {
        return Err(wrong(path, "`source` is empty".to_owned()));
    }
    Ok(Listed {
        models: entry.models,
        price,
        seen: seen.to_string(),
        source: entry.source,
    })
}

/// A day.
fn day(path: &str, text: &str) -> Result<Date, Problem> {
    text.parse().map_err(|_| Problem {
        help: Some("write it as 2026-11-27".to_owned()),
        ..wrong(path, format!("`{text}` is no day"))
    })
}

fn wrong(path: &str, message: String) -> Problem {
    Problem {
        path: path.to_owned(),
        message,
        help: None,
    }
}

/// What is wrong with a file that is no table of prices at all.
fn unreadable(text: &str, error: &toml::de::Error) -> Problem {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let before = text.as_bytes().iter().take(at);
    let line = before.filter(|byte| **byte == b'\n').count() + 1;
    wrong(&format!("line {line}"), error.message().to_owned())
}

#[cfg(test)]
mod tests;
