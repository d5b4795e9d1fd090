//! The functions over an embedder of three words and a base that gives back what it was asked.

use praxis_core::embed::TokenCounter;
use praxis_core::trace::NoTrace;
use praxis_core::{EmbedKind, ModelError, Query, Retrieval};

use super::*;

struct Words;

#[async_trait]
impl Embedder for Words {
    fn identity(&self) -> String {
        "words".into()
    }

    async fn dimension(&self) -> Result<usize, ModelError> {
        Ok(4)
    }

    async fn max_tokens(&self) -> Result<usize, ModelError> {
        Ok(100)
    }

    async fn embed(&self, _: EmbedKind, texts: Vec<String>) -> Result<Vec<Vec<f32>>, ModelError> {
        let vector = |text: &String| {
            let has = |word| f32::from(u8::from(text.contains(word)));
            let mut vector = vec![has("cat"), has("dog"), has("hen"), 0.1];
            praxis_core::embed::normalize(&mut vector);
            vector
        };
        Ok(texts.iter().map(vector).collect())
    }

    async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
        Ok(Arc::new(str::len))
    }
}

struct Echo;

#[async_trait]
impl Retriever for Echo {
    async fn search(
        &self,
        base: &str,
        query: &Query,
        _: &CallContext,
    ) -> Result<Retrieval, CallError> {
        let message = format!(
            "{base}: {} {} {:?}",
            query.text,
            query.limit,
            query.filter.is_some()
        );
        Err(CallError::new(ErrorCode::NotFound, message))
    }
}

async fn call(name: &str, input: Value) -> Result<Value, CallError> {
    let (retriever, embedder): (Arc<dyn Retriever>, Arc<dyn Embedder>) =
        (Arc::new(Echo), Arc::new(Words));
    let bases = [("docs", Some("House rules."))];
    let all = functions(bases.into_iter(), &retriever, &embedder);
    let names: Vec<&str> = all.iter().map(|f| f.signature().name.as_str()).collect();
    assert_eq!(names, function_names(["docs"].into_iter()));
    for function in &all {
        let signature = function.signature();
        assert!(jsonschema::validator_for(&signature.input_schema).is_ok());
        assert!(jsonschema::validator_for(&signature.output_schema).is_ok());
    }
    let function = all.iter().find(|f| f.signature().name == name).unwrap();
    let validator = jsonschema::validator_for(&function.signature().output_schema).unwrap();
    let output = function
        .call(input, &CallContext::new(Arc::new(NoTrace)))
        .await?;
    assert!(validator.is_valid(&output), "{output}");
    Ok(output["data"].clone())
}

#[tokio::test]
async fn texts_are_ranked_grouped_and_sorted() {
    let texts = json!(["a cat", "a dog", "two cats", "a hen"]);
    let similar = call(
        "praxis/similar",
        json!({"query": "cat", "texts": texts, "limit": 2}),
    )
    .await;
    let places: Vec<u64> = similar
        .unwrap()
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["index"].as_u64().unwrap())
        .collect();
    assert_eq!(places, [0, 2]);
    let twins = call("praxis/duplicates", json!({"texts": texts}))
        .await
        .unwrap();
    assert_eq!(twins, json!([[0, 2]]));
    let labels = json!({"pets": ["cat", "dog"], "farm": ["hen"]});
    let classes = call("praxis/classify", json!({"texts": texts, "labels": labels}))
        .await
        .unwrap();
    let best: Vec<&str> = classes
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c[0]["label"].as_str().unwrap())
        .collect();
    assert_eq!(best, ["pets", "pets", "pets", "farm"]);
    let topics = call("praxis/cluster", json!({"texts": texts, "topics": 3}))
        .await
        .unwrap();
    let mut sizes: Vec<usize> = topics
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["members"].as_array().unwrap().len())
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 1, 2]);
    let next = call(
        "praxis/recommend",
        json!({"texts": texts, "liked": [0], "limit": 1}),
    )
    .await
    .unwrap();
    assert_eq!(next[0]["index"], 2);
    let vectors = call("praxis/embed", json!({"texts": texts})).await.unwrap();
    assert_eq!(vectors.as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_search_hands_on_what_it_was_asked() {
    let filters = json!({"type": "eq", "key": "a", "value": 1});
    let error = call(
        "praxis/search/docs",
        json!({"query": "keys?", "filters": filters}),
    )
    .await;
    assert_eq!(error.unwrap_err().message, "docs: keys? 4 true");
}

#[tokio::test]
async fn filters_that_say_nothing_are_none() {
    for filters in [json!({}), json!(null)] {
        let input = json!({"query": "keys?", "filters": filters});
        let error = call("praxis/search/docs", input).await.unwrap_err();
        assert_eq!(error.message, "docs: keys? 4 false");
    }
}

#[tokio::test]
async fn wrong_inputs_are_named() {
    for (name, input, said) in [
        ("praxis/search/docs", json!({}), "missing field `query`"),
        (
            "praxis/search/docs",
            json!({"query": "x", "limit": 99}),
            "`limit` must be between 1 and 20",
        ),
        (
            "praxis/similar",
            json!({"texts": ["a"]}),
            "`query` is empty",
        ),
        (
            "praxis/recommend",
            json!({"texts": ["a"], "liked": [1]}),
            "no text 1; the first is 0, the last 0",
        ),
        (
            "praxis/recommend",
            json!({"texts": ["a"], "liked": []}),
            "`liked` names no text",
        ),
        ("praxis/embed", json!({"texts": []}), "1 to 2000 texts"),
        (
            "praxis/embed",
            json!({"texts": ["a"], "more": 1}),
            "unknown field `more`",
        ),
        (
            "praxis/classify",
            json!({"texts": ["a"], "labels": {"x": ["y"]}}),
            "two labels",
        ),
    ] {
        let error = call(name, input).await.unwrap_err();
        assert!(error.message.contains(said), "{error:?}");
        assert_eq!(error.code, ErrorCode::InvalidRequest);
    }
}
