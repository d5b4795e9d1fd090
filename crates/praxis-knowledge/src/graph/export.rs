//! A graph as a file: JSON Lines, GraphML or Graphviz's DOT, of what one caller may see. Left out: quotes, which
//! are read from the store.

use std::fmt::Write;

use serde_json::json;

use super::view::View;

/// How a graph is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GraphFormat {
    /// One entity or triple a line, in JSON.
    Jsonl,
    /// GraphML, as Gephi, yEd, igraph and NetworkX read it.
    GraphMl,
    /// DOT, as Graphviz reads it.
    Dot,
}

/// The graph as a text.
pub(crate) fn export(view: &View, format: GraphFormat) -> String {
    match format {
        GraphFormat::Jsonl => jsonl(view),
        GraphFormat::GraphMl => graphml(view),
        GraphFormat::Dot => dot(view),
    }
}

fn jsonl(view: &View) -> String {
    let mut text = String::new();
    for (at, entity) in view.entities.iter().enumerate() {
        let line = json!({
            "entity": at, "name": entity.name, "type": entity.kind, "aliases": entity.aliases,
            "chunks": entity.chunks,
        });
        let _ = writeln!(text, "{line}");
    }
    for triple in &view.triples {
        let provenance: Vec<_> = view
            .statements(triple)
            .map(|(row, place)| {
                json!({ "chunk": place.chunk, "document": place.document, "uri": place.uri,
                        "start": row.start, "end": row.end })
            })
            .collect();
        let name = |entity: u32| view.entities.get(entity as usize).map(|e| e.name.as_str());
        let line = json!({
            "subject": triple.subject, "subject_name": name(triple.subject),
            "relation": triple.relation,
            "object": triple.object, "object_name": name(triple.object),
            "provenance": provenance,
        });
        let _ = writeln!(text, "{line}");
    }
    text
}

fn graphml(view: &View) -> String {
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">\n\
         <key id=\"name\" for=\"node\" attr.name=\"name\" attr.type=\"string\"/>\n\
         <key id=\"type\" for=\"node\" attr.name=\"type\" attr.type=\"string\"/>\n\
         <key id=\"chunks\" for=\"node\" attr.name=\"chunks\" attr.type=\"int\"/>\n\
         <key id=\"relation\" for=\"edge\" attr.name=\"relation\" attr.type=\"string\"/>\n\
         <key id=\"statements\" for=\"edge\" attr.name=\"statements\" attr.type=\"int\"/>\n\
         <graph edgedefault=\"directed\">\n",
    );
    for (at, entity) in view.entities.iter().enumerate() {
        let _ = writeln!(
            text,
            "<node id=\"n{at}\"><data key=\"name\">{}</data><data key=\"type\">{}</data>\
             <data key=\"chunks\">{}</data></node>",
            xml(&entity.name),
            xml(&entity.kind),
            entity.chunks
        );
    }
    for (at, triple) in view.triples.iter().enumerate() {
        let _ = writeln!(
            text,
            "<edge id=\"e{at}\" source=\"n{}\" target=\"n{}\"><data key=\"relation\">{}</data>\
             <data key=\"statements\">{}</data></edge>",
            triple.subject,
            triple.object,
            xml(&triple.relation),
            triple.statements.len()
        );
    }
    text.push_str("</graph>\n</graphml>\n");
    text
}

/// Text of XML 1.0, which has no place for most control characters.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

fn dot(view: &View) -> String {
    let mut text = String::from("digraph knowledge {\n");
    for (at, entity) in view.entities.iter().enumerate() {
        let _ = writeln!(
            text,
            "  n{at} [label=\"{}\\n({})\"];",
            label(&entity.name),
            label(&entity.kind)
        );
    }
    for triple in &view.triples {
        let _ = writeln!(
            text,
            "  n{} -> n{} [label=\"{}\"];",
            triple.subject,
            triple.object,
            label(&triple.relation)
        );
    }
    text.push_str("}\n");
    text
}

/// A quoted string of DOT without a line break.
fn label(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
