//! Does what a question's machine wants: links, asks the model, tries queries, tells the answer; each step a span.
//!
//! A query is tried once, whichever samples write it. What holds for the whole call ends it: cancellation, a limit of
//! the caller's, a model that is not there. All else is for the machine to make up for. Left out: what comes next
//! (`machine`).

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use futures::StreamExt;
use futures::future::{AbortHandle, Abortable, BoxFuture};
use futures::stream::FuturesUnordered;
use praxis_core::chat::{ChatAnswer, collect};
use praxis_core::{
    CallContext, CallError, ChatRequest, Constraint, ErrorCode, Message, ModelError, Sampling,
    SpanKind,
};
use serde_json::{Value, json};

use super::Ask;
use super::examples::Example;
use super::grammar;
use super::grid::Grid;
use super::machine::{Attempt, Command, Conclusion, Event, Machine, Mend};
use super::prompt::{self, Asked, View};
use crate::sql::answer;
use crate::sql::link::Linked;
use crate::sql::{Fault, Schema, Table};

/// Tokens that a query may have.
const MOST_OF_QUERY: u32 = 300;

/// Tokens that an answer in words may have.
const MOST_OF_WORDS: u32 = 250;

/// Seeds of samples begin here and are this far apart: equal questions have equal answers on the local engine.
const SEED: u64 = 7;
const SEEDS: u64 = 1_000;

/// Examples that are looked at, for each that is shown.
const LOOKED_AT: usize = 3;

/// The number of the answer in words among the samples.
const TELLING: usize = usize::MAX;

/// One question at work.
struct Asking<'a> {
    ask: &'a Ask,
    question: &'a str,
    schema: &'a Schema,
    cx: &'a CallContext,
    /// Tokens that models have written.
    written: AtomicU64,
    /// What queries came to: rows, or what the model is told.
    tried: Mutex<HashMap<String, Outcome>>,
}

type Outcome = Result<Grid, String>;

/// What samples are told.
struct Told {
    /// A conversation for each of [`View::ALL`] that samples use; they have them in turn.
    views: Vec<Vec<Message>>,
    constraint: Option<Constraint>,
}

type Work<'a> = BoxFuture<'a, (usize, Result<Event, CallError>)>;

/// Answers a question.
///
/// # Errors
/// The models', the database's where it cannot be reached, and `output_invalid` with the attempts where no query came
/// to rows.
pub(super) async fn answer(
    ask: &Ask,
    question: &str,
    cx: &CallContext,
) -> Result<Value, CallError> {
    let schema = ask.database.schema(cx.caller()).await?;
    if schema.tables.is_empty() {
        let message = format!(
            "`{}`: there is no table that the caller may see",
            ask.signature.name
        );
        return Err(CallError::new(ErrorCode::Forbidden, message)
            .with_hint("use a key whose labels the file's `[[permissions]]` name"));
    }
    let asking = Asking {
        ask,
        question,
        schema: &schema,
        cx,
        written: AtomicU64::new(0),
        tried: Mutex::default(),
    };
    asking.run().await
}

