//! The examples that a call sees before its question: fixed ones, or those nearest to its input.

use std::path::Path;

use praxis_core::embed::dot;
use praxis_core::{CallError, EmbedKind, Embedder};
use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use crate::technique::{Example, Examples, Selection};
use crate::version::{Sources, data};

/// The most examples that a file may hold: all of their vectors are compared at each call.
const MOST: usize = 10_000;

/// The examples of one prompt.
pub(crate) struct ExampleSet {
    all: Vec<Example>,
    count: usize,
    by: Selection,
    reasoned: bool,
    /// One vector an example, made at the first call that needs them.
    vectors: OnceCell<Vec<Vec<f32>>>,
}

impl ExampleSet {
    /// Reads what a prompt declares, with the data file as the prompt's version has it among `files`; `root` is the
    /// application's folder.
    ///
    /// # Errors
    /// What is wrong, with file and line.
    pub fn load(declared: &Examples, files: &Sources, root: &Path) -> Result<Self, String> {
        let mut all = declared.given.clone();
        if let Some(path) = &declared.data {
            let text = data::text(path, files, root)?;
            for (number, line) in text.lines().enumerate() {
                if line.trim().is_empty() {
                    continue;
                }
                let at = format!("`{path}`, line {}", number + 1);
                let example: Example =
                    serde_json::from_str(line).map_err(|e| format!("{at}: {e}"))?;
                if declared.reasoned && example.reasoning.is_none() {
                    return Err(format!("{at}: an example of reasoning needs a `reasoning`"));
                }
                all.push(example);
                if all.len() > MOST {
                    return Err(format!("{at}: more than {MOST} examples"));
                }
            }
        }
        if all.is_empty() {
            return Err("there is no example in it".to_owned());
        }
        Ok(Self {
            all,
            count: declared.count,
            by: declared.by,
            reasoned: declared.reasoned,
            vectors: OnceCell::new(),
        })
    }

    /// Whether they show how to come to the answer.
    pub fn are_reasoned(&self) -> bool {
        self.reasoned
    }

    /// The examples for an input, the nearest last: models heed most what they read last.
    ///
    /// # Errors
    /// The embedder's.
    pub async fn choose(
        &self,
        input: &Map<String, Value>,
        embedder: &dyn Embedder,
    ) -> Result<Vec<&Example>, CallError> {
        if self.by == Selection::First || self.all.len() <= self.count {
            return Ok(self.all.iter().take(self.count).collect());
        }
        let vectors = self
            .vectors
            .get_or_try_init(|| {
                let texts = self.all.iter().map(|e| text_of(&e.input)).collect();
                embedder.embed(EmbedKind::Query, texts)
            })
            .await?;
        let wanted = text_of(&Value::Object(input.clone()));
        let wanted = embedder.embed(EmbedKind::Query, vec![wanted]).await?;
        let near = |vector: &Vec<f32>| wanted.first().map_or(0.0, |wanted| dot(vector, wanted));
        let mut ranked: Vec<(f32, &Example)> = vectors.iter().map(near).zip(&self.all).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        ranked.truncate(self.count);
        Ok(ranked.into_iter().rev().map(|(_, e)| e).collect())
    }
}

/// The texts of an input, joined.
fn text_of(input: &Value) -> String {
    match input {
        Value::String(text) => text.clone(),
        Value::Object(map) => map.values().map(text_of).collect::<Vec<_>>().join("\n"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(data: &str) -> Examples {
        Examples {
            given: Vec::new(),
            data: Some(data.to_owned()),
            count: 2,
            by: Selection::First,
            reasoned: true,
        }
    }

    #[test]
    fn a_file_of_examples_is_read_line_by_line() {
        let dir = tempfile::tempdir().unwrap();
        let line = r#"{"input": {"question": "2+2"}, "reasoning": "count", "output": "4"}"#;
        for (text, wanted) in [
            (format!("{line}\n\n{line}\n"), Ok(2)),
            (String::new(), Err("no example in it")),
            (
                format!("{line}\n{{\"input\": 1}}"),
                Err("`e.jsonl`, line 2: missing field `output`"),
            ),
            (
                r#"{"input": 1, "output": 2}"#.to_owned(),
                Err("`e.jsonl`, line 1: an example of reasoning needs"),
            ),
            (
                r#"{"input": 1, "output": 2, "x": 3}"#.to_owned(),
                Err("unknown field `x`"),
            ),
        ] {
            let files = Sources::from([("../e.jsonl".to_owned(), text.clone())]);
            let loaded = ExampleSet::load(&declared("e.jsonl"), &files, dir.path());
            match (loaded, wanted) {
                (Ok(set), Ok(count)) => assert_eq!(set.all.len(), count),
                (Err(error), Err(message)) => assert!(error.contains(message), "{error}"),
                (found, _) => panic!("{text}: {:?}", found.err()),
            }
        }
        let absent = ExampleSet::load(&declared("absent.jsonl"), &Sources::new(), dir.path());
        assert!(absent.err().unwrap().contains("cannot read `absent.jsonl`"));
    }
}
