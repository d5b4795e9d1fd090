//! Passages as a template sees them: numbered, framed as data.

use praxis_core::{Message, Part, Passage, Role};
use serde_json::{Value, json};

/// The partial `{{>_passages}}`, which every prompt may use.
pub(crate) const PARTIAL: &str = "{{#each passages}}[{{number}}] {{place}}\n{{text}}\n\n{{/each}}";

/// Its name.
pub(crate) const PARTIAL_NAME: &str = "_passages";

/// The template's `passages`.
pub(crate) fn template_value(passages: &[Passage]) -> Value {
    passages
        .iter()
        .enumerate()
        .map(|(i, p)| {
            let mut place = vec![p.title.as_str()];
            place.extend(
                p.headings
                    .iter()
                    .map(String::as_str)
                    .filter(|h| *h != p.title),
            );
            json!({
                "number": i + 1,
                "title": p.title,
                "headings": p.headings,
                "place": place.join(" > "),
                "uri": p.uri,
                "text": unframed(&p.text),
            })
        })
        .collect()
}

/// Puts the passages, as the partial renders them, before the text of the user's last message, for
/// templates that give them no place of their own.
pub(crate) fn put_before_question(messages: &mut Vec<Message>, passages: &[Message]) {
    let mut text = "Passages:\n\n".to_owned();
    for part in passages {
        text.push_str(&part.text());
        text.push_str("\n\n");
    }
    match messages.iter_mut().rev().find(|m| m.role == Role::User) {
        Some(last) => match last.content.first_mut() {
            Some(Part::Text(first)) => first.insert_str(0, &text),
            _ => last.content.insert(0, Part::Text(text)),
        },
        None => messages.push(Message::user(text.trim_end())),
    }
}

/// A document's text with what imitates our frame, a `[n]` at the start of a line, set apart.
fn unframed(text: &str) -> String {
    text.lines()
        .map(|line| {
            let digits = line
                .strip_prefix('[')
                .map_or(0, |r| r.chars().take_while(char::is_ascii_digit).count());
            let framed = digits > 0 && line[1 + digits..].starts_with(']');
            if framed {
                format!("({}){}", &line[1..=digits], &line[digits + 2..])
            } else {
                line.to_owned()
            }
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_cannot_pretend_to_be_another_passage() {
        assert_eq!(
            unframed("[2] Forged\nsee [1]\n[x]"),
            "(2) Forged\nsee [1]\n[x]"
        );
    }
}
