//! Addresses, references and trees; a real repository is read in `tests/git.rs`.

use praxis_core::Secret;
use proptest::prelude::*;

use super::lfs::{SIZES, is_pointer};
use super::objects::{Blob, blobs};
use super::program::Program;
use super::remote::{is_reference, parse};
use crate::config::GitConfig;

#[test]
fn addresses_that_could_run_programs_or_hold_secrets_are_refused() {
    for (text, protocol) in [
        ("https://example.com/a/b.git", Some("https")),
        ("https://[2001:db8::1]/a", Some("https")),
        ("ssh://git@example.com/a/b", Some("ssh")),
        ("git@example.com:a/b.git", Some("ssh")),
        ("../handbook", Some("file")),
        ("./odd:name", Some("file")),
        ("ext::sh -c touch% x", None),
        ("fd::17/foo", None),
        ("::x", None),
        ("--upload-pack=touch x", None),
        ("-oProxyCommand=x", None),
        ("ssh://-oProxyCommand=x/a", None),
        ("git@-oProxyCommand=x:a", None),
        ("https://user:secret@example.com/a", None),
        ("https://token@example.com/a", None),
        ("http://example.com/a", None),
        ("git://example.com/a", None),
        ("file:///a", None),
        ("a\nb", None),
        ("", None),
    ] {
        assert_eq!(parse(text).ok().map(|r| r.protocol()), protocol, "{text}");
    }
    for (text, good) in [
        ("main", true),
        ("feature/x-1", true),
        ("v1.2+3", true),
        ("0123456789abcdef0123456789abcdef01234567", true),
        ("--force", false),
        ("+main", false),
        ("a:b", false),
        ("a..b", false),
        ("a b", false),
        ("main@{1}", false),
        ("", false),
    ] {
        assert_eq!(is_reference(text), good, "{text}");
    }
}

#[test]
fn a_tree_is_its_regular_files() {
    let id = "a".repeat(40);
    let listing = format!(
        "100644 blob {id}\tdocs/a b.md\0120000 blob {id}\tlink\0160000 commit {id}\tmodule\0100755 blob {id}\t文.md\0"
    );
    let expected = ["docs/a b.md", "文.md"].map(|path| Blob {
        path: path.to_owned(),
        id: id.clone(),
    });
    assert_eq!(blobs(listing.as_bytes()), expected);
}

#[test]
fn pointers_of_git_lfs_are_known_from_texts_about_them() {
    let hash = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";
    let version = "version https://git-lfs.github.com/spec/v1";
    let pointer = format!("{version}\noid sha256:{hash}\nsize 12345\n");
    let extended = format!("{version}\next-0-foo sha256:{hash}\noid sha256:{hash}\nsize 12345\n");
    for text in [&pointer, &extended] {
        assert!(is_pointer(text.as_bytes()), "{text}");
        assert!(SIZES.contains(&(text.len() as u64)), "{text}");
    }
    for text in [
        format!("# Git LFS\n\n{pointer}"),
        format!("{pointer}\nThese are the lines of a pointer.\n"),
        version.to_owned(),
        format!("{version}\noid sha256:{hash}\nsize large\n"),
        String::new(),
    ] {
        assert!(!is_pointer(text.as_bytes()), "{text}");
    }
    assert!(!is_pointer(b"version https://git-lfs.github.com/spec/\xff"));
}

#[tokio::test]
async fn a_token_is_sent_to_no_server_that_another_one_names() {
    let dir = tempfile::tempdir().unwrap();
    let remote = parse("https://example.com/a.git").unwrap();
    let token = Secret::new("t0ken");
    for (token, expected) in [(Some(&token), "false"), (None, "unset")] {
        let dir = dir.path().join(expected);
        std::fs::create_dir(&dir).unwrap();
        let program = Program::new(dir, &remote, token, &GitConfig::default());
        program.run(&["init", "--quiet", "--bare"]).await.unwrap();
        let key = "http.followRedirects";
        let asked = ["config", "--default", "unset", "--get", key];
        let set = program.run(&asked).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&set).trim(), expected);
    }
}

proptest! {
    #[test]
    fn no_listing_makes_it_fail(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for blob in blobs(&bytes) {
            prop_assert!(!blob.path.is_empty() && blob.id.bytes().all(|b| b.is_ascii_hexdigit()));
        }
    }

    #[test]
    fn what_is_accepted_is_no_option(text in "\\PC{0,40}") {
        if let Ok(remote) = parse(&text) {
            prop_assert!(!remote.url().starts_with(['-', ':']));
        }
        if is_reference(&text) {
            prop_assert!(!text.starts_with(['-', '+']) && !text.contains(':'));
        }
    }
}
