//! Schemas with names: `prompts/Address.schema.yaml` holds Picoschema or JSON Schema, and prompts and
//! other schemas write `Address` where a type is wanted (Dotprompt, "Picoschema": named schemas).
//!
//! They are found by their path in the folder, `shop/Address`. Left out: what a schema says.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use praxis_core::suggest::nearest;
use praxis_core::{Diagnostic, SourceSpan};
use serde_json::{Map, Value};

use crate::dotprompt::{self, read_yaml, to_json_schema};
use crate::version::{Sources, data};

/// What the files of schemas end with; all are read as YAML, which JSON is.
const SUFFIXES: [&str; 3] = [".schema.yaml", ".schema.yml", ".schema.json"];

/// Schemas by name, as JSON Schema.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schemas(BTreeMap<String, Value>);

/// The name of the schema that a file of the folder holds, if it does.
pub(crate) fn schema_name(file: &str) -> Option<&str> {
    let name = SUFFIXES.iter().find_map(|suffix| file.strip_suffix(suffix));
    name.filter(|_| !data::is_outside(file))
}

impl Schemas {
    /// Reads the schemas among `files`; problems call their folder `place`.
    pub fn read(files: &Sources, place: &str, problems: &mut Vec<Diagnostic>) -> Self {
        let mut sources: BTreeMap<&str, Written<'_>> = BTreeMap::new();
        for (file, text) in files {
            let Some(name) = schema_name(file) else {
                continue;
            };
            let shown = format!("{place}/{file}");
            let at = |line: usize| SourceSpan::at(&shown, text, line, 1);
            match read_yaml(text, 0) {
                Ok(map) => {
                    let written = Written { file, map };
                    if let Some(other) = sources.insert(name, written) {
                        let message = format!("`{}` holds a schema of the same name", other.file);
                        problems.push(Diagnostic::error(message).at(at(1)).help("rename one"));
                    }
                }
                Err(flaw) => {
                    let line = flaw.place.map_or(1, |(line, _)| line);
                    let message = flaw.message.replace("the front matter", "the schema");
                    problems.push(Diagnostic::error(message).at(at(line)));
                }
            }
        }
        let reading = Reading {
            sources: &sources,
            done: RefCell::default(),
            open: RefCell::default(),
        };
        for (name, written) in &sources {
            if let Err(Some(problem)) = reading.whole(name) {
                let shown = format!("{place}/{}", written.file);
                let text = &files[written.file];
                problems.push(Diagnostic::error(problem).at(SourceSpan::at(&shown, text, 1, 1)));
            }
        }
        let done = reading.done.into_inner();
        let read = |(name, schema): (String, Read)| Some((name, schema.ok()?));
        Self(done.into_iter().filter_map(read).collect())
    }

    /// The schema of that name, for a place within another one. None also where it refers to parts of
    /// itself, which would be parts of the other one there.
    pub fn within(&self, name: &str) -> Option<Value> {
        self.0
            .get(name)
            .filter(|schema| !refers_to_itself(schema))
            .cloned()
    }

    /// The schema that `source` names, where it is nothing but a name.
    pub fn whole(&self, source: &Value) -> Option<&Value> {
        self.0.get(source.as_str()?.trim())
    }

    /// A diagnostic about a type that is not known, with the names that are.
    pub fn help(&self, diagnostic: Diagnostic) -> Diagnostic {
        if !diagnostic.message.contains("is not a type") {
            return diagnostic;
        }
        // The message names the section first, then the stranger.
        let stranger = diagnostic
            .message
            .split('`')
            .nth(3)
            .unwrap_or_default()
            .to_owned();
        if self.0.contains_key(&stranger) {
            return diagnostic.help(format!(
                "the schema `{stranger}` refers to parts of itself by `$ref: \"#...\"`, so it can only be \
                 used alone"
            ));
        }
        diagnostic.suggest(
            nearest(&stranger, self.0.keys().map(String::as_str)),
            "a type of your own is a file `prompts/NAME.schema.yaml`; it is called by its name",
        )
    }
}

struct Written<'a> {
    file: &'a str,
    map: Map<String, Value>,
}

/// A schema, or what is wrong with it; nothing is said where the fault is another one's.
type Read = Result<Value, Option<String>>;

/// Schemas while they are read: each may name others.
struct Reading<'a> {
    sources: &'a BTreeMap<&'a str, Written<'a>>,
    done: RefCell<BTreeMap<String, Read>>,
    /// Those that are being read, each named by the one before.
    open: RefCell<Vec<String>>,
}

impl Reading<'_> {
    /// The schema of that name; `Ok(Null)` where there is none.
    fn whole(&self, name: &str) -> Read {
        if let Some(done) = self.done.borrow().get(name) {
            return done.clone();
        }
        let Some(written) = self.sources.get(name) else {
            return Ok(Value::Null);
        };
        self.open.borrow_mut().push(name.to_owned());
        let (circle, blamed) = (RefCell::new(None), Cell::new(false));
        let resolve = |wanted: &str| {
            let from = self.open.borrow().iter().position(|open| open == wanted);
            if let Some(from) = from {
                let chain = self.open.borrow()[from..].join("` names `");
                *circle.borrow_mut() = Some(format!("`{chain}` names `{wanted}`: a circle"));
                return None;
            }
            match self.whole(wanted) {
                Ok(Value::Null) => None,
                Ok(schema) => (!refers_to_itself(&schema)).then_some(schema),
                Err(_) => {
                    blamed.set(true);
                    None
                }
            }
        };
        let read = to_json_schema(&Value::Object(written.map.clone()), &resolve);
        self.open.borrow_mut().pop();
        let read = match (circle.into_inner(), read) {
            (Some(circle), _) => Err(Some(circle)),
            (None, Err(_)) if blamed.get() => Err(None),
            (None, read) => read.map_err(|error| Some(error.0)),
        };
        self.done.borrow_mut().insert(name.to_owned(), read.clone());
        read
    }
}

