//! A service of this machine that answers as those of the table do, and a folder without any.

use std::sync::Arc;

use praxis_core::{ErrorCode, Function};

use super::*;
use crate::egress::site::{Asked, Reply, Site, context};

fn config(text: &str) -> Config {
    toml::from_str(text).unwrap()
}

/// The function of a file of a service.
fn function(text: &str) -> Arc<dyn Function> {
    let config = config(&format!("allow_private = true\n{text}"));
    assert_eq!(config.problems(), Vec::new());
    let engine = Engine::Service {
        service: Box::new(config.service().unwrap()),
        egress: Egress::new(&config.egress()).unwrap(),
        limits: Limits::default(),
    };
    tool(Search::new("find", &config, engine)).unwrap()
}

async fn call(function: &Arc<dyn Function>, input: Value) -> Result<Value, CallError> {
    let output = function.call(input, &context()).await?;
    let validator = jsonschema::validator_for(&function.signature().output_schema).unwrap();
    assert!(validator.is_valid(&output), "{output}");
    Ok(output)
}

/// What a service of a dialect answers, with these two results.
fn answer(dialect: &Dialect) -> Value {
    let mut answer = json!({});
    let one = |title: &str, url: &str| {
        let mut one = json!({});
        for (pointer, text) in [
            (&dialect.title, title),
            (&dialect.link, url),
            (&dialect.snippet, "It is <strong>sunny</strong> &amp; warm"),
        ] {
            one[&pointer[1..]] = json!(text);
        }
        one
    };
    let results = json!([
        one("No page", "javascript:alert(1)"),
        one("Paris", "https://a.test/paris"),
        one("Rome", "https://a.test/rome"),
    ]);
    let (list, outer) = match dialect.results.rsplit_once('/') {
        Some(("", list)) => (list, None),
        Some((outer, list)) => (list, Some(outer.trim_start_matches('/'))),
        None => panic!("{}", dialect.results),
    };
    match outer {
        Some(outer) => answer[outer] = json!({ list: results }),
        None => answer[list] = results,
    }
    answer
}

#[tokio::test]
async fn each_service_is_asked_in_its_words_and_gives_results_of_one_form() {
    let site = Site::new().await;
    let question = "weather & wind";
    for name in dialect::names() {
        let dialect = dialect::named(name).unwrap();
        let body = answer(&dialect).to_string();
        site.put("/search", Reply::of("application/json", body));
        let key = match name {
            "searxng" => "",
            _ => "key = \"env:PATH\"\n",
        };
        let url = site.direct("/search");
        let text =
            format!("engine = \"{name}\"\nurl = \"{url}\"\n{key}[parameters]\ncx = \"a{{b\"\n");
        let find = function(&text);
        assert!(find.signature().effects.has(Effect::External));
        let output = call(&find, json!({ "query": question, "count": 1 }))
            .await
            .unwrap();
        let result = json!({
            "title": "Paris", "url": "https://a.test/paris", "snippet": "It is sunny & warm",
        });
        assert_eq!(output, json!({ "results": [result] }), "{name}");
        let Asked {
            method,
            target,
            headers,
            body,
        } = site.asked().remove(0);
        let target = url::Url::parse(&format!("http://a.test{target}")).unwrap();
        let pairs: Vec<(String, String)> = target.query_pairs().into_owned().collect();
        let has = |key: &str, value: &str| pairs.contains(&(key.to_owned(), value.to_owned()));
        assert!(has("cx", "a{b"), "{name}: {pairs:?}");
        let path = std::env::var("PATH").unwrap();
        match name {
            "tavily" | "serper" => {
                assert_eq!(method, "POST");
                let sent: Value = serde_json::from_str(&body).unwrap();
                let sent = sent.as_object().unwrap();
                assert!(sent.values().any(|v| v == question) && sent.values().any(|v| v == 1));
            }
            _ => assert!(method == "GET" && has("q", question), "{name}: {pairs:?}"),
        }
        match (&dialect.key_header, &dialect.key_query) {
            (Some(header), _) => {
                let sent = &headers[&header.to_ascii_lowercase()];
                assert_eq!(
                    *sent,
                    format!("{}{}", dialect.key_prefix, path.trim()),
                    "{name}"
                );
            }
            (None, Some(key)) => assert!(has(key, path.trim()), "{name}"),
            (None, None) => assert_eq!(name, "searxng"),
        }
    }
}

#[tokio::test]
async fn a_service_of_ones_own_is_a_table_in_the_file() {
    let site = Site::new().await;
    let body = json!({ "hits": [{ "page": { "name": "A", "at": "https://a.test/" } }] });
    site.put("/find", Reply::of("application/json", body.to_string()));
    let find = function(&format!(
        "engine = \"custom\"\nkey = \"env:PATH\"\n[dialect]\nurl = \"{}\"\n\
         query = {{ text = \"{{query}}\", safe = true }}\n\
         key_header = \"X-Key\"\nresults = \"/hits\"\ntitle = \"/page/name\"\nlink = \"/page/at\"\n",
        site.direct("/find")
    ));
    let output = call(&find, json!({ "query": "x" })).await.unwrap();
    assert_eq!(
        output["results"][0],
        json!({ "title": "A", "url": "https://a.test/", "snippet": "" })
    );
    let target = site.asked().remove(0).target;
    assert!(
        target.contains("text=x") && target.contains("safe=true"),
        "{target}"
    );
    // Nothing found, nothing understood, nothing allowed.
    site.put("/find", Reply::of("application/json", "{}"));
    let output = call(&find, json!({ "query": "x" })).await.unwrap();
    assert_eq!(output, json!({ "results": [] }));
    for (reply, code) in [
        (Reply::page("<p>no JSON"), ErrorCode::Upstream),
        (Reply::page("").status(401), ErrorCode::Unauthorized),
        (
            Reply::moved(302, "https://other.test/"),
            ErrorCode::InvalidRequest,
        ),
    ] {
        site.put("/find", reply);
        let error = call(&find, json!({ "query": "x" })).await.unwrap_err();
        assert_eq!(error.code, code, "{error}");
    }
    for input in [
        json!({ "query": "" }),
        json!({ "query": " " }),
        json!({ "query": "x", "count": 21 }),
    ] {
        let error = call(&find, input).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidRequest);
    }
}

