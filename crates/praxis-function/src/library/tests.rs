//! Prompt files as people write them, and a call from end to end over fixed models.
//!
//! The chat port replays fixed text here: what is tested is everything around the model, which must
//! hold whatever the model writes.

use std::sync::Mutex;

use async_trait::async_trait;
use futures::StreamExt;
use praxis_core::trace::NoTrace;
use praxis_core::{
    CallContext, CallEvent, ChatChunk, ChatRequest, ChatStream, ChunkId, DocumentId, FinishReason,
    Function, Message, ModelError, Passage, Query, Retrieval, Sampling, Usage,
};
use serde_json::Value;

use super::*;
use crate::function::tests::Words;

mod cache;
mod data;
mod front;
mod guard;

#[derive(Default)]
struct Replay {
    pieces: Vec<&'static str>,
    asked: Mutex<Vec<ChatRequest>>,
}

#[async_trait]
impl ChatGateway for Replay {
    async fn chat(&self, request: ChatRequest, _: &CallContext) -> Result<ChatStream, ModelError> {
        self.asked.lock().unwrap().push(request);
        let deltas = self.pieces.clone().into_iter().map(|p| {
            Ok(ChatChunk::Delta {
                text: p.to_owned(),
                logprobs: Vec::new(),
            })
        });
        let done = ChatChunk::Done {
            finish_reason: FinishReason::Stop,
            usage: Usage::default(),
        };
        Ok(futures::stream::iter(deltas)
            .chain(futures::stream::iter([Ok(done)]))
            .boxed())
    }
}

#[derive(Default)]
struct Shelf {
    relevance: f32,
    /// Whether it reads the conversation into a question.
    rewrites: bool,
}

#[async_trait]
impl Retriever for Shelf {
    async fn search(
        &self,
        _: &str,
        query: &Query,
        _: &CallContext,
    ) -> Result<Retrieval, CallError> {
        let relevance = if query.text.contains("藤野") {
            0.9
        } else {
            self.relevance
        };
        let passage = Passage {
            chunk: ChunkId::from_string("c1"),
            document: DocumentId::from_string("d1"),
            title: "藤野先生".into(),
            uri: "fujino.txt".into(),
            headings: vec![],
            page: None,
            start: 3,
            end: 9,
            text: "[7] 他是藤野严九郎。".into(),
            score: 1.0,
            relevance,
        };
        Ok(Retrieval {
            passages: vec![passage],
            threshold: 0.5,
            question: self.rewrites.then(|| query.text.clone()),
        })
    }
}

const ANSWER: &str = "---\ndescription: Answers.\nconfig:\n  temperature: 0\n  maxOutputTokens: 50\ninput:\n  schema:\n    question: string, what to answer\npraxis.knowledge: docs\npraxis.scope: knowledge\n---\n{{role \"system\"}}Answer.\n{{role \"user\"}}{{>_passages}}Q: {{question}}\n";

