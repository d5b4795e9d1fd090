//! What a model may write that has tools: any text, and calls with arguments that fit. From the mark of
//! a call on, each token is held to the tool's schema; outside of calls nothing is.

use praxis_core::Constraint;
use serde_json::{Value, json};

use super::{CLOSE, OPEN, Tools, head};
use crate::constraint::schema;

/// How the answer behind the calls, or instead of them, is written in the grammar.
type Written = Result<String, String>;

/// The grammar in llguidance's dialect of Lark; `answer` is what a text without calls must be.
/// `loose[i]`: the arguments of tool `i` are any object.
///
/// # Errors
/// What about `answer` is not supported beside tools.
pub(crate) fn lark(tools: &Tools, answer: Option<&Constraint>, loose: &[bool]) -> Written {
    if !tools.callable {
        // Tools that may not be called are known from the prompt, and the history may be full of calls.
        let names: Vec<&str> = tools.specs.iter().map(|t| t.name.as_str()).collect();
        return Ok(format!(
            "start: TEXT\nTEXT: /(\\n|.)*/ & ~/(\\n|.)*{OPEN}(\\n|.)*/ \
             & ~/(\\n|.)*\\{{\\s*\"name\"\\s*:\\s*\"({})\"(\\n|.)*/\n",
            names.join("|")
        ));
    }
    let mut lark = String::new();
    let rules = |kind: &str| -> Vec<String> {
        (0..tools.specs.len())
            .map(|i| format!("{kind}_{i}"))
            .collect()
    };
    let (names, bare) = (rules("tool"), rules("bare"));
    let call = if tools.parallel {
        // Calls stand on lines of their own.
        "calls: call (\"\\n\" call)*\n"
    } else {
        "calls: call\n"
    };
    match (tools.required, answer) {
        (true, _) => lark.push_str(&format!(
            "start: calls\n{call}call: {} body\n",
            quoted(OPEN)
        )),
        (false, Some(answer)) => lark.push_str(&format!(
            "start: calls | answer\nanswer: {}\n{call}call: {} body\n",
            constrained(answer)?,
            quoted(OPEN)
        )),
        (false, None) => {
            // What begins a call ends the free text as soon as it is there: `lazy` takes the shortest match.
            // A call without marks is known by the name of its tool: coders write theirs in fences.
            let start = if tools.parallel {
                "call* TEXT"
            } else {
                "call | TEXT"
            };
            lark.push_str(&format!(
                "start: {start}\ncall: head body | {}\nhead[lazy]: TEXT {}\nTEXT: /(\\n|.)*/\n",
                bare.join(" | "),
                quoted(OPEN)
            ));
            for (i, tool) in tools.specs.iter().enumerate() {
                lark.push_str(&format!(
                    "bare_{i}: named_{i} \" \"? arguments_{i} /\\s*/ \"}}\"\n\
                     named_{i}[lazy]: TEXT /\\{{\\s*\"name\"\\s*:\\s*\"{}\"\\s*,\\s*\"(arguments|parameters)\"\\s*:/\n",
                    tool.name
                ));
            }
        }
    }
    lark.push_str(&format!(
        "body: \"\\n\" ({}) \"\\n\" {}\n",
        names.join(" | "),
        quoted(CLOSE)
    ));
    for (i, tool) in tools.specs.iter().enumerate() {
        let parameters = if loose.get(i).copied().unwrap_or(false) {
            json!({ "type": "object" })
        } else {
            tool.parameters.clone()
        };
        lark.push_str(&format!(
            "tool_{i}: {} arguments_{i} \"}}\"\narguments_{i}: %json {}\n",
            quoted(&head(&tool.name)),
            prepared(&parameters)?
        ));
    }
    Ok(lark)
}

/// Whether the arguments of a tool can be held to its schema, as far as the schema alone tells.
pub(crate) fn arguments(parameters: &Value) -> Result<Value, String> {
    let mut schema = parameters.clone();
    if let Some(map) = schema.as_object_mut() {
        // A schema that says nothing of the kind means an object all the same.
        map.entry("type").or_insert_with(|| json!("object"));
    }
    schema::prepare(&schema)
}

fn prepared(parameters: &Value) -> Written {
    Ok(arguments(parameters)?.to_string())
}

fn constrained(answer: &Constraint) -> Written {
    match answer {
        Constraint::JsonSchema(value) => Ok(format!("%json {}", schema::prepare(value)?)),
        Constraint::JsonObject => {
            let schema = schema::prepare(&Constraint::any_object())?;
            Ok(format!("%json {schema}"))
        }
        Constraint::Choice(texts) if !texts.is_empty() && !texts.iter().any(String::is_empty) => {
            let texts: Vec<String> = texts.iter().map(|t| quoted(t)).collect();
            Ok(texts.join(" | "))
        }
        Constraint::Regex(regex) => Ok(format!("/{}/", escaped(regex))),
        other => Err(format!(
            "`{}` cannot be combined with tools; use `json_schema`, `regex` or `choice`",
            other.kind()
        )),
    }
}

/// A regular expression between slashes: its own are escaped, unless they are.
fn escaped(regex: &str) -> String {
    let mut out = String::with_capacity(regex.len());
    let mut chars = regex.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                out.push(c);
                out.extend(chars.next());
            }
            '/' => out.push_str("\\/"),
            _ => out.push(c),
        }
    }
    out
}

/// Lark's texts are written as JSON's.
fn quoted(text: &str) -> String {
    json!(text).to_string()
}

#[cfg(test)]
mod tests {
    use praxis_core::tool::no_parameters;

    use super::super::tests::spec;
    use super::*;

    #[test]
    fn the_grammar_has_a_rule_for_each_tool() {
        let tools = Tools {
            specs: vec![
                spec("a", no_parameters()),
                spec("b", json!({"properties": {"x": {"type": "integer"}}})),
            ],
            required: false,
            parallel: true,
            callable: true,
        };
        let lark = lark(&tools, None, &[false, true]).unwrap();
        for part in [
            "start: call* TEXT",
            "head[lazy]: TEXT \"<tool_call>\"",
            "body: \"\\n\" (tool_0 | tool_1) \"\\n\" \"</tool_call>\"",
            "tool_0: \"{\\\"name\\\": \\\"a\\\", \\\"arguments\\\": \" arguments_0 \"}\"\narguments_0: %json {",
        ] {
            assert!(lark.contains(part), "{part}\n{lark}");
        }
        assert!(!lark.contains("integer"), "{lark}");
    }

    #[test]
    fn answers_are_held_to_their_own_constraint() {
        let tools = Tools {
            specs: vec![spec("a", no_parameters())],
            required: false,
            parallel: false,
            callable: true,
        };
        let choice = Constraint::Choice(vec!["yes".into(), "no".into()]);
        let written = lark(&tools, Some(&choice), &[]).unwrap();
        assert!(written.contains("start: calls | answer\nanswer: \"yes\" | \"no\"\n"));
        let grammar = Constraint::Grammar("start: \"x\"".into());
        assert!(
            lark(&tools, Some(&grammar), &[])
                .unwrap_err()
                .contains("`regex`")
        );
    }
}
