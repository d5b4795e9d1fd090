//! What a chat model makes of a question before it is searched: rewritten to stand alone, other wordings, and an
//! imagined answer (HyDE, Gao et al. 2022). Each is a step of the trace; one that fails changes nothing, and its
//! step says why. Then the ways of asking and their rankings as one. Left out: the ranking itself.

use praxis_core::embed::normalize;
use praxis_core::function::OpenSpan;
use praxis_core::trace::SpanKind;
use praxis_core::{CallContext, CallError, Language, ModelError, Query, Role, SpanStatus};
use serde_json::{Value, json};

use super::assistant::{Assistant, Said};
use super::{prompts, reading};
use crate::analyze::{Terms, analyze};
use crate::config::QuestionConfig;

/// What the question itself counts beside all its other wordings together.
const OWN_SHARE: f32 = 0.5;

/// What an imagined passage counts in the question's vector.
const IMAGINED_SHARE: f32 = 0.5;

/// One way of asking: words and a vector, and what its ranking counts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Probe {
    pub terms: Terms,
    pub vector: Vec<f32>,
    pub weight: f32,
}

/// The question as it stands alone; `None` where rewriting is off, there is no conversation, it failed, or the
/// model left the question as it is. Small models leave some that do lean ("And in winter?"), so that such an
/// answer must not keep a caller from helping itself otherwise.
///
/// # Errors
/// A model that is unknown or not here, or a search that was cancelled.
pub(crate) async fn rewritten(
    assistant: &Assistant,
    query: &Query,
    settings: &QuestionConfig,
    cx: &CallContext,
) -> Result<Option<String>, CallError> {
    let leans = query.history.iter().any(|m| m.role == Role::User);
    if !settings.rewrite || !leans || query.text.trim().is_empty() {
        return Ok(None);
    }
    let prompt = prompts::rewrite(&query.text, &query.history);
    let input = json!({ "question": query.text, "messages": query.history.len() });
    let (span, inner) = cx.span(SpanKind::Step, "rewrite", input);
    let read = |answer: &str| {
        let text = reading::text(answer, "question", true)?;
        stands_for(&query.text, &text).then_some(text)
    };
    let limit = settings.timeout();
    let said = assistant.ask(settings.model(), &prompt, limit, &inner, read);
    let shown = |text: &String| json!({ "question": text });
    let said = settle(span, said.await, shown)?.map(|said| said.value);
    Ok(said.filter(|text| text != query.text.trim()))
}

/// Whether a text can be what a question was rewritten to: of the same language, and no essay.
fn stands_for(question: &str, text: &str) -> bool {
    let length = text.chars().count();
    let most = question.chars().count() + prompts::QUESTION_CHARS;
    length > 0 && length <= most && Language::of(text) == Language::of(question)
}

/// Other wordings of a question; none where they are off or failed.
///
/// # Errors
/// As [`rewritten`].
pub(crate) async fn wordings(
    assistant: &Assistant,
    question: &str,
    settings: &QuestionConfig,
    cx: &CallContext,
) -> Result<Vec<String>, CallError> {
    let count = settings.queries;
    if count == 0 {
        return Ok(Vec::new());
    }
    let input = json!({ "question": question, "queries": count });
    let (span, inner) = cx.span(SpanKind::Step, "queries", input);
    let read = |answer: &str| {
        let others = others(question, reading::texts(answer, "queries"), count);
        (!others.is_empty()).then_some(others)
    };
    let prompt = prompts::wordings(question, count);
    let limit = settings.timeout();
    let said = assistant.ask(settings.model(), &prompt, limit, &inner, read);
    let shown = |queries: &Vec<String>| json!({ "queries": queries });
    let said = settle(span, said.await, shown)?;
    Ok(said.map(|said| said.value).unwrap_or_default())
}

/// The first `count` of texts that are other questions in the question's language.
fn others(question: &str, texts: Vec<String>, count: usize) -> Vec<String> {
    let same = |a: &str, b: &str| a.trim().to_lowercase() == b.trim().to_lowercase();
    let mut others: Vec<String> = Vec::new();
    for text in texts {
        let new = !same(&text, question) && !others.iter().any(|other| same(other, &text));
        if new && others.len() < count && stands_for(question, &text) {
            others.push(text);
        }
    }
    others
}

/// A passage that might answer a question; `None` where it is off or failed.
///
/// # Errors
/// As [`rewritten`].
pub(crate) async fn imagined(
    assistant: &Assistant,
    question: &str,
    settings: &QuestionConfig,
    cx: &CallContext,
) -> Result<Option<String>, CallError> {
    if !settings.hyde {
        return Ok(None);
    }
    let (span, inner) = cx.span(SpanKind::Step, "hyde", json!({ "question": question }));
    let read = |answer: &str| reading::text(answer, "passage", false);
    let prompt = prompts::passage(question);
    let limit = settings.timeout();
    let said = assistant.ask(settings.model(), &prompt, limit, &inner, read);
    let shown = |text: &String| json!({ "passage": text });
    Ok(settle(span, said.await, shown)?.map(|said| said.value))
}

