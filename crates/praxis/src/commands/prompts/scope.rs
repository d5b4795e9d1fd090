//! `praxis prompts scope`: how well a function keeps to its scope. Questions that it is for and questions
//! that it is not for are put to its gate, or to all of it, and what it got wrong is counted.
//!
//! Left out: whether its answers are right (`praxis prompts try`).

use std::path::Path;
use std::sync::Arc;

use futures::StreamExt;
use praxis_core::{CallContext, CallError, Function, Language};
use praxis_function::PromptFunction;
use serde::Serialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::summary::wilson;
use crate::app::App;
use crate::cli::{Global, Scope};
use crate::ui::{self, Failure};

/// What is asked where no file says what is outside.
const OUTSIDE: &str = include_str!("outside.txt");

/// Wrong judgements that are listed for each kind of mistake; `--json` has all.
const LISTED: usize = 40;

/// What a question is to the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Place {
    Inside,
    Outside,
}

impl Place {
    fn mistakes(self) -> &'static str {
        match self {
            Self::Inside => "false refusals",
            Self::Outside => "false accepts",
        }
    }
}

/// A question and what came of it.
#[derive(Debug, Clone, Serialize)]
struct Asked {
    question: String,
    place: Place,
    language: Language,
    declined: bool,
    /// What the gate says of it, or what failed.
    why: String,
    failed: bool,
}

impl Asked {
    fn is_wrong(&self) -> bool {
        !self.failed && self.declined == (self.place == Place::Inside)
    }
}

/// Questions of one kind in numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Row {
    place: Place,
    /// One language, or all.
    language: Option<Language>,
    /// Those that were judged.
    questions: usize,
    declined: usize,
    wrong: usize,
    rate: Option<f64>,
    /// 95 % confidence interval of the rate (Wilson 1927).
    interval: Option<[f64; 2]>,
    failed: usize,
}

/// Asks, and prints what was judged wrongly and how often.
///
/// # Errors
/// Unknown functions, those without a scope, files without questions; questions of which none could be
/// judged; interruption.
pub async fn run(app: &App, args: Scope, global: &Global) -> Result<(), Failure> {
    let function = app.library.get(&args.function)?;
    let by = gate(&function, args.full)?;
    let questions = questions(&args)?;
    let asking = Asking {
        app,
        function,
        full: args.full,
        cancel: crate::commands::cancel_on_ctrl_c(),
    };
    let name = app.model_of(&asking.function);
    // So that no model is loaded several times; what cannot be loaded is told by the questions.
    let _ = app.gateway.preload(name).await;
    let progress = ui::count_bar(&ui::progress_group(), "questions", questions.len() as u64);
    let total = questions.len();
    let mut asked: Vec<(usize, Asked)> = {
        let asking = &asking;
        let mut done =
            futures::stream::iter(questions.into_iter().enumerate())
                .map(|(i, (place, question))| async move {
                    Some((i, asking.ask(place, question).await?))
                })
                .buffer_unordered(args.concurrency.max(1));
        let mut asked = Vec::with_capacity(total);
        while let Some(one) = done.next().await {
            asked.extend(one);
            progress.inc(1);
        }
        asked
    };
    progress.finish_and_clear();
    if asking.cancel.is_cancelled() {
        let left = total - asked.len();
        return Err(Failure::message(format!(
            "stopped: {left} questions were not asked"
        )));
    }
    asked.sort_by_key(|(i, _)| *i);
    let asked: Vec<Asked> = asked.into_iter().map(|(_, one)| one).collect();
    if let Some(first) = asked.first().filter(|_| asked.iter().all(|a| a.failed)) {
        return Err(Failure::message(format!(
            "no question was judged: {}",
            first.why
        )));
    }
    let rows = rows(&asked);
    if global.json {
        let wrong: Vec<&Asked> = asked.iter().filter(|a| a.is_wrong()).collect();
        let failed: Vec<&Asked> = asked.iter().filter(|a| a.failed).collect();
        ui::out_json(&json!({
            "function": args.function,
            "version": asking.function.version(),
            "judged_by": by,
            "rows": rows,
            "wrong": wrong,
            "failed": failed,
        }));
        return Ok(());
    }
    ui::out(table(&rows));
    for line in mistakes(&asked) {
        ui::out(line);
    }
    Ok(())
}

