//! The terminal: results to standard output, all else to standard error, colours on a terminal only.

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use praxis_core::{CallError, Diagnostic, ModelError, Problem, Severity};
use praxis_store::StoreError;
use serde_json::{Value, json};

use crate::cli::Global;

/// Emphasis for headings and names.
pub const BOLD: Style = Style::new().bold();
/// Secondary text.
pub const DIM: Style = Style::new().dimmed();
/// Good news.
pub const GREEN: Style = AnsiColor::Green.on_default();
/// Warnings.
pub const YELLOW: Style = AnsiColor::Yellow.on_default();
/// Errors.
pub const RED: Style = AnsiColor::Red.on_default().bold();
/// Commands and links to copy.
pub const CYAN: Style = AnsiColor::Cyan.on_default();

static QUIET: OnceLock<bool> = OnceLock::new();

/// Whether a part of the result could not be written.
static UNWRITTEN: AtomicBool = AtomicBool::new(false);

/// Takes over the global options and starts logging to standard error (`PRAXIS_LOG`, default
/// `warn`).
pub fn init(global: &Global) {
    let _ = QUIET.set(global.quiet || global.json);
    let filter = tracing_subscriber::EnvFilter::try_from_env("PRAXIS_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .try_init();
}

/// Whether progress and hints are unwanted.
pub fn is_quiet() -> bool {
    QUIET.get().copied().unwrap_or(false)
}

/// Prints a line of the result.
pub fn out(line: impl AsRef<str>) {
    written(writeln!(anstream::stdout(), "{}", line.as_ref()));
}

/// Prints a piece of the result at once, without a line end.
pub fn out_piece(text: &str) {
    let mut stdout = anstream::stdout();
    written(write!(stdout, "{text}").and_then(|()| stdout.flush()));
}

/// Tells, once, that the result cannot be written. A closed pipe (`| head`) is the reader's right, not an error.
fn written(outcome: std::io::Result<()>) {
    let Err(error) = outcome else { return };
    if error.kind() != ErrorKind::BrokenPipe && !UNWRITTEN.swap(true, Ordering::Relaxed) {
        diagnostic(&Diagnostic::error(format!(
            "cannot write the output: {error}"
        )));
    }
}

/// Whether a part of the result could not be written, which has been told.
pub fn is_unwritten() -> bool {
    UNWRITTEN.load(Ordering::Relaxed)
}

/// Prints a value as JSON.
pub fn out_json(value: &Value) {
    out(serde_json::to_string_pretty(value).unwrap_or_default());
}

/// Prints a remark for a person, unless quiet.
pub fn note(line: impl AsRef<str>) {
    if !is_quiet() {
        let _ = writeln!(anstream::stderr(), "{}", line.as_ref());
    }
}

/// Prints the fix below a warning, as [`note`] does.
pub fn hint(fix: impl Display) {
    note(format!("         {}", paint(DIM, fix)));
}

/// Prints a warning.
pub fn warn(line: impl AsRef<str>) {
    let _ = writeln!(
        anstream::stderr(),
        "{YELLOW}warning{YELLOW:#}: {}",
        line.as_ref()
    );
}

/// Prints a diagnostic to standard error.
pub fn diagnostic(diagnostic: &Diagnostic) {
    let _ = writeln!(anstream::stderr(), "{}\n", diagnostic.render(true));
}

/// Text in a style.
pub fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// A number with its noun.
pub fn count(number: impl Display, noun: &str) -> String {
    let number = number.to_string();
    let end = if number == "1" { "" } else { "s" };
    format!("{number} {noun}{end}")
}

/// A command's failure: what to print, and nothing to handle.
#[derive(Debug)]
pub struct Failure {
    /// What is wrong; empty where it has been printed already.
    diagnostics: Vec<Diagnostic>,
    code: Option<&'static str>,
}

impl Failure {
    /// A failure in words.
    pub fn message(message: impl Into<String>) -> Self {
        Self {
            diagnostics: vec![Diagnostic::error(message)],
            code: None,
        }
    }

    /// The same failure with its fix.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        if let Some(last) = self.diagnostics.pop() {
            self.diagnostics.push(last.help(help));
        }
        self
    }
}

impl From<Vec<Diagnostic>> for Failure {
    fn from(diagnostics: Vec<Diagnostic>) -> Self {
        Self {
            diagnostics,
            code: None,
        }
    }
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Self {
        vec![diagnostic].into()
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let mut diagnostic = Diagnostic::error(problem.message);
        diagnostic.help = problem.help;
        diagnostic.into()
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let mut diagnostic = Diagnostic::error(error.message);
        diagnostic.help = error.hint;
        Self {
            diagnostics: vec![diagnostic],
            code: Some(error.code.as_str()),
        }
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        CallError::from(error).into()
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        CallError::failure(error).into()
    }
}

/// Prints a failure and gives the exit code.
pub fn fail(failure: &Failure, json: bool) -> ExitCode {
    if json {
        out_json(&json!({ "error": { "code": failure.code, "diagnostics": failure.diagnostics } }));
    }
    // Where standard output takes nothing, a person reads it all the same.
    if !json || is_unwritten() {
        for diagnostic in &failure.diagnostics {
            self::diagnostic(diagnostic);
        }
        let errors = failure
            .diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .count();
        if errors > 1 {
            let _ = writeln!(anstream::stderr(), "{RED}{errors} errors{RED:#}");
        }
    }
    ExitCode::FAILURE
}

