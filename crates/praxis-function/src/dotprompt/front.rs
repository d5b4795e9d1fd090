//! A document's front matter, and where its template begins.
//!
//! Left out: what the schemas say (`picoschema`) and what extension keys mean (the application's).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A parsed document.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Document {
    /// What stands between the two lines of `---`.
    pub front: FrontMatter,
    /// The Handlebars template after it.
    pub template: String,
    /// Byte of the source at which the template begins.
    pub template_start: usize,
    /// Values of the front matter that are not what their key wants; the key is then as if absent.
    pub flaws: Vec<FrontFlaw>,
}

/// The front matter, by the names of the specification.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FrontMatter {
    /// Name, where the file's is not it.
    pub name: Option<String>,
    /// Name of the variant.
    pub variant: Option<String>,
    /// Version.
    pub version: Option<String>,
    /// What the prompt does.
    pub description: Option<String>,
    /// The model to ask.
    pub model: Option<String>,
    /// How the model is set; its keys are the model's business.
    pub config: Map<String, Value>,
    /// What the prompt takes.
    pub input: Input,
    /// What it gives.
    pub output: Output,
    /// Names of tools that the model may call.
    pub tools: Vec<String>,
    /// Tools defined in place.
    pub tool_defs: Vec<Value>,
    /// How many rounds of tool calls there may be.
    pub max_turns: Option<u64>,
    /// Free data.
    pub metadata: Map<String, Value>,
    /// Namespaced keys: `a.b.c: x` is `ext["a.b"]["c"]`, as in the reference implementation.
    pub ext: BTreeMap<String, Map<String, Value>>,
    /// All keys as they were written.
    pub raw: Map<String, Value>,
}

/// `input` of the front matter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Input {
    /// Picoschema or JSON Schema, as written.
    pub schema: Option<Value>,
    /// Values where the caller gives none.
    pub default: Map<String, Value>,
}

/// `output` of the front matter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Output {
    /// `json`, `text` or what else the application knows.
    pub format: Option<String>,
    /// Picoschema or JSON Schema, as written.
    pub schema: Option<Value>,
}

/// A mistake in the front matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrontFlaw {
    /// The key whose value is not right, dotted; empty where the front matter as a whole is not.
    pub key: String,
    /// Line and column (from 1) in the source, where they are known.
    pub place: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
}

/// Splits and reads a document. A document without front matter is all template.
///
/// # Errors
/// The front matter is not YAML, or not a mapping.
pub fn parse(source: &str) -> Result<Document, FrontFlaw> {
    let Some(parts) = split(source) else {
        // As in the reference: without front matter nothing is trimmed.
        let template = source.trim_start_matches('\u{feff}');
        return Ok(Document {
            template: template.to_owned(),
            template_start: source.len() - template.len(),
            ..Document::default()
        });
    };
    let yaml = &source[parts.front.clone()];
    let first_line = source[..parts.front.start].matches('\n').count();
    let raw = read_yaml(yaml, first_line)?;
    let body = &source[parts.body..];
    let template = body.trim();
    let (front, flaws) = interpret(raw);
    Ok(Document {
        front,
        template: template.to_owned(),
        template_start: parts.body + (body.len() - body.trim_start().len()),
        flaws,
    })
}

struct Parts {
    front: std::ops::Range<usize>,
    body: usize,
}

/// The front matter and the body. Blank lines and `#` lines (a licence's) may precede the first `---`.
fn split(source: &str) -> Option<Parts> {
    let start = source.len() - source.trim_start_matches('\u{feff}').len();
    let mut at = start;
    let mut front = None;
    for line in source[start..].split_inclusive('\n') {
        let next = at + line.len();
        let text = line.trim_end();
        match front {
            None if text == "---" && line.starts_with("---") => front = Some(next),
            None if text.is_empty() || line.starts_with('#') => {}
            None => return None,
            Some(first) if text == "---" && line.starts_with("---") => {
                return Some(Parts {
                    front: first..at,
                    body: next,
                });
            }
            Some(_) => {}
        }
        at = next;
    }
    None
}

