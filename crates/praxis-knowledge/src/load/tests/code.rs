//! Program text.

use super::*;

/// The blocks of code, and the lines that are not blank: all that a reader of code looks at.
fn lines(text: &str) -> Vec<&str> {
    text.lines().filter(|l| !l.trim().is_empty()).collect()
}

/// Loads a source and checks that none of its lines is lost, changed or moved.
fn source(name: &str, text: &str) -> LoadedDocument {
    let document = load(name, text);
    let code: String = blocks(&document)
        .into_iter()
        .filter(|(kind, _)| *kind == BlockKind::Code)
        .map(|(_, text)| format!("{text}\n"))
        .collect();
    assert_eq!(lines(&code), lines(text), "{name}");
    document
}

fn headings(document: &LoadedDocument) -> Vec<(u8, &str)> {
    blocks(document)
        .into_iter()
        .filter_map(|(kind, text)| match kind {
            BlockKind::Heading(level) => Some((level, text)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_small_file_is_one_block() {
    let text = "use std::fmt;\n\n/// A.\nfn a() {\n    b(\"}\");\n}\n\nfn b(_: &str) {}\n";
    let document = source("a.rs", text);
    assert_eq!(blocks(&document), [(BlockKind::Code, text.trim_end())]);
    assert_eq!(document.title, "a.rs");
    for name in [
        "a.xml", "a.sh", "a.sql", "a.yaml", "a.kt", "Makefile", "a.css",
    ] {
        assert_eq!(source(name, text).blocks.len(), 1, "{name}");
    }
}

#[test]
fn functions_stay_whole_under_the_names_around_them() {
    let body = |mark: &str| format!("{mark} calm sea\n").repeat(120);
    let rust = format!(
        "use x;\n\n/// Keeps.\nimpl<'a> Keeper<'a> {{\n    const C: char = '{{';\n\n    /// Lights.\n    pub fn light(&'a self) {{\n{}    }}\n\n    fn small() {{}}\n}}\n\nfn after() {{\n    r#\"}}\"#;\n}}\n\n#[test]\nfn last() {{}}\n",
        body("        //")
    );
    let document = source("a.rs", &rust);
    assert_eq!(
        headings(&document),
        [
            (1, "impl<'a> Keeper<'a>"),
            (2, "pub fn light(&'a self)"),
            (2, "fn small()"),
            (1, "fn after(), fn last()"),
        ]
    );
    assert!(
        blocks(&document)
            .iter()
            .any(|(_, text)| text.starts_with("    /// Lights.\n") && text.ends_with("    }")),
    );

    let python = format!(
        "import sea\n\nclass Keeper(object):\n    \"\"\"Keeps\n\nthe light.\n\"\"\"\n    name = 1\n\n    @property\n    def light(self):\n{}\n    def small(self):\n        pass\n\n\ndef after(a,\n          b):\n    pass\n",
        body("        #")
    );
    assert_eq!(
        headings(&source("a.py", &python)),
        [
            (1, "class Keeper(object)"),
            (2, "def light(self)"),
            (2, "def small(self)"),
            (1, "def after(a"),
        ]
    );

    let ruby = format!(
        "module Sea\n  class Keeper\n    def light\n{}    end\n\n    def small\n    end\n  end\nend\n\ndef after\nend\n",
        body("      #")
    );
    assert_eq!(
        headings(&source("a.rb", &ruby)),
        [
            (1, "module Sea"),
            (2, "class Keeper"),
            (3, "def light"),
            (3, "def small"),
            (1, "def after"),
        ]
    );

    let java = format!(
        "package sea;\n\npublic class Keeper\n{{\n    @Override\n    public void light()\n    {{\n{}    }}\n}}\n",
        body("        //")
    );
    assert_eq!(
        headings(&source("a.java", &java)),
        [(1, "public class Keeper"), (2, "public void light()")]
    );
}

#[test]
fn brackets_that_do_not_match_are_not_trusted() {
    let body = "    // calm sea\n".repeat(120);
    let text =
        format!("#ifdef A\nvoid light() {{\n#endif\n{body}}}\n}}\n\nvoid after() {{\n{body}}}\n");
    assert_eq!(
        headings(&source("a.c", &text)),
        [(1, "void light()"), (1, "void after()")]
    );
}

#[test]
fn bytes_of_code_are_kept() {
    let text = "def f():\r\n\tx = '\u{2028}灯'  \r\n\r\n\treturn  x\r\n";
    let document = load("a.py", text);
    assert_eq!(document.text, text.trim_end());
}
