//! `praxis keys`: the API keys of the store. Left out: keys that `praxis.toml` names, and what a server does with a
//! request that brings one.

use praxis_core::access::{MAX_LABEL, is_label};
use praxis_core::function::now_ms;
use praxis_core::ledger::{Day, user_prefix};
use praxis_core::suggest::nearest;
use praxis_core::{Clearance, Limit, Subject};
use praxis_store::{ApiKey, KeyChange, NewKey, Scopes, Store};
use serde_json::{Value, json};

use super::store_alone;
use super::traces::when;
use crate::app;
use crate::cli::{CreateKey, Global, Keys, UpdateKey};
use crate::config::{AppConfig, FILE_NAME};
use crate::ui::{self, BOLD, Failure, GREEN, YELLOW};

/// Milliseconds.
const HOUR_MS: i64 = 3_600_000;
pub(super) const DAY_MS: i64 = 24 * HOUR_MS;

/// The longest time that a key may be told to hold: a hundred years.
const LONGEST_MS: i64 = 36_525 * DAY_MS;

/// Makes, lists, changes or revokes keys.
///
/// # Errors
/// A name that is taken or that no key has, and what is not written as it must be.
pub async fn run(args: Keys, global: &Global) -> Result<(), Failure> {
    match args {
        Keys::Create(args) => create(args, global).await,
        Keys::List { all } => list(all, global).await,
        Keys::Update(args) => update(args, global).await,
        Keys::Revoke { name } => revoke(&name, global).await,
    }
}

async fn create(args: CreateKey, global: &Global) -> Result<(), Failure> {
    let name = args.name;
    if !is_label(&name) {
        return Err(unfit(format!("NAME: `{name}` is no name for a key")));
    }
    if let Some(wrong) = args.labels.iter().find(|label| !is_label(label)) {
        return Err(unfit(format!("--label: `{wrong}` is no label")));
    }
    let now = now_ms();
    let new = NewKey {
        name: name.clone(),
        scopes: scopes(&args.scopes)?.unwrap_or_else(Scopes::all),
        clearance: match args.all_documents {
            true => Clearance::Full,
            false => Clearance::of(args.labels),
        },
        limits: limits(&args.limits, &name)?,
        expires_ms: match &args.expires {
            Some(text) => Some(end(text, now)?),
            None => None,
        },
    };
    let server = AppConfig::load(&app::find_root(global.app.as_deref())?)?.server;
    if server.keys.iter().any(|key| key.name == name) {
        let fix =
            "choose another name: keys of one name share their limits, and see each other's traces";
        return Err(taken(&name, &format!(" in {FILE_NAME}")).with_help(fix));
    }
    let store = store_alone(global).await?;
    let others = store.api_keys().await?;
    // Where a key was ever made, a running server asks for keys and takes this one.
    let is_first = server.api_key.is_none() && server.keys.is_empty() && others.is_empty();
    let Some((key, secret)) = store.create_key(new, now).await? else {
        let fix = format!(
            "choose another name, change that key with `praxis keys update {name}`, or end it with \
             `praxis keys revoke {name}`"
        );
        return Err(taken(&name, "").with_help(fix));
    };
    if global.json {
        let mut made = value(&key, now);
        made["key"] = json!(secret.expose());
        made["first"] = json!(is_first);
        ui::out_json(&made);
        return told(&store, &name).await;
    }
    // Standard output has the secret and nothing else, so that scripts can take it from there.
    ui::note(done(&key.name, "is made"));
    lines(&key).iter().for_each(ui::note);
    ui::out(secret.expose());
    told(&store, &name).await?;
    ui::note(
        "This secret is not shown again: keep it where you keep secrets. The store has its hash only.",
    );
    ui::note("Clients send it as `Authorization: Bearer SECRET`; OpenAI's libraries as `api_key`.");
    if server.open {
        ui::note(format!(
            "`open = true` in {FILE_NAME} says that there are no keys: leave it out, else `praxis serve` does not start."
        ));
    } else if is_first {
        ui::note(
            "It is the first key: a `praxis serve` that runs already asks for none until it is started anew.",
        );
    } else {
        ui::note("A running `praxis serve` takes it within a second.");
    }
    Ok(())
}

/// Revokes a new key whose secret did not reach who asked for it: nobody could use it, and its name is taken.
async fn told(store: &Store, name: &str) -> Result<(), Failure> {
    if !ui::is_unwritten() {
        return Ok(());
    }
    store.revoke_key(name, now_ms()).await?;
    let message = format!("the secret of `{name}` could not be written, and the key is revoked");
    Err(Failure::message(message).with_help("run the command again where its output has room"))
}

fn taken(name: &str, place: &str) -> Failure {
    Failure::message(format!("a key{place} is called `{name}` already"))
}

