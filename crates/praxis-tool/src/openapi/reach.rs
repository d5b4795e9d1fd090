//! Which operation a service takes a path for. A value can make it another operation's: `me`, where `/users/me` is
//! beside `/users/{id}`, and `7/posts`, at services that decode a path before they take it apart, as those of WSGI do.
//! What a file left out must not be reached that way. Left out: how values are written (`style`).

use std::borrow::Cow;

use reqwest::Method;

use super::choose::matches;
use super::document::{Listed, decoded};
use crate::http::template::steps;

/// The operation that a service may take a request for instead of the one whose template this is. `path` is what its
/// values made of the template, decoded.
pub(super) fn instead<'l>(
    listed: &'l [Listed],
    method: &Method,
    template: &str,
    path: &str,
) -> Option<&'l Listed> {
    let own = read(template);
    let is_own = fits(&own, path);
    listed
        .iter()
        .filter(|other| other.method == *method && other.path != template)
        .find(|other| {
            let other = read(&other.path);
            fits(&other, path) && (!is_own || is_plainer(&other, &own))
        })
}

/// A path as it is once it is decoded.
pub(super) fn read(path: &str) -> Cow<'_, str> {
    decoded(path).map_or(Cow::Borrowed(path), Cow::Owned)
}

/// Whether a path is one of a template.
fn fits(template: &str, path: &str) -> bool {
    let mut here = steps(path);
    let all = steps(template).all(|step| {
        here.next().is_some_and(|here| match step.contains('{') {
            true => matches(&pattern(step), here),
            false => step == here,
        })
    });
    all && here.next().is_none()
}

/// A step of a template as a pattern: `{name}:stop` is `*:stop`.
fn pattern(step: &str) -> String {
    let mut out = String::new();
    let mut rest = step;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((_, after)) = after.split_once('}') else {
            break;
        };
        out.push_str(before);
        out.push('*');
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Whether a template goes before another one that fits as well: it has a fixed text where that has a placeholder
/// (OpenAPI 3.1, "Paths Object").
fn is_plainer(template: &str, other: &str) -> bool {
    let is_open = |step: &str| step.starts_with('{') && step.ends_with('}');
    let first = steps(template)
        .zip(steps(other))
        .find(|(one, other)| is_open(one) != is_open(other));
    first.is_some_and(|(_, other)| is_open(other))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::super::document::Document;
    use super::*;
    use crate::http::template::climbs;

    #[test]
    fn a_path_is_its_own_operations_or_anothers() {
        let templates = [
            "/users/{id}",
            "/users/me",
            "/users/{id}/posts",
            "/users/{user}/posts/{post}",
            "/users/{id}:stop",
            "/files/{path}",
            "/a%20b/{id}",
            "/a%20b/all",
        ];
        let paths: Map<String, serde_json::Value> = templates
            .iter()
            .map(|template| ((*template).to_owned(), json!({ "get": {} })))
            .collect();
        let document = Document::new(json!({ "openapi": "3.1.0", "paths": paths })).unwrap();
        for (template, path, expected) in [
            ("/users/{id}", "/users/7", None),
            ("/users/{id}", "/users/me", Some("/users/me")),
            ("/users/{id}", "/users/Me", None),
            ("/users/me", "/users/me", None),
            ("/users/{id}", "/users/7/posts", Some("/users/{id}/posts")),
            ("/users/{id}", "/users/7//posts/", Some("/users/{id}/posts")),
            ("/users/{id}", "/users/7\\posts", Some("/users/{id}/posts")),
            ("/users/{id}", "/users/7/likes", None),
            ("/users/{id}", "/users/7:stop", Some("/users/{id}:stop")),
            ("/users/{id}:stop", "/users/7:stop", None),
            ("/users/{id}/posts", "/users/7/posts/8/posts", None),
            ("/users/{user}/posts/{post}", "/users/7/posts/8", None),
            ("/files/{path}", "/files/src/main.rs", None),
            ("/a%20b/{id}", "/a b/all", Some("/a%20b/all")),
        ] {
            let found = instead(&document.listed, &Method::GET, template, path);
            let found = found.map(|listed| listed.path.as_str());
            assert_eq!(found, expected, "{template} {path}");
            assert!(instead(&document.listed, &Method::DELETE, template, path).is_none());
        }
    }

    #[test]
    fn steps_that_lead_up_are_seen_wherever_they_are() {
        for (path, up) in [
            ("/users/7", false),
            ("/users/..a/.b", false),
            ("/users/../admin", true),
            ("/users/a\\..\\b", true),
            ("/users/.", true),
        ] {
            assert_eq!(climbs(path), up, "{path}");
        }
    }
}
