//! Verified questions and queries, and which of them a model is shown: the most similar by meaning and words, never
//! the question itself.
//!
//! An example is shown only where its query passes the same check as a model's, against the tables that the model
//! sees: it names no table that a caller may not know of, and none that is gone. Left out: how they are shown
//! (`prompt`).

use std::path::Path;
use std::sync::Arc;

use praxis_core::embed::dot;
use praxis_core::{EmbedKind, Embedder, ModelError, Problem};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::sql::link::{content, terms};

/// The most examples, and bytes of a file of them.
const MOST: usize = 2_000;
const LARGEST: u64 = 8 << 20;

/// Weight of meaning beside words in common.
const BY_MEANING: f32 = 2.0;

/// A question and its query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Example {
    /// The question.
    pub question: String,
    /// Its query, in the dialect of the database.
    pub sql: String,
}

/// The examples of one database.
pub(crate) struct Shots {
    examples: Vec<Example>,
    words: Vec<Vec<String>>,
    embedder: Arc<dyn Embedder>,
    /// One vector an example, from the first question on.
    vectors: OnceCell<Vec<Vec<f32>>>,
}

impl Shots {
    /// Those of the tool file, then those of a file of its own.
    ///
    /// # Errors
    /// A file that cannot be read, with the line where it is wrong.
    pub fn load(
        inline: &[Example],
        file: Option<&Path>,
        embedder: Arc<dyn Embedder>,
    ) -> Result<Self, Problem> {
        let mut examples = inline.to_vec();
        if let Some(path) = file {
            examples.extend(lines(path)?);
        }
        if examples.len() > MOST {
            return Err(problem(
                format!("there are {} examples", examples.len()),
                format!("keep the best {MOST}"),
            ));
        }
        Ok(Self {
            words: examples.iter().map(|e| content(&e.question)).collect(),
            examples,
            embedder,
            vectors: OnceCell::new(),
        })
    }

    /// Examples that may be shown for a question, the most similar first.
    pub async fn ranked(&self, question: &str) -> Vec<&Example> {
        if self.examples.is_empty() {
            return Vec::new();
        }
        let asked = content(question);
        let whole = terms(question);
        let meaning = self.likeness(question).await;
        let mut ranked: Vec<(f32, usize)> = (0..self.examples.len())
            // The question itself would be its own answer.
            .filter(|i| terms(&self.examples[*i].question) != whole)
            .map(|i| {
                let like = meaning
                    .as_ref()
                    .and_then(|m| m.get(i))
                    .copied()
                    .unwrap_or(0.0);
                (BY_MEANING * like + overlap(&asked, &self.words[i]), i)
            })
            .collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        ranked.into_iter().map(|(_, i)| &self.examples[i]).collect()
    }

    /// How much each example's question is like this one: cosines, where the embedder can be asked.
    async fn likeness(&self, question: &str) -> Option<Vec<f32>> {
        match self.cosines(question).await {
            Ok(cosines) => Some(cosines),
            Err(error) => {
                tracing::warn!(%error, "examples are found by words alone");
                None
            }
        }
    }

    async fn cosines(&self, question: &str) -> Result<Vec<f32>, ModelError> {
        let embed = |texts: Vec<String>| self.embedder.embed(EmbedKind::Query, texts);
        let texts = || self.examples.iter().map(|e| e.question.clone()).collect();
        let vectors = self.vectors.get_or_try_init(|| embed(texts())).await?;
        let asked = embed(vec![question.to_owned()]).await?;
        let asked = asked.first().map_or(&[][..], Vec::as_slice);
        Ok(vectors.iter().map(|vector| dot(vector, asked)).collect())
    }
}

/// Share of the words that two questions have in common (Jaccard).
fn overlap(a: &[String], b: &[String]) -> f32 {
    let common = a.iter().filter(|word| b.contains(word)).count();
    let all = a.len() + b.len() - common;
    if all == 0 {
        0.0
    } else {
        common as f32 / all as f32
    }
}

