//! A question cut into words, and what single words are: their stems, contractions and numerals.

use praxis_core::language::is_han;

/// Behind these, `'s` is `is`.
const BEFORE_IS: [&str; 12] = [
    "what", "who", "where", "when", "how", "why", "it", "that", "there", "here", "he", "she",
];

/// Numbers in English words; `one` is too often none.
const NUMBERS: [(&str, u64); 30] = [
    ("zero", 0),
    ("two", 2),
    ("three", 3),
    ("four", 4),
    ("five", 5),
    ("six", 6),
    ("seven", 7),
    ("eight", 8),
    ("nine", 9),
    ("ten", 10),
    ("eleven", 11),
    ("twelve", 12),
    ("thirteen", 13),
    ("fourteen", 14),
    ("fifteen", 15),
    ("sixteen", 16),
    ("seventeen", 17),
    ("eighteen", 18),
    ("nineteen", 19),
    ("twenty", 20),
    ("thirty", 30),
    ("forty", 40),
    ("fifty", 50),
    ("sixty", 60),
    ("seventy", 70),
    ("eighty", 80),
    ("ninety", 90),
    ("hundred", 100),
    ("thousand", 1000),
    ("million", 1_000_000),
];

/// A part of a question.
#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    /// Letters and digits, in lower case.
    Word(String),
    /// Chinese characters that stand together.
    Han(Vec<char>),
    /// What stands in quotation marks.
    Quoted(String),
}

/// In lower case, with full-width letters, digits and marks in the usual width.
fn folded(text: &str) -> Vec<char> {
    let narrow = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '’' => '\'',
        '〇' => '零',
        other => other,
    };
    text.chars()
        .map(narrow)
        .flat_map(char::to_lowercase)
        .collect()
}

/// The mark that closes a quotation.
fn closing(mark: char) -> Option<char> {
    Some(match mark {
        '"' => '"',
        '“' => '”',
        '「' => '」',
        '『' => '』',
        '《' => '》',
        _ => return None,
    })
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() && !is_han(c)
}

pub(super) fn pieces(question: &str) -> Vec<Piece> {
    let chars = folded(question);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let rest = &chars[at + 1..];
        let quoted = closing(c).and_then(|mark| rest.iter().position(|r| *r == mark));
        if let Some(length) = quoted {
            let text: String = rest[..length].iter().collect();
            found.push(Piece::Quoted(text.trim().to_owned()));
            at += length + 2;
        } else if is_han(c) {
            let length = rest.iter().take_while(|r| is_han(**r)).count() + 1;
            found.push(Piece::Han(chars[at..at + length].to_vec()));
            at += length;
        } else if in_word(c) {
            let end = end_of_word(&chars, at);
            found.push(Piece::Word(chars[at..end].iter().collect()));
            at = end;
        } else {
            at += 1;
        }
    }
    found
}

/// Where the word ends that begins at a place: a mark inside of one belongs to it, as in `node.js`, `10,000` and `15%`.
fn end_of_word(chars: &[char], start: usize) -> usize {
    let is_letter = |at: usize| chars.get(at).is_some_and(|c| in_word(*c));
    let is_digit = |at: usize| chars.get(at).is_some_and(char::is_ascii_digit);
    let mut end = start + 1;
    while let Some(&c) = chars.get(end) {
        let joins = match c {
            '.' | '@' | '_' | '\'' | '/' | '#' | '+' | '&' => is_letter(end + 1),
            ',' | ':' => is_digit(end - 1) && is_digit(end + 1),
            _ => in_word(c),
        };
        if !joins {
            break;
        }
        end += 1;
    }
    while matches!(chars.get(end), Some('+' | '#' | '%')) {
        end += 1;
    }
    end
}

