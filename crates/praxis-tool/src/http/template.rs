//! Texts, URLs and JSON with places for values: `{name}`, and `{{` and `}}` for braces. A value fills its place and is
//! never more than that: not a piece of a URL, not a field of a body. Left out: which values there are.

use serde_json::{Map, Value};
use url::{Url, form_urlencoded};

/// Levels that a body may have.
const DEEPEST: usize = 32;

/// The values of a call, by name. One that is null is not there.
pub(crate) type Values = Map<String, Value>;

/// A text with places for values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Place(String),
}

/// Whether a text can be the name of a value.
pub(crate) fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.len() <= 64
        && text.chars().all(fits)
}

fn given<'v>(values: &'v Values, name: &str) -> Option<&'v Value> {
    values.get(name).filter(|value| !value.is_null())
}

/// A value as text: a string as it is, all else as JSON.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Template {
    /// Reads a text.
    ///
    /// # Errors
    /// A brace without its other, or a place whose name is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut pieces, mut plain) = (Vec::new(), String::new());
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            let place = rest.split_once('}').filter(|_| brace == "{");
            let Some((name, after)) = place.filter(|(name, _)| is_name(name)) else {
                return Err(format!(
                    "`{text}` has a `{brace}` that begins or ends no `{{name}}`; write `{brace}{brace}` for a brace"
                ));
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Place(name.to_owned()));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self(pieces))
    }

    /// The names of its places.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Place(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The name of its place, where it is nothing else.
    fn single(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Piece::Place(name)] => Some(name),
            _ => None,
        }
    }

    /// The text with the values in their places; none where a value is not there.
    pub fn text(&self, values: &Values) -> Option<String> {
        self.spelled(values, |value| value)
    }

    fn spelled(&self, values: &Values, spell: impl Fn(String) -> String) -> Option<String> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Place(name) => text.push_str(&spell(written(given(values, name)?))),
            }
        }
        Some(text)
    }

    /// Its texts as values of a query or a form: one, but for a list in the only place, which is one for each item.
    pub fn texts(&self, values: &Values) -> Vec<String> {
        let only = self.single().and_then(|name| given(values, name));
        match only {
            Some(Value::Array(items)) => items.iter().map(written).collect(),
            _ => self.text(values).into_iter().collect(),
        }
    }
}

/// A URL with places in its path and in its query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// Scheme, host and port, without any place.
    base: Url,
    segments: Vec<Template>,
    query: Vec<(String, Template)>,
    /// Values of the path that may have slashes.
    slashes: Vec<String>,
}

impl Address {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it: values have no place in its host.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| Err(format!("`{text}` {what}"));
        let Some((scheme, rest)) = text.split_once("://") else {
            return wrong("is no whole URL: write https://api.example.org/...");
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if authority.contains(['{', '}']) {
            return wrong("has a value in its host: values have places in paths and queries alone");
        }
        if authority.contains('@') {
            return wrong("has a name or a password in it: write them as a header with env:NAME");
        }
        if rest.contains('#') {
            return wrong("has a fragment, which no server gets to see");
        }
        let base = match Url::parse(&format!("{scheme}://{authority}/")) {
            Ok(base) if matches!(base.scheme(), "http" | "https") => base,
            _ => return wrong("is no URL of the web"),
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = path.strip_prefix('/').unwrap_or(path);
        let mut segments = Vec::new();
        if !path.is_empty() {
            for segment in path.split('/') {
                if is_dots(segment) {
                    return wrong("has `.` or `..` in its path");
                }
                segments.push(Template::parse(segment)?);
            }
        }
        let mut pairs = Vec::new();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            if key.contains(['{', '}']) {
                return wrong("has a value in the name of a parameter");
            }
            pairs.push((key.into_owned(), Template::parse(&value)?));
        }
        Ok(Self {
            base,
            segments,
            query: pairs,
            slashes: Vec::new(),
        })
    }

    /// The same, where these values of the path may have slashes.
    #[must_use]
    pub fn with_slashes(mut self, names: &[String]) -> Self {
        self.slashes = names.to_vec();
        self
    }

