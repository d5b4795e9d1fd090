//! What has to be known of a language to see where its definitions end.

/// What tells how deep a line stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Depth {
    Brackets,
    Indentation,
}

/// A family of languages.
#[derive(Debug)]
pub(super) struct Syntax {
    pub depth: Depth,
    pub line_comments: &'static [&'static str],
    /// Strings and comments that go on over lines: how they begin and end.
    pub long: &'static [(&'static str, &'static str)],
    /// What begins and ends a string on one line.
    pub quotes: &'static str,
    /// Whether a quote before a name is a lifetime.
    pub lifetimes: bool,
    /// Whether a backslash in a string takes the next character's meaning away.
    pub escapes: bool,
}

const C: Syntax = Syntax {
    depth: Depth::Brackets,
    line_comments: &["//"],
    long: &[("/*", "*/"), ("\"\"\"", "\"\"\"")],
    quotes: "\"'",
    lifetimes: false,
    escapes: true,
};

const RUST: Syntax = Syntax {
    long: &[("/*", "*/"), ("r#\"", "\"#"), ("\"", "\"")],
    quotes: "",
    lifetimes: true,
    ..C
};

const SCRIPT: Syntax = Syntax {
    long: &[("/*", "*/"), ("`", "`")],
    ..C
};

const PHP: Syntax = Syntax {
    line_comments: &["//", "#"],
    long: &[("/*", "*/")],
    ..C
};

const SQL: Syntax = Syntax {
    line_comments: &["--"],
    long: &[("/*", "*/"), ("$$", "$$")],
    escapes: false,
    ..C
};

const PYTHON: Syntax = Syntax {
    depth: Depth::Indentation,
    line_comments: &["#"],
    long: &[("\"\"\"", "\"\"\""), ("'''", "'''")],
    ..C
};

const RUBY: Syntax = Syntax {
    long: &[("=begin", "=end")],
    ..PYTHON
};

const LUA: Syntax = Syntax {
    line_comments: &["--"],
    long: &[("--[[", "]]"), ("[[", "]]")],
    ..PYTHON
};

/// Any text that is indented, whatever its brackets.
pub(super) const PLAIN: Syntax = Syntax {
    line_comments: &[],
    long: &[],
    quotes: "",
    ..PYTHON
};

/// The syntax of files with an ending.
pub(super) fn of(extension: &str) -> Option<&'static Syntax> {
    Some(match extension {
        "rs" => &RUST,
        "js" | "jsx" | "mjs" | "cjs" | "ts" | "tsx" | "mts" | "go" => &SCRIPT,
        "c" | "h" | "cpp" | "cc" | "cxx" | "hpp" | "hh" | "java" | "cs" | "kt" | "kts"
        | "swift" | "scala" | "dart" | "proto" | "groovy" | "m" | "cu" | "css" | "scss"
        | "less" => &C,
        "php" => &PHP,
        "sql" => &SQL,
        "py" | "pyi" => &PYTHON,
        "rb" | "ex" | "exs" | "jl" | "cr" | "nim" | "r" | "pl" | "pm" => &RUBY,
        "lua" => &LUA,
        "sh" | "bash" | "zsh" | "ps1" | "bat" | "hs" | "elm" | "ml" | "fs" | "clj" | "lisp"
        | "yaml" | "yml" | "toml" | "ini" | "cfg" | "conf" | "properties" | "xml" | "xsd"
        | "svg" | "vue" | "svelte" | "tf" | "cmake" | "make" | "mk" | "gradle" | "graphql"
        | "diff" | "patch" | "env" => &PLAIN,
        _ => return None,
    })
}
