//! Checksums of numbers, as the standards and the offices that give them out define them. Each is told what it checks
//! without separators, and says no to everything else.

/// The values of a text's digits; other characters are left out.
pub(super) fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|c| c.to_digit(10)).collect()
}

/// Digits as one number.
pub(super) fn number(digits: &[u32]) -> u32 {
    digits
        .iter()
        .fold(0, |n: u32, d| n.wrapping_mul(10).wrapping_add(*d))
}

/// Luhn's (ISO/IEC 7812-1): of payment cards.
pub(super) fn luhn(digits: &[u32]) -> bool {
    let value = |(i, digit): (usize, &u32)| match (i % 2, *digit) {
        (0, d) => d,
        (_, d) if d > 4 => 2 * d - 9,
        (_, d) => 2 * d,
    };
    let sum: u32 = digits.iter().rev().enumerate().map(value).sum();
    !digits.is_empty() && sum.is_multiple_of(10)
}

/// ISO 7064 MOD 11-2, where X is ten: of resident identity numbers.
pub(super) fn mod_11_2(text: &str) -> bool {
    let mut rest = 0;
    let mut last = 0;
    for (i, c) in text.chars().enumerate() {
        rest = (rest + last) * 2 % 11;
        last = match (c, c.to_digit(10)) {
            (_, Some(digit)) => digit,
            ('X' | 'x', _) if i + 1 == text.len() => 10,
            _ => return false,
        };
    }
    (rest + last) % 11 == 1
}

/// ISO 7064 MOD 11,10: of German tax numbers.
pub(super) fn mod_11_10(digits: &[u32]) -> bool {
    let Some((check, front)) = digits.split_last() else {
        return false;
    };
    let product = front.iter().fold(10, |product, digit| {
        let sum = (product + digit) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == *check
}

/// ISO 7064 MOD 97-10 with the length that the account's country has: of IBANs.
pub(super) fn iban(account: &str) -> bool {
    let bytes = account.as_bytes();
    if bytes.len() < 5 || iban_length(account) != Some(bytes.len()) {
        return false;
    }
    let (head, tail) = bytes.split_at(4);
    let mut rest = 0;
    for byte in tail.iter().chain(head) {
        rest = match byte.to_ascii_uppercase() {
            digit @ b'0'..=b'9' => (rest * 10 + u32::from(digit - b'0')) % 97,
            letter @ b'A'..=b'Z' => (rest * 100 + u32::from(letter - b'A') + 10) % 97,
            _ => return false,
        };
    }
    rest == 1
}

/// How long accounts of a country are, which the first two letters name (the registry of ISO 13616).
pub(super) fn iban_length(account: &str) -> Option<usize> {
    const LENGTHS: &[(usize, &str)] = &[
        (15, "NO"),
        (16, "BE"),
        (18, "DK FI FK FO GL NL SD"),
        (19, "MK SI"),
        (20, "AT BA EE KZ LT LU MN XK"),
        (21, "CH HR LI LV"),
        (22, "BG BH CR DE GB GE IE ME RS VA"),
        (23, "AE GI IL IQ OM SO TL"),
        (24, "AD CZ ES MD PK RO SA SE SK TN VG"),
        (25, "LY PT ST"),
        (26, "IS TR"),
        (27, "BI DJ FR GR IT MC MR SM"),
        (28, "AL AZ BY CY DO GT HN HU LB NI PL SV"),
        (29, "BR EG PS QA UA"),
        (30, "JO KW MU YE"),
        (31, "MT SC"),
        (32, "LC"),
        (33, "RU"),
    ];
    let country = account.get(..2)?.to_ascii_uppercase();
    let of_country = |(_, countries): &&(usize, &str)| countries.split(' ').any(|c| c == country);
    LENGTHS.iter().find(of_country).map(|(length, _)| *length)
}

/// A day that the calendar has.
pub(super) fn is_date(year: u32, month: u32, day: u32) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// The sum of products, as far as both go.
fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(d, w)| d * w).sum()
}

/// A German tax number: of the first ten digits exactly one occurs twice or three times.
pub(super) fn german_tax(digits: &[u32]) -> bool {
    if digits.len() != 11 || digits[0] == 0 {
        return false;
    }
    let mut counts = [0; 10];
    for digit in &digits[..10] {
        counts[*digit as usize % 10] += 1;
    }
    let more: Vec<i32> = counts.into_iter().filter(|n| *n > 1).collect();
    matches!(more[..], [2 | 3]) && mod_11_10(digits)
}

/// A Brazilian CPF: two check digits.
pub(super) fn cpf(digits: &[u32]) -> bool {
    const WEIGHTS: [u32; 10] = [11, 10, 9, 8, 7, 6, 5, 4, 3, 2];
    if digits.len() != 11 || digits.iter().all(|d| *d == digits[0]) {
        return false;
    }
    let check = |digits: &[u32], weights: &[u32]| weighted(digits, weights) * 10 % 11 % 10;
    check(&digits[..9], &WEIGHTS[1..]) == digits[9] && check(&digits[..10], &WEIGHTS) == digits[10]
}