    /// Scheme, host and port.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// Names of the places in the path: what a call cannot leave out.
    pub fn in_path(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().flat_map(Template::names)
    }

    /// Names of the places in the query.
    pub fn in_query(&self) -> impl Iterator<Item = &str> {
        self.query.iter().flat_map(|(_, value)| value.names())
    }

    /// The URL with the values in their places. Whatever they are, host and path are those of the file: a value is
    /// percent-encoded (RFC 3986, all but unreserved characters), and one that a server could take for a step in
    /// its tree is refused.
    ///
    /// # Errors
    /// The value that is missing or cannot stand where it would.
    pub fn fill(&self, values: &Values) -> Result<Url, String> {
        let mut path = String::new();
        for segment in &self.segments {
            for name in segment.names() {
                let may_have_slashes = self.slashes.iter().any(|other| other == name);
                check_segment(name, given(values, name), may_have_slashes)?;
            }
            let text = segment.spelled(values, |value| encoded(&value));
            let text = text.unwrap_or_default();
            if is_dots(&text) {
                return Err(format!("`{text}` cannot be a part of a path"));
            }
            path.push('/');
            path.push_str(&text);
        }
        let mut url = self.base.clone();
        url.set_path(&path);
        append(&mut url, &self.query, values);
        let segments = url.path_segments().map_or(0, Iterator::count);
        if url.origin() != self.base.origin() || segments != self.segments.len().max(1) {
            return Err("a value changes where the URL leads".to_owned());
        }
        Ok(url)
    }
}

/// Adds pairs to a URL's query; one whose value is not there is left out.
fn append(url: &mut Url, pairs: &[(String, Template)], values: &Values) {
    for (key, template) in pairs {
        for value in template.texts(values) {
            url.query_pairs_mut().append_pair(key, &value);
        }
    }
}

/// What is between slashes. Many services take several for one, and some `\` for `/`.
pub(crate) fn steps(path: &str) -> impl Iterator<Item = &str> {
    path.split(['/', '\\']).filter(|step| !step.is_empty())
}

/// Whether a decoded path leads up, or nowhere, at some step.
pub(crate) fn climbs(path: &str) -> bool {
    steps(path).any(|step| matches!(step, "." | ".."))
}

