//! Commands as patterns: which program may be run with which arguments, and a command line taken apart without a shell.

use crate::builtin::workspace::path_of;

/// The longest command line, in characters, and its most arguments.
const LONGEST: usize = 4000;
const MOST_ARGUMENTS: usize = 100;

/// What a shell would do something with. Nothing does here, and who writes them means a shell.
const SHELL: &[char] = &[
    '|', '&', ';', '<', '>', '$', '`', '(', ')', '{', '}', '*', '?', '~', '#', '\n',
];

/// A command that may be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// As the tool file has it.
    pub text: String,
    /// The program, by name or absolute path.
    pub program: String,
    arguments: Vec<Argument>,
}

/// An argument of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Argument {
    /// This word.
    Exact(String),
    /// Any of a kind, once; or, at the end, any number of them.
    Any(Kind, bool),
}

/// A kind of arguments. None begins with `-`: it would be an option that the pattern does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Path,
    Integer,
    Word,
    Text,
}

const KINDS: [(&str, Kind); 4] = [
    ("path", Kind::Path),
    ("integer", Kind::Integer),
    ("word", Kind::Word),
    ("text", Kind::Text),
];

impl Pattern {
    /// Reads a pattern such as `git log -n {integer} {path...}`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        let words = split(text, true)?;
        let Some((program, rest)) = words.split_first() else {
            return Err("a command names a program".to_owned());
        };
        if program.starts_with('{') || program.starts_with('-') {
            return Err(format!(
                "`{program}` is no program: a command begins with one"
            ));
        }
        if program.contains('/') && !program.starts_with('/') {
            return Err(format!(
                "`{program}`: write the name of a program, or its absolute path"
            ));
        }
        let mut arguments = Vec::with_capacity(rest.len());
        for (i, word) in rest.iter().enumerate() {
            let argument = Argument::read(word)?;
            if matches!(argument, Argument::Any(_, true)) && i + 1 < rest.len() {
                return Err(format!(
                    "`{word}` takes all arguments that follow, and has to be the last"
                ));
            }
            arguments.push(argument);
        }
        Ok(Self {
            text: text.to_owned(),
            program: program.clone(),
            arguments,
        })
    }

    /// Whether it lets any argument in.
    pub fn is_open(&self) -> bool {
        self.arguments
            .iter()
            .any(|a| matches!(a, Argument::Any(..)))
    }

    /// Whether a command line, taken apart, is one of these.
    pub fn fits(&self, words: &[String]) -> bool {
        let Some((program, mut rest)) = words.split_first() else {
            return false;
        };
        if *program != self.program {
            return false;
        }
        for argument in &self.arguments {
            if let Argument::Any(kind, true) = argument {
                return rest.iter().all(|word| kind.fits(word));
            }
            let Some((word, after)) = rest.split_first() else {
                return false;
            };
            if !argument.fits(word) {
                return false;
            }
            rest = after;
        }
        rest.is_empty()
    }
}

impl Argument {
    fn read(word: &str) -> Result<Self, String> {
        let Some(inner) = word.strip_prefix('{') else {
            if word.contains(['{', '}']) {
                return Err(format!(
                    "`{word}`: a place is a whole argument, such as {{path}}"
                ));
            }
            return Ok(Self::Exact(word.to_owned()));
        };
        let inner = inner.strip_suffix('}').unwrap_or_default();
        let (name, many) = match inner.strip_suffix("...") {
            Some(name) => (name, true),
            None => (inner, false),
        };
        let kind = KINDS.iter().find(|(word, _)| *word == name);
        let Some((_, kind)) = kind else {
            let kinds: Vec<String> = KINDS
                .iter()
                .map(|(word, _)| format!("{{{word}}}"))
                .collect();
            return Err(format!(
                "there is no place `{word}`; there are: {}",
                kinds.join(", ")
            ));
        };
        Ok(Self::Any(*kind, many))
    }

    fn fits(&self, word: &str) -> bool {
        match self {
            Self::Exact(exact) => word == exact,
            Self::Any(kind, _) => kind.fits(word),
        }
    }
}

impl Kind {
    fn fits(self, word: &str) -> bool {
        if word.starts_with('-') && self != Self::Integer {
            return false;
        }
        match self {
            Self::Path => !word.is_empty() && path_of(word).is_ok(),
            // A negative number looks like an option too.
            Self::Integer => {
                word.len() <= 18 && !word.is_empty() && word.chars().all(|c| c.is_ascii_digit())
            }
            Self::Word => {
                let fits = |c: char| {
                    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '@' | '+' | '=')
                };
                // A word of points alone is this folder, or the one above.
                let is_point = |c: char| c == '.';
                !word.is_empty() && word.chars().all(fits) && !word.chars().all(is_point)
            }
            Self::Text => !word.contains('\0'),
        }
    }
}

