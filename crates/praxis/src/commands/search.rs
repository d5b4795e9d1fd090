//! `praxis search`: passages or documents as retrieval sees them, with scores.

use praxis_core::filter::is_unknown_key;
use praxis_core::{
    CallContext, CallError, Filter, Message, Passage, Query, RerankOption, RerankSettings,
    Retriever, SearchOptions,
};
use praxis_knowledge::FoundDocument;
use serde_json::json;

use super::call::{excerpt, place};
use crate::app::App;
use crate::cli::{Global, Search};
use crate::ui::{self, BOLD, DIM, Failure};

/// Searches and prints what was found.
///
/// # Errors
/// A query without words, an unknown base, or a missing embedder.
pub async fn run(app: &App, args: Search, global: &Global) -> Result<(), Failure> {
    let cx = app
        .context()
        .with_caller(args.asker.caller())
        .with_cancel(super::cancel_on_ctrl_c());
    let bases = super::ingest::selected(app, args.base.as_deref())?;
    let query = query(&args)?;
    if args.documents {
        return documents(app, &bases, &query, global, &cx).await;
    }
    let mut found = Vec::new();
    let mut threshold = 0.0;
    let mut question = None;
    let mut without_key = WithoutKey::new(&bases);
    for base in &bases {
        let found_there = app.knowledge.search(base, &query, &cx).await;
        let Some(retrieval) = without_key.passed(found_there)? else {
            continue;
        };
        threshold = retrieval.threshold;
        question = question.or(retrieval.question);
        found.extend(retrieval.passages.into_iter().map(|p| (base.clone(), p)));
    }
    if bases.len() > 1 {
        found.sort_by(|(_, a), (_, b)| b.relevance.total_cmp(&a.relevance));
        found.truncate(args.limit);
    }
    if global.json {
        let passages: Vec<_> = found
            .iter()
            .map(|(base, passage)| json!({ "base": base, "passage": passage }))
            .collect();
        ui::out_json(
            &json!({ "passages": passages, "threshold": threshold, "question": question }),
        );
        return Ok(());
    }
    searched_for(question.as_deref());
    if found.is_empty() {
        ui::note("nothing found; `praxis knowledge documents` shows what is there");
    }
    for (i, (_, passage)) in found.iter().enumerate() {
        print(i + 1, passage);
    }
    Ok(())
}

/// What the arguments ask for; the base's settings stand for what they leave out.
fn query(args: &Search) -> Result<Query, Failure> {
    if args.query.trim().is_empty() {
        return Err(Failure::message("the query is empty")
            .with_help("write what to look for: praxis search \"parental leave\""));
    }
    let mut query = Query::new(&args.query, args.limit).with_filter(filter(&args.filters)?);
    query.history = args.before.iter().map(Message::user).collect();
    query.options = SearchOptions {
        rewrite: (!args.before.is_empty()).then_some(true),
        queries: args.queries,
        hyde: args.hyde.then_some(true),
        rerank: args.rerank.as_deref().map(|model| match model {
            "none" => RerankOption::Switch(false),
            model => RerankOption::With(RerankSettings {
                model: Some(model.to_owned()),
                ..RerankSettings::default()
            }),
        }),
        ..SearchOptions::default()
    };
    Ok(query)
}

fn searched_for(question: Option<&str>) {
    if let Some(question) = question {
        ui::note(format!("searched for: {question}"));
    }
}

/// What all comparisons of `--where` ask for.
fn filter(texts: &[String]) -> Result<Option<Filter>, Failure> {
    let filters = texts.iter().map(|text| {
        Filter::parse_short(text).map_err(|e| {
            Failure::message(format!("--where: {e}"))
                .with_help("write --where department=hr, or --where 'date>=2026-01-01'")
        })
    });
    Ok(Filter::all_of(filters.collect::<Result<_, _>>()?))
}

/// Bases that lack a key that is filtered by: of several, others may have it.
struct WithoutKey {
    left: usize,
}

impl WithoutKey {
    fn new(bases: &[String]) -> Self {
        Self { left: bases.len() }
    }

    /// What a base gave; nothing where it lacks the key and is not the last hope.
    fn passed<T>(&mut self, found: Result<T, CallError>) -> Result<Option<T>, CallError> {
        match found {
            Err(error) if is_unknown_key(&error) && self.left > 1 => {
                self.left -= 1;
                Ok(None)
            }
            found => found.map(Some),
        }
    }
}

async fn documents(
    app: &App,
    bases: &[String],
    query: &Query,
    global: &Global,
    cx: &CallContext,
) -> Result<(), Failure> {
    let mut found = Vec::new();
    let mut threshold = 0.0;
    let mut question = None;
    let mut without_key = WithoutKey::new(bases);
    for base in bases {
        let found_there = app.knowledge.search_documents(base, query, cx).await;
        let Some(documents) = without_key.passed(found_there)? else {
            continue;
        };
        threshold = documents.threshold;
        question = question.or(documents.question);
        found.extend(documents.documents.into_iter().map(|d| (base.clone(), d)));
    }
    if bases.len() > 1 {
        // Scores tell within one base only.
        let relevance = |d: &FoundDocument| d.passage.as_ref().map_or(0.0, |p| p.relevance);
        found.sort_by(|(_, a), (_, b)| relevance(b).total_cmp(&relevance(a)));
        found.truncate(query.limit);
    }
    if global.json {
        let documents: Vec<_> = found
            .iter()
            .map(|(base, document)| json!({ "base": base, "document": document }))
            .collect();
        ui::out_json(
            &json!({ "documents": documents, "threshold": threshold, "question": question }),
        );
        return Ok(());
    }
    searched_for(question.as_deref());
    if found.is_empty() {
        ui::note("nothing found; `praxis knowledge documents` shows what is there");
    }
    for (i, (_, document)) in found.iter().enumerate() {
        ui::out(format!(
            "{:>2}. {}  {}",
            i + 1,
            ui::paint(BOLD, format_args!("{} ({})", document.title, document.uri)),
            ui::paint(DIM, format_args!("score {:.3}", document.score))
        ));
        if let Some(passage) = &document.passage {
            ui::out(format!("    {}", excerpt(&passage.text, 220)));
        }
    }
    Ok(())
}

fn print(rank: usize, passage: &Passage) {
    ui::out(format!(
        "{rank:>2}. {}  {}",
        ui::paint(BOLD, place(passage)),
        ui::paint(
            DIM,
            format_args!(
                "score {:.3}, relevance {:.2}",
                passage.score, passage.relevance
            )
        )
    ));
    ui::out(format!("    {}", excerpt(&passage.text, 220)));
}
