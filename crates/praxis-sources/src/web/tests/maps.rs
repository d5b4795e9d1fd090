//! Sites that are read by their site maps: what is listed, what is left out, and that a map that says less than before
//! removes nothing by itself.

use super::*;

#[tokio::test]
async fn site_maps_and_indexes_are_read_and_a_broken_one_removes_nothing() {
    use std::io::Write;
    let stand = Stand::new().await;
    let map = |paths: &[&str]| {
        let urls: String = paths
            .iter()
            .map(|p| format!("<url><loc>{}</loc></url>", stand.url(p)))
            .collect();
        format!("<urlset>{urls}<url><loc>http://other.test/x</loc></url></urlset>").into_bytes()
    };
    let index = format!(
        "<sitemapindex><sitemap><loc>{}</loc></sitemap><sitemap><loc>{}</loc></sitemap></sitemapindex>",
        stand.url("/a.xml"),
        stand.url("/b.xml.gz")
    );
    stand.file("/sitemap.xml", "application/xml", index.as_bytes());
    stand.file(
        "/a.xml",
        "application/xml",
        &map(&["/one", "/two?b=1&amp;a=2", "/skip/x"]),
    );
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&map(&["/three"])).unwrap();
    stand.file("/b.xml.gz", "application/gzip", &packed.finish().unwrap());
    for path in ["/one", "/two?b=1&a=2", "/three", "/skip/x"] {
        stand.page(
            path,
            &format!("<p>{path}</p><a href=/elsewhere>not followed</a>"),
        );
    }
    let config = WebConfig {
        urls: Vec::new(),
        sitemap: Some(stand.url("/sitemap.xml")),
        exclude: vec!["/skip/**".to_owned(), "*://other.test/**".to_owned()],
        ..stand.config()
    };
    let (paths, listing) = stand.listed(&config).await;
    assert_eq!(paths, ["/one", "/three", "/two?b=1&a=2"]);
    assert!(listing.complete);
    assert!(
        !stand
            .log()
            .iter()
            .any(|l| l.contains("skip") || l.contains("elsewhere"))
    );
    stand.file("/a.xml", "application/xml", b"<urlset><url><loc>htt");
    let (paths, listing) = stand.listed(&config).await;
    assert_eq!(
        (paths.as_slice(), listing.complete),
        (["/three".to_owned()].as_slice(), false)
    );
    assert!(listing.notes[0].contains("site map"), "{listing:?}");
}

/// A map of pages.
fn map_of(pages: &[String]) -> Vec<u8> {
    let places: String = pages
        .iter()
        .map(|page| format!("<url><loc>{page}</loc></url>"))
        .collect();
    format!("<urlset>{places}</urlset>").into_bytes()
}

#[tokio::test]
async fn a_site_that_moves_to_another_host_is_not_one_without_pages() {
    let stand = Stand::new().await;
    let port = stand.address.port();
    let www = |path: &str| format!("http://www.site.test:{port}{path}");
    let config = WebConfig {
        urls: Vec::new(),
        sitemap: Some(stand.url("/sitemap.xml")),
        ..stand.config()
    };
    let pages = ["/one", "/two"].map(|path| stand.url(path));
    stand.file("/sitemap.xml", "application/xml", &map_of(&pages));
    for path in ["/one", "/two"] {
        stand.page(path, &format!("<p>{path}</p>"));
    }
    let (paths, listing) = stand.listed(&config).await;
    assert_eq!(paths, ["/one", "/two"]);
    assert!(listing.complete, "{listing:?}");

    // Its map has the new addresses, or the old ones redirect to them: none of its pages is gone for that.
    let elsewhere = ["/one", "/two"].map(www);
    stand.file("/sitemap.xml", "application/xml", &map_of(&elsewhere));
    let error = stand.crawl(&config).await.unwrap_err().to_string();
    let fix = format!("`hosts = [\"www.site.test:{port}\"]`");
    assert!(error.contains("(2)") && error.contains(&fix), "{error}");
    stand.file("/sitemap.xml", "application/xml", &map_of(&pages));
    for path in ["/one", "/two"] {
        stand.moved(path, 301, &www(path));
    }
    let error = stand.crawl(&config).await.unwrap_err().to_string();
    assert!(
        error.contains("redirect to") && error.contains(&fix),
        "{error}"
    );

    // Where some are left, the others are told, unless they are left out by choice.
    stand.page("/one", "<p>/one</p>");
    let both = [stand.url("/one"), www("/two")];
    stand.file("/sitemap.xml", "application/xml", &map_of(&both));
    let (paths, listing) = stand.listed(&config).await;
    assert_eq!(paths, ["/one"]);
    assert!(
        !listing.complete && listing.notes[0].contains(&fix),
        "{listing:?}"
    );
    let chosen = WebConfig {
        exclude: vec![format!("*://www.site.test:{port}/**")],
        ..config
    };
    let (paths, listing) = stand.listed(&chosen).await;
    assert_eq!(paths, ["/one"]);
    assert!(listing.complete && listing.notes.is_empty(), "{listing:?}");
}

