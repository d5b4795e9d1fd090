//! A search at a service: the question goes out as its dialect has it, and results come back as all have them. Left
//! out: the services (`dialect`), and pages behind results.

use praxis_core::{CallContext, CallError, ErrorCode, KeyReference};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Request};
use serde_json::{Value, json};
use url::Url;

use super::Found;
use super::dialect::Dialect;
use crate::egress::{Egress, Limits};
use crate::http::template::{Body, Template, Values};
use crate::http::{Said, as_text, failed};
use crate::web::plain;

/// Characters of a title and of a snippet.
const LONGEST_TITLE: usize = 200;
const LONGEST_SNIPPET: usize = 500;

/// The longest URL of a result.
const LONGEST_URL: usize = 2000;

/// A service that is asked.
pub(super) struct Service {
    url: Url,
    query: Vec<(String, Said)>,
    body: Option<Body>,
    header: Option<(HeaderName, Said)>,
    most: usize,
    results: String,
    title: String,
    link: String,
    snippet: String,
}

impl Service {
    /// A service as its dialect says it, with its key.
    ///
    /// # Errors
    /// The key of the file that is wrong, and why.
    pub fn new(dialect: &Dialect, key: Option<&KeyReference>) -> Result<Self, (String, String)> {
        let wrong = |at: &str, what: String| (at.to_owned(), what);
        let url = Url::parse(&dialect.url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| wrong("url", format!("`{}` is no URL of the web", dialect.url)))?;
        let mut query = Vec::new();
        for (name, value) in &dialect.query {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                _ => return Err(wrong("dialect.query", format!("`{name}` is no text"))),
            };
            let template = Template::parse(&text).map_err(|e| wrong("dialect.query", e))?;
            query.push((name.clone(), Said::Text(template)));
        }
        let body = dialect.body.as_ref().map(Body::parse).transpose();
        let body = body.map_err(|e| wrong("dialect.body", e))?;
        let mut header = None;
        match (key, &dialect.key_header, &dialect.key_query) {
            (None, None, None) => {}
            (None, _, _) => return Err(wrong("key", "the service needs a `key`".to_owned())),
            (Some(_), None, None) => {
                let what = "the service takes no key".to_owned();
                return Err(wrong("key", what));
            }
            (Some(key), Some(name), _) => {
                let text = format!("{}{}", dialect.key_prefix, key.written());
                let said = secret(&text).ok_or_else(|| wrong("key", no_secret()))?;
                let name = HeaderName::from_bytes(name.as_bytes())
                    .map_err(|_| wrong("dialect.key_header", format!("`{name}` is no header")))?;
                header = Some((name, said));
            }
            (Some(key), None, Some(name)) => {
                let said = secret(key.written()).ok_or_else(|| wrong("key", no_secret()))?;
                query.push((name.clone(), said));
            }
        }
        let mut places: Vec<&str> = query.iter().flat_map(|(_, said)| said.names()).collect();
        places.extend(body.iter().flat_map(Body::names));
        if let Some(other) = places
            .iter()
            .find(|name| !["query", "count"].contains(*name))
        {
            let what = format!("`{{{other}}}` has no value: there are {{query}} and {{count}}");
            return Err(wrong("dialect", what));
        }
        if !places.contains(&"query") {
            let what = "nothing takes the question: write `{query}`".to_owned();
            return Err(wrong("dialect", what));
        }
        for (name, pointer) in [
            ("results", &dialect.results),
            ("title", &dialect.title),
            ("link", &dialect.link),
            ("snippet", &dialect.snippet),
        ] {
            if !pointer.is_empty() && !pointer.starts_with('/') {
                let what = format!("`{pointer}` is no JSON pointer: it begins with `/`");
                return Err(wrong(&format!("dialect.{name}"), what));
            }
        }
        if dialect.link.is_empty() {
            let what = "`link` says where the URL of a result is".to_owned();
            return Err(wrong("dialect.link", what));
        }
        Ok(Self {
            url,
            query,
            body,
            header,
            most: dialect.most.unwrap_or(usize::MAX),
            results: dialect.results.clone(),
            title: dialect.title.clone(),
            link: dialect.link.clone(),
            snippet: dialect.snippet.clone(),
        })
    }

    /// The results of a question, best first.
    ///
    /// # Errors
    /// A service that does not answer, or not with results.
    pub async fn search(
        &self,
        egress: &Egress,
        limits: &Limits,
        (question, count): (&str, usize),
        cx: &CallContext,
    ) -> Result<Vec<Found>, CallError> {
        let mut values = Values::new();
        values.insert("query".to_owned(), json!(question));
        values.insert("count".to_owned(), json!(count.min(self.most)));
        let answer = egress.send(self.request(&values)?, limits, cx).await?;
        if let Some(error) = failed(&answer) {
            return Err(error);
        }
        let text = as_text(&answer)?;
        let json: Value = serde_json::from_str(&text).map_err(|error| {
            let host = self.url.host_str().unwrap_or_default();
            let message = format!("`{host}` answers with no JSON: {error}");
            CallError::new(ErrorCode::Upstream, message).with_hint(
                "does the service give JSON? SearXNG lists `json` under `search.formats`",
            )
        })?;
        // A service that found nothing leaves the list out.
        let results = json.pointer(&self.results).and_then(Value::as_array);
        let results = results.into_iter().flatten();
        Ok(results
            .filter_map(|one| self.found(one))
            .take(count)
            .collect())
    }

    fn request(&self, values: &Values) -> Result<Request, CallError> {
        let mut url = self.url.clone();
        for (name, said) in &self.query {
            for value in said.texts(values)? {
                url.query_pairs_mut().append_pair(name, &value);
            }
        }
        let method = match self.body {
            Some(_) => Method::POST,
            None => Method::GET,
        };
        let mut request = Request::new(method, url);
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some((name, said)) = &self.header
            && let Some(value) = said.header(name.as_str(), values)?
        {
            headers.insert(name, value);
        }
        if let Some(body) = &self.body {
            let body = body.fill(values).unwrap_or(Value::Null).to_string();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(body.into());
        }
        Ok(request)
    }

    /// A result; none without a URL of the web.
    fn found(&self, one: &Value) -> Option<Found> {
        let text = |pointer: &str, most: usize| {
            let text = one.pointer(pointer).and_then(Value::as_str);
            // Services mark the words of the question with tags.
            let text = plain(text.unwrap_or_default());
            let end = text
                .char_indices()
                .nth(most)
                .map_or(text.len(), |(at, _)| at);
            text[..end].to_owned()
        };
        let link = one.pointer(&self.link)?.as_str()?.trim();
        let url = Url::parse(link).ok()?;
        let fits = matches!(url.scheme(), "http" | "https") && link.len() <= LONGEST_URL;
        fits.then(|| Found {
            title: text(&self.title, LONGEST_TITLE),
            url: url.into(),
            snippet: text(&self.snippet, LONGEST_SNIPPET),
        })
    }
}

/// A key as it is sent.
fn secret(text: &str) -> Option<Said> {
    let said = Said::parse("key", text).ok()?;
    matches!(said, Said::Secret { .. }).then_some(said)
}

fn no_secret() -> String {
    "`key` must name an environment variable".to_owned()
}
