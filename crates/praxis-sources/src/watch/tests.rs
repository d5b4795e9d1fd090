//! What is told of files and folders that change, that are replaced, and that come later.

use super::*;
use crate::FolderConfig;

/// Longer than any change is held back.
const SECONDS: Duration = Duration::from_secs(15);

fn watched(dir: &Path, paths: &[&str]) -> Changes {
    let sources = [SourceConfig::Folder(FolderConfig {
        paths: paths.iter().map(|p| (*p).to_owned()).collect(),
        ..FolderConfig::default()
    })];
    Changes::watch(dir, &sources, ".praxis").unwrap()
}

async fn tells(changes: &mut Changes) -> bool {
    tokio::time::timeout(SECONDS, changes.next()).await.is_ok()
}

async fn is_quiet(changes: &mut Changes) -> bool {
    tokio::time::timeout(QUIET, changes.next()).await.is_err()
}

/// Writes a file as editors do: under another name first.
fn save(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, text).unwrap();
    std::fs::rename(&draft, path).unwrap();
}

#[tokio::test]
async fn changes_are_told_once_for_many_files() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("docs")).unwrap();
    let mut changes = watched(dir.path(), &["docs", "nowhere/missing"]);
    let blind = changes.blind();
    assert_eq!(blind.len(), 1, "{blind:?}");
    assert!(blind[0].0.ends_with("nowhere/missing"), "{blind:?}");
    for i in 0..5 {
        std::fs::write(dir.path().join(format!("docs/{i}.md")), "x").unwrap();
    }
    assert!(tells(&mut changes).await);
    assert!(is_quiet(&mut changes).await, "one change is told twice");
    std::fs::create_dir(dir.path().join("docs/.praxis")).unwrap();
    std::fs::write(dir.path().join("docs/.praxis/db"), "x").unwrap();
    std::fs::remove_file(dir.path().join("docs/1.md")).unwrap();
    assert!(tells(&mut changes).await);
    // What is beside the paths is no change.
    std::fs::write(dir.path().join("other.md"), "x").unwrap();
    assert!(is_quiet(&mut changes).await);
}

#[tokio::test]
async fn a_file_that_is_named_singly_is_seen_each_time_that_it_is_saved() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("knowledge")).unwrap();
    let file = dir.path().join("README.md");
    std::fs::write(&file, "x").unwrap();
    let mut changes = watched(&dir.path().join("knowledge"), &["../README.md"]);
    assert_eq!(changes.blind(), []);
    for round in 0..3 {
        save(&file, &round.to_string());
        assert!(tells(&mut changes).await, "save {round}");
    }
    std::fs::write(&file, "in place").unwrap();
    assert!(tells(&mut changes).await, "a file that is written in place");
    std::fs::remove_file(&file).unwrap();
    assert!(tells(&mut changes).await, "a file that is removed");
    std::fs::write(&file, "again").unwrap();
    assert!(tells(&mut changes).await, "a file that is back");
}

#[tokio::test]
async fn a_folder_that_was_swapped_is_watched_and_the_old_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::create_dir_all(path("docs/inner")).unwrap();
    let mut changes = watched(dir.path(), &["docs/**/*.md"]);
    for round in 0..2 {
        let (old, new) = (path(&format!("old{round}")), path("new"));
        std::fs::create_dir_all(new.join("inner")).unwrap();
        std::fs::rename(path("docs"), &old).unwrap();
        std::fs::rename(&new, path("docs")).unwrap();
        assert!(tells(&mut changes).await, "swap {round}");
        std::fs::write(old.join("inner/a.md"), "x").unwrap();
        assert!(is_quiet(&mut changes).await, "swap {round}");
        std::fs::write(path("docs/inner/a.md"), "x").unwrap();
        assert!(tells(&mut changes).await, "a file after swap {round}");
    }
    // One that is made anew may have the place on the disk that the old one had.
    std::fs::remove_dir_all(path("docs")).unwrap();
    std::fs::create_dir(path("docs")).unwrap();
    assert!(tells(&mut changes).await);
    std::fs::write(path("docs/b.md"), "x").unwrap();
    assert!(tells(&mut changes).await);
}

#[tokio::test]
async fn a_link_that_is_turned_to_another_folder_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    for release in ["one", "two"] {
        std::fs::create_dir(path(release)).unwrap();
    }
    std::os::unix::fs::symlink("one", path("current")).unwrap();
    let mut changes = watched(dir.path(), &["current"]);
    std::os::unix::fs::symlink("two", path("next")).unwrap();
    std::fs::rename(path("next"), path("current")).unwrap();
    assert!(tells(&mut changes).await);
    std::fs::write(path("two/a.md"), "x").unwrap();
    assert!(tells(&mut changes).await);
}

#[tokio::test]
async fn a_folder_that_comes_later_is_watched_from_then_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut changes = watched(dir.path(), &["later"]);
    assert_eq!(changes.blind(), []);
    std::fs::create_dir(dir.path().join("later")).unwrap();
    assert!(tells(&mut changes).await);
    std::fs::write(dir.path().join("later/a.md"), "x").unwrap();
    assert!(tells(&mut changes).await);
}

#[tokio::test]
async fn what_is_replaced_without_a_word_is_found_by_looking() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::create_dir_all(path("app/knowledge/docs")).unwrap();
    let mut changes = watched(&path("app/knowledge"), &["docs"]);
    // Two levels above what is watched.
    std::fs::create_dir_all(path("next/knowledge/docs")).unwrap();
    std::fs::rename(path("app"), path("before")).unwrap();
    std::fs::rename(path("next"), path("app")).unwrap();
    changes.look_at = Instant::now();
    assert!(tells(&mut changes).await);
    std::fs::write(path("app/knowledge/docs/a.md"), "x").unwrap();
    assert!(tells(&mut changes).await);
}

#[tokio::test]
async fn a_change_is_not_lost_where_nobody_waits_to_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut changes = watched(dir.path(), &["."]);
    std::fs::write(dir.path().join("a.md"), "x").unwrap();
    // It is told of, and then others are waited for.
    assert!(is_quiet(&mut changes).await);
    assert!(tells(&mut changes).await);
    assert!(is_quiet(&mut changes).await);
}