impl Asking<'_> {
    async fn run(&self) -> Result<Value, CallError> {
        let mut machine = Machine::new(self.ask.config.plan());
        let mut commands: VecDeque<Command> = machine.start().into();
        // All that comes later needs what linking gives, so it is done before anything else.
        let linked = self.link().await;
        let told = self.told(&linked).await;
        let mut running: FuturesUnordered<Abortable<Work<'_>>> = FuturesUnordered::new();
        let mut stops: HashMap<usize, AbortHandle> = HashMap::new();
        let mut error: Option<CallError> = None;
        loop {
            while let Some(command) = commands.pop_front() {
                let (id, work): (usize, BoxFuture<'_, Result<Event, CallError>>) = match command {
                    Command::Link => {
                        commands.extend(machine.on(Event::Linked));
                        continue;
                    }
                    Command::Done(conclusion) => return Ok(self.output(conclusion, &linked)),
                    Command::GiveUp(attempts) => return Err(self.failed(error, &attempts, &linked)),
                    Command::Cancel(sample) => {
                        if let Some(stop) = stops.remove(&sample) {
                            stop.abort();
                        }
                        continue;
                    }
                    Command::Write {
                        sample,
                        temperature,
                        mended,
                    } => (
                        sample,
                        Box::pin(self.write(&told, sample, temperature, mended)),
                    ),
                    Command::Try { sample, sql } => (sample, Box::pin(self.tries(sample, sql))),
                    Command::Tell { sql, grid } => (TELLING, Box::pin(self.tell(sql, grid))),
                };
                let (stop, registration) = AbortHandle::new_pair();
                stops.insert(id, stop);
                let work: Work<'_> = Box::pin(async move { (id, work.await) });
                running.push(Abortable::new(work, registration));
            }
            let Some(done) = running.next().await else {
                return Err(CallError::failure("a question waits for nothing"));
            };
            let event = match done {
                // One that was cancelled has no say any more.
                Err(_) => continue,
                Ok((_, Ok(event))) => event,
                Ok((_, Err(failure))) if ends_the_call(&failure) => return Err(failure),
                Ok((sample, Err(failure))) => {
                    error = Some(failure);
                    Event::Failed { sample }
                }
            };
            commands.extend(machine.on(event));
        }
    }

    /// Chooses what of the schema the model sees.
    async fn link(&self) -> Linked {
        let about = json!({ "question": self.question, "tables": self.schema.tables.len() });
        let (span, _) = self.cx.span(SpanKind::Step, "link", about);
        let linked = self
            .ask
            .linker
            .link(self.question, self.schema, &self.ask.database)
            .await;
        let values: Vec<String> = linked
            .values
            .iter()
            .map(|found| format!("{}.{} = {}", found.table, found.column, found.value))
            .collect();
        span.finish(json!({ "tables": names(&linked.schema), "values": values }));
        linked
    }

    /// What samples are told: the question in all views, with the most similar examples.
    async fn told(&self, linked: &Linked) -> Told {
        let config = &self.ask.config;
        let dialect = self.schema.dialect;
        let tables: Vec<&Table> = linked.schema.tables.iter().collect();
        let mut shown: Vec<&Example> = Vec::new();
        let ranked = if config.shots == 0 {
            Vec::new()
        } else {
            self.ask.shots.ranked(self.question).await
        };
        for example in ranked.into_iter().take(config.shots * LOOKED_AT) {
            let passes = self
                .ask
                .database
                .check(&example.sql, &linked.schema, self.cx.caller());
            if passes.is_ok() && shown.len() < config.shots {
                shown.push(example);
            }
        }
        // What is most like the question stands nearest to it.
        shown.reverse();
        let asked = Asked {
            question: self.question,
            schema: &linked.schema,
            notes: &config.notes,
            examples: &shown,
            values: &linked.values,
        };
        let views = View::ALL.into_iter().take(config.samples.max(1));
        let views = views.map(|view| asked.messages(view)).collect();
        let lark = if config.constrain {
            grammar::lark(dialect, &tables)
        } else {
            None
        };
        Told {
            views,
            constraint: lark.map(Constraint::Grammar),
        }
    }

    /// Asks the model for a query.
    async fn write(
        &self,
        told: &Told,
        sample: usize,
        temperature: f32,
        mended: Vec<Mend>,
    ) -> Result<Event, CallError> {
        let step = if mended.is_empty() { "write" } else { "repair" };
        let fault = mended.last().map(|mend| &mend.fault);
        let about = json!({ "sample": sample, "temperature": temperature, "fault": fault });
        let (span, cx) = self.cx.span(SpanKind::Step, step, about);
        let mut messages = told.views[sample % told.views.len()].clone();
        messages.extend(prompt::mended(&mended));
        let request = ChatRequest {
            messages,
            sampling: Sampling {
                temperature: Some(temperature),
                top_p: (temperature > 0.0).then_some(0.95),
                seed: Some(SEED + SEEDS * sample as u64 + mended.len() as u64),
                max_tokens: Some(MOST_OF_QUERY),
                ..Sampling::default()
            },
            constraint: told.constraint.clone(),
            ..self.request()
        };
        match self.asked(request, &cx).await {
            Ok(answer) => {
                span.finish(json!({ "text": answer.text }));
                Ok(Event::Wrote {
                    sample,
                    text: answer.text,
                })
            }
            Err(error) => {
                span.fail(&error);
                Err(error)
            }
        }
    }

    /// Tries a query, unless it was tried.
    async fn tries(&self, sample: usize, sql: String) -> Result<Event, CallError> {
        let known = self.outcomes().get(&sql).cloned();
        let outcome = match known {
            Some(outcome) => outcome,
            None => {
                let outcome = self.outcome(&sql).await?;
                self.outcomes().insert(sql, outcome.clone());
                outcome
            }
        };
        Ok(match outcome {
            Ok(grid) => Event::Gave { sample, grid },
            Err(fault) => Event::Faulted { sample, fault },
        })
    }

    fn outcomes(&self) -> std::sync::MutexGuard<'_, HashMap<String, Outcome>> {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks a query, lets the database plan it, and runs it.
    async fn outcome(&self, sql: &str) -> Result<Outcome, CallError> {
        let database = &self.ask.database;
        let about = json!({ "sql": sql });
        let (span, _) = self.cx.span(SpanKind::Step, "check", about.clone());
        let query = match database.check(sql, self.schema, self.cx.caller()) {
            Ok(query) => {
                span.finish(Value::Null);
                query
            }
            Err(fault) => {
                span.fail(&fault);
                return told_of(fault);
            }
        };
        let (span, _) = self.cx.span(SpanKind::Step, "explain", about.clone());
        if let Err(fault) = database.explain(&query).await {
            span.fail(&fault);
            return told_of(fault);
        }
        span.finish(Value::Null);
        let (span, cx) = self.cx.span(SpanKind::Step, "execute", about);
        match database.run(&query, &cx).await {
            Ok(rows) => {
                let grid = Grid::from(rows);
                span.finish(
                    json!({ "columns": grid.columns, "rows": grid.rows.len(), "cut": grid.cut }),
                );
                Ok(Ok(grid))
            }
            Err(fault) => {
                span.fail(&fault);
                told_of(fault)
            }
        }
    }

    /// Tells rows in words, as far as these can be trusted.
    async fn tell(&self, sql: String, grid: Grid) -> Result<Event, CallError> {
        if grid.is_empty() {
            return Ok(Event::Told(None));
        }
        let (span, cx) = self
            .cx
            .span(SpanKind::Step, "tell", json!({ "rows": grid.rows.len() }));
        let request = ChatRequest {
            messages: prompt::telling(self.question, &sql, &answer::table(&grid)),
            sampling: Sampling {
                temperature: Some(0.0),
                max_tokens: Some(MOST_OF_WORDS),
                ..Sampling::default()
            },
            ..self.request()
        };
        match self.asked(request, &cx).await {
            Ok(answer) => {
                let text = answer.text.trim();
                let vouched = answer::is_vouched(text, self.question, &grid);
                span.finish(json!({ "text": text, "vouched": vouched }));
                Ok(Event::Told(vouched.then(|| text.to_owned())))
            }
            Err(error) if ends_the_call(&error) => {
                span.fail(&error);
                Err(error)
            }
            // The rows are the answer; words are for those who like them.
            Err(error) => {
                span.fail(&error);
                Ok(Event::Told(None))
            }
        }
    }

    fn request(&self) -> ChatRequest {
        ChatRequest {
            model: self.ask.config.model.clone(),
            ..ChatRequest::default()
        }
    }

    /// Asks a model within the budget; without the grammar where it refuses one.
    async fn asked(
        &self,
        mut request: ChatRequest,
        cx: &CallContext,
    ) -> Result<ChatAnswer, CallError> {
        if self.cx.cancel().is_cancelled() {
            return Err(ModelError::Cancelled.into());
        }
        let most = self.ask.config.budget.tokens;
        let left = most.saturating_sub(self.written.load(Ordering::Relaxed));
        if left == 0 {
            let message = format!("the question needs more than the {most} tokens of its budget");
            return Err(CallError::new(ErrorCode::BudgetExceeded, message)
                .with_hint("raise `tokens` of `[ask.budget]`, or lower `samples` or `repairs`"));
        }
        let wanted = request.sampling.max_tokens.unwrap_or(MOST_OF_QUERY);
        request.sampling.max_tokens = Some(wanted.min(u32::try_from(left).unwrap_or(u32::MAX)));
        if self.ask.unheld.load(Ordering::Relaxed) {
            request.constraint = None;
        }
        let is_held = request.constraint.is_some();
        let answer = match self.once(request.clone(), cx).await {
            // Providers differ in what they know, and say so with this code alone.
            Err(error) if is_held && error.code == ErrorCode::InvalidRequest => {
                request.constraint = None;
                let answer = self.once(request, cx).await?;
                tracing::warn!(
                    function = self.ask.signature.name,
                    reason = error.message,
                    "the model is asked without a grammar; its queries are checked"
                );
                self.ask.unheld.store(true, Ordering::Relaxed);
                answer
            }
            other => other?,
        };
        self.written
            .fetch_add(answer.usage.output_tokens, Ordering::Relaxed);
        Ok(answer)
    }

    async fn once(&self, request: ChatRequest, cx: &CallContext) -> Result<ChatAnswer, CallError> {
        let stream = self.ask.deps.chat.chat(request, cx).await?;
        Ok(collect(stream).await?)
    }

    fn output(&self, conclusion: Conclusion, linked: &Linked) -> Value {
        let attempts = attempts(&conclusion.attempts);
        let linked = names(&linked.schema);
        match conclusion.found {
            Ok(found) => {
                let grid = found.grid;
                let mut words = conclusion
                    .words
                    .unwrap_or_else(|| answer::plain(self.question, &grid));
                let caller = self.cx.caller();
                let query = self.ask.database.check(&found.sql, self.schema, caller);
                let (notes, left) = query.map_or_else(
                    |_| Default::default(),
                    |query| (query.notes().to_vec(), query.left_out().to_vec()),
                );
                // A figure without all of its rows is not said without saying so.
                for note in &left {
                    words.push_str(&format!("\n\n{note}"));
                }
                let notes = [notes, left].concat();
                let chart = if self.ask.config.chart {
                    answer::chart(self.question, &grid)
                } else {
                    None
                };
                json!({
                    "answerable": true,
                    "answer": words,
                    "sql": found.sql,
                    "columns": grid.columns,
                    "rows": grid.rows,
                    "cut": grid.cut,
                    "chart": chart,
                    "notes": notes,
                    "confidence": conclusion.confidence,
                    "attempts": attempts,
                    "linked": linked,
                })
            }
            Err(reason) => json!({
                "answerable": false,
                "answer": answer::refusal(self.question, &reason),
                "sql": null,
                "columns": [],
                "rows": [],
                "cut": false,
                "chart": null,
                "notes": [],
                "confidence": conclusion.confidence,
                "attempts": attempts,
                "linked": linked,
            }),
        }
    }

    /// The error of a question that no query answered.
    fn failed(&self, error: Option<CallError>, tried: &[Attempt], linked: &Linked) -> CallError {
        let fault = tried
            .iter()
            .rev()
            .find_map(|attempt| attempt.fault.as_deref());
        let Some(fault) = fault else {
            return error.unwrap_or_else(|| CallError::failure("a question ended without a query"));
        };
        let message = format!(
            "`{}`: no query for this question worked: {fault}",
            self.ask.signature.name
        );
        CallError::new(ErrorCode::OutputInvalid, message)
            .with_hint(
                "look at `details`, which has all attempts; ask more precisely, give the file an example or a note, or \
                 name a larger model",
            )
            .with_details(json!({ "attempts": attempts(tried), "linked": names(&linked.schema) }))
    }
}

/// What a fault is to a question: something that the model is told, or the end of the call.
fn told_of(fault: Fault) -> Result<Outcome, CallError> {
    match fault {
        Fault::Call(error) => Err(error),
        other => Ok(Err(other.to_string())),
    }
}

/// Whether an error holds for the whole call, so that nothing can make up for it.
fn ends_the_call(error: &CallError) -> bool {
    matches!(
        error.code,
        ErrorCode::Cancelled
            | ErrorCode::InvalidRequest
            | ErrorCode::NotFound
            | ErrorCode::ModelNotPulled
            | ErrorCode::Unauthorized
            | ErrorCode::UpstreamUnauthorized
            | ErrorCode::QuotaExceeded
    )
}

fn names(schema: &Schema) -> Vec<&str> {
    schema
        .tables
        .iter()
        .map(|table| table.name.as_str())
        .collect()
}

fn attempts(all: &[Attempt]) -> Vec<Value> {
    all.iter()
        .map(|attempt| json!({ "sql": attempt.sql, "fault": attempt.fault }))
        .collect()
}
