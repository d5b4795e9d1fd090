//! Secrets: keys that begin as their providers' keys do, private keys, JSON web tokens, and passwords where an address
//! or a name says that they are some. Left out: secrets that look like any other text and are not said to be one.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::Kind::{ApiKey, Jwt, Password, PrivateKey};
use super::rules::{Candidate, Rule};
use super::{Finding, Surety};

/// A key that begins as a provider's keys do. What they begin with is what the providers document, so that scanners
/// find leaked ones; lengths are those of keys in use, with some room.
const fn key(pattern: &'static str) -> Rule {
    Rule {
        kind: ApiKey,
        pattern,
        judge: is_key,
    }
}

/// What stands between a name and what is assigned to it.
macro_rules! assigned {
    ($names:literal) => {
        concat!(
            "(?i:",
            $names,
            r#")\\?["'`]?(?:[ \t]{0,4}(?:=>|:=|==?|:|是|为|為)[ \t]{0,4}|[ \t]{1,4}(?i:is|was)[ \t:]{1,4})\\?["'`]?"#,
            r#"([!-~&&[^"'`<>]]{8,200})"#
        )
    };
}

pub(super) const RULES: &[Rule] = &[
    // AWS.
    key(r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}"),
    // GitHub.
    key(r"gh[pousr]_[A-Za-z0-9]{36,255}"),
    key(r"github_pat_[A-Za-z0-9_]{36,255}"),
    // GitLab.
    key(r"gl(?:pat|dt|rt|ptt|oas|soat)-[A-Za-z0-9_-]{20,300}(?:\.[0-9a-z]{2}\.?[0-9a-z]{7,9})?"),
    // Slack.
    key(r"xox[a-z]-[A-Za-z0-9-]{10,250}"),
    key(r"xapp-[0-9]-[A-Za-z0-9-]{10,250}"),
    // Stripe.
    key(r"[sr]k_live_[A-Za-z0-9]{16,247}"),
    key(r"whsec_[A-Za-z0-9]{32,64}"),
    // Anthropic, OpenRouter, Praxis, OpenAI, and those that took over its form.
    key(r"sk-ant-[A-Za-z0-9_-]{20,250}"),
    key(r"sk-or-v1-[0-9a-f]{64}"),
    key(r"sk-praxis-[0-9a-f]{32,64}"),
    key(r"sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,250}"),
    key(r"sk-[A-Za-z0-9]{32,64}"),
    // Google, Hugging Face, Groq, Perplexity, NVIDIA, xAI.
    key(r"AIza[A-Za-z0-9_-]{35}"),
    key(r"hf_[A-Za-z0-9]{30,40}"),
    key(r"gsk_[A-Za-z0-9]{48,64}"),
    key(r"pplx-[A-Za-z0-9]{40,60}"),
    key(r"nvapi-[A-Za-z0-9_-]{60,80}"),
    key(r"xai-[A-Za-z0-9]{60,120}"),
    // npm, PyPI, SendGrid, DigitalOcean, Alibaba Cloud.
    key(r"npm_[A-Za-z0-9]{36}"),
    key(r"pypi-Ag[A-Za-z0-9_-]{50,1000}"),
    key(r"SG\.[A-Za-z0-9_-]{20,24}\.[A-Za-z0-9_-]{39,50}"),
    key(r"do[opr]_v1_[0-9a-f]{64}"),
    key(r"LTAI[A-Za-z0-9]{12,24}"),
    Rule {
        kind: Password,
        pattern: r#"[A-Za-z][A-Za-z0-9+.-]{1,20}://[!-~&&[^/:@?#"'<>]]{0,100}:([!-~&&[^/@?#"'<>\\]]{1,200})@[A-Za-z0-9\[]"#,
        judge: in_address,
    },
    Rule {
        kind: Password,
        pattern: assigned!("passwords?|passwd|passphrase|pwd|密码|密碼|口令"),
        judge: password,
    },
    Rule {
        kind: ApiKey,
        pattern: assigned!(
            "api[_ -]?key|secret[_ -]?access[_ -]?key|secret[_ -]?key|access[_ -]?key|access[_ -]?token|auth[_ -]?token|client[_ -]?secret|secret|token|密钥|密鑰|令牌"
        ),
        judge: token,
    },
];

