//! Personal data in a text: e-mail addresses, phone and card numbers, Chinese resident identity
//! numbers, IBANs. Numbers with a check digit must pass it, so that few others are taken for them. What
//! is found is named by kind; the value itself goes nowhere.

/// A kind of personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pii {
    /// `name@host.tld`.
    Email,
    /// A mobile number of China, or an international number with `+`.
    Phone,
    /// A payment card's number (ISO/IEC 7812, Luhn).
    Card,
    /// A resident identity number (GB 11643-1999).
    ResidentId,
    /// A bank account (ISO 13616).
    Iban,
}

impl Pii {
    /// Its name in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "an e-mail address",
            Self::Phone => "a phone number",
            Self::Card => "a card number",
            Self::ResidentId => "a resident identity number",
            Self::Iban => "an IBAN",
        }
    }
}

/// The kinds that occur in a text, each once.
pub(crate) fn find(text: &str) -> Vec<Pii> {
    let mut kinds = Vec::new();
    if has_email(text) {
        kinds.push(Pii::Email);
    }
    for run in numbers(text) {
        kinds.extend(number_kind(&run));
    }
    kinds.extend(words(text).filter_map(dotted_kind));
    if has_iban(text) {
        kinds.push(Pii::Iban);
    }
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

fn has_email(text: &str) -> bool {
    let local = |c: char| c.is_ascii_alphanumeric() || "._%+-".contains(c);
    let host = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
    text.match_indices('@').any(|(at, _)| {
        let before = text[..at].chars().next_back().is_some_and(local);
        let rest = &text[at + 1..];
        let end = rest.find(|c| !host(c)).unwrap_or(rest.len());
        let name = rest[..end].trim_end_matches(['.', '-']);
        let tld = name.rsplit_once('.').map(|(host, tld)| {
            !host.is_empty() && tld.len() >= 2 && tld.bytes().all(|b| b.is_ascii_alphabetic())
        });
        before && tld == Some(true)
    })
}

/// A run of digits as people group them.
struct Run {
    plus: bool,
    /// The digits, and an X where one ends it.
    digits: String,
    /// The digits without any break.
    solid: bool,
}

/// Runs of digits, with single spaces, hyphens, dots or brackets between groups.
fn numbers(text: &str) -> Vec<Run> {
    let chars: Vec<char> = text.chars().collect();
    let mut runs = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let plus = chars[i] == '+';
        let first = i + usize::from(plus);
        let begins = chars.get(first).is_some_and(char::is_ascii_digit);
        let inside_word = i > 0 && (chars[i - 1].is_ascii_alphanumeric() || chars[i - 1] == '_');
        if !begins || inside_word {
            i += 1;
            continue;
        }
        let (mut digits, mut solid, mut j) = (String::new(), true, first);
        while let Some(&c) = chars.get(j) {
            let next = chars.get(j + 1).copied().unwrap_or(' ');
            if c.is_ascii_digit() {
                digits.push(c);
            } else if matches!(c, ' ' | '-' | '(' | ')') && (next.is_ascii_digit() || next == '(') {
                solid = false;
            } else {
                if matches!(c, 'x' | 'X') && !next.is_ascii_alphanumeric() {
                    digits.push('X');
                    j += 1;
                }
                break;
            }
            j += 1;
        }
        let in_word = chars
            .get(j)
            .is_some_and(|c| c.is_ascii_alphanumeric() || *c == '_');
        if !in_word {
            runs.push(Run {
                plus,
                digits,
                solid,
            });
        }
        i = j.max(i + 1);
    }
    runs
}

fn number_kind(run: &Run) -> Option<Pii> {
    let digits = run.digits.as_str();
    if run.plus {
        return (8..=15).contains(&digits.len()).then_some(Pii::Phone);
    }
    if run.solid && is_resident_id(digits) {
        return Some(Pii::ResidentId);
    }
    if (13..=19).contains(&digits.len()) && is_card(digits) {
        return Some(Pii::Card);
    }
    let national = digits.strip_prefix("86").unwrap_or(digits);
    let mobile = national.len() == 11
        && national.starts_with('1')
        && matches!(national.as_bytes()[1], b'3'..=b'9');
    // Eleven digits in a row may be anything elsewhere; grouped by three, three and four they are the
    // phone number of North America.
    let grouped = !run.solid
        && digits.len() == 10
        && matches!(digits.as_bytes()[0], b'2'..=b'9')
        && matches!(digits.as_bytes()[3], b'2'..=b'9');
    (mobile || grouped).then_some(Pii::Phone)
}

/// Pieces of a text that a number with dots could be.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '_');
    text.split(move |c| !inside(c))
        .map(|word| word.trim_matches(['.', '-']))
}

/// What a number is whose groups stand between dots, `415.555.2671`. Dots are also in decimals, versions, addresses
/// of hosts, dates and thousands, so the groups must be exactly those of a kind.
fn dotted_kind(word: &str) -> Option<Pii> {
    let (plus, number) = match word.strip_prefix('+') {
        Some(number) => (true, number),
        None => (false, word),
    };
    let groups: Vec<&str> = number.split(['.', '-']).collect();
    let is_number = |group: &&str| !group.is_empty() && group.bytes().all(|b| b.is_ascii_digit());
    if !number.contains('.') || !groups.iter().all(is_number) {
        return None;
    }
    let sizes: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let run = Run {
        plus,
        digits: groups.concat(),
        solid: false,
    };
    match sizes[..] {
        // A decimal has one dot.
        _ if plus && sizes.len() > 2 => number_kind(&run),
        [3, 3, 4] | [3, 4, 4] | [2, 3, 4, 4] => number_kind(&run),
        [1, 3, 3, 4] if groups[0] == "1" => dotted_kind(&number[2..]),
        [4, 4, 4, 4] | [4, 6, 5] => is_card(&run.digits).then_some(Pii::Card),
        _ => None,
    }
}

