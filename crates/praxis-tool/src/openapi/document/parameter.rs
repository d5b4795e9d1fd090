//! The parameters of an operation, and the pieces of its path (OpenAPI 3.1, "Parameter Object").
//!
//! Left out are parameters that are not a caller's to give: those of connections, those that credentials fill, and
//! those of the past that nobody has to give.

use reqwest::header::HeaderName;
use serde_json::{Map, Value, json};

use super::super::request::{Piece, Place};
use super::super::style::{Style, Writing};
use super::schema::{Converter, small};
use super::{Document, is, text};
use crate::text::plain;

/// Parameters of one operation, characters of a name, and pieces of a path.
const MOST: usize = 100;
const LONGEST_NAME: usize = 200;
const MOST_PIECES: usize = 64;

/// Headers that a request has anyway, or that say how it travels; a document has no word in them.
const OWN_HEADERS: [&str; 18] = [
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "origin",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A parameter as a document has it.
pub(super) struct Declared {
    pub name: String,
    pub place: Place,
    pub writing: Writing,
    pub json: bool,
    pub required: bool,
    pub schema: Value,
}

/// What stands in a path, and the parameters of an operation in their order. A placeholder without a parameter is one
/// that takes a text.
///
/// # Errors
/// What about them cannot be read.
pub(super) fn parameters<'d>(
    document: &'d Document,
    path: &str,
    lists: [&'d Value; 2],
    filled: Option<&(Place, String)>,
    converter: &mut Converter<'d>,
) -> Result<(Vec<Piece>, Vec<Declared>), String> {
    let mut found: Vec<(&'d str, Place, &'d Value)> = Vec::new();
    let listed = lists
        .iter()
        .filter_map(|value| value.get("parameters")?.as_array())
        .flatten();
    for written in listed {
        let parameter = document.resolved(written)?;
        let (Some(name), Some(place)) = (text(parameter, "name"), place(parameter)) else {
            return Err("one of its parameters has no name or no place".to_owned());
        };
        // An operation's own parameter goes before one that its path has for all.
        found.retain(|(n, p, _)| !(*n == name && *p == place));
        found.push((name, place, parameter));
        if found.len() > MOST {
            return Err(format!("it has more than {MOST} parameters"));
        }
    }
    let template = template(path)?;
    let mut declared = Vec::new();
    for (name, place, parameter) in found {
        let in_path = template.contains(&Part::Name(name));
        let is_theirs = match place {
            Place::Path => in_path,
            Place::Header => !is_own_header(name),
            Place::Query | Place::Cookie => true,
        };
        let is_filled = filled.is_some_and(|(at, key)| *at == place && is_same(place, key, name));
        let required = place == Place::Path || is(parameter, "required");
        let is_past = !required && is(parameter, "deprecated");
        if is_theirs && !is_filled && !is_past {
            declared.push(one(name, place, required, parameter, converter)?);
        }
    }
    let mut pieces = Vec::new();
    for part in template {
        match part {
            Part::Text(text) => pieces.push(Piece::Text(literal(text))),
            Part::Name(name) => {
                let same = |d: &Declared| d.place == Place::Path && d.name == name;
                let at = declared.iter().position(same).unwrap_or(declared.len());
                if at == declared.len() {
                    declared.push(implied(name));
                }
                pieces.push(Piece::Parameter(at));
            }
        }
    }
    Ok((pieces, declared))
}

fn place(parameter: &Value) -> Option<Place> {
    Some(match text(parameter, "in")? {
        "path" => Place::Path,
        "query" => Place::Query,
        "header" => Place::Header,
        "cookie" => Place::Cookie,
        _ => return None,
    })
}

fn is_own_header(name: &str) -> bool {
    OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name))
}

fn is_same(place: Place, one: &str, other: &str) -> bool {
    match place {
        Place::Header => one.eq_ignore_ascii_case(other),
        _ => one == other,
    }
}

