//! `praxis approvals`: calls of tools that wait for a person, decisions, and the log. Who may open the application's
//! folder decides here. Left out: which calls wait.

use praxis_core::approval::{ApprovalState, Decision, Outcome, Ruling};
use praxis_core::function::now_ms;
use praxis_core::ledger::Day;
use praxis_core::{Approval, Caller};
use praxis_store::{LogPage, LoggedCall, Page};
use serde_json::{Value, json};

use super::call::excerpt;
use super::keys::{DAY_MS, span};
use super::store_alone;
use super::traces::when;
use crate::cli::{Approvals, Audit, Global};
use crate::ui::{self, BOLD, Failure, GREEN, RED, YELLOW};

/// Who decides here, as callers are told.
const BY: &str = "the command line";

/// Characters of arguments and of reasons in a table.
const SHOWN: usize = 60;

/// Lists, shows, decides, or shows the log.
///
/// # Errors
/// An id that no approval has, and a decision that its state does not allow.
pub async fn run(args: Approvals, global: &Global) -> Result<(), Failure> {
    match args {
        Approvals::List { state, limit } => list(&state, limit, global).await,
        Approvals::Show { id, reveal: false } => show(&id, |found| &found.shown, global).await,
        Approvals::Show { id, reveal: true } => show(&id, |found| &found.arguments, global).await,
        Approvals::Approve { id, note, again } => {
            let decision = match again {
                true => Decision::ApproveAgain,
                false => Decision::Approve,
            };
            decide(&id, decision, note, global).await
        }
        Approvals::Deny { id, note } => decide(&id, Decision::Deny, note, global).await,
        Approvals::Audit(args) => audit(args, global).await,
    }
}

async fn list(state: &str, limit: usize, global: &Global) -> Result<(), Failure> {
    let store = store_alone(global).await?;
    let page = Page {
        limit,
        descending: true,
        ..Page::default()
    };
    // Another word is that for all of them.
    let state = ApprovalState::parse(state);
    let found = store
        .approvals(state, &page, &Caller::full(), now_ms())
        .await?;
    if global.json {
        ui::out_json(&json!({ "approvals": found.items, "has_more": found.has_more }));
        return Ok(());
    }
    if found.items.is_empty() {
        let what = state.map_or("no approvals yet".to_owned(), |state| {
            format!("none is {}", state.as_str())
        });
        ui::note(format!(
            "{what}; `praxis approvals list --state all` shows all"
        ));
        return Ok(());
    }
    let rows: Vec<Vec<String>> = found.items.iter().map(row).collect();
    let header = [
        "approval",
        "state",
        "asked",
        "function",
        "caller",
        "because",
        "arguments",
    ];
    ui::out(ui::table(&header, &rows));
    if found.has_more {
        ui::note(format!("there are more than {limit}; --limit shows more"));
    }
    Ok(())
}

/// Shows a call with its arguments, as they are or as people may see them.
async fn show(
    id: &str,
    arguments: fn(&Approval) -> &Value,
    global: &Global,
) -> Result<(), Failure> {
    let store = store_alone(global).await?;
    let found = store.approval(id, now_ms()).await?;
    let approval = found.ok_or_else(|| unknown(id))?;
    let arguments = arguments(&approval);
    if global.json {
        let mut told = json!(approval);
        told["arguments"] = arguments.clone();
        ui::out_json(&told);
        return Ok(());
    }
    lines(&approval, arguments).iter().for_each(ui::out);
    if *arguments != approval.arguments {
        ui::note(format!(
            "secrets are not shown; `praxis approvals show {id} --reveal` shows them"
        ));
    }
    Ok(())
}

async fn decide(
    id: &str,
    decision: Decision,
    note: Option<String>,
    global: &Global,
) -> Result<(), Failure> {
    let store = store_alone(global).await?;
    let ruling = Ruling {
        decision,
        by: BY.to_owned(),
        note,
    };
    let decided = store.decide_approval(id, &ruling, now_ms()).await?;
    let approval = decided.ok_or_else(|| unknown(id))?;
    if approval.state != decision.state() {
        return Err(stands_against(&approval));
    }
    if global.json {
        ui::out_json(&json!(approval));
        return Ok(());
    }
    ui::out(format!(
        "{} {} is {}",
        ui::paint(GREEN, "ok"),
        ui::paint(BOLD, &approval.id),
        approval.state.as_str()
    ));
    let told = lines(&approval, &approval.shown);
    told.iter().skip(1).for_each(ui::note);
    if approval.state == ApprovalState::Approved {
        ui::note(format!(
            "The same call is made once now, until {}: `praxis call praxis/approved approval={id}` makes it for who \
             asked on the command line, and others ask again.",
            when(approval.expires_ms)
        ));
    }
    Ok(())
}

