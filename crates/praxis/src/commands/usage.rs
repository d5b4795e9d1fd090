//! `praxis usage`: what was used, as the store has summed it up by day. Left out: counting, and limits.

use std::collections::BTreeMap;

use praxis_core::function::now_ms;
use praxis_core::ledger::{Day, SubjectKind, UsageKind};
use praxis_core::{Money, Subject};
use praxis_store::{UsageGroup, UsageSum};
use serde_json::{Value, json};

use super::store_alone;
use crate::cli::{By, Global, Usage};
use crate::ui::{self, BOLD, DIM, Failure};

/// The column of audio.
const AUDIO: &str = "seconds of audio";

/// What was used of a group in all days.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    requests: u64,
    failed: u64,
    read: u64,
    cached: u64,
    written: u64,
    audio: u64,
    micros: i64,
}

impl Sum {
    fn add(&mut self, part: &UsageSum) {
        for (sum, part) in [
            (&mut self.requests, part.requests),
            (&mut self.failed, part.failed),
            (&mut self.read, part.usage.input_tokens),
            (&mut self.cached, part.usage.cached_tokens),
            (&mut self.written, part.usage.output_tokens),
            (&mut self.audio, part.usage.audio_seconds),
        ] {
            *sum = sum.saturating_add(part);
        }
        self.micros = self.micros.saturating_add(part.money.0);
    }

    fn value(&self) -> Value {
        json!({
            "requests": self.requests,
            "failed": self.failed,
            "input_tokens": self.read,
            "cached_tokens": self.cached,
            "output_tokens": self.written,
            "audio_seconds": self.audio,
            "cost_usd": self.micros as f64 / 1e6,
        })
    }

    fn row(&self, name: String) -> Vec<String> {
        vec![
            name,
            self.requests.to_string(),
            self.failed.to_string(),
            format!("{} ({})", self.read, self.cached),
            self.written.to_string(),
            self.audio.to_string(),
            Money(self.micros).to_string(),
        ]
    }
}

/// Prints the sums.
///
/// # Errors
/// What is asked for of one payer and is not summed up for it.
pub async fn run(args: Usage, global: &Global) -> Result<(), Failure> {
    let by = args.by;
    let payer = payer(&args)?;
    let (group, only) = group(by, payer.as_ref())?;
    let to = Day::of(now_ms().saturating_mul(1000));
    let from = Day::from_number(to.number() - i64::from(args.days) + 1);
    let store = store_alone(global).await?;
    let model = args.model.as_deref();
    // The command line takes no other names.
    let kind = args.kind.as_deref().and_then(UsageKind::parse);
    let parts = store.usage(from, to, &group, model, kind).await?;
    // Not the sum of the groups: a request may be in none of them, or in several.
    let mut all = Sum::default();
    let total = UsageGroup::Total(payer);
    for part in store.usage(from, to, &total, model, kind).await? {
        all.add(&part);
    }
    let rows = rows(by, &parts, only.as_deref());
    if global.json {
        let row = |(name, sum): &(String, Sum)| {
            let mut value = sum.value();
            value["name"] = json!(name);
            value
        };
        ui::out_json(&json!({
            "from": from,
            "to": to,
            "by": by.as_str(),
            "kind": kind.map(UsageKind::as_str),
            "rows": rows.iter().map(row).collect::<Vec<_>>(),
            "total": all.value(),
        }));
        return Ok(());
    }
    if rows.is_empty() && all == Sum::default() {
        ui::note(format!(
            "nothing was used over the API from {from} to {to}; `praxis traces list` shows calls of the command line"
        ));
        return Ok(());
    }
    let mut header = vec![
        by.as_str(),
        "requests",
        "failed",
        "tokens read (cached)",
        "tokens written",
        AUDIO,
        "cost",
    ];
    let named = |(name, sum): &(String, Sum)| match name.is_empty() {
        true => sum.row(ui::paint(DIM, "none answered")),
        false => sum.row(name.clone()),
    };
    let mut table: Vec<Vec<String>> = rows.iter().map(named).collect();
    table.push(all.row(ui::paint(BOLD, "in all")));
    // Most servers hear nothing.
    let audio = header.iter().position(|column| *column == AUDIO);
    if let Some(at) = audio.filter(|_| all.audio == 0) {
        header.remove(at);
        for row in &mut table {
            row.remove(at);
        }
    }
    ui::out(ui::table(&header, &table));
    ui::note(ui::paint(DIM, format_args!("{from} to {to}, days of UTC")));
    Ok(())
}

