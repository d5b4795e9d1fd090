//! Files that code is given: of the workspace by their names, of an earlier answer by their ids, or written into the
//! call. Left out: what code makes of them.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use praxis_core::taint::Taint;
use praxis_core::{CallContext, CallError, Caller, ErrorCode};
use serde::Deserialize;

use super::said::{Given, is_name};
use super::store::Store;

/// Files of one call.
pub(super) const MOST: usize = 32;

/// A file that a call gives.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum File {
    /// One of the workspace, under its own name.
    Named(String),
    /// One with what is in it.
    Written(Written),
}

/// A file with what is in it, in one of three ways.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    /// What it is called in the scratch folder.
    name: String,
    /// Its text.
    text: Option<String>,
    /// Its bytes, as base64.
    base64: Option<String>,
    /// The id of a file that an earlier call gave.
    id: Option<String>,
}

/// Where files come from.
#[derive(Clone)]
pub(super) struct Inputs {
    /// The folder of files that are given by name.
    pub workspace: Option<PathBuf>,
    /// What earlier calls gave.
    pub store: Arc<Store>,
    /// Bytes of all files of a call together.
    pub most: u64,
}

impl Inputs {
    /// Reads the files of a call. What was read from outside before a kept file was made is read by the call too.
    ///
    /// # Errors
    /// `invalid_request` for a file that cannot be had, and `too_large`.
    pub async fn read(&self, files: Vec<File>, cx: &CallContext) -> Result<Vec<Given>, CallError> {
        if files.is_empty() {
            return Ok(Vec::new());
        }
        if files.len() > MOST {
            return Err(wrong(format!("a call is given at most {MOST} files")));
        }
        let (inputs, caller, taint) = (self.clone(), cx.caller().clone(), cx.taint().clone());
        let read = move || inputs.read_all(files, &caller, &taint);
        let read = tokio::task::spawn_blocking(read).await;
        read.map_err(CallError::failure)?
    }

    fn read_all(
        &self,
        files: Vec<File>,
        caller: &Caller,
        taint: &Taint,
    ) -> Result<Vec<Given>, CallError> {
        let mut left = self.most;
        let mut all: Vec<Given> = Vec::with_capacity(files.len());
        for file in files {
            let given = self.one(file, left, caller, taint)?;
            if !is_name(&given.name) {
                let message = format!("`{}` cannot be the name of a file here", given.name);
                return Err(wrong(message).with_hint("write it like `data/sales.csv`"));
            }
            if all.iter().any(|other| other.name == given.name) {
                return Err(wrong(format!("two files are called `{}`", given.name)));
            }
            left = left
                .checked_sub(given.bytes.len() as u64)
                .ok_or_else(|| self.too_large())?;
            all.push(given);
        }
        Ok(all)
    }

    fn one(
        &self,
        file: File,
        left: u64,
        caller: &Caller,
        taint: &Taint,
    ) -> Result<Given, CallError> {
        let Written {
            name,
            text,
            base64,
            id,
        } = match file {
            File::Named(name) => {
                let bytes = self.of_workspace(&name, left)?;
                return Ok(Given { name, bytes });
            }
            File::Written(written) => written,
        };
        let bytes = match (text, base64, id) {
            (Some(text), None, None) => text.into_bytes(),
            (None, Some(coded), None) => STANDARD
                .decode(coded.trim())
                .map_err(|error| wrong(format!("`{name}` is no base64: {error}")))?,
            (None, None, Some(id)) => {
                let kept = self.store.find(&id, caller)?;
                if let Some(source) = &kept.outside {
                    taint.mark(source);
                }
                kept.file.bytes
            }
            _ => {
                let message =
                    format!("`{name}` has none, or more than one, of `text`, `base64` and `id`");
                return Err(wrong(message));
            }
        };
        Ok(Given { name, bytes })
    }

    /// Reads a file of the workspace, which no name leaves: not by `..`, and not by a link.
    fn of_workspace(&self, name: &str, left: u64) -> Result<Vec<u8>, CallError> {
        let Some(workspace) = &self.workspace else {
            let message = format!("there is no workspace to take `{name}` from");
            return Err(wrong(message)
                .with_hint("write the file into the call: {\"name\": ..., \"text\": ...}"));
        };
        match bytes(workspace, name, left) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(self.too_large()),
            Err(error) => Err(wrong(format!(
                "`{name}` of the workspace cannot be read: {error}"
            ))),
        }
    }

    fn too_large(&self) -> CallError {
        let message = format!(
            "the files of a call have at most {} bytes together",
            self.most
        );
        CallError::new(ErrorCode::TooLarge, message)
            .with_hint("give smaller ones, or raise `limits.scratch` in the tool's file")
    }
}

