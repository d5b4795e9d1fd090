//! How rules work: a pattern finds candidates, a function judges each with what stands around it. Patterns are bounded,
//! so that a candidate is short and all of them take time linear in the text. What kinds look like is in the modules
//! beside this one.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::{Finding, Kind, Surety, addresses, cards, identity, phones, secrets};

/// What a pattern finds, and what becomes of it. A pattern with a group looks for what is in the group.
pub(super) struct Rule {
    pub kind: Kind,
    pub pattern: &'static str,
    pub judge: fn(&Candidate<'_>) -> Option<Finding>,
}

/// What a pattern found.
pub(super) struct Candidate<'t> {
    pub kind: Kind,
    pub text: &'t str,
    pub range: Range<usize>,
}

/// What may stand between a word that names a number and the number.
macro_rules! named {
    ($words:literal, $value:literal) => {
        concat!(
            "(?:^|[^A-Za-z])(?i:",
            $words,
            r")[ .]{0,2}(?:(?i:number|num|no|nr)\.?|号码|號碼|号|號)?[ ]?(?:(?i:is|was)|是|为|為)?[ :=#]{0,3}(",
            $value,
            ")"
        )
    };
}
pub(super) use named;

const RULES: [&[Rule]; 5] = [
    phones::RULES,
    cards::RULES,
    identity::RULES,
    addresses::RULES,
    secrets::RULES,
];

static COMPILED: LazyLock<Vec<(&'static Rule, Regex)>> = LazyLock::new(|| {
    let rules = RULES.into_iter().flatten();
    let compiled = rules.map(|rule| Some((rule, Regex::new(rule.pattern).ok()?)));
    compiled.flatten().collect()
});

/// Characters that are looked at before a candidate.
const BEFORE: usize = 32;

/// What all rules find.
pub(super) fn search(text: &str, found: &mut Vec<Finding>) {
    for (rule, pattern) in COMPILED.iter() {
        let mut from = 0;
        while let Some((whole, range)) = next(pattern, text, from) {
            let candidate = Candidate {
                kind: rule.kind,
                text,
                range,
            };
            let finding = match candidate.begins() {
                true => (rule.judge)(&candidate),
                false => None,
            };
            from = match finding {
                Some(finding) => {
                    let end = finding.range.end.max(whole.start + 1);
                    found.push(finding);
                    end
                }
                None => behind(text, whole.start),
            };
        }
    }
}

/// The next match, all of it and what is looked for.
fn next(pattern: &Regex, text: &str, from: usize) -> Option<(Range<usize>, Range<usize>)> {
    // A match may end where the text does.
    if from > text.len() {
        return None;
    }
    if pattern.captures_len() < 2 {
        let found = pattern.find_at(text, from)?;
        return Some((found.range(), found.range()));
    }
    let groups = pattern.captures_at(text, from)?;
    let whole = groups.get(0)?;
    let inner = groups.get(1).unwrap_or(whole);
    Some((whole.range(), inner.range()))
}

/// Where to go on after a candidate that is none: no other begins inside the same word.
fn behind(text: &str, start: usize) -> usize {
    let first = text.get(start..).and_then(|rest| rest.chars().next());
    let mut next = start + first.map_or(1, char::len_utf8);
    let bytes = text.as_bytes();
    let word = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_alphanumeric);
    while word(next - 1) && word(next) {
        next += 1;
    }
    next
}

/// A character of a word that is written with spaces around it.
pub(super) fn in_word(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric() || c < '\u{2e80}' && c.is_alphanumeric()
}

