//! Payment cards and bank accounts: numbers with a checksum, in the groups that they are printed in. Left out: cards of
//! networks whose numbers have other lengths or no checksum.

use super::Finding;
use super::Kind::{Card, Iban};
use super::checksums::{digits, iban, iban_length, luhn, number};
use super::identity::is_resident;
use super::rules::{Candidate, Rule};

pub(super) const RULES: &[Rule] = &[
    Rule {
        kind: Card,
        pattern: r"[0-9]{13,19}",
        judge: solid,
    },
    Rule {
        kind: Card,
        pattern: r"[0-9]{4}(?:[ .-][0-9]{4}){3}",
        judge: grouped,
    },
    Rule {
        kind: Card,
        pattern: r"[0-9]{4}(?:[ .-][0-9]{4}){3}[ .-][0-9]{3}",
        judge: grouped,
    },
    // American Express and Diners Club.
    Rule {
        kind: Card,
        pattern: r"[0-9]{4}[ .-][0-9]{6}[ .-][0-9]{4,5}",
        judge: grouped,
    },
    // UnionPay.
    Rule {
        kind: Card,
        pattern: r"[0-9]{6}[ .-][0-9]{13}",
        judge: grouped,
    },
    Rule {
        kind: Iban,
        pattern: r"[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,30}",
        judge: account,
    },
];

/// The first digits of networks' numbers (ISO/IEC 7812), from and to, and how long the numbers are.
const NETWORKS: &[(u32, u32, &[usize])] = &[
    // Visa.
    (400_000, 499_999, &[13, 16, 19]),
    // Mastercard.
    (222_100, 272_099, &[16]),
    (510_000, 559_999, &[16]),
    // American Express.
    (340_000, 349_999, &[15]),
    (370_000, 379_999, &[15]),
    // Diners Club.
    (300_000, 305_999, &[14, 16]),
    (309_500, 309_599, &[14, 16]),
    (360_000, 369_999, &[14, 16]),
    (380_000, 399_999, &[14, 16]),
    // JCB.
    (352_800, 358_999, &[16, 17, 18, 19]),
    // Mir.
    (220_000, 220_499, &[16, 17, 18, 19]),
    // Maestro.
    (501_800, 501_899, &[13, 14, 15, 16, 17, 18, 19]),
    (502_000, 502_099, &[13, 14, 15, 16, 17, 18, 19]),
    (503_800, 503_899, &[13, 14, 15, 16, 17, 18, 19]),
    (630_400, 630_499, &[13, 14, 15, 16, 17, 18, 19]),
    (675_900, 676_399, &[13, 14, 15, 16, 17, 18, 19]),
    // RuPay and Elo.
    (508_500, 508_999, &[16]),
    (606_900, 608_599, &[16]),
    // Discover.
    (601_100, 601_199, &[16, 17, 18, 19]),
    (644_000, 659_999, &[16, 17, 18, 19]),
    // UnionPay.
    (620_000, 629_999, &[16, 17, 18, 19]),
    (810_000, 817_199, &[16, 17, 18, 19]),
];

fn is_card(digits: &[u32]) -> bool {
    let prefix = digits.get(..6).map_or(0, number);
    let known = NETWORKS.iter().any(|(from, to, lengths)| {
        (*from..=*to).contains(&prefix) && lengths.contains(&digits.len())
    });
    let same = digits.iter().all(|d| Some(d) == digits.first());
    known && !same && luhn(digits)
}

/// One of ten numbers passes the checksum: so a word before it is believed that says what else it is, and the old
/// numbers of thirteen digits, which are also those on goods, need one that says that they are cards.
fn solid(candidate: &Candidate<'_>) -> Option<Finding> {
    let digits = digits(candidate.value());
    let own = candidate.stands_alone() && !candidate.is_named_otherwise();
    let card = is_card(&digits) && !is_resident(candidate.value());
    let sure = digits.len() > 13 || candidate.is_named_personal();
    (own && card && sure).then(|| candidate.proven()).flatten()
}

/// In groups, unless it is a piece of a longer row of groups: four digits before it, or eight behind it.
fn grouped(candidate: &Candidate<'_>) -> Option<Finding> {
    let value = candidate.value();
    let mut separators = value.chars().filter(|c| !c.is_ascii_digit());
    let first = separators.next();
    let uniform = separators.all(|c| Some(c) == first);
    let mut tail = candidate.tail().chars();
    let row = is_group(&mut candidate.head().chars().rev(), first)
        || is_group(&mut tail, first) && is_group(&mut tail, first);
    let own = uniform && !row && candidate.stands_alone();
    (own && is_card(&digits(value)))
        .then(|| candidate.proven())
        .flatten()
}

/// Whether four more digits come next, behind the same separator.
fn is_group(text: &mut impl Iterator<Item = char>, separator: Option<char>) -> bool {
    text.next() == separator && text.take(4).filter(char::is_ascii_digit).count() == 4
}

/// As long as the account's country has them: a text may follow. Groups have four characters.
fn account(candidate: &Candidate<'_>) -> Option<Finding> {
    let value = candidate.value();
    let length = iban_length(value)?;
    let mut account = String::new();
    let mut end = 0;
    for (i, c) in value.char_indices() {
        if c.is_ascii_alphanumeric() {
            account.push(c);
        } else if !account.len().is_multiple_of(4) {
            return None;
        }
        if account.len() == length {
            end = i + 1;
            break;
        }
    }
    iban(&account)
        .then(|| candidate.cut(end).proven())
        .flatten()
}