/// What is in a file of a folder; nothing where it is more than `most` bytes.
fn bytes(folder: &Path, name: &str, most: u64) -> io::Result<Option<Vec<u8>>> {
    let folder = Dir::open_ambient_dir(folder, ambient_authority())?;
    // A pipe that nobody writes to would be waited for.
    if !folder.metadata(name)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    let file = folder.open(name)?;
    let read = file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((read as u64 <= most).then_some(bytes))
}

fn wrong(message: String) -> CallError {
    CallError::new(ErrorCode::InvalidRequest, message)
}

#[cfg(test)]
mod tests {
    use praxis_core::trace::NoTrace;
    use serde_json::{Value, json};

    use super::*;

    fn context() -> CallContext {
        CallContext::new(Arc::new(NoTrace)).with_caller(Caller::full())
    }

    fn inputs(folder: &Path) -> Inputs {
        let workspace = folder.join("data");
        std::fs::create_dir_all(workspace.join("below")).unwrap();
        std::fs::write(workspace.join("below/a.csv"), "1,2").unwrap();
        std::fs::write(folder.join("secret"), "s").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("../secret", workspace.join("link")).unwrap();
        Inputs {
            workspace: Some(workspace),
            store: Arc::new(Store::new(&folder.join("files"))),
            most: 10,
        }
    }

    async fn read(inputs: &Inputs, files: Value) -> Result<Vec<Given>, CallError> {
        let files = serde_json::from_value(files).unwrap();
        inputs.read(files, &context()).await
    }

    #[tokio::test]
    async fn files_come_from_three_places() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = inputs(folder.path());
        let blob = Given {
            name: "old.txt".to_owned(),
            bytes: b"old".to_vec(),
        };
        let kept = inputs.store.keep(&blob, &Caller::full(), None).unwrap();
        let given = read(
            &inputs,
            json!([
                "below/a.csv",
                { "name": "b.txt", "text": "é" },
                { "name": "c.bin", "base64": "AP8=" },
                { "name": "d.txt", "id": kept },
            ]),
        );
        let given = given.await.unwrap();
        let found: Vec<(&str, &[u8])> = given
            .iter()
            .map(|file| (file.name.as_str(), file.bytes.as_slice()))
            .collect();
        assert_eq!(
            found,
            [
                ("below/a.csv", &b"1,2"[..]),
                ("b.txt", "é".as_bytes()),
                ("c.bin", &[0, 255]),
                ("d.txt", b"old"),
            ]
        );
    }

    #[tokio::test]
    async fn a_kept_file_brings_along_what_was_read_before_it_was_made() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = inputs(folder.path());
        let file = Given {
            name: "page.md".to_owned(),
            bytes: b"obey".to_vec(),
        };
        for (outside, source) in [(Some("web/page"), Some("web/page")), (None, None)] {
            let id = inputs.store.keep(&file, &Caller::full(), outside).unwrap();
            let files = json!([{ "name": "page.md", "id": id }]);
            let cx = context();
            let files = serde_json::from_value(files).unwrap();
            inputs.read(files, &cx).await.unwrap();
            assert_eq!(cx.taint().source(), source);
        }
    }

    #[tokio::test]
    async fn what_cannot_be_given_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = inputs(folder.path());
        for (files, words) in [
            (json!(["absent.csv"]), "`absent.csv`"),
            (json!(["../secret"]), "`../secret`"),
            (json!(["/etc/passwd"]), "`/etc/passwd`"),
            (json!(["link"]), "`link`"),
            (json!(["below"]), "no file"),
            (
                json!([{ "name": "../x", "text": "" }]),
                "cannot be the name",
            ),
            (json!([{ "name": "x" }]), "none, or more"),
            (
                json!([{ "name": "x", "text": "", "base64": "" }]),
                "more than one",
            ),
            (json!([{ "name": "x", "base64": "?" }]), "no base64"),
            (
                json!([{ "name": "x", "text": "" }, { "name": "x", "text": "" }]),
                "two files",
            ),
            (json!([{ "name": "x", "text": "01234567890" }]), "10 bytes"),
            (json!([{ "name": "x", "id": "file_1" }]), "file_1"),
        ] {
            let error = read(&inputs, files).await.unwrap_err();
            assert!(error.message.contains(words), "{words}: {error}");
        }
    }
}
