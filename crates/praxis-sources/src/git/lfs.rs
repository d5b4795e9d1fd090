//! Pointers of Git LFS: what a repository holds instead of a large file, and a checkout too until `git lfs pull`: a few
//! lines that name it. Left out: the files, which another server has.

use std::ops::RangeInclusive;

/// Bytes of a pointer: its three lines, and what the specification allows (`docs/spec.md` of Git LFS).
pub(super) const SIZES: RangeInclusive<u64> = 120..=1023;

/// How a pointer begins.
const VERSION: &str = "version https://git-lfs.github.com/spec/";

/// Whether a file is a pointer of Git LFS: lines of a key and a value, `version` first, with the hash and the size of
/// what it points to (`docs/spec.md` of Git LFS).
pub fn is_pointer(bytes: &[u8]) -> bool {
    if !SIZES.contains(&(bytes.len() as u64)) {
        return false;
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    if !text.starts_with(VERSION) {
        return false;
    }
    let (mut has_hash, mut has_size) = (false, false);
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("oid", value)) => has_hash |= value.contains(':'),
            Some(("size", value)) => has_size |= value.parse::<u64>().is_ok(),
            Some((key, _)) if is_key(key) => {}
            _ => return false,
        }
    }
    has_hash && has_size
}

fn is_key(key: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    !key.is_empty() && key.bytes().all(plain)
}
