//! How values are written into paths, queries, headers, cookies and forms (OpenAPI 3.1, "Style Values" and "Style
//! Examples"; RFC 6570).
//!
//! Where the specification leaves a case open: null is left out, a value inside of a value is JSON text, and
//! `deepObject` goes on with brackets (`a[b][c]=1`) and repeats a name for each item of a list. Left out: which
//! parameters there are.

use serde_json::{Map, Number, Value};

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `3,4,5`
    Simple,
    /// `.3.4.5`
    Label,
    /// `;id=3,4,5`
    Matrix,
    /// `id=3&id=4`
    Form,
    /// `id=3%204`
    Space,
    /// `id=3|4`
    Pipe,
    /// `id[role]=admin`
    Deep,
}

impl Style {
    /// The style of that name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "simple" => Self::Simple,
            "label" => Self::Label,
            "matrix" => Self::Matrix,
            "form" => Self::Form,
            "spaceDelimited" => Self::Space,
            "pipeDelimited" => Self::Pipe,
            "deepObject" => Self::Deep,
            _ => return None,
        })
    }
}

/// How the values of one parameter are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Writing {
    pub style: Style,
    /// Whether each item and each field stands for itself.
    pub explode: bool,
    /// Whether characters that mean something in a URL stay as they are.
    pub reserved: bool,
}

impl Writing {
    /// As forms and queries are written where nothing else is said.
    pub const FORM: Self = Self {
        style: Style::Form,
        explode: true,
        reserved: false,
    };

    /// As paths and headers are written where nothing else is said.
    pub const SIMPLE: Self = Self {
        style: Style::Simple,
        explode: false,
        reserved: false,
    };

    /// A value as a part of a path; empty where there is nothing to write.
    pub fn path(self, name: &str, value: &Value) -> String {
        let encoded = |text: &str| encode(text, self.reserved);
        let name = encoded(name);
        let parts = Parts::of(value, &encoded);
        match self.style {
            Style::Label => match (parts, self.explode) {
                (Parts::One(text), _) => format!(".{text}"),
                (Parts::Items(items), true) => each(".", &items),
                (Parts::Fields(fields), true) => each(".", &assigned(&fields)),
                (parts, _) if parts.is_empty() => String::new(),
                (parts, _) => format!(".{}", parts.joined(",")),
            },
            Style::Matrix => match (parts, self.explode) {
                (Parts::One(text), _) => format!(";{name}={text}"),
                (Parts::Items(items), true) => {
                    let all: Vec<String> = items.iter().map(|i| format!("{name}={i}")).collect();
                    each(";", &all)
                }
                (Parts::Fields(fields), true) => each(";", &assigned(&fields)),
                (parts, _) if parts.is_empty() => String::new(),
                (parts, _) => format!(";{name}={}", parts.joined(",")),
            },
            _ => parts.simple(self.explode),
        }
    }

    /// A value as `name=value` pairs of a query or a form, encoded.
    pub fn pairs(self, name: &str, value: &Value) -> Vec<String> {
        let encoded = |text: &str| encode(text, self.reserved);
        if self.style == Style::Deep && value.is_object() {
            let mut all = Vec::new();
            deep(&encoded(name), value, &encoded, &mut all);
            return all;
        }
        let name = encoded(name);
        let between = match self.style {
            Style::Space => "%20",
            Style::Pipe => "%7C",
            _ => ",",
        };
        match Parts::of(value, &encoded) {
            Parts::None => Vec::new(),
            Parts::One(text) => vec![format!("{name}={text}")],
            Parts::Items(items) if self.explode => {
                items.iter().map(|item| format!("{name}={item}")).collect()
            }
            Parts::Fields(fields) if self.explode => assigned(&fields),
            parts if parts.is_empty() => Vec::new(),
            parts => vec![format!("{name}={}", parts.joined(between))],
        }
    }

    /// A value as that of a header.
    pub fn header(self, value: &Value) -> String {
        Parts::of(value, &|text: &str| text.to_owned()).simple(self.explode)
    }
}

/// A value in pieces that are written one after the other.
enum Parts {
    None,
    One(String),
    Items(Vec<String>),
    Fields(Vec<(String, String)>),
}

impl Parts {
    fn of(value: &Value, encoded: &dyn Fn(&str) -> String) -> Self {
        match value {
            Value::Null => Self::None,
            Value::Array(items) => {
                let there = items.iter().filter(|item| !item.is_null());
                Self::Items(there.map(|item| encoded(&scalar(item))).collect())
            }
            Value::Object(fields) => {
                let there = fields.iter().filter(|(_, field)| !field.is_null());
                Self::Fields(
                    there
                        .map(|(name, field)| (encoded(name), encoded(&scalar(field))))
                        .collect(),
                )
            }
            one => Self::One(encoded(&scalar(one))),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::None => true,
            Self::One(_) => false,
            Self::Items(items) => items.is_empty(),
            Self::Fields(fields) => fields.is_empty(),
        }
    }

    /// All pieces in a row, names and values alike.
    fn joined(&self, between: &str) -> String {
        match self {
            Self::None => String::new(),
            Self::One(text) => text.clone(),
            Self::Items(items) => items.join(between),
            Self::Fields(fields) => {
                let all: Vec<&str> = fields
                    .iter()
                    .flat_map(|(name, value)| [name.as_str(), value.as_str()])
                    .collect();
                all.join(between)
            }
        }
    }

    fn simple(&self, explode: bool) -> String {
        match self {
            Self::Fields(fields) if explode => assigned(fields).join(","),
            parts => parts.joined(","),
        }
    }
}