fn one<'d>(
    name: &str,
    place: Place,
    required: bool,
    parameter: &'d Value,
    converter: &mut Converter<'d>,
) -> Result<Declared, String> {
    let shown = plain(name, 60);
    let is_header = place == Place::Header;
    if name.is_empty()
        || name.len() > LONGEST_NAME
        || is_header && HeaderName::from_bytes(name.as_bytes()).is_err()
    {
        return Err(format!("`{shown}` cannot be the name of a parameter"));
    }
    let content = parameter.get("content").and_then(Value::as_object);
    let (schema, json) = match content.and_then(|content| content.iter().next()) {
        Some((media, content)) => (content.get("schema"), media.contains("json")),
        None => (parameter.get("schema"), false),
    };
    let mut schema = match schema {
        Some(schema) => converter
            .convert(schema)
            .map_err(|why| format!("its parameter `{shown}`: {why}"))?,
        None => json!({}),
    };
    if let Value::Object(map) = &mut schema {
        describe(map, parameter);
        if place == Place::Path {
            not_empty(map);
        }
    }
    Ok(Declared {
        name: name.to_owned(),
        place,
        writing: writing(place, parameter),
        json,
        required,
        schema,
    })
}

/// A placeholder that no parameter is declared for.
fn implied(name: &str) -> Declared {
    Declared {
        name: name.to_owned(),
        place: Place::Path,
        writing: Writing::SIMPLE,
        json: false,
        required: true,
        schema: json!({ "type": "string", "minLength": 1 }),
    }
}

/// What the parameter says of itself goes before what its schema says.
fn describe(schema: &mut Map<String, Value>, parameter: &Value) {
    let described = plain(text(parameter, "description").unwrap_or_default(), 240);
    if !described.is_empty() {
        schema.insert("description".to_owned(), json!(described));
    }
    if let Some(example) = parameter.get("example").and_then(small) {
        schema.insert("examples".to_owned(), json!([example]));
    }
}

/// A text in a path has a character at least: without it, the path is another one.
fn not_empty(schema: &mut Map<String, Value>) {
    let is_text = schema.get("type").and_then(Value::as_str) == Some("string");
    let least = schema.get("minLength").and_then(Value::as_u64);
    if is_text && least.is_none_or(|least| least == 0) && !schema.contains_key("enum") {
        schema.insert("minLength".to_owned(), json!(1));
    }
}

/// How a parameter is written; what its place does not know counts as not said.
fn writing(place: Place, parameter: &Value) -> Writing {
    let usual = match place {
        Place::Path | Place::Header => Writing::SIMPLE,
        Place::Query | Place::Cookie => Writing::FORM,
    };
    let style = text(parameter, "style").and_then(Style::named);
    let style = style.filter(|style| match place {
        Place::Path => matches!(style, Style::Simple | Style::Label | Style::Matrix),
        Place::Query => matches!(
            style,
            Style::Form | Style::Space | Style::Pipe | Style::Deep
        ),
        Place::Header => *style == Style::Simple,
        Place::Cookie => *style == Style::Form,
    });
    let style = style.unwrap_or(usual.style);
    let explode = parameter.get("explode").and_then(Value::as_bool);
    Writing {
        style,
        explode: explode.unwrap_or(style == Style::Form),
        reserved: place == Place::Query && is(parameter, "allowReserved"),
    }
}

/// How a field of a form is written, where its document says so (OpenAPI 3.1, "Encoding Object").
pub(super) fn field_writing(encoding: &Value) -> Option<Writing> {
    let said = ["style", "explode", "allowReserved"];
    said.iter()
        .any(|key| encoding.get(key).is_some())
        .then(|| writing(Place::Query, encoding))
}

/// A part of a path's template.
#[derive(Debug, PartialEq, Eq)]
enum Part<'p> {
    Text(&'p str),
    Name(&'p str),
}

fn template(path: &str) -> Result<Vec<Part<'_>>, String> {
    let mut parts = Vec::new();
    let mut rest = path;
    for _ in 0..MOST_PIECES {
        let Some((before, after)) = rest.split_once('{') else {
            parts.push(Part::Text(rest));
            return Ok(parts);
        };
        let Some((name, after)) = after.split_once('}').filter(|(name, _)| !name.is_empty()) else {
            return Err("its path has a `{` without a name and a `}`".to_owned());
        };
        parts.extend([Part::Text(before), Part::Name(name)]);
        rest = after;
    }
    Err(format!("its path has more than {MOST_PIECES} placeholders"))
}