/// What no pattern of bounded length finds.
pub(super) fn search(text: &str, found: &mut Vec<Finding>) {
    private_keys(text, found);
    web_tokens(text, found);
}

/// Not only words in lower case, and no character that stands for the rest, as in `ghp_xxxx`.
fn is_key(candidate: &Candidate<'_>) -> Option<Finding> {
    let value = candidate.value();
    let mixed = value
        .bytes()
        .any(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    let most = counts(value).into_values().max().unwrap_or(0);
    (mixed && most * 3 < value.len())
        .then(|| candidate.shape())
        .flatten()
}

/// The password of `scheme://name:password@host`, unless a variable stands for it.
fn in_address(candidate: &Candidate<'_>) -> Option<Finding> {
    let value = candidate.value();
    let variable =
        value.starts_with(['$', '{', '[']) || value.bytes().all(|b| b == b'*' || b == b'x');
    (!variable).then(|| candidate.shape()).flatten()
}

fn password(candidate: &Candidate<'_>) -> Option<Finding> {
    let value = trimmed(candidate.value());
    is_strong(value)
        .then(|| candidate.cut(value.len()).shape())
        .flatten()
}

/// Tokens are also those of languages: a word with a number behind it is none.
fn token(candidate: &Candidate<'_>) -> Option<Finding> {
    let value = trimmed(candidate.value());
    let fits = is_strong(value) && !is_word(value);
    fits.then(|| candidate.cut(value.len()).shape()).flatten()
}

/// Without what closes a clause, and without the next assignment of a query or a connection string.
fn trimmed(value: &str) -> &str {
    let end = value.char_indices().find(|(i, c)| {
        matches!(*c, '&' | ';' | ',') && value.get(*i..).is_some_and(|rest| rest.contains('='))
    });
    let value = value
        .get(..end.map_or(value.len(), |(i, _)| i))
        .unwrap_or_default();
    value.trim_end_matches(['.', ',', ';', ':', ')', ']', '}', '\\'])
}

/// Whether a value is more likely a secret than a word, a name, a number, a path or a variable.
fn is_strong(value: &str) -> bool {
    let digit = value.bytes().any(|b| b.is_ascii_digit());
    let letter = value.bytes().any(|b| b.is_ascii_alphabetic());
    let code = value.starts_with(['$', '%', '/', '~', '@', '*', '.', '-', '{', '['])
        || value.contains(['(', '{'])
        || value.contains("://")
        || value.get(1..3) == Some(":\\");
    let parts: Vec<&str> = value.split(['.', '_', '-', ':', '/']).collect();
    let name = parts.len() > 1 && parts.iter().all(|part| is_word(part));
    let day = value.starts_with("19") || value.starts_with("20");
    let date = day && value.get(4..5) == Some("-") && value.get(7..8) == Some("-");
    value.len() >= 8 && digit && letter && !code && !name && !date && bits(value) >= 23.0
}

/// Letters of one case with up to four digits behind them, or up to four digits, or nothing.
fn is_word(part: &str) -> bool {
    let letters = part.trim_end_matches(|c: char| c.is_ascii_digit());
    let rest = letters.get(1..).unwrap_or_default();
    part.len() - letters.len() <= 4
        && letters.bytes().all(|b| b.is_ascii_alphabetic())
        && (rest.bytes().all(|b| b.is_ascii_lowercase())
            || letters.bytes().all(|b| b.is_ascii_uppercase()))
}

fn counts(value: &str) -> BTreeMap<u8, usize> {
    let mut counts = BTreeMap::new();
    for byte in value.bytes() {
        *counts.entry(byte).or_insert(0) += 1;
    }
    counts
}

/// Shannon's entropy of all characters together.
fn bits(value: &str) -> f64 {
    let all = value.len() as f64;
    let of_one = |count: usize| count as f64 * (all / count as f64).log2();
    counts(value).into_values().map(of_one).sum()
}

static MARKS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"-----(BEGIN|END) ((?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?)-----").ok()
});

