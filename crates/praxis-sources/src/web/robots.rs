//! robots.txt, as RFC 9309 has it, and `Crawl-delay`: what a host asks of us. Left out: getting it.

use std::time::Duration;

use super::address::unescaped;

/// Bytes that are read of one; the RFC asks for no more.
pub const MAX_BYTES: u64 = 500 << 10;

/// What we are called in it.
const AGENT: &str = "praxis";

/// Rules beyond which the rest is not read.
const MAX_RULES: usize = 10_000;

/// The longest delay that is obeyed.
const MAX_DELAY: Duration = Duration::from_secs(30);

/// What a host asks of us.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Robots {
    rules: Vec<Rule>,
    /// The least time between two requests.
    pub delay: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    allow: bool,
    pattern: String,
}

impl Robots {
    /// Everything is forbidden: what holds while a host cannot tell.
    pub fn closed() -> Self {
        Self {
            rules: vec![Rule {
                allow: false,
                pattern: "/".to_owned(),
            }],
            delay: Duration::ZERO,
        }
    }

    /// Reads the groups that are for us; those for everybody where there is none.
    pub fn parse(text: &str) -> Self {
        let (mut ours, mut everybody) = (Self::default(), Self::default());
        let mut named = false;
        // A group is a row of agents and the rules below it.
        let (mut for_us, mut for_all, mut in_rules) = (false, false, true);
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
            match key.trim_start_matches('\u{feff}') {
                "user-agent" => {
                    if std::mem::take(&mut in_rules) {
                        (for_us, for_all) = (false, false);
                    }
                    let product = value.split(['/', ' ']).next().unwrap_or_default();
                    for_us |= product.eq_ignore_ascii_case(AGENT);
                    for_all |= product == "*";
                    named |= for_us;
                }
                key @ ("allow" | "disallow" | "crawl-delay") => {
                    in_rules = true;
                    for (wanted, robots) in [(for_us, &mut ours), (for_all, &mut everybody)] {
                        if wanted {
                            robots.add(key, value);
                        }
                    }
                }
                _ => {}
            }
        }
        if named { ours } else { everybody }
    }

    fn add(&mut self, key: &str, value: &str) {
        if key == "crawl-delay" {
            let seconds = value
                .parse::<f64>()
                .ok()
                .filter(|s| s.is_finite() && *s >= 0.0);
            let delay = seconds.map_or(Duration::ZERO, |s| Duration::from_secs_f64(s.min(3600.0)));
            self.delay = self.delay.max(delay.min(MAX_DELAY));
        } else if !value.is_empty() && self.rules.len() < MAX_RULES {
            self.rules.push(Rule {
                allow: key == "allow",
                pattern: spelled(value),
            });
        }
    }

    /// Whether a path (with its query) may be asked for: the longest rule that fits decides, and of two of one
    /// length the kinder one.
    pub fn allows(&self, path: &str) -> bool {
        let path = unescaped(path);
        if path == "/robots.txt" {
            return true;
        }
        self.rules
            .iter()
            .filter(|rule| fits(&rule.pattern, &path))
            .max_by_key(|rule| (rule.pattern.len(), rule.allow))
            .is_none_or(|rule| rule.allow)
    }
}

/// A pattern in the spelling of paths: characters outside of ASCII as escapes of their UTF-8.
fn spelled(pattern: &str) -> String {
    let mut ascii = String::new();
    for c in pattern.chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            let mut buffer = [0; 4];
            for byte in c.encode_utf8(&mut buffer).bytes() {
                ascii.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    unescaped(&ascii)
}

/// Whether a pattern fits the beginning of a path: `*` is anything, `$` at the end is the end.
fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, whole) = match pattern.strip_suffix('$') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = path.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return !whole || rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if whole && parts.peek().is_none() {
            return rest.ends_with(part);
        }
        // The earliest place leaves the most room for what follows.
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_longest_rule_decides() {
        let robots = Robots::parse(
            "# all\nUser-agent: *\nDisallow: /private\nAllow: /private/open$\nDisallow: /*.pdf$\nDisallow: /文\n\
             Crawl-delay: 0.5\nSitemap: https://e.com/s.xml\n\nUser-agent: other\nDisallow: /\n",
        );
        for (path, allowed) in [
            ("/", true),
            ("/private", false),
            ("/private/x", false),
            ("/private/open", true),
            ("/private/open2", false),
            ("/a/b.pdf", false),
            ("/a/b.pdf?x=1", true),
            ("/%E6%96%87/a", false),
            ("/%e6%96%87", false),
            ("/robots.txt", true),
        ] {
            assert_eq!(robots.allows(path), allowed, "{path}");
        }
        assert_eq!(robots.delay, Duration::from_millis(500));
        assert!(!Robots::closed().allows("/a"));
    }

    #[test]
    fn rules_for_us_replace_those_for_everybody() {
        let robots = Robots::parse(
            "User-agent: *\nDisallow: /\n\nUser-agent: x\nUser-Agent: Praxis/1.0\nDisallow: /no\n\nuser-agent: praxis\nDisallow: /nor\nCrawl-delay: 999\n",
        );
        assert!(robots.allows("/yes") && !robots.allows("/no") && !robots.allows("/nor"));
        assert_eq!(robots.delay, MAX_DELAY);
        assert!(
            Robots::parse("User-agent: praxis\nDisallow:\n\nUser-agent: *\nDisallow: /\n")
                .allows("/a")
        );
    }

    /// What a pattern fits, by trying everything.
    fn slow(pattern: &[u8], path: &[u8]) -> bool {
        match pattern {
            [] => true,
            [b'$'] => path.is_empty(),
            [b'*', rest @ ..] => (0..=path.len()).any(|i| slow(rest, &path[i..])),
            [c, rest @ ..] => path.first() == Some(c) && slow(rest, &path[1..]),
        }
    }

    proptest! {
        #[test]
        fn no_file_makes_it_fail(text in "\\PC{0,200}", path in "/[a-z%0-9?]{0,20}") {
            let _ = Robots::parse(&text).allows(&path);
            let _ = Robots::parse(&format!("User-agent: *\nDisallow: {text}")).allows(&path);
        }

        #[test]
        fn patterns_fit_as_the_rfc_says(pattern in "/[ab*]{0,8}\\$?", path in "/[ab]{0,10}") {
            prop_assert_eq!(fits(&pattern, &path), slow(pattern.as_bytes(), path.as_bytes()), "{} {}", pattern, path);
        }
    }
}
