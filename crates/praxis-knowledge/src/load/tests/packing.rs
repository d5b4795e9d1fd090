//! Packed bytes, as test files hold them.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, ZlibEncoder};

/// Deflated, with zlib's head and checksum.
pub(crate) fn zlib(data: &[u8]) -> Vec<u8> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    packed.write_all(data).unwrap();
    packed.finish().unwrap()
}

/// Deflated, and nothing else.
pub(crate) fn deflate(data: &[u8]) -> Vec<u8> {
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
    packed.write_all(data).unwrap();
    packed.finish().unwrap()
}
