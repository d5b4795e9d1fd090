//! Buckets on servers that speak S3: moto, where it is installed, and a small one of our own for names that no client
//! writes.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{ObjectStoreExt, PutPayload};

use super::*;

struct Moto {
    child: Child,
    port: u16,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a request without a body and returns whether it was answered well.
async fn asked(port: u16, request: &str) -> bool {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let Ok(mut stream) = tokio::net::TcpStream::connect(("127.0.0.1", port)).await else {
        return false;
    };
    let text = format!(
        "{request} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let mut answer = String::new();
    stream.write_all(text.as_bytes()).await.is_ok()
        && stream.read_to_string(&mut answer).await.is_ok()
        && answer.lines().next().is_some_and(|l| l.contains(" 200 "))
}

async fn moto() -> Option<Moto> {
    let port = TcpListener::bind("127.0.0.1:0")
        .ok()?
        .local_addr()
        .ok()?
        .port();
    let child = Command::new("moto_server")
        .args(["-H", "127.0.0.1", "-p", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let moto = Moto { child, port };
    for _ in 0..150 {
        if asked(port, "PUT /papers").await {
            return Some(moto);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    None
}

async fn put(store: &AmazonS3, key: &str, text: &str) {
    store
        .put(&Key::parse(key).unwrap(), PutPayload::from(text.to_owned()))
        .await
        .unwrap();
}

#[tokio::test]
async fn objects_are_listed_with_their_etags_and_read() {
    let Some(moto) = moto().await else {
        eprintln!("SKIPPED: needs moto_server");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let endpoint = format!("http://127.0.0.1:{}", moto.port);
    let toml = format!(
        "type = \"s3\"\nbucket = \"papers\"\nprefix = \"reports/\"\nendpoint = \"{endpoint}\"\n\
         access_key = \"env:KEY\"\nsecret_key = \"env:SECRET\"\nmax_file_bytes = 100\ntimeout = \"5s\"\n"
    );
    let env = [("KEY", "k"), ("SECRET", "s")];
    let papers = source(dir.path(), &toml, &env).unwrap();
    let store = AmazonS3Builder::new()
        .with_bucket_name("papers")
        .with_region("us-east-1")
        .with_endpoint(&endpoint)
        .with_allow_http(true)
        .with_access_key_id("k")
        .with_secret_access_key("s")
        .build()
        .unwrap();
    for (key, text) in [
        ("reports/2026/一.md", "# One\n"),
        ("reports/b c.txt", "two"),
        ("reports/large.txt", &"x".repeat(500)),
        ("reports/logo.png", "png"),
        ("other/no.md", "no"),
    ] {
        put(&store, key, text).await;
    }
    let listing = list(&*papers).await.unwrap();
    assert_eq!(
        uris(&listing),
        [
            "s3://papers/reports/2026/一.md",
            "s3://papers/reports/b c.txt",
            "s3://papers/reports/large.txt"
        ]
    );
    assert!(
        listing.complete && listing.entries.iter().all(|e| e.modified > 0),
        "{listing:?}"
    );
    let one = content(&*papers, &listing, "s3://papers/reports/2026/一.md").await;
    assert_eq!((one.name.as_str(), text(&one)), ("一.md", "# One\n"));
    assert!(matches!(
        papers.fetch(&listing.entries[2]).await,
        Err(SourceError::TooLarge {
            size: 500,
            limit: 100
        })
    ));

    put(&store, "reports/b c.txt", "two, changed").await;
    // What changed after it was listed is not taken for what was listed.
    assert!(matches!(
        papers.fetch(&listing.entries[1]).await,
        Err(SourceError::Gone(_))
    ));
    let later = list(&*papers).await.unwrap();
    assert_eq!(later.entries[0].version, listing.entries[0].version);
    assert_ne!(later.entries[1].version, listing.entries[1].version);

    let nowhere = toml.replace("\"papers\"", "\"nowhere\"");
    assert!(
        list(&*source(dir.path(), &nowhere, &env).unwrap())
            .await
            .is_err()
    );
    drop(moto);
    assert!(
        list(&*papers).await.is_err(),
        "a server that is down has no empty bucket"
    );
}

/// A bucket `papers` on a server for as long as the test runs: it lists these names, on pages of two, and each object
/// holds its name.
fn listing(names: &'static [&'static str]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().and_then(Result::ok).unwrap_or_default();
            while lines
                .next()
                .and_then(Result::ok)
                .is_some_and(|l| !l.is_empty())
            {}
            let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
            let body = match path.split_once('?') {
                Some(("/papers", query)) => page(names, query),
                _ => path.trim_start_matches("/papers/").to_owned(),
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nETag: \"1\"\r\nLast-Modified: Fri, 02 Jan 2026 03:04:05 GMT\r\n\
                 Connection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    port
}

/// One page of a listing of names.
fn page(names: &[&str], query: &str) -> String {
    let token = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("continuation-token="));
    let from: usize = token.and_then(|t| t.parse().ok()).unwrap_or_default();
    let objects: String = names
        .iter()
        .skip(from)
        .take(2)
        .map(|name| {
            format!(
                "<Contents><Key>{name}</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified>\
                 <ETag>&quot;1&quot;</ETag><Size>{}</Size></Contents>",
                name.len()
            )
        })
        .collect();
    let next = match from + 2 {
        next if next < names.len() => {
            format!(
                "<IsTruncated>true</IsTruncated><NextContinuationToken>{next}</NextContinuationToken>"
            )
        }
        _ => "<IsTruncated>false</IsTruncated>".to_owned(),
    };
    format!(
        "<?xml version=\"1.0\"?><ListBucketResult><Name>papers</Name>{next}{objects}</ListBucketResult>"
    )
}

#[tokio::test]
async fn a_name_that_cannot_be_asked_for_is_told_and_all_others_are_read() {
    let names = &[
        "a.md",
        "a//b.md",
        "b/../c.md",
        "d//e.md",
        "f/",
        "f/g.md",
        "z.md",
    ];
    let port = listing(names);
    let dir = tempfile::tempdir().unwrap();
    let toml = format!(
        "type = \"s3\"\nbucket = \"papers\"\nendpoint = \"http://127.0.0.1:{port}\"\ntimeout = \"5s\"\n"
    );
    let papers = source(dir.path(), &toml, &[]).unwrap();
    // The second time, too: nothing is left of the first.
    for _ in 0..2 {
        let found = list(&*papers).await.unwrap();
        assert_eq!(
            uris(&found),
            ["s3://papers/a.md", "s3://papers/f/g.md", "s3://papers/z.md"]
        );
        assert!(found.complete && found.notes.len() == 1, "{found:?}");
        let note = &found.notes[0];
        assert!(
            note.contains("`a//b.md`, and 2 others") && note.contains("`exclude`"),
            "{note}"
        );
        let z = content(&*papers, &found, "s3://papers/z.md").await;
        assert_eq!(text(&z), "z.md");
    }
    let chosen = format!("{toml}paths = [\"*.md\", \"f/**\"]\n");
    let papers = source(dir.path(), &chosen, &[]).unwrap();
    let found = list(&*papers).await.unwrap();
    assert_eq!(uris(&found).len(), 3);
    assert!(found.notes.is_empty(), "{found:?}");
}
