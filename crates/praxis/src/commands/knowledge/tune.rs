//! `praxis knowledge tune`: learns from labelled questions how a base is best searched, and writes it into
//! the base's file. Comments and order of the file stay as they are.

use std::path::Path;

use praxis_knowledge::{Fusion, Label, SearchConfig, TuneReport};
use toml_edit::{DocumentMut, Item, Table, value};

use crate::app::App;
use crate::cli::Global;
use crate::config::toml_file;
use crate::ui::{self, BOLD, DIM, Failure, GREEN};

/// Reads the questions, compares settings, and prints or writes what is best.
///
/// # Errors
/// A file or a line that cannot be read, labels that nothing can be learned from, or a base's file that
/// cannot be written.
pub async fn run(
    app: &App,
    base: &str,
    data: &Path,
    write: bool,
    global: &Global,
) -> Result<(), Failure> {
    let text = crate::commands::text_of(data)?;
    let labels = labels(&text, &data.display().to_string())?;
    let report = app.knowledge.tune(base, &labels).await?;
    let file = app
        .project
        .root
        .join("knowledge")
        .join(format!("{base}.toml"));
    let written = write && report.better;
    if written {
        save(&file, &report.settings)?;
    }
    if global.json {
        ui::out_json(&serde_json::json!({ "base": base, "report": report, "written": written }));
    } else {
        print(base, &report, written);
    }
    Ok(())
}

fn print(base: &str, report: &TuneReport, written: bool) {
    ui::out(format!(
        "{} {} questions, {} settings compared; nDCG@10:",
        ui::paint(BOLD, base),
        report.questions,
        report.candidates
    ));
    ui::out(format!("  {:.3}  as it is searched now", report.before));
    ui::out(format!(
        "  {:.3}  with what the other questions teach: what to expect of new ones",
        report.held_out
    ));
    ui::out(format!("  {:.3}  with the settings below", report.fitted));
    if !report.better {
        ui::note("what can be learned is no better than what is there; nothing to change");
        return;
    }
    let mut document = DocumentMut::new();
    put(&mut document, &report.settings);
    ui::out(format!("\n{document}"));
    if written {
        ui::note(ui::paint(
            GREEN,
            format_args!("written to knowledge/{base}.toml"),
        ));
    } else {
        ui::note(ui::paint(
            DIM,
            format_args!("--write puts it into knowledge/{base}.toml"),
        ));
    }
}

/// The labels of a file, a JSON object a line; empty lines are passed over.
fn labels(text: &str, name: &str) -> Result<Vec<Label>, Failure> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(i, line)| {
            serde_json::from_str(line).map_err(|e| {
                Failure::message(format!("{name}, line {}: {e}", i + 1)).with_help(
                    r#"write {"query": "...", "documents": ["..."]} or {"query": "...", "passage": "..."}"#,
                )
            })
        })
        .collect()
}

/// Changes the base's file.
fn save(path: &Path, settings: &SearchConfig) -> Result<(), Failure> {
    toml_file::edit(path, |document| {
        put(document, settings);
        Ok(())
    })
}

/// Sets what was learned in the table `[search]`; other keys stay.
fn put(document: &mut DocumentMut, settings: &SearchConfig) {
    let search = document
        .entry("search")
        .or_insert_with(|| Item::Table(Table::new()));
    let Some(search) = search.as_table_like_mut() else {
        return;
    };
    let fusion = match settings.fusion {
        Fusion::Score => "score",
        Fusion::Rank => "rank",
    };
    search.insert("fusion", value(fusion));
    for (key, number) in [
        ("keyword_weight", settings.keyword_weight),
        ("vector_weight", settings.vector_weight),
        ("document_weight", settings.document_weight),
        ("feedback", settings.feedback),
    ] {
        // As it is written, not as the nearest double of a float.
        let number = (f64::from(number) * 1000.0).round() / 1000.0;
        search.insert(key, value(number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learned_joins_what_the_file_says() {
        let mut document: DocumentMut =
            "# Manuals\ndescription = \"m\"\n\n[search]\nthreshold = 0.5 # strict\n"
                .parse()
                .unwrap();
        let settings = SearchConfig {
            keyword_weight: 0.3,
            vector_weight: 0.7,
            ..SearchConfig::default()
        };
        put(&mut document, &settings);
        let text = document.to_string();
        assert!(
            text.starts_with(
                "# Manuals\ndescription = \"m\"\n\n[search]\nthreshold = 0.5 # strict\n"
            )
        );
        assert!(
            text.contains("keyword_weight = 0.3\nvector_weight = 0.7\n"),
            "{text}"
        );
        let read: praxis_knowledge::BaseConfig = toml::from_str(&text).unwrap();
        assert_eq!(read.search.vector_weight, 0.7);
        assert_eq!(read.search.threshold, Some(0.5));
    }

    #[test]
    fn a_bad_line_is_named() {
        let good = "{\"query\": \"q\", \"documents\": [\"a.md\"]}\n\n";
        assert_eq!(labels(good, "l.jsonl").unwrap().len(), 1);
        let failure = labels(&format!("{good}{{\"question\": 1}}"), "l.jsonl").unwrap_err();
        assert!(
            format!("{failure:?}").contains("l.jsonl, line 3"),
            "{failure:?}"
        );
    }
}