/// Whose use is asked for, if not that of all.
fn payer(args: &Usage) -> Result<Option<Subject>, Failure> {
    let (key, user, tag) = (
        args.key.as_deref(),
        args.user.as_deref(),
        args.tag.as_deref(),
    );
    match (key, user, tag) {
        (None, None, None) => Ok(None),
        (Some(key), None, None) => Ok(Some(Subject::key(key))),
        (Some(key), Some(user), None) => Ok(Some(Subject::user(Some(key), user))),
        (None, Some(user), None) => {
            let subject = format!("user:{user}").parse::<Subject>();
            subject.map(Some).map_err(|_| {
                Failure::message(format!("--user: whose user is `{user}`?")).with_help(
                    "write KEY/USER, as `praxis usage --by user` lists them, or give --key too",
                )
            })
        }
        (None, None, Some(tag)) => Ok(Some(Subject::tag(tag))),
        (_, _, Some(tag)) => {
            let message = format!("--tag: the use of `{tag}` is not summed up by key or user");
            Err(Failure::message(message).with_help("leave out --key and --user, or --tag"))
        }
    }
}

/// What the store is asked for, and the only group of it that is wanted, if it is one.
fn group(by: By, payer: Option<&Subject>) -> Result<(UsageGroup, Option<String>), Failure> {
    let parts = payer.map(Subject::parts);
    let only = parts.map(|(_, name)| name.to_owned());
    match (by, parts.map(|(kind, _)| kind)) {
        (By::Day, _) => Ok((UsageGroup::Total(payer.cloned()), None)),
        (By::Model, _) => Ok((UsageGroup::Model(payer.cloned()), None)),
        (By::Key, None | Some(SubjectKind::Key)) => Ok((UsageGroup::Key, only)),
        (By::User, Some(SubjectKind::Key)) => Ok((UsageGroup::User { key: only }, None)),
        (By::User, None | Some(SubjectKind::User)) => Ok((UsageGroup::User { key: None }, only)),
        (By::Tag, None | Some(SubjectKind::Tag)) => Ok((UsageGroup::Tag, only)),
        (_, Some(kind)) => {
            let (kind, by) = (kind.as_str(), by.as_str());
            let message = format!("--by: the use of one {kind} is not summed up by {by}");
            Err(Failure::message(message)
                .with_help("take `--by day` or `--by model`; with --key also `--by user`"))
        }
    }
}

