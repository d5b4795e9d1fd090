//! Which operations of a document become functions, and what they are called. Left out: reading them.

use praxis_core::Problem;
use praxis_core::suggest::nearest;
use praxis_core::tool::MAX_TOOL_NAME;
use reqwest::Method;

use super::config::{Config, OperationConfig, problem};
use super::document::{Document, Listed};
use crate::text::{Names, identifier, plain};

/// Operations of a document that needs no choice.
const MOST_UNCHOSEN: usize = 64;

/// Functions of one file.
const MOST_FUNCTIONS: usize = 256;

/// Names that are shown in a warning.
const SHOWN: usize = 6;

/// An operation that becomes a function.
pub(super) struct Chosen<'d> {
    /// The function's whole name.
    pub name: String,
    pub listed: &'d Listed,
    pub settings: Option<&'d OperationConfig>,
}

/// The operations that become functions of the file `file`, in the document's order, and what is likely not as meant.
pub(super) fn choose<'d>(
    file: &str,
    config: &'d Config,
    document: &'d Document,
) -> (Vec<Chosen<'d>>, Vec<Problem>) {
    let mut warnings = Vec::new();
    let mut listed = match config.operations.is_empty() {
        true => readers(document, &mut warnings),
        false => named(config, document, &mut warnings),
    };
    if listed.len() > MOST_FUNCTIONS {
        let message = format!(
            "`operations` chooses {} operations; the first {MOST_FUNCTIONS} become functions",
            listed.len()
        );
        let help = "name fewer: no model tells so many apart";
        warnings.push(problem("operations", &message, help));
        listed.truncate(MOST_FUNCTIONS);
    }
    for id in config.settings.keys() {
        if !listed.iter().any(|l| l.is_called(id)) {
            let message = format!("`[operation.{id}]` is about no operation that is chosen");
            let otherwise = "add it to `operations`, or take it out";
            let help = meant(id, document).unwrap_or_else(|| otherwise.to_owned());
            warnings.push(problem(&format!("operation.{id}"), &message, &help));
        }
    }
    let mut names = Names::default();
    let chosen = listed.into_iter().map(|listed| {
        let mut settings = config.settings.iter();
        let settings = settings
            .find(|(id, _)| listed.is_called(id))
            .map(|(_, s)| s);
        let own = settings.and_then(|settings| settings.name.as_deref());
        let name = match own {
            None if single(config).is_some() => file.to_owned(),
            own => below(file, own.unwrap_or(&listed.id), &mut names),
        };
        Chosen {
            name,
            listed,
            settings,
        }
    });
    (chosen.collect(), warnings)
}

/// The names of the functions, as far as the file alone tells them: where each operation is named by its id.
pub(super) fn names_without_document(file: &str, config: &Config) -> Option<Vec<String>> {
    let mut names = Names::default();
    let name = |operation: &String| {
        let own = config
            .settings
            .get(operation)
            .and_then(|s| s.name.as_deref());
        match own {
            Some(own) => Some(below(file, own, &mut names)),
            None if single(config).is_some() => Some(file.to_owned()),
            None if operation.contains(['*', ' ']) => None,
            None => Some(below(
                file,
                &identifier(operation, MAX_TOOL_NAME),
                &mut names,
            )),
        }
    };
    let all: Option<Vec<String>> = config.operations.iter().map(name).collect();
    all.filter(|names| !names.is_empty())
}

/// The only operation that a file names. Its function is called like the file, whatever else the document has.
fn single(config: &Config) -> Option<&str> {
    match config.operations.as_slice() {
        [one] if !one.contains('*') => Some(one),
        _ => None,
    }
}

/// A function's name below that of its file. Together they are as long as models take at most.
fn below(file: &str, name: &str, names: &mut Names) -> String {
    let room = MAX_TOOL_NAME.saturating_sub(file.len() + 1).max(8);
    let name = names.give(&identifier(name, room), room);
    format!("{file}/{name}")
}