fn assigned(fields: &[(String, String)]) -> Vec<String> {
    fields
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

fn each(before: &str, items: &[String]) -> String {
    items.iter().map(|item| format!("{before}{item}")).collect()
}

fn deep(name: &str, value: &Value, encoded: &dyn Fn(&str) -> String, all: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (field, inner) in fields {
                let name = format!("{name}%5B{}%5D", encoded(field));
                deep(&name, inner, encoded, all);
            }
        }
        Value::Array(items) => {
            let there = items.iter().filter(|item| !item.is_null());
            all.extend(there.map(|item| format!("{name}={}", encoded(&scalar(item)))));
        }
        one => all.push(format!("{name}={}", encoded(&scalar(one)))),
    }
}

/// A value as a text of one piece: texts as they are, whole numbers without a fraction, the rest as JSON.
pub(super) fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Number(number) => whole(number).unwrap_or_else(|| number.to_string()),
        other => other.to_string(),
    }
}

/// `3` for `3.0`, which is an integer to JSON Schema and none to most who read a URL.
fn whole(number: &Number) -> Option<String> {
    let float = number.as_f64().filter(|_| number.is_f64())?;
    (float.fract() == 0.0 && float.abs() < 1e15).then(|| format!("{float:.0}"))
}

/// Fields of a form or a query that are known by their names.
pub(super) fn form(fields: &Map<String, Value>, writing: &dyn Fn(&str) -> Writing) -> String {
    let pairs = fields
        .iter()
        .flat_map(|(name, value)| writing(name).pairs(name, value));
    pairs.collect::<Vec<String>>().join("&")
}

/// A text in a URL (RFC 3986, 2.3): all but letters, digits and `-._~` as percent signs and digits. With `reserved`,
/// those characters stay too that mean something in a URL, but not `#`, `&`, `=`, `+` and `%`: a value cannot become
/// another parameter.
pub(super) fn encode(text: &str, reserved: bool) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if plain || reserved && b":/?@!$'()*,;".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn writing(style: &str, explode: bool) -> Writing {
        Writing {
            style: Style::named(style).unwrap(),
            explode,
            reserved: false,
        }
    }

    /// The table of "Style Examples" in OpenAPI 3.1.
    #[test]
    fn values_are_written_as_the_specification_shows() {
        let text = json!("blue");
        let list = json!(["blue", "black", "brown"]);
        let map = json!({ "R": 100, "G": 200, "B": 150 });
        for (style, explode, one, items, fields) in [
            (
                "matrix",
                false,
                ";color=blue",
                ";color=blue,black,brown",
                ";color=R,100,G,200,B,150",
            ),
            (
                "matrix",
                true,
                ";color=blue",
                ";color=blue;color=black;color=brown",
                ";R=100;G=200;B=150",
            ),
            (
                "label",
                false,
                ".blue",
                ".blue,black,brown",
                ".R,100,G,200,B,150",
            ),
            (
                "label",
                true,
                ".blue",
                ".blue.black.brown",
                ".R=100.G=200.B=150",
            ),
            (
                "simple",
                false,
                "blue",
                "blue,black,brown",
                "R,100,G,200,B,150",
            ),
            (
                "simple",
                true,
                "blue",
                "blue,black,brown",
                "R=100,G=200,B=150",
            ),
        ] {
            let writing = writing(style, explode);
            for (value, expected) in [(&text, one), (&list, items), (&map, fields)] {
                assert_eq!(writing.path("color", value), expected, "{style} {explode}");
            }
        }
        for (style, explode, value, expected) in [
            ("form", true, &text, "color=blue"),
            ("form", false, &list, "color=blue,black,brown"),
            ("form", true, &list, "color=blue&color=black&color=brown"),
            ("form", false, &map, "color=R,100,G,200,B,150"),
            ("form", true, &map, "R=100&G=200&B=150"),
            ("spaceDelimited", false, &list, "color=blue%20black%20brown"),
            (
                "spaceDelimited",
                false,
                &map,
                "color=R%20100%20G%20200%20B%20150",
            ),
            ("pipeDelimited", false, &list, "color=blue%7Cblack%7Cbrown"),
            (
                "deepObject",
                true,
                &map,
                "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150",
            ),
        ] {
            let pairs = writing(style, explode).pairs("color", value).join("&");
            assert_eq!(pairs, expected, "{style} {explode}");
        }
    }

    #[test]
    fn what_the_specification_leaves_open_is_decided() {
        let form = Writing::FORM;
        assert!(form.pairs("a", &Value::Null).is_empty());
        assert!(form.pairs("a", &json!([])).is_empty());
        assert!(writing("form", false).pairs("a", &json!({})).is_empty());
        assert_eq!(form.pairs("a", &json!([1, null, "x"])), ["a=1", "a=x"]);
        assert_eq!(form.pairs("a", &json!([[1]])), ["a=%5B1%5D"]);
        let nested = json!({ "b": { "c": 1 }, "d": ["x", "y"], "e": null });
        assert_eq!(
            writing("deepObject", true).pairs("a", &nested),
            ["a%5Bb%5D%5Bc%5D=1", "a%5Bd%5D=x", "a%5Bd%5D=y"]
        );
        assert_eq!(scalar(&json!(5.0)), "5");
        assert_eq!(scalar(&json!(2.5)), "2.5");
        assert_eq!(scalar(&json!(true)), "true");
    }

    #[test]
    fn no_value_leaves_its_place() {
        assert_eq!(
            encode("a/b?c#d&e=f g%", false),
            "a%2Fb%3Fc%23d%26e%3Df%20g%25"
        );
        assert_eq!(encode("藤", false), "%E8%97%A4");
        assert_eq!(
            encode("a/b?c#d&e=f+g%\r\n", true),
            "a/b?c%23d%26e%3Df%2Bg%25%0D%0A"
        );
        assert_eq!(Writing::SIMPLE.path("id", &json!("../x")), "..%2Fx");
    }
}