#[tokio::test]
async fn maps_that_are_not_read_are_told() {
    let stand = Stand::new().await;
    let config = WebConfig {
        urls: Vec::new(),
        sitemap: Some(stand.url("/0.xml")),
        ..stand.config()
    };
    let index = |maps: &[String]| {
        let places: String = maps
            .iter()
            .map(|map| format!("<sitemap><loc>{map}</loc></sitemap>"))
            .collect();
        format!("<sitemapindex>{places}</sitemapindex>").into_bytes()
    };
    stand.page("/one", "<p>one</p>");
    let pages = [stand.url("/one")];
    stand.file("/map.xml", "application/xml", &map_of(&pages));
    // One at another host, and one that lies too deep.
    let maps = [
        stand.url("/map.xml"),
        "http://maps.test/map.xml".to_owned(),
        stand.url("/1.xml"),
    ];
    stand.file("/0.xml", "application/xml", &index(&maps));
    for depth in 1..5 {
        let next = [stand.url(&format!("/{}.xml", depth + 1))];
        let path = format!("/{depth}.xml");
        stand.file(&path, "application/xml", &index(&next));
    }
    let (paths, listing) = stand.listed(&config).await;
    assert_eq!(paths, ["/one"]);
    assert!(!listing.complete, "{listing:?}");
    for part in ["`maps.test` (1)", "lie more than 3 deep"] {
        assert!(
            listing.notes.iter().any(|note| note.contains(part)),
            "{part}: {listing:?}"
        );
    }
    assert!(!stand.log().iter().any(|l| l.ends_with("/4.xml")));
}

#[tokio::test]
async fn an_empty_map_is_not_one_that_was_emptied() {
    let stand = Stand::new().await;
    let config = WebConfig {
        urls: Vec::new(),
        sitemap: Some(stand.url("/sitemap.xml")),
        ..stand.config()
    };
    stand.page("/one", "<p>one</p>");
    let pages = [stand.url("/one")];
    stand.file("/sitemap.xml", "application/xml", &map_of(&pages));
    assert_eq!(stand.listed(&config).await.0, ["/one"]);
    stand.file("/sitemap.xml", "application/xml", &map_of(&[]));
    let error = stand.crawl(&config).await.unwrap_err().to_string();
    assert!(
        error.contains("lists no page") && error.contains("may_empty"),
        "{error}"
    );
    let emptied = WebConfig {
        may_empty: true,
        ..config.clone()
    };
    let (paths, listing) = stand.listed(&emptied).await;
    assert!(paths.is_empty() && listing.complete, "{listing:?}");
    // What was fetched is kept for the day that the map is back.
    stand.file("/sitemap.xml", "application/xml", &map_of(&pages));
    stand.log();
    assert_eq!(stand.listed(&config).await.0, ["/one"]);
    assert!(stand.log().contains(&"304 /one".to_owned()));
}