/// All that only read, unless there are too many to choose for somebody.
fn readers<'d>(document: &'d Document, warnings: &mut Vec<Problem>) -> Vec<&'d Listed> {
    let count = document.listed.len();
    if count > MOST_UNCHOSEN {
        let message = format!(
            "the document has {}{count} operations, and `operations` chooses none of them",
            if document.more { "more than " } else { "" }
        );
        let shown: Vec<String> = document
            .listed
            .iter()
            .take(SHOWN)
            .map(|listed| format!("\"{}\"", listed.id))
            .collect();
        let help = format!(
            "choose some: `operations = [{}]`, with `*` for many",
            shown.join(", ")
        );
        warnings.push(problem("operations", &message, &help));
        return Vec::new();
    }
    let reads = |listed: &&Listed| {
        !listed.deprecated && [Method::GET, Method::HEAD].contains(&listed.method)
    };
    let all: Vec<&Listed> = document.listed.iter().filter(reads).collect();
    if all.is_empty() {
        let message = "the document has no operation that only reads";
        let help = "name those that are meant: `operations = [\"createUser\"]`";
        warnings.push(problem("operations", message, help));
    }
    all
}

/// Those that the file names.
fn named<'d>(
    config: &Config,
    document: &'d Document,
    warnings: &mut Vec<Problem>,
) -> Vec<&'d Listed> {
    let mut chosen = vec![false; document.listed.len()];
    for pattern in &config.operations {
        let mut found = false;
        for (listed, chosen) in document.listed.iter().zip(&mut chosen) {
            // What is of the past is not chosen by a pattern, and is by its name.
            let fits = listed.is_called(pattern)
                || pattern.contains('*')
                    && !listed.deprecated
                    && (matches(pattern, &listed.id) || matches(pattern, &listed.label()));
            *chosen |= fits;
            found |= fits;
        }
        if !found {
            let message = format!("the document has no operation `{}`", plain(pattern, 80));
            let otherwise = "name it by its `operationId`, or as `GET /path`";
            let help = meant(pattern, document).unwrap_or_else(|| otherwise.to_owned());
            warnings.push(problem("operations", &message, &help));
        }
    }
    let all = document.listed.iter().zip(chosen);
    all.filter(|(_, chosen)| *chosen)
        .map(|(listed, _)| listed)
        .collect()
}

/// The question whether a near id was meant.
fn meant(name: &str, document: &Document) -> Option<String> {
    if document.listed.len() > 2000 || name.len() > 100 {
        return None;
    }
    let near = nearest(
        name,
        document.listed.iter().map(|listed| listed.id.as_str()),
    )?;
    Some(format!("did you mean `{near}`?"))
}

