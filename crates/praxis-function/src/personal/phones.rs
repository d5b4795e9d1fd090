//! Phone numbers: mobile numbers of China, international numbers (ITU-T E.164), and what is written in groups as phone
//! numbers of some countries are. Left out: other numbers without a word before them that says that they are phones.

use super::Finding;
use super::Kind::Phone;
use super::checksums::{digits, is_date, number};
use super::rules::{Candidate, Rule, named};

pub(super) const RULES: &[Rule] = &[
    Rule {
        kind: Phone,
        pattern: r"(?:(?:\+|00)?86[ -]?|\(\+?86\) ?)?1[3-9][0-9][ .-]?[0-9]{4}[ .-]?[0-9]{4}",
        judge: chinese_mobile,
    },
    Rule {
        kind: Phone,
        pattern: r"(?:\(0[1-9][0-9]{1,2}\) ?|0[1-9][0-9]{1,2}[ -])[2-8][0-9]{2,3}[ -]?[0-9]{4}(?:-[0-9]{1,5})?",
        judge: chinese_landline,
    },
    Rule {
        kind: Phone,
        pattern: r"(?:\+|00 ?)[1-9](?:(?: ?\(|\)[ /-]?|[ ./-])?[0-9]){6,16}",
        judge: international,
    },
    Rule {
        kind: Phone,
        pattern: r"(?:1[ .-])?(?:\([2-9][0-9]{2}\)[ -]?|[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}",
        judge: north_american,
    },
    // France: five pairs.
    Rule {
        kind: Phone,
        pattern: r"0[1-9](?:[ .-][0-9]{2}){4}",
        judge: french,
    },
    // The United Kingdom: a mobile number, London and its like, cities, other places.
    Rule {
        kind: Phone,
        pattern: r"07[0-9]{3}[ -][0-9]{3}[ -]?[0-9]{3}",
        judge: grouped,
    },
    Rule {
        kind: Phone,
        pattern: r"(?:02[0-9]|\(02[0-9]\)) [0-9]{4} [0-9]{4}",
        judge: grouped,
    },
    Rule {
        kind: Phone,
        pattern: r"(?:01[0-9]{2}|\(01[0-9]{2}\)) [0-9]{3} [0-9]{4}",
        judge: grouped,
    },
    Rule {
        kind: Phone,
        pattern: r"(?:01[0-9]{3}|\(01[0-9]{3}\)) [0-9]{6}",
        judge: grouped,
    },
    // Germany: a mobile number, large cities, and what has the stroke behind its prefix.
    Rule {
        kind: Phone,
        pattern: r"01[5-7][0-9]{1,2}(?: ?/ ?|[ -])[0-9]{7,8}",
        judge: grouped,
    },
    Rule {
        kind: Phone,
        pattern: r"0(?:30|40|69|89)(?: ?/ ?|[ -])[0-9]{5,8}",
        judge: grouped,
    },
    Rule {
        kind: Phone,
        pattern: r"0[2-9][0-9]{1,3} ?/ ?[0-9]{4,8}",
        judge: grouped,
    },
    Rule {
        kind: Phone,
        pattern: named!(
            "phone|telephone|tel|telefon|mobile|mob|handy|fax|whatsapp|电话|手机|座机|热线|传真|電話|手機|傳真",
            r"\+?\(?[0-9](?:(?: ?\(|\)[ /-]?|[ ./-])?[0-9]){6,16}"
        ),
        judge: after_a_word,
    },
];

/// How many digits follow a country's code, where that is known well enough to tell a number from others.
const COUNTRIES: &[(&str, usize, usize)] = &[
    ("1", 10, 10),
    ("7", 10, 10),
    ("20", 8, 10),
    ("27", 9, 9),
    ("30", 10, 10),
    ("31", 9, 9),
    ("32", 8, 9),
    ("33", 9, 9),
    ("34", 9, 9),
    ("36", 8, 9),
    ("39", 8, 11),
    ("40", 9, 9),
    ("41", 9, 9),
    ("43", 7, 12),
    ("44", 9, 10),
    ("45", 8, 8),
    ("46", 7, 9),
    ("47", 8, 8),
    ("48", 9, 9),
    ("49", 7, 11),
    ("52", 10, 10),
    ("54", 10, 11),
    ("55", 10, 11),
    ("56", 9, 9),
    ("57", 10, 10),
    ("61", 9, 9),
    ("65", 8, 8),
    ("66", 8, 9),
    ("81", 9, 10),
    ("82", 8, 10),
    ("84", 9, 10),
    ("86", 9, 11),
    ("90", 10, 10),
    ("91", 10, 10),
    ("351", 9, 9),
    ("353", 7, 9),
    ("420", 9, 9),
    ("421", 9, 9),
    ("852", 8, 8),
    ("853", 8, 8),
    ("886", 8, 9),
    ("966", 8, 9),
    ("971", 8, 9),
    ("972", 8, 9),
];