/// A group of progress bars; hidden when quiet or not on a terminal.
pub fn progress_group() -> MultiProgress {
    let group = MultiProgress::new();
    if is_quiet() || !std::io::stderr().is_terminal() {
        group.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    group
}

/// A bar over bytes.
pub fn bytes_bar(group: &MultiProgress, name: &str, total: u64) -> ProgressBar {
    bar(
        group,
        name,
        total,
        "{prefix:.bold} {bar:28.cyan/dim} {bytes}/{total_bytes} {bytes_per_sec} {msg}",
    )
}

/// A bar over things.
pub fn count_bar(group: &MultiProgress, name: &str, total: u64) -> ProgressBar {
    bar(
        group,
        name,
        total,
        "{prefix:.bold} {bar:28.cyan/dim} {pos}/{len} {msg}",
    )
}

fn bar(group: &MultiProgress, name: &str, total: u64, template: &str) -> ProgressBar {
    let bar = group
        .add(ProgressBar::new(total))
        .with_prefix(name.to_owned());
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━━╌"));
    }
    bar
}

/// Bytes for a person.
pub fn bytes(n: u64) -> String {
    indicatif::HumanBytes(n).to_string()
}

/// A table with a header, columns padded to their widest cell (Chinese characters are two wide).
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    use std::fmt::Write;
    let width = |text: &str| display_width(text);
    let mut widths: Vec<usize> = header.iter().map(|h| width(h)).collect();
    for row in rows {
        for (w, cell) in widths.iter_mut().zip(row) {
            *w = (*w).max(width(cell));
        }
    }
    let line = |cells: &[String]| {
        let mut text = String::new();
        for (i, (cell, w)) in cells.iter().zip(&widths).enumerate() {
            let pad = if i + 1 == cells.len() {
                0
            } else {
                w - width(cell) + 2
            };
            let _ = write!(text, "{cell}{:pad$}", "");
        }
        text.trim_end().to_owned()
    };
    let header: Vec<String> = header.iter().map(|h| (*h).to_owned()).collect();
    let mut text = paint(DIM, line(&header));
    for row in rows {
        text.push('\n');
        text.push_str(&line(row));
    }
    text
}

/// A table in Markdown whose columns line up as plain text too: the first `left` to the left, the
/// others, numbers, to the right.
pub fn markdown_table(header: &[&str], rows: &[Vec<String>], left: usize) -> String {
    let header: Vec<String> = header.iter().map(|h| (*h).to_owned()).collect();
    let escaped: Vec<Vec<String>> = std::iter::once(&header)
        .chain(rows)
        .map(|row| row.iter().map(|cell| cell.replace('|', "\\|")).collect())
        .collect();
    let width = |column: usize| {
        let cells = escaped.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| display_width(cell))
            .max()
            .unwrap_or(0)
            .max(3)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(i, (cell, w))| {
            let pad = " ".repeat(w.saturating_sub(display_width(cell)));
            match i < left {
                true => format!("{cell}{pad}"),
                false => format!("{pad}{cell}"),
            }
        });
        format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
    };
    let rule = widths.iter().enumerate().map(|(i, w)| match i < left {
        true => "-".repeat(*w),
        false => format!("{}:", "-".repeat(w - 1)),
    });
    let rule = format!("| {} |", rule.collect::<Vec<_>>().join(" | "));
    let mut lines: Vec<String> = escaped.iter().map(line).collect();
    lines.insert(1, rule);
    lines.join("\n")
}

/// Columns that a text takes: two for East Asian wide characters, one for others, none for ANSI
/// escapes.
pub fn display_width(text: &str) -> usize {
    anstream::adapter::strip_str(text)
        .flat_map(str::chars)
        .map(|c| {
            let wide = praxis_core::language::is_han(c)
                || matches!(c, '\u{3000}'..='\u{30ff}' | '\u{ac00}'..='\u{d7af}' | '\u{ff00}'..='\u{ff60}');
            if wide { 2 } else { 1 }
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up_with_chinese_cells() {
        let rows = vec![
            vec!["藤野先生".to_owned(), "x".to_owned()],
            vec!["abc".to_owned(), "y".to_owned()],
        ];
        let plain = anstream::adapter::strip_str(&table(&["name", "v"], &rows)).to_string();
        assert_eq!(plain, "name      v\n藤野先生  x\nabc       y");
    }

    #[test]
    fn one_thing_is_told_in_the_singular() {
        assert_eq!(count(1, "chunk"), "1 chunk");
        assert_eq!(count(0, "chunk"), "0 chunks");
        assert_eq!(count(11, "chunk"), "11 chunks");
    }

    #[test]
    fn a_markdown_table_lines_up_too() {
        let rows = vec![vec!["藤|野".to_owned(), "5".to_owned()]];
        assert_eq!(
            markdown_table(&["name", "n"], &rows, 1),
            "| name   |   n |\n| ------ | --: |\n| 藤\\|野 |   5 |"
        );
    }
}
