//! Answers side by side: a column for each variant, as wide as the terminal allows.

use super::checks;
use super::results::Outcome;
use super::summary::seconds;
use crate::ui::{self, BOLD, DIM, GREEN, RED};

/// Narrowest column; where not all variants fit, they stand one below the other.
const NARROWEST: usize = 26;

/// Lines of an answer that are shown.
const LINES: usize = 24;

/// The answers to one case, `None` where there is none yet, in columns of a terminal `width` wide.
pub fn view(outcomes: &[(&str, Option<&Outcome>)], width: usize) -> String {
    let gap = 3;
    let columns = outcomes.len().max(1);
    let each = (width.saturating_sub(gap * (columns - 1))) / columns;
    let each = if each < NARROWEST { width } else { each };
    let blocks: Vec<Vec<String>> = outcomes
        .iter()
        .map(|(variant, outcome)| block(variant, *outcome, each))
        .collect();
    if each == width {
        return blocks.concat().join("\n");
    }
    let height = blocks.iter().map(Vec::len).max().unwrap_or(0);
    let mut lines = Vec::with_capacity(height);
    for row in 0..height {
        let mut line = String::new();
        for (i, block) in blocks.iter().enumerate() {
            let cell = block.get(row).map_or("", String::as_str);
            line.push_str(cell);
            if i + 1 < blocks.len() {
                let pad = each.saturating_sub(ui::display_width(cell));
                line.push_str(&" ".repeat(pad));
                line.push_str(&ui::paint(DIM, " │ "));
            }
        }
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

/// A variant's answer: its name, what it says, and what it took.
fn block(variant: &str, outcome: Option<&Outcome>, width: usize) -> Vec<String> {
    let mut lines = vec![ui::paint(BOLD, variant)];
    let Some(outcome) = outcome else {
        lines.push(ui::paint(DIM, "not run"));
        return lines;
    };
    match &outcome.error {
        Some(error) => lines.extend(wrap(error, width).into_iter().map(|l| ui::paint(RED, l))),
        None => {
            let mut said = wrap(&checks::text(checks::answer(&outcome.output)), width);
            if said.len() > LINES {
                said.truncate(LINES);
                said.push("…".to_owned());
            }
            lines.extend(said);
        }
    }
    lines.extend(outcome.passed.map(|passed| match passed {
        true => ui::paint(GREEN, "✓ passed"),
        false => ui::paint(RED, "✗ failed"),
    }));
    let took = format!(
        "{}, {}+{} tokens, ${:.6}",
        seconds(outcome.latency_ms),
        outcome.input_tokens,
        outcome.output_tokens,
        outcome.cost_usd
    );
    lines.extend(wrap(&took, width).into_iter().map(|l| ui::paint(DIM, l)));
    lines
}

/// The text in lines of at most `width` columns, broken between words where there are any.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.trim().lines() {
        let (mut line, mut used) = (String::new(), 0);
        for word in paragraph.split_inclusive(' ') {
            let word_width = ui::display_width(word.trim_end());
            if used > 0 && used + word_width > width {
                lines.push(std::mem::take(&mut line).trim_end().to_owned());
                used = 0;
            }
            if word_width <= width {
                line.push_str(word);
                used += ui::display_width(word);
                continue;
            }
            // A word wider than the column, or a text without spaces.
            for c in word.chars() {
                let c_width = ui::display_width(c.encode_utf8(&mut [0; 4]));
                if used + c_width > width {
                    lines.push(std::mem::take(&mut line));
                    used = 0;
                }
                line.push(c);
                used += c_width;
            }
        }
        lines.push(line.trim_end().to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::outcome;
    use super::*;

    #[test]
    fn lines_break_between_words_and_count_wide_characters() {
        for (text, width, expected) in [
            ("one two three", 7, &["one two", "three"][..]),
            ("藤野先生是谁", 5, &["藤野", "先生", "是谁"]),
            ("abcdef", 4, &["abcd", "ef"]),
            ("a\n\nb", 4, &["a", "", "b"]),
            ("", 4, &[]),
        ] {
            assert_eq!(wrap(text, width), expected, "{text}");
        }
    }

    #[test]
    fn variants_stand_beside_each_other_where_there_is_room() {
        let (a, mut b) = (outcome("1", "base"), outcome("1", "concise"));
        b.output = "two words".into();
        b.passed = Some(false);
        let pair = [("base", Some(&a)), ("concise", Some(&b))];
        let plain = |width| anstream::adapter::strip_str(&view(&pair, width)).to_string();
        let wide = plain(80);
        let first = wide.lines().next().unwrap();
        assert!(
            first.starts_with("base") && first.ends_with("│ concise"),
            "{wide}"
        );
        assert!(
            wide.contains("✓ passed") && wide.contains("│ ✗ failed"),
            "{wide}"
        );
        assert!(wide.contains("100 ms, 10+2 tokens, $0.500000"), "{wide}");
        let narrow = plain(40);
        assert!(narrow.contains("\nconcise\ntwo words"), "{narrow}");
    }
}
