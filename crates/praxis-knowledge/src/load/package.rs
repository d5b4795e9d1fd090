//! ZIP archives that hold a document in parts, as Office Open XML, OpenDocument and EPUB do: parts,
//! relationships and title, all of them bounded in what they unpack to. Left out: what the parts say.

use std::io::{Cursor, Read};

use praxis_core::Metadata;
use serde_json::{Map, Value};
use zip::ZipArchive;

use super::{LoadError, LoadLimits, xml};
use crate::metadata::from_file;

/// The archive, and how many bytes may still be unpacked from it.
pub(super) struct Package<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    limit: u64,
    left: u64,
}

/// What a part refers to.
pub(super) struct Relation {
    /// Its name in the part that refers.
    pub id: String,
    /// What the other part is: a URI, of which the last segment says it.
    pub kind: String,
    /// The other part's path from the package's root.
    pub target: String,
}

impl<'a> Package<'a> {
    /// The archive in these bytes.
    ///
    /// # Errors
    /// [`LoadError::Damaged`].
    pub fn open(bytes: &'a [u8], limits: LoadLimits) -> Result<Self, LoadError> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| {
            LoadError::Damaged(format!(
                "its ZIP directory cannot be read ({error}); it may be cut short"
            ))
        })?;
        Ok(Self {
            archive,
            limit: limits.max_bytes,
            left: limits.max_bytes,
        })
    }

    /// Whether there is a part of this path.
    pub fn has(&self, name: &str) -> bool {
        self.archive.index_for_name(name).is_some()
    }

    /// The paths of its parts.
    pub fn names(&self) -> impl Iterator<Item = String> {
        // One that is no text is none that a loader asks for.
        let names = self.archive.file_names();
        names.filter_map(|name| Some(name.ok()?.into_owned()))
    }

    /// A part as it is, bounded: an archive may unpack to more than memory holds.
    ///
    /// # Errors
    /// [`LoadError::TooLarge`], [`LoadError::Damaged`].
    pub fn bytes(&mut self, name: &str) -> Result<Option<Vec<u8>>, LoadError> {
        let Some(index) = self.archive.index_for_name(name) else {
            return Ok(None);
        };
        let damaged = |e: &dyn std::fmt::Display| LoadError::Damaged(format!("{name}: {e}"));
        let file = self.archive.by_index(index).map_err(|e| damaged(&e))?;
        let mut bytes = Vec::new();
        file.take(self.left + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| damaged(&e))?;
        let size = bytes.len() as u64;
        if size > self.left {
            return Err(LoadError::TooLarge {
                size: self.limit - self.left + size,
                limit: self.limit,
            });
        }
        self.left -= size;
        Ok(Some(bytes))
    }

    /// A part as text.
    ///
    /// # Errors
    /// Those of [`Package::bytes`], and [`LoadError::Damaged`] for what is no text.
    pub fn part(&mut self, name: &str) -> Result<Option<String>, LoadError> {
        let Some(bytes) = self.bytes(name)? else {
            return Ok(None);
        };
        xml::decode(bytes)
            .map(Some)
            .map_err(|e| LoadError::Damaged(format!("{name}: {e}")))
    }

    /// Unpacks all parts and keeps none, for parsers that open the archive themselves and have no
    /// bound of their own.
    ///
    /// # Errors
    /// [`LoadError::TooLarge`]. What cannot be unpacked is left for the parser to report.
    pub fn check_size(&mut self) -> Result<(), LoadError> {
        let mut unpacked = 0;
        for index in 0..self.archive.len() {
            let Ok(file) = self.archive.by_index(index) else {
                continue;
            };
            let mut file = file.take(self.limit + 1 - unpacked);
            unpacked += std::io::copy(&mut file, &mut std::io::sink()).unwrap_or(0);
            if unpacked > self.limit {
                return Err(LoadError::TooLarge {
                    size: unpacked,
                    limit: self.limit,
                });
            }
        }
        Ok(())
    }

    /// What a part refers to inside of the package; what the package itself does for an empty path.
    ///
    /// # Errors
    /// Those of [`Package::part`].
    pub fn relations(&mut self, of: &str) -> Result<Vec<Relation>, LoadError> {
        let (folder, file) = of.rsplit_once('/').unwrap_or(("", of));
        let path = resolve(folder, &format!("_rels/{file}.rels"));
        let Some(text) = self.part(&path)? else {
            return Ok(Vec::new());
        };
        let mut all = Vec::new();
        xml::each(&text, |event| {
            if let xml::Event::Start("Relationship", attributes) = event
                && attributes.get("TargetMode").as_deref() != Some("External")
                && let (Some(kind), Some(target)) =
                    (attributes.get("Type"), attributes.get("Target"))
            {
                all.push(Relation {
                    id: attributes.get("Id").unwrap_or_default(),
                    kind,
                    target: resolve(folder, &target),
                });
            }
        })?;
        Ok(all)
    }

    /// The path of the part that all others hang from; `usual` where the package does not tell.
    ///
    /// # Errors
    /// Those of [`Package::part`].
    pub fn main_part(&mut self, usual: &str) -> Result<String, LoadError> {
        let relations = self.relations("")?;
        let main = relations
            .into_iter()
            .find(|r| r.kind.ends_with("/officeDocument"));
        Ok(main.map_or_else(|| usual.to_owned(), |r| r.target))
    }

    /// The title that an Office document has among its properties, and what else they say of it.
    ///
    /// # Errors
    /// Those of [`Package::part`].
    pub fn properties(&mut self) -> Result<(Option<String>, Metadata), LoadError> {
        match self.part("docProps/core.xml")? {
            Some(core) => Ok((xml::element_text(&core, "title")?, about(&core)?)),
            None => Ok((None, Metadata::new())),
        }
    }
}

/// What an Office document's properties say of it, by our words.
fn about(core: &str) -> Result<Metadata, LoadError> {
    let mut about = Map::new();
    for (element, key) in [
        ("creator", "author"),
        ("created", "date"),
        ("keywords", "tags"),
    ] {
        let Some(text) = xml::element_text(core, element)? else {
            continue;
        };
        let value = if key == "tags" {
            let tags = text.split([',', ';']).map(str::trim);
            tags.filter(|tag| !tag.is_empty()).collect()
        } else {
            Value::from(text)
        };
        about.insert(key.to_owned(), value);
    }
    // What a program wrote badly is nothing that its reader could mend.
    Ok(from_file(&about, "properties", &mut Vec::new()))
}

/// A path as seen from a folder, without `.` and `..`.
pub(super) fn resolve(folder: &str, path: &str) -> String {
    let path = path.replace('\\', "/");
    let mut parts: Vec<&str> = Vec::new();
    if !path.starts_with('/') {
        parts.extend(folder.split('/').filter(|p| !p.is_empty()));
    }
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}
