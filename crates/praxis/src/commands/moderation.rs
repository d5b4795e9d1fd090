//! `praxis moderation`: classifiers of texts, made of labelled lines and measured by them.
//!
//! Texts are embedded once, window by window, as the server does it. Left out: how a classifier is fitted and measured,
//! which `praxis_function::moderation` knows.

use std::path::Path;

use praxis_core::Embedder;
use praxis_function::moderation::classifier::measure::Measured;
use praxis_function::moderation::classifier::train::{self, Example, Part};
use praxis_function::moderation::{Classifier, KIND};
use serde_json::{Value, json};

use super::meaning;
use crate::cli::{EvalModeration, Global, Moderation, Split, TrainModeration};
use crate::ui::{self, Failure};

/// Runs the command.
///
/// # Errors
/// Lines that are none, a model that is not there, a file that cannot be read or written.
pub async fn run(command: Moderation, global: &Global) -> Result<(), Failure> {
    match command {
        Moderation::Train(args) => train(args, global).await,
        Moderation::Eval(args) => eval(args, global).await,
    }
}

async fn train(args: TrainModeration, global: &Global) -> Result<(), Failure> {
    let mut examples = read(&args.data)?;
    examples.retain(|example| is_one_of(&example.lang, &args.lang));
    if examples.is_empty() {
        return Err(
            Failure::message("there is nothing to learn from").with_help("name another --lang")
        );
    }
    let embedder = meaning::embedder(args.embedder.as_deref(), global)?;
    let identity = embedder.identity();
    let vectors = vectors(embedder.as_ref(), &examples).await?;
    let l2 = args.l2.unwrap_or(train::L2);
    // Fitting takes a minute of a processor, which the runtime is not kept from.
    let fitted = tokio::task::spawn_blocking(move || {
        let classifier = train::train(&identity, &examples, &vectors, l2)?;
        let rows = train::measure(&classifier, &examples, &vectors, Part::Valid);
        Ok::<_, String>((classifier, rows))
    });
    let (classifier, rows) = fitted
        .await
        .map_err(|e| Failure::message(format!("the training ended early: {e}")))?
        .map_err(Failure::message)?;
    std::fs::write(&args.out, classifier.to_bytes())
        .map_err(|e| Failure::message(format!("cannot write `{}`: {e}", args.out.display())))?;
    if global.json {
        let out = args.out.display().to_string();
        let mut shown = report(&classifier, &rows);
        shown["out"] = json!(out);
        ui::out_json(&shown);
        return Ok(());
    }
    table(&classifier, &rows);
    ui::note(format!(
        "measured on the part `valid`, on which thresholds were chosen; `praxis moderation eval` measures on `test`.\n\
         To use it, write under [moderation] in praxis.toml: classifier = \"{}\"",
        args.out.display()
    ));
    Ok(())
}

async fn eval(args: EvalModeration, global: &Global) -> Result<(), Failure> {
    let part = match args.split {
        Split::Train => Part::Train,
        Split::Valid => Part::Valid,
        Split::Test => Part::Test,
    };
    let mut examples = read(&args.data)?;
    examples.retain(|example| {
        example.part == part
            && is_one_of(&example.source, &args.source)
            && is_one_of(&example.lang, &args.lang)
    });
    if examples.is_empty() {
        return Err(Failure::message("there is nothing to measure")
            .with_help("name another --split, --source or --lang"));
    }
    let embedder = meaning::embedder(args.embedder.as_deref(), global)?;
    let classifier = classifier(args.classifier.as_deref(), &embedder.identity())?;
    let vectors = vectors(embedder.as_ref(), &examples).await?;
    let rows = train::measure(&classifier, &examples, &vectors, part);
    if global.json {
        ui::out_json(&report(&classifier, &rows));
        return Ok(());
    }
    table(&classifier, &rows);
    Ok(())
}

/// Whether something is wanted, where nothing else is named.
fn is_one_of(name: &str, wanted: &[String]) -> bool {
    wanted.is_empty() || wanted.iter().any(|other| other == name)
}

/// The labelled lines of a file.
fn read(path: &Path) -> Result<Vec<Example>, Failure> {
    let content = super::text_of(path)?;
    train::read(&content).map_err(|(line, problem)| match line {
        0 => Failure::message(format!("`{}` {problem}", path.display())),
        line => Failure::message(format!("{}:{line}: {problem}", path.display())),
    })
}

/// The classifier of a file, or the one that comes with the program.
fn classifier(path: Option<&Path>, identity: &str) -> Result<Classifier, Failure> {
    let Some(path) = path else {
        return Classifier::built_in(identity).cloned().ok_or_else(|| {
            let known: Vec<&str> = Classifier::built_in_identities().collect();
            Failure::message(format!(
                "no classifier comes with the program for `{identity}`"
            ))
            .with_help(format!(
                "name a file with --classifier, or one of these embedders: {}",
                known.join(", ")
            ))
        });
    };
    let shown = path.display();
    let bytes =
        std::fs::read(path).map_err(|e| Failure::message(format!("cannot read `{shown}`: {e}")))?;
    let classifier = Classifier::parse(&bytes)
        .map_err(|e| Failure::message(format!("`{shown}` is no classifier: {e}")))?;
    if classifier.identity() != identity {
        let message = format!(
            "`{shown}` reads vectors of `{}`, and the embedder is `{identity}`",
            classifier.identity()
        );
        return Err(Failure::message(message)
            .with_help("name the embedder that it was trained for with --embedder"));
    }
    Ok(classifier)
}

/// The vectors of the windows of each line.
async fn vectors(
    embedder: &dyn Embedder,
    examples: &[Example],
) -> Result<Vec<Vec<Vec<f32>>>, Failure> {
    let windows: Vec<Vec<String>> = examples.iter().map(Example::windows).collect();
    let all: Vec<String> = windows.iter().flatten().cloned().collect();
    let mut made = meaning::vectors(embedder, KIND, all).await?.into_iter();
    let of_line = |windows: &Vec<String>| made.by_ref().take(windows.len()).collect();
    Ok(windows.iter().map(of_line).collect())
}

fn report(classifier: &Classifier, rows: &[Measured]) -> Value {
    let row = |row: &Measured| {
        json!({
            "category": row.category,
            "lang": row.lang,
            "positives": row.positives,
            "negatives": row.negatives,
            "threshold": classifier.threshold(&row.category),
            "precision": row.precision,
            "recall": row.recall,
            "f1": row.f1,
            "false_alarms": row.false_alarms,
            "auc": row.auc,
        })
    };
    let rows: Vec<Value> = rows.iter().map(row).collect();
    json!({ "embedder": classifier.identity(), "rows": rows })
}

fn table(classifier: &Classifier, rows: &[Measured]) {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.3}"));
    let shown: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let threshold = classifier.threshold(&row.category).map(f64::from);
            let mut cells = vec![
                row.category.clone(),
                row.lang.clone(),
                row.positives.to_string(),
                row.negatives.to_string(),
            ];
            let numbers = [
                threshold,
                row.precision,
                row.recall,
                row.f1,
                row.false_alarms,
                row.auc,
            ];
            cells.extend(numbers.map(number));
            cells
        })
        .collect();
    ui::out(ui::table(
        &[
            "category",
            "language",
            "are",
            "are not",
            "threshold",
            "precision",
            "recall",
            "F1",
            "false alarms",
            "AUC",
        ],
        &shown,
    ));
    ui::note(format!("by vectors of {}", classifier.identity()));
}