/// Reads a mapping as front matter is read; `lines_before` are those of the file before it.
pub(crate) fn read_yaml(yaml: &str, lines_before: usize) -> Result<Map<String, Value>, FrontFlaw> {
    if yaml.trim().is_empty() {
        return Ok(Map::new());
    }
    // YAML 1.2, as the reference reads it: in 1.1 `n`, `y` and `no` are booleans.
    let options = serde_saphyr::options! {
        strict_booleans: true,
        underscored_numbers_as_strings: true,
    };
    match serde_saphyr::from_str_with_options::<Value>(yaml, options) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(FrontFlaw {
            key: String::new(),
            place: Some((lines_before + 1, 1)),
            message: "the front matter is not a mapping".to_owned(),
        }),
        Err(error) => {
            let (line, column) = error
                .location()
                .map_or((1, 1), |l| (l.line() as usize, l.column() as usize));
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            Err(FrontFlaw {
                key: String::new(),
                place: Some((lines_before + line, column)),
                message: format!("the front matter is not YAML: {first}"),
            })
        }
    }
}

/// Reads values by key and notes those of the wrong kind.
struct Reader {
    raw: Map<String, Value>,
    flaws: Vec<FrontFlaw>,
}

impl Reader {
    fn wrong(&mut self, key: &str, wanted: &str) {
        self.flaws.push(FrontFlaw {
            key: key.to_owned(),
            place: None,
            message: format!("`{key}` must be {wanted}"),
        });
    }

    /// The value at a dotted key, unless it is absent or null.
    fn value(&self, key: &str) -> Option<Value> {
        let value = match key.split_once('.') {
            Some((outer, inner)) => self.raw.get(outer)?.get(inner)?,
            None => self.raw.get(key)?,
        };
        (!value.is_null()).then(|| value.clone())
    }

    /// A text; numbers are taken for one, as in `version: 2`.
    fn text(&mut self, key: &str) -> Option<String> {
        match self.value(key)? {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            _ => {
                self.wrong(key, "a text");
                None
            }
        }
    }

    fn map(&mut self, key: &str) -> Map<String, Value> {
        match self.value(key) {
            None => Map::new(),
            Some(Value::Object(map)) => map,
            Some(_) => {
                self.wrong(key, "a mapping of `key: value`");
                Map::new()
            }
        }
    }

    fn list(&mut self, key: &str) -> Vec<Value> {
        match self.value(key) {
            None => Vec::new(),
            Some(Value::Array(list)) => list,
            Some(_) => {
                self.wrong(key, "a list");
                Vec::new()
            }
        }
    }
}

fn interpret(raw: Map<String, Value>) -> (FrontMatter, Vec<FrontFlaw>) {
    let mut reader = Reader {
        raw,
        flaws: Vec::new(),
    };
    let tools = reader.list("tools");
    if tools.iter().any(|t| !t.is_string()) {
        reader.wrong("tools", "a list of names");
    }
    let max_turns = reader.value("maxTurns");
    if max_turns.as_ref().is_some_and(|n| !n.is_u64()) {
        reader.wrong("maxTurns", "a whole number");
    }
    // Only noted where it is not a mapping: its keys are read one by one.
    for key in ["input", "output"] {
        reader.map(key);
    }
    let mut ext: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for (key, value) in &reader.raw {
        if let Some((namespace, field)) = key.rsplit_once('.') {
            let fields = ext.entry(namespace.to_owned()).or_default();
            fields.insert(field.to_owned(), value.clone());
        }
    }
    let front = FrontMatter {
        name: reader.text("name"),
        variant: reader.text("variant"),
        version: reader.text("version"),
        description: reader.text("description"),
        model: reader.text("model"),
        config: reader.map("config"),
        input: Input {
            schema: reader.value("input.schema"),
            default: reader.map("input.default"),
        },
        output: Output {
            format: reader.text("output.format"),
            schema: reader.value("output.schema"),
        },
        tools: tools
            .into_iter()
            .filter_map(|t| t.as_str().map(str::to_owned))
            .collect(),
        tool_defs: reader.list("toolDefs"),
        max_turns: max_turns.and_then(|n| n.as_u64()),
        metadata: reader.map("metadata"),
        ext,
        raw: std::mem::take(&mut reader.raw),
    };
    (front, reader.flaws)
}