/// The check digit of Luhn (ISO/IEC 7812-1), of a number that could be a card's: zeros pass it too.
fn is_card(digits: &str) -> bool {
    let bytes = digits.as_bytes();
    if !matches!(bytes.first(), Some(b'2'..=b'6')) || bytes.iter().any(|b| !b.is_ascii_digit()) {
        return false;
    }
    let sum: u32 = bytes
        .iter()
        .rev()
        .enumerate()
        .map(|(i, b)| {
            let digit = u32::from(b - b'0');
            match (i % 2, digit) {
                (0, d) => d,
                (_, d) if d > 4 => 2 * d - 9,
                (_, d) => 2 * d,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Seventeen digits with a date, and the check character of ISO 7064 MOD 11-2.
fn is_resident_id(digits: &str) -> bool {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    const CHECKS: &[u8; 11] = b"10X98765432";
    let bytes = digits.as_bytes();
    if bytes.len() != 18 || !bytes[..17].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let part = |from: usize, to: usize| digits[from..to].parse::<u32>().unwrap_or(0);
    let dated = (1800..=2199).contains(&part(6, 10))
        && (1..=12).contains(&part(10, 12))
        && (1..=31).contains(&part(12, 14));
    let sum: u32 = WEIGHTS
        .iter()
        .zip(bytes)
        .map(|(w, b)| w * u32::from(b - b'0'))
        .sum();
    dated && CHECKS[(sum % 11) as usize] == bytes[17]
}

/// Two letters, two digits and up to thirty letters and digits, spaced in fours or not, with a
/// remainder of 1 modulo 97.
fn has_iban(text: &str) -> bool {
    let bytes = text.as_bytes();
    (0..bytes.len()).any(|i| {
        let begins = bytes[i].is_ascii_uppercase()
            && bytes.get(i + 1).is_some_and(u8::is_ascii_uppercase)
            && bytes.get(i + 2).is_some_and(u8::is_ascii_digit)
            && bytes.get(i + 3).is_some_and(u8::is_ascii_digit)
            && (i == 0 || !bytes[i - 1].is_ascii_alphanumeric());
        begins && is_iban(&bytes[i..])
    })
}

fn is_iban(bytes: &[u8]) -> bool {
    let mut account = Vec::new();
    for (i, &b) in bytes.iter().enumerate() {
        let goes_on = bytes.get(i + 1).is_some_and(u8::is_ascii_alphanumeric);
        match b {
            b'0'..=b'9' | b'A'..=b'Z' if account.len() < 34 => account.push(b),
            b' ' if goes_on => {
                // A text in capitals may follow: each border of a word may be the end.
                if account.len() >= 15 && remainder(&account) == 1 {
                    return true;
                }
            }
            _ if b.is_ascii_alphanumeric() => return false,
            _ => break,
        }
    }
    account.len() >= 15 && remainder(&account) == 1
}

fn remainder(account: &[u8]) -> u32 {
    let (head, tail) = account.split_at(account.len().min(4));
    tail.iter().chain(head).fold(0, |rest, &b| match b {
        b'0'..=b'9' => (rest * 10 + u32::from(b - b'0')) % 97,
        _ => (rest * 100 + u32::from(b - b'A') + 10) % 97,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_their_form_and_check_digits() {
        for (text, kinds) in [
            ("Write to ann.lee+x@mail.example.com.", &[Pii::Email][..]),
            ("a@b, @handle, x@y.1", &[]),
            ("Call +49 30 901820 now", &[Pii::Phone]),
            ("电话13800138000。", &[Pii::Phone]),
            ("(415) 555-2671 or 415-555-2671", &[Pii::Phone]),
            ("4111 1111 1111 1111", &[Pii::Card]),
            ("4111 1111 1111 1112", &[]),
            ("0000000000000000", &[]),
            ("身份证11010519491231002X", &[Pii::ResidentId]),
            ("110105194912310021", &[]),
            ("DE89 3704 0044 0532 0130 00 IS MINE", &[Pii::Iban]),
            ("GB82WEST12345698765432", &[Pii::Iban]),
            ("GB82WEST12345698765433", &[]),
            ("In 2024 there were 1,234,567 people; 3.14159265358979", &[]),
            ("order a13800138000b", &[]),
            ("415.555.2671.", &[Pii::Phone]),
            ("1.415.555.2671", &[Pii::Phone]),
            ("Call +49.30.901820 now", &[Pii::Phone]),
            ("电话138.0013.8000。", &[Pii::Phone]),
            ("4111.1111.1111.1111", &[Pii::Card]),
            ("192.168.100.1, 10.0.0.1:8080, v415.555.2671", &[]),
            ("2.345.678.901 and 1.2.3.4 and +3.14159265358979", &[]),
            ("2024.01.15, 415.555, 4111.1111.1111.1112", &[]),
            ("", &[]),
        ] {
            assert_eq!(find(text), kinds, "{text}");
        }
    }
}
