//! Which of a prompt's tools a turn is given: all of them, or the likeliest where there are many (`praxis.tools`).
//!
//! A model is told of each tool at each question, so hundreds cost thousands of tokens and lead it astray. The trace
//! says how many were left out and what they would have cost. Left out: how the likeliest are found (the port
//! [`praxis_core::select::ToolSelector`]).

use praxis_core::{CallContext, CallError, Message, Role, SpanKind, ToolSpec};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::library::Functions;
use crate::tools::{Tools, prompt_tokens};

/// The most tools of which a model is told where the prompt does not say, and how many are chosen where there are more.
const MOST_TOLD: usize = 64;
const CHOSEN: usize = 24;

/// The most that a prompt may ask for: providers take no more.
const MOST_SELECTED: usize = 128;

/// A question that is shorter, in characters, leans on the one before it.
const LEANING: usize = 40;

/// `praxis.tools`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ToolUse {
    /// How many tools a turn is given.
    pub select: Option<usize>,
    /// Functions that are always among them; a `*` at the end stands for any rest.
    pub always: Vec<String>,
}

impl ToolUse {
    /// What is wrong with it.
    pub fn problem(&self) -> Option<String> {
        let select = self.select?;
        if !(1..=MOST_SELECTED).contains(&select) {
            return Some(format!("`select` must be between 1 and {MOST_SELECTED}"));
        }
        (self.always.len() > select)
            .then(|| format!("`always` has more than the {select} tools of `select`"))
    }

    fn is_always(&self, function: &str) -> bool {
        let is = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => function.starts_with(start),
            None => function == pattern,
        };
        self.always.iter().any(is)
    }
}

/// What is asked in a call: its question, or all its texts, and before a short one the one before it.
pub(crate) fn question(
    input: &Map<String, Value>,
    named: Option<&str>,
    past: &[Message],
) -> String {
    let named = named.and_then(|name| input.get(name)?.as_str());
    let text = match named {
        Some(text) => text.to_owned(),
        None => {
            let texts: Vec<&str> = input.values().filter_map(Value::as_str).collect();
            texts.join("\n")
        }
    };
    let before = past.iter().rev().find(|message| message.role == Role::User);
    match before {
        Some(before) if text.chars().count() < LEANING => format!("{}\n{text}", before.text()),
        _ => text,
    }
}

/// The tools of one turn of the function `own`, and the same as a model is told of them.
///
/// # Errors
/// A function that is not there, and two that are one name to a model.
pub(crate) async fn given(
    tools: &Tools,
    uses: &ToolUse,
    own: &str,
    functions: &Functions,
    question: &str,
    cx: &CallContext,
) -> Result<(Tools, Vec<ToolSpec>), CallError> {
    let all = tools.expanded(functions, own)?;
    let specs = all.specs(functions)?;
    all.note_secrets(functions, cx);
    let most = match uses.select {
        Some(most) => most,
        None if specs.len() > MOST_TOLD => CHOSEN,
        None => return Ok((all, specs)),
    };
    if specs.len() <= most {
        return Ok((all, specs));
    }
    let (span, _) = cx.span(SpanKind::Step, "tools", json!({ "select": most }));
    let is_always: Vec<bool> = all.functions().map(|name| uses.is_always(name)).collect();
    let places = |wanted: bool| {
        let kept = is_always
            .iter()
            .enumerate()
            .filter(move |(_, is)| **is == wanted);
        kept.map(|(place, _)| place).collect::<Vec<usize>>()
    };
    let (mut kept, others) = (places(true), places(false));
    let told: Vec<ToolSpec> = others.iter().map(|place| specs[*place].clone()).collect();
    let room = most.saturating_sub(kept.len());
    let chosen = functions.selector().select(question, &told, room).await;
    kept.extend(chosen.iter().filter_map(|place| others.get(*place)));
    // In their own order, whatever fits best: the beginning of a prompt that stays the same is read from a cache.
    kept.sort_unstable();
    kept.dedup();
    let whole = prompt_tokens(&specs);
    let given: Vec<ToolSpec> = kept.iter().map(|place| specs[*place].clone()).collect();
    let names: Vec<&str> = given.iter().map(|spec| spec.name.as_str()).collect();
    let tokens = prompt_tokens(&given);
    span.finish(json!({
        "given": names,
        "of": specs.len(),
        "tokens": tokens,
        "left_out_tokens": whole.saturating_sub(tokens),
    }));
    Ok((all.only(&names), given))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_the_question_or_all_texts() {
        let long = "Where is my parcel and when does it arrive at my door?";
        let input = json!({"question": long, "n": 3, "more": "soon"});
        let input = input.as_object().unwrap();
        let past = [
            Message::user("Weather in Bern?"),
            Message::assistant("Rain."),
        ];
        assert_eq!(question(input, Some("question"), &past), long);
        assert_eq!(question(input, None, &[]), format!("{long}\nsoon"));
        assert_eq!(
            question(input, Some("absent"), &[]),
            format!("{long}\nsoon")
        );
        let short = Map::from_iter([("question".to_owned(), json!("And in Basel?"))]);
        assert_eq!(
            question(&short, Some("question"), &past),
            "Weather in Bern?\nAnd in Basel?"
        );
        assert_eq!(question(&short, Some("question"), &[]), "And in Basel?");
    }

    #[test]
    fn numbers_that_choose_nothing_are_refused() {
        let uses = |select, always: &[&str]| ToolUse {
            select,
            always: always.iter().map(|a| (*a).to_owned()).collect(),
        };
        assert_eq!(uses(None, &["a"]).problem(), None);
        assert_eq!(uses(Some(12), &["a", "crm/*"]).problem(), None);
        assert!(
            uses(Some(0), &[])
                .problem()
                .unwrap()
                .contains("between 1 and 128")
        );
        assert!(uses(Some(129), &[]).problem().is_some());
        assert!(
            uses(Some(1), &["a", "b"])
                .problem()
                .unwrap()
                .contains("more than the 1")
        );
        let some = uses(None, &["a", "crm/*"]);
        let always = ["a", "ab", "crm/get", "crm"].map(|name| some.is_always(name));
        assert_eq!(always, [true, false, true, false]);
    }
}
