//! TOML files of an application: read with their text at hand for every complaint, and changed in place.

use std::io::Write;
use std::path::Path;

use praxis_core::toml_file::TomlFile;
use praxis_core::{Diagnostic, plain};
use toml_edit::DocumentMut;

use crate::ui::Failure;

/// Changes a TOML file in place: comments and order stay, and it is replaced whole.
///
/// # Errors
/// A file that cannot be read or written, and those of `change`.
pub fn edit(
    path: &Path,
    change: impl FnOnce(&mut DocumentMut) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let cannot = |what: &str, e: &dyn std::fmt::Display| {
        Failure::message(format!("cannot {what} `{}`: {e}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|e| cannot("read", &e))?;
    let mut document: DocumentMut = text.parse().map_err(|e| cannot("read", &e))?;
    change(&mut document)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|e| cannot("write", &e))?;
    file.write_all(document.to_string().as_bytes())
        .map_err(|e| cannot("write", &e))?;
    if let Ok(old) = std::fs::metadata(path) {
        let _ = file.as_file().set_permissions(old.permissions());
    }
    file.persist(path).map_err(|e| cannot("write", &e.error))?;
    Ok(())
}

/// Reads `path`; diagnostics call it `name`.
///
/// # Errors
/// A diagnostic where it cannot be read or is not UTF-8.
pub fn read(path: &Path, name: impl Into<String>) -> Result<TomlFile, Diagnostic> {
    let name = name.into();
    let bytes = std::fs::read(path).map_err(|error| error.to_string());
    match bytes.and_then(plain::utf8) {
        Ok(source) => Ok(TomlFile::new(name, source)),
        Err(why) => Err(Diagnostic::error(format!("cannot read `{name}`: {why}"))),
    }
}