/// Other codes that are given out, by their first two digits; one of two digits has all of them.
const OTHERS: &str = "21 22 23 24 25 26 29 35 37 38 42 50 51 53 58 59 60 62 63 64 67 68 69 80 85 87 88 92 93 94 95 \
    96 97 98 99";

/// Whether so many digits may follow a country's code.
fn fits(digits: &str, first_group: usize) -> bool {
    let known = COUNTRIES
        .iter()
        .find(|(code, ..)| digits.starts_with(*code));
    if let Some((code, least, most)) = known {
        let national = digits.get(code.len()..).unwrap_or_default();
        let grouped = first_group >= code.len();
        return grouped
            && (*least..=*most).contains(&national.len())
            && (*code != "1" || north(national));
    }
    let given = digits.get(..2).is_some_and(|two| OTHERS.contains(two));
    given && first_group >= 2 && (9..=15).contains(&digits.len())
}

/// Ten digits of the North American plan: neither the area nor the exchange begins with 0 or 1 or is a service.
fn north(national: &str) -> bool {
    let part = |at: usize| {
        let three = national.get(at..at + 3).unwrap_or_default();
        three.starts_with(|c: char| ('2'..='9').contains(&c)) && !three.ends_with("11")
    };
    national.len() == 10 && part(0) && part(3)
}

/// The digits of a number.
fn plain(value: &str) -> String {
    value.chars().filter(char::is_ascii_digit).collect()
}

fn chinese_mobile(candidate: &Candidate<'_>) -> Option<Finding> {
    let digits = plain(candidate.value());
    let national = digits.get(digits.len().checked_sub(11)?..)?;
    // Blocks that are given out to people.
    let given = !matches!(
        national.get(1..3)?,
        "40" | "41"
            | "42"
            | "43"
            | "44"
            | "54"
            | "60"
            | "61"
            | "63"
            | "64"
            | "68"
            | "69"
            | "79"
            | "94"
    );
    let own = !candidate.is_named_otherwise() && candidate.stands_alone();
    (given && own).then(|| candidate.shape()).flatten()
}

fn chinese_landline(candidate: &Candidate<'_>) -> Option<Finding> {
    let value = candidate.value();
    // Without an extension.
    let digits = match value.rsplit_once('-') {
        Some((front, _)) if plain(front).len() > 9 => plain(front),
        _ => plain(value),
    };
    let fits = match digits.get(..3)? {
        "010" | "020" | "021" | "022" | "023" | "024" | "025" | "027" | "028" | "029" => {
            digits.len() == 11
        }
        area => {
            !area.starts_with("01") && !area.starts_with("02") && (11..=12).contains(&digits.len())
        }
    };
    // The area's code, in its brackets or before its separator, is as long as the country has it.
    let code = plain(value.split([')', ' ', '-']).next()?).len();
    let short = digits.starts_with("01") || digits.starts_with("02");
    let coded = code == if short { 3 } else { 4 };
    (fits && coded).then(|| grouped(candidate)).flatten()
}

/// Also where the number stands in a text of numbers: the longest part of it that its country may have.
fn international(candidate: &Candidate<'_>) -> Option<Finding> {
    let value = candidate.value();
    let prefix = if value.starts_with('+') { 1 } else { 2 };
    let groups = Groups::of(value, prefix);
    // One full stop is that of a decimal; among other separators it is one of a coordinate.
    if groups.has_stops() && (groups.separators.len() < 2 || !groups.is_uniform()) {
        return None;
    }
    if prefix == 2 {
        // Two zeros also begin groups of other numbers.
        let row = candidate
            .head()
            .trim_end()
            .ends_with(|c: char| c.is_ascii_digit());
        if row || groups.separators.is_empty() || candidate.is_named_otherwise() {
            return None;
        }
    }
    if !candidate.stands_alone() {
        return None;
    }
    let first = groups.ends.first().map_or(0, |(count, _)| *count);
    let fitting = groups.ends.iter().rev().find(|(count, _)| {
        let digits = groups.digits.get(..*count).unwrap_or_default();
        fits(digits, first)
            && (prefix == 1 || COUNTRIES.iter().any(|(code, ..)| digits.starts_with(*code)))
    });
    candidate.cut(fitting?.1).shape()
}