fn lines(path: &Path) -> Result<Vec<Example>, Problem> {
    let shown = path.display();
    let size = std::fs::metadata(path).map(|m| m.len());
    let size = size.map_err(|error| {
        problem(
            format!("`{shown}`: {error}"),
            "name a file of JSON Lines".to_owned(),
        )
    })?;
    if size > LARGEST {
        return Err(problem(
            format!("`{shown}` has {size} bytes"),
            format!("keep it under {} MiB", LARGEST >> 20),
        ));
    }
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| {
        problem(
            format!("`{shown}`: {error}"),
            "it has to be UTF-8".to_owned(),
        )
    })?;
    let mut all = Vec::new();
    for (i, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let example: Example = serde_json::from_str(line).map_err(|error| {
            problem(
                format!("`{shown}`, line {}: {error}", i + 1),
                "write `{\"question\": \"...\", \"sql\": \"...\"}` on each line".to_owned(),
            )
        })?;
        all.push(example);
    }
    Ok(all)
}

fn problem(message: String, help: String) -> Problem {
    Problem {
        path: "ask.examples_file".to_owned(),
        message,
        help: Some(help),
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "tests"
    )]

    use async_trait::async_trait;
    use praxis_core::embed::TokenCounter;

    use super::*;

    /// An embedder that cannot be asked.
    struct Deaf;

    #[async_trait]
    impl Embedder for Deaf {
        fn identity(&self) -> String {
            "deaf".to_owned()
        }

        async fn dimension(&self) -> Result<usize, ModelError> {
            Err(ModelError::Unavailable("deaf".to_owned()))
        }

        async fn max_tokens(&self) -> Result<usize, ModelError> {
            Err(ModelError::Unavailable("deaf".to_owned()))
        }

        async fn embed(&self, _: EmbedKind, _: Vec<String>) -> Result<Vec<Vec<f32>>, ModelError> {
            Err(ModelError::Unavailable("deaf".to_owned()))
        }

        async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
            Err(ModelError::Unavailable("deaf".to_owned()))
        }
    }

    fn example(question: &str) -> Example {
        Example {
            question: question.to_owned(),
            sql: "SELECT 1".to_owned(),
        }
    }

    #[tokio::test]
    async fn similar_examples_come_first_and_the_question_never() {
        let inline = [
            example("How many albums did Miles make?"),
            example("Which customers live in Brazil?"),
            example("巴西有多少客户？"),
        ];
        let shots = Shots::load(&inline, None, Arc::new(Deaf)).unwrap();
        let questions =
            |found: Vec<&Example>| found.iter().map(|e| e.question.clone()).collect::<Vec<_>>();
        let found = questions(shots.ranked("Which customers live in Norway?").await);
        assert_eq!(found[0], "Which customers live in Brazil?");
        let found = questions(shots.ranked("how many albums did miles make").await);
        assert_eq!(found.len(), 2);
        assert!(!found.iter().any(|q| q.contains("Miles")));
        assert_eq!(
            questions(shots.ranked("挪威有多少客户").await)[0],
            "巴西有多少客户？"
        );
    }

    #[test]
    fn a_file_of_examples_says_where_it_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shots.jsonl");
        std::fs::write(
            &path,
            "{\"question\": \"a\", \"sql\": \"SELECT 1\"}\n\n{\"question\": \"b\"}\n",
        )
        .unwrap();
        let wrong = Shots::load(&[], Some(&path), Arc::new(Deaf))
            .err()
            .unwrap()
            .to_string();
        assert!(wrong.contains("line 3") && wrong.contains("sql"), "{wrong}");
        std::fs::write(&path, "{\"question\": \"a\", \"sql\": \"SELECT 1\"}\n").unwrap();
        let shots = Shots::load(&[example("b")], Some(&path), Arc::new(Deaf)).unwrap();
        assert_eq!(shots.examples.len(), 2);
        assert!(Shots::load(&[], Some(&dir.path().join("none")), Arc::new(Deaf)).is_err());
    }
}
