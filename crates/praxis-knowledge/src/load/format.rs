//! What format a file is of. What it begins with outranks what it is called: endings only tell apart
//! what looks alike, the formats of text. Left out: everything that is in it.

use std::io::Cursor;
use std::path::Path;

use super::package::Package;
use super::{LoadError, LoadLimits, code};

/// File name endings that are read.
pub const EXTENSIONS: &[&str] = &[
    "md", "markdown", "txt", "text", "html", "htm", "xhtml", "pdf", "docx", "docm", "pptx", "pptm",
    "ppsx", "xlsx", "xlsm", "xls", "ods", "csv", "tsv", "epub", "eml", "mbox", "json", "jsonl",
    "ndjson", "ipynb", "rs", "py", "js", "jsx", "ts", "tsx", "go", "java", "c", "h", "cpp", "cc",
    "hpp", "cs", "rb", "php", "sh", "sql", "yaml", "yml", "toml", "xml", "kt", "swift", "scala",
    "lua", "css", "pl", "r", "dart", "ex", "hs", "jl", "proto", "log", "rst", "tex", "png", "jpg",
    "jpeg", "webp", "tif", "tiff",
];

/// Bytes in which the header of a PDF is looked for, as other readers do.
const PDF_HEADER: usize = 1024;

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// CommonMark.
    Markdown,
    /// A web page.
    Html,
    /// Portable Document Format.
    Pdf,
    /// A PNG, JPEG, WebP or TIFF.
    Picture,
    /// A Word document.
    Docx,
    /// A PowerPoint presentation.
    Pptx,
    /// An Excel workbook.
    Xlsx,
    /// An Excel workbook as before 2007.
    Xls,
    /// An OpenDocument spreadsheet.
    Ods,
    /// Values between commas, semicolons, tabs or bars.
    Csv,
    /// An electronic book.
    Epub,
    /// A message.
    Mail,
    /// Messages in one file.
    Mailbox,
    /// A JSON value.
    Json,
    /// A JSON value on each line.
    JsonLines,
    /// A Jupyter notebook.
    Notebook,
    /// Program text.
    Code,
    /// Any other text.
    Text,
}

impl Format {
    /// Its name, as people know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Markdown => "Markdown",
            Self::Html => "HTML",
            Self::Pdf => "PDF",
            Self::Picture => "picture",
            Self::Docx => "DOCX",
            Self::Pptx => "PPTX",
            Self::Xlsx => "XLSX",
            Self::Xls => "XLS",
            Self::Ods => "ODS",
            Self::Csv => "CSV",
            Self::Epub => "EPUB",
            Self::Mail => "e-mail",
            Self::Mailbox => "mailbox",
            Self::Json => "JSON",
            Self::JsonLines => "JSON Lines",
            Self::Notebook => "notebook",
            Self::Code => "source code",
            Self::Text => "text",
        }
    }

    /// The format of a file of this name and these bytes.
    ///
    /// # Errors
    /// [`LoadError::Unsupported`], [`LoadError::Encrypted`], [`LoadError::Damaged`].
    pub fn of(name: &str, bytes: &[u8], limits: LoadLimits) -> Result<Self, LoadError> {
        recognize(name, bytes, limits)
    }
}

fn recognize(name: &str, bytes: &[u8], limits: LoadLimits) -> Result<Format, LoadError> {
    let extension = Path::new(name)
        .extension()
        .map(|e| e.to_string_lossy().to_lowercase());
    let extension = extension.as_deref();
    // Some PDFs have a header of a mail or of a printer before their own.
    let head = &bytes[..bytes.len().min(PDF_HEADER)];
    let named_pdf = extension == Some("pdf");
    if bytes.starts_with(b"%PDF-") || named_pdf && memchr::memmem::find(head, b"%PDF-").is_some() {
        return Ok(Format::Pdf);
    }
    if is_picture(bytes) {
        return Ok(Format::Picture);
    }
    if bytes.starts_with(&[0xd0, 0xcf, 0x11, 0xe0]) {
        return compound(bytes, extension);
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return packed(bytes, extension, limits);
    }
    if bytes.starts_with(b"{\\rtf") {
        return Err(LoadError::Unsupported("Rich Text".to_owned()));
    }
    by_name(name, extension, head)
}