/// The sums of all days for each group, or for the only one that is wanted: days in order, of all else the dearest
/// first.
fn rows(by: By, parts: &[UsageSum], only: Option<&str>) -> Vec<(String, Sum)> {
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    for part in parts {
        let name = match by {
            By::Day => part.day.to_string(),
            _ => part.name.clone(),
        };
        if only.is_none_or(|only| only == name) {
            sums.entry(name).or_default().add(part);
        }
    }
    let mut rows: Vec<(String, Sum)> = sums.into_iter().collect();
    if by != By::Day {
        // Stable: those that used as much stay in the order of their names.
        rows.sort_by_key(|(_, sum)| std::cmp::Reverse((sum.micros, sum.requests)));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(key: Option<&str>, user: Option<&str>, tag: Option<&str>) -> Usage {
        Usage {
            days: 30,
            by: By::Day,
            key: key.map(str::to_owned),
            user: user.map(str::to_owned),
            tag: tag.map(str::to_owned),
            model: None,
            kind: None,
        }
    }

    #[test]
    fn whose_use_is_asked_for_is_one_of_those_that_are_summed_up() {
        for (key, user, tag, wanted) in [
            (None, None, None, Some(None)),
            (Some("hr"), None, None, Some(Some("key:hr"))),
            (Some("hr"), Some("li"), None, Some(Some("user:hr/li"))),
            (Some("a/b"), Some("li"), None, Some(Some("user:a%2Fb/li"))),
            (None, Some("hr/li"), None, Some(Some("user:hr/li"))),
            (None, Some("/li"), None, Some(Some("user:/li"))),
            (None, Some("li"), None, None),
            (None, Some(""), None, None),
            (None, None, Some("night"), Some(Some("tag:night"))),
            (Some("hr"), None, Some("night"), None),
            (None, Some("hr/li"), Some("night"), None),
        ] {
            let found = payer(&usage(key, user, tag)).ok();
            let found = found.map(|payer| payer.map(String::from));
            let wanted = wanted.map(|payer: Option<&str>| payer.map(str::to_owned));
            assert_eq!(found, wanted, "{key:?} {user:?} {tag:?}");
        }
    }

    #[test]
    fn a_report_is_cut_as_the_store_can() {
        let (key, user, tag) = (
            Subject::key("hr"),
            Subject::user(Some("hr"), "li"),
            Subject::tag("night"),
        );
        let of_hr = UsageGroup::User {
            key: Some("hr".to_owned()),
        };
        let users = UsageGroup::User { key: None };
        let total = UsageGroup::Total(Some(tag.clone()));
        let models = UsageGroup::Model(Some(user.clone()));
        for (by, payer, wanted) in [
            (By::Day, Some(&tag), Some((total, None))),
            (By::Model, Some(&user), Some((models, None))),
            (By::Key, None, Some((UsageGroup::Key, None))),
            (By::Key, Some(&key), Some((UsageGroup::Key, Some("hr")))),
            (By::Key, Some(&user), None),
            (By::Key, Some(&tag), None),
            (By::User, None, Some((users.clone(), None))),
            (By::User, Some(&key), Some((of_hr, None))),
            (By::User, Some(&user), Some((users, Some("hr/li")))),
            (By::User, Some(&tag), None),
            (By::Tag, Some(&tag), Some((UsageGroup::Tag, Some("night")))),
            (By::Tag, Some(&key), None),
        ] {
            let found = group(by, payer).ok();
            let wanted = wanted
                .map(|(group, only): (UsageGroup, Option<&str>)| (group, only.map(str::to_owned)));
            assert_eq!(found, wanted, "{by:?} {payer:?}");
        }
    }

    #[test]
    fn days_are_summed_up_and_the_dearest_comes_first() {
        let part = |day: i64, name: &str, requests: u64, micros: i64| UsageSum {
            day: Day::from_number(day),
            name: name.to_owned(),
            requests,
            failed: 0,
            usage: praxis_core::Usage {
                input_tokens: u64::MAX / 2,
                ..praxis_core::Usage::default()
            },
            money: Money(micros),
        };
        let parts = [
            part(0, "a", 1, 5),
            part(0, "b", 9, 0),
            part(1, "a", 1, 5),
            part(1, "c", 1, 30),
            part(2, "a", 1, i64::MAX),
        ];
        let figures = |by, only| -> Vec<(String, u64, i64)> {
            let rows = rows(by, &parts, only);
            let figures = rows.into_iter();
            figures
                .map(|(name, sum)| (name, sum.requests, sum.micros))
                .collect()
        };
        let row = |name: &str, requests: u64, micros: i64| (name.to_owned(), requests, micros);
        assert_eq!(
            figures(By::Key, None),
            [row("a", 3, i64::MAX), row("c", 1, 30), row("b", 9, 0)]
        );
        assert_eq!(figures(By::Key, Some("b")), [row("b", 9, 0)]);
        assert_eq!(
            figures(By::Day, None),
            [
                row("1970-01-01", 10, 5),
                row("1970-01-02", 2, 35),
                row("1970-01-03", 1, i64::MAX)
            ]
        );
    }
}
