//! A bucket on a server that speaks S3: moto, where it is installed.

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
