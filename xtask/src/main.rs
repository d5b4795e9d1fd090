//! Repository chores: `cargo xtask tidy` checks what compilers do not, `cargo xtask docs` writes
//! the generated documents. Formatting, lints and tests have their own tools and stay out of here.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool prints"
)]

mod docs;
mod files;
mod layers;
mod links;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

const USAGE: &str = "\
usage: cargo xtask COMMAND [--praxis PATH]

commands:
  tidy   check layering, source files, links and generated documents
  docs   write the generated documents

options:
  --praxis PATH   a built `praxis` binary for docs/cli.md and docs/openapi.json (default: build one)";

/// One thing that is wrong in the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    /// A file, or a file and line, or a crate.
    place: String,
    /// What is wrong there, and the fix.
    message: String,
}

impl Problem {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            message: message.into(),
        }
    }
}

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the command; `false` where it found something wrong.
fn run(args: Vec<String>) -> Result<bool> {
    let root = root()?;
    let mut args = args.into_iter();
    let command = args.next();
    let mut praxis = None;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--praxis" => praxis = Some(PathBuf::from(args.next().context(USAGE)?)),
            other => bail!("unknown argument `{other}`\n\n{USAGE}"),
        }
    }
    match command.as_deref() {
        Some("tidy") => tidy(&root, praxis.as_deref()),
        Some("docs") => {
            for document in docs::generate(&root, praxis.as_deref()) {
                let path = root.join(document.path);
                std::fs::create_dir_all(path.parent().context("a path in the repository")?)?;
                std::fs::write(&path, document.text?)?;
                println!("wrote {}", document.path);
            }
            Ok(true)
        }
        _ => bail!("{USAGE}"),
    }
}

fn tidy(root: &Path, praxis: Option<&Path>) -> Result<bool> {
    let sources = files::read_all(root)?;
    let packages = layers::packages(root)?;
    let mut problems = layers::check(&packages);
    problems.extend(layers::unmapped(
        &packages,
        &std::fs::read_to_string(root.join("ARCHITECTURE.md")).context("ARCHITECTURE.md")?,
    ));
    problems.extend(sources.iter().flat_map(files::check));
    problems.extend(links::check(root, &sources));
    problems.extend(docs::drift(root, &docs::generate(root, praxis)));
    for Problem { place, message } in &problems {
        eprintln!("{place}: {message}");
    }
    println!("{}", files::summary(&sources));
    match problems.len() {
        0 => println!("tidy: ok"),
        n => println!("tidy: {n} problem{}", if n == 1 { "" } else { "s" }),
    }
    Ok(problems.is_empty())
}

/// The repository's root: the folder above this crate's manifest, wherever cargo was called.
fn root() -> Result<PathBuf> {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = manifest.parent().context("xtask lies in the repository")?;
    Ok(root.to_owned())
}
