//! Places in a value: `items[0].name`, `items.*.name` or `/items/0/name`.

use serde_json::Value;

/// A place, or several where it has a `*`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Path {
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// A key of an object, or an index of an array in the notation of JSON pointers.
    Name(String),
    /// All items of an array, or all values of an object.
    All,
}

impl Path {
    /// Reads a JSON pointer or a dotted path.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let names: Vec<String> = match text.strip_prefix('/') {
            Some(pointer) => pointer.split('/').map(unescaped).collect(),
            None => {
                let text = text.strip_prefix('$').unwrap_or(text);
                let dotted = text.replace('[', ".").replace(']', "");
                let dotted = dotted.strip_prefix('.').unwrap_or(&dotted);
                dotted.split('.').map(str::to_owned).collect()
            }
        };
        if names.iter().any(String::is_empty) {
            return Err(format!(
                "`{text}` is not a place in the output; write it as `items.*.name` or `/items/0/name`"
            ));
        }
        let steps = names.into_iter().map(|name| match name.as_str() {
            "*" => Step::All,
            _ => Step::Name(name),
        });
        Ok(Self {
            steps: steps.collect(),
        })
    }

    /// The values at this place, each with its path. None where there is no such place.
    pub fn find<'v>(&self, value: &'v Value) -> Vec<(String, &'v Value)> {
        let mut found = vec![(String::new(), value)];
        for step in &self.steps {
            let mut next = Vec::new();
            for (path, value) in found {
                match (step, value) {
                    (Step::Name(name), Value::Object(map)) => {
                        next.extend(map.get(name).map(|v| (key(&path, name), v)));
                    }
                    (Step::Name(name), Value::Array(items)) => {
                        let at = name.parse::<usize>().ok();
                        next.extend(at.and_then(|i| Some((index(&path, i), items.get(i)?))));
                    }
                    (Step::All, Value::Array(items)) => {
                        next.extend(items.iter().enumerate().map(|(i, v)| (index(&path, i), v)));
                    }
                    (Step::All, Value::Object(map)) => {
                        next.extend(map.iter().map(|(k, v)| (key(&path, k), v)));
                    }
                    _ => {}
                }
            }
            found = next;
        }
        found
    }
}

/// The path of an object's field.
pub(crate) fn key(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        _ => format!("{path}.{name}"),
    }
}

/// The path of an array's item.
pub(crate) fn index(path: &str, at: usize) -> String {
    format!("{path}[{at}]")
}

/// A JSON pointer into `value` as a dotted path.
pub(crate) fn dotted(pointer: &str, value: &Value) -> String {
    let (mut path, mut here) = (String::new(), Some(value));
    for name in pointer.split('/').skip(1).map(unescaped) {
        let item = name.parse::<usize>().ok();
        (path, here) = match (here, item) {
            (Some(Value::Array(items)), Some(i)) => (index(&path, i), items.get(i)),
            (Some(Value::Object(map)), _) => (key(&path, &name), map.get(&name)),
            _ => (key(&path, &name), None),
        };
    }
    path
}

/// All that is in a value and has no parts, with its path, in the order of the text.
pub(crate) fn leaves<'v>(path: &str, value: &'v Value, into: &mut Vec<(String, &'v Value)>) {
    match value {
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                leaves(&index(path, i), item, into);
            }
        }
        Value::Object(map) => {
            for (name, item) in map {
                leaves(&key(path, name), item, into);
            }
        }
        leaf => into.push((path.to_owned(), leaf)),
    }
}

/// A name of a JSON pointer (RFC 6901).
pub(crate) fn unescaped(name: &str) -> String {
    name.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places_are_found_in_both_notations() {
        let value = json!({"items": [{"name": "a"}, {"name": "b"}], "x/y": 1});
        for (path, found) in [
            ("items[1].name", &["items[1].name"][..]),
            ("items.1.name", &["items[1].name"]),
            ("/items/1/name", &["items[1].name"]),
            ("items.*.name", &["items[0].name", "items[1].name"]),
            ("$.items[*].name", &["items[0].name", "items[1].name"]),
            ("/x~1y", &["x/y"]),
            ("items.7.name", &[]),
            ("other.*", &[]),
        ] {
            let paths: Vec<String> = Path::parse(path)
                .unwrap()
                .find(&value)
                .into_iter()
                .map(|(p, _)| p)
                .collect();
            assert_eq!(paths, found, "{path}");
        }
        for bad in ["", "a..b", "/a//b", "a."] {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(dotted("/items/0/name", &value), "items[0].name");
        assert_eq!(dotted("", &value), "");
    }
}