/// Whether a text is of a pattern, whose `*` stand for any texts.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut last = None;
    for piece in pieces {
        if let Some(before) = last.replace(piece) {
            match rest.find(before) {
                Some(at) => rest = &rest[at + before.len()..],
                None => return false,
            }
        }
    }
    match last {
        Some(last) => rest.ends_with(last),
        None => rest.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn config(operations: &[&str], more: &str) -> Config {
        let text = format!("document = 'x'\noperations = {operations:?}\n{more}");
        toml::from_str(&text).unwrap()
    }

    fn shop() -> Document {
        Document::new(json!({ "openapi": "3.0.0", "paths": {
            "/users": { "get": { "operationId": "listUsers" }, "post": { "operationId": "createUser" } },
            "/users/{id}": {
                "get": { "operationId": "getUser" },
                "delete": { "operationId": "deleteUser" },
                "head": {},
            },
            "/old": { "get": { "operationId": "getOld", "deprecated": true } },
        } }))
        .unwrap()
    }

    fn names(config: &Config) -> (Vec<String>, Vec<String>) {
        let document = shop();
        let (chosen, warnings) = choose("crm", config, &document);
        let warnings = warnings.iter().map(ToString::to_string).collect();
        (chosen.into_iter().map(|c| c.name).collect(), warnings)
    }

    #[test]
    fn patterns_are_matched_from_end_to_end() {
        for (pattern, text, fits) in [
            ("list*", "listUsers", true),
            ("*User", "getUser", true),
            ("*User", "getUsers", false),
            ("GET /users/*", "GET /users/{id}/posts", true),
            ("* /users*", "DELETE /users/{id}", true),
            ("*", "", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "ac", false),
            ("ab*b", "ab", false),
            ("a", "ab", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn what_only_reads_is_chosen_where_nothing_is_said() {
        let (names, warnings) = names(&config(&[], ""));
        assert_eq!(names, ["crm/listUsers", "crm/getUser", "crm/head_users_id"]);
        assert!(warnings.is_empty(), "{warnings:?}");
    }

    #[test]
    fn operations_are_named_by_id_by_path_or_by_pattern() {
        for (operations, expected) in [
            (
                vec!["deleteUser", "GET /users"],
                vec!["crm/listUsers", "crm/deleteUser"],
            ),
            (
                vec!["*User"],
                vec!["crm/createUser", "crm/getUser", "crm/deleteUser"],
            ),
            (vec!["GET *"], vec!["crm/listUsers", "crm/getUser"]),
            (vec!["getOld", "getUser"], vec!["crm/getUser", "crm/getOld"]),
            (vec!["getUser"], vec!["crm"]),
            (vec!["GET /users/{id}"], vec!["crm"]),
        ] {
            let (names, warnings) = names(&config(&operations, ""));
            assert_eq!(names, expected, "{operations:?}");
            assert!(warnings.is_empty(), "{warnings:?}");
        }
    }

    #[test]
    fn names_of_a_persons_own_go_first() {
        let config = config(
            &["getUser"],
            "[operation.\"GET /users/{id}\"]\nname = 'find'",
        );
        assert_eq!(names(&config).0, ["crm/find"]);
        let long = "x".repeat(40);
        let document = shop();
        let (chosen, _) = choose(&long, &config, &document);
        assert_eq!(chosen[0].name, format!("{long}/find"));
    }

    #[test]
    fn what_is_likely_not_meant_is_told() {
        let (names, warnings) = names(&config(
            &["getUsers", "listUsers"],
            "[operation.lost]\nname = 'a'",
        ));
        assert_eq!(names, ["crm/listUsers"]);
        assert!(
            warnings[0].contains("`getUsers`") && warnings[0].contains("did you mean `getUser`"),
            "{warnings:?}"
        );
        assert!(warnings[1].contains("operation.lost"), "{warnings:?}");
    }

    #[test]
    fn a_large_document_needs_a_choice() {
        let paths: Map<String, serde_json::Value> = (0..300)
            .map(|i| {
                (
                    format!("/a{i}"),
                    json!({ "get": { "operationId": "same" } }),
                )
            })
            .collect();
        let document = Document::new(json!({ "openapi": "3.1.0", "paths": paths })).unwrap();
        let unchosen = config(&[], "");
        let (chosen, warnings) = choose("big", &unchosen, &document);
        assert!(chosen.is_empty());
        let told = warnings[0].to_string();
        assert!(
            told.contains("300 operations") && told.contains("\"same\", \"same_2\""),
            "{told}"
        );
        let all = config(&["*"], "");
        let (chosen, warnings) = choose("big", &all, &document);
        assert_eq!(
            (chosen.len(), chosen[255].name.as_str()),
            (256, "big/same_256")
        );
        assert!(warnings[0].message.contains("300"), "{warnings:?}");
    }

    #[test]
    fn names_are_known_without_a_document_where_ids_are_given() {
        let known = |operations: &[&str], more: &str| {
            names_without_document("crm", &config(operations, more))
        };
        assert_eq!(known(&["getUser", "list users"], ""), None);
        assert_eq!(
            known(&["getUser", "a.b"], ""),
            Some(vec!["crm/getUser".into(), "crm/a_b".into()])
        );
        assert_eq!(known(&["GET /x"], ""), Some(vec!["crm".into()]));
        assert_eq!(
            known(&["GET /x"], "[operation.\"GET /x\"]\nname = 'x'"),
            Some(vec!["crm/x".into()])
        );
        assert_eq!(known(&["get*"], ""), None);
        assert_eq!(known(&[], ""), None);
    }
}
