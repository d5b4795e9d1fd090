//! Hosts that a tool may ask, as its file writes them. Left out: their addresses, which are the guard's.

use url::{Host, Url};

/// Ports that need no word.
const USUAL: [u16; 2] = [80, 443];

/// The hosts of a tool.
#[derive(Debug)]
pub(super) struct Hosts(Vec<Rule>);

#[derive(Debug, PartialEq, Eq)]
struct Rule {
    hosts: Pattern,
    port: Port,
}

#[derive(Debug, PartialEq, Eq)]
enum Pattern {
    All,
    /// All below this domain, which begins with its dot.
    Below(String),
    One(Host<String>),
}

#[derive(Debug, PartialEq, Eq)]
enum Port {
    /// 80 and 443.
    Usual,
    Any,
    One(u16),
}

/// What is wrong with a pattern, and the fix.
pub(super) fn mistake(text: &str) -> Option<(String, String)> {
    let help = "write a host: \"example.org\", \"*.example.org\", \"example.org:8443\" or \"*\"";
    match Rule::parse(text) {
        Ok(_) => None,
        Err(why) => Some((format!("`{text}` {why}"), help.to_owned())),
    }
}

impl Rule {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if text.contains('/') {
            return Err("is a URL, not a host");
        }
        if text.contains('@') {
            return Err("has a name in it, which is no part of a host");
        }
        let (host, port) = split_port(text)?;
        let hosts = if host == "*" {
            Pattern::All
        } else if let Some(domain) = host.strip_prefix("*.") {
            match parsed(domain)? {
                Host::Domain(domain) => Pattern::Below(format!(".{domain}")),
                _ => return Err("has nothing below it, because it is an address"),
            }
        } else {
            Pattern::One(parsed(host)?)
        };
        Ok(Self { hosts, port })
    }

    fn fits(&self, host: &Host<String>) -> bool {
        match (&self.hosts, host) {
            (Pattern::All, _) => true,
            (Pattern::Below(domain), Host::Domain(host)) => host.ends_with(domain.as_str()),
            (Pattern::Below(_), _) => false,
            (Pattern::One(one), host) => one == host,
        }
    }

    fn fits_port(&self, port: u16) -> bool {
        match self.port {
            Port::Usual => USUAL.contains(&port),
            Port::Any => true,
            Port::One(one) => one == port,
        }
    }
}

/// Host and port of a pattern. An address of version 6 stands in brackets.
fn split_port(text: &str) -> Result<(&str, Port), &'static str> {
    let end = match text.strip_prefix('[') {
        Some(rest) => rest.find(']').ok_or("lacks its `]`")? + 2,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, port) = text.split_at(end);
    let port = match port {
        "" => Port::Usual,
        ":*" => Port::Any,
        port => {
            let number = port.strip_prefix(':').and_then(|p| p.parse().ok());
            Port::One(
                number
                    .filter(|p| *p > 0)
                    .ok_or("has no port behind its `:`")?,
            )
        }
    };
    Ok((host, port))
}

/// A host in the spelling of URLs: in lower case, with international letters as `xn--`, numbers as addresses.
fn parsed(text: &str) -> Result<Host<String>, &'static str> {
    if text.is_empty() {
        return Err("has no host");
    }
    if text.contains('*') {
        return Err("has a `*` elsewhere than before the first dot");
    }
    let host = Host::parse(text).map_err(|_| "is no host")?;
    Ok(plain(host))
}

/// A host without the dot at its end, which is the same host.
fn plain(host: Host<String>) -> Host<String> {
    match host {
        Host::Domain(name) => Host::Domain(name.strip_suffix('.').unwrap_or(&name).to_owned()),
        address => address,
    }
}

impl Hosts {
    /// The hosts of patterns without mistakes; others let nothing through.
    pub fn new(allow: &[String]) -> Self {
        let rules = allow.iter().filter_map(|text| Rule::parse(text).ok());
        let mut rules: Vec<Rule> = rules.collect();
        if allow.is_empty() {
            rules.push(Rule {
                hosts: Pattern::All,
                port: Port::Usual,
            });
        }
        Self(rules)
    }

    /// Why a URL's host or port is not asked, and what can be done about it.
    pub fn objection(&self, url: &Url) -> Option<(String, String)> {
        let host = plain(url.host()?.to_owned());
        let port = url.port_or_known_default()?;
        let mut fitting = self.0.iter().filter(|rule| rule.fits(&host)).peekable();
        if fitting.peek().is_none() {
            let hint = format!("the tool's file lists what it asks: add \"{host}\" to `allow`");
            return Some((format!("`{host}` is no host of this tool"), hint));
        }
        if !fitting.any(|rule| rule.fits_port(port)) {
            let hint = format!("the tool's file says it: \"{host}:{port}\" in `allow`");
            return Some((
                format!("port {port} of `{host}` is none of this tool"),
                hint,
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(allow: &[&str], url: &str) -> bool {
        let allow: Vec<String> = allow.iter().map(|text| (*text).to_owned()).collect();
        let url = Url::parse(url).unwrap();
        Hosts::new(&allow).objection(&url).is_none()
    }

    #[test]
    fn a_pattern_is_a_host_or_all_below_it() {
        for (pattern, url, allowed) in [
            ("example.org", "https://example.org/a", true),
            ("example.org", "http://example.org./", true),
            ("Example.ORG.", "https://EXAMPLE.org/", true),
            ("example.org", "https://www.example.org/", false),
            ("example.org", "https://example.org.evil.test/", false),
            ("example.org", "https://evilexample.org/", false),
            ("*.example.org", "https://a.b.example.org/", true),
            ("*.example.org", "https://example.org/", false),
            ("*.example.org", "https://evilexample.org/", false),
            ("*.example.org", "https://example.org.evil.test/", false),
            ("*", "https://any.test/", true),
            ("*", "https://any.test:8443/", false),
            ("*:*", "https://any.test:8443/", true),
            ("例え.jp", "https://xn--r8jz45g.jp/", true),
            ("example.org:8443", "https://example.org:8443/", true),
            ("example.org:8443", "https://example.org/", false),
            ("example.org", "http://example.org:443/", true),
            ("example.org", "http://example.org:22/", false),
            ("127.0.0.1:*", "http://2130706433:9999/", true),
            ("[::1]:8080", "http://[::1]:8080/", true),
            ("[::1]", "http://[::1]:8080/", false),
        ] {
            assert_eq!(asks(&[pattern], url), allowed, "{pattern} {url}");
        }
        assert!(asks(&[], "https://any.test/") && !asks(&[], "https://any.test:22/"));
        assert!(asks(&["a.test", "b.test:81"], "http://b.test:81/"));
        // Two patterns of one host are two ways in.
        assert!(asks(&["b.test", "b.test:81"], "http://b.test:81/"));
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        for (text, part) in [
            ("https://example.org", "a URL"),
            ("", "no host"),
            ("exam*.org", "elsewhere"),
            ("example.*", "elsewhere"),
            ("*.*.org", "elsewhere"),
            ("example.org:", "no port"),
            ("example.org:0", "no port"),
            ("example.org:99999", "no port"),
            ("[::1", "`]`"),
            ("*.127.0.0.1", "address"),
            ("a b", "no host"),
            ("me@example.org", "a name"),
        ] {
            let (message, help) = mistake(text).unwrap();
            assert!(message.contains(part), "{text}: {message}");
            assert!(help.contains("example.org:8443"));
        }
        assert_eq!(mistake("*.example.org:8443"), None);
    }
}
