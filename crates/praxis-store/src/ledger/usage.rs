//! What was used, day by day, for reports: sums for each key, user and tag, and for all, each by model and by what calls
//! were for. They are written with what settles a call, so they miss none and count none twice. A call counts for the day
//! on which it began, as its budgets have it. Left out: who may read them.

use std::collections::HashMap;

use praxis_core::ledger::{Day, SubjectKind, UsageKind, user_prefix};
use praxis_core::{Money, Spent, Subject, Usage};
use rusqlite::{Connection, params};
use sqlx::{QueryBuilder, Row, Sqlite};

use crate::{Store, StoreError};

/// The kind of the rows that sum up all calls.
const ALL: &str = "all";

/// The most of anything that one call adds to a sum, so that no sum overflows: a million million.
const MOST: u64 = 1 << 40;

/// How a report is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsageGroup {
    /// Not at all: the calls of all, or those that one pays for.
    Total(Option<Subject>),
    /// By model: the calls of all, or those that one pays for.
    Model(Option<Subject>),
    /// By key.
    Key,
    /// By user: those of all keys, or of one.
    User {
        /// The key's name.
        key: Option<String>,
    },
    /// By tag. A call with two counts under both.
    Tag,
}

/// What was used on one day within one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageSum {
    /// The day.
    pub day: Day,
    /// The group: a model, or the name of a key, user (`KEY/USER`) or tag; empty for a total.
    pub name: String,
    /// Calls.
    pub requests: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Tokens, and seconds of audio.
    pub usage: Usage,
    /// Cost.
    pub money: Money,
}

impl Store {
    /// What was used from one day to another, both included, by day and group; of all models or one, for anything or
    /// one thing.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn usage(
        &self,
        from: Day,
        to: Day,
        group: &UsageGroup,
        model: Option<&str>,
        work: Option<UsageKind>,
    ) -> Result<Vec<UsageSum>, StoreError> {
        let (column, kind, name) = match group {
            UsageGroup::Total(None) => ("''", ALL, Some("")),
            UsageGroup::Model(None) => ("model", ALL, Some("")),
            UsageGroup::Total(Some(subject)) => {
                let (kind, name) = subject.parts();
                ("''", kind.as_str(), Some(name))
            }
            UsageGroup::Model(Some(subject)) => {
                let (kind, name) = subject.parts();
                ("model", kind.as_str(), Some(name))
            }
            UsageGroup::Key => ("name", SubjectKind::Key.as_str(), None),
            UsageGroup::User { .. } => ("name", SubjectKind::User.as_str(), None),
            UsageGroup::Tag => ("name", SubjectKind::Tag.as_str(), None),
        };
        let mut query = QueryBuilder::<Sqlite>::new("SELECT day, ");
        query.push(column).push(
            " AS part, SUM(requests) AS requests, SUM(failed) AS failed, \
             SUM(input_tokens) AS input_tokens, SUM(cached_tokens) AS cached_tokens, \
             SUM(output_tokens) AS output_tokens, SUM(audio_seconds) AS audio_seconds, \
             SUM(micros) AS micros \
             FROM usage_daily WHERE day >= ",
        );
        query.push_bind(from.number());
        query.push(" AND day <= ").push_bind(to.number());
        // Of all payers it is read by the days: the plus keeps SQLite from the index of payers.
        let kinds = if name.is_some() { "kind" } else { "+kind" };
        query.push(" AND ").push(kinds).push(" = ").push_bind(kind);
        if let Some(name) = name {
            query.push(" AND name = ").push_bind(name);
        }
        if let UsageGroup::User { key: Some(key) } = group {
            let prefix = user_prefix(key);
            query.push(" AND substr(name, 1, ");
            query.push_bind(i64::try_from(prefix.chars().count()).unwrap_or(i64::MAX));
            query.push(") = ").push_bind(prefix);
        }
        if let Some(model) = model {
            query.push(" AND model = ").push_bind(model);
        }
        if let Some(work) = work {
            query.push(" AND work = ").push_bind(work.as_str());
        }
        query.push(" GROUP BY day, part ORDER BY day, part");
        let rows = query.build().fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                let count = |column: &str| -> Result<u64, sqlx::Error> {
                    Ok(u64::try_from(row.try_get::<i64, _>(column)?).unwrap_or(0))
                };
                Ok(UsageSum {
                    day: Day::from_number(row.try_get("day")?),
                    name: row.try_get("part")?,
                    requests: count("requests")?,
                    failed: count("failed")?,
                    usage: Usage {
                        input_tokens: count("input_tokens")?,
                        cached_tokens: count("cached_tokens")?,
                        output_tokens: count("output_tokens")?,
                        audio_seconds: count("audio_seconds")?,
                        ..Usage::default()
                    },
                    money: Money(row.try_get("micros")?),
                })
            })
            .collect()
    }
}