/// A word without the ending of its plural and of its form with `-ing`. Only compared, never shown.
pub(super) fn stem(word: &str) -> String {
    if !word.bytes().all(|b| b.is_ascii_alphabetic()) {
        return word.to_owned();
    }
    let mut stem = word.to_owned();
    let long = word.len() > 4;
    if long
        && ["ies", "sses", "xes", "ches", "shes", "zes"]
            .iter()
            .any(|ending| word.ends_with(ending))
    {
        stem.truncate(word.len() - 2);
    } else if word.len() > 3
        && word.ends_with('s')
        && !["ss", "us", "is"].iter().any(|e| word.ends_with(e))
    {
        stem.truncate(word.len() - 1);
    }
    if let Some(base) = stem.strip_suffix("ing")
        && base.len() >= 3
        && base.contains(['a', 'e', 'i', 'o', 'u', 'y'])
    {
        let mut letters = base.bytes().rev();
        let doubled = letters.next().filter(|last| Some(*last) == letters.next());
        let is_of_the_stem = |letter: u8| matches!(letter, b'l' | b's' | b'z');
        let length = match doubled {
            Some(letter) if !is_of_the_stem(letter) => base.len() - 1,
            _ => base.len(),
        };
        stem.truncate(length);
    }
    if stem.len() > 3 && stem.ends_with('e') {
        stem.pop();
    } else if stem.len() > 3 && stem.ends_with('y') {
        stem.pop();
        stem.push('i');
    }
    stem
}

/// The words that a contraction is made of.
pub(super) fn spelled(word: &str) -> Vec<&str> {
    if word == "cannot" {
        return vec!["can", "not"];
    }
    let Some((base, ending)) = word.split_once('\'') else {
        return vec![word];
    };
    match ending {
        "t" => {
            let verb = match base {
                "can" => "can",
                "won" => "will",
                "shan" => "shall",
                _ => base.strip_suffix('n').unwrap_or(base),
            };
            vec![verb, "not"]
        }
        "s" if BEFORE_IS.contains(&base) => vec![base, "is"],
        // Whose it is.
        "s" => vec![base],
        "re" => vec![base, "are"],
        "ve" => vec![base, "have"],
        "ll" => vec![base, "will"],
        "d" => vec![base, "would"],
        "m" => vec![base, "am"],
        _ => vec![word],
    }
}

/// The value of a digit or of a unit in Chinese, and whether it is a unit.
pub(super) fn numeral(c: char) -> Option<(u64, bool)> {
    Some(match c {
        '零' => (0, false),
        '一' => (1, false),
        '二' | '两' => (2, false),
        '三' => (3, false),
        '四' => (4, false),
        '五' => (5, false),
        '六' => (6, false),
        '七' => (7, false),
        '八' => (8, false),
        '九' => (9, false),
        '十' => (10, true),
        '百' => (100, true),
        '千' => (1000, true),
        '万' => (10_000, true),
        '亿' => (100_000_000, true),
        _ => return None,
    })
}

/// The number that a numeral in Chinese says: 十五 is 15, 三千五百 is 3500, 二〇二四 is 2024.
pub(super) fn value(numerals: &[char]) -> u64 {
    let (mut whole, mut part, mut digits) = (0u64, 0u64, None::<u64>);
    for (value, is_unit) in numerals.iter().filter_map(|c| numeral(*c)) {
        match (is_unit, value) {
            (false, digit) => {
                digits = Some(digits.unwrap_or(0).saturating_mul(10).saturating_add(digit));
            }
            (true, unit) if unit < 10_000 => {
                let counted = digits.take().unwrap_or(1).max(1);
                part = part.saturating_add(counted.saturating_mul(unit));
            }
            (true, unit) => {
                part = part.saturating_add(digits.take().unwrap_or(0));
                whole = whole.saturating_add(part.max(1).saturating_mul(unit));
                part = 0;
            }
        }
    }
    whole
        .saturating_add(part)
        .saturating_add(digits.unwrap_or(0))
}

/// The number that an English word is.
pub(super) fn number(word: &str) -> Option<u64> {
    let found = NUMBERS.iter().find(|(name, _)| *name == word);
    found.map(|(_, number)| *number)
}
