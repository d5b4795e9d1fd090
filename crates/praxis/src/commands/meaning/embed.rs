//! `praxis embed`: texts to vectors.

use std::io::{BufWriter, Write};
use std::path::Path;

use praxis_core::EmbedKind;
use serde_json::json;

use super::items::{self, Item};
use crate::cli::{Embed, Global, Kind};
use crate::ui::{self, Failure};

/// Numbers of a vector that are shown where nobody asked for all.
const SHOWN: usize = 6;

/// Embeds the texts and prints or writes their vectors.
///
/// # Errors
/// Texts or a model that are not there, or a file that cannot be written.
pub async fn run(args: Embed, global: &Global) -> Result<(), Failure> {
    let mut all: Vec<Item> = given(&args.texts);
    if let Some(path) = &args.data {
        all.extend(items::read(path, &args.reading.field)?);
    }
    if all.is_empty() {
        return Err(Failure::message("there is nothing to embed")
            .with_help("write texts behind the command, or name a file with --data"));
    }
    let embedder = super::embedder(args.reading.model.as_deref(), global)?;
    let kind = match args.kind {
        Kind::Query => EmbedKind::Query,
        Kind::Passage => EmbedKind::Passage,
        Kind::Raw => EmbedKind::Raw,
    };
    let vectors = super::vectors(&*embedder, kind, super::texts(&all)).await?;
    let dimension = vectors.first().map_or(0, Vec::len);
    if let Some(path) = &args.out {
        write(path, &all, &vectors)
            .map_err(|e| Failure::message(format!("cannot write `{}`: {e}", path.display())))?;
        if global.json {
            let (model, path) = (embedder.identity(), path.display().to_string());
            let count = all.len();
            ui::out_json(
                &json!({ "model": model, "dimension": dimension, "count": count, "out": path }),
            );
            return Ok(());
        }
        ui::note(format!(
            "{} vectors of {dimension} numbers by {} in {}",
            vectors.len(),
            embedder.identity(),
            path.display()
        ));
        return Ok(());
    }
    if global.json {
        let data = all.iter().zip(&vectors);
        let data: Vec<_> = data
            .map(|(item, vector)| json!({ "id": item.id, "text": item.text, "embedding": vector }))
            .collect();
        ui::out_json(
            &json!({ "model": embedder.identity(), "dimension": dimension, "data": data }),
        );
        return Ok(());
    }
    for (item, vector) in all.iter().zip(&vectors) {
        let shown = vector.iter().take(SHOWN).map(|v| format!("{v:+.4}"));
        let shown: Vec<String> = shown.collect();
        let more = if dimension > SHOWN { " ..." } else { "" };
        ui::out(format!("[{}{more}]  {}", shown.join(" "), item.text));
    }
    ui::note(format!(
        "{dimension} numbers each, by {}; all of them with --json or --out",
        embedder.identity()
    ));
    Ok(())
}

/// Texts of the command line as items.
pub fn given(texts: &[String]) -> Vec<Item> {
    let texts = texts.iter().enumerate();
    texts
        .map(|(i, text)| Item {
            id: (i + 1).to_string(),
            text: text.clone(),
            label: None,
        })
        .collect()
}

/// NumPy's format (version 1.0, little-endian f32) for `.npy`, else a JSON object a line.
fn write(path: &Path, items: &[Item], vectors: &[Vec<f32>]) -> std::io::Result<()> {
    let mut file = BufWriter::new(std::fs::File::create(path)?);
    if path.extension().is_some_and(|e| e == "npy") {
        let dimension = vectors.first().map_or(0, Vec::len);
        let shape = format!("({}, {dimension})", vectors.len());
        let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        // Magic, version and length take 10 bytes; the data begins at a multiple of 64.
        header.push_str(&" ".repeat(63 - (10 + header.len()) % 64));
        header.push('\n');
        let length = u16::try_from(header.len()).map_err(std::io::Error::other)?;
        file.write_all(b"\x93NUMPY\x01\x00")?;
        file.write_all(&length.to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        for value in vectors.iter().flatten() {
            file.write_all(&value.to_le_bytes())?;
        }
    } else {
        for (item, vector) in items.iter().zip(vectors) {
            let line = json!({ "id": item.id, "text": item.text, "embedding": vector });
            writeln!(file, "{line}")?;
        }
    }
    file.flush()
}
