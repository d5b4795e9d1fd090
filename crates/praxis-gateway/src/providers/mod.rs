//! Who runs models behind an address, a file each. A provider that speaks OpenAI's chat completions is a list of
//! [`Facts`] and the hooks in which it differs; one with words of its own writes its questions and reads its answers
//! itself. Retries, time-outs, routes, cost and traces are the gateway's: a provider has none.
//!
//! To add one: a file here, a line in [`ALL`], tests of recorded traffic (docs/adding-a-provider.md).

mod anthropic;
mod azure;
#[cfg(feature = "bedrock")]
mod bedrock;
mod claude;
mod deepseek;
mod errors;
mod gemini;
mod groq;
mod llama_server;
mod mistral;
mod moonshot;
mod ollama;
mod openai;
mod openrouter;
mod qwen;
mod recall;
mod responses;
mod sglang;
mod tgi;
mod thoughts;
pub(crate) mod unasked;
mod vllm;
mod zhipu;

use async_trait::async_trait;
use praxis_core::message::ImageDetail;
use praxis_core::{
    ChatRequest, Constraint, ModelError, Part, Relevance, RerankRequest, ToolCall, Usage,
};
use praxis_hub::Task;
use reqwest::header::AUTHORIZATION;
use reqwest::{Request, StatusCode};
use serde_json::{Map, Value, json};

use crate::openai as words;
use crate::wire::{Endpoint, Framing, Question, Read, failure, refused, secret_header};

/// All providers, by name.
pub(crate) static ALL: &[&dyn Dialect] = &[
    &anthropic::Anthropic,
    &azure::Azure,
    #[cfg(feature = "bedrock")]
    &bedrock::Bedrock,
    &deepseek::DeepSeek,
    &gemini::Gemini,
    &groq::Groq,
    &llama_server::LlamaServer,
    &mistral::Mistral,
    &moonshot::Moonshot,
    &ollama::Ollama,
    &openai::OpenAi,
    &responses::Responses,
    &openrouter::OpenRouter,
    &qwen::Qwen,
    &sglang::SgLang,
    &tgi::Tgi,
    &vllm::Vllm,
    &zhipu::Zhipu,
];

/// The provider of that name.
pub(crate) fn find(name: &str) -> Option<&'static dyn Dialect> {
    ALL.iter().copied().find(|d| d.facts().name == name)
}

/// What is known of a provider without asking it.
#[derive(Debug)]
pub(crate) struct Facts {
    /// Its name in `praxis.toml`.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Where it is, unless `base_url` says otherwise; `None`: `base_url` has to.
    pub base_url: Option<&'static str>,
    /// The environment variable that holds the key, unless `api_key` names another; `None`: no key is needed.
    pub key: Option<&'static str>,
    /// Its API reference.
    pub reference: &'static str,
    /// What its models do that can be asked here.
    pub tasks: &'static [Task],
    /// How many texts it embeds at a time.
    pub texts_at_once: usize,
    /// What of OpenAI's chat completions it takes.
    pub chat: Chat,
}

impl Facts {
    /// Its API, as messages name it.
    pub(crate) fn api(&self) -> String {
        format!("the API of {}", self.title)
    }
}

/// Texts that nearly all providers embed at a time.
pub(crate) const TEXTS_AT_ONCE: usize = 96;

/// What of OpenAI's chat completions a provider takes. Meaningless for those with words of their own.
#[derive(Debug)]
pub(crate) struct Chat {
    /// Its word for the most tokens of an answer.
    pub max_tokens: &'static str,
    /// Its word for the seed, if it has one.
    pub seed: Option<&'static str>,
    /// Whether the usage has to be asked for; some refuse the word and tell it anyway.
    pub stream_options: bool,
    /// Whether answers can be held to a JSON Schema.
    pub json_schema: bool,
    /// Whether answers can be held to regular expressions, choices and grammars, in vLLM's words.
    pub structured_outputs: bool,
    /// Whether it takes `top_k`, `min_p` and `repetition_penalty`, as open servers do.
    pub open_sampling: bool,
    /// Whether it takes `frequency_penalty` and `presence_penalty`.
    pub penalties: bool,
    pub logprobs: bool,
    pub parallel_tool_calls: bool,
    pub reasoning_effort: bool,
    pub prompt_cache_key: bool,
    /// Whether it takes `prompt_cache_retention` and `prompt_cache_options`, where it takes `prompt_cache_key`.
    pub cache_times: bool,
    /// Whether messages may hold recordings (`input_audio`).
    pub audio: bool,
    /// Whether messages may say the name of who wrote them.
    pub names: bool,
    /// Whether tools may be `strict`.
    pub strict_tools: bool,
    pub verbosity: bool,
    pub service_tier: bool,
}

impl Chat {
    /// All that OpenAI's own API takes.
    pub(crate) const OPENAI: Chat = Chat {
        max_tokens: "max_completion_tokens",
        seed: Some("seed"),
        stream_options: true,
        json_schema: true,
        structured_outputs: false,
        open_sampling: false,
        penalties: true,
        logprobs: true,
        parallel_tool_calls: true,
        reasoning_effort: true,
        prompt_cache_key: true,
        cache_times: true,
        audio: true,
        names: true,
        strict_tools: true,
        verbosity: true,
        service_tier: true,
    };

    /// What open servers take.
    pub(crate) const OPEN: Chat = Chat {
        max_tokens: "max_tokens",
        open_sampling: true,
        prompt_cache_key: false,
        verbosity: false,
        service_tier: false,
        ..Chat::OPENAI
    };
}

/// How one provider speaks. What is not written is as in OpenAI's API.
#[async_trait]
pub(crate) trait Dialect: Send + Sync {
    /// What is known of it without asking.
    fn facts(&self) -> &'static Facts;

