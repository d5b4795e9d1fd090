//! A repository made on the spot, read through `git` as a user's would be.

use std::path::Path;
use std::process::Command;

use super::*;

fn git(dir: &Path, args: &[&str]) {
    let output = Command::new("git")
        .arg("-C")
        .arg(dir)
        .args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.com",
            "-c",
            "commit.gpgsign=false",
        ])
        .args(args)
        .env_remove("GIT_DIR")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn repository(dir: &Path) {
    for (path, text) in [
        ("docs/guide.md", "# Guide\n\nOpen at nine.\n"),
        ("docs/文.md", "# 文\n"),
        ("src/main.rs", "fn main() {}\n"),
        ("logo.png", "png"),
        (".github/ci.yml", "on: push\n"),
        ("large.txt", "x"),
    ] {
        write(&dir.join(path), text);
    }
    std::fs::write(dir.join("large.txt"), "x".repeat(4000)).unwrap();
    std::os::unix::fs::symlink("guide.md", dir.join("docs/link.md")).unwrap();
    git(dir, &["init", "--quiet", "--initial-branch=main"]);
    git(dir, &["add", "."]);
    git(dir, &["commit", "--quiet", "-m", "one"]);
}

#[tokio::test]
async fn files_of_a_branch_are_read_by_their_object_ids() {
    let dir = tempfile::tempdir().unwrap();
    let origin = dir.path().join("handbook");
    repository(&origin);
    std::fs::create_dir_all(dir.path().join("knowledge")).unwrap();
    let toml = "type = \"git\"\nurl = \"../handbook\"\nmax_file_bytes = 1000\n";
    let first = source(dir.path(), toml, &[]).unwrap();
    let listing = list(&*first).await.unwrap();
    assert_eq!(
        uris(&listing),
        [
            "handbook:docs/guide.md",
            "handbook:docs/文.md",
            "handbook:large.txt",
            "handbook:src/main.rs"
        ]
    );
    assert!(
        listing.complete && listing.entries[0].modified > 0,
        "{listing:?}"
    );
    let guide = content(&*first, &listing, "handbook:docs/guide.md").await;
    assert_eq!(
        (guide.name.as_str(), text(&guide)),
        ("guide.md", "# Guide\n\nOpen at nine.\n")
    );
    let large = listing
        .entries
        .iter()
        .find(|e| e.uri.ends_with("large.txt"))
        .unwrap();
    assert_eq!(large.size, 4000);
    assert!(matches!(
        first.fetch(large).await,
        Err(SourceError::TooLarge {
            size: 4000,
            limit: 1000
        })
    ));
    // The process that gave bytes still does.
    assert_eq!(
        text(&content(&*first, &listing, "handbook:src/main.rs").await),
        "fn main() {}\n"
    );

    std::fs::write(origin.join("docs/guide.md"), "# Guide\n\nOpen at ten.\n").unwrap();
    git(&origin, &["rm", "--quiet", "src/main.rs"]);
    git(&origin, &["commit", "--quiet", "-am", "two"]);
    let second = source(dir.path(), toml, &[]).unwrap();
    // What a killed `git` leaves behind stops nobody.
    std::fs::write(
        dir.path()
            .join("state/handbook/repository.git/shallow.lock"),
        "",
    )
    .unwrap();
    let later = list(&*second).await.unwrap();
    assert_eq!(uris(&later).len(), 3);
    let versions = |listing: &Listing, uri: &str| {
        listing
            .entries
            .iter()
            .find(|e| e.uri == uri)
            .unwrap()
            .version
            .clone()
    };
    assert_ne!(
        versions(&listing, "handbook:docs/guide.md"),
        versions(&later, "handbook:docs/guide.md")
    );
    assert_eq!(
        versions(&listing, "handbook:docs/文.md"),
        versions(&later, "handbook:docs/文.md")
    );
    assert!(text(&content(&*second, &later, "handbook:docs/guide.md").await).contains("ten"));

    // A damaged copy is made anew.
    std::fs::write(
        dir.path().join("state/handbook/repository.git/HEAD"),
        "nonsense",
    )
    .unwrap();
    let third = source(dir.path(), toml, &[]).unwrap();
    assert_eq!(uris(&list(&*third).await.unwrap()).len(), 3);
}

#[tokio::test]
async fn pointers_of_git_lfs_are_no_documents() {
    let dir = tempfile::tempdir().unwrap();
    let origin = dir.path().join("handbook");
    repository(&origin);
    let pointer = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n",
        "4d7a".repeat(16)
    );
    for path in ["docs/notes.md", "docs/paper.pdf"] {
        write(&origin.join(path), &pointer);
    }
    git(&origin, &["add", "."]);
    git(&origin, &["commit", "--quiet", "-m", "large files"]);
    std::fs::create_dir_all(dir.path().join("knowledge")).unwrap();
    let toml = "type = \"git\"\nurl = \"../handbook\"\npaths = [\"docs/**\"]\n";
    let listing = list(&*source(dir.path(), toml, &[]).unwrap())
        .await
        .unwrap();
    assert_eq!(
        uris(&listing),
        ["handbook:docs/guide.md", "handbook:docs/文.md"]
    );
    assert!(listing.complete && listing.notes.len() == 1, "{listing:?}");
    let note = &listing.notes[0];
    assert!(
        note.starts_with("2 files") && note.contains("`docs/notes.md`"),
        "{note}"
    );
    assert!(note.contains("git lfs pull"), "{note}");
    let told = format!("{toml}exclude = [\"docs/notes.md\", \"**/*.pdf\"]\n");
    let listing = list(&*source(dir.path(), &told, &[]).unwrap())
        .await
        .unwrap();
    assert!(listing.notes.is_empty(), "{listing:?}");
}

#[tokio::test]
async fn branches_and_globs_choose_and_mistakes_have_their_fix() {
    let dir = tempfile::tempdir().unwrap();
    let origin = dir.path().join("handbook");
    repository(&origin);
    git(&origin, &["checkout", "--quiet", "-b", "next"]);
    write(&origin.join("docs/new.md"), "# New\n");
    git(&origin, &["add", "."]);
    git(&origin, &["commit", "--quiet", "-m", "next"]);
    git(&origin, &["checkout", "--quiet", "main"]);
    let chosen = source(
        dir.path(),
        "type = \"git\"\nurl = \"../handbook\"\nname = \"hb\"\nref = \"next\"\npaths = [\"docs/**\"]\nexclude = [\"**/文.md\"]\n",
        &[],
    )
    .unwrap();
    assert_eq!(
        uris(&list(&*chosen).await.unwrap()),
        ["hb:docs/guide.md", "hb:docs/new.md"]
    );

    let missing = source(
        dir.path(),
        "type = \"git\"\nurl = \"../handbook\"\nref = \"nowhere\"\n",
        &[],
    )
    .unwrap();
    let error = list(&*missing).await.unwrap_err();
    assert!(error.hint().contains("`ref`"), "{error}: {}", error.hint());
    let nobody = source(dir.path(), "type = \"git\"\nurl = \"../nobody\"\n", &[]).unwrap();
    let error = list(&*nobody).await.unwrap_err();
    assert!(error.hint().contains("`url`"), "{error}: {}", error.hint());
    let secret = source(
        dir.path(),
        "type = \"git\"\nurl = \"https://example.com/a\"\ntoken = \"env:NO_TOKEN\"\n",
        &[],
    );
    assert!(secret.err().unwrap().to_string().contains("NO_TOKEN"));
}
