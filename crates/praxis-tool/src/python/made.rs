//! `tools/NAME.pytool.toml`: a tool that was proposed, tried and approved. Its code is in `tools/NAME.py`, and each
//! call runs it in a sandbox of its own, within the limits of a `python` tool file. Left out: how it came about
//! (`proposed`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use praxis_core::toml_file::TomlFile;
use praxis_core::{CallContext, CallError, Effects, Problem, Signature};
use serde::Deserialize;
use serde_json::{Value, json};

use super::config::problem;
use super::interpreter::{Interpreter, LONGEST};
use super::propose::validator;
use crate::deps::ToolDeps;
use crate::safety::PolicyConfig;
use crate::toolbox::{Made, Names, Ties, Tool};
use crate::work::{Work, invalid, tool};

/// A `pytool` tool file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// What the tool does.
    description: String,
    /// The `python` tool file whose interpreter and limits it has.
    interpreter: String,
    /// JSON Schema of its input, as JSON.
    input_schema: String,
    /// Which calls need a person, and how many there may be; what the interpreter's file says where nothing is said.
    #[serde(default)]
    pub policy: PolicyConfig,
}

impl Config {
    /// What is wrong with it.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let schema = self
            .schema()
            .and_then(|schema| validator(&schema).map(drop));
        let help = "write it as JSON: '{\"type\": \"object\", \"properties\": {...}}'";
        schema
            .err()
            .map(|what| problem("input_schema", what, help))
            .into_iter()
            .collect()
    }

    /// The file whose policy holds where this has none.
    pub(crate) fn ties(&self) -> Ties {
        Ties {
            policy_of: Some(self.interpreter.clone()),
            ..Ties::default()
        }
    }

    fn schema(&self) -> Result<Value, String> {
        serde_json::from_str(&self.input_schema).map_err(|error| format!("it is no JSON: {error}"))
    }
}

/// The name of its function.
pub(crate) fn names(name: &str, _: &Config, _: &Path, _: &Path) -> Names {
    Names::Known(vec![name.to_owned()])
}

/// Makes its function.
///
/// # Errors
/// Code or an interpreter that is not there.
pub(crate) async fn make(name: &str, config: &Config, deps: &ToolDeps) -> Result<Made, Problem> {
    let schema = config
        .schema()
        .map_err(|what| problem("input_schema", what, "write JSON"))?;
    let folder = deps.root.join("tools");
    let code = code(&folder.join(format!("{name}.py")))?;
    let interpreter = interpreter(config, &folder)?;
    let state = super::state(&config.interpreter, &deps.state);
    let interpreter = Interpreter::open(&interpreter, &deps.root, &state).await;
    let interpreter = interpreter.map_err(|other| Problem {
        path: "interpreter".to_owned(),
        ..other
    })?;
    let call = Call {
        signature: Signature {
            name: name.to_owned(),
            description: config.description.clone(),
            input_schema: schema,
            output_schema: json!({}),
            effects: Effects::default(),
        },
        code,
        interpreter,
    };
    Ok(Made {
        tools: vec![Tool {
            function: tool(call)?,
            outside: false,
        }],
        warnings: Vec::new(),
    })
}

/// The tool's code.
fn code(path: &Path) -> Result<String, Problem> {
    let shown = path.display();
    let help = "the code of a tool lies beside its file";
    let code = std::fs::read_to_string(path);
    let code =
        code.map_err(|error| problem("", format!("cannot read `{shown}`: {error}"), help))?;
    match code.len() > LONGEST {
        true => Err(problem(
            "",
            format!("`{shown}` has more than {LONGEST} bytes"),
            "make it shorter",
        )),
        false => Ok(code),
    }
}

/// The `python` tool file that it names.
fn interpreter(config: &Config, folder: &Path) -> Result<super::Config, Problem> {
    let file = format!("{}.python.toml", config.interpreter);
    let wrong = |message: String| {
        let help =
            "name a `python` tool file: `interpreter = \"code\"` for `tools/code.python.toml`";
        problem("interpreter", message, help)
    };
    let path: PathBuf = folder.join(&file);
    let is_plain = !config.interpreter.contains(['/', '\\', '.']);
    let text = match is_plain {
        true => std::fs::read_to_string(path).ok(),
        false => None,
    };
    let text = text.ok_or_else(|| wrong(format!("there is no `tools/{file}`")))?;
    let parsed: super::Config = TomlFile::new(&file, text)
        .parse()
        .map_err(|problem| wrong(format!("`tools/{file}`: {}", problem.message)))?;
    // A policy that cannot be read is none that the tool could be held to.
    let mut problems = parsed.problems();
    problems.extend(parsed.policy.problems());
    match problems.into_iter().next() {
        Some(problem) => Err(wrong(format!("`tools/{file}`: {problem}"))),
        None => Ok(parsed),
    }
}

/// Its function.
struct Call {
    signature: Signature,
    code: String,
    interpreter: Arc<Interpreter>,
}

#[async_trait]
impl Work for Call {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    async fn work(&self, input: Value, cx: &CallContext) -> Result<Value, CallError> {
        match input {
            Value::Object(input) => self.interpreter.call(&self.code, input, cx).await,
            _ => Err(invalid(&self.signature.name, "it is no JSON object")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(interpreter: &str, schema: &str) -> Config {
        let text = format!(
            "description = \"x\"\ninterpreter = \"{interpreter}\"\ninput_schema = '{schema}'"
        );
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn what_is_wrong_with_a_file_is_named() {
        let good = r#"{"type": "object"}"#;
        assert!(config("code", good).problems().is_empty());
        for schema in ["", "[]", r#"{"type": "string"}"#] {
            assert_eq!(config("code", schema).problems().len(), 1, "{schema}");
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("code.python.toml"),
            "[limits]\nmemory = 1",
        )
        .unwrap();
        for (name, words) in [
            ("absent", "no `tools/absent"),
            ("../code", "no `tools/"),
            ("code", "out of range"),
        ] {
            let problem = interpreter(&config(name, good), folder.path()).unwrap_err();
            assert!(problem.message.contains(words), "{problem}");
        }
        let broken = "[policy]\nrate = \"often\"";
        std::fs::write(folder.path().join("code.python.toml"), broken).unwrap();
        let problem = interpreter(&config("code", good), folder.path()).unwrap_err();
        assert!(problem.message.contains("30/min"), "{problem}");
        std::fs::write(folder.path().join("code.python.toml"), "").unwrap();
        assert!(interpreter(&config("code", good), folder.path()).is_ok());
        assert!(code(&folder.path().join("x.py")).is_err());
    }
}
