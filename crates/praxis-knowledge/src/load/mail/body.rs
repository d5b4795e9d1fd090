//! The text of a message: paragraphs, with what is quoted apart from what is written. Left out: HTML,
//! which is read like any page.

use crate::document::{BlockKind, Builder};

/// Adds a plain text. Quoted lines keep their `>` and are paragraphs of their own.
pub(super) fn add(text: &str, builder: &mut Builder) {
    let mut paragraph = String::new();
    let mut quoted = false;
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    for line in text.lines().chain([""]) {
        let line = line.trim_end();
        let quotes = line.starts_with('>');
        if line.trim_start_matches(['>', ' ']).is_empty() || quotes != quoted {
            builder.push(BlockKind::Paragraph, &paragraph, None);
            paragraph.clear();
        }
        quoted = quotes;
        if line.trim_start_matches(['>', ' ']).is_empty() {
            continue;
        }
        if !paragraph.is_empty() {
            paragraph.push('\n');
        }
        paragraph.push_str(line);
    }
}
