//! What a knowledge crate can do, as functions that are there without a file: prompts name them as tools, and
//! they are called like any other. Their names begin with `praxis/`.
//!
//! Left out: who calls them; limits of one call are here, budgets are the caller's.

mod search;
mod texts;

use std::sync::Arc;

use async_trait::async_trait;
use praxis_core::{
    CallContext, CallError, Embedder, ErrorCode, Function, Retriever, Signature, SpanKind,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::search::Search;
use self::texts::Kind;

/// What the names of functions begin with that are there without a file.
pub const PREFIX: &str = "praxis/";

/// Names of the functions of an application with these bases.
pub fn function_names<'a>(bases: impl Iterator<Item = &'a str>) -> Vec<String> {
    let searches = bases.map(search::name);
    searches
        .chain(Kind::ALL.iter().map(|kind| kind.name()))
        .collect()
}

/// The name of the function that searches a base.
pub(crate) fn search_name(base: &str) -> String {
    search::name(base)
}

/// The functions: a search of each base, and what vectors of `embedder` tell about texts.
pub fn functions<'a>(
    bases: impl Iterator<Item = (&'a str, Option<&'a str>)>,
    retriever: &Arc<dyn Retriever>,
    embedder: &Arc<dyn Embedder>,
) -> Vec<Arc<dyn Function>> {
    let mut all: Vec<Arc<dyn Function>> = Vec::new();
    for (base, description) in bases {
        let search = Search::new(base, description, Arc::clone(retriever));
        all.push(Arc::new(Traced(search)));
    }
    for kind in Kind::ALL {
        all.push(Arc::new(Traced(texts::Texts::new(
            *kind,
            Arc::clone(embedder),
        ))));
    }
    all
}

/// A function but for its span.
#[async_trait]
trait Work: Send + Sync {
    fn signature(&self) -> &Signature;

    async fn work(&self, input: Value, cx: &CallContext) -> Result<Value, CallError>;
}

/// A function whose calls leave spans.
struct Traced<W>(W);

#[async_trait]
impl<W: Work> Function for Traced<W> {
    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    async fn call(&self, input: Value, cx: &CallContext) -> Result<Value, CallError> {
        let name = &self.0.signature().name;
        let (span, inner) = cx.span(SpanKind::Function, name, json!({ "input": input }));
        match self.0.work(input, &inner).await {
            Ok(output) => {
                span.finish(output.clone());
                Ok(output)
            }
            Err(error) => {
                span.fail(&error);
                Err(error)
            }
        }
    }
}

/// The input of the function `name`.
fn read<T: DeserializeOwned>(name: &str, input: Value) -> Result<T, CallError> {
    serde_json::from_value(input).map_err(|error| invalid(name, error))
}

fn invalid(name: &str, what: impl std::fmt::Display) -> CallError {
    let message = format!("input of `{name}`: {what}");
    CallError::new(ErrorCode::InvalidRequest, message)
}

#[cfg(test)]
mod tests;