/// A French NIR of fifteen characters, where departments 2A and 2B count as 19 and 18.
pub(super) fn nir(text: &str) -> bool {
    let digits = digits(&text.replace("2A", "19").replace("2B", "18"));
    if text.len() != 15 || digits.len() != 15 {
        return false;
    }
    let rest = digits[..13].iter().fold(0, |rest, d| (rest * 10 + d) % 97);
    97 - rest == number(&digits[13..])
}

/// A Spanish DNI or NIE: a letter for the remainder by 23.
pub(super) fn dni(text: &str) -> bool {
    const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let plain = match text.as_bytes().first() {
        Some(b'X') => text.replacen('X', "0", 1),
        Some(b'Y') => text.replacen('Y', "1", 1),
        Some(b'Z') => text.replacen('Z', "2", 1),
        _ => text.to_owned(),
    };
    let digits = digits(&plain);
    let last = plain.bytes().next_back();
    plain.len() == 9
        && digits.len() == 8
        && last == LETTERS.get(number(&digits) as usize % 23).copied()
}

/// An Italian codice fiscale of sixteen letters and digits.
pub(super) fn codice_fiscale(text: &str) -> bool {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    let value = |byte: &u8| match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        _ => u32::from(byte.saturating_sub(b'A')) % 26,
    };
    let bytes = text.as_bytes();
    let Some((check, front)) = bytes.split_last() else {
        return false;
    };
    let sum: u32 = front
        .iter()
        .enumerate()
        .map(|(i, byte)| match i % 2 {
            0 => ODD[value(byte) as usize],
            _ => value(byte),
        })
        .sum();
    bytes.len() == 16 && check.is_ascii_uppercase() && sum % 26 == value(check)
}

/// An identity number of Hong Kong: one or two letters, six digits, and a check digit that may be A.
pub(super) fn hong_kong(text: &str) -> bool {
    let values: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(36)).collect();
    let Some(mut values) = values else {
        return false;
    };
    if values.len() == 8 {
        // A missing letter counts as 36.
        values.insert(0, 36);
    }
    values.len() == 9 && weighted(&values, &[9, 8, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

/// An identity number of Taiwan: a letter, which stands for two digits, and nine digits.
pub(super) fn taiwan(text: &str) -> bool {
    // From 10 on, in the order in which the letters were given to districts.
    const LETTERS: &str = "ABCDEFGHJKLMNPQRSTUVXYWZIO";
    let digits = digits(text);
    let place = text.chars().next().and_then(|c| LETTERS.find(c));
    let Some(place) = place.and_then(|place| u32::try_from(place).ok()) else {
        return false;
    };
    let letter = (place + 10) / 10 + (place + 10) % 10 * 9;
    text.len() == 10
        && digits.len() == 9
        && (letter + weighted(&digits, &[8, 7, 6, 5, 4, 3, 2, 1, 1])).is_multiple_of(10)
}

/// An identity number of Singapore, of citizens (S, T) and others (F, G).
pub(super) fn singapore(text: &str) -> bool {
    const CITIZENS: &[u8; 11] = b"JZIHGFEDCBA";
    const OTHERS: &[u8; 11] = b"XWUTRQPNMLK";
    let digits = digits(text);
    let (letters, more) = match text.as_bytes().first() {
        Some(b'S') => (CITIZENS, 0),
        Some(b'T') => (CITIZENS, 4),
        Some(b'F') => (OTHERS, 0),
        Some(b'G') => (OTHERS, 4),
        _ => return false,
    };
    let rest = (weighted(&digits, &[2, 7, 6, 5, 4, 3, 2]) + more) % 11;
    text.len() == 9 && digits.len() == 7 && text.bytes().next_back() == Some(letters[rest as usize])
}

/// A resident registration number of Korea.
pub(super) fn korean(digits: &[u32]) -> bool {
    const WEIGHTS: [u32; 12] = [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5];
    let dated = |d: &[u32]| is_date(2000, number(&d[2..4]), number(&d[4..6]));
    digits.len() == 13
        && dated(digits)
        && (11 - weighted(&digits[..12], &WEIGHTS) % 11) % 10 == digits[12]
}

/// A Polish PESEL.
pub(super) fn pesel(digits: &[u32]) -> bool {
    const WEIGHTS: [u32; 11] = [1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1];
    digits.len() == 11 && weighted(digits, &WEIGHTS).is_multiple_of(10)
}

/// A Dutch burgerservicenummer: the last digit has the weight -1, which is 10 here.
pub(super) fn bsn(digits: &[u32]) -> bool {
    const WEIGHTS: [u32; 9] = [9, 8, 7, 6, 5, 4, 3, 2, 10];
    digits.len() == 9 && number(digits) > 0 && weighted(digits, &WEIGHTS).is_multiple_of(11)
}

/// A number of Britain's National Health Service.
pub(super) fn nhs(digits: &[u32]) -> bool {
    const WEIGHTS: [u32; 10] = [10, 9, 8, 7, 6, 5, 4, 3, 2, 1];
    digits.len() == 10 && number(digits) > 0 && weighted(digits, &WEIGHTS).is_multiple_of(11)
}

#[cfg(test)]
mod tests;
