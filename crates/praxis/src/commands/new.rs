//! `praxis new`: an application folder from a template that is part of the binary.

use std::path::{MAIN_SEPARATOR, Path};

use serde_json::json;

use crate::cli::{Global, New, Template};
use crate::ui::{self, CYAN, Failure};

macro_rules! files {
    ($template:literal: $($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../templates/", $template, "/", $path)))),+]
    };
}

const KNOWLEDGE_QA: &[(&str, &str)] = files!("knowledge-qa":
    "praxis.toml",
    "prompts/answer.prompt",
    "knowledge/docs.toml",
    ".gitignore",
);

const BLANK: &[(&str, &str)] = files!("blank":
    "praxis.toml",
    "prompts/hello.prompt",
    ".gitignore",
);

/// Creates the folder.
///
/// # Errors
/// Where it exists and is not empty, or cannot be written.
pub fn run(args: &New, global: &Global) -> Result<(), Failure> {
    let root = &args.path;
    let absolute = std::path::absolute(root).unwrap_or_else(|_| root.clone());
    let name = absolute
        .components()
        .as_path()
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .ok_or_else(|| Failure::message(format!("`{}` names no folder", root.display())))?;
    if root.exists() && std::fs::read_dir(root).map_or(true, |mut d| d.next().is_some()) {
        return Err(
            Failure::message(format!("`{}` exists and is not empty", root.display()))
                .with_help("name a folder that does not exist yet"),
        );
    }
    let files = match args.template {
        Template::KnowledgeQa => KNOWLEDGE_QA,
        Template::Blank => BLANK,
    };
    for (path, text) in files {
        write(
            &root.join(path),
            &text.replace("{{app-name}}", &toml_escape(&name)),
        )?;
    }
    if global.json {
        let paths: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
        ui::out_json(&json!({ "path": root, "files": paths }));
        return Ok(());
    }
    ui::note(format!(
        "Created {} with",
        ui::paint(ui::BOLD, root.display())
    ));
    for (path, _) in files {
        ui::note(format!("  {path}"));
    }
    let next = match args.template {
        Template::KnowledgeQa => {
            "cp YOUR-DOCUMENTS knowledge/ && praxis models pull && praxis ingest && praxis call answer question=\"...\""
        }
        Template::Blank => "praxis models pull && praxis call hello name=World",
    };
    ui::note(format!(
        "\nNext:\n  {}",
        ui::paint(CYAN, format_args!("cd {} && {next}", quoted(root)))
    ));
    Ok(())
}

/// A path as a shell reads it.
fn quoted(path: &Path) -> String {
    let path = path.to_string_lossy();
    let is_plain = |c: char| c.is_alphanumeric() || c == MAIN_SEPARATOR || ":._-+,@".contains(c);
    match path.chars().all(is_plain) {
        true => path.into_owned(),
        false => format!("'{}'", path.replace('\'', "'\\''")),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed =
        |e: std::io::Error| Failure::message(format!("cannot write `{}`: {e}", path.display()));
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    std::fs::write(path, text).map_err(failed)
}

/// The name as it stands between the quotes of a TOML basic string.
fn toml_escape(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_control())
        .flat_map(|c| match c {
            '"' | '\\' => vec!['\\', c],
            c => vec![c],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_can_be_copied_into_a_shell() {
        for (path, shown) in [
            ("a/b-1.x", "a/b-1.x"),
            ("文件", "文件"),
            ("a b/c", "'a b/c'"),
            ("it's", "'it'\\''s'"),
            ("$HOME", "'$HOME'"),
        ] {
            assert_eq!(quoted(Path::new(path)), shown);
        }
    }
}