/// From the first line to the last; where there is no last one, as far as it looks like a key.
fn private_keys(text: &str, found: &mut Vec<Finding>) {
    let Some(marks) = MARKS.as_ref() else { return };
    let mut begun: Option<(usize, usize, &str)> = None;
    let mut keep = |(start, body, _): (usize, usize, &str), end: Option<(usize, usize)>| {
        let rest = text.get(body..).unwrap_or_default();
        let inside = |c: char| !c.is_ascii_alphanumeric() && !"+/=\\ \r\n\t".contains(c);
        let open = rest.find(inside).unwrap_or(rest.len());
        let (until, whole) = end.unwrap_or((body + open, body + open));
        let body = text.get(body..until).unwrap_or_default();
        let line = |c: char| !c.is_ascii_alphanumeric() && c != '+' && c != '/';
        if body.split(line).any(|line| line.len() >= 32) {
            let text = text.get(start..whole).unwrap_or_default().trim_end();
            found.push(Finding {
                kind: PrivateKey,
                range: start..start + text.len(),
                surety: if end.is_some() {
                    Surety::Proven
                } else {
                    Surety::Shape
                },
            });
        }
    };
    for mark in marks.captures_iter(text) {
        let (Some(all), Some(word), Some(label)) = (mark.get(0), mark.get(1), mark.get(2)) else {
            continue;
        };
        let last = begun.take();
        match (word.as_str(), last) {
            ("BEGIN", last) => {
                if let Some(last) = last {
                    keep(last, None);
                }
                begun = Some((all.start(), all.end(), label.as_str()));
            }
            (_, Some(last)) if last.2 == label.as_str() => {
                keep(last, Some((all.start(), all.end())));
            }
            (_, Some(last)) => keep(last, None),
            (_, None) => {}
        }
    }
    if let Some(last) = begun {
        keep(last, None);
    }
}

/// The most characters of a token's parts.
const PARTS: [usize; 3] = [4096, 64 * 1024, 8192];

/// Three parts in base64url of which the first is a header that names an algorithm (RFC 7519).
fn web_tokens(text: &str, found: &mut Vec<Finding>) {
    for (start, _) in text.match_indices("eyJ") {
        let inside = text
            .as_bytes()
            .get(start.wrapping_sub(1))
            .is_some_and(is_base64);
        if !inside && let Some(end) = web_token(text, start) {
            found.push(Finding {
                kind: Jwt,
                range: start..end,
                surety: Surety::Proven,
            });
        }
    }
}

fn web_token(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = start;
    for (n, most) in PARTS.into_iter().enumerate() {
        if n > 0 {
            at += 1;
        }
        let part = bytes
            .get(at..)?
            .iter()
            .take(most + 1)
            .take_while(|b| is_base64(b))
            .count();
        let next = bytes.get(at + part);
        if part < 2 || part > most || n < 2 && next != Some(&b'.') {
            return None;
        }
        if n == 0 {
            let header: Value = serde_json::from_slice(&decoded(text.get(at..at + part)?)?).ok()?;
            header.get("alg")?.as_str()?;
        }
        at += part;
    }
    Some(at)
}

fn is_base64(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Base64 for addresses, without padding (RFC 4648).
fn decoded(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut count) = (0u32, 0);
    let mut bytes = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(((bits >> count) & 0xff) as u8);
        }
        bits &= 0xff;
    }
    Some(bytes)
}