/// The fixed text of a path, with what a URL would change or read otherwise encoded.
fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::schema::Direction;
    use super::*;

    fn read(
        path: &str,
        shared: Value,
        own: Value,
        filled: Option<(Place, String)>,
    ) -> Result<(Vec<Piece>, Vec<Declared>), String> {
        let (shared, own) = (
            json!({ "parameters": shared }),
            json!({ "parameters": own }),
        );
        let root = json!({ "openapi": "3.0.0", "shared": shared, "own": own });
        let document = Document::new(root)?;
        let (shared, own) = (document.at("#/shared")?, document.at("#/own")?);
        let mut converter = Converter::new(&document, Direction::Input);
        parameters(
            &document,
            path,
            [shared, own],
            filled.as_ref(),
            &mut converter,
        )
    }

    fn names(declared: &[Declared]) -> Vec<&str> {
        declared.iter().map(|d| d.name.as_str()).collect()
    }

    #[test]
    fn an_operations_own_parameter_goes_before_its_paths() {
        let (pieces, declared) = read(
            "/a b/{id}/x{more}",
            json!([
                { "name": "id", "in": "path", "schema": { "type": "string" } },
                { "name": "page", "in": "query", "schema": { "type": "string" } },
            ]),
            json!([
                { "name": "page", "in": "query", "required": true, "schema": { "type": "integer" }, "example": 2 },
            ]),
            None,
        )
        .unwrap();
        assert_eq!(names(&declared), ["id", "page", "more"]);
        assert_eq!(
            declared[0].schema,
            json!({ "type": "string", "minLength": 1 })
        );
        assert_eq!(
            declared[1].schema,
            json!({ "type": "integer", "examples": [2] })
        );
        assert!(declared.iter().all(|d| d.required));
        let shown: Vec<String> = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Parameter(at) => at.to_string(),
            })
            .collect();
        assert_eq!(shown, ["/a%20b/", "0", "/x", "2", ""]);
    }

    #[test]
    fn what_is_not_a_callers_to_give_is_left_out() {
        let (_, declared) = read(
            "/a",
            json!([]),
            json!([
                { "name": "Authorization", "in": "header", "required": true },
                { "name": "host", "in": "header" },
                { "name": "X-Api-Key", "in": "header", "required": true },
                { "name": "X-Trace", "in": "header" },
                { "name": "old", "in": "query", "deprecated": true },
                { "name": "needed", "in": "query", "deprecated": true, "required": true },
                { "name": "ghost", "in": "path" },
            ]),
            Some((Place::Header, "x-api-key".to_owned())),
        )
        .unwrap();
        assert_eq!(names(&declared), ["X-Trace", "needed"]);
    }

    #[test]
    fn styles_are_those_of_the_place() {
        for (place, parameter, style, explode) in [
            (Place::Query, json!({}), Style::Form, true),
            (
                Place::Query,
                json!({ "style": "pipeDelimited" }),
                Style::Pipe,
                false,
            ),
            (
                Place::Query,
                json!({ "style": "matrix" }),
                Style::Form,
                true,
            ),
            (
                Place::Query,
                json!({ "explode": false }),
                Style::Form,
                false,
            ),
            (
                Place::Path,
                json!({ "style": "label", "explode": true }),
                Style::Label,
                true,
            ),
            (
                Place::Path,
                json!({ "style": "form" }),
                Style::Simple,
                false,
            ),
            (
                Place::Header,
                json!({ "style": "form" }),
                Style::Simple,
                false,
            ),
            (Place::Cookie, json!({}), Style::Form, true),
        ] {
            let written = writing(place, &parameter);
            assert_eq!(
                (written.style, written.explode),
                (style, explode),
                "{parameter}"
            );
        }
        assert_eq!(field_writing(&json!({ "contentType": "text/plain" })), None);
        assert!(field_writing(&json!({ "style": "deepObject" })).is_some());
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        for (path, own, part) in [
            ("/a/{", json!([]), "without a name"),
            ("/a/{}", json!([]), "without a name"),
            ("/a", json!([{ "in": "query" }]), "no name"),
            ("/a", json!([{ "name": "a", "in": "body" }]), "no place"),
            ("/a", json!([{ "name": "a b", "in": "header" }]), "`a b`"),
            ("/a", json!([{ "$ref": "#/nowhere" }]), "not there"),
        ] {
            let error = read(path, json!([]), own, None).err().unwrap();
            assert!(error.contains(part), "{error}");
        }
    }
}
