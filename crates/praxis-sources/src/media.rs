//! What kinds of files are documents at all, by content type and by ending. Left out: reading them, and telling
//! their format by what is in them, which is the loaders'.

/// Endings of what is never a text: pictures, sound, films, fonts, programs, archives.
const OTHER: &[&str] = &[
    "png",
    "jpg",
    "jpeg",
    "gif",
    "bmp",
    "ico",
    "icns",
    "webp",
    "avif",
    "tif",
    "tiff",
    "svg",
    "psd",
    "mp3",
    "mp4",
    "m4a",
    "wav",
    "flac",
    "ogg",
    "webm",
    "mov",
    "avi",
    "mkv",
    "woff",
    "woff2",
    "ttf",
    "otf",
    "eot",
    "zip",
    "gz",
    "tgz",
    "bz2",
    "xz",
    "zst",
    "7z",
    "rar",
    "tar",
    "jar",
    "war",
    "whl",
    "deb",
    "rpm",
    "dmg",
    "iso",
    "exe",
    "dll",
    "so",
    "dylib",
    "a",
    "o",
    "obj",
    "lib",
    "class",
    "pyc",
    "wasm",
    "bin",
    "dat",
    "db",
    "sqlite",
    "parquet",
    "arrow",
    "npy",
    "npz",
    "pt",
    "onnx",
    "gguf",
    "safetensors",
    "h5",
    "lock",
    "sum",
    "map",
    "pem",
    "key",
    "crt",
    "der",
];

/// Endings that belong to a page and are no document.
const ASSETS: &[&str] = &["css", "js", "mjs"];

/// Content types and the ending that tells their loader.
const TYPES: &[(&str, &str)] = &[
    ("text/html", "html"),
    ("application/xhtml+xml", "xhtml"),
    ("text/markdown", "md"),
    ("text/x-markdown", "md"),
    ("text/plain", "txt"),
    ("text/csv", "csv"),
    ("text/tab-separated-values", "tsv"),
    ("application/pdf", "pdf"),
    ("application/json", "json"),
    ("application/x-ndjson", "jsonl"),
    ("application/jsonl", "jsonl"),
    ("application/epub+zip", "epub"),
    ("message/rfc822", "eml"),
    ("application/vnd.ms-excel", "xls"),
    (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "docx",
    ),
    (
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "pptx",
    ),
    (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "xlsx",
    ),
    ("application/vnd.oasis.opendocument.spreadsheet", "ods"),
    ("application/x-ipynb+json", "ipynb"),
];

/// Content types that say nothing, so that the name decides.
const VAGUE: &[&str] = &[
    "",
    "application/octet-stream",
    "binary/octet-stream",
    "application/download",
];

/// The ending of a name, in lower case.
fn ending(name: &str) -> Option<String> {
    let file = name.rsplit('/').next()?;
    let (stem, ending) = file.rsplit_once('.')?;
    let plain = !stem.is_empty() && (1..=10).contains(&ending.len());
    (plain && ending.chars().all(|c| c.is_ascii_alphanumeric())).then(|| ending.to_lowercase())
}

/// Whether a file of this name is surely no document.
pub(crate) fn is_other(name: &str) -> bool {
    ending(name).is_some_and(|e| OTHER.contains(&e.as_str()))
}

/// Whether what a page links to under this name is surely no document.
pub(crate) fn is_asset(name: &str) -> bool {
    is_other(name) || ending(name).is_some_and(|e| ASSETS.contains(&e.as_str()))
}

/// The ending by which a loader is chosen for what a server calls `content_type` and its URL `name`; `None` where
/// it is no document.
pub(crate) fn chosen(content_type: &str, name: &str) -> Option<String> {
    let kind = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let named =
        ending(name).filter(|e| !OTHER.contains(&e.as_str()) && !ASSETS.contains(&e.as_str()));
    if VAGUE.contains(&kind.as_str()) {
        return named;
    }
    let known = TYPES
        .iter()
        .find(|(name, _)| *name == kind)
        .map(|(_, ending)| (*ending).to_owned());
    match known.as_deref() {
        // Servers call Markdown, source code and logs plain text; their names tell more.
        Some("txt") => named.filter(|e| e != "html" && e != "htm").or(known),
        Some(_) => known,
        // `text/x-rust` and the like.
        None if kind.starts_with("text/") && kind != "text/css" && kind != "text/javascript" => {
            named.or_else(|| Some("txt".to_owned()))
        }
        None if kind.ends_with("+json") => Some("json".to_owned()),
        None if kind.ends_with("/xml") || kind.ends_with("+xml") => {
            (!kind.starts_with("image/")).then(|| "xml".to_owned())
        }
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_and_names_choose_the_loader() {
        for (kind, name, expected) in [
            ("text/html; charset=utf-8", "/guide", Some("html")),
            ("text/html", "/report.pdf", Some("html")),
            ("application/pdf", "/download?id=3", Some("pdf")),
            ("text/plain", "/README.md", Some("md")),
            ("text/plain", "/notes", Some("txt")),
            ("text/plain", "/page.html", Some("txt")),
            ("application/octet-stream", "/a.docx", Some("docx")),
            ("application/octet-stream", "/a", None),
            ("", "/a.csv", Some("csv")),
            ("image/png", "/a.md", None),
            ("image/svg+xml", "/a.svg", None),
            ("application/rss+xml", "/feed", Some("xml")),
            ("text/css", "/a.css", None),
            ("text/x-python", "/a.py", Some("py")),
        ] {
            assert_eq!(chosen(kind, name).as_deref(), expected, "{kind} {name}");
        }
        assert!(is_other("a/b.PNG") && !is_other("b.md") && !is_other(".png") && is_asset("x.css"));
    }
}
