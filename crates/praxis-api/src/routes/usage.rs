//! `/v1/organization/usage/completions`, `embeddings`, `moderations` and `audio_transcriptions` beside it, and
//! `/v1/organization/costs`: what was used, as OpenAI's API reports it ("Usage" and "Costs" of its reference).
//!
//! What holds here: a key's id is its name, a user's is `KEY/USER`, and a project is a tag. Buckets are days of UTC,
//! whole ones, also where a time begins or ends within one; days to come are left out. A call counts for the day on
//! which it began. Calls without a key, user or tag are in no group of these, and a call with two tags is in two, so
//! that groups need not add up to the total. What was counted before kinds of use were told apart is reported as
//! completions; calls of tools are in costs alone. Who may not read everything sees what its own key used, and no tags,
//! which belong to all keys. Left out: widths other than a day, groups by two fields at once, and what is not counted,
//! such as tokens of audio.

pub(crate) mod params;
mod sources;

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use praxis_core::ledger::{Day, UsageKind};
use praxis_core::{CallError, Caller, now_s};
use praxis_store::{Store, UsageSum};
use serde_json::{Value, json};

use self::params::{By, Days, Params, cursor};
use self::sources::{Source, sources};
use crate::error::ApiError;
use crate::guard::Admitted;
use crate::state::ApiState;

/// The most results of a page.
const MOST_RESULTS: usize = 100_000;

/// Seconds of a day.
const DAY_S: i64 = 86_400;

/// Calls and tokens.
pub(crate) async fn completions(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let page = report(Report::Completions, &state.store, &caller, &params, now_s());
    page.await.map(Json)
}

/// The same of vectors.
pub(crate) async fn embeddings(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let page = report(Report::Embeddings, &state.store, &caller, &params, now_s());
    page.await.map(Json)
}

/// The same of judgements of texts.
pub(crate) async fn moderations(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let page = report(Report::Moderations, &state.store, &caller, &params, now_s());
    page.await.map(Json)
}

/// Transcripts, and the seconds of audio that were listened to.
pub(crate) async fn audio_transcriptions(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let what = Report::Transcriptions;
    let page = report(what, &state.store, &caller, &params, now_s());
    page.await.map(Json)
}

/// What all calls cost. Beyond OpenAI's, it has the groups and filters of the other reports; a line item is a model.
pub(crate) async fn costs(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let page = report(Report::Costs, &state.store, &caller, &params, now_s());
    page.await.map(Json)
}

/// What is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Report {
    Completions,
    Embeddings,
    Moderations,
    Transcriptions,
    Costs,
}

/// A page of a report that this caller may see.
async fn report(
    report: Report,
    store: &Store,
    caller: &Caller,
    params: &Params,
    now_s: i64,
) -> Result<Value, ApiError> {
    let days = params.days(now_s)?;
    let group = params.group(report.fields())?;
    let filter = params.filter()?;
    let sources = sources(group.map(|(_, by)| by), &filter, caller)?;
    let sums = read(store, &days, &sources, &filter.models, report.kind()).await?;
    let mut results = BTreeMap::<Day, Vec<Value>>::new();
    for ((day, name), sum) in &sums {
        let mut result = report.result(sum);
        if let Some((field, _)) = group {
            // A call that no model answered has none.
            result[field] = match name.is_empty() {
                true => Value::Null,
                false => json!(name),
            };
        }
        results.entry(*day).or_default().push(result);
    }
    Ok(page(&days, results))
}

impl Report {
    /// What it is about; everything where there is none.
    fn kind(self) -> Option<UsageKind> {
        match self {
            Self::Completions => Some(UsageKind::Completion),
            Self::Embeddings => Some(UsageKind::Embedding),
            Self::Moderations => Some(UsageKind::Moderation),
            Self::Transcriptions => Some(UsageKind::Transcription),
            Self::Costs => None,
        }
    }