/// Whether bytes begin as a picture of a format that is recognized.
fn is_picture(bytes: &[u8]) -> bool {
    let begins: [&[u8]; 4] = [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*"];
    let webp = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
    webp || begins.iter().any(|mark| bytes.starts_with(mark))
}

/// A format that is text, or should have been found by what it begins with.
fn by_name(name: &str, extension: Option<&str>, head: &[u8]) -> Result<Format, LoadError> {
    let Some(extension) = extension else {
        return Ok(match name {
            _ if begins_as_page(head) => Format::Html,
            _ if head.starts_with(b"From ") => Format::Mailbox,
            "Makefile" | "Dockerfile" | "Jenkinsfile" | "Vagrantfile" => Format::Code,
            _ => Format::Text,
        });
    };
    match extension {
        "md" | "markdown" | "mdown" | "mdx" => Ok(Format::Markdown),
        "html" | "htm" | "xhtml" => Ok(Format::Html),
        "txt" | "text" | "log" | "rst" | "tex" | "adoc" | "org" | "srt" | "vtt" | "ics" | "vcf" => {
            Ok(Format::Text)
        }
        "csv" | "tsv" | "tab" => Ok(Format::Csv),
        "json" | "geojson" => Ok(Format::Json),
        "ipynb" => Ok(Format::Notebook),
        "jsonl" | "ndjson" => Ok(Format::JsonLines),
        "mbox" | "mbx" => Ok(Format::Mailbox),
        "eml" if head.starts_with(b"From ") => Ok(Format::Mailbox),
        "eml" => Ok(Format::Mail),
        // Many programs write a page or a table in text and call it a workbook or a document.
        "xls" | "doc" if begins_as_page(head) => Ok(Format::Html),
        "xls" if !head.contains(&0) && !begins_as_xml(head) => Ok(Format::Csv),
        "docx" | "docm" | "pptx" | "pptm" | "ppsx" | "xlsx" | "xlsm" | "ods" | "epub" => {
            Err(LoadError::Damaged(format!(
                "it is not a ZIP archive, as {} is",
                extension.to_uppercase()
            )))
        }
        "pdf" => Err(LoadError::Damaged("it does not begin with %PDF".to_owned())),
        "png" | "jpg" | "jpeg" | "webp" | "tif" | "tiff" => Err(LoadError::Damaged(format!(
            "it does not begin as {} does",
            extension.to_uppercase()
        ))),
        _ if code::is_known(extension) => Ok(Format::Code),
        other => Err(LoadError::Unsupported(format!("`.{other}`"))),
    }
}

/// Whether bytes begin as a web page does, whatever it is called.
fn begins_as_page(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head).to_lowercase();
    let head = head.trim_start_matches(['\u{feff}', ' ', '\n', '\r', '\t']);
    ["<!doctype html", "<html", "<table", "<meta "]
        .iter()
        .any(|mark| head.starts_with(mark))
        || head.starts_with("<?xml") && head.contains("<html")
}

fn begins_as_xml(head: &[u8]) -> bool {
    head.trim_ascii_start().starts_with(b"<?xml")
}

/// The format of a ZIP archive, by the parts that it has.
fn packed(bytes: &[u8], extension: Option<&str>, limits: LoadLimits) -> Result<Format, LoadError> {
    let mut package = Package::open(bytes, limits)?;
    let kind = package
        .bytes("mimetype")
        .ok()
        .flatten()
        .map(|kind| String::from_utf8_lossy(&kind).trim().to_owned())
        .unwrap_or_default();
    match kind.as_str() {
        "application/epub+zip" => return Ok(Format::Epub),
        "application/vnd.oasis.opendocument.spreadsheet"
        | "application/vnd.oasis.opendocument.spreadsheet-template" => return Ok(Format::Ods),
        kind if kind.starts_with("application/vnd.oasis.opendocument.") => {
            return Err(LoadError::Unsupported(format!(
                "OpenDocument {}",
                kind.rsplit('.').next().unwrap_or_default()
            )));
        }
        _ => {}
    }
    let types = match package.part("[Content_Types].xml") {
        Ok(types) => types.unwrap_or_default(),
        Err(_) => String::new(),
    };
    for (part, mark, format) in [
        ("word/document.xml", "wordprocessingml", Format::Docx),
        ("ppt/presentation.xml", "presentationml", Format::Pptx),
        ("xl/workbook.xml", "spreadsheetml", Format::Xlsx),
    ] {
        let main = format!("{mark}.document.main");
        let others = [
            format!("{mark}.sheet.main"),
            format!("{mark}.presentation.main"),
        ];
        if package.has(part) || types.contains(&main) || others.iter().any(|o| types.contains(o)) {
            return Ok(format);
        }
    }
    if package.has("META-INF/container.xml") {
        return Ok(Format::Epub);
    }
    match extension {
        Some("docx" | "docm") => Ok(Format::Docx),
        Some("pptx" | "pptm" | "ppsx") => Ok(Format::Pptx),
        Some("xlsx" | "xlsm") => Ok(Format::Xlsx),
        Some("ods") => Ok(Format::Ods),
        Some("epub") => Ok(Format::Epub),
        _ => Err(LoadError::Unsupported("a ZIP archive".to_owned())),
    }
}

/// The format of a compound file (OLE), by the streams that it has.
fn compound(bytes: &[u8], extension: Option<&str>) -> Result<Format, LoadError> {
    let Ok(file) = cfb::CompoundFile::open(Cursor::new(bytes)) else {
        return match extension {
            Some("docx" | "pptx" | "xlsx") => Err(LoadError::Encrypted),
            _ => Err(LoadError::Damaged("its streams cannot be found".to_owned())),
        };
    };
    let old = |what: &str| Err(LoadError::Unsupported(what.to_owned()));
    if file.exists("/EncryptedPackage") {
        Err(LoadError::Encrypted)
    } else if file.exists("/Workbook") || file.exists("/Book") {
        Ok(Format::Xls)
    } else if file.exists("/WordDocument") {
        old("a Word document from before 2007")
    } else if file.exists("/PowerPoint Document") {
        old("a presentation from before 2007")
    } else if file.exists("/__properties_version1.0") {
        old("an Outlook message")
    } else {
        old("an old Office file")
    }
}
