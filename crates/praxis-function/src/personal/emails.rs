//! E-mail addresses as people write them (RFC 5321, RFC 6531 for domains): found around each `@`. Left out: quoted
//! local parts, addresses of hosts in brackets, and `name at host`.

use std::ops::Range;

use super::rules::in_word;
use super::{Finding, Kind, Surety};

/// Characters of a local part, of a label, and of all labels.
const LOCAL: usize = 64;
const LABEL: usize = 63;
const LABELS: usize = 10;

/// Top-level domains in Chinese (IANA's root zone). Chinese has no spaces, so that what follows a domain would be part
/// of it.
const HAN: &[&str] = &[
    "中国",
    "中國",
    "公司",
    "网络",
    "網絡",
    "香港",
    "台湾",
    "台灣",
    "澳门",
    "澳門",
    "新加坡",
    "商标",
    "商城",
    "商店",
    "在线",
    "中文网",
    "我爱你",
    "政务",
    "公益",
    "集团",
    "手机",
    "移动",
    "网址",
    "信息",
    "游戏",
    "娱乐",
    "购物",
    "机构",
    "组织机构",
    "慈善",
    "世界",
    "健康",
    "招聘",
    "时尚",
    "企业",
    "广东",
    "佛山",
    "网店",
    "网站",
];

/// What ends the names of files and is no top-level domain: `icon@2x.png`.
const FILES: &[&str] = &[
    "png", "jpg", "jpeg", "gif", "svg", "webp", "ico", "css", "js", "mjs", "cjs", "jsx", "ts",
    "tsx", "html", "htm", "xml", "json", "yaml", "yml", "toml", "txt", "pdf", "exe", "dll", "jar",
    "tar", "gz", "tgz", "whl", "lock",
];

pub(super) fn search(text: &str, found: &mut Vec<Finding>) {
    for (at, _) in text.match_indices('@') {
        if let Some(range) = address(text, at) {
            found.push(Finding {
                kind: Kind::Email,
                range,
                surety: Surety::Shape,
            });
        }
    }
}

fn address(text: &str, at: usize) -> Option<Range<usize>> {
    let (head, rest) = text.split_at_checked(at)?;
    let start = local(head)?;
    let end = at + 1 + domain(rest.get(1..)?)?;
    let next = text.get(end..)?.chars().next();
    let goes_on = next.is_some_and(|c| matches!(c, '@' | '_'));
    // `git@host.tld:name` and `git@host.tld/name` are places of code.
    let code = head.get(start..) == Some("git") && matches!(next, Some(':' | '/'));
    (!goes_on && !code && !is_user(head.get(..start)?)).then_some(start..end)
}

/// Where the local part begins that ends the text.
fn local(head: &str) -> Option<usize> {
    let part = |c: char| in_word(c) || "._%+'&-".contains(c);
    let mut start = head.len();
    for (count, (i, c)) in head.char_indices().rev().enumerate() {
        match part(c) {
            true if count < LOCAL => start = i,
            // Longer than it may be; or the second part of `@name@host`.
            true => return None,
            false if c == '@' => return None,
            false => break,
        }
    }
    let part = head.get(start..)?;
    let name = part.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '_');
    let dotted = name.ends_with('.') || name.contains("..");
    (!name.is_empty() && !dotted).then_some(head.len() - name.len())
}

/// How long the domain is that begins the text.
fn domain(rest: &str) -> Option<usize> {
    let (mut best, mut at, mut lower) = (None, 0, false);
    for n in 0..LABELS {
        let here = rest.get(at..)?;
        let part = |c: &char| c.is_alphanumeric() || *c == '-';
        let length: usize = here
            .chars()
            .take(LABEL + 1)
            .take_while(part)
            .map(char::len_utf8)
            .sum();
        let label = here.get(..length)?;
        let first = label.chars().next();
        // A sentence that begins right behind the full stop.
        let sentence = n > 0 && lower && first.is_some_and(char::is_uppercase);
        if label.is_empty() || label.starts_with('-') || label.chars().count() > LABEL || sentence {
            break;
        }
        lower = first.is_some_and(char::is_lowercase);
        let name = label.trim_end_matches('-');
        match top_level(name) {
            // The first label is not the last.
            _ if n == 0 => {}
            Top::File => return None,
            Top::Level(length) => best = Some(at + length),
            Top::Cut(length) => return Some(at + length),
            Top::None => {}
        }
        at += label.len();
        let dot = rest.get(at..)?.strip_prefix('.');
        if dot.is_none() || name.len() < label.len() {
            break;
        }
        at += 1;
    }
    best.filter(|length| *length <= 253)
}

