//! `praxis classify`: texts to classes that are described in a word, a sentence or examples.

use std::sync::Arc;

use praxis_core::{EmbedKind, Embedder};
use praxis_knowledge::meaning::{Class, Classifier, Label, quality};
use serde_json::{Value, json};

use super::embed::given;
use super::items::{self, Item};
use crate::cli::{Classify, Global};
use crate::commands::call::excerpt;
use crate::ui::{self, BOLD, Failure};

/// Characters of a text that are shown.
const SHOWN: usize = 80;

/// Classifies the texts; where they have labels, says how many are right.
///
/// # Errors
/// Labels that are none; texts or a model that are not there.
pub async fn run(args: Classify, global: &Global) -> Result<(), Failure> {
    let mut all: Vec<Item> = given(&args.texts);
    if let Some(path) = &args.data {
        all.extend(items::read(path, &args.reading.field)?);
    }
    if all.is_empty() {
        return Err(Failure::message("there is nothing to classify")
            .with_help("write texts behind the command, or name a file with --data"));
    }
    let embedder = super::embedder(args.reading.model.as_deref(), global)?;
    let classifier = classifier(&args, &embedder).await?;
    let vectors = super::vectors(&*embedder, EmbedKind::Query, super::texts(&all)).await?;
    let classes: Vec<Vec<Class>> = vectors.iter().map(|v| classifier.classify(v)).collect();
    let pairs: Vec<(String, String)> = all
        .iter()
        .zip(&classes)
        .filter_map(|(item, classes)| Some((item.label.clone()?, classes.first()?.label.clone())))
        .collect();
    let (table, right) = quality(&pairs);
    if global.json {
        let data = all.iter().zip(&classes);
        let data: Vec<Value> = data
            .map(|(item, classes)| json!({ "id": item.id, "text": item.text, "classes": classes }))
            .collect();
        let mut out = json!({ "data": data });
        if !pairs.is_empty() {
            out["accuracy"] = json!(right);
            out["by_label"] = json!(table);
        }
        ui::out_json(&out);
        return Ok(());
    }
    if pairs.is_empty() || !args.texts.is_empty() {
        for (item, classes) in all.iter().zip(&classes) {
            let best = classes.first().map_or("", |c| c.label.as_str());
            let shares: Vec<String> = classes
                .iter()
                .take(3)
                .map(|c| format!("{} {:.0} %", c.label, 100.0 * c.share))
                .collect();
            let text = excerpt(&item.text, SHOWN);
            ui::out(format!(
                "{}  {text}  ({})",
                ui::paint(BOLD, best),
                shares.join(", ")
            ));
        }
    }
    if !pairs.is_empty() {
        let number = |v: f64| format!("{v:.3}");
        let rows: Vec<Vec<String>> = table
            .iter()
            .map(|q| {
                let counts = [q.label.clone(), q.texts.to_string()];
                let rates = [q.precision, q.recall, q.f1].map(number);
                counts.into_iter().chain(rates).collect()
            })
            .collect();
        ui::out(ui::table(
            &["label", "texts", "precision", "recall", "F1"],
            &rows,
        ));
        ui::out(format!(
            "{} of {} right ({:.1} %)",
            (right * pairs.len() as f64).round(),
            pairs.len(),
            100.0 * right
        ));
    }
    Ok(())
}

/// Prototypes of the labels that are written out, described, or shown by examples.
async fn classifier(args: &Classify, embedder: &Arc<dyn Embedder>) -> Result<Classifier, Failure> {
    // Each label with the texts that describe it, in the order they come.
    let mut described: Vec<(String, Vec<String>)> = Vec::new();
    let mut describe =
        |label: &str, text: &str| match described.iter_mut().find(|(l, _)| l == label) {
            Some((_, texts)) => texts.push(text.to_owned()),
            None => described.push((label.to_owned(), vec![text.to_owned()])),
        };
    for label in args.names.iter().chain(&args.labels) {
        let (name, text) = label.split_once('=').unwrap_or((label, label));
        if name.trim().is_empty() || text.trim().is_empty() {
            return Err(Failure::message(format!("`{label}` is no label"))
                .with_help("write NAME or NAME=DESCRIPTION"));
        }
        describe(name.trim(), text.trim());
    }
    if let Some(path) = &args.train {
        for item in items::read(path, &args.reading.field)? {
            let label = item.label.ok_or_else(|| {
                Failure::message(format!(
                    "{}: the text `{}` has no `label`",
                    path.display(),
                    item.id
                ))
            })?;
            describe(&label, &item.text);
        }
    }
    let help = "name them with --labels positive,negative or --label NAME=DESCRIPTION, or give examples \
                with --train";
    if described.len() < 2 {
        let problem = "a classification needs two labels or more";
        return Err(Failure::message(problem).with_help(help));
    }
    let texts = described
        .iter()
        .flat_map(|(_, texts)| texts.clone())
        .collect();
    let mut vectors = super::vectors(&**embedder, EmbedKind::Query, texts)
        .await?
        .into_iter();
    let labels = described
        .into_iter()
        .map(|(name, texts)| Label {
            name,
            vectors: vectors.by_ref().take(texts.len()).collect(),
        })
        .collect();
    Classifier::new(labels).map_err(|problem| Failure::message(problem).with_help(help))
}
