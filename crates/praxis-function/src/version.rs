//! A function's version: the hash of everything that a person wrote for it, which is its prompt file
//! (schemas and parameters are part of it), the partials and named schemas that it uses, directly or
//! through others, and the data files that it names.
//! Equal sources have an equal version wherever they come from: the folder, the store, git. Left out:
//! where old sources are kept.

pub mod data;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use crate::schemas::{schema_name, used};

/// Files of a `prompts` folder, or those of one version, with their data files: name (`answer.prompt`,
/// `../data/examples.jsonl`) and text.
pub type Sources = BTreeMap<String, String>;

/// What a prompt file's name ends with.
const SUFFIX: &str = ".prompt";

/// Digits of a version.
const DIGITS: usize = 12;

/// Folders within folders that are looked into.
const DEEPEST_FOLDER: usize = 8;

/// Reads all prompt and schema files of a folder and those below it, `support/greet.prompt`, and the data files that
/// they name, relative to the folder above; what cannot be read, and a folder that is not there, is left out:
/// loading the library reports it.
pub fn read_sources(dir: &Path) -> Sources {
    let mut found: Sources = files(dir, &mut Vec::new())
        .into_iter()
        .filter_map(|(name, path)| Some((name, std::fs::read_to_string(path).ok()?)))
        .collect();
    if let Some(root) = dir.parent() {
        data::add(&mut found, root);
    }
    found
}

/// The prompt files of a folder and those below it, by the names that [`Sources`] has for them. Folders that are there
/// and cannot be read come into `unread`, by their names below it.
pub(crate) fn files(dir: &Path, unread: &mut Vec<(String, Error)>) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    collect(dir, "", 0, &mut found, unread);
    found
}

fn collect(
    dir: &Path,
    prefix: &str,
    depth: usize,
    found: &mut BTreeMap<String, PathBuf>,
    unread: &mut Vec<(String, Error)>,
) {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => {
            if error.kind() != ErrorKind::NotFound {
                unread.push((prefix.to_owned(), error));
            }
            return;
        }
    };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let Some(name) = path.file_name().map(|n| n.to_string_lossy().into_owned()) else {
            continue;
        };
        if is_source(&name) {
            found.insert(format!("{prefix}{name}"), path);
        } else if depth < DEEPEST_FOLDER && !name.starts_with('.') && path.is_dir() {
            collect(&path, &format!("{prefix}{name}/"), depth + 1, found, unread);
        }
    }
}

/// Whether a file is part of functions by its name: a prompt, a partial or a schema of the folder.
pub fn is_source(file: &str) -> bool {
    is_prompt(file) || schema_name(file).is_some()
}

/// Whether a file is a prompt or a partial of the folder.
pub(crate) fn is_prompt(file: &str) -> bool {
    file.ends_with(SUFFIX) && !data::is_outside(file)
}

/// The names of all functions in `files`.
pub fn functions(files: &Sources) -> Vec<&str> {
    files
        .keys()
        .filter(|file| is_prompt(file) && !is_partial(file))
        .filter_map(|file| file.strip_suffix(SUFFIX))
        .collect()
}

/// Whether a file is a partial: `_rules.prompt`, `support/_rules.prompt`.
fn is_partial(file: &str) -> bool {
    file.rsplit('/').next().unwrap_or(file).starts_with('_')
}

/// The files of one function: its prompt, the partials and schemas that it uses, and the data files that it names.
/// `None` where there is no such prompt.
pub fn sources(files: &Sources, function: &str) -> Option<Sources> {
    let prompt = format!("{function}{SUFFIX}");
    let mut found = Sources::new();
    let mut waiting = BTreeSet::from([prompt.clone()]);
    // Passages that a prompt gives no place of its own are rendered by this partial.
    let passages = format!("{}{SUFFIX}", crate::passages::PARTIAL_NAME);
    let text = files.get(&prompt)?;
    for schema in used(text, files) {
        found.insert(schema.clone(), files[&schema].clone());
    }
    if text.contains("knowledge") {
        waiting.insert(passages);
    }
    while let Some(name) = waiting.pop_first() {
        let Some(text) = files.get(&name).filter(|_| !found.contains_key(&name)) else {
            continue;
        };
        match partials(text) {
            Some(names) => waiting.extend(names),
            // A name that is made while rendering may be that of any partial.
            None => {
                let partials = files.keys().filter(|n| is_source(n) && is_partial(n));
                waiting.extend(partials.cloned());
            }
        }
        found.insert(name, text.clone());
    }
    for name in data::named(text) {
        if let Some(text) = files.get(&name) {
            found.entry(name).or_insert_with(|| text.clone());
        }
    }
    Some(found)
}

/// The version of a function whose files are `sources`, as [`sources`] gives them.
pub fn version(function: &str, sources: &Sources) -> String {
    let prompt = format!("{function}{SUFFIX}");
    let mut hasher = blake3::Hasher::new();
    let mut add = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    // A function that is renamed stays what it was; line ends are git's business.
    add(&sources
        .get(&prompt)
        .map(|text| text.replace("\r\n", "\n"))
        .unwrap_or_default());
    for (name, text) in sources.iter().filter(|(name, _)| **name != prompt) {
        add(name);
        add(&text.replace("\r\n", "\n"));
    }
    hasher.finalize().to_hex()[..DIGITS].to_owned()
}

