//! Schema linking: which tables and columns of a database a question is about, and which of its words are values in
//! it.
//!
//! A schema of few tables is shown whole. Of a large one the model sees the tables that score best by words, meaning and
//! values, and those that join them (after Lei et al. 2020, "Re-examining the Role of Schema Linking in Text-to-SQL",
//! and Li et al. 2023, "RESDSQL"). A signal that fails, an embedder or a look-up of values, is missing and stops
//! nothing. Left out: what a model is told (`ask`).

mod choose;
mod paths;
mod score;
mod vectors;
mod words;

use std::path::PathBuf;
use std::sync::Arc;

use praxis_core::{Embedder, tokens};
use serde::Deserialize;

use self::choose::{FILLED, choose};
use self::score::scores;
use self::vectors::Shelf;
use super::ask::ddl;
use crate::sql::{Database, Found, Schema};

pub(crate) use self::words::{content, terms};

/// How much of a schema a model sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// The whole schema where it is small, else the part that a question is about.
    #[default]
    Auto,
    /// The whole schema, and values that the question names.
    All,
    /// The whole schema and nothing else.
    Off,
}

/// What a question is about.
#[derive(Debug)]
pub(crate) struct Linked {
    /// The tables that are shown.
    pub schema: Schema,
    /// Values of the database that the question seems to name.
    pub values: Vec<Found>,
}

/// Links questions to one database.
pub(crate) struct Linker {
    mode: Mode,
    /// Tokens that the shown part of the schema may have.
    budget: usize,
    shelf: Shelf,
}

impl Linker {
    /// A linker that keeps vectors in `folder`.
    pub fn new(mode: Mode, budget: usize, folder: PathBuf, embedder: Arc<dyn Embedder>) -> Self {
        Self {
            mode,
            budget,
            shelf: Shelf::new(folder, embedder),
        }
    }

    /// What of `schema` the question is about.
    pub async fn link(&self, question: &str, schema: &Schema, database: &Database) -> Linked {
        if self.mode == Mode::Off {
            return Linked {
                schema: schema.clone(),
                values: Vec::new(),
            };
        }
        let found = database
            .values(schema, question, &words::candidates(question))
            .await;
        let mut values = found.unwrap_or_else(|error| {
            tracing::warn!(%error, "values of a question are not looked up");
            Vec::new()
        });
        // What a word merely happens to be in leads small models astray.
        values.retain(|found| words::names_value(question, &found.value));
        let whole = || ddl::schema(schema.dialect, schema.tables.iter(), ddl::Detail::Values);
        // What would fit into the budget still distracts small models: a few tables are more often read right.
        let is_small =
            || schema.tables.len() <= FILLED && tokens::estimate(&whole()) <= self.budget;
        if self.mode == Mode::All || is_small() {
            return Linked {
                schema: schema.clone(),
                values,
            };
        }
        let meaning = match self.shelf.meaning(schema, question).await {
            Ok(meaning) => Some(meaning),
            Err(error) => {
                tracing::warn!(%error, "tables are found by words alone");
                None
            }
        };
        let scores = scores(schema, question, meaning.as_ref(), &values);
        Linked {
            schema: Schema {
                dialect: schema.dialect,
                tables: choose(schema, &scores, self.budget),
            },
            values,
        }
    }
}
