//! Sentences with and without personal data, made from a seed, and how many of them are read right: what is found must
//! have the kind and every character.

use std::fmt::Write as _;

use super::super::checksums::{
    digits, german_tax, hong_kong, iban, luhn, mod_11_2, singapore, taiwan,
};
use super::super::{Kind, Kinds, find};
use super::frames::{OTHERS, frames};
use super::random::Random;

const SENTENCES: usize = 2000;

const HEX: &str = "0123456789abcdef";
const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const BASE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// How cards begin, how long they are, and the groups that are printed.
const CARDS: [(&str, usize, &[usize]); 5] = [
    ("4", 16, &[4, 4, 4, 4]),
    ("53", 16, &[4, 4, 4, 4]),
    ("37", 15, &[4, 6, 5]),
    ("6222", 19, &[4, 4, 4, 4, 3]),
    ("6011", 16, &[4, 4, 4, 4]),
];

/// How keys begin, and how much follows. Whole ones would alarm whoever scans this file.
const KEYS: [(&str, usize); 8] = [
    ("ghp_", 36),
    ("glpat-", 20),
    ("sk_live_", 24),
    ("sk-proj-", 64),
    ("sk-ant-", 95),
    ("hf_", 34),
    ("npm_", 36),
    ("AIza", 35),
];

/// What stands for a name in braces.
fn other(name: &str, random: &mut Random) -> String {
    let (year, month, day) = (
        random.range(1990, 2030),
        random.range(1, 12),
        random.range(1, 28),
    );
    match name {
        "order" => match random.below(5) {
            0 => random.digits(12),
            1 => format!("{year}{month:02}{day:02}{}", random.digits(8)),
            2 => random.digits(16),
            3 => format!(
                "{}-{}-{}",
                random.digits(3),
                random.digits(7),
                random.digits(7)
            ),
            _ => format!("A{}", random.digits(9)),
        },
        "tracking" => match random.below(3) {
            0 => format!("1Z{}{}", random.chars(6, LETTERS), random.digits(10)),
            1 => format!("SF{}", random.digits(13)),
            _ => format!("EE{}CN", random.digits(9)),
        },
        "isbn" => match random.below(3) {
            0 => format!(
                "978-7-{}-{}-{}",
                random.digits(3),
                random.digits(5),
                random.digits(1)
            ),
            1 => format!("978{}", random.digits(10)),
            _ => format!(
                "{}-{}-{}-X",
                random.digits(1),
                random.digits(3),
                random.digits(5)
            ),
        },
        "version" => match random.below(3) {
            0 => format!(
                "{}.{}.{}",
                random.below(9),
                random.below(20),
                random.below(99)
            ),
            1 => format!(
                "1.{}.{}.{}",
                random.below(99),
                random.below(99),
                random.below(99)
            ),
            _ => format!(
                "10.0.{}.{}",
                random.range(10_000, 29_999),
                random.below(9999)
            ),
        },
        "date" => match random.below(4) {
            0 => format!("{year}-{month:02}-{day:02}"),
            1 => format!("{day:02}.{month:02}.{year}"),
            2 => format!("{month}/{day}/{year}"),
            _ => format!("{year}年{month}月{day}日"),
        },
        "time" => format!(
            "{:02}:{:02}:{:02}",
            random.below(24),
            random.below(60),
            random.below(60)
        ),
        "hash" => {
            let length = [7, 32, 40][random.below(3)];
            random.chars(length, HEX)
        }
        "uuid" => {
            let parts = [8, 4, 4, 4, 12].map(|count| random.chars(count, HEX));
            parts.join("-")
        }
        "price" => {
            let (whole, part) = (random.range(1, 99_999), random.digits(2));
            match random.below(4) {
                0 => format!("${whole}.{part}"),
                1 => format!("€{whole},{part}"),
                2 => format!("{whole}.{part}元"),
                _ => format!("¥{}", random.range(1, 9_999_999)),
            }
        }
        "place" => format!(
            "{}.{}, {}.{}",
            random.below(89),
            random.digits(6),
            random.below(179),
            random.digits(6)
        ),
        "year" => year.to_string(),
        "count" => random.range(1, 9_999_999).to_string(),
        "stamp" => {
            let length = [9, 12, 18][random.below(3)];
            format!("1{}", random.digits(length))
        }
        "word" => random
            .pick(&["react", "vue", "praxis", "lodash"])
            .to_owned(),
        "part" => format!("{}-{}", random.chars(2, LETTERS), random.digits(6)),
        other => panic!("{other}"),
    }
}

