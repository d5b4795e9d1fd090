//! `praxis tools proposed`, `approve` and `discard`: tools that models proposed, for a person who reads them. Left out:
//! how a tool is proposed (`praxis-tool`).

use std::io::{BufRead, IsTerminal};

use praxis_core::Problem;
use praxis_tool::{Proposal, Proposals};
use serde_json::json;

use crate::app;
use crate::cli::Global;
use crate::commands::call::excerpt;
use crate::commands::traces::when;
use crate::ui::{self, BOLD, DIM, Failure, GREEN};

/// Characters of a description in a list.
const LONGEST: usize = 60;

/// Lists what is proposed, or shows one.
///
/// # Errors
/// A name that is none.
pub fn list(name: Option<&str>, global: &Global) -> Result<(), Failure> {
    let proposals = proposals(global)?;
    let Some(name) = name else {
        let all = proposals.all();
        if global.json {
            let shown = all
                .iter()
                .map(|one| json!({ "digest": one.digest(), "proposal": one }));
            ui::out_json(&json!({ "proposed": shown.collect::<Vec<_>>() }));
            return Ok(());
        }
        if all.is_empty() {
            ui::note("no tools are proposed");
            return Ok(());
        }
        let rows: Vec<Vec<String>> = all.iter().map(row).collect();
        ui::out(ui::table(
            &["tool", "digest", "proposed", "by", "what it does"],
            &rows,
        ));
        return Ok(());
    };
    let proposal = found(&proposals, name)?;
    match global.json {
        true => ui::out_json(&json!({ "digest": proposal.digest(), "proposal": proposal })),
        false => lines(&proposal).iter().for_each(ui::out),
    }
    Ok(())
}

/// Makes a proposal a tool, once a person has read it and says so.
///
/// # Errors
/// Nobody says so; a proposal that is another one by now; a tool of that name.
pub fn approve(name: &str, digest: Option<&str>, global: &Global) -> Result<(), Failure> {
    let root = app::find_root(global.app.as_deref())?;
    let proposals = proposals(global)?;
    let proposal = found(&proposals, name)?;
    let read = match digest {
        Some(digest) => digest.to_owned(),
        None => {
            lines(&proposal).iter().for_each(ui::out);
            let digest = proposal.digest();
            if !says_yes(name)? {
                let help = format!("`praxis tools discard {name}` removes it");
                return Err(Failure::message(format!("`{name}` stays proposed")).with_help(help));
            }
            digest
        }
    };
    let file = proposals.approve(name, &read, &root).map_err(failure)?;
    if global.json {
        ui::out_json(&json!({ "ok": true, "tool": name, "file": file }));
        return Ok(());
    }
    ui::out(format!(
        "{} {} is a tool now",
        ui::paint(GREEN, "ok"),
        ui::paint(BOLD, name)
    ));
    ui::note(format!(
        "its files are {} and {name}.py beside it",
        file.display()
    ));
    Ok(())
}

/// Removes a proposal.
///
/// # Errors
/// A name that is none.
pub fn discard(name: &str, global: &Global) -> Result<(), Failure> {
    if !proposals(global)?.discard(name) {
        return Err(unknown(name));
    }
    match global.json {
        true => ui::out_json(&json!({ "ok": true, "discarded": name })),
        false => ui::out(format!(
            "{} `{name}` is not proposed any more",
            ui::paint(GREEN, "ok")
        )),
    }
    Ok(())
}

fn proposals(global: &Global) -> Result<Proposals, Failure> {
    let root = app::find_root(global.app.as_deref())?;
    Ok(Proposals::new(&app::tool_state(&root)))
}

fn found(proposals: &Proposals, name: &str) -> Result<Proposal, Failure> {
    proposals.find(name).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> Failure {
    Failure::message(format!("no tool `{name}` is proposed"))
        .with_help("`praxis tools proposed` lists what is")
}

fn failure(problem: Problem) -> Failure {
    let failure = Failure::message(problem.message);
    match problem.help {
        Some(help) => failure.with_help(help),
        None => failure,
    }
}

fn row(proposal: &Proposal) -> Vec<String> {
    vec![
        visible(&proposal.name),
        proposal.digest(),
        when(proposal.proposed_ms),
        visible(proposal.caller.name.as_deref().unwrap_or("the owner")),
        excerpt(&visible(&proposal.description), LONGEST),
    ]
}

/// All that a person has to read of a proposal.
fn lines(proposal: &Proposal) -> Vec<String> {
    let by = visible(proposal.caller.name.as_deref().unwrap_or("the owner"));
    let about = format!(
        "proposed {} by {by}, in the trace {}; runs in the sandbox of `{}`",
        when(proposal.proposed_ms),
        visible(&proposal.trace),
        visible(&proposal.interpreter),
    );
    let mut lines = vec![
        format!(
            "{}  {}",
            ui::paint(BOLD, visible(&proposal.name)),
            ui::paint(DIM, proposal.digest())
        ),
        visible(&proposal.description),
        ui::paint(DIM, about),
        ui::paint(DIM, "input"),
        visible(&proposal.input_schema.to_string()),
        ui::paint(DIM, "code"),
    ];
    lines.extend(proposal.code.lines().map(visible));
    lines.push(ui::paint(DIM, "tests that passed"));
    let test = |one: &praxis_tool::Tried| visible(&format!("{} -> {}", one.input, one.output));
    lines.extend(proposal.tests.iter().map(test));
    lines
}

/// A text in which nothing is hidden: a model wrote it, and what a terminal obeys, or what turns the direction of
/// writing, could show a person other code than is run (CVE-2021-42574).
fn visible(text: &str) -> String {
    let hides = |c: char| {
        (c.is_control() && c != '\t')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match hides(c) {
            true => shown.extend(c.escape_unicode()),
            false => shown.push(c),
        }
    }
    shown
}

/// Asks the person at the terminal.
///
/// # Errors
/// There is none.
fn says_yes(name: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(
            Failure::message("nobody is there to approve it").with_help(format!(
                "read it (`praxis tools proposed {name}`), then name what was read: \
             `praxis tools approve {name} --digest DIGEST`"
            )),
        );
    }
    ui::out_piece(&format!(
        "Make `{name}` a tool of this application? Type yes: "
    ));
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.map_err(|error| Failure::message(format!("cannot read the answer: {error}")))?;
    Ok(line.trim().eq_ignore_ascii_case("yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_hidden_from_who_reads() {
        for (text, shown) in [
            ("def run():\treturn '测试'", "def run():\treturn '测试'"),
            ("a\u{1b}[2Kb", "a\\u{1b}[2Kb"),
            ("x = 1 \u{202e}# \u{2066}", "x = 1 \\u{202e}# \\u{2066}"),
            ("a\rb", "a\\u{d}b"),
        ] {
            assert_eq!(visible(text), shown);
        }
    }
}