impl<'t> Candidate<'t> {
    /// What was found.
    pub fn value(&self) -> &'t str {
        self.text.get(self.range.clone()).unwrap_or_default()
    }

    /// All that stands before it.
    pub fn head(&self) -> &'t str {
        self.text.get(..self.range.start).unwrap_or_default()
    }

    /// All that stands behind it.
    pub fn tail(&self) -> &'t str {
        self.text.get(self.range.end..).unwrap_or_default()
    }

    /// It, up to a length in bytes.
    pub fn cut(&self, length: usize) -> Self {
        let end = (self.range.start + length).min(self.range.end);
        Self {
            kind: self.kind,
            text: self.text,
            range: self.range.start..end,
        }
    }

    /// Whether it begins where a word may: a number inside a word is part of a name.
    fn begins(&self) -> bool {
        let mut before = self.head().chars().rev();
        match (before.next(), self.value().chars().next()) {
            (Some(before), Some('+')) => !in_word(before) && before != '+',
            (Some(before), Some(first)) => !in_word(before) || !in_word(first),
            (None, Some(_)) => true,
            (_, None) => false,
        }
    }

    /// Whether it ends where a word may.
    fn ends(&self) -> bool {
        let last = self.value().chars().next_back();
        let next = self.tail().chars().next();
        !(last.is_some_and(in_word) && next.is_some_and(in_word))
    }

    /// A finding by its form.
    pub fn shape(&self) -> Option<Finding> {
        self.finding(Surety::Shape)
    }

    /// A finding that a checksum proves.
    pub fn proven(&self) -> Option<Finding> {
        self.finding(Surety::Proven)
    }

    fn finding(&self, surety: Surety) -> Option<Finding> {
        let finding = Finding {
            kind: self.kind,
            range: self.range.clone(),
            surety,
        };
        (self.ends() && !self.range.is_empty()).then_some(finding)
    }

    /// Whether it is a number by itself, and neither part of a longer one, nor a price, nor counted in a unit.
    pub fn stands_alone(&self) -> bool {
        let mut before = self.head().chars().rev();
        let (one, two) = (before.next(), before.next());
        let part = match one {
            Some('.') => two.is_some_and(|c| c.is_ascii_digit()),
            Some('-') => two.is_some_and(|c| c.is_ascii_alphanumeric()),
            Some('/') => two.is_some_and(|c| c.is_ascii_alphabetic()),
            Some('#' | '$' | '¥' | '￥' | '€' | '£' | '₩' | '₹') => true,
            Some(' ') => matches!(two, Some('$' | '¥' | '￥' | '€' | '£')),
            _ => false,
        };
        let mut after = self.tail().chars();
        let (one, two) = (after.next(), after.next());
        let more = match one {
            Some('.') => two.is_some_and(|c| c.is_ascii_digit()),
            Some('-') => two.is_some_and(|c| c.is_ascii_alphanumeric()),
            Some('%') => true,
            _ => false,
        };
        !part && !more && !counts(self.tail())
    }

    /// Whether a word before it, in the same clause, says that it is a number of something else.
    pub fn is_named_otherwise(&self) -> bool {
        self.last_word() == Some(Word::Other)
    }

    /// Whether a word before it, in the same clause, says that it is a person's number.
    pub fn is_named_personal(&self) -> bool {
        self.last_word() == Some(Word::Personal)
    }

    /// The clause before it, in lower case.
    pub fn clause(&self) -> String {
        let head = self.head();
        let start = head.char_indices().rev().take(BEFORE).last();
        let near = head.get(start.map_or(0, |(i, _)| i)..).unwrap_or_default();
        let ends = |c: char| ",，、。;；!！?？\n\t|".contains(c);
        let mut clause = near.rsplit(ends).next().unwrap_or_default();
        // `No. 5` goes on, a sentence does not.
        if let Some((sentence, rest)) = clause.rsplit_once(". ") {
            let last = sentence.rsplit(' ').next().unwrap_or_default();
            if last.chars().count() > 3 {
                clause = rest;
            }
        }
        clause.to_lowercase()
    }

    fn last_word(&self) -> Option<Word> {
        let clause = self.clause();
        let others = OTHERS.as_ref()?.find_iter(&clause).last();
        let personal = PERSONAL.as_ref()?.find_iter(&clause).last();
        match (others, personal) {
            (Some(other), Some(personal)) if personal.end() >= other.end() => Some(Word::Personal),
            (Some(_), _) => Some(Word::Other),
            (None, Some(_)) => Some(Word::Personal),
            (None, None) => None,
        }
    }
}

#[derive(PartialEq)]
enum Word {
    Personal,
    Other,
}

