//! Files as the index needs them: maps read as numbers, reads and writes at a place, and names that
//! change only when the contents are on the disk. What the files mean is told elsewhere.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::error::{Error, Result};

/// Numbers that any bytes are a value of.
///
/// # Safety
/// No padding, no invalid bit patterns.
pub(crate) unsafe trait Plain: Copy + 'static {}
// SAFETY: integers and floats have neither padding nor invalid values.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for u32 {}
// SAFETY: as above.
unsafe impl Plain for u64 {}
// SAFETY: as above.
unsafe impl Plain for f32 {}

#[cfg(target_endian = "big")]
compile_error!("the files are read in place, and they are little-endian");

/// Bytes as numbers, if they are aligned; a rest that is no whole number is left out.
pub(crate) fn numbers<T: Plain>(bytes: &[u8]) -> &[T] {
    if !bytes.as_ptr().cast::<T>().is_aligned() {
        return &[];
    }
    // SAFETY: the pointer is aligned, the length is in bounds, and any bits are a value of `T`.
    unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / size_of::<T>()) }
}

/// Numbers as the bytes that they are in memory, which is little-endian.
pub(crate) fn bytes<T: Plain>(numbers: &[T]) -> &[u8] {
    // SAFETY: plain numbers have no padding, and bytes are always aligned.
    unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), size_of_val(numbers)) }
}

/// Numbers as bytes to read into.
pub(crate) fn bytes_mut<T: Plain>(numbers: &mut [T]) -> &mut [u8] {
    // SAFETY: as in `bytes`, and any bytes written are a value of `T`.
    unsafe { std::slice::from_raw_parts_mut(numbers.as_mut_ptr().cast(), size_of_val(numbers)) }
}

/// A file that is read in place. Its length is checked when it is opened; who shortens it while it
/// is mapped ends the process, as with every map.
#[derive(Debug)]
pub(crate) struct Mapped {
    map: Mmap,
    path: PathBuf,
}

impl Mapped {
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::named(path))?;
        // SAFETY: segments are written once, under a name that no other process uses (the folder
        // is locked), and only removed, never shortened.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io("map", path))?;
        Ok(Self {
            map,
            path: path.to_owned(),
        })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Reads all of `buffer` at a place of a file.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset);
    #[cfg(windows)]
    {
        let mut done = 0;
        while done < buffer.len() {
            use std::os::windows::fs::FileExt;
            match file.seek_read(&mut buffer[done..], offset + done as u64)? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                n => done += n,
            }
        }
        Ok(())
    }
}

/// Writes all of `data` at a place of a file.
pub(crate) fn write_at(file: &File, data: &[u8], offset: u64) -> std::io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::write_all_at(file, data, offset);
    #[cfg(windows)]
    {
        let mut done = 0;
        while done < data.len() {
            use std::os::windows::fs::FileExt;
            match file.seek_write(&data[done..], offset + done as u64)? {
                0 => return Err(std::io::ErrorKind::WriteZero.into()),
                n => done += n,
            }
        }
        Ok(())
    }
}

/// Puts what a folder lists on the disk.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    if cfg!(unix) {
        let folder = File::open(path).map_err(Error::io("open", path))?;
        folder.sync_all().map_err(Error::io("sync", path))?;
    }
    Ok(())
}

/// Replaces a file whole: after a crash it is either the old or the new one.
pub(crate) fn replace(path: &Path, contents: &[u8]) -> Result<()> {
    let part = path.with_extension("part");
    let mut file = File::create(&part).map_err(Error::io("create", &part))?;
    file.write_all(contents)
        .and_then(|()| file.sync_all())
        .map_err(Error::io("write", &part))?;
    drop(file);
    fs::rename(&part, path).map_err(Error::io("replace", path))?;
    path.parent().map_or(Ok(()), sync_folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_their_bytes() {
        let mut values = [1.5f32, -2.0];
        assert_eq!(bytes(&values)[..4], 1.5f32.to_le_bytes());
        bytes_mut(&mut values)[4..].copy_from_slice(&7f32.to_le_bytes());
        assert_eq!(values, [1.5, 7.0]);
        let words = [1u64, 2];
        assert_eq!(numbers::<u64>(bytes(&words)), words);
        assert!(numbers::<u64>(&bytes(&words)[1..9]).is_empty());
    }
}
