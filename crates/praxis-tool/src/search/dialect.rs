//! Search services as a table: where each is asked, how it takes a question and a key, and where its results are. A
//! file may write a row of its own. Left out: asking.

use serde::Deserialize;
use serde_json::{Map, Value};

/// How one service is asked, and where its results are.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Dialect {
    /// Where it is asked.
    pub url: String,
    /// Parameters of the query; `{query}` and `{count}` have places in them.
    pub query: Map<String, Value>,
    /// A JSON body, which is sent with POST.
    pub body: Option<Value>,
    /// The header of the key, or the parameter of the query.
    pub key_header: Option<String>,
    pub key_query: Option<String>,
    /// What stands before the key, such as `Bearer `.
    pub key_prefix: String,
    /// The most results that it gives at a time.
    pub most: Option<usize>,
    /// JSON pointers (RFC 6901): to the list of results, and within each to its parts.
    pub results: String,
    pub title: String,
    pub link: String,
    pub snippet: String,
}

/// A row of the table.
struct Row {
    name: &'static str,
    url: &'static str,
    query: &'static [(&'static str, &'static str)],
    /// JSON.
    body: &'static str,
    key: Key,
    most: Option<usize>,
    results: &'static str,
    parts: [&'static str; 3],
}

/// Where a service wants its key.
enum Key {
    None,
    Header(&'static str),
    Bearer,
    Query(&'static str),
}

/// The services, from their API references: SearXNG ("Search API"), Brave Search ("Web search"), Bing ("Web Search API
/// v7"), Google ("Custom Search JSON API"), Tavily ("Search") and Serper.
static ROWS: [Row; 6] = [
    Row {
        name: "searxng",
        url: "",
        query: &[("q", "{query}"), ("format", "json")],
        body: "",
        key: Key::None,
        most: None,
        results: "/results",
        parts: ["/title", "/url", "/content"],
    },
    Row {
        name: "brave",
        url: "https://api.search.brave.com/res/v1/web/search",
        query: &[("q", "{query}"), ("count", "{count}")],
        body: "",
        key: Key::Header("X-Subscription-Token"),
        most: None,
        results: "/web/results",
        parts: ["/title", "/url", "/description"],
    },
    Row {
        name: "bing",
        url: "https://api.bing.microsoft.com/v7.0/search",
        query: &[("q", "{query}"), ("count", "{count}")],
        body: "",
        key: Key::Header("Ocp-Apim-Subscription-Key"),
        most: None,
        results: "/webPages/value",
        parts: ["/name", "/url", "/snippet"],
    },
    Row {
        name: "google",
        url: "https://www.googleapis.com/customsearch/v1",
        query: &[("q", "{query}"), ("num", "{count}")],
        body: "",
        key: Key::Query("key"),
        most: Some(10),
        results: "/items",
        parts: ["/title", "/link", "/snippet"],
    },
    Row {
        name: "tavily",
        url: "https://api.tavily.com/search",
        query: &[],
        body: r#"{"query": "{query}", "max_results": "{count}"}"#,
        key: Key::Bearer,
        most: None,
        results: "/results",
        parts: ["/title", "/url", "/content"],
    },
    Row {
        name: "serper",
        url: "https://google.serper.dev/search",
        query: &[],
        body: r#"{"q": "{query}", "num": "{count}"}"#,
        key: Key::Header("X-API-KEY"),
        most: None,
        results: "/organic",
        parts: ["/title", "/link", "/snippet"],
    },
];

/// The names of the services.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|row| row.name)
}

/// A service by its name.
pub(super) fn named(name: &str) -> Option<Dialect> {
    let row = ROWS.iter().find(|row| row.name == name)?;
    let query = row.query.iter();
    let query = query.map(|(key, value)| ((*key).to_owned(), Value::from(*value)));
    let (mut key_header, mut key_query, mut key_prefix) = (None, None, "");
    match row.key {
        Key::None => {}
        Key::Header(name) => key_header = Some(name.to_owned()),
        Key::Bearer => (key_header, key_prefix) = (Some("Authorization".to_owned()), "Bearer "),
        Key::Query(name) => key_query = Some(name.to_owned()),
    }
    let [title, link, snippet] = row.parts.map(str::to_owned);
    Some(Dialect {
        url: row.url.to_owned(),
        query: query.collect(),
        body: serde_json::from_str(row.body).ok(),
        key_header,
        key_query,
        key_prefix: key_prefix.to_owned(),
        most: row.most,
        results: row.results.to_owned(),
        title,
        link,
        snippet,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_has_what_it_takes_to_be_asked() {
        for name in names() {
            let dialect = named(name).unwrap();
            let row = ROWS.iter().find(|row| row.name == name).unwrap();
            assert_eq!(dialect.body.is_some(), !row.body.is_empty(), "{name}");
            let asked = format!("{:?}{:?}", dialect.query, dialect.body);
            assert!(asked.contains("{query}"), "{name}");
            for pointer in [
                &dialect.results,
                &dialect.title,
                &dialect.link,
                &dialect.snippet,
            ] {
                assert!(pointer.starts_with('/'), "{name}");
            }
        }
        assert_eq!(named("altavista"), None);
    }
}
