//! The data files that prompts name (`data` of a technique) as parts of versions: what they are called among a
//! version's files, and what is kept of them. Left out: what is in them (`examples`).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Component, Path};

use super::{Sources, is_prompt};
use crate::technique::Technique;
use crate::{dotprompt, extension};

/// The folder of prompts in an application's folder.
const FOLDER: &str = "prompts";

/// Bytes of the largest file whose text is kept with a version; of a larger one, its hash is.
const MOST_KEPT: usize = 1 << 20;

/// What a hash begins with.
const HASH: &str = "blake3:";

/// The data files that a prompt with this text names, as versions call them: by their paths from the folder of
/// prompts on, `../data/examples.jsonl`, or absolute ones.
pub fn named(prompt: &str) -> Vec<String> {
    let Ok(document) = dotprompt::parse(prompt) else {
        return Vec::new();
    };
    let ours = extension::ours(&document.front.raw);
    let files = ours.get("technique").map(Technique::data_files);
    let files = files.unwrap_or_default();
    files.into_iter().filter_map(name).collect()
}

/// The path of a version's file from the application's folder on, `prompts/answer.prompt`, or an absolute one.
pub fn path(file: &str) -> String {
    match file.strip_prefix("../") {
        Some(outside) => outside.to_owned(),
        None if is_outside(file) => file.to_owned(),
        None => format!("{FOLDER}/{file}"),
    }
}

/// What a version keeps of a data file: its text, or the hash of one that is too large.
pub fn kept(text: String) -> String {
    hash(&text).unwrap_or(text)
}

/// Adds the data files that prompts among `files` name and that are not there yet, from an application's folder.
/// Those that cannot be read are left out: loading the library reports them.
pub fn add(files: &mut Sources, root: &Path) {
    let prompts = files.iter().filter(|(file, _)| is_prompt(file));
    let names: BTreeSet<String> = prompts.flat_map(|(_, text)| named(text)).collect();
    for name in names {
        if files.contains_key(&name) {
            continue;
        }
        if let Ok(text) = std::fs::read_to_string(root.join(path(&name))) {
            files.insert(name, kept(text));
        }
    }
}

/// The text of the data file at `path` as the version with these files has it; of a large one, the file itself,
/// if it is still the same.
///
/// # Errors
/// What is wrong, and what to do.
pub(crate) fn text<'a>(
    path: &str,
    files: &'a Sources,
    root: &Path,
) -> Result<Cow<'a, str>, String> {
    let read = || {
        let text = std::fs::read_to_string(root.join(path));
        text.map_err(|e| format!("cannot read `{path}`: {e}"))
    };
    match name(path).and_then(|name| files.get(&name)) {
        Some(text) if !text.starts_with(HASH) => Ok(Cow::Borrowed(text.as_str())),
        Some(kept) => {
            let text = read()?;
            if hash(&text).as_ref() == Some(kept) {
                return Ok(Cow::Owned(text));
            }
            Err(format!(
                "`{path}` is not what it was in this version, which has only the hash of a file of more than 1 MiB; \
                 put the file of that time back, or take another version"
            ))
        }
        None => {
            read()?;
            // Today's file is not the version's, which has none.
            Err(format!(
                "this version was kept without `{path}`, and cannot run as it did; take another version"
            ))
        }
    }
}

/// Whether a file lies elsewhere than in the folder of prompts.
pub(crate) fn is_outside(file: &str) -> bool {
    file.starts_with("../") || Path::new(file).is_absolute()
}

/// What a version calls the file at a path that a prompt writes; none where no file is called so.
fn name(path: &str) -> Option<String> {
    if path.chars().any(char::is_control) {
        return None;
    }
    if Path::new(path).is_absolute() {
        return Some(path.to_owned());
    }
    let mut parts: Vec<&str> = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            Component::ParentDir if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            Component::ParentDir => parts.push(".."),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    match parts.as_slice() {
        [] => None,
        [FOLDER, inside @ ..] if !inside.is_empty() => Some(inside.join("/")),
        all => Some(format!("../{}", all.join("/"))),
    }
}