/// A command line as its words, as a shell would take it apart: quotes keep blanks, a backslash keeps what follows.
/// With `places`, `{` and `}` are part of words.
///
/// # Errors
/// What only a shell could do.
pub(super) fn split(text: &str, places: bool) -> Result<Vec<String>, String> {
    if text.chars().count() > LONGEST {
        return Err(format!("a command has {LONGEST} characters at most"));
    }
    let (mut words, mut word): (Vec<String>, Option<String>) = (Vec::new(), None);
    let mut quote: Option<char> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (_, '\0') => return Err("a command has no zero byte".to_owned()),
            (Some(open), c) if c == open => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (_, '\\') => match chars.next() {
                Some(next) => word.get_or_insert_default().push(next),
                None => return Err("a `\\` at the end keeps nothing".to_owned()),
            },
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if SHELL.contains(&c) && !(places && matches!(c, '{' | '}')) => {
                return Err(format!(
                    "`{}` means something to a shell, and there is none: run one program with its arguments, and put \
                     the sign in quotes if it is part of one",
                    c.escape_debug()
                ));
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote has no end".to_owned());
    }
    words.extend(word);
    if words.len() > MOST_ARGUMENTS {
        return Err(format!("a command has {MOST_ARGUMENTS} arguments at most"));
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, command: &str) -> bool {
        let words = split(command, false);
        words.is_ok_and(|words| Pattern::read(pattern).unwrap().fits(&words))
    }

    #[test]
    fn commands_fit_their_patterns_and_no_others() {
        for (pattern, command, good) in [
            ("git status", "git status", true),
            ("git status", "  git   'status' ", true),
            ("git status", "git status -s", false),
            ("git status", "git", false),
            ("git status", "gitstatus", false),
            ("git status", "/usr/bin/git status", false),
            ("git log -n {integer}", "git log -n 5", true),
            ("git log -n {integer}", "git log -n -5", false),
            ("git log -n {integer}", "git log -n 5; rm -rf /", false),
            ("git show {word}", "git show HEAD", true),
            ("git show {word}", "git show --output=x", false),
            ("git show {word}", "git show a/b", false),
            ("ls {word}", "ls ..", false),
            ("ls {word}", "ls .", false),
            ("ls {word}", "ls a..b", true),
            ("wc -l {path}", "wc -l a/b.txt", true),
            ("wc -l {path}", "wc -l '../secret'", false),
            ("wc -l {path}", "wc -l /etc/passwd", false),
            ("wc -l {path}", "wc -l '-x'", false),
            ("wc -l {path}", "wc -l ''", false),
            ("cat {path...}", "cat a b c", true),
            ("cat {path...}", "cat", true),
            ("cat {path...}", "cat a ../b", false),
            ("echo {text}", "echo \"a b; c\"", true),
            ("echo {text}", "echo a b", false),
            ("echo {text}", "echo -n", false),
            ("echo 'a b'", "echo 'a b'", true),
            ("/usr/bin/id", "/usr/bin/id", true),
        ] {
            assert_eq!(fits(pattern, command), good, "{pattern} <- {command}");
        }
    }

    #[test]
    fn patterns_that_cannot_be_held_to_are_refused() {
        for (pattern, said) in [
            ("", "names a program"),
            ("{path}", "begins with one"),
            ("./run", "absolute path"),
            ("bin/run", "absolute path"),
            ("git {file}", "there are: {path}"),
            ("git --dir={path}", "whole argument"),
            ("git {path", "no place"),
            ("git {path...} x", "has to be the last"),
            ("git log | head", "means something to a shell"),
            ("git 'log", "no end"),
        ] {
            let error = Pattern::read(pattern).unwrap_err();
            assert!(error.contains(said), "{pattern}: {error}");
        }
    }

    #[test]
    fn nothing_is_left_to_a_shell() {
        for command in [
            "ls; id", "ls && id", "ls | id", "ls > x", "ls $(id)", "ls `id`", "ls $HOME", "ls *",
            "ls ~", "ls\nid", "ls \"a", "ls \\", "ls a\0b", "# ls",
        ] {
            assert!(split(command, false).is_err(), "{command:?}");
        }
        let words = split("a 'b c' \"d e\" f\\ g '$x' \"\"", false).unwrap();
        assert_eq!(words, ["a", "b c", "d e", "f g", "$x", ""]);
    }
}