    /// What its results may be grouped by.
    fn fields(self) -> &'static [(&'static str, By)] {
        match self {
            Self::Completions | Self::Embeddings | Self::Moderations | Self::Transcriptions => {
                params::FIELDS
            }
            Self::Costs => params::FIELDS_OF_COSTS,
        }
    }

    /// A result, as long as it belongs to no group.
    fn result(self, sum: &Sum) -> Value {
        match self {
            Self::Completions => json!({
                "object": "organization.usage.completions.result",
                "input_tokens": sum.input_tokens,
                "input_cached_tokens": sum.cached_tokens,
                "output_tokens": sum.output_tokens,
                "num_model_requests": sum.requests,
                "project_id": null,
                "user_id": null,
                "api_key_id": null,
                "model": null,
                "batch": null,
                "service_tier": null,
            }),
            Self::Embeddings => texts("embeddings", sum),
            Self::Moderations => texts("moderations", sum),
            Self::Transcriptions => json!({
                "object": "organization.usage.audio_transcriptions.result",
                "seconds": sum.audio_seconds,
                "num_model_requests": sum.requests,
                "project_id": null,
                "user_id": null,
                "api_key_id": null,
                "model": null,
            }),
            Self::Costs => json!({
                "object": "organization.costs.result",
                "amount": { "value": sum.micros as f64 / 1e6, "currency": "usd" },
                "line_item": null,
                "project_id": null,
                "api_key_id": null,
                "quantity": null,
                "quantity_unit": null,
            }),
        }
    }
}

/// A result of a report on texts that are only read.
fn texts(of: &str, sum: &Sum) -> Value {
    json!({
        "object": format!("organization.usage.{of}.result"),
        "input_tokens": sum.input_tokens,
        "num_model_requests": sum.requests,
        "project_id": null,
        "user_id": null,
        "api_key_id": null,
        "model": null,
    })
}

/// What was used on a day by a group.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    requests: u64,
    input_tokens: u64,
    cached_tokens: u64,
    output_tokens: u64,
    audio_seconds: u64,
    micros: i64,
}

impl Sum {
    fn add(&mut self, other: &UsageSum) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.requests, other.requests);
        add(&mut self.input_tokens, other.usage.input_tokens);
        add(&mut self.cached_tokens, other.usage.cached_tokens);
        add(&mut self.output_tokens, other.usage.output_tokens);
        add(&mut self.audio_seconds, other.usage.audio_seconds);
        self.micros = self.micros.saturating_add(other.money.0);
    }
}

/// Sums by day and by name of the group.
type Sums = BTreeMap<(Day, String), Sum>;

/// What these days have, of these models or all, for one thing or anything.
async fn read(
    store: &Store,
    days: &Days,
    sources: &[Source],
    models: &BTreeSet<String>,
    kind: Option<UsageKind>,
) -> Result<Sums, ApiError> {
    let mut sums = Sums::new();
    let (Some(first), Some(last)) = (days.shown.first(), days.shown.last()) else {
        return Ok(sums);
    };
    let mut names: Vec<Option<&str>> = models.iter().map(|name| Some(name.as_str())).collect();
    if names.is_empty() {
        names.push(None);
    }
    for source in sources {
        for model in &names {
            let found = store.usage(*first, *last, &source.group, *model, kind);
            let found = found.await;
            for sum in found.map_err(CallError::failure)? {
                let name = source.name.as_ref().unwrap_or(&sum.name).clone();
                sums.entry((sum.day, name)).or_default().add(&sum);
            }
            if sums.len() > MOST_RESULTS {
                let message = format!(
                    "these days have more than {MOST_RESULTS} results: send a smaller `limit`, or a filter"
                );
                return Err(ApiError::invalid("limit", message));
            }
        }
    }
    Ok(sums)
}

/// A page as it is answered: a bucket for each day, also where nothing was used.
fn page(days: &Days, mut results: BTreeMap<Day, Vec<Value>>) -> Value {
    let bucket = |day: &Day| {
        json!({
            "object": "bucket",
            "start_time": day.number() * DAY_S,
            "end_time": (day.number() + 1) * DAY_S,
            "results": results.remove(day).unwrap_or_default(),
        })
    };
    let data: Vec<Value> = days.shown.iter().map(bucket).collect();
    json!({
        "object": "page",
        "data": data,
        "has_more": days.next.is_some(),
        "next_page": days.next.map(cursor),
    })
}

#[cfg(test)]
mod tests;
