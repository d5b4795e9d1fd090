//! The providers that speak OpenAI's chat completions, each with the words in which it differs.

mod efforts;
mod errors;
mod table;
mod words;

use praxis_core::chat::ReasoningEffort;
use praxis_core::{
    ChatRequest, EmbedKind, FinishReason, Message, Part, RerankRequest, Role, Sampling, Span,
    ToolCall, ToolSpec,
};
use serde_json::{Value, json};

use self::table::PROVIDERS;
use crate::support::{Exchange, Replay, fixtures, gateway};
use crate::{ask, question};

/// How a provider's model is declared.
fn lines(provider: &str, model: &str) -> String {
    let key = match provider {
        "azure" | "llama-server" | "ollama" | "sglang" | "tgi" | "vllm" => "",
        _ => "api_key = \"env:TEST_KEY\"\n",
    };
    format!("provider = \"{provider}\"\nmodel = \"{model}\"\nbase_url = \"URL\"\n{key}")
}

/// The exchanges of a provider: a question that a call answers, its result, and what the provider is special in.
fn exchanges(provider: &str) -> Vec<Exchange> {
    fixtures(&format!("providers/{}", provider.replace('-', "_")))
}

/// `Hi` to a model, which is sent with these fields too, and a short answer.
fn short(provider: &str, model: &str, fields: Value) -> Exchange {
    let mut exchange = exchanges(provider).remove(1);
    let before = exchange.request.body.take();
    exchange.request.body = json!({
        "model": model,
        "messages": [{ "role": "user", "content": "Hi" }],
        "stream": true,
    });
    if let Some(options) = before.get("stream_options") {
        exchange.request.body["stream_options"] = options.clone();
    }
    exchange.asked_with(fields)
}

fn weather() -> ToolSpec {
    ToolSpec {
        name: "weather".to_owned(),
        description: "The weather of a city.".to_owned(),
        parameters: json!({
            "type": "object",
            "properties": { "city": { "type": "string" } },
            "required": ["city"],
        }),
    }
}

/// A question with everything that can be asked.
fn everything() -> ChatRequest {
    ChatRequest {
        messages: vec![
            Message::system("You answer in one short sentence."),
            Message::user("What is the weather in Paris?"),
        ],
        sampling: Sampling {
            temperature: Some(0.5),
            top_k: Some(40),
            top_p: Some(0.9),
            min_p: Some(0.1),
            repetition_penalty: Some(1.1),
            frequency_penalty: Some(0.2),
            presence_penalty: Some(0.1),
            seed: Some(7),
            max_tokens: Some(256),
            stop: vec!["END".to_owned()],
            ..Sampling::default()
        },
        top_logprobs: Some(2),
        tools: vec![weather()],
        parallel_tool_calls: Some(false),
        reasoning_effort: Some(ReasoningEffort::High),
        cache_key: Some("conversation".to_owned()),
        ..question("")
    }
}

/// The model's message with its calls.
fn wanted(text: &str, calls: &[ToolCall]) -> Message {
    let texts = Some(text).filter(|text| !text.is_empty());
    let parts = texts.map(|text| Part::Text(text.to_owned()));
    Message {
        tool_calls: calls.to_vec(),
        ..Message::of_parts(Role::Assistant, parts.into_iter().collect())
    }
}

