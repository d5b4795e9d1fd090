//! Files that are not the model they should be: an error that names file and offender, never a
//! panic, and no memory for sizes that only a header claims.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::useless_format,
    dead_code,
    reason = "tests fail by panicking, and share support that not each of them uses"
)]
mod common;

use std::io::{Read, Write};
use std::path::Path;

use praxis_engine::{ChatEngine, ChatOptions, EngineError};
use proptest::prelude::*;

fn load(bytes: &[u8]) -> Result<ChatEngine, EngineError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    ChatEngine::load(file.path(), ChatOptions::default())
}

/// The first bytes of a real model: all of the header and some tensors.
fn head(len: u64) -> Option<Vec<u8>> {
    let path = common::model("smollm2-135m-instruct")?;
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .unwrap()
        .take(len)
        .read_to_end(&mut bytes)
        .unwrap();
    Some(bytes)
}

#[test]
fn what_cannot_be_loaded_is_named() {
    let missing = Path::new("no/such/model.gguf");
    let error = ChatEngine::load(missing, ChatOptions::default()).unwrap_err();
    assert!(matches!(error, EngineError::Read { .. }), "{error}");
    assert!(error.to_string().contains("no/such/model.gguf"), "{error}");
    for (bytes, part) in [
        (&b""[..], "magic"),
        (b"not a model at all", "GGUF"),
        (b"GGUF\x09\0\0\0", "version 9"),
        (
            b"GGUF\x03\0\0\0\xff\xff\xff\xff\xff\xff\xff\x7f\0\0\0\0\0\0\0\0",
            "number of tensors",
        ),
        (
            b"GGUF\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            "general.architecture",
        ),
    ] {
        let error = load(bytes).unwrap_err().to_string();
        assert!(error.contains(part), "{error:?} should name {part:?}");
    }
}

#[test]
fn a_file_that_was_cut_off_says_so() {
    let Some(bytes) = head(8 << 20) else { return };
    for len in [100, 10_000, 1 << 20, 8 << 20] {
        match load(&bytes[..len]).unwrap_err() {
            EngineError::Damaged { problem, .. } => {
                assert!(problem.contains("byte"), "{problem}");
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_changed_architecture_is_unsupported_and_a_missing_key_is_named() {
    let Some(mut bytes) = head(u64::MAX) else {
        return;
    };
    let mut change = |from: &[u8], to: &[u8]| {
        let at = bytes.windows(from.len()).position(|w| w == from).unwrap();
        bytes[at..at + from.len()].copy_from_slice(to);
        let error = load(&bytes).unwrap_err();
        bytes[at..at + from.len()].copy_from_slice(from);
        error
    };
    let error = change(b"llama.block_count", b"llama.block_cound");
    assert!(error.to_string().contains("llama.block_count"), "{error}");
    let error = change(b"blk.7.ffn_up.weight", b"blk.7.ffn_uq.weight");
    assert!(error.to_string().contains("blk.7.ffn_up.weight"), "{error}");
    let key = b"general.architecture\x08\0\0\0\x05\0\0\0\0\0\0\0llama";
    let error = change(
        key,
        b"general.architecture\x08\0\0\0\x05\0\0\0\0\0\0\0mamba",
    );
    assert!(matches!(error, EngineError::Unsupported { .. }), "{error}");
    assert!(error.to_string().contains("mamba"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn damaged_headers_are_errors_and_never_panics(
        flips in proptest::collection::vec((0usize..4000, any::<u8>()), 1..8),
        cut in prop_oneof![Just(None), (0usize..4000).prop_map(Some)],
    ) {
        let Some(mut bytes) = head(4 << 20) else { return Ok(()) };
        for (at, with) in flips {
            bytes[at] ^= with;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut);
        }
        // Most of its tensors are missing, so it must fail, whatever the header says.
        prop_assert!(load(&bytes).is_err());
    }
}