enum Top {
    /// A top-level domain of so many bytes.
    Level(usize),
    /// One with other words right behind it.
    Cut(usize),
    /// The end of a file's name.
    File,
    None,
}

fn top_level(label: &str) -> Top {
    let first = label.chars().next().unwrap_or('-');
    if first.is_ascii() {
        let encoded = label
            .get(..4)
            .is_some_and(|p| p.eq_ignore_ascii_case("xn--"));
        let part =
            |c: &char| c.is_ascii_alphabetic() || encoded && (c.is_ascii_digit() || *c == '-');
        let length = label.chars().take_while(part).count();
        let level = label.get(..length).unwrap_or_default();
        if FILES.iter().any(|file| file.eq_ignore_ascii_case(level)) {
            return Top::File;
        }
        let most = if encoded { LABEL } else { 24 };
        let fits = (2..=most).contains(&length);
        return match label.get(length..).and_then(|rest| rest.chars().next()) {
            None if fits => Top::Level(length),
            Some(next) if fits && !in_word(next) && next != '-' => Top::Cut(length),
            _ => Top::None,
        };
    }
    if praxis_core::language::is_han(first) {
        let known = HAN.iter().filter(|level| label.starts_with(**level));
        return match known.map(|level| level.len()).max() {
            Some(length) if length == label.len() => Top::Level(length),
            Some(length) => Top::Cut(length),
            None => Top::None,
        };
    }
    let count = label.chars().count();
    match (2..=24).contains(&count) && label.chars().all(char::is_alphabetic) {
        true => Top::Level(label.len()),
        false => Top::None,
    }
}

/// Whether a text ends where an address's user stands, as in `https://` and `ftp://name:`.
fn is_user(head: &str) -> bool {
    let token = head
        .char_indices()
        .rev()
        .take(160)
        .take_while(|(_, c)| c.is_ascii_graphic())
        .last();
    let token = token.and_then(|(i, _)| head.get(i..)).unwrap_or_default();
    let user = token.rsplit_once("://").map(|(_, user)| user);
    user.is_some_and(|user| !user.contains(['/', '?', '#', '@']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_whole_and_nothing_else_is() {
        for (text, all) in [
            (
                "Write to ann.lee+x@mail.example.com.",
                &["ann.lee+x@mail.example.com"][..],
            ),
            (
                "<bob@example.co.uk>, o'brien@example.ie; 'cy@example.org'",
                &["bob@example.co.uk", "o'brien@example.ie", "cy@example.org"],
            ),
            ("请发到zhang.san@163.com谢谢", &["zhang.san@163.com"]),
            (
                "邮箱:li@例子.公司谢谢，或wang@例子.中国。",
                &["li@例子.公司", "wang@例子.中国"],
            ),
            (
                "发到a.b@example.com或者去www.example.com",
                &["a.b@example.com"],
            ),
            (
                "jürgen@müller.de и иван@почта.рф",
                &["jürgen@müller.de", "иван@почта.рф"],
            ),
            ("x@xn--fiqs8s.xn--fiqs8s", &["x@xn--fiqs8s.xn--fiqs8s"]),
            ("mail bob@example.com.Then go", &["bob@example.com"]),
            ("email=bob@example.com&x=1", &["bob@example.com"]),
            (
                "https://a.example/?mail=bob@example.com",
                &["bob@example.com"],
            ),
            ("mailto:bob@example.com", &["bob@example.com"]),
            (
                "a@b, @handle, x@y.1, @me@social.example, a..b@example.com, a.@example.com",
                &[],
            ),
            (
                "icon@2x.png, lodash@4.17.21, vue@3.4.0.min.js, me@localhost",
                &[],
            ),
            (
                "https://user:pass@example.com, ssh://git@example.com/x, git@example.com:a/b",
                &[],
            ),
            ("a@b.com_x, a@b.com@c, @, @@, x@.com, x@-a.com", &[]),
        ] {
            let mut found = Vec::new();
            search(text, &mut found);
            let found: Vec<&str> = found.iter().map(|f| &text[f.range.clone()]).collect();
            assert_eq!(found, all, "{text}");
        }
    }

    #[test]
    fn local_parts_and_domains_have_bounds() {
        for (local, label, found) in [(64, 63, 1), (65, 63, 0), (64, 64, 0)] {
            let text = format!("{}@{}.com", "a".repeat(local), "b".repeat(label));
            let mut all = Vec::new();
            search(&text, &mut all);
            assert_eq!(all.len(), found, "{text}");
        }
    }
}