/// What judges: the gate, or the whole function.
fn gate(function: &PromptFunction, full: bool) -> Result<&'static str, Failure> {
    let name = &function.signature().name;
    match (function.gate(), full) {
        (None, _) if !function.keeps_to_documents() => {
            let failure = Failure::message(format!("`{name}` has no scope"));
            Err(failure.with_help("give it one: `praxis.scope: {role: ..., topics: [...]}`"))
        }
        (None, false) => {
            let message = format!("`{name}` has no gate: its documents decide what it answers");
            Err(Failure::message(message).with_help("ask the whole function: --full"))
        }
        (_, true) => Ok("function"),
        (Some(gate), false) => Ok(gate),
    }
}

/// The questions, those inside first.
fn questions(args: &Scope) -> Result<Vec<(Place, String)>, Failure> {
    let inside = args.inside.as_deref().map(read).transpose()?;
    let outside = match &args.outside {
        Some(path) => read(path)?,
        None => lines(OUTSIDE),
    };
    let part = |place: Place, all: Vec<String>| {
        let some = all.into_iter().skip(args.skip);
        let some = some.take(args.limit.unwrap_or(usize::MAX));
        some.map(move |question| (place, question))
            .collect::<Vec<_>>()
    };
    let mut questions = part(Place::Inside, inside.unwrap_or_default());
    questions.extend(part(Place::Outside, outside));
    if questions.is_empty() {
        return Err(Failure::message("there is no question to ask")
            .with_help("ask more than --skip leaves out"));
    }
    Ok(questions)
}

fn read(path: &Path) -> Result<Vec<String>, Failure> {
    let text = crate::commands::text_of(path)?;
    let questions = lines(&text);
    if questions.is_empty() {
        let failure = Failure::message(format!("`{}` has no questions", path.display()));
        return Err(failure.with_help("write one a line; lines that begin with # are left out"));
    }
    Ok(questions)
}

/// One question a line; notes begin with `#`.
fn lines(text: &str) -> Vec<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// What all questions share.
struct Asking<'a> {
    app: &'a App,
    function: Arc<PromptFunction>,
    full: bool,
    cancel: CancellationToken,
}

impl Asking<'_> {
    /// Puts a question; nothing where it was stopped.
    async fn ask(&self, place: Place, question: String) -> Option<Asked> {
        if self.cancel.is_cancelled() {
            return None;
        }
        let cx = self.app.context().with_cancel(self.cancel.child_token());
        let judged = tokio::select! {
            judged = self.judged(&question, &cx) => judged,
            () = self.cancel.cancelled() => return None,
        };
        let failed = judged.is_err();
        let (declined, why) = judged.unwrap_or_else(|error| (false, error.to_string()));
        Some(Asked {
            language: Language::of(&question),
            question,
            place,
            declined,
            why,
            failed,
        })
    }

    /// Whether the question is declined, and why.
    async fn judged(&self, question: &str, cx: &CallContext) -> Result<(bool, String), CallError> {
        if !self.full {
            let verdict = self.function.judge(question, &[], cx).await?;
            return Ok(verdict.map_or((false, String::new()), |v| (!v.inside, v.why)));
        }
        let input = self
            .function
            .question_as_input(question)
            .unwrap_or_default();
        let output = self.function.call(input, cx).await;
        if self.function.is_refusal(question, &output) {
            return Ok((true, "declined".to_owned()));
        }
        output.map(|_| (false, "answered".to_owned()))
    }
}

/// The rows of the table: for each kind of question each language that occurs, then all.
fn rows(asked: &[Asked]) -> Vec<Row> {
    let mut rows = Vec::new();
    for place in [Place::Outside, Place::Inside] {
        let languages = [Language::English, Language::Chinese].map(Some);
        let mut of_place: Vec<Row> = languages
            .into_iter()
            .map(|language| row(asked, place, language))
            .filter(|row| row.questions + row.failed > 0)
            .collect();
        if of_place.len() > 1 {
            of_place.push(row(asked, place, None));
        }
        rows.append(&mut of_place);
    }
    rows
}

