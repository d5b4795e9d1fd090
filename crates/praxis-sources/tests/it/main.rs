//! Sources against what they read: a real repository, real databases, a real server of buckets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking and say what they skip"
)]

mod git;
mod records;
#[cfg(feature = "s3")]
mod s3;
#[path = "../support/servers.rs"]
mod servers;

use std::collections::BTreeMap;
use std::path::Path;

use praxis_sources::{
    Content, Environment, Listing, Place, Run, Source, SourceConfig, SourceError, open,
};
use tokio_util::sync::CancellationToken;

/// A source as a base's file declares it.
fn source(dir: &Path, toml: &str, env: &[(&str, &str)]) -> Result<Box<dyn Source>, SourceError> {
    let config: SourceConfig = toml::from_str(toml).unwrap();
    assert_eq!(
        praxis_sources::problems([("sources.0".to_owned(), &config)]),
        []
    );
    let variables: BTreeMap<String, String> = env
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    open(
        &config,
        Place {
            dir: dir.join("knowledge"),
            state: dir.join("state").join(config.name()),
            env: Environment::Fixed(variables),
        },
    )
}

async fn list(source: &dyn Source) -> Result<Listing, SourceError> {
    let cancel = CancellationToken::new();
    source
        .list(&Run {
            progress: &|_| {},
            cancel: &cancel,
        })
        .await
}

fn uris(listing: &Listing) -> Vec<&str> {
    listing.entries.iter().map(|e| e.uri.as_str()).collect()
}

async fn content(source: &dyn Source, listing: &Listing, uri: &str) -> Content {
    let entry = listing
        .entries
        .iter()
        .find(|e| e.uri == uri)
        .expect("it is listed");
    source.fetch(entry).await.unwrap()
}

fn text(content: &Content) -> &str {
    std::str::from_utf8(&content.bytes).unwrap()
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}
