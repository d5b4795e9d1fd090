//! What documents say, what rules and files beside them say, which of them counts, and that no file breaks
//! the readers.
use praxis_core::access::UNREADABLE;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::typed::typed;
use super::*;
use crate::load::{LoadLimits, load_bytes};

fn file(uri: &str) -> Subject {
    Subject {
        uri: uri.to_owned(),
        path: None,
        size: 7,
        modified: 86_400_000_000_000,
        origin: Origin::default(),
    }
}

fn config(toml: &str) -> BaseConfig {
    toml::from_str(toml).unwrap()
}

const RULES: &str = r#"
[types]
year = "number"
code = "text"
published = "date"

[[metadata]]
match = "**"
set = { department = "all", year = 2020 }

[[metadata]]
match = "hr/**"
set = { department = "hr", since = 2026-01-31 }
labels = ["hr"]

[[metadata]]
match = "hr/open/**"
labels = []
"#;

fn described(uri: &str, own: Value, sidecar: &Sidecar) -> Described {
    let describer = Describer::new(&config(RULES)).unwrap();
    let own = own.as_object().cloned().unwrap_or_default();
    let own = from_file(&own, "front matter", &mut Vec::new());
    describer.describe(&file(uri), &own, sidecar)
}

fn shown(described: &Described) -> Value {
    let metadata = described.metadata.iter();
    let plain: Map<String, Value> = metadata.map(|(k, v)| (k.clone(), v.to_json())).collect();
    Value::Object(plain)
}

#[test]
fn rules_outrank_the_document_and_the_file_beside_it_outranks_rules() {
    let sidecar = Sidecar::parse("department = \"board\"\nlabels = [\"board\"]\n");
    for (uri, sidecar, department, labels) in [
        ("a.md", &Sidecar::None, "all", &[][..]),
        ("hr/a.md", &Sidecar::None, "hr", &["hr"]),
        ("hr/open/a.md", &Sidecar::None, "hr", &[]),
        ("hr/open/a.md", &sidecar, "board", &["board"]),
    ] {
        let found = described(
            uri,
            json!({ "department": "mine", "year": "2026" }),
            sidecar,
        );
        assert_eq!(found.labels, labels, "{uri}");
        let values = shown(&found);
        assert_eq!(values["department"], department, "{uri}");
        assert_eq!(values["year"], 2020, "{uri}");
        assert_eq!(values["uri"], uri);
        assert_eq!(values["size"], 7);
        assert_eq!(values["modified"], "1970-01-02T00:00:00Z");
        assert!(found.notes.is_empty() && found.sidecar_notes.is_empty());
    }
    let hr = described("hr/a.md", json!({}), &Sidecar::None);
    assert_eq!(
        hr.metadata["since"],
        Attribute::Date("2026-01-31".to_owned())
    );
}

const NESTED: &str = r#"
[[metadata]]
match = "hr/**"
set = { department = "hr" }
labels = ["hr"]

[[metadata]]
match = "hr/public/*"
set = { public = true }
labels = []

[[metadata]]
match = "board/*"
set = { department = "board" }
labels = ["board"]

[[metadata]]
match = "board/*/minutes/**"
labels = []

[[metadata]]
match = "notes/*"
set = { kind = "note" }

[[metadata]]
match = "manual:*"
labels = ["staff"]
"#;

#[test]
fn a_rule_reaches_no_further_than_its_star_and_opens_nothing_below() {
    let describer = Describer::new(&config(NESTED)).unwrap();
    let none: &[&str] = &[];
    for (uri, labels, keys) in [
        ("hr/a.md", &["hr"][..], &["department"][..]),
        ("hr/public/a.md", none, &["department", "public"]),
        ("hr/public/drafts/salary.md", &["hr"], &["department"]),
        ("board/a.md", &["board"], &["department"]),
        // No rule says who may read it: what protects its neighbours protects it.
        ("board/old/a.md", &["board"], none),
        ("board/old/minutes/a.md", none, none),
        ("notes/a.md", none, &["kind"]),
        ("notes/old/a.md", none, none),
        ("manual:pump.md", &["staff"], none),
        ("manual:docs/pump.md", &["staff"], none),
        ("other.md", none, none),
    ] {
        let found = describer.describe(&file(uri), &Metadata::new(), &Sidecar::None);
        assert_eq!(found.labels, labels, "{uri}");
        assert_eq!(describer.labels(uri), labels, "{uri}");
        let set = found
            .metadata
            .keys()
            .filter(|k| !RESERVED.contains(&k.as_str()));
        assert_eq!(set.collect::<Vec<_>>(), keys, "{uri}");
    }
}