fn north_american(candidate: &Candidate<'_>) -> Option<Finding> {
    let value = candidate.value();
    let digits = plain(value);
    let national = digits.get(digits.len().checked_sub(10)?..)?;
    let separators: Vec<char> = value.chars().filter(|c| !c.is_ascii_digit()).collect();
    let uniform = separators.iter().all(|c| Some(c) == separators.first());
    let bracketed = value.contains('(');
    // Three numbers in a row are more often just that.
    let spaced = uniform && separators.first() == Some(&' ') && !candidate.is_named_personal();
    (north(national) && (uniform || bracketed) && !spaced)
        .then(|| grouped(candidate))
        .flatten()
}

fn french(candidate: &Candidate<'_>) -> Option<Finding> {
    let groups = Groups::of(candidate.value(), 0);
    let mobile = candidate.value().starts_with("06") || candidate.value().starts_with("07");
    let mut next = candidate.tail().chars();
    let goes_on = next.next() == groups.separators.first().copied()
        && next.next().is_some_and(|c| c.is_ascii_digit());
    (groups.is_uniform() && !goes_on && (mobile || candidate.is_named_personal()))
        .then(|| grouped(candidate))
        .flatten()
}

/// What has the form already.
fn grouped(candidate: &Candidate<'_>) -> Option<Finding> {
    let own = candidate.stands_alone() && !candidate.is_named_otherwise();
    own.then(|| candidate.shape()).flatten()
}

/// What a word before it says to be a phone: the first nine digits or more that end where a group does, else seven.
fn after_a_word(candidate: &Candidate<'_>) -> Option<Finding> {
    let value = candidate.value();
    let groups = Groups::of(value, 0);
    let stops = groups.has_stops() && !groups.is_uniform();
    let single = groups.ends.windows(2).any(|two| two[1].0 - two[0].0 < 2);
    if stops || groups.has_stops() && single || is_day(&groups) || candidate.is_named_otherwise() {
        return None;
    }
    let long = groups.ends.iter().find(|(count, _)| *count >= 9);
    let short = groups.ends.iter().rev().find(|(count, _)| *count >= 7);
    let (count, end) = *long.or(short)?;
    let cut = candidate.cut(end);
    (count <= 15 && cut.stands_alone())
        .then(|| cut.shape())
        .flatten()
}

/// Whether the first groups are a date with the year first.
fn is_day(groups: &Groups) -> bool {
    let ends: Vec<usize> = groups.ends.iter().map(|(count, _)| *count).collect();
    let part = |from: usize, to: usize| {
        let part = groups.digits.get(from..to).unwrap_or_default();
        number(&digits(part))
    };
    match ends[..] {
        [4, month, day, ..] => {
            (1900..2100).contains(&part(0, 4))
                && is_date(part(0, 4), part(4, month), part(month, day))
        }
        _ => false,
    }
}

/// The groups of digits in a number.
struct Groups {
    digits: String,
    /// How many digits there are up to the end of each group, and bytes.
    ends: Vec<(usize, usize)>,
    /// The first character between two groups.
    separators: Vec<char>,
}

impl Groups {
    /// Of the digits behind so many characters. A zero in brackets, `+49 (0)30`, is not dialled.
    fn of(value: &str, prefix: usize) -> Self {
        let mut groups = Self {
            digits: String::new(),
            ends: Vec::new(),
            separators: Vec::new(),
        };
        let trunk = value.find("(0)").map_or(value.len(), |at| at + 1);
        let mut open = false;
        for (i, c) in value.char_indices().skip(prefix) {
            match c.is_ascii_digit() {
                true if i == trunk => {}
                true => {
                    groups.digits.push(c);
                    open = true;
                }
                false => {
                    if open {
                        groups.ends.push((groups.digits.len(), i));
                        groups.separators.push(c);
                    }
                    open = false;
                }
            }
        }
        if open {
            groups.ends.push((groups.digits.len(), value.len()));
        }
        groups
    }

    fn has_stops(&self) -> bool {
        self.separators.contains(&'.')
    }

    fn is_uniform(&self) -> bool {
        self.separators.windows(2).all(|two| two[0] == two[1])
    }
}