async fn list(all: bool, global: &Global) -> Result<(), Failure> {
    let now = now_ms();
    let mut keys = store_alone(global).await?.api_keys().await?;
    let count = keys.len();
    keys.retain(|key| all || key.is_valid(now));
    if global.json {
        let keys: Vec<Value> = keys.iter().map(|key| value(key, now)).collect();
        ui::out_json(&json!({ "keys": keys }));
        return Ok(());
    }
    if count == 0 {
        ui::note("no keys yet; `praxis keys create NAME` makes one");
        return Ok(());
    }
    if !keys.is_empty() {
        let mut header = vec![
            "name",
            "secret",
            "scopes",
            "labels",
            "limits",
            "made",
            "expires",
            "last used",
        ];
        let mut rows: Vec<Vec<String>> = keys.iter().map(row).collect();
        if all {
            header.push("state");
            for (row, key) in rows.iter_mut().zip(&keys) {
                row.push(match state(key, now) {
                    "valid" => ui::paint(GREEN, "valid"),
                    over => ui::paint(YELLOW, over),
                });
            }
        }
        ui::out(ui::table(&header, &rows));
    }
    let hidden = count - keys.len();
    if hidden > 0 {
        ui::note(format!(
            "{hidden} revoked or expired; `praxis keys list --all` shows them too"
        ));
    }
    Ok(())
}

async fn update(args: UpdateKey, global: &Global) -> Result<(), Failure> {
    let (name, now) = (args.name, now_ms());
    let change = KeyChange {
        scopes: scopes(&args.scopes)?,
        limits: match (args.no_limits, args.limits.is_empty()) {
            (true, _) => Some(Vec::new()),
            (false, true) => None,
            (false, false) => Some(limits(&args.limits, &name)?),
        },
        expires_ms: match (args.never_expires, &args.expires) {
            (true, _) => Some(None),
            (false, Some(text)) => Some(Some(end(text, now)?)),
            (false, None) => None,
        },
    };
    if change == KeyChange::default() {
        return Err(Failure::message(format!("what is to change of `{name}`?"))
            .with_help("give --scope, --limit or --no-limits, --expires or --never-expires"));
    }
    let store = store_alone(global).await?;
    let Some(key) = store.update_key(&name, &change).await? else {
        return Err(unknown(&name, &store.api_keys().await?));
    };
    if global.json {
        ui::out_json(&value(&key, now));
        return Ok(());
    }
    ui::out(done(&key.name, "is changed"));
    lines(&key).iter().for_each(ui::out);
    ui::note("A running `praxis serve` goes by it within a second.");
    Ok(())
}

async fn revoke(name: &str, global: &Global) -> Result<(), Failure> {
    let store = store_alone(global).await?;
    if !store.revoke_key(name, now_ms()).await? {
        return Err(unknown(name, &store.api_keys().await?));
    }
    if global.json {
        ui::out_json(&json!({ "name": name, "revoked": true }));
        return Ok(());
    }
    ui::out(done(name, "is revoked"));
    ui::note("A running `praxis serve` refuses it within a second.");
    let now = now_ms();
    if !store.api_keys().await?.iter().any(|key| key.is_valid(now)) {
        ui::note(format!(
            "It was the last key that opened anything: unless {FILE_NAME} names others, a server refuses everybody now."
        ));
    }
    Ok(())
}

/// Why a key cannot be changed or revoked.
fn unknown(name: &str, keys: &[ApiKey]) -> Failure {
    let former = keys.iter().filter(|key| key.name == name);
    if let Some(revoked) = former.filter_map(|key| key.revoked_ms).max() {
        let message = format!("the key `{name}` is revoked since {}", when(revoked));
        let fix = format!("`praxis keys create {name}` makes a new one of that name");
        return Failure::message(message).with_help(fix);
    }
    let there = keys.iter().filter(|key| key.revoked_ms.is_none());
    let fix = match nearest(name, there.map(|key| key.name.as_str())) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "`praxis keys list --all` shows those that there are; keys of {FILE_NAME} are changed there"
        ),
    };
    Failure::message(format!("no key is called `{name}`")).with_help(fix)
}

fn unfit(message: String) -> Failure {
    Failure::message(message).with_help(format!(
        "write up to {MAX_LABEL} letters, digits and `-_.:/`, without spaces"
    ))
}

/// The scopes of a list of names; none where it is empty.
fn scopes(names: &[String]) -> Result<Option<Scopes>, Failure> {
    if names.is_empty() {
        return Ok(None);
    }
    let scopes = Scopes::parse(names);
    let scopes = scopes.map_err(|error| Failure::message(format!("--scope: {error}")))?;
    Ok(Some(scopes))
}

/// The limits of a key of this name.
fn limits(texts: &[String], name: &str) -> Result<Vec<Limit>, Failure> {
    let mut limits = Vec::with_capacity(texts.len());
    for text in texts {
        let limit = text.parse::<Limit>();
        let limit = limit.map_err(|error| Failure::message(format!("--limit: {error}")))?;
        if !can_hold(&limit, name) {
            let message = format!("--limit: `{limit}` never holds for what `{name}` calls");
            return Err(Failure::message(message).with_help(format!(
                "for the key itself leave out `for`; its users are `user:{}*`, and tags `tag:NAME`",
                user_prefix(name)
            )));
        }
        limits.push(limit);
    }
    Ok(limits)
}