#[test]
fn what_a_rule_leaves_in_doubt_is_told_once_with_the_fix() {
    let describer = Describer::new(&config(NESTED)).unwrap();
    let uris = [
        "board/a.md",
        "board/old/a.md",
        "board/old/b.md",
        "board/old/minutes/a.md",
        "hr/public/drafts/salary.md",
        "manual:docs/pump.md",
        "notes/old/a.md",
    ];
    let doubts = describer.doubts(uris);
    let told: Vec<&str> = doubts.iter().map(|w| w.uri.as_str()).collect();
    assert_eq!(told, ["board/old/a.md", "manual:docs/pump.md"]);
    for (doubt, parts) in doubts.iter().zip([
        ["(1 more)", "rule 3 (`board/*`)", "write `**`"],
        ["lies below", "rule 6 (`manual:*`)", "write `**`"],
    ]) {
        for part in parts {
            assert!(doubt.reason.contains(part), "{part}: {}", doubt.reason);
        }
    }
    // Written so, nothing is in doubt, and the same documents are protected.
    let clear = NESTED
        .replace("\"board/*\"", "\"board/**\"")
        .replace("\"manual:*\"", "\"manual:**\"");
    let clear = Describer::new(&config(&clear)).unwrap();
    assert_eq!(clear.doubts(uris), []);
    for uri in uris {
        assert_eq!(clear.labels(uri), describer.labels(uri), "{uri}");
    }
}

#[test]
fn values_have_the_type_that_they_look_like_or_that_is_declared() {
    let own = json!({
        "published": "2026-03-04", "code": 7, "score": 1.5, "draft": true, "tags": ["a", 2, "a"],
        "note": "1.2.2026", "empty": "", "nothing": null,
    });
    let found = described("a.md", own, &Sidecar::None);
    let value = |key: &str| found.metadata.get(key);
    let text = |t: &str| Attribute::Text(t.to_owned());
    assert_eq!(
        value("published"),
        Some(&Attribute::Date("2026-03-04".into()))
    );
    assert_eq!(value("code"), Some(&text("7")));
    assert_eq!(value("score"), Some(&Attribute::Number(1.5)));
    assert_eq!(value("draft"), Some(&Attribute::Bool(true)));
    assert_eq!(
        value("tags"),
        Some(&Attribute::Texts(vec!["a".into(), "2".into()]))
    );
    assert_eq!(value("note"), Some(&text("1.2.2026")));
    assert!(value("empty").is_none() && value("nothing").is_none());

    let found = described("a.md", json!({ "published": "soon" }), &Sidecar::None);
    assert_eq!(found.notes.len(), 1);
    for part in ["`published`", "soon", "2026-01-31"] {
        assert!(found.notes[0].contains(part), "{:?}", found.notes);
    }
}

#[test]
fn a_document_whose_labels_cannot_be_read_is_for_nobody() {
    for text in [
        "labels = [\"hr\"",
        "labels = \"hr\"",
        "labels = [\"h r\"]",
        "labels = [1]",
        "uri = \"x\"",
    ] {
        let sidecar = Sidecar::parse(text);
        let found = described("hr/open/a.md", json!({}), &sidecar);
        assert_eq!(found.labels, [UNREADABLE], "{text}");
        let note = &found.sidecar_notes[0];
        assert!(note.contains("hr/open/a.md.meta.toml"), "{note}");
    }
    // A value that is none leaves its labels alone.
    let sidecar = Sidecar::parse("labels = [\"board\"]\npublished = \"soon\"");
    let found = described("a.md", json!({}), &sidecar);
    assert_eq!(
        (found.labels.as_slice(), found.sidecar_notes.len()),
        (&["board".to_owned()][..], 1)
    );
}

#[test]
fn a_link_to_nothing_beside_a_document_hides_it() {
    let dir = tempfile::tempdir().unwrap();
    let document = dir.path().join("a.md");
    assert_eq!(Sidecar::beside(&document), Sidecar::None);
    let beside = dir.path().join("a.md.meta.toml");
    std::os::unix::fs::symlink("nowhere.toml", beside).unwrap();
    let sidecar = Sidecar::beside(&document);
    assert!(matches!(sidecar, Sidecar::Broken(_)), "{sidecar:?}");
    let found = described("hr/open/a.md", json!({}), &sidecar);
    assert_eq!(found.labels, [UNREADABLE]);
    assert!(found.sidecar_notes[0].contains("is a link"), "{found:?}");
}

#[test]
fn what_a_document_says_of_labels_protects_nothing_and_is_told() {
    let mut notes = Vec::new();
    let own = json!({ "labels": ["hr"], "size": 3, "a=b": 1, "author": { "name": "x" } });
    let own = from_file(own.as_object().unwrap(), "front matter", &mut notes);
    assert_eq!(own.keys().collect::<Vec<_>>(), ["labels"]);
    for (note, part) in notes
        .iter()
        .zip(["protect nothing", "`size`", "a key", "`author`"])
    {
        assert!(note.contains(part), "{notes:?}");
    }
    let describer = Describer::new(&BaseConfig::default()).unwrap();
    let found = describer.describe(&file("a.md"), &own, &Sidecar::None);
    assert!(found.labels.is_empty());
}

