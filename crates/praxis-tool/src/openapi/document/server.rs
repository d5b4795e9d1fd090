//! Where the requests of an operation go: the file's `server`, or the first server that the document names for it.
//! Left out: whom requests may reach, which is `egress`'s.

use std::collections::BTreeMap;

use reqwest::Url;
use serde_json::Value;

use super::text;
use crate::text::plain;

/// Variables of one address, and characters of it.
const MOST_VARIABLES: usize = 32;
const LONGEST: usize = 2000;

/// What an address is made of beside the document.
pub(super) struct Given<'a> {
    /// The file's `server`.
    pub server: Option<&'a str>,
    /// The file's `[variables]`.
    pub variables: &'a BTreeMap<String, String>,
    /// Where the document is, if it is at a URL.
    pub base: Option<&'a Url>,
}

/// The address that an operation's paths are behind. The nearest list of servers counts: the operation's, its path's,
/// the document's.
///
/// # Errors
/// An address that is none, or leads nowhere without the file's help.
pub(super) fn server(given: &Given<'_>, nearest: [&Value; 3]) -> Result<Url, String> {
    if let Some(server) = given.server {
        return checked(Url::parse(server).map_err(|_| format!("`{server}` is no URL"))?);
    }
    let first = nearest
        .iter()
        .find_map(|value| value.get("servers")?.get(0));
    let written = first.and_then(|first| text(first, "url")).unwrap_or("/");
    let shown = plain(written, 120);
    let expanded = expanded(
        given,
        written,
        first.and_then(|first| first.get("variables")),
    )?;
    let url = match (Url::parse(&expanded), given.base) {
        (Ok(url), _) => url,
        (Err(_), Some(base)) => base
            .join(&expanded)
            .map_err(|_| format!("its server `{shown}` is no address"))?,
        (Err(_), None) => {
            return Err(format!(
                "its server is `{shown}`, which says no host: write `server = \"https://HOST{}\"`",
                if shown.starts_with('/') && shown.len() > 1 {
                    shown.as_str()
                } else {
                    ""
                }
            ));
        }
    };
    checked(url)
}

/// An address with its variables filled in (OpenAPI 3.1, "Server Variable Object").
fn expanded(given: &Given<'_>, written: &str, declared: Option<&Value>) -> Result<String, String> {
    if written.len() > LONGEST {
        return Err("its server has too long an address".to_owned());
    }
    let mut out = String::new();
    let mut rest = written;
    for _ in 0..MOST_VARIABLES {
        let Some((before, after)) = rest.split_once('{') else {
            out.push_str(rest);
            return Ok(out);
        };
        let Some((name, after)) = after.split_once('}') else {
            return Err(format!(
                "its server `{}` has a `{{` too many",
                plain(written, 120)
            ));
        };
        out.push_str(before);
        let variable = declared.and_then(|all| all.get(name));
        let value = match given.variables.get(name) {
            Some(value) => value.as_str(),
            None => variable.and_then(|v| text(v, "default")).ok_or_else(|| {
                let name = plain(name, 60);
                format!("its server needs a value: write `{name} = \"...\"` under `[variables]`")
            })?,
        };
        let options = variable
            .and_then(|v| v.get("enum"))
            .and_then(Value::as_array);
        let options: Vec<&str> = options
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if !options.is_empty() && !options.contains(&value) {
            let options = plain(&options.join(", "), 200);
            return Err(format!(
                "`{name} = \"{value}\"` under `[variables]` is none of what its server knows: {options}"
            ));
        }
        out.push_str(value);
        rest = after;
    }
    Err(format!(
        "its server has more than {MOST_VARIABLES} variables"
    ))
}