#[tokio::test]
async fn a_folder_is_searched_without_a_network() {
    let root = tempfile::tempdir().unwrap();
    let pages = root.path().join("pages");
    std::fs::create_dir(&pages).unwrap();
    for (name, text) in [
        (
            "paris.html",
            "<title>Paris today</title><nav>temperature</nav><main><p>Sunny in Paris, 21 degrees.</p></main>",
        ),
        ("上海.md", "# 上海天气\n\n今天多云，气温二十六度。"),
        ("notes.txt", "Trains leave at noon."),
        ("broken.txt", "\u{1}\u{2}\u{3}"),
    ] {
        std::fs::write(pages.join(name), text).unwrap();
    }
    let config =
        config("engine = \"local\"\nfolder = \"pages\"\nbase = \"https://weather.example/\"\n");
    assert_eq!(config.problems(), Vec::new());
    let corpus = Corpus::open(root.path(), &config.corpus().unwrap()).unwrap();
    let (local, warnings) = Local::open(&corpus).await;
    assert!(
        warnings.len() == 1 && warnings[0].message.contains("broken.txt"),
        "{warnings:?}"
    );
    let find = tool(Search::new("find", &config, Engine::Local(local))).unwrap();
    assert!(!find.signature().effects.has(Effect::External));
    for (question, title, url, snippet) in [
        (
            "How warm is it in Paris?",
            "Paris today",
            "paris.html",
            "Sunny in Paris, 21 degrees.",
        ),
        (
            "上海的天气",
            "上海天气",
            "%E4%B8%8A%E6%B5%B7.md",
            "上海天气",
        ),
        (
            "train times",
            "notes.txt",
            "notes.txt",
            "Trains leave at noon.",
        ),
    ] {
        let output = call(&find, json!({ "query": question })).await.unwrap();
        let first = &output["results"][0];
        assert_eq!(
            (&first["title"], &first["snippet"]),
            (&json!(title), &json!(snippet))
        );
        assert_eq!(first["url"], format!("https://weather.example/{url}"));
    }
    // What is around the text of a page is not found.
    let output = call(&find, json!({ "query": "temperature" }))
        .await
        .unwrap();
    assert_eq!(output, json!({ "results": [] }));
}

#[test]
fn mistakes_of_a_file_name_their_key_and_their_fix() {
    const BRAVE: &str = "engine = \"brave\"\nkey = \"env:PATH\"\n";
    const CUSTOM: &str = "engine = \"custom\"\n[dialect]\nurl = \"https://a.test/\"\n";
    for (text, path, part) in [
        ("engine = \"altavista\"".to_owned(), "engine", "no engine"),
        ("engine = \"brave\"".to_owned(), "key", "needs a `key`"),
        (
            "engine = \"brave\"\nkey = \"sk-live\"".to_owned(),
            "key",
            "environment variable",
        ),
        ("engine = \"searxng\"".to_owned(), "url", "no `url`"),
        (
            "engine = \"searxng\"\nurl = \"search\"".to_owned(),
            "url",
            "no URL of the web",
        ),
        (
            "engine = \"searxng\"\nurl = \"https://a.test/\"\nkey = \"env:PATH\"".to_owned(),
            "key",
            "takes no key",
        ),
        (format!("{BRAVE}count = 50"), "count", "out of range"),
        (
            format!("{BRAVE}folder = \"x\""),
            "folder",
            "engine = \"local\"",
        ),
        (
            format!("{BRAVE}dialect = {{ url = \"x\" }}"),
            "dialect",
            "is for `custom`",
        ),
        (
            "engine = \"custom\"".to_owned(),
            "dialect",
            "needs a `dialect`",
        ),
        (
            format!("{CUSTOM}link = \"/url\""),
            "dialect",
            "takes the question",
        ),
        (
            format!("{CUSTOM}query = {{ q = \"{{query}}\" }}\nlink = \"url\""),
            "dialect.link",
            "begins with `/`",
        ),
        (
            format!("{CUSTOM}query = {{ q = \"{{query}}\" }}"),
            "dialect.link",
            "`link` says",
        ),
        (
            format!("{CUSTOM}query = {{ q = \"{{question}}\" }}\nlink = \"/url\""),
            "dialect",
            "`{question}` has no value",
        ),
        (
            "engine = \"local\"".to_owned(),
            "folder",
            "needs a `folder`",
        ),
        (
            "engine = \"local\"\nfolder = \"/etc\"".to_owned(),
            "folder",
            "no folder below",
        ),
        (
            "engine = \"local\"\nfolder = \"x\"\nkey = \"env:PATH\"".to_owned(),
            "key",
            "asks none",
        ),
    ] {
        let found = config(&text).problems();
        let here = found.iter().find(|p| p.path == path);
        let here = here.unwrap_or_else(|| panic!("{text}: {found:?}"));
        assert!(here.message.contains(part), "{text}: {here}");
        assert!(here.help.is_some() && !here.message.contains("sk-live"));
    }
    assert!(toml::from_str::<Config>("engine = \"local\"\nfolders = \"x\"").is_err());
}
