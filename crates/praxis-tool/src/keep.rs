//! What is kept of an answer: JSONPath (RFC 9535), one path or several by name.
//!
//! A path that leads to one place gives what is there, or null; any other gives a list of all that it finds. Left out:
//! how much of it a caller gets (`trim`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use serde_json_path::JsonPath;

/// The most values that one path keeps.
const MOST_VALUES: usize = 10_000;

/// The most `..` of one path: each may look at everything below everything.
const MOST_DESCENTS: usize = 2;

/// The most paths of one answer.
const MOST_PATHS: usize = 32;

/// What is kept of an answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum KeepConfig {
    /// `keep = "$.items[*].name"`
    One(String),
    /// `keep = { names = "$.items[*].name", total = "$.total" }`
    Named(BTreeMap<String, String>),
}

/// What is kept of answers.
#[derive(Debug, Clone)]
pub(crate) enum Keep {
    One(Kept),
    Named(Vec<(String, Kept)>),
}

/// A path.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    path: JsonPath,
    /// Whether it leads to one place.
    single: bool,
}

impl Keep {
    /// Reads the paths.
    ///
    /// # Errors
    /// The path that is none, and why.
    pub fn compile(config: &KeepConfig) -> Result<Self, String> {
        match config {
            KeepConfig::One(text) => Ok(Self::One(Kept::compile(text)?)),
            KeepConfig::Named(paths) if paths.is_empty() || paths.len() > MOST_PATHS => {
                Err(format!("`keep` has 1 to {MOST_PATHS} paths"))
            }
            KeepConfig::Named(paths) => {
                let named = paths
                    .iter()
                    .map(|(name, text)| Ok((name.clone(), Kept::compile(text)?)));
                Ok(Self::Named(named.collect::<Result<_, String>>()?))
            }
        }
    }

    /// What is kept of a value, and the paths that found nothing in it.
    pub fn apply(&self, value: &Value) -> (Value, Vec<String>) {
        let mut lost = Vec::new();
        let mut find = |kept: &Kept| {
            let found = kept.find(value);
            if found.is_none() {
                lost.push(kept.path.to_string());
            }
            found.unwrap_or_else(|| kept.nothing())
        };
        let kept = match self {
            Self::One(kept) => find(kept),
            Self::Named(all) => {
                let mut map = Map::new();
                for (name, kept) in all {
                    map.insert(name.clone(), find(kept));
                }
                Value::Object(map)
            }
        };
        (kept, lost)
    }
}

impl Kept {
    fn compile(text: &str) -> Result<Self, String> {
        let path =
            JsonPath::parse(text).map_err(|error| format!("`{text}` is no JSONPath: {error}"))?;
        let (single, descents) = looks(text);
        if descents > MOST_DESCENTS {
            return Err(format!("`{text}` has more than {MOST_DESCENTS} `..`"));
        }
        Ok(Self { path, single })
    }

    fn find(&self, value: &Value) -> Option<Value> {
        let nodes = self.path.query(value);
        let first = nodes.first()?;
        if self.single {
            return Some(first.clone());
        }
        let all = nodes.iter().take(MOST_VALUES);
        Some(all.copied().cloned().collect())
    }

    fn nothing(&self) -> Value {
        match self.single {
            true => Value::Null,
            false => Value::Array(Vec::new()),
        }
    }
}

/// Whether a path that has been parsed leads to one place, and how many `..` it has. What is in quotes is a name.
fn looks(path: &str) -> (bool, usize) {
    let (mut single, mut descents) = (true, 0);
    let mut quote = None;
    let mut before = ' ';
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => {
                chars.next();
            }
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '*' | '?' | ':' | ',') => single = false,
            (None, '.') if before == '.' => {
                single = false;
                descents += 1;
            }
            (None, _) => {}
        }
        before = c;
    }
    (single, descents)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn one(path: &str) -> Keep {
        Keep::compile(&KeepConfig::One(path.to_owned())).unwrap()
    }

    #[test]
    fn a_path_to_one_place_gives_a_value_and_any_other_a_list() {
        let answer = json!({
            "total": 2,
            "items": [{ "name": "Ada", "age": 36 }, { "name": "Alan", "age": 41 }],
            "a,b*": { "x": 1 },
        });
        for (path, kept) in [
            ("$", answer.clone()),
            ("$.total", json!(2)),
            ("$.items[0].name", json!("Ada")),
            ("$['a,b*']", json!({ "x": 1 })),
            ("$['a,b*'].x", json!(1)),
            ("$.items[*].name", json!(["Ada", "Alan"])),
            ("$.items[?@.age > 40].name", json!(["Alan"])),
            ("$.items[:1].name", json!(["Ada"])),
            ("$..age", json!([36, 41])),
        ] {
            assert_eq!(one(path).apply(&answer), (kept, Vec::new()), "{path}");
        }
    }

    #[test]
    fn several_paths_are_kept_by_name_and_those_that_find_nothing_are_told() {
        let paths = [("names", "$.items[*].name"), ("next", "$.next")];
        let paths = paths.map(|(name, path)| (name.to_owned(), path.to_owned()));
        let keep = Keep::compile(&KeepConfig::Named(BTreeMap::from(paths))).unwrap();
        let (kept, lost) = keep.apply(&json!({ "items": [{ "name": "Ada" }] }));
        assert_eq!(kept, json!({ "names": ["Ada"], "next": null }));
        assert_eq!(lost.len(), 1);
        let (kept, lost) = one("$.items[*]").apply(&json!([]));
        assert_eq!((kept, lost.len()), (json!([]), 1));
    }

    #[test]
    fn what_is_no_path_or_costs_too_much_is_refused() {
        for (path, part) in [
            ("items", "no JSONPath"),
            ("$.a b", "no JSONPath"),
            ("$..a..b..c", "more than 2"),
        ] {
            let error = Keep::compile(&KeepConfig::One(path.to_owned())).unwrap_err();
            assert!(error.contains(part) && error.contains(path), "{error}");
        }
    }
}
