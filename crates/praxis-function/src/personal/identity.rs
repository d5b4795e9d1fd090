//! Numbers that offices give to people: identity cards, social security, taxes, passports. With a checksum where there
//! is one, otherwise in a form that little else has, or after a word that names them. Left out: countries whose numbers
//! have neither.

use super::Finding;
use super::Kind::{NationalId, Passport, ResidentId, Ssn, TaxId};
use super::checksums::{self, digits, is_date, number};
use super::rules::{Candidate, Rule, named};

pub(super) const RULES: &[Rule] = &[
    Rule {
        kind: ResidentId,
        pattern: r"[1-9][0-9]{16}[0-9Xx]",
        judge: resident,
    },
    Rule {
        kind: ResidentId,
        pattern: r"[1-9][0-9]{5}[ -][0-9]{8}[ -][0-9]{3}[0-9Xx]",
        judge: resident,
    },
    Rule {
        kind: ResidentId,
        pattern: r"[1-9][0-9]{14}",
        judge: old_resident,
    },
    Rule {
        kind: Ssn,
        pattern: r"[0-9]{3}-[0-9]{2}-[0-9]{4}",
        judge: social_security,
    },
    Rule {
        kind: Ssn,
        pattern: named!("ssn|social security", r"[0-9]{3}[ -]?[0-9]{2}[ -]?[0-9]{4}"),
        judge: social_security,
    },
    Rule {
        kind: TaxId,
        pattern: r"[1-9][0-9](?: [0-9]{3}){3}",
        judge: |c| own(c, checksums::german_tax(&digits(c.value()))),
    },
    Rule {
        kind: TaxId,
        pattern: r"[1-9][0-9]{10}",
        judge: german_tax,
    },
    Rule {
        kind: TaxId,
        pattern: r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}",
        judge: |c| own(c, checksums::cpf(&digits(c.value()))),
    },
    // France.
    Rule {
        kind: NationalId,
        pattern: r"[12] ?[0-9]{2} ?(?:0[1-9]|1[0-2]) ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}",
        judge: |c| own(c, checksums::nir(&compact(c.value()))),
    },
    // Spain.
    Rule {
        kind: NationalId,
        pattern: r"(?:[0-9]{8}|[XYZ]-?[0-9]{7})-?[A-Z]",
        judge: spanish,
    },
    // Italy.
    Rule {
        kind: NationalId,
        pattern: r"[A-Z]{6}[0-9]{2}[ABCDEHLMPRST][0-9]{2}[A-Z][0-9]{3}[A-Z]",
        judge: |c| own(c, checksums::codice_fiscale(c.value())),
    },
    // Hong Kong, Taiwan, Singapore, Korea.
    Rule {
        kind: NationalId,
        pattern: r"[A-Z]{1,2}[0-9]{6}\([0-9A]\)",
        judge: |c| own(c, checksums::hong_kong(&compact(c.value()))),
    },
    Rule {
        kind: NationalId,
        pattern: r"[A-Z][1289][0-9]{8}",
        judge: |c| own(c, checksums::taiwan(c.value())),
    },
    Rule {
        kind: NationalId,
        pattern: r"[STFG][0-9]{7}[A-Z]",
        judge: |c| own(c, checksums::singapore(c.value())),
    },
    Rule {
        kind: NationalId,
        pattern: r"[0-9]{6}-[0-9]{7}",
        judge: |c| own(c, checksums::korean(&digits(c.value()))),
    },
    // Poland, the Netherlands, Britain: many other numbers have their forms.
    Rule {
        kind: NationalId,
        pattern: named!("pesel", r"[0-9]{11}"),
        judge: |c| proven(c, checksums::pesel(&digits(c.value()))),
    },
    Rule {
        kind: NationalId,
        pattern: named!("bsn|burgerservicenummer", r"[0-9]{9}"),
        judge: |c| proven(c, checksums::bsn(&digits(c.value()))),
    },
    Rule {
        kind: NationalId,
        pattern: named!("nhs", r"[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{4}"),
        judge: |c| proven(c, checksums::nhs(&digits(c.value()))),
    },
    Rule {
        kind: Passport,
        pattern: named!(
            "passport|passeport|pasaporte|passaporto|reisepass|护照|護照",
            "[A-Za-z0-9]{7,9}"
        ),
        judge: passport,
    },
];