/// Words before numbers that are nobody's.
static OTHERS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let pattern = concat!(
        r"(?-u:\b)(?:orders?|invoices?|tracking|serial|tickets?|transactions?|isbn|issn|ean|upc|gtin|imei|sku|versions?|",
        r"batch|timestamps?|parcels?|shipments?|receipts?|patents?|doi|uuid|model|reference|ref|barcode|flight|",
        r"(?:part|item|case|article|catalogue|catalog|product|job|request)[ -]?(?:no|nr|num|number|id)|build)(?-u:\b)|",
        "订单|单号|运单|流水|发票|编号|编码|序列|批次|批号|型号|版本|条码|条形码|货号|票号|合同号|交易|凭证|时间戳|学号|工号|",
        "案号|邮编|专利|保单|房号|车次|航班|文号",
    );
    Regex::new(pattern).ok()
});

/// Words before numbers that are somebody's.
static PERSONAL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let pattern = concat!(
        r"(?-u:\b)(?:phone|telephone|tel|telefon|mobile|cell|handy|call|contact|reach|dial|ring|text|whatsapp|fax|sms|card|",
        r"visa|mastercard|amex|ssn|social security|tax|steuer|idnr)(?-u:\b)|",
        "电话|手机|联系|致电|拨打|短信|传真|热线|微信|卡|身份证|证件|税号",
    );
    Regex::new(pattern).ok()
});

/// Whether a unit follows a number.
fn counts(tail: &str) -> bool {
    const UNITS: &[&str] = &[
        "元", "美元", "欧元", "万", "亿", "个", "条", "件", "人次", "字节", "毫秒", "公里", "吨",
    ];
    const WORDS: &[&str] = &[
        "records", "rows", "bytes", "users", "items", "times", "people", "km", "ms", "ns",
        "seconds", "usd", "eur", "rmb", "cny", "dollars", "euros", "yuan", "gb", "mb", "kb",
        "tokens", "points",
    ];
    let tail = tail.strip_prefix(' ').unwrap_or(tail);
    let word: String = tail
        .chars()
        .take(12)
        .take_while(char::is_ascii_alphabetic)
        .collect();
    let word = word.to_ascii_lowercase();
    UNITS.iter().any(|unit| tail.starts_with(*unit)) || WORDS.contains(&word.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate<'t>(text: &'t str, value: &str) -> Candidate<'t> {
        let start = text.find(value).unwrap();
        Candidate {
            kind: Kind::Phone,
            text,
            range: start..start + value.len(),
        }
    }

    #[test]
    fn every_pattern_compiles() {
        let all: usize = RULES.iter().map(|rules| rules.len()).sum();
        assert_eq!(COMPILED.len(), all);
        assert!(OTHERS.is_some() && PERSONAL.is_some());
    }

    #[test]
    fn the_last_word_of_the_clause_says_what_a_number_is() {
        for (text, other, personal) in [
            ("Order no. 5551234", true, false),
            ("order 5551234", true, false),
            ("in border 5551234", false, false),
            ("订单号：5551234", true, false),
            ("订单联系电话5551234", false, true),
            ("Your order has shipped. Then 5551234", false, false),
            ("Your order has shipped, then 5551234", false, false),
            ("about the order call 5551234", false, true),
            ("5551234", false, false),
        ] {
            let candidate = candidate(text, "5551234");
            assert_eq!(candidate.is_named_otherwise(), other, "{text}");
            assert_eq!(candidate.is_named_personal(), personal, "{text}");
        }
    }

    #[test]
    fn parts_of_longer_numbers_prices_and_counts_do_not_stand_alone() {
        for (text, alone) in [
            ("at 5551234.", true),
            ("电话-5551234", true),
            ("5551234/5551235", true),
            ("0.5551234", false),
            ("5551234.5", false),
            ("978-5551234", false),
            ("5551234-x", false),
            ("https://a.example/p/5551234", false),
            ("$5551234", false),
            ("€ 5551234", false),
            ("5551234元", false),
            ("5551234 rows", false),
            ("5551234 robots", true),
        ] {
            assert_eq!(candidate(text, "5551234").stands_alone(), alone, "{text}");
        }
    }
}