/// The text with the character behind it that passes a check.
fn checked(front: &str, with: &str, check: impl Fn(&str) -> bool) -> Option<String> {
    let mut all = with.chars().map(|c| format!("{front}{c}"));
    all.find(|text| check(text))
}

/// Digits in groups.
fn grouped(text: &str, sizes: &[usize], separator: &str) -> String {
    let mut rest = text;
    let mut groups = Vec::new();
    for size in sizes {
        let (group, more) = rest.split_at((*size).min(rest.len()));
        groups.push(group);
        rest = more;
    }
    groups.retain(|group| !group.is_empty());
    groups.join(separator)
}

fn value(kind: Kind, random: &mut Random) -> String {
    match kind {
        Kind::Email => {
            let name = random.pick(&[
                "ann.lee",
                "zhang_wei",
                "o.brien+work",
                "bob42",
                "X-ray",
                "wang1988",
            ]);
            let host = random.pick(&[
                "example.com",
                "mail.example.org",
                "163.com",
                "qq.com",
                "uni-x.ac.uk",
                "例子.中国",
            ]);
            match random.below(8) {
                0 => format!("{name}＠example．com"),
                _ => format!("{name}@{host}"),
            }
        }
        Kind::Phone => phone(random),
        Kind::Card => {
            let (prefix, length, sizes) = CARDS[random.below(CARDS.len())];
            let front = format!("{prefix}{}", random.digits(length - prefix.len() - 1));
            let card = checked(&front, "0123456789", |text| luhn(&digits(text))).unwrap();
            match random.below(3) {
                0 => grouped(&card, sizes, " "),
                1 => grouped(&card, sizes, "-"),
                _ => card,
            }
        }
        Kind::ResidentId => {
            let region = random.pick(&["110105", "310104", "440524", "510107", "330106"]);
            let (year, month, day) = (
                random.range(1940, 2012),
                random.range(1, 12),
                random.range(1, 28),
            );
            let front = format!("{region}{year}{month:02}{day:02}{}", random.digits(3));
            checked(&front, "0123456789X", mod_11_2).unwrap()
        }
        Kind::Iban => {
            let account = match random.below(3) {
                0 => ("DE", random.digits(18)),
                1 => (
                    "GB",
                    format!("{}{}", random.chars(4, LETTERS), random.digits(14)),
                ),
                _ => (
                    "NL",
                    format!("{}{}", random.chars(4, LETTERS), random.digits(10)),
                ),
            };
            let mut all = (2..99).map(|check| format!("{}{check:02}{}", account.0, account.1));
            let whole = all.find(|text| iban(text)).unwrap();
            match random.below(2) {
                0 => grouped(&whole, &[4; 9], " "),
                _ => whole,
            }
        }
        Kind::Ssn => {
            let (area, group, serial) = (
                random.range(1, 665),
                random.range(1, 99),
                random.range(1, 9999),
            );
            format!("{area:03}-{group:02}-{serial:04}")
        }
        Kind::TaxId => loop {
            let front = format!("{}{}", random.range(2, 9), random.digits(9));
            if let Some(tax) = checked(&front, "0123456789", |text| german_tax(&digits(text))) {
                return grouped(&tax, &[2, 3, 3, 3], random.pick(&["", " "]));
            }
        },
        Kind::NationalId => loop {
            let id = match random.below(3) {
                0 => checked(
                    &format!("{}1{}", random.chars(1, LETTERS), random.digits(7)),
                    "0123456789",
                    taiwan,
                ),
                1 => checked(&format!("S{}", random.digits(7)), LETTERS, singapore),
                _ => {
                    let front = format!("{}{}", random.chars(1, LETTERS), random.digits(6));
                    let whole = checked(&front, "0123456789A", hong_kong);
                    whole.map(|text| format!("{}({})", &text[..7], &text[7..]))
                }
            };
            if let Some(id) = id {
                return id;
            }
        },
        Kind::Passport => match random.below(3) {
            0 => format!("E{}", random.digits(8)),
            1 => format!("{}{}", random.chars(2, LETTERS), random.digits(7)),
            _ => random.digits(9),
        },
        Kind::IpAddress => match random.below(4) {
            0 => format!(
                "2001:db8:{}::{}",
                random.chars(4, "123456789abcdef"),
                random.chars(3, "123456789abcdef")
            ),
            _ => format!(
                "{}.{}.{}.{}",
                random.range(11, 99),
                random.below(256),
                random.below(256),
                random.range(1, 254)
            ),
        },
        Kind::MacAddress => {
            let pairs: Vec<String> = (0..5).map(|_| random.chars(2, HEX)).collect();
            format!("a{}:{}", random.chars(1, HEX), pairs.join(":"))
        }
        Kind::ApiKey => {
            let (prefix, length) = KEYS[random.below(KEYS.len())];
            match random.below(5) {
                0 => format!(
                    "AKIA{}",
                    random.chars(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
                ),
                1 => format!("sk-praxis-{}", random.chars(64, HEX)),
                _ => format!("{prefix}{}", random.chars(length, BASE)),
            }
        }
        Kind::PrivateKey => {
            let label = random.pick(&["", "RSA ", "OPENSSH ", "EC "]);
            let mut key = format!("-----BEGIN {label}PRIVATE KEY-----\n");
            for _ in 0..3 {
                writeln!(key, "{}", random.chars(64, BASE)).unwrap();
            }
            key + "-----END " + label + "PRIVATE KEY-----"
        }
        Kind::Jwt => {
            let header = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
            format!(
                "{header}.{}.{}",
                random.chars(60, BASE),
                random.chars(43, BASE)
            )
        }
        Kind::Password => {
            let word = random.pick(&["Sommer", "tr0ub", "Kx9", "pA"]);
            format!("{word}{}!{}", random.chars(6, BASE), random.range(10, 99))
        }
    }
}

fn phone(random: &mut Random) -> String {
    let prefix = random.pick(&["138", "139", "150", "186", "199", "177"]);
    let mobile = format!("{prefix}{}", random.digits(8));
    let north = format!(
        "{}{}{}",
        random.pick(&["415", "212", "650"]),
        random.range(234, 299),
        random.digits(4)
    );
    match random.below(11) {
        0..=2 => mobile,
        3 => grouped(&mobile, &[3, 4, 4], random.pick(&["-", " "])),
        4 => format!("+86{}{mobile}", random.pick(&["", " ", "-"])),
        5 => grouped(&north, &[3, 3, 4], random.pick(&["-", "."])),
        6 => format!("({}) {}-{}", &north[..3], &north[3..6], &north[6..]),
        7 => format!("+1 {}", grouped(&north, &[3, 3, 4], " ")),
        8 => format!("+49 30 {}", random.digits(6)),
        9 => format!("+44 20 7{} {}", random.digits(3), random.digits(4)),
        _ => format!("010-8{}", random.digits(7)),
    }
}

/// A sentence, and what is in it.
fn sentence(random: &mut Random) -> (String, Vec<(Kind, String)>) {
    if random.below(2) == 0 {
        let mut text = String::new();
        let mut rest = random.pick(OTHERS);
        while let Some((before, (name, after))) = rest
            .split_once('{')
            .filter(|(before, _)| !before.ends_with('$'))
            .and_then(|(before, after)| Some((before, after.split_once('}')?)))
        {
            text += before;
            text += &other(name, random);
            rest = after;
        }
        return (text + rest, Vec::new());
    }
    let kind = Kind::ALL[random.below(Kind::ALL.len())];
    let value = value(kind, random);
    let frame = random.pick(frames(kind));
    (frame.replace("{}", &value), vec![(kind, value)])
}

#[test]
fn nearly_all_of_two_thousand_sentences_are_read_right() {
    let mut random = Random(0x5eed);
    let (mut right, mut wrong, mut missed) = (0.0, Vec::new(), Vec::new());
    for _ in 0..SENTENCES {
        let (text, mut expected) = sentence(&mut random);
        for finding in find(&text, &Kinds::ALL) {
            let found = (finding.kind, text[finding.range].to_owned());
            match expected.iter().position(|e| *e == found) {
                Some(place) => {
                    expected.remove(place);
                    right += 1.0;
                }
                None => wrong.push((found, text.clone())),
            }
        }
        missed.extend(expected.into_iter().map(|e| (e, text.clone())));
    }
    let precision = right / (right + wrong.len() as f64);
    let recall = right / (right + missed.len() as f64);
    assert!(right > 900.0, "there is too little to find: {right}");
    assert!(precision >= 0.98, "{precision}: {wrong:#?}");
    assert!(recall >= 0.98, "{recall}: {missed:#?}");
}