fn known() -> Known {
    Known {
        models: vec!["qwen".into()],
        knowledge: vec!["docs".into()],
        ..Known::default()
    }
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("prompts")).unwrap();
    for (name, text) in files {
        let path = dir.path().join("prompts").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

fn library(
    files: &[(&str, &str)],
    pieces: &[&'static str],
    relevance: f32,
) -> (Library, Arc<Replay>) {
    let shelf = Shelf {
        relevance,
        ..Shelf::default()
    };
    library_over(shelf, files, pieces)
}

fn library_over(
    shelf: Shelf,
    files: &[(&str, &str)],
    pieces: &[&'static str],
) -> (Library, Arc<Replay>) {
    let chat = Arc::new(Replay {
        pieces: pieces.to_vec(),
        ..Replay::default()
    });
    let deps = Deps {
        chat: chat.clone(),
        retriever: Arc::new(shelf),
        embedder: Arc::new(Words),
        functions: Functions::default(),
        moderator: Arc::default(),
    };
    let library = Library::load(&folder(files).path().join("prompts"), &known(), &deps).unwrap();
    (library, chat)
}

async fn call(
    library: &Library,
    input: Value,
) -> (Result<Value, CallError>, String, Vec<CallEvent>) {
    let (send, mut receive) = tokio::sync::mpsc::channel(100);
    let cx = CallContext::new(Arc::new(NoTrace)).with_events(send);
    let outcome = library.get("answer").unwrap().call(input, &cx).await;
    drop(cx);
    let (mut text, mut events) = (String::new(), Vec::new());
    while let Some(event) = receive.recv().await {
        if let CallEvent::Delta { text: more, .. } = &event {
            text.push_str(more);
        }
        events.push(event);
    }
    (outcome, text, events)
}

#[tokio::test]
async fn an_answer_streams_cites_and_says_what_it_cites() {
    let (library, chat) = library(
        &[("answer.prompt", ANSWER)],
        &["藤野", "先生 [1", "][4]。"],
        0.9,
    );
    let (output, streamed, events) = call(&library, json!({"question": "老师是谁？"})).await;
    let output = output.unwrap();
    assert_eq!(output["answer"], "藤野先生 [1]。");
    assert_eq!(streamed, "藤野先生 [1]。");
    assert_eq!(output["citations"][0]["uri"], "fujino.txt");
    assert_eq!(output["citations"][0]["start"], 3);
    assert!(matches!(events[0], CallEvent::Retrieved(_)));
    assert!(
        matches!(events.last(), Some(CallEvent::Cited { citations, .. }) if citations.len() == 1)
    );
    let asked = chat.asked.lock().unwrap();
    assert_eq!(
        asked[0].sampling,
        Sampling {
            temperature: Some(0.0),
            max_tokens: Some(50),
            ..Sampling::default()
        }
    );
    let prompt = asked[0].messages[1].text();
    assert!(
        prompt.starts_with("[1] 藤野先生\n(7) 他是藤野严九郎。")
            && prompt.ends_with("Q: 老师是谁？"),
        "{prompt}"
    );
}

#[tokio::test]
async fn citations_behind_a_mark_inside_of_a_line_are_checked() {
    let source = ANSWER.replace(
        "praxis.scope",
        "praxis.technique: step_by_step\npraxis.scope",
    );
    for (written, answer, cited, refused) in [
        // One that points to no passage goes.
        (
            &["解剖学的老师, so the answer: 藤野", "严九郎 [1][9]。"][..],
            "藤野严九郎 [1]。",
            1,
            false,
        ),
        // An answer without any gets that of the passage which supports it.
        (&["So the answer: 藤野严九郎"], "藤野严九郎 [1]", 1, false),
        (
            &["So the answer: NOT_IN_", "DOCUMENTS"],
            "The answer to this question is not in the documents.",
            0,
            true,
        ),
    ] {
        let (library, _) = library(&[("answer.prompt", &source)], written, 0.9);
        let (output, streamed, events) = call(&library, json!({"question": "Who?"})).await;
        let output = output.unwrap();
        assert_eq!(output["answer"], answer);
        assert_eq!(output["refused"], refused);
        assert_eq!(output["citations"].as_array().unwrap().len(), cited);
        assert_eq!(streamed, answer);
        assert!(
            matches!(events.last(), Some(CallEvent::Cited { text, citations })
                if text == answer && citations.len() == cited),
            "{events:?}"
        );
    }
}

#[tokio::test]
async fn what_the_documents_do_not_tell_is_refused_in_the_question_s_language() {
    for (pieces, relevance, question, expected) in [
        (
            &["x"][..],
            0.1,
            "天气怎么样？",
            "文档中没有找到这个问题的答案。",
        ),
        (
            &["x"],
            0.1,
            "How is the weather?",
            "The answer to this question is not in the documents.",
        ),
        (
            &["NOT_IN_", "DOCUMENTS", "!"],
            0.9,
            "Who?",
            "The answer to this question is not in the documents.",
        ),
        (
            &[],
            0.9,
            "Who?",
            "The answer to this question is not in the documents.",
        ),
    ] {
        let (library, chat) = library(&[("answer.prompt", ANSWER)], pieces, relevance);
        let (output, streamed, _) = call(&library, json!({"question": question})).await;
        let output = output.unwrap();
        assert_eq!(
            (&output["answer"], &output["refused"]),
            (&json!(expected), &json!(true))
        );
        assert_eq!(streamed, expected);
        let asked = chat.asked.lock().unwrap().len();
        assert_eq!(
            asked,
            usize::from(relevance > 0.5),
            "an irrelevant question costs no model call"
        );
    }
}

#[tokio::test]
async fn a_follow_up_leans_on_the_question_before_it() {
    let (library, chat) = library(&[("answer.prompt", ANSWER)], &["仙台 [1]"], 0.1);
    let cx = CallContext::new(Arc::new(NoTrace));
    let messages = vec![
        Message::user("藤野是谁？"),
        Message::assistant("老师"),
        Message::user("他在哪里？"),
    ];
    let function = library.get("answer").unwrap();
    let output = function
        .call_chat(messages, Sampling::default(), None, &cx)
        .await
        .unwrap();
    assert_eq!(output["answer"], "仙台 [1]");
    let asked = chat.asked.lock().unwrap();
    let roles: Vec<_> = asked[0].messages.iter().map(|m| m.role.as_str()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "user"]);
}

#[tokio::test]
async fn a_question_that_the_base_has_rewritten_is_not_asked_with_the_one_before_it() {
    let shelf = Shelf {
        relevance: 0.1,
        rewrites: true,
    };
    let (library, chat) = library_over(shelf, &[("answer.prompt", ANSWER)], &["仙台 [1]"]);
    let cx = CallContext::new(Arc::new(NoTrace));
    let messages = vec![Message::user("藤野是谁？"), Message::user("他在哪里？")];
    let function = library.get("answer").unwrap();
    let output = function
        .call_chat(messages, Sampling::default(), None, &cx)
        .await
        .unwrap();
    assert_eq!(output["refused"], true, "{output}");
    assert!(chat.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn passages_without_a_place_in_the_template_stand_before_the_question() {
    let source = ANSWER.replace("{{>_passages}}", "");
    let (library, chat) = library(&[("answer.prompt", &source)], &["x [1]"], 0.9);
    let output = call(&library, json!({"question": "Who?"})).await.0.unwrap();
    assert_eq!(output["citations"][0]["uri"], "fujino.txt");
    let asked = chat.asked.lock().unwrap();
    let question = asked[0].messages[1].text();
    assert!(
        question.contains("[1] 藤野先生\n(7) 他是") && question.ends_with("Q: Who?"),
        "{question}"
    );
}

#[tokio::test]
async fn a_prompt_refuses_in_its_own_words() {
    for (own, question, expected) in [
        ("praxis.refusal: No idea.", "Who?", "No idea."),
        ("praxis.refusal: No idea.", "是谁？", "No idea."),
        ("praxis.refusal: {zh: 不知道。}", "是谁？", "不知道。"),
        (
            "praxis.refusal: {zh: 不知道。}",
            "Who?",
            "The answer to this question is not in the documents.",
        ),
    ] {
        let source = ANSWER.replace("praxis.scope", &format!("{own}\npraxis.scope"));
        let (library, _) = library(&[("answer.prompt", &source)], &["x"], 0.1);
        let output = call(&library, json!({"question": question}))
            .await
            .0
            .unwrap();
        assert_eq!(output["answer"], expected);
    }
}

#[tokio::test]
async fn input_that_does_not_fit_is_named() {
    let (library, _) = library(&[("answer.prompt", ANSWER)], &[], 0.9);
    for (input, named) in [
        (json!({}), "question"),
        (json!({"question": 3}), "question"),
        (json!({"question": "x", "mood": 1}), "mood"),
        (json!([]), "object"),
    ] {
        let error = call(&library, input.clone()).await.0.unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidRequest);
        assert!(error.message.contains(named), "{input}: {error}");
    }
    let error = library.get("anser").err().unwrap();
    assert_eq!(error.hint.as_deref(), Some("did you mean `answer`?"));
}

#[test]
fn mistakes_in_a_prompt_file_point_at_themselves() {
    for (source, parts) in [
        (
            "---\nmodl: qwen\n---\nx",
            &["prompts/a.prompt:2:1", "`modl`", "did you mean `model`?"][..],
        ),
        (
            "---\nmodel: qwenn\n---\nx",
            &["prompts/a.prompt:2:8", "did you mean `qwen`?"],
        ),
        (
            "---\nconfig:\n  temperatur: 0\n---\nx",
            &["prompts/a.prompt:3:3", "did you mean `temperature`?"],
        ),
        (
            "---\ninput:\n  schema:\n    a: strin\n---\nx",
            &["prompts/a.prompt:3", "`strin`"],
        ),
        ("---\na: [1\n---\nx", &["prompts/a.prompt:", "YAML"]),
        (
            "---\nmodel: qwen\n---\none\n{{#if x}}two",
            &["prompts/a.prompt:5:1", "`{{#if}}` has no end", "{{/if}}"],
        ),
        (
            "---\nmodel: qwen\n---\n\n  one {{else}}",
            &["prompts/a.prompt:5:7", "stands in no block"],
        ),
        (
            "---\nmodel: qwen\n---\none\n  {{upper x}}",
            &["prompts/a.prompt:5", "no helper `upper`"],
        ),
        (
            "one {{>rulse}}",
            &[
                "prompts/a.prompt:1:8",
                "no partial `rulse`",
                "did you mean `rules`?",
            ],
        ),
        (
            "---\nmodel: qwen\n",
            &["prompts/a.prompt:1:1", "no end", "`---`"],
        ),
        (
            "---\nmodel: [qwen]\n---\nx",
            &["prompts/a.prompt:2:1", "`model` must be a text"],
        ),
        (
            "---\nmodel: qwen\npraxis.knowlege: docs\n---\nx",
            &["prompts/a.prompt:3:8", "did you mean `knowledge`?"],
        ),
        (
            "---\ninput:\n  schema: string\n  defualt: {a: 1}\n---\nx",
            &[
                "prompts/a.prompt:4:3",
                "`input.defualt`",
                "did you mean `default`?",
            ],
        ),
        (
            "---\ninput:\n  schema: string\noutput:\n  shema: string\n---\nx",
            &[
                "prompts/a.prompt:5:3",
                "`output.shema`",
                "did you mean `schema`?",
            ],
        ),
        (
            "---\ninput:\n  schema: string\noutput:\n  schema: strin\n---\nx",
            &["prompts/a.prompt:5:3", "`strin`"],
        ),
        (
            "---\nconfig:\n  seed: 1\n  topK: many\n  tempature: 0\n---\nx",
            &[
                "prompts/a.prompt:4:3",
                "prompts/a.prompt:5:3",
                "did you mean `temperature`?",
            ],
        ),
        (
            "---\ninput:\n  schema:\n    question: string\npraxis.knowledge: doc\n---\nx",
            &["prompts/a.prompt:5", "did you mean `docs`?"],
        ),
        (
            "---\ninput:\n  schema:\n    question: string\npraxis.knowledge: docs\npraxis.refusal: [1]\n---\nx",
            &["prompts/a.prompt:6:1", "`en` and `zh`"],
        ),
        (
            "---\npraxis.scope: books\n---\nx",
            &["prompts/a.prompt:2:1", "must be `knowledge`"],
        ),
        (
            "---\noutput:\n  format: jsn\n---\nx",
            &[
                "prompts/a.prompt:3:3",
                "no output format `jsn`",
                "did you mean `json`?",
            ],
        ),
        (
            "---\noutput:\n  format: text\n  schema:\n    a: string\n---\nx",
            &["prompts/a.prompt:3:3", "a schema that is not a string"],
        ),
        (
            "---\ninput:\n  schema: {properties: {a: {}}, allOf: [{$ref: '#'}]}\n---\nx",
            &[
                "prompts/a.prompt:3",
                "`input.schema`",
                "leads back to itself",
            ],
        ),
        (
            "---\ninput:\n  schema:\n    question: string\npraxis.knowledge:\n  base: docs\n  limt: 3\n---\nx",
            &[
                "prompts/a.prompt:7:3",
                "`knowledge.limt`",
                "did you mean `limit`?",
            ],
        ),
        (
            "---\ninput:\n  schema:\n    question: string\npraxis.knowledge: {base: docs, limit: few}\n---\nx",
            &[
                "prompts/a.prompt:5:",
                "`knowledge.limit` must be a whole number",
            ],
        ),
        (
            "---\ninput:\n  schema:\n    question: string\npraxis.knowledge: docs\npraxis.limit: many\n---\nx",
            &[
                "prompts/a.prompt:6:8",
                "`limit` must be a whole number, 1 to 50",
            ],
        ),
        (
            "---\ninput:\n  schema:\n    question: string\npraxis.knowledge: docs\npraxis.query: qestion\n---\nx",
            &[
                "prompts/a.prompt:6:1",
                "no input `qestion`",
                "did you mean `question`?",
            ],
        ),
        (
            "---\ninput:\n  schema:\n    question: string\npraxis.knowledge: docs\npraxis.query: [question]\n---\nx",
            &["prompts/a.prompt:6:1", "must be the name of an input"],
        ),
        (
            "---\nmodel: qwen\npraxi.checks: [no_pii]\n---\nx",
            &[
                "warning",
                "prompts/a.prompt:3:1",
                "did you mean `praxis.checks`?",
            ],
        ),
        (
            "---\ninput:\n  schema:\n    n: integer\n  default:\n    n: three\n---\nx",
            &["prompts/a.prompt:6:5", "breaks `input.schema`", "three"],
        ),
        (
            "---\ninput:\n  schema:\n    number: integer\n  default:\n    numbr: 3\n---\nx",
            &[
                "prompts/a.prompt:6:5",
                "no input `numbr`",
                "did you mean `number`?",
            ],
        ),
        (
            "---\ninput:\n  schema:\n    question: string\npraxis:\n  scope:\n    topcs: [fees]\n---\nx",
            &[
                "prompts/a.prompt:7:5",
                "`scope.topcs`",
                "did you mean `topics`?",
                "needs `topics` or a `role`",
            ],
        ),
        (
            "---\ninput:\n  schema:\n    question: string\npraxis.scope:\n  role: [1]\n  topics: {a: b}\n  not: 3\n  by: magic\n  threshold: high\n  knowledge: perhaps\n---\nx",
            &[
                "prompts/a.prompt:6:3",
                "`scope.role` must be a text",
                "`scope.topics` must be a list of texts",
                "`scope.not` must be a list of texts",
                "prompts/a.prompt:9:3",
                "`scope.by` must be `model` or `embedding`",
                "`scope.threshold` must be a number",
                "`scope.knowledge` must be true or false",
            ],
        ),
        (
            "---\ninput:\n  schema:\n    question: string\npraxis.scope: {topics: [fees], threshold: 0.1}\n---\nx",
            &["prompts/a.prompt:5:", "goes with `by: embedding`"],
        ),
        (
            "---\ninput:\n  schema:\n    question: string\npraxis.scope: {topics: []}\n---\nx",
            &["prompts/a.prompt:5:", "needs `topics` or a `role`"],
        ),
        (
            "---\ninput:\n  schema:\n    a: string\n    b: string\npraxis.scope: {topics: [fees]}\n---\nx",
            &["prompts/a.prompt:6:1", "which input is judged?"],
        ),
        (
            "---\ninput:\n  schema:\n    question: string\npraxis.scope: {topics: [fees], knowledge: true}\n---\nx",
            &["prompts/a.prompt:5:1", "needs `praxis.knowledge`"],
        ),
        (
            "---\npraxis.scope: knowledge\n---\nx",
            &["prompts/a.prompt:2:1", "praxis.knowledge"],
        ),
    ] {
        let problems = check(
            &folder(&[("a.prompt", source), ("_rules.prompt", "x")])
                .path()
                .join("prompts"),
            &known(),
        );
        let text: String = problems.iter().map(|p| p.render(false)).collect();
        for part in parts {
            assert!(
                text.contains(part),
                "{part:?} is missing for {source:?}:\n{text}"
            );
        }
    }
}

#[test]
fn partials_variants_and_subfolders_are_files() {
    let files = [
        ("_rules.prompt", "Be brief."),
        ("answer.prompt", "---\nmodel: qwen\n---\n{{>rules}} Go."),
        ("answer.concise.prompt", "{{>_rules}}"),
        ("answer.v2.long.prompt", "Go on."),
        ("support/_tone.prompt", "Be kind. {{>rules}}"),
        (
            "support/greet.prompt",
            "{{>support/tone}} {{>support/_tone}}",
        ),
        ("support/greet.warm.prompt", "Hi"),
    ];
    let (library, _) = library(&files, &[], 0.9);
    let names: Vec<String> = library.list().into_iter().map(|s| s.name).collect();
    assert_eq!(
        names,
        [
            "answer",
            "answer.concise",
            "answer.v2.long",
            "support/greet",
            "support/greet.warm"
        ]
    );
    for (name, variants) in [
        ("answer", &["concise", "v2.long"][..]),
        ("support/greet", &["warm"]),
        ("answer.concise", &[]),
        ("support", &[]),
    ] {
        assert_eq!(library.variants(name), variants, "{name}");
    }
}

#[test]
fn a_version_covers_the_partials_that_are_used_and_no_others() {
    let files = |outer: &'static str, inner: &'static str, other: &'static str| {
        [
            ("_outer.prompt", outer),
            ("_inner.prompt", inner),
            ("_other.prompt", other),
            ("answer.prompt", "{{>outer}}"),
            ("any.prompt", "{{> (lookup this \"name\")}}"),
        ]
    };
    let versions = |files: &[(&str, &str)]| {
        let (library, _) = library(files, &[], 0.9);
        ["answer", "any"].map(|name| library.get(name).unwrap().version.clone())
    };
    let first = versions(&files("a {{>inner}}", "b", "c"));
    for (changed, answer, any) in [
        (files("a {{>inner}}", "b", "c"), false, false),
        (files("a2 {{>inner}}", "b", "c"), true, true),
        (files("a {{>inner}}", "b2", "c"), true, true),
        (files("a {{>inner}}", "b", "c2"), false, true),
    ] {
        let now = versions(&changed);
        let differ = [0, 1].map(|i| now[i] != first[i]);
        assert_eq!(differ, [answer, any], "{changed:?}");
    }
}

#[test]
fn what_is_others_business_is_no_mistake() {
    for source in [
        "---\nmy.key: 1\nprefix.checks: 2\n---\nx",
        "---\ninput:\n  schema:\n    a: string\n    b: string\n  default: {a: x}\n---\nx",
        "---\ninput:\n  schema:\n    (*): any\npraxis.knowledge: docs\npraxis.query: what\n---\nx",
        "---\noutput:\n  format: text\n  schema: string\n---\nx",
    ] {
        let dir = folder(&[("a.prompt", source)]);
        let problems = check(&dir.path().join("prompts"), &known());
        assert!(problems.is_empty(), "{source}: {problems:?}");
    }
}

#[test]
fn an_output_is_json_where_its_format_or_its_schema_says_so() {
    let text = |front: &str| {
        let source = format!("---\noutput:\n{front}---\nx");
        let (library, _) = library(&[("answer.prompt", &source)], &[], 0.9);
        library.get("answer").unwrap().output.format == OutputFormat::Text
    };
    for (front, is_text) in [
        ("  schema: string\n", true),
        ("  schema: string, in one word\n", true),
        ("  format: text\n", true),
        ("  schema: {type: string, maxLength: 3}\n", true),
        ("  format: json\n", false),
        ("  format: json\n  schema: string\n", false),
        ("  schema: integer\n", false),
        ("  schema:\n    a: string\n", false),
    ] {
        assert_eq!(text(front), is_text, "{front}");
    }
}

proptest::proptest! {
    #[test]
    fn no_input_schema_brings_a_call_down(
        schema in crate::structured::tests::any_schema(),
        input in crate::structured::tests::any_json(),
    ) {
        let front = json!({ "input": { "schema": schema } });
        let sources = [("answer.prompt".to_owned(), format!("---\n{front}\n---\nx"))];
        let deps = Deps {
            chat: Arc::new(Replay::default()),
            retriever: Arc::new(Shelf::default()),
            embedder: Arc::new(Words),
            functions: Functions::default(),
            moderator: Arc::default(),
        };
        if let Ok(library) = Library::from_sources(&sources.into(), "prompts", &known(), &deps) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(call(&library, input));
        }
    }

    #[test]
    fn no_text_brings_the_parser_down(source in "(---\n)?[a-z:{}#>/ \n\"-]{0,80}(\n---\n)?[a-z{}#>/ \n\"]{0,80}") {
        let _ = check(&folder(&[("a.prompt", &source)]).path().join("prompts"), &known());
    }
}
