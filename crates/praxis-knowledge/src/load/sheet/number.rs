//! Numbers as a spreadsheet shows them: decimals, thousands, percent and currency of a number format.
//! Left out: fractions, colours, conditions and padding, which change no digit that matters. Dates come
//! as ISO 8601, which a search finds whatever the format was.

/// A number in a format; the general one where the format is none that is understood.
pub(super) fn show(value: f64, format: &str) -> String {
    let Some(pattern) = Pattern::parse(format).filter(|_| value.is_finite()) else {
        return general(value);
    };
    let scaled = if pattern.percent {
        value * 100.0
    } else {
        value
    };
    let digits = format!("{:.*}", pattern.decimals, scaled.abs());
    let zero = digits.bytes().all(|b| matches!(b, b'0' | b'.'));
    let (whole, part) = digits.split_once('.').unwrap_or((&digits, ""));
    let part = match part.char_indices().rfind(|(_, c)| *c != '0') {
        Some((at, _)) => &part[..part.len().min(pattern.needed.max(at + 1))],
        None => &part[..part.len().min(pattern.needed)],
    };
    let mut text = String::new();
    if scaled < 0.0 && !zero {
        text.push('-');
    }
    text.push_str(&pattern.before);
    for (i, digit) in whole.char_indices() {
        if pattern.thousands && i > 0 && (whole.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if !part.is_empty() {
        text.push('.');
        text.push_str(part);
    }
    text.push_str(&pattern.after);
    text
}

/// A number with the 15 digits that spreadsheets keep, and no more than it needs.
pub(super) fn general(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let rounded = format!("{value:.14e}").parse().unwrap_or(value);
    if (1e-6..1e16).contains(&rounded.abs()) {
        format!("{rounded}")
    } else {
        format!("{rounded:E}")
    }
}

/// Whether a format shows a date or a time, and whether it shows each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Moment {
    /// Year, month or day are shown.
    pub date: bool,
    /// Hours, minutes or seconds are.
    pub time: bool,
}

/// Whether a format is one of dates and times.
pub(super) fn moment(format: &str) -> Option<Moment> {
    let (date, time) = bare(format)
        .chars()
        .fold((false, false), |(date, time), c| match c {
            'y' | 'Y' | 'd' | 'D' => (true, time),
            'h' | 'H' | 's' | 'S' => (date, true),
            _ => (date, time),
        });
    let lone_month = !date && !time && bare(format).contains(['m', 'M']);
    (date || time || lone_month).then_some(Moment {
        date: date || lone_month,
        time,
    })
}

/// A count of days since 1900 (or 1904) as a date, a time or both, as the format shows it.
pub(super) fn date(value: f64, moment: Moment, from_1904: bool) -> Option<String> {
    if !(0.0..2_958_466.0).contains(&value) {
        return None;
    }
    let seconds = (value.fract() * 86_400.0).round();
    let mut days = value.trunc();
    let mut seconds = seconds as u32;
    if seconds == 86_400 {
        (days, seconds) = (days + 1.0, 0);
    }
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let clock = match second {
        0 => format!("{hour:02}:{minute:02}"),
        _ => format!("{hour:02}:{minute:02}:{second:02}"),
    };
    // A format with a date is shown with the date even where the count has a time: and a count below
    // one day is a time.
    if !moment.date || days == 0.0 && moment.time {
        let hours = days as u64 * 24 + u64::from(hour);
        return Some(format!("{hours:02}{}", &clock[2..]));
    }
    let days = days as i64;
    // Day 60 of 1900 is the 29th of February, which there was not.
    let since_1970 = match (from_1904, days) {
        (true, _) => days - 24_107,
        (false, ..60) => days - 25_568,
        (false, _) => days - 25_569,
    };
    let (year, month, day) = civil(since_1970);
    let date = format!("{year:04}-{month:02}-{day:02}");
    Some(if moment.time {
        format!("{date} {clock}")
    } else {
        date
    })
}

/// Year, month and day of a count of days since 1970, by Howard Hinnant's algorithm.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12 + 1;
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// The part of a format that numbers above zero use, without quoted text, escapes and conditions.
fn bare(format: &str) -> String {
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        match c {
            ';' => break,
            '"' => drop(chars.by_ref().find(|c| *c == '"')),
            '\\' | '_' | '*' => drop(chars.next()),
            '[' => {
                let inside: String = chars.by_ref().take_while(|c| *c != ']').collect();
                // `[h]` counts hours; all else in brackets is a colour, a currency or a condition.
                if matches!(
                    inside.to_ascii_lowercase().as_str(),
                    "h" | "hh" | "m" | "mm" | "s" | "ss"
                ) {
                    out.push('h');
                }
            }
            c => out.push(c),
        }
    }
    // `General` and `Standard` have letters of dates in them.
    if out.trim().eq_ignore_ascii_case("general") || out.trim().eq_ignore_ascii_case("standard") {
        out.clear();
    }
    out
}