/// Regions of China: the first two digits. 81 to 83 are residents of Hong Kong, Macao and Taiwan, 9 other foreigners.
fn is_region(two: u32) -> bool {
    matches!(two, 11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83 | 91)
}

/// Seventeen digits with a region and a day, and the check character.
pub(super) fn is_resident(text: &str) -> bool {
    let digits = digits(text.get(..17).unwrap_or_default());
    let day = |d: &[u32]| {
        let year = number(&d[6..10]);
        (1800..2100).contains(&year) && is_date(year, number(&d[10..12]), number(&d[12..14]))
    };
    text.len() == 18
        && digits.len() == 17
        && is_region(number(&digits[..2]))
        && day(&digits)
        && checksums::mod_11_2(text)
}

fn resident(candidate: &Candidate<'_>) -> Option<Finding> {
    proven(candidate, is_resident(&compact(candidate.value())))
}

/// Numbers of people born before 2000 had fifteen digits, without a checksum.
fn old_resident(candidate: &Candidate<'_>) -> Option<Finding> {
    let digits = digits(candidate.value());
    let day = |d: &[u32]| {
        is_date(
            1900 + number(&d[6..8]),
            number(&d[8..10]),
            number(&d[10..12]),
        )
    };
    let fits = digits.len() == 15 && is_region(number(&digits[..2])) && day(&digits);
    let own = candidate.stands_alone() && !candidate.is_named_otherwise();
    (fits && own).then(|| candidate.shape()).flatten()
}

/// Areas 000, 666 and from 900 on, group 00 and serial 0000 are not given out; two were printed in advertisements.
fn social_security(candidate: &Candidate<'_>) -> Option<Finding> {
    let digits = digits(candidate.value());
    if digits.len() != 9 {
        return None;
    }
    let area = number(&digits[..3]);
    let given = (1..900).contains(&area)
        && area != 666
        && number(&digits[3..5]) > 0
        && number(&digits[5..]) > 0
        && !matches!(number(&digits), 78_051_120 | 219_099_999);
    let own = candidate.stands_alone() && !candidate.is_named_otherwise();
    (given && own).then(|| candidate.shape()).flatten()
}

/// Eleven digits in a row: where they could be a mobile number of China, a word must say that they are none.
fn german_tax(candidate: &Candidate<'_>) -> Option<Finding> {
    let clause = candidate.clause();
    let named = ["steuer", "idnr", "tax", "税"]
        .iter()
        .any(|word| clause.contains(*word));
    let mobile = matches!(digits(candidate.value())[..], [1, 3..=9, ..]);
    let fits = checksums::german_tax(&digits(candidate.value()));
    own(candidate, fits && (named || !mobile))
}

/// Eight digits and a letter are also a day and the letter of its time zone.
fn spanish(candidate: &Candidate<'_>) -> Option<Finding> {
    let value = compact(candidate.value());
    let digits = digits(&value);
    let day = digits.len() == 8
        && value.starts_with(['1', '2'])
        && (1900..2100).contains(&number(&digits[..4]))
        && is_date(
            number(&digits[..4]),
            number(&digits[4..6]),
            number(&digits[6..]),
        );
    own(candidate, checksums::dni(&value) && !day)
}

/// Letters and digits, most of them digits.
fn passport(candidate: &Candidate<'_>) -> Option<Finding> {
    let fits = digits(candidate.value()).len() >= 5;
    fits.then(|| candidate.shape()).flatten()
}

/// Letters and digits without what separates them.
fn compact(value: &str) -> String {
    value.chars().filter(char::is_ascii_alphanumeric).collect()
}

fn proven(candidate: &Candidate<'_>, fits: bool) -> Option<Finding> {
    fits.then(|| candidate.proven()).flatten()
}

/// With a short checksum: proven where neither a word nor what stands around it says otherwise.
fn own(candidate: &Candidate<'_>, fits: bool) -> Option<Finding> {
    proven(
        candidate,
        fits && candidate.stands_alone() && !candidate.is_named_otherwise(),
    )
}
