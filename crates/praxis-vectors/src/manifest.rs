//! The manifest: a small text file that says which files are the index, and up to where the caller's
//! operations are in them. It is replaced whole, after what it names is on the disk.
//!
//! ```text
//! praxis-vectors 1
//! dimension 384
//! watermark 17
//! log 5
//! committed 4096
//! caution 400
//! segment 3
//! checksum 1c291ca3
//! ```

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::replace;

const TITLE: &str = "praxis-vectors 1";

/// What the index consists of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Manifest {
    pub dimension: usize,
    pub watermark: u64,
    pub log: u64,
    /// Bytes of the log that are on the disk; 0 where an earlier version wrote the manifest, which did not say.
    pub committed: u64,
    /// What was learned from queries, see [`crate::Index::calibrate`], in percent.
    pub caution: Vec<u64>,
    pub segments: Vec<u64>,
}

/// The manifest's file.
pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join("manifest")
}

impl Manifest {
    /// Reads the manifest of a folder; none if there is none.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = path(folder);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", &path)(error)),
        };
        Self::parse(&bytes)
            .map(Some)
            .map_err(|what| Error::corrupt(&path, what))
    }

    fn parse(bytes: &[u8]) -> std::result::Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is no text")?;
        let at = text.rfind("checksum ").ok_or("it has no checksum")?;
        if format!("checksum {:08x}\n", crc32fast::hash(&bytes[..at])) != text[at..] {
            return Err("its checksum is wrong".into());
        }
        let mut lines = text[..at].lines();
        if lines.next() != Some(TITLE) {
            return Err("it was written by another version".into());
        }
        let mut manifest = Self::default();
        for line in lines {
            let (name, value) = line.split_once(' ').ok_or("a line has no value")?;
            let number: u64 = value
                .parse()
                .map_err(|_| format!("`{value}` is no number"))?;
            match name {
                "dimension" => manifest.dimension = number as usize,
                "watermark" => manifest.watermark = number,
                "log" => manifest.log = number,
                "committed" => manifest.committed = number,
                "caution" => manifest.caution.push(number),
                "segment" => manifest.segments.push(number),
                _ => return Err(format!("`{name}` is unknown")),
            }
        }
        Ok(manifest)
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{TITLE}\ndimension {}\nwatermark {}\nlog {}\ncommitted {}\n",
            self.dimension, self.watermark, self.log, self.committed
        );
        for percent in &self.caution {
            text.push_str(&format!("caution {percent}\n"));
        }
        for segment in &self.segments {
            text.push_str(&format!("segment {segment}\n"));
        }
        let sum = crc32fast::hash(text.as_bytes());
        text.push_str(&format!("checksum {sum:08x}\n"));
        text
    }

    /// Replaces the manifest of a folder.
    pub fn write(&self, folder: &Path) -> Result<()> {
        replace(&path(folder), self.text().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_any_changed_bit_is_noticed() {
        let manifest = Manifest {
            dimension: 384,
            watermark: u64::MAX,
            log: 5,
            committed: 4096,
            caution: vec![400, 120],
            segments: vec![3, 9],
        };
        let text = manifest.text();
        assert_eq!(Manifest::parse(text.as_bytes()), Ok(manifest));
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                assert!(Manifest::parse(&bytes).is_err(), "bit {bit} of byte {at}");
            }
            assert!(Manifest::parse(&text.as_bytes()[..at]).is_err());
        }
    }

    #[test]
    fn a_manifest_of_an_earlier_version_does_not_say_how_long_its_log_is() {
        let mut text = format!("{TITLE}\ndimension 384\nwatermark 17\nlog 5\nsegment 3\n");
        let sum = crc32fast::hash(text.as_bytes());
        text.push_str(&format!("checksum {sum:08x}\n"));
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        assert_eq!((manifest.log, manifest.committed), (5, 0));
        assert_eq!((manifest.watermark, manifest.segments), (17, vec![3]));
    }
}