/// Whether anybody whom a key of this name pays for could have a limit.
fn can_hold(limit: &Limit, name: &str) -> bool {
    let pattern = limit.subject.as_str();
    let users = format!("user:{}", user_prefix(name));
    let fixed = pattern.split('*').next().unwrap_or_default();
    pattern.starts_with("tag:")
        || limit.subject.matches(&Subject::key(name))
        || fixed.starts_with(&users)
        || (pattern.contains('*') && users.starts_with(fixed))
}

/// Days or hours as they are written (`90d`, `12h`), in milliseconds.
pub(super) fn span(text: &str) -> Option<i64> {
    let mut units = [('d', DAY_MS), ('h', HOUR_MS)].into_iter();
    units.find_map(|(unit, ms)| {
        let number: u32 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        Some(i64::from(number).saturating_mul(ms))
    })
}

/// From when on a key opens nothing, in milliseconds since the epoch: so many days or hours from now, or the beginning
/// of a day.
fn end(text: &str, now: i64) -> Result<i64, Failure> {
    let text = text.trim();
    let at = match (span(text), text.parse::<Day>()) {
        (Some(span), _) => now.saturating_add(span),
        (None, Ok(day)) => day.number().saturating_mul(DAY_MS),
        (None, Err(_)) => {
            let message = format!("--expires: `{text}` is neither a time nor a day");
            return Err(Failure::message(message)
                .with_help("write it like `90d`, `12h` or `2027-01-31`, which begins by UTC"));
        }
    };
    let fail = |problem: &str, fix: &str| {
        Err(Failure::message(format!("--expires: `{text}` {problem}")).with_help(fix))
    };
    match at.saturating_sub(now) {
        ..=0 => fail(
            "is not in the future",
            "write a later day; `praxis keys revoke NAME` ends a key now",
        ),
        1..=LONGEST_MS => Ok(at),
        _ => fail(
            "is more than a hundred years from now",
            "keys that nothing is said of do not end; `praxis keys update NAME --never-expires` makes them so",
        ),
    }
}

fn done(name: &str, what: &str) -> String {
    format!(
        "{} {} {what}",
        ui::paint(GREEN, "ok"),
        ui::paint(BOLD, name)
    )
}

/// A key as `--json` prints it.
fn value(key: &ApiKey, now: i64) -> Value {
    json!({
        "name": key.name,
        "id": key.id,
        "hint": key.hint,
        "state": state(key, now),
        "scopes": key.scopes,
        "labels": key.clearance,
        "limits": key.limits,
        "created_ms": key.created_ms,
        "expires_ms": key.expires_ms,
        "revoked_ms": key.revoked_ms,
        "last_used_ms": key.last_used_ms,
    })
}

fn state(key: &ApiKey, now: i64) -> &'static str {
    match (key.revoked_ms, key.is_valid(now)) {
        (Some(_), _) => "revoked",
        (None, true) => "valid",
        (None, false) => "expired",
    }
}

fn row(key: &ApiKey) -> Vec<String> {
    let labels = match (key.clearance.is_full(), key.clearance.labels()) {
        (true, _) => "all documents".to_owned(),
        (false, labels) if labels.is_empty() => "no labels".to_owned(),
        (false, labels) => labels.join(", "),
    };
    vec![
        ui::paint(BOLD, &key.name),
        format!("…{}", key.hint),
        key.scopes.names().join(", "),
        labels,
        written(&key.limits),
        when(key.created_ms),
        moment(key.expires_ms),
        moment(key.last_used_ms),
    ]
}

/// A key as it is told to who makes or changes it.
fn lines(key: &ApiKey) -> Vec<String> {
    let reads = match (key.clearance.is_full(), key.clearance.labels()) {
        (true, _) => "all documents".to_owned(),
        (false, labels) if labels.is_empty() => "documents without labels".to_owned(),
        (false, labels) => format!(
            "documents without labels, and those with {}",
            labels.join(", ")
        ),
    };
    let told = [
        ("scopes", key.scopes.names().join(", ")),
        ("reads", reads),
        ("limits", written(&key.limits)),
        ("expires", moment(key.expires_ms)),
    ];
    let line = |(what, is): (&str, String)| format!("  {what:<9}{is}");
    told.into_iter().map(line).collect()
}

fn written(limits: &[Limit]) -> String {
    match limits {
        [] => "no limit".to_owned(),
        some => some
            .iter()
            .map(Limit::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    }
}

fn moment(ms: Option<i64>) -> String {
    ms.map_or_else(|| "never".to_owned(), when)
}

#[cfg(test)]
mod tests;
