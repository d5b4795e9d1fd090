//! Reading what a chat model wrote of a JSON object: one field, a text, texts or numbers. An answer that was cut
//! off, or has words around its JSON, is read as far as it goes. Nothing here fails but by finding nothing.

/// What follows the name of a field, where the answer has it.
fn field<'a>(answer: &'a str, key: &str) -> Option<&'a str> {
    let quoted = format!("\"{key}\"");
    let after = &answer[answer.find(&quoted)? + quoted.len()..];
    Some(after.trim_start().strip_prefix(':')?.trim_start())
}

/// The JSON string that a text begins with, and what follows it. Of one that was cut off there is what was
/// written, and nothing follows.
fn string(text: &str) -> Option<(String, Option<&str>)> {
    let inside = text.strip_prefix('"')?;
    let mut escaped = false;
    let end = inside.char_indices().find_map(|(i, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(i)
    });
    if let Some(end) = end {
        let read = serde_json::from_str(&text[..end + 2]).ok()?;
        return Some((read, Some(&inside[end + 1..])));
    }
    // The cut may be within an escape, of which the longest, a pair of surrogates, has twelve characters.
    let mut rest = inside;
    for _ in 0..=12 {
        if let Ok(read) = serde_json::from_str(&format!("\"{rest}\"")) {
            return Some((read, None));
        }
        let mut chars = rest.chars();
        chars.next_back()?;
        rest = chars.as_str();
    }
    None
}

/// The text of a field, without white space around it; `whole` refuses one that was cut off.
pub(crate) fn text(answer: &str, key: &str, whole: bool) -> Option<String> {
    let (text, after) = string(field(answer, key)?)?;
    let text = text.trim();
    (!text.is_empty() && (!whole || after.is_some())).then(|| text.to_owned())
}

/// The texts of a field that is a list, as far as they are whole, without white space around them.
pub(crate) fn texts(answer: &str, key: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut rest = field(answer, key).and_then(|list| list.strip_prefix('['));
    while let Some(list) = rest {
        let list = list.trim_start().trim_start_matches(',').trim_start();
        let Some((text, Some(after))) = string(list) else {
            break;
        };
        texts.push(text.trim().to_owned());
        rest = Some(after);
    }
    texts.retain(|text| !text.is_empty());
    texts
}

/// The numbers of a field, or of the whole answer where it lacks the field.
pub(crate) fn numbers(answer: &str, key: &str) -> Vec<usize> {
    let of_field = field(answer, key).and_then(|list| list.split(']').next());
    of_field
        .unwrap_or(answer)
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_are_read_with_words_around_them_and_cut_off() {
        for (answer, whole, read) in [
            (r#"{"question": "Who?"}"#, true, Some("Who?")),
            (
                "Sure!\n```json\n{\"question\":\"Who?\"}\n```",
                true,
                Some("Who?"),
            ),
            (r#"{"question": "a \"b\" \\"}"#, true, Some("a \"b\" \\")),
            (r#"{"question": "Who wro"#, true, None),
            (r#"{"question": "Who wro"#, false, Some("Who wro")),
            (r#"{"question": "Who\u4e"#, false, Some("Who")),
            (r#"{"question": "  "}"#, true, None),
            (r#"{"question": 3}"#, true, None),
            (r#"{"queries": "Who?"}"#, true, None),
            ("", false, None),
        ] {
            assert_eq!(text(answer, "question", whole).as_deref(), read, "{answer}");
        }
    }

    #[test]
    fn lists_are_read_as_far_as_they_are_whole() {
        for (answer, read) in [
            (r#"{"queries": ["one", " two ", ""]}"#, &["one", "two"][..]),
            (r#"{"queries": ["one", "tw"#, &["one"]),
            (r#"{"queries": []}"#, &[]),
            (r#"{"queries": "one"}"#, &[]),
        ] {
            assert_eq!(texts(answer, "queries"), read, "{answer}");
        }
        for (answer, read) in [
            (r#"{"ranking": [3, 1, 1, 10]}"#, &[3, 1, 1, 10][..]),
            (r#"{"ranking": [3, 1"#, &[3, 1]),
            ("[2] > [1]", &[2, 1]),
            ("3, 1", &[3, 1]),
            ("none", &[]),
            ("99999999999999999999999 4", &[4]),
        ] {
            assert_eq!(numbers(answer, "ranking"), read, "{answer}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_comes_back_and_a_cut_gives_its_beginning(
            written in "\\PC{1,40}",
            list in proptest::collection::vec("\\PC{1,12}", 0..5),
            share in 0.0f64..1.0,
        ) {
            let answer = json!({ "question": written }).to_string();
            let trimmed = written.trim();
            let expected = (!trimmed.is_empty()).then(|| trimmed.to_owned());
            prop_assert_eq!(text(&answer, "question", true), expected);
            let mut end = (answer.len() as f64 * share) as usize;
            while !answer.is_char_boundary(end) {
                end -= 1;
            }
            if let Some(part) = text(&answer[..end], "question", false) {
                prop_assert!(trimmed.starts_with(&part), "{part} of {trimmed}");
            }
            let answer = json!({ "queries": list }).to_string();
            let whole: Vec<String> = list.iter().map(|t| t.trim().to_owned()).collect();
            let whole: Vec<String> = whole.into_iter().filter(|t| !t.is_empty()).collect();
            prop_assert_eq!(texts(&answer, "queries"), whole);
        }

        #[test]
        fn any_answer_is_read_without_a_panic(answer in "[\\PC\\n]{0,60}", noise in "[\"\\[\\]{}:,\\\\qu0-9é ]{0,40}") {
            for answer in [&answer, &noise, &format!("{{\"q\": {noise}")] {
                let _ = (text(answer, "q", false), texts(answer, "q"), numbers(answer, "q"));
            }
        }
    }
}