/// An address that requests may be sent to at all.
fn checked(mut url: Url) -> Result<Url, String> {
    let shown = plain(url.as_str(), 120);
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!(
            "its server `{shown}` is reached by neither http nor https"
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the address of its server has a user in it".to_owned());
    }
    // Hosts are patterns to those who check them: one with a `*` in it would be every host.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let host = url.host_str().unwrap_or_default();
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let fits = match bare {
        Some(address) => address
            .chars()
            .all(|c| c.is_ascii_hexdigit() || matches!(c, ':' | '.')),
        None => !host.is_empty() && host.chars().all(is_plain),
    };
    if !fits {
        return Err(format!(
            "its server `{shown}` has a host that cannot be one"
        ));
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(
        root: Value,
        base: Option<&str>,
        variables: &[(&str, &str)],
    ) -> Result<String, String> {
        let variables: BTreeMap<String, String> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let base = base.map(|base| Url::parse(base).unwrap());
        let given = Given {
            server: None,
            variables: &variables,
            base: base.as_ref(),
        };
        server(&given, [&json!({}), &json!({}), &root]).map(String::from)
    }

    #[test]
    fn the_nearest_server_counts() {
        let at = |url: &str| json!({ "servers": [{ "url": url }] });
        let given = Given {
            server: None,
            variables: &BTreeMap::new(),
            base: None,
        };
        let (near, far) = (at("https://near.example/v1"), at("https://far.example"));
        let none = json!({ "servers": [] });
        let url = server(&given, [&none, &near, &far]).unwrap();
        assert_eq!(url.as_str(), "https://near.example/v1");
        let own = Given {
            server: Some("https://own.example"),
            ..given
        };
        let url = server(&own, [&none, &near, &far]).unwrap();
        assert_eq!(url.as_str(), "https://own.example/");
    }

    #[test]
    fn relative_servers_are_beside_the_document() {
        for (url, base, expected) in [
            (
                "/v2",
                "https://a.example/docs/openapi.json",
                "https://a.example/v2",
            ),
            (
                ".",
                "https://a.example/docs/openapi.json",
                "https://a.example/docs/",
            ),
            (
                "https://b.example",
                "https://a.example/x",
                "https://b.example/",
            ),
        ] {
            let root = json!({ "servers": [{ "url": url }] });
            assert_eq!(found(root, Some(base), &[]).as_deref(), Ok(expected));
        }
        assert_eq!(
            found(json!({}), Some("https://a.example/x/y"), &[]).as_deref(),
            Ok("https://a.example/")
        );
        let error = found(json!({ "servers": [{ "url": "/v2" }] }), None, &[]).unwrap_err();
        assert!(error.contains("server = \"https://HOST/v2\""), "{error}");
    }

    #[test]
    fn variables_have_defaults_and_options() {
        let root = json!({ "servers": [{
            "url": "https://{region}.example/{version}",
            "variables": {
                "region": { "default": "eu", "enum": ["eu", "us"] },
                "version": { "default": "v1" },
            },
        }] });
        assert_eq!(
            found(root.clone(), None, &[]).as_deref(),
            Ok("https://eu.example/v1")
        );
        let us = found(root.clone(), None, &[("region", "us"), ("version", "v2")]);
        assert_eq!(us.as_deref(), Ok("https://us.example/v2"));
        let error = found(root, None, &[("region", "cn")]).unwrap_err();
        assert!(error.contains("eu, us"), "{error}");
        let none = json!({ "servers": [{ "url": "https://{host}/" }] });
        assert!(found(none, None, &[]).unwrap_err().contains("[variables]"));
    }

    #[test]
    fn hosts_that_are_patterns_and_other_schemes_are_refused() {
        for (url, part) in [
            ("https://*/", "cannot be one"),
            ("https://*.example/", "cannot be one"),
            ("https://{a}/", "[variables]"),
            ("https://a.example/{", "too many"),
            ("ftp://a.example/", "neither"),
            ("file:///etc/passwd", "neither"),
            ("https://u:p@a.example/", "a user in it"),
        ] {
            let error = found(json!({ "servers": [{ "url": url }] }), None, &[]).unwrap_err();
            assert!(error.contains(part), "{url}: {error}");
        }
        let six = found(
            json!({ "servers": [{ "url": "http://[::1]:80/a?b#c" }] }),
            None,
            &[],
        );
        assert_eq!(six.as_deref(), Ok("http://[::1]/a"));
    }
}