#[test]
fn mistakes_in_a_bases_rules_are_told() {
    for (toml, part) in [
        (
            "[[metadata]]\nmatch = \"a[\"\nlabels = [\"x\"]\n",
            "no glob",
        ),
        (
            "[[metadata]]\nmatch = \"**\"\nlabels = [\"x y\"]\n",
            "`x y` is no label",
        ),
        (
            "[[metadata]]\nmatch = \"**\"\nset = { uri = \"x\" }\n",
            "cannot set `uri`",
        ),
        (
            "[[metadata]]\nmatch = \"**\"\nset = { labels = [\"x\"] }\n",
            "cannot set `labels`",
        ),
        ("[[metadata]]\nmatch = \"**\"\n", "says nothing"),
        ("[types]\nsize = \"text\"\n", "`size` cannot be declared"),
        (
            "[types]\nyear = \"number\"\n[[metadata]]\nmatch = \"**\"\nset = { year = \"x\" }\n",
            "declares a number",
        ),
    ] {
        let config = config(toml);
        let problems = config.problems();
        assert_eq!(problems.len(), 1, "{toml}: {problems:?}");
        assert!(problems[0].message.contains(part), "{:?}", problems[0]);
        // A rule that is wrong is never passed over.
        assert!(Describer::new(&config).is_err(), "{toml}");
    }
    assert!(config(RULES).problems().is_empty());
}

fn loaded(name: &str, bytes: &str) -> (Value, Vec<String>) {
    let document = load_bytes(name, bytes.as_bytes(), LoadLimits::default()).unwrap();
    let metadata = document.metadata.iter();
    let plain: Map<String, Value> = metadata.map(|(k, v)| (k.clone(), v.to_json())).collect();
    (Value::Object(plain), document.notes)
}

#[test]
fn formats_say_what_they_know() {
    let (markdown, notes) = loaded(
        "a.md",
        "---\ntitle: 'A guide'\ndate: 2026-01-02\ntags: [x, y]\nyear: 2026\n---\n\n# Other\n\nText.\n",
    );
    assert_eq!(
        markdown,
        json!({ "title": "A guide", "date": "2026-01-02", "tags": ["x", "y"], "year": 2026,
                "format": "Markdown" })
    );
    assert!(notes.is_empty());
    let (html, _) = loaded(
        "a.html",
        "<html><head><title>T</title><meta name=Author content=' Ada '>\
         <meta property='article:published_time' content='2026-01-02T03:04:05Z'>\
         <meta name=keywords content='a, b,'></head><body><p>Some text of the page.</p></body></html>",
    );
    assert_eq!(
        html,
        json!({ "title": "T", "author": "Ada", "date": "2026-01-02T03:04:05Z", "tags": ["a", "b"],
                "format": "HTML" })
    );
    let (mail, _) = loaded(
        "a.eml",
        "From: Ada <ada@example.org>\nTo: b@example.org\nSubject: Hello\n\
         Date: Fri, 02 Jan 2026 03:04:05 +0000\n\nSome text.\n",
    );
    assert_eq!(
        (&mail["author"], &mail["title"]),
        (&json!("Ada"), &json!("Hello"))
    );
    assert!(praxis_core::metadata::interval(mail["date"].as_str().unwrap()).is_some());
}

#[test]
fn front_matter_that_is_no_yaml_is_told_with_its_line_and_costs_nothing_else() {
    let source = "---\ntitle: A guide\ntags: [x\n---\n\nText.\n";
    let document = load_bytes("a.md", source.as_bytes(), LoadLimits::default()).unwrap();
    assert_eq!(
        (document.title.as_str(), document.text.as_str()),
        ("A guide", "Text.")
    );
    assert_eq!(document.notes.len(), 1);
    let note = &document.notes[0];
    assert!(
        note.starts_with("line ") && note.contains("not YAML"),
        "{note}"
    );
}

proptest! {
    #[test]
    fn no_file_breaks_the_readers(text in "\\PC{0,200}", yaml in "[-a-z: \\[\\]{}&*!|>'\"#%@,\n0-9]{0,80}") {
        let _ = Sidecar::parse(&text);
        let _ = Sidecar::parse(&yaml);
        for front in [text, yaml] {
            let source = format!("---\n{front}\n---\n\nText.\n");
            let _ = load_bytes("a.md", source.as_bytes(), LoadLimits::default());
        }
    }

    #[test]
    fn a_value_is_of_one_type_or_none(number in any::<f64>(), text in "\\PC{0,40}") {
        for value in [json!(number), json!(text), json!([text, number]), json!({ "a": text })] {
            for declared in [
                None,
                Some(DeclaredType::Text),
                Some(DeclaredType::Number),
                Some(DeclaredType::Bool),
                Some(DeclaredType::Date),
                Some(DeclaredType::List),
            ] {
                if let Ok(Some(Attribute::Number(number))) = typed(&value, declared) {
                    prop_assert!(number.is_finite());
                }
            }
        }
    }
}
