//! The encoding that a page declares for itself. Left out: byte order marks and guesses, which are the
//! same for all text.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, X_USER_DEFINED};

/// Bytes in which a declaration is looked for; browsers look at 1024, editors write longer comments.
const PRESCAN: usize = 4096;

/// The encoding named by `<meta charset>`, `<meta http-equiv>` or an XML declaration.
pub fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(PRESCAN)];
    let head: String = head
        .iter()
        .map(|b| char::from(b.to_ascii_lowercase()))
        .collect();
    let label = xml_encoding(&head).or_else(|| meta_charset(&head))?;
    let encoding = Encoding::for_label(label.as_bytes())?;
    // A declaration that can be read byte by byte is not in UTF-16, whatever it says.
    let impossible = [UTF_16LE, UTF_16BE, X_USER_DEFINED].contains(&encoding);
    Some(if impossible { UTF_8 } else { encoding })
}

fn xml_encoding(head: &str) -> Option<&str> {
    let declaration = head.trim_start().strip_prefix("<?xml")?;
    let declaration = &declaration[..declaration.find("?>")?];
    value_after(declaration, "encoding")
}

fn meta_charset(head: &str) -> Option<&str> {
    let mut rest = head;
    loop {
        let tag = rest.find("<meta").map(|at| &rest[at + 5..])?;
        // A comment before it that is not closed hides it.
        let before = &rest[..rest.len() - tag.len()];
        if before.rfind("<!--") > before.rfind("-->") {
            rest = &tag[tag.find("-->")?..];
            continue;
        }
        let end = tag.find('>').unwrap_or(tag.len());
        if let Some(label) = value_after(&tag[..end], "charset") {
            return Some(label);
        }
        rest = &tag[end..];
    }
}

/// The value of `key = "value"`, with or without quotes.
fn value_after<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let rest = text[text.find(key)? + key.len()..].trim_start();
    let rest = rest.strip_prefix('=')?.trim_start();
    let rest = rest.trim_start_matches(['"', '\'']);
    let end = rest
        .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | '/'))
        .unwrap_or(rest.len());
    Some(&rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_found_as_pages_write_them() {
        for (head, expected) in [
            ("<meta charset=gbk>", Some("GBK")),
            ("<META CharSet='utf-8' />", Some("UTF-8")),
            (
                "<meta http-equiv=\"Content-Type\" content=\"text/html; charset=gb2312\">",
                Some("GBK"),
            ),
            (
                "<?xml version=\"1.0\" encoding=\"Shift_JIS\"?><html>",
                Some("Shift_JIS"),
            ),
            ("<meta name=a><meta charset=big5>", Some("Big5")),
            (
                "<!-- <meta charset=gbk> --><meta charset=euc-kr>",
                Some("EUC-KR"),
            ),
            ("<meta charset=utf-16>", Some("UTF-8")),
            ("<meta charset=nonsense>", None),
            ("<p>charset=gbk", None),
        ] {
            let name = declared(head.as_bytes()).map(Encoding::name);
            assert_eq!(name, expected, "{head}");
        }
    }
}