/// Who a sum is of.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Place {
    day: Day,
    kind: &'static str,
    name: String,
    model: String,
    work: UsageKind,
}

/// What one transaction adds to a sum.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    requests: u64,
    failed: u64,
    input_tokens: u64,
    cached_tokens: u64,
    output_tokens: u64,
    audio_seconds: u64,
    micros: u64,
}

/// What one transaction adds to all sums.
#[derive(Debug, Default)]
pub(super) struct Uses(HashMap<Place, Sum>);

impl Uses {
    /// Adds a call that began on a day.
    pub(super) fn add(&mut self, day: Day, subjects: &[Subject], spent: &Spent) {
        let payers = subjects.iter().map(|subject| {
            let (kind, name) = subject.parts();
            (kind.as_str(), name)
        });
        for (kind, name) in payers.chain([(ALL, "")]) {
            let place = Place {
                day,
                kind,
                name: name.to_owned(),
                model: spent.model.clone(),
                work: spent.kind,
            };
            let sum = self.0.entry(place).or_default();
            sum.requests += 1;
            sum.failed += u64::from(spent.failed);
            sum.input_tokens += spent.usage.input_tokens.min(MOST);
            sum.cached_tokens += spent.usage.cached_tokens.min(MOST);
            sum.output_tokens += spent.usage.output_tokens.min(MOST);
            sum.audio_seconds += spent.usage.audio_seconds.min(MOST);
            sum.micros += u64::try_from(spent.money.0).unwrap_or(0).min(MOST);
        }
    }

    /// Writes them.
    ///
    /// # Errors
    /// Where the database fails.
    pub(super) fn write(&self, tx: &Connection) -> Result<(), StoreError> {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        for (place, sum) in &self.0 {
            let mut add = tx.prepare_cached(
                "INSERT INTO usage_daily (day, kind, name, model, work, requests, failed, \
                 input_tokens, cached_tokens, output_tokens, audio_seconds, micros) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
                 ON CONFLICT (day, kind, name, model, work) DO UPDATE SET \
                 requests = usage_daily.requests + excluded.requests, \
                 failed = usage_daily.failed + excluded.failed, \
                 input_tokens = usage_daily.input_tokens + excluded.input_tokens, \
                 cached_tokens = usage_daily.cached_tokens + excluded.cached_tokens, \
                 output_tokens = usage_daily.output_tokens + excluded.output_tokens, \
                 audio_seconds = usage_daily.audio_seconds + excluded.audio_seconds, \
                 micros = usage_daily.micros + excluded.micros",
            )?;
            add.execute(params![
                place.day.number(),
                place.kind,
                place.name,
                place.model,
                place.work.as_str(),
                whole(sum.requests),
                whole(sum.failed),
                whole(sum.input_tokens),
                whole(sum.cached_tokens),
                whole(sum.output_tokens),
                whole(sum.audio_seconds),
                whole(sum.micros),
            ])?;
        }
        Ok(())
    }
}