/// Closes the step of a question to a model. A failure that may pass leaves the search as it is without the
/// model; one that a person must mend is the search's own.
fn settle<T>(
    span: OpenSpan,
    said: Result<Said<T>, ModelError>,
    shown: impl Fn(&T) -> Value,
) -> Result<Option<Said<T>>, CallError> {
    match said {
        Ok(said) => {
            let mut output = shown(&said.value);
            if said.remembered {
                output["remembered"] = json!(true);
            }
            span.finish(output);
            Ok(Some(said))
        }
        Err(error) => gone_on(
            span,
            error,
            json!({ "kept": "the question as it was asked" }),
        )
        .map(|()| None),
    }
}

/// Closes the step of a model that failed: the search goes on with `kept`, unless it was cancelled or the model's
/// name is wrong or its files are not here, which no later search would find better.
pub(crate) fn gone_on(span: OpenSpan, error: ModelError, kept: Value) -> Result<(), CallError> {
    match error {
        ModelError::Cancelled => {
            span.close(Value::Null, SpanStatus::Cancelled);
            Err(error.into())
        }
        ModelError::NotFound(_) | ModelError::NotPulled { .. } => {
            span.fail(&error);
            Err(error.into())
        }
        passing => {
            tracing::warn!(error = %passing, "a search goes on without a model");
            span.close(kept, SpanStatus::Error(passing.to_string()));
            Ok(())
        }
    }
}

/// The ways of asking: the question with its vector, moved half way to an imagined passage's, and the other
/// wordings with theirs. Relevance is estimated by the question's own vector in any case.
pub(crate) fn probes(
    question: (Terms, Vec<f32>),
    imagined: Option<Vec<f32>>,
    others: Vec<(String, Vec<f32>)>,
) -> Vec<Probe> {
    let (terms, mut vector) = question;
    if let Some(imagined) = imagined.filter(|i| i.len() == vector.len()) {
        for (own, other) in vector.iter_mut().zip(imagined) {
            *own = *own * (1.0 - IMAGINED_SHARE) + other * IMAGINED_SHARE;
        }
        normalize(&mut vector);
    }
    let each = (1.0 - OWN_SHARE) / others.len().max(1) as f32;
    let mut probes = vec![Probe {
        terms,
        vector,
        weight: if others.is_empty() { 1.0 } else { OWN_SHARE },
    }];
    probes.extend(others.into_iter().map(|(text, vector)| Probe {
        terms: analyze(&text),
        vector,
        weight: each,
    }));
    probes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_model_writes_replaces_a_question_only_in_its_language_and_length() {
        for (question, text, good) in [
            ("When was he born?", "When was Qian Zhongshu born?", true),
            ("那周末呢？", "图书馆周末几点开门？", true),
            (
                "那周末呢？",
                "When does the library open at weekends?",
                false,
            ),
            ("When was he born?", "钱锺书是哪年出生的？", false),
            ("Why?", &"because ".repeat(60), false),
        ] {
            assert_eq!(stands_for(question, text), good, "{text}");
        }
    }

    #[test]
    fn other_wordings_are_others_and_in_the_same_language() {
        let texts = [
            "What eats an otter?",
            "WHAT DOES AN OTTER EAT? ",
            "水獭吃什么？",
            "Food of otters?",
            "Otter diet?",
        ];
        let texts = texts.map(str::to_owned).to_vec();
        let others = others("What does an otter eat?", texts, 2);
        assert_eq!(others, ["What eats an otter?", "Food of otters?"]);
    }

    proptest! {
        #[test]
        fn the_ways_of_asking_weigh_one_together_and_have_unit_length(
            count in 0usize..5,
            imagined in proptest::option::of(0.1f32..3.0),
        ) {
            let question = (analyze("what an otter eats"), vec![1.0, 0.0]);
            let imagined = imagined.map(|angle| vec![angle.cos(), angle.sin()]);
            let others = vec![("Otter diet".to_owned(), vec![0.0, 1.0]); count];
            let probes = probes(question, imagined, others);
            prop_assert_eq!(probes.len(), count + 1);
            let sum: f32 = probes.iter().map(|p| p.weight).sum();
            prop_assert!((sum - 1.0).abs() < 1e-5);
            prop_assert!(probes.iter().all(|p| p.weight <= probes[0].weight));
            for probe in probes {
                let length: f32 = probe.vector.iter().map(|x| x * x).sum();
                prop_assert!((length - 1.0).abs() < 1e-4);
            }
        }
    }
}