/// Whether a text has the shape of a version.
pub fn is_version(text: &str) -> bool {
    text.len() == DIGITS
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
}

/// The files of the partials that a template includes by name, whether or not they are there; `None`
/// where it makes a name while rendering.
fn partials(text: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for tag in text.split("{{").skip(1) {
        let tag = tag.trim_start_matches(['~', '#', '{']).trim_start();
        let Some(name) = tag.strip_prefix('>') else {
            continue;
        };
        let name = name.trim_start();
        if name.starts_with('(') {
            return None;
        }
        let end = |c: char| c.is_whitespace() || matches!(c, '}' | '~');
        let name = name.split(end).next().unwrap_or_default();
        let name = name.trim_matches(['"', '\'']);
        if name.is_empty() {
            continue;
        }
        // Dotprompt calls the file `_rules.prompt` by `{{>rules}}`; both names work.
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
        let folder = if folder.is_empty() {
            String::new()
        } else {
            format!("{folder}/")
        };
        names.push(format!("{folder}_{file}{SUFFIX}"));
        names.push(format!("{name}{SUFFIX}"));
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(all: &[(&str, &str)]) -> Sources {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        all.iter().map(owned).collect()
    }

    fn used(all: &[(&str, &str)]) -> Vec<String> {
        let found = sources(&files(all), "a").unwrap();
        found.into_keys().collect()
    }

    #[test]
    fn a_function_uses_the_partials_that_it_names_and_theirs() {
        let (x, y) = (("_x.prompt", "{{>_y}}"), ("_y.prompt", "{{>x}}"));
        let (z, w) = (("_z.prompt", "z"), ("f/_w.prompt", "w"));
        for (prompt, expected) in [
            ("none", &["a.prompt"][..]),
            ("{{>x}}", &["_x.prompt", "_y.prompt", "a.prompt"]),
            ("{{~> _z ~}}", &["_z.prompt", "a.prompt"]),
            ("{{> \"z\" b=1}}", &["_z.prompt", "a.prompt"]),
            ("{{#> z}}{{/z}}{{>gone}}", &["_z.prompt", "a.prompt"]),
            ("{{> f/w}}", &["a.prompt", "f/_w.prompt"]),
            (
                "{{> (lookup . \"p\")}}",
                &[
                    "_x.prompt",
                    "_y.prompt",
                    "_z.prompt",
                    "a.prompt",
                    "f/_w.prompt",
                ],
            ),
        ] {
            assert_eq!(
                used(&[("a.prompt", prompt), x, y, z, w]),
                expected,
                "{prompt}"
            );
        }
        assert_eq!(sources(&files(&[x]), "a"), None);
    }

    #[test]
    fn a_version_follows_what_the_function_uses_and_nothing_else() {
        let of = |all: &[(&str, &str)], name: &str| {
            let all = files(all);
            version(name, &sources(&all, name).unwrap())
        };
        let base = of(&[("a.prompt", "{{>x}}\n"), ("_x.prompt", "x")], "a");
        assert!(is_version(&base), "{base}");
        for (all, name, same) in [
            (
                &[
                    ("a.prompt", "{{>x}}\n"),
                    ("_x.prompt", "x"),
                    ("_y.prompt", "y"),
                ][..],
                "a",
                true,
            ),
            (&[("a.prompt", "{{>x}}\r\n"), ("_x.prompt", "x")], "a", true),
            (&[("b.prompt", "{{>x}}\n"), ("_x.prompt", "x")], "b", true),
            (&[("a.prompt", "{{>x}}\n"), ("_x.prompt", "X")], "a", false),
            (&[("a.prompt", "{{>x}} \n"), ("_x.prompt", "x")], "a", false),
            (
                &[
                    ("a.prompt", "{{>x}}\n"),
                    ("_x.prompt", "x"),
                    ("S.schema.yaml", "a: string"),
                    ("../data/e.jsonl", "{}"),
                ],
                "a",
                true,
            ),
        ] {
            assert_eq!(of(all, name) == base, same, "{all:?}");
        }
    }

    #[test]
    fn partials_are_no_functions() {
        let all = files(&[("a.prompt", ""), ("a.b.prompt", ""), ("_x.prompt", "")]);
        assert_eq!(functions(&all), ["a.b", "a"]);
    }

    /// The hashes that these sources had before data files were part of versions.
    #[test]
    fn versions_without_data_files_stay_what_they_were() {
        for (all, expected) in [
            (&[("a.prompt", "Hi {{name}}.\n")][..], "79e87376e7a3"),
            (
                &[
                    ("_x.prompt", "x"),
                    (
                        "a.prompt",
                        "---\npraxis.technique: step_by_step\n---\n{{>x}}\n",
                    ),
                ],
                "c0e447c2369e",
            ),
        ] {
            let found = sources(&files(all), "a").unwrap();
            assert_eq!(version("a", &found), expected, "{all:?}");
        }
    }
}