/// What a number format does to digits.
#[derive(Debug, Default, PartialEq)]
struct Pattern {
    before: String,
    after: String,
    /// Decimals at most, and at least.
    decimals: usize,
    needed: usize,
    thousands: bool,
    percent: bool,
}

impl Pattern {
    fn parse(format: &str) -> Option<Self> {
        let mut pattern = Self::default();
        let (mut digits, mut point, mut general) = (false, false, String::new());
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            let mut literal = |text: &str| {
                let side = if digits {
                    &mut pattern.after
                } else {
                    &mut pattern.before
                };
                side.push_str(text);
            };
            match c {
                ';' => break,
                '"' => literal(&chars.by_ref().take_while(|c| *c != '"').collect::<String>()),
                '\\' => literal(&chars.next().map(String::from).unwrap_or_default()),
                '_' | '*' => drop(chars.next()),
                '[' => {
                    let inside: String = chars.by_ref().take_while(|c| *c != ']').collect();
                    // `[$€-407]` is a currency and its country.
                    if let Some(currency) = inside.strip_prefix('$') {
                        literal(currency.split('-').next().unwrap_or_default());
                    }
                }
                '0' | '#' | '?' if point => {
                    digits = true;
                    pattern.decimals += 1;
                    if c == '0' {
                        pattern.needed = pattern.decimals;
                    }
                }
                '0' | '#' | '?' => digits = true,
                '.' => point = true,
                ',' => pattern.thousands |= digits && !point,
                '%' => {
                    pattern.percent = true;
                    literal("%");
                }
                'E' | 'e' | '/' | '@' => return None,
                c if c.is_alphabetic() => general.push(c),
                c => literal(&c.to_string()),
            }
        }
        // More decimals than a number has are the format of a file that means harm.
        (digits && general.is_empty() && pattern.decimals <= 15).then_some(pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_in_the_cell() {
        for (value, format, expected) in [
            (1234.5, "General", "1234.5"),
            (0.1 + 0.2, "", "0.3"),
            (1e21, "General", "1E21"),
            (-42.0, "General", "-42"),
            (0.256, "0%", "26%"),
            (0.256, "0.00%", "25.60%"),
            (1234567.891, "#,##0.00", "1,234,567.89"),
            (1234567.0, "#,##0", "1,234,567"),
            (1.5, "0.0##", "1.5"),
            (-3.0, "\"$\"#,##0.00_);[Red]\\(\"$\"#,##0.00\\)", "-$3.00"),
            (9.9, "#,##0.00\\ [$€-407]", "9.90 €"),
            (12.0, "0\" kg\"", "12 kg"),
            (0.5, "# ?/?", "0.5"),
            (1234.0, "0.00E+00", "1234"),
            (-0.001, "0.00", "0.00"),
        ] {
            assert_eq!(show(value, format), expected, "{value} as {format}");
        }
    }

    #[test]
    fn days_are_shown_as_dates_and_times() {
        for (value, format, expected) in [
            (45_356.0, "yyyy\\-mm\\-dd", "2024-03-05"),
            (45_356.604_166_666_7, "d.m.yyyy h:mm", "2024-03-05 14:30"),
            (45_356.604_166_666_7, "m/d/yy", "2024-03-05"),
            (0.75, "h:mm", "18:00"),
            (1.5, "[h]:mm:ss", "36:00"),
            (1.0, "d", "1900-01-01"),
            (59.0, "d", "1900-02-28"),
            (61.0, "d", "1900-03-01"),
            (45_356.999_999_9, "d h:m", "2024-03-06 00:00"),
            (45_356.0, "mmmm", "2024-03-05"),
        ] {
            let moment = moment(format).unwrap();
            assert_eq!(
                date(value, moment, false).unwrap(),
                expected,
                "{value} as {format}"
            );
        }
        assert_eq!(
            date(43_894.0, moment("d").unwrap(), true).unwrap(),
            "2024-03-05"
        );
        assert_eq!(date(1e300, moment("d").unwrap(), true), None);
        for format in ["General", "0.00", "#,##0\" days\"", "[Red]0", "\\d0", "@"] {
            assert_eq!(moment(format), None, "{format}");
        }
    }
}