/// Whether a schema refers to parts of its own root.
fn refers_to_itself(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => {
            let own = |value: &Value| value.as_str().is_some_and(|r| r.starts_with('#'));
            map.get("$ref").is_some_and(own) || map.values().any(refers_to_itself)
        }
        Value::Array(list) => list.iter().any(refers_to_itself),
        _ => false,
    }
}

/// The files of the schemas that a prompt uses, by itself or through others; `text` is its file's.
pub(crate) fn used(text: &str, files: &Sources) -> BTreeSet<String> {
    let found = RefCell::new(BTreeSet::new());
    let Ok(document) = dotprompt::parse(text) else {
        return BTreeSet::new();
    };
    let front = document.front;
    for schema in [front.input.schema, front.output.schema]
        .into_iter()
        .flatten()
    {
        collect(&schema, files, &found);
    }
    found.into_inner()
}

fn collect(schema: &Value, files: &Sources, found: &RefCell<BTreeSet<String>>) {
    let resolve = |name: &str| {
        let file = files.keys().find(|file| schema_name(file) == Some(name))?;
        if found.borrow_mut().insert(file.clone())
            && let Ok(map) = read_yaml(&files[file], 0)
        {
            collect(&Value::Object(map), files, found);
        }
        // Any schema will do: only names are looked for, and all of them.
        Some(Value::Bool(true))
    };
    let _ = to_json_schema(schema, &resolve);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn files(all: &[(&str, &str)]) -> Sources {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        all.iter().map(owned).collect()
    }

    fn read(all: &[(&str, &str)]) -> (Schemas, Vec<String>) {
        let mut problems = Vec::new();
        let schemas = Schemas::read(&files(all), "prompts", &mut problems);
        (schemas, problems.into_iter().map(|p| p.message).collect())
    }

    const ADDRESS: (&str, &str) = ("Address.schema.yaml", "street: string\ncity?: string");

    #[test]
    fn schemas_name_each_other_in_any_order() {
        let (schemas, problems) = read(&[
            (
                "A.schema.yaml",
                "homes(array, where): Address\nowner: shop/Person, the owner",
            ),
            ADDRESS,
            (
                "shop/Person.schema.json",
                "{\"type\": \"object\", \"properties\": {}}",
            ),
            ("x.prompt", "no schema"),
        ]);
        assert_eq!(problems, Vec::<String>::new());
        let whole = schemas.within("A").unwrap();
        let homes = &whole["properties"]["homes"];
        assert_eq!(
            homes["items"]["properties"]["street"],
            json!({"type": "string"})
        );
        assert_eq!(whole["properties"]["owner"]["description"], "the owner");
    }

    #[test]
    fn what_is_wrong_with_a_schema_is_said_of_it() {
        for (all, said) in [
            (&[("A.schema.yaml", "b: [")][..], "the schema is not YAML"),
            (&[("A.schema.yaml", "- b")], "the schema is not a mapping"),
            (
                &[("A.schema.yaml", "b: Strin")],
                "`Strin` at `b` is not a type",
            ),
            (&[("A.schema.yaml", "b: A")], "`A` names `A`: a circle"),
            (
                &[("A.schema.yaml", "b: B"), ("B.schema.yaml", "a: A")],
                "`A` names `B` names `A`: a circle",
            ),
            (
                &[ADDRESS, ("Address.schema.json", "{}")],
                "a schema of the same name",
            ),
        ] {
            let (_, problems) = read(all);
            assert!(
                problems.iter().any(|p| p.contains(said)),
                "{said}: {problems:?}"
            );
        }
    }

    #[test]
    fn one_that_refers_to_its_own_parts_is_used_alone_only() {
        let tree = "{\"type\": \"object\", \"properties\": {\"next\": {\"$ref\": \"#\"}}}";
        let (schemas, problems) = read(&[("Tree.schema.json", tree)]);
        assert_eq!(problems, Vec::<String>::new());
        assert!(schemas.within("Tree").is_none());
        assert!(schemas.whole(&json!(" Tree")).is_some());
        let unknown = "in `input.schema`: `Tree` at `a` is not a type; there are string";
        let helped = schemas.help(Diagnostic::error(unknown));
        assert!(format!("{helped:?}").contains("used alone"), "{helped:?}");
    }

    #[test]
    fn a_prompt_uses_the_schemas_that_it_names_and_theirs() {
        let all = files(&[
            ADDRESS,
            ("A.schema.yaml", "homes(array): Address"),
            ("B.schema.yaml", "x: string"),
        ]);
        for (prompt, expected) in [
            (
                "---\noutput:\n  schema: A\n---\nB",
                &["A.schema.yaml", "Address.schema.yaml"][..],
            ),
            (
                "---\ninput:\n  schema:\n    to: Address, where\n---\n",
                &["Address.schema.yaml"],
            ),
            ("no front matter: A", &[]),
        ] {
            let found: Vec<String> = used(prompt, &all).into_iter().collect();
            assert_eq!(found, expected, "{prompt}");
        }
    }
}
