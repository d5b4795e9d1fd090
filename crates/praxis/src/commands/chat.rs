//! `praxis chat`: a conversation in the terminal, with a function or a bare model.

use std::io::{IsTerminal, Write};

use futures::StreamExt;
use praxis_core::{Caller, ChatChunk, ChatGateway, ChatRequest, Message, Sampling};
use praxis_gateway::Task;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::call;
use crate::app::App;
use crate::cli::{Chat, Global};
use crate::ui::{self, BOLD, CYAN, DIM, Failure};

/// What a person can do beside asking.
const COMMANDS: &str = "/reset forgets, /quit or Ctrl-D ends, Ctrl-C stops an answer.";

/// Reads turns until end of file or `/quit`.
///
/// # Errors
/// An unknown function or model. An error of one turn is printed, and the conversation with a person goes on; a script
/// is told of it by the end.
pub async fn run(app: &App, args: Chat, global: &Global) -> Result<(), Failure> {
    if global.json {
        return Err(
            Failure::message("a conversation in the terminal has no JSON").with_help(
                "leave out --json, or ask once: praxis call FUNCTION question=\"...\" --json",
            ),
        );
    }
    let partner = partner(app, &args)?;
    ui::note(format!(
        "Talking to {}. {}",
        ui::paint(BOLD, partner.name()),
        ui::paint(DIM, COMMANDS)
    ));
    let mut history: Vec<Message> = Vec::new();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        prompt();
        let line = match lines.next_line().await {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(e) => return Err(Failure::message(format!("cannot read standard input: {e}"))),
        };
        match line.trim() {
            "" => continue,
            "/quit" | "/exit" => break,
            "/reset" => {
                history.clear();
                continue;
            }
            word if is_command(word) => {
                ui::warn(format!("there is no {word}. {COMMANDS}"));
                continue;
            }
            question => history.push(Message::user(question)),
        }
        let cancel = CancellationToken::new();
        let outcome = {
            let turn = turn(app, &partner, &history, args.asker.caller(), cancel.clone());
            tokio::pin!(turn);
            loop {
                tokio::select! {
                    outcome = &mut turn => break outcome,
                    _ = tokio::signal::ctrl_c() => cancel.cancel(),
                }
            }
        };
        match outcome {
            Ok(answer) => history.push(Message::assistant(answer)),
            Err(failure) if std::io::stdin().is_terminal() => {
                history.pop();
                ui::fail(&failure, false);
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// Whether a line is meant for this program: a slash and one word, which no question is.
fn is_command(line: &str) -> bool {
    let word = line.strip_prefix('/').unwrap_or_default();
    !word.is_empty() && word.chars().all(char::is_alphabetic)
}

enum Partner {
    Function(String),
    Model(String),
}

impl Partner {
    fn name(&self) -> &str {
        match self {
            Partner::Function(name) | Partner::Model(name) => name,
        }
    }
}

fn partner(app: &App, args: &Chat) -> Result<Partner, Failure> {
    if let Some(model) = &args.model {
        // Before anything is asked.
        if let Some((message, help)) = app.gateway.config().unfit(model, &[Task::Chat]) {
            return Err(Failure::message(message).with_help(help));
        }
        return Ok(Partner::Model(model.clone()));
    }
    if let Some(name) = &args.function {
        app.library.get(name)?;
        return Ok(Partner::Function(name.clone()));
    }
    let names: Vec<String> = app.library.list().into_iter().map(|s| s.name).collect();
    match &names[..] {
        [] => Err(Failure::message("there is no function to talk to").with_help(
            "write one into prompts/, or talk to a model: praxis chat --model NAME; `praxis models list` shows them",
        )),
        [only] => Ok(Partner::Function(only.clone())),
        names if names.iter().any(|n| n == "answer") => Ok(Partner::Function("answer".to_owned())),
        _ => Err(Failure::message("which function?").with_help(format!(
            "name one: praxis chat {}, or a model with --model",
            names.join(" | ")
        ))),
    }
}

async fn turn(
    app: &App,
    partner: &Partner,
    history: &[Message],
    caller: Caller,
    cancel: CancellationToken,
) -> Result<String, Failure> {
    let cx = app.context().with_caller(caller);
    let cx = cx.with_cancel(cancel.clone());
    match partner {
        Partner::Function(name) => {
            let function = app.library.get(name)?;
            let (events, received) = mpsc::channel(64);
            let cx = cx.with_events(events);
            let printer = tokio::spawn(call::print(received, true));
            let output = function
                .call_chat(history.to_vec(), Sampling::default(), None, &cx)
                .await;
            drop(cx);
            let printed = printer.await.unwrap_or_default();
            ui::out("");
            output?;
            call::print_citations(&printed.citations);
            Ok(printed.text)
        }
        Partner::Model(model) => {
            let request = ChatRequest {
                model: model.clone(),
                messages: history.to_vec(),
                ..ChatRequest::default()
            };
            let mut stream = app.gateway.chat(request, &cx).await?;
            let mut answer = String::new();
            while let Some(chunk) = stream.next().await {
                if chunk.is_err() && !answer.is_empty() {
                    ui::out("");
                }
                if let ChatChunk::Delta { text, .. } = chunk? {
                    ui::out_piece(&text);
                    answer.push_str(&text);
                }
                if cancel.is_cancelled() {
                    break;
                }
            }
            ui::out("");
            Ok(answer)
        }
    }
}

fn prompt() {
    if std::io::stdin().is_terminal() {
        let mut stderr = anstream::stderr();
        let _ = write!(stderr, "\n{} ", ui::paint(CYAN, "›"));
        let _ = stderr.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_and_a_word_are_meant_for_the_program() {
        for (line, wanted) in [
            ("/hlep", true),
            ("/etc/hosts", false),
            ("/reset it", false),
            ("/", false),
            ("help", false),
            ("", false),
        ] {
            assert_eq!(is_command(line), wanted, "{line}");
        }
    }
}