/// Why a decision changes nothing.
fn stands_against(approval: &Approval) -> Failure {
    let id = &approval.id;
    if approval.state == ApprovalState::Consumed {
        let message = format!("`{id}` was begun, and its end is not known: it may have been made");
        return Failure::message(message).with_help(format!(
            "look whether it was; `praxis approvals approve {id} --again` lets it run again"
        ));
    }
    let message = format!("`{id}` is {} by now, and stays so", approval.state.as_str());
    Failure::message(message).with_help("the same call, made again, asks for a new approval")
}

fn unknown(id: &str) -> Failure {
    Failure::message(format!("no approval is called `{id}`"))
        .with_help("`praxis approvals list --state all` shows their ids")
}

async fn audit(args: Audit, global: &Global) -> Result<(), Failure> {
    let since = args.since.as_deref().map(|text| since(text, now_ms()));
    let page = LogPage {
        limit: args.limit,
        descending: args.after.is_none(),
        after: args.after,
        tool: args.function,
        outcome: args.outcome.as_deref().and_then(Outcome::parse),
        since_ms: since.transpose()?,
    };
    let store = store_alone(global).await?;
    let found = store.tool_calls(&page, &Caller::full()).await?;
    if global.json {
        ui::out_json(&json!({ "calls": found.items, "has_more": found.has_more }));
        return Ok(());
    }
    if found.items.is_empty() {
        ui::note("no such calls of tools are logged");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = found.items.iter().map(logged).collect();
    let header = [
        "number",
        "at",
        "function",
        "outcome",
        "caller",
        "because",
        "arguments",
    ];
    ui::out(ui::table(&header, &rows));
    Ok(())
}

/// From when on entries are wanted, in milliseconds since the epoch: so many days or hours ago, or the beginning of a
/// day.
fn since(text: &str, now: i64) -> Result<i64, Failure> {
    let text = text.trim();
    match (span(text), text.parse::<Day>()) {
        (Some(span), _) => Ok(now.saturating_sub(span)),
        (None, Ok(day)) => Ok(day.number().saturating_mul(DAY_MS)),
        (None, Err(_)) => {
            let message = format!("--since: `{text}` is neither a time nor a day");
            Err(Failure::message(message)
                .with_help("write it like `7d`, `12h` or `2027-01-31`, which begins by UTC"))
        }
    }
}

fn row(approval: &Approval) -> Vec<String> {
    vec![
        approval.id.clone(),
        painted(approval.state),
        when(approval.created_ms),
        plain(&approval.function),
        whom(&approval.caller, approval.user.as_deref()),
        plain(&excerpt(&approval.reason, SHOWN)),
        plain(&excerpt(&approval.shown.to_string(), SHOWN)),
    ]
}

fn logged(logged: &LoggedCall) -> Vec<String> {
    let entry = &logged.entry;
    let outcome = match entry.outcome {
        Outcome::Done | Outcome::Repeated => ui::paint(GREEN, entry.outcome.as_str()),
        Outcome::Began | Outcome::Waits => ui::paint(YELLOW, entry.outcome.as_str()),
        Outcome::Failed | Outcome::Denied | Outcome::Limited | Outcome::Refused => {
            ui::paint(RED, entry.outcome.as_str())
        }
    };
    vec![
        logged.number.to_string(),
        when(logged.at_ms),
        plain(&entry.function),
        outcome,
        whom(&entry.caller, entry.user.as_deref()),
        plain(&excerpt(&entry.decision, SHOWN)),
        plain(&excerpt(&entry.arguments.to_string(), SHOWN)),
    ]
}

/// All that a person has to know who decides; `arguments` are the call's, as they are shown.
fn lines(approval: &Approval, arguments: &Value) -> Vec<String> {
    let at = |ms: Option<i64>| ms.map(when);
    let result = approval.result.as_ref().map(Value::to_string);
    let decided = approval.decided_by.as_ref().map(|by| {
        let note = approval.note.as_ref().map(|note| format!(": {note}"));
        let when = at(approval.decided_ms).unwrap_or_default();
        format!("{when} by {by}{}", note.unwrap_or_default())
    });
    let told = [
        ("approval", Some(approval.id.clone())),
        ("state", Some(approval.state.as_str().to_owned())),
        ("function", Some(approval.function.clone())),
        ("effects", Some(approval.effects.to_string())),
        ("because", Some(approval.reason.clone())),
        (
            "caller",
            Some(whom(&approval.caller, approval.user.as_deref())),
        ),
        ("trace", Some(approval.trace_id.to_string())),
        ("asked", Some(when(approval.created_ms))),
        ("until", Some(when(approval.expires_ms))),
        ("decided", decided),
        ("begun", at(approval.consumed_ms)),
        ("ended", at(approval.ended_ms)),
        ("result", result.map(|text| excerpt(&text, 2000))),
        ("error", approval.error.clone()),
    ];
    let line = |(what, is): (&str, Option<String>)| Some(format!("{what:<10}{}", plain(&is?)));
    let mut lines: Vec<String> = told.into_iter().filter_map(line).collect();
    let arguments = serde_json::to_string_pretty(arguments).unwrap_or_default();
    lines.push(format!("arguments {}", plain(&arguments)));
    lines
}

fn painted(state: ApprovalState) -> String {
    let style = match state {
        ApprovalState::Pending | ApprovalState::Consumed => YELLOW,
        ApprovalState::Approved | ApprovalState::Done => GREEN,
        ApprovalState::Denied | ApprovalState::Failed | ApprovalState::Expired => RED,
    };
    ui::paint(style, state.as_str())
}

fn whom(caller: &Caller, user: Option<&str>) -> String {
    let name = match (&caller.name, caller.clearance.is_full()) {
        (Some(name), _) => name.clone(),
        (None, true) => "the owner".to_owned(),
        (None, false) => "nobody named".to_owned(),
    };
    plain(&match user {
        Some(user) => format!("{name}/{user}"),
        None => name,
    })
}

/// A text in which nothing is hidden from who decides: characters that are not seen, or that turn those beside them
/// round (Unicode Technical Report 36, "Bidirectional Text Spoofing"), are written as their numbers.
fn plain(text: &str) -> String {
    let is_hidden = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(
                u32::from(c),
                0xAD | 0x61C | 0x180E | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0xFE00..=0xFE0F
                    | 0xFEFF | 0xFFF9..=0xFFFB | 0xE0000..=0xE0FFF
            )
    };
    text.chars().fold(String::new(), |mut shown, c| {
        match is_hidden(c) {
            true => shown.push_str(&format!("\\u{{{:X}}}", u32::from(c))),
            false => shown.push(c),
        }
        shown
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_hidden_from_who_decides() {
        for (text, shown) in [
            ("pay li 5", "pay li 5"),
            ("付给藤野 5 €\nsoon", "付给藤野 5 €\nsoon"),
            ("\u{202E}5 il yap", "\\u{202E}5 il yap"),
            (
                "a\u{200B}b\u{E0041}\u{1B}[8m",
                "a\\u{200B}b\\u{E0041}\\u{1B}[8m",
            ),
        ] {
            assert_eq!(plain(text), shown);
        }
    }

    #[test]
    fn entries_are_wanted_from_a_time_on() {
        const NOW: i64 = 1_774_948_000_000;
        for (text, wanted) in [
            ("7d", Some(NOW - 7 * DAY_MS)),
            (" 12 h ", Some(NOW - DAY_MS / 2)),
            ("2027-01-31", Some(1_801_353_600_000)),
            ("-1d", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(since(text, NOW).ok(), wanted, "{text}");
        }
    }

    #[test]
    fn callers_are_told_apart() {
        let named = Caller {
            name: Some("web".to_owned()),
            ..Caller::default()
        };
        for (caller, user, told) in [
            (Caller::full(), None, "the owner"),
            (Caller::default(), None, "nobody named"),
            (named.clone(), None, "web"),
            (named, Some("li"), "web/li"),
        ] {
            assert_eq!(whom(&caller, user), told);
        }
    }
}