/// The hash of a text that is too large to be kept.
fn hash(text: &str) -> Option<String> {
    if text.len() <= MOST_KEPT {
        return None;
    }
    // Line ends are git's business, as in the version itself.
    let text = text.replace("\r\n", "\n");
    (text.len() > MOST_KEPT).then(|| format!("{HASH}{}\n", blake3::hash(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::super::{functions, is_source, sources, version};
    use super::*;

    const PROMPT: &str =
        "---\npraxis.technique:\n  few_shot: {data: data/e.jsonl, count: 2}\n---\n{{q}}";

    fn files(all: &[(&str, &str)]) -> Sources {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        all.iter().map(owned).collect()
    }

    #[test]
    fn a_file_is_called_by_its_path_from_the_prompts_on() {
        for (written, name, from_the_application) in [
            ("e.jsonl", "../e.jsonl", "e.jsonl"),
            ("./data//e.jsonl", "../data/e.jsonl", "data/e.jsonl"),
            ("data/../e.jsonl", "../e.jsonl", "e.jsonl"),
            ("../../e.jsonl", "../../../e.jsonl", "../../e.jsonl"),
            ("prompts/a/e.jsonl", "a/e.jsonl", "prompts/a/e.jsonl"),
            ("data/../prompts/e.jsonl", "e.jsonl", "prompts/e.jsonl"),
            ("prompts", "../prompts", "prompts"),
        ] {
            assert_eq!(super::name(written).as_deref(), Some(name), "{written}");
            assert_eq!(path(name), from_the_application);
        }
        for written in ["", ".", "a\nb.jsonl", "a/.."] {
            assert_eq!(super::name(written), None, "{written:?}");
        }
        assert_eq!(path("answer.prompt"), "prompts/answer.prompt");
    }

    #[cfg(unix)]
    #[test]
    fn an_absolute_path_stays_what_it_is() {
        assert_eq!(super::name("/d/e.jsonl").as_deref(), Some("/d/e.jsonl"));
        assert_eq!(path("/d/e.jsonl"), "/d/e.jsonl");
        assert!(is_outside("/d/e.jsonl"));
    }

    #[test]
    fn data_files_are_found_however_the_technique_is_written() {
        for (technique, names) in [
            (
                "praxis.technique: {few_shot: {data: e.jsonl}}",
                &["../e.jsonl"][..],
            ),
            (
                "praxis:\n  technique:\n    - self_consistency: {samples: 3}\n    - chain_of_thought: {data: d/e.jsonl}",
                &["../d/e.jsonl"],
            ),
            // What is wrong elsewhere in it changes nothing of what it names.
            (
                "praxis.technique: [3, {few_shot: {data: e.jsonl, cuont: 2}}]",
                &["../e.jsonl"],
            ),
            ("praxis.technique: {few_shot: {data: [e.jsonl]}}", &[]),
            ("praxis.technique: few_shot", &[]),
            ("description: data", &[]),
            ("a: [", &[]),
        ] {
            assert_eq!(
                named(&format!("---\n{technique}\n---\nx")),
                names,
                "{technique}"
            );
        }
        assert!(named("praxis.technique: {few_shot: {data: e.jsonl}}").is_empty());
    }

    #[test]
    fn a_changed_data_file_is_another_version_and_no_other_file_is() {
        let of = |data: &[(&str, &str)]| {
            let mut all = files(&[("a.prompt", PROMPT), ("b.prompt", "b")]);
            all.extend(files(data));
            ["a", "b"].map(|name| version(name, &sources(&all, name).unwrap()))
        };
        let first = of(&[("../data/e.jsonl", "1\n")]);
        for (data, same) in [
            (&[("../data/e.jsonl", "1\r\n")][..], true),
            (&[("../data/e.jsonl", "2\n")], false),
            (
                &[("../data/e.jsonl", "1\n"), ("../data/f.jsonl", "1\n")],
                true,
            ),
            (&[], false),
        ] {
            let now = of(data);
            assert_eq!(now[0] == first[0], same, "{data:?}");
            assert_eq!(now[1], first[1]);
        }
    }

    #[test]
    fn data_files_are_neither_prompts_nor_schemas_whatever_they_are_called() {
        for name in ["../d/a.prompt", "../d/_a.prompt", "../d/A.schema.json"] {
            assert!(!is_source(name), "{name}");
            let all = files(&[("x.prompt", "{{> (lookup . \"p\")}}"), (name, "{")]);
            assert_eq!(functions(&all), ["x"]);
            let used: Vec<String> = sources(&all, "x").unwrap().into_keys().collect();
            assert_eq!(used, ["x.prompt"]);
        }
    }

    #[test]
    fn of_a_large_file_its_hash_is_kept() {
        let large = "x\n".repeat(MOST_KEPT / 2);
        assert_eq!(kept(large.clone()), large);
        // As many characters more as there are lines: they do not count.
        let windows = large.replace('\n', "\r\n");
        assert_eq!(kept(windows.clone()), windows);
        let larger = kept(format!("{large}y"));
        assert!(larger.starts_with(HASH) && larger.len() < 100, "{larger}");
        assert_eq!(larger, kept(format!("{windows}y")));
        assert_ne!(larger, kept(format!("{large}z")));
    }

    #[test]
    fn a_version_reads_its_own_data_and_never_today_s() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let mut all = files(&[("a.prompt", PROMPT)]);
        let said = |all: &Sources| text("data/e.jsonl", all, root).map(Cow::into_owned);
        assert!(
            said(&all)
                .unwrap_err()
                .contains("cannot read `data/e.jsonl`")
        );
        std::fs::create_dir(root.join("data")).unwrap();
        let write = |text: &str| std::fs::write(root.join("data/e.jsonl"), text).unwrap();
        write("old");
        add(&mut all, root);
        write("new");
        assert_eq!(said(&all).unwrap(), "old");
        // One that was kept without its file does not run on another one.
        let without = files(&[("a.prompt", PROMPT)]);
        assert!(
            said(&without)
                .unwrap_err()
                .contains("kept without `data/e.jsonl`")
        );
        let large = "x".repeat(MOST_KEPT + 1);
        write(&large);
        let mut all = without;
        add(&mut all, root);
        assert_eq!(said(&all).unwrap(), large);
        write(&format!("{large}x"));
        assert!(
            said(&all)
                .unwrap_err()
                .contains("put the file of that time back")
        );
    }
}