    /// Where it is, unless `base_url` says otherwise; `None`: `base_url` has to.
    fn default_base_url(&self, _region: Option<&str>) -> Option<String> {
        self.facts().base_url.map(str::to_owned)
    }

    /// Whether it takes media of this type in messages of the user as they are.
    fn reads(&self, media_type: &str) -> bool {
        media_type.starts_with("image/")
    }

    /// The question for an answer, which has to come as a stream.
    ///
    /// # Errors
    /// [`ModelError::InvalidRequest`] for what the provider has no word for and without which the answer would not be
    /// the one that was asked for; all else goes into [`Question::left_out`].
    fn ask(&self, to: &Endpoint, request: &ChatRequest) -> Result<Question, ModelError> {
        let (mut body, mut left_out) = words::body(self.facts(), to, request)?;
        self.adapt(to, request, &mut body, &mut left_out)?;
        Ok(Question {
            left_out,
            ..Question::new("chat/completions", Value::Object(body))
        })
    }

    /// Changes the body of a chat completion to what the provider takes.
    ///
    /// # Errors
    /// As [`Dialect::ask`].
    fn adapt(
        &self,
        _to: &Endpoint,
        _request: &ChatRequest,
        _body: &mut Map<String, Value>,
        _left_out: &mut Vec<&'static str>,
    ) -> Result<(), ModelError> {
        Ok(())
    }

    /// What reads the answer to a request.
    fn reader(&self, _to: &Endpoint, _request: &ChatRequest) -> Box<dyn Read> {
        Box::new(words::Events::default())
    }

    /// How answers are cut into events.
    fn framing(&self) -> Framing {
        Framing::Sse
    }

    /// The whole address of a question.
    fn address(&self, to: &Endpoint, path: &str) -> String {
        format!("{}/{path}", to.base_url.as_str().trim_end_matches('/'))
    }

    /// Adds what shows who asks.
    ///
    /// # Errors
    /// [`ModelError::Unauthorized`] for a key that cannot be sent.
    async fn authorize(&self, to: &Endpoint, request: &mut Request) -> Result<(), ModelError> {
        if let Some(key) = to.secret() {
            let value = secret_header(&to.name, &format!("Bearer {}", key.expose()))?;
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        Ok(())
    }

    /// What the body of an error means; within a stream there is no status.
    fn failure(&self, name: &str, status: Option<StatusCode>, body: &str) -> ModelError {
        failure::of_body(name, status, body)
    }

    /// The question for vectors of texts.
    fn embeddings(&self, to: &Endpoint, texts: &[String], dimension: Option<usize>) -> Question {
        words::embeddings(to, texts, dimension)
    }

    /// The vectors of an answer, in the order of their texts.
    ///
    /// # Errors
    /// Where it is no such answer.
    fn vectors(&self, bytes: &[u8]) -> Result<(Vec<Vec<f32>>, Option<Usage>), serde_json::Error> {
        words::vectors(bytes)
    }

    /// The question for an order of documents.
    fn ranking(&self, to: &Endpoint, request: &RerankRequest) -> Question {
        words::ranking(to, request)
    }

    /// The scores of a rerank.
    ///
    /// # Errors
    /// Where it is no such answer.
    fn ranked(&self, bytes: &[u8]) -> Result<Vec<Relevance>, serde_json::Error> {
        words::ranked(bytes)
    }
}

/// What asks a model for JSON that no word of its provider's holds to it.
const JSON_ALONE: &str =
    "Answer with one JSON object and nothing else: no words before or after it, no code fence.";

/// What a request says that a provider has no word for which has none of OpenAI's newer ones.
fn without_extras(request: &ChatRequest) -> Vec<&'static str> {
    let mut names = request.extras.asked();
    let closely = |part: &Part| matches!(part, Part::Media { detail: Some(detail), .. } if *detail != ImageDetail::Auto);
    let messages = &request.messages;
    if messages.iter().any(|m| m.content.iter().any(closely)) {
        names.push("detail");
    }
    if messages.iter().any(|message| message.name.is_some()) {
        names.push("name");
    }
    names
}

/// Why an answer is not held to a constraint by an API that knows schemas alone.
fn schema_alone(name: &str, api: &str, constraint: &Constraint) -> ModelError {
    let kind = constraint.kind();
    let what = format!("knows no `{kind}`; use `json_schema`, or a local model");
    refused("constraint", name, api, &what)
}

/// The arguments of a call as an object, which some APIs insist on; what a model wrote that is none stands inside of one.
fn arguments(call: &ToolCall) -> Value {
    match call.parsed() {
        Ok(arguments @ Value::Object(_)) => arguments,
        _ => json!({ "arguments": call.arguments }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn providers_with_a_word_for_documents_take_pdf_as_they_are() {
        for (name, takes) in [
            ("openai", false),
            ("openai-responses", true),
            ("anthropic", true),
            ("gemini", true),
        ] {
            let dialect = find(name).unwrap();
            assert_eq!(dialect.reads("application/pdf"), takes, "{name}");
            assert!(dialect.reads("image/png") && !dialect.reads("text/plain"));
        }
    }

    #[test]
    fn each_provider_has_a_name_of_its_own_and_says_where_it_is() {
        let names: BTreeSet<&str> = ALL.iter().map(|d| d.facts().name).collect();
        assert_eq!(names.len(), ALL.len());
        for dialect in ALL {
            let facts = dialect.facts();
            assert!(find(facts.name).is_some());
            assert!(facts.reference.starts_with("https://"), "{}", facts.name);
            assert!(!facts.tasks.is_empty(), "{}", facts.name);
            if let Some(url) = facts.base_url {
                assert!(reqwest::Url::parse(url).is_ok(), "{url}");
            }
        }
    }
}