fn row(asked: &[Asked], place: Place, language: Option<Language>) -> Row {
    let of = |a: &&Asked| a.place == place && language.is_none_or(|l| a.language == l);
    let all: Vec<&Asked> = asked.iter().filter(of).collect();
    let questions = all.iter().filter(|a| !a.failed).count();
    let wrong = all.iter().filter(|a| a.is_wrong()).count();
    Row {
        place,
        language,
        questions,
        declined: all.iter().filter(|a| a.declined).count(),
        wrong,
        rate: (questions > 0).then(|| wrong as f64 / questions as f64),
        interval: (questions > 0).then(|| wilson(wrong, questions)),
        failed: all.len() - questions,
    }
}

fn table(rows: &[Row]) -> String {
    let header = [
        "questions",
        "language",
        "mistake",
        "asked",
        "declined",
        "wrong",
        "rate",
        "95 % interval",
        "errors",
    ];
    let percent = |share: f64| format!("{:.1}", 100.0 * share);
    let none = || "–".to_owned();
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let place = match row.place {
                Place::Inside => "inside",
                Place::Outside => "outside",
            };
            let language = match row.language {
                Some(Language::English) => "English",
                Some(Language::Chinese) => "Chinese",
                None => "all",
            };
            vec![
                place.to_owned(),
                language.to_owned(),
                row.place.mistakes().to_owned(),
                row.questions.to_string(),
                row.declined.to_string(),
                row.wrong.to_string(),
                row.rate
                    .map_or_else(none, |rate| format!("{} %", percent(rate))),
                row.interval.map_or_else(none, |[low, high]| {
                    format!("{}–{}", percent(low), percent(high))
                }),
                row.failed.to_string(),
            ]
        })
        .collect();
    ui::markdown_table(&header, &cells, 3)
}

/// The questions that were judged wrongly, and those that could not be.
fn mistakes(asked: &[Asked]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut list = |title: &str, found: Vec<&Asked>| {
        if found.is_empty() {
            return;
        }
        lines.push(format!("\n{title}:"));
        let shown = found.iter().take(LISTED);
        lines.extend(shown.map(|a| format!("  {}  ({})", a.question, a.why)));
        if found.len() > LISTED {
            lines.push(format!("  and {} more, with --json", found.len() - LISTED));
        }
    };
    for place in [Place::Outside, Place::Inside] {
        let wrong = |a: &&Asked| a.place == place && a.is_wrong();
        list(place.mistakes(), asked.iter().filter(wrong).collect());
    }
    list("not judged", asked.iter().filter(|a| a.failed).collect());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(question: &str, place: Place, declined: bool) -> Asked {
        Asked {
            question: question.to_owned(),
            place,
            language: Language::of(question),
            declined,
            why: "w".to_owned(),
            failed: false,
        }
    }

    #[test]
    fn questions_are_lines_and_notes_are_none() {
        assert_eq!(
            lines("\u{feff}# note\n\n  Who?  \r\n谁？"),
            ["Who?", "谁？"]
        );
        let outside = lines(OUTSIDE);
        let chinese = outside
            .iter()
            .filter(|q| Language::of(q) == Language::Chinese);
        assert_eq!((outside.len(), chinese.count()), (60, 30));
    }

    #[test]
    fn mistakes_are_counted_by_language_and_failures_apart() {
        let mut failed = asked("Broken?", Place::Outside, false);
        failed.failed = true;
        let asked = [
            asked("Who?", Place::Outside, true),
            asked("Where?", Place::Outside, false),
            asked("谁？", Place::Outside, true),
            asked("When?", Place::Inside, true),
            failed,
        ];
        let rows = rows(&asked);
        let numbers: Vec<_> = rows
            .iter()
            .map(|r| {
                (
                    r.place.mistakes(),
                    r.language,
                    r.questions,
                    r.wrong,
                    r.failed,
                )
            })
            .collect();
        assert_eq!(
            numbers,
            [
                ("false accepts", Some(Language::English), 2, 1, 1),
                ("false accepts", Some(Language::Chinese), 1, 0, 0),
                ("false accepts", None, 3, 1, 1),
                ("false refusals", Some(Language::English), 1, 1, 0),
            ]
        );
        let table = table(&rows);
        assert!(
            table.contains("| outside   | all      | false accepts  |"),
            "{table}"
        );
        assert!(table.contains("33.3 % |"), "{table}");
        assert_eq!(
            mistakes(&asked),
            [
                "\nfalse accepts:",
                "  Where?  (w)",
                "\nfalse refusals:",
                "  When?  (w)",
                "\nnot judged:",
                "  Broken?  (w)"
            ]
        );
    }
}