/// Refuses what cannot stand in a path. Services that decode a path before they take it apart, as those of WSGI do, read
/// `%2F` as a further step, so that `7/reset` for `{id}` would be `/users/7/reset` there.
fn check_segment(name: &str, value: Option<&Value>, may_have_slashes: bool) -> Result<(), String> {
    let text = match value {
        None => return Err(format!("`{name}` is missing")),
        Some(Value::Array(_) | Value::Object(_)) => {
            return Err(format!("`{name}` must be a text or a number"));
        }
        Some(value) => written(value),
    };
    if text.is_empty() {
        return Err(format!("`{name}` must not be empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("`{name}` must not have control characters"));
    }
    if steps(&text).any(is_dots) {
        return Err(format!(
            "`{name}` must not have `.` or `..` as a part of a path"
        ));
    }
    let plain = text.to_ascii_lowercase();
    let has_slash = ["/", "\\", "%2f", "%5c"].iter().any(|s| plain.contains(s));
    if has_slash && !may_have_slashes {
        return Err(format!(
            "`{name}` must not have slashes, which many services take for a further step of the path; where they are \
             meant, the file says `slashes = [\"{name}\"]`"
        ));
    }
    Ok(())
}

/// Whether a segment is a step to here or up in the reading of the URL standard.
fn is_dots(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    matches!(plain.as_str(), "." | "..")
}

/// A text with all but the unreserved characters of RFC 3986 percent-encoded.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// JSON with places for values in its texts. A text that is one place and nothing else becomes the value itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    Text(Template),
    List(Vec<Body>),
    Map(Vec<(String, Body)>),
    Plain(Value),
}

impl Body {
    /// Reads a value of a file.
    ///
    /// # Errors
    /// A text that is no template, a date, or too many levels.
    pub fn parse(value: &Value) -> Result<Self, String> {
        Self::below(value, 0)
    }

    fn below(value: &Value, depth: usize) -> Result<Self, String> {
        if depth > DEEPEST {
            return Err(format!("it has more than {DEEPEST} levels"));
        }
        Ok(match value {
            Value::String(text) => Self::Text(Template::parse(text)?),
            Value::Array(items) => {
                let items = items.iter().map(|item| Self::below(item, depth + 1));
                Self::List(items.collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => {
                let mut all = Vec::with_capacity(fields.len());
                for (key, field) in fields {
                    // So the TOML reader hands on dates that it has no other word for.
                    if key.starts_with("$__toml") {
                        return Err("it has a date without quotes".to_owned());
                    }
                    all.push((key.clone(), Self::below(field, depth + 1)?));
                }
                Self::Map(all)
            }
            other => Self::Plain(other.clone()),
        })
    }

    /// Names of all its places.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::Text(template) => template.names().collect(),
            Self::List(items) => items.iter().flat_map(Self::names).collect(),
            Self::Map(fields) => fields.iter().flat_map(|(_, field)| field.names()).collect(),
            Self::Plain(_) => Vec::new(),
        }
    }

    /// The JSON with the values in their places; fields and items whose value is not there are left out.
    pub fn fill(&self, values: &Values) -> Option<Value> {
        match self {
            Self::Text(template) => match template.single() {
                Some(name) => given(values, name).cloned(),
                None => template.text(values).map(Value::String),
            },
            Self::List(items) => Some(items.iter().filter_map(|i| i.fill(values)).collect()),
            Self::Map(fields) => {
                let fields = fields
                    .iter()
                    .filter_map(|(key, field)| Some((key.clone(), field.fill(values)?)));
                Some(Value::Object(fields.collect()))
            }
            Self::Plain(value) => Some(value.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn values(value: Value) -> Values {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn places_are_filled_and_braces_are_doubled() {
        let given = values(json!({ "a": "x", "n": 2, "none": null, "list": [1, "b"] }));
        for (text, filled) in [
            ("plain", Some("plain")),
            ("{a}", Some("x")),
            ("{a}-{n}", Some("x-2")),
            ("{{a}} {a}", Some("{a} x")),
            ("{list}", Some("[1,\"b\"]")),
            ("{none}", None),
            ("{a} {missing}", None),
            ("", Some("")),
        ] {
            let template = Template::parse(text).unwrap();
            assert_eq!(template.text(&given).as_deref(), filled, "{text}");
        }
        for text in ["{", "}", "{a", "a}", "{ a }", "{}", "{a.b}", "{1}"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
        let list = Template::parse("{list}").unwrap();
        assert_eq!(list.texts(&given), ["1", "b"]);
    }

    #[test]
    fn a_url_keeps_its_host_and_its_path() {
        let url = "https://api.example.org/v1/{city}/days?lang={lang}&units=metric";
        let address = Address::parse(url).unwrap();
        for (city, filled) in [
            ("Paris", "v1/Paris/days"),
            ("New York", "v1/New%20York/days"),
            ("上海", "v1/%E4%B8%8A%E6%B5%B7/days"),
            ("a?x=1#y", "v1/a%3Fx%3D1%23y/days"),
            ("@evil.test", "v1/%40evil.test/days"),
            ("...", "v1/.../days"),
        ] {
            let url = address.fill(&values(json!({ "city": city }))).unwrap();
            let expected = format!("https://api.example.org/{filled}?units=metric");
            assert_eq!(url.as_str(), expected);
        }
        for city in [
            json!(".."),
            json!("."),
            json!("../admin"),
            json!("..\\admin"),
            json!("a/./b"),
            json!("7/reset"),
            json!("7\\reset"),
            json!("7%2Freset"),
            json!("%2e%2E"),
            json!(""),
            json!("a\nb"),
            json!(["a"]),
            Value::Null,
        ] {
            assert!(
                address.fill(&values(json!({ "city": city }))).is_err(),
                "{city}"
            );
        }
        let slashes = address.clone().with_slashes(&["city".to_owned()]);
        let url = slashes.fill(&values(json!({ "city": "a/b" }))).unwrap();
        assert_eq!(url.path(), "/v1/a%2Fb/days");
        assert!(slashes.fill(&values(json!({ "city": "a/../b" }))).is_err());
        let given = values(json!({ "city": "a", "lang": "de&units=imperial#x" }));
        let url = address.fill(&given).unwrap();
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            pairs,
            [pair("lang", "de&units=imperial#x"), pair("units", "metric")]
        );
    }

    #[test]
    fn urls_without_a_fixed_host_are_refused() {
        for (url, part) in [
            ("/v1/{city}", "no whole URL"),
            ("https://{host}/v1", "in its host"),
            ("https://api.{zone}.example.org/", "in its host"),
            ("https://api.example.org:{port}/", "in its host"),
            ("https://me:{key}@example.org/", "in its host"),
            ("https://me@example.org/", "password"),
            ("ftp://example.org/", "no URL of the web"),
            ("https://example.org/a#{b}", "fragment"),
            ("https://example.org/../{b}", "in its path"),
            ("https://example.org/?{a}=b", "name of a parameter"),
            ("https://example.org/{a", "`{`"),
            ("https:///{a}", "no URL of the web"),
        ] {
            let error = Address::parse(url).unwrap_err();
            assert!(error.contains(part), "{url}: {error}");
        }
        let bare = Address::parse("http://example.org").unwrap();
        assert_eq!(
            bare.fill(&Values::new()).unwrap().as_str(),
            "http://example.org/"
        );
    }

    #[test]
    fn a_body_gets_values_as_they_are() {
        let body = json!({
            "query": "weather in {city}",
            "days": "{days}",
            "tags": ["{tag}", "fixed"],
            "deep": { "city": "{city}", "missing": "{missing}", "on": true },
        });
        let body = Body::parse(&body).unwrap();
        let given = values(json!({ "city": "\", \"admin\": true, \"x\": \"", "days": 3 }));
        assert_eq!(
            body.fill(&given).unwrap(),
            json!({
                "query": "weather in \", \"admin\": true, \"x\": \"",
                "days": 3,
                "tags": ["fixed"],
                "deep": { "city": "\", \"admin\": true, \"x\": \"", "on": true },
            })
        );
        assert_eq!(body.names(), ["city", "days", "tag", "city", "missing"]);
        let mut deep = json!("x");
        for _ in 0..40 {
            deep = json!([deep]);
        }
        assert!(Body::parse(&deep).is_err());
    }

    proptest! {
        #[test]
        fn no_value_changes_where_a_url_leads(city in "\\PC{0,30}|[./\\\\%2e?#@:]{0,10}", lang in "\\PC{0,30}") {
            let address = Address::parse("https://api.example.org/v1/{city}/days?lang={lang}").unwrap();
            let given = values(json!({ "city": city, "lang": lang }));
            if let Ok(url) = address.fill(&given) {
                prop_assert_eq!(url.host_str(), Some("api.example.org"));
                let segments: Vec<&str> = url.path_segments().unwrap().collect();
                prop_assert_eq!(segments.len(), 3);
                prop_assert_eq!((segments[0], segments[2]), ("v1", "days"));
                let pairs: Vec<_> = url.query_pairs().into_owned().collect();
                prop_assert_eq!(pairs, [("lang".to_owned(), lang)]);
                prop_assert!(url.fragment().is_none() && url.username().is_empty());
            }
        }

        #[test]
        fn no_template_makes_it_fail(text in "[{}a-z /?&=#:@]{0,40}") {
            let _ = Template::parse(&text);
            if let Ok(address) = Address::parse(&format!("https://example.org/{text}")) {
                let _ = address.fill(&Values::new());
            }
        }
    }
}