/// What was not told, in the order of the alphabet.
fn left_out(span: &Span) -> Vec<&str> {
    let names = span.output.get("left_out").and_then(Value::as_array);
    let names = names.into_iter().flatten();
    let mut names: Vec<&str> = names.filter_map(Value::as_str).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn each_is_asked_in_its_words_and_answers_in_ours() {
    for provider in PROVIDERS {
        let name = provider.name;
        let mut first = exchanges(name);
        first.truncate(2);
        let second = first.split_off(1);
        let lines = lines(name, provider.model);
        let outcome = ask(&lines, first, everything()).await;
        let answer = outcome.answer.unwrap();
        assert_eq!(left_out(&outcome.span), provider.left_out, "{name}");
        assert_eq!(answer.text, provider.text, "{name}");
        assert_eq!(answer.reasoning, provider.reasoning, "{name}");
        assert_eq!(answer.finish_reason, FinishReason::ToolCalls, "{name}");
        let usage = answer.usage;
        let usage = [
            usage.input_tokens,
            usage.cached_tokens,
            usage.output_tokens,
            usage.reasoning_tokens,
        ];
        assert_eq!(usage, provider.usage, "{name}");
        let [call] = answer.tool_calls.as_slice() else {
            panic!("{name}: {:?}", answer.tool_calls);
        };
        assert_eq!(call.name, "weather", "{name}");
        assert_eq!(call.parsed().unwrap(), json!({ "city": "Paris" }), "{name}");
        match provider.id {
            Some(id) => assert_eq!(call.id, id, "{name}"),
            None => assert!(call.id.starts_with("call_"), "{name}: {}", call.id),
        }

        // With the result go the call, its id as the provider knows it, and the thoughts where they have to.
        let mut request = everything();
        request.messages.extend([
            wanted(&answer.text, &answer.tool_calls),
            Message::tool(call.id.clone(), "{\"celsius\": 21}"),
        ]);
        request.sampling = Sampling::default();
        request.top_logprobs = None;
        request.parallel_tool_calls = None;
        request.cache_key = None;
        let answer = ask(&lines, second, request).await.answer.unwrap();
        assert_eq!(
            (answer.text.as_str(), answer.finish_reason),
            ("Paris has 21 °C.", FinishReason::Stop),
            "{name}"
        );
    }
}

#[tokio::test]
async fn versions_of_azure_have_addresses_of_their_own() {
    let lines = lines("azure", "gpt-5-mini") + "api_version = \"2024-10-21\"\n";
    let request = ChatRequest {
        cache_key: Some("conversation".to_owned()),
        ..question("What is the weather in Paris?")
    };
    let exchange = exchanges("azure").remove(2);
    let answer = ask(&lines, vec![exchange], request).await.answer.unwrap();
    assert_eq!(answer.text, "Paris has 21 °C.");
}

#[tokio::test]
async fn a_call_without_arguments_has_none() {
    let exchange = exchanges("groq").remove(2);
    let request = question("What is the weather in Paris?");
    let outcome = ask(
        &lines("groq", "openai/gpt-oss-120b"),
        vec![exchange],
        request,
    )
    .await;
    let calls = outcome.answer.unwrap().tool_calls;
    assert_eq!(calls[0].parsed().unwrap(), json!({}));
}

#[tokio::test]
async fn texts_become_vectors() {
    for (provider, at, more) in [
        ("azure", 3, "api_version = \"2024-10-21\"\n"),
        ("mistral", 2, ""),
        ("zhipu", 2, ""),
    ] {
        let server = Replay::start(vec![exchanges(provider).remove(at)]).await;
        let lines = lines(provider, "e");
        let toml = format!("[models.e]\ntask = \"embedding\"\ndimension = 2\n{lines}{more}");
        let gateway = gateway(&toml, &server.url);
        let embedder = gateway.embedder(Some("e")).unwrap();
        let texts = ["a", "b"].map(str::to_owned).to_vec();
        let vectors = embedder.embed(EmbedKind::Passage, texts).await.unwrap();
        assert_eq!(vectors.len(), 2, "{provider}");
        for (vector, expected) in vectors.iter().zip([[0.6_f32, 0.8], [0.0, -1.0]]) {
            let mut both = vector.iter().zip(expected);
            let near = both.all(|(a, b)| (a - b).abs() < 1e-6);
            assert!(near && vector.len() == 2, "{provider}: {vector:?}");
        }
        server.finish();
    }
}

#[tokio::test]
async fn documents_are_ranked() {
    for provider in ["llama-server", "sglang", "vllm"] {
        let server = Replay::start(vec![exchanges(provider).remove(2)]).await;
        let toml = format!("[models.r]\ntask = \"reranking\"\n{}", lines(provider, "r"));
        let gateway = gateway(&toml, &server.url);
        let reranker = gateway.reranker("r").unwrap().unwrap();
        let request = RerankRequest {
            query: "q".to_owned(),
            documents: ["a", "b"].map(str::to_owned).to_vec(),
            top_n: None,
        };
        let ranked = reranker.rerank(request).await.unwrap();
        let order: Vec<usize> = ranked.iter().map(|one| one.index).collect();
        assert_eq!(order, [1, 0], "{provider}");
        let (best, worst) = (ranked[0].relevance_score, ranked[1].relevance_score);
        assert!(best > 0.8 && worst < 0.1, "{provider}: {ranked:?}");
        server.finish();
    }
}
