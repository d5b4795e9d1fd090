//! The words of questions and identifiers, so that they can be compared: `customerID`, `customer_id` and "customers"
//! have one in common, and Chinese, which has no spaces, is compared by pairs of characters.
//!
//! Left out: what words mean, which is the embedder's (`vectors`).

use frostem::{Algorithm, Stemmer};
use praxis_core::language::is_han;

/// The most words of a question that are looked up in the database.
pub(crate) const MOST_CANDIDATES: usize = 40;

/// The longest text that is cut into words, in characters.
const LONGEST: usize = 2_000;

/// English words that say nothing of the data.
const STOP: &[&str] = &[
    "a", "all", "an", "and", "are", "as", "at", "be", "been", "by", "did", "do", "does", "each",
    "every", "for", "from", "give", "had", "has", "have", "how", "i", "in", "is", "it", "its",
    "list", "many", "me", "more", "most", "much", "name", "names", "of", "on", "or", "per", "show",
    "tell", "than", "that", "the", "their", "them", "there", "they", "this", "those", "to", "was",
    "were", "what", "when", "where", "which", "who", "whose", "with",
];

/// Chinese words that cut a question into what may be values.
const CUTS: &[&str] = &[
    "多少", "哪些", "哪个", "哪位", "哪家", "什么", "列出", "所有", "每个", "每位", "每种", "分别",
    "一共", "总共", "请问", "至少", "最多", "最少", "最高", "最低", "平均", "超过", "以上", "以下",
    "之间", "没有", "以及", "的", "了", "在", "是", "有", "和", "与", "按", "中", "里", "从", "到",
    "给", "被", "把", "为", "于", "年", "月", "日", "名", "位", "个", "家", "种", "张",
];

/// The words of a text or an identifier in a form in which forms of one word are equal. Each is there once.
pub(crate) fn terms(text: &str) -> Vec<String> {
    let stemmer = Stemmer::new(Algorithm::English);
    let mut all: Vec<String> = Vec::new();
    let mut add = |term: String| {
        if !term.is_empty() && !all.contains(&term) {
            all.push(term);
        }
    };
    for piece in pieces(text) {
        let han: Vec<char> = piece.chars().filter(|c| is_han(*c)).collect();
        if han.is_empty() {
            let lower = piece.to_lowercase();
            add(stemmer.stem(&lower).into_owned());
        } else if han.len() == 1 {
            add(han.iter().collect());
        } else {
            for pair in han.windows(2) {
                add(pair.iter().collect());
            }
        }
    }
    all
}

/// The words of a question that say something of the data, as [`terms`].
pub(crate) fn content(question: &str) -> Vec<String> {
    let kept: Vec<&str> = pieces(question)
        .into_iter()
        .filter(|piece| STOP.binary_search(&piece.to_lowercase().as_str()).is_err())
        .collect();
    terms(&kept.join(" "))
}

/// An identifier as words with spaces between: `unitPrice` is `unit price`.
pub(crate) fn spoken(name: &str) -> String {
    pieces(name).join(" ").to_lowercase()
}

/// Whether a question names a value: all of it, or, of a name in Latin letters that the question writes as a name or
/// in quotes, most of it (`Microcorp` for "Microcorp Inc."). A word of the question that a value only happens to have
/// as well (`yet` in "Nothing Yet Ltd") does not name it.
pub(crate) fn names_value(question: &str, value: &str) -> bool {
    let (question, value) = (question.to_lowercase(), value.trim().to_lowercase());
    if value.chars().count() < 2 {
        return false;
    }
    let is_whole = |part: &str| {
        question.match_indices(part).any(|(at, _)| {
            let before = question[..at].chars().next_back();
            let after = question[at + part.len()..].chars().next();
            // A plural is as good.
            let after = after.filter(|c| *c != 's');
            let goes_on = |edge: Option<char>, next: Option<char>| {
                let is_word = |c: char| c.is_alphanumeric() && !is_han(c);
                edge.is_some_and(is_word) && next.is_some_and(is_word)
            };
            !goes_on(part.chars().next(), before) && !goes_on(part.chars().next_back(), after)
        })
    };
    if is_whole(&value) {
        return true;
    }
    if value.chars().any(is_han) {
        return false;
    }
    let words: Vec<&str> = value.split_whitespace().collect();
    let begins = (1..words.len()).rev().map(|count| words[..count].join(" "));
    begins
        .take_while(|part| 5 * part.chars().count() >= 3 * value.chars().count())
        .any(|part| is_whole(&part))
}

/// Texts of the question that may be values of the database, the likeliest first.
pub(crate) fn candidates(question: &str) -> Vec<String> {
    let question: String = question.chars().take(LONGEST).collect();
    let mut all: Vec<String> = Vec::new();
    let mut add = |text: &str| {
        let text = text.trim();
        let is_known = all.iter().any(|known| known.eq_ignore_ascii_case(text));
        if text.chars().count() >= 2 && !is_known && all.len() < MOST_CANDIDATES {
            all.push(text.to_owned());
        }
    };
    for text in quoted(&question) {
        add(&text);
    }
    for name in names(&question) {
        add(&name);
    }
    for word in question.split(|c: char| {
        is_han(c) || !(c.is_alphanumeric() || matches!(c, '-' | '\'' | '.' | '@' | '&'))
    }) {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        let is_short = word.chars().count() < 3 && word != word.to_uppercase();
        if !is_short && STOP.binary_search(&word.to_lowercase().as_str()).is_err() {
            add(word);
        }
    }
    for run in question.split(|c: char| !is_han(c)) {
        let mut parts = vec![run.to_owned()];
        for cut in CUTS {
            parts = parts
                .iter()
                .flat_map(|part| part.split(cut))
                .map(str::to_owned)
                .collect();
        }
        for part in &parts {
            let chars: Vec<char> = part.chars().collect();
            add(part);
            for width in [4, 3, 2] {
                for window in chars.windows(width) {
                    add(&window.iter().collect::<String>());
                }
            }
        }
    }
    all
}

/// Runs of letters and digits, cut where an identifier's words change: at `_`, between `a` and `B`, between letters
/// and digits, between scripts.
fn pieces(text: &str) -> Vec<&str> {
    #[derive(PartialEq, Clone, Copy)]
    enum Kind {
        Lower,
        Upper,
        Digit,
        Han,
        None,
    }
    let kind = |c: char| match c {
        c if is_han(c) => Kind::Han,
        c if c.is_numeric() => Kind::Digit,
        c if c.is_uppercase() => Kind::Upper,
        c if c.is_alphabetic() => Kind::Lower,
        _ => Kind::None,
    };
    let chars: Vec<(usize, char)> = text.char_indices().take(LONGEST).collect();
    let mut all = Vec::new();
    let mut start: Option<usize> = None;
    for (i, (at, c)) in chars.iter().enumerate() {
        let this = kind(*c);
        let before = i.checked_sub(1).map_or(Kind::None, |j| kind(chars[j].1));
        let after = chars.get(i + 1).map_or(Kind::None, |(_, c)| kind(*c));
        let changes = match (before, this) {
            (Kind::Upper, Kind::Lower) => false,
            // `HTTPServer` is cut before the `S`.
            (Kind::Upper, Kind::Upper) => after == Kind::Lower,
            (a, b) => a != b,
        };
        if changes {
            if let Some(from) = start.take() {
                all.push(&text[from..*at]);
            }
            if this != Kind::None {
                start = Some(*at);
            }
        }
    }
    if let Some(from) = start {
        let end = chars.last().map_or(text.len(), |(at, c)| at + c.len_utf8());
        all.push(&text[from..end]);
    }
    all
}

/// Texts between quotes.
fn quoted(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (open, close) in [
        ('"', '"'),
        ('\u{201c}', '\u{201d}'),
        ('「', '」'),
        ('《', '》'),
        ('`', '`'),
    ] {
        let mut rest = text;
        while let Some((_, after)) = rest.split_once(open) {
            let Some((inside, behind)) = after.split_once(close) else {
                break;
            };
            all.push(inside.to_owned());
            rest = behind;
        }
    }
    // An apostrophe is a quote only where a word does not go on around it.
    let mut parts = text.split(|c: char| c.is_whitespace() || c == ',' || c == '?');
    let mut open: Option<String> = None;
    for part in &mut parts {
        match &mut open {
            None => {
                if let Some(rest) = part.strip_prefix('\'') {
                    match rest.strip_suffix('\'') {
                        Some(inside) => all.push(inside.to_owned()),
                        None => open = Some(rest.to_owned()),
                    }
                }
            }
            Some(words) => {
                words.push(' ');
                words.push_str(part.trim_end_matches('\''));
                if part.ends_with('\'') {
                    all.extend(open.take());
                }
            }
        }
    }
    all
}

/// Words that begin with a capital, alone and with those beside them: `Rolling Stones`, `New York`.
fn names(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut run: Vec<&str> = Vec::new();
    let mut end = |run: &mut Vec<&str>| {
        if run.len() > 1 {
            all.push(run.join(" "));
        }
        run.clear();
    };
    for word in text.split_whitespace() {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let is_name = bare
            .chars()
            .next()
            .is_some_and(|c| c.is_uppercase() || c.is_ascii_digit());
        if !is_name || bare.chars().any(is_han) {
            end(&mut run);
            continue;
        }
        // The first word of a sentence has a capital anyway.
        if !(run.is_empty() && STOP.binary_search(&bare.to_lowercase().as_str()).is_ok()) {
            run.push(bare);
        }
        if word.ends_with([',', '.', '?', ';', ':']) {
            end(&mut run);
        }
    }
    end(&mut run);
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn identifiers_and_words_have_their_parts_in_common() {
        for (text, wanted) in [
            ("customer_id", vec!["custom", "id"]),
            ("customerID", vec!["custom", "id"]),
            ("Customers", vec!["custom"]),
            ("HTTPServer2", vec!["http", "server", "2"]),
            ("客户姓名", vec!["客户", "户姓", "姓名"]),
            ("客", vec!["客"]),
            ("order 订单", vec!["order", "订单"]),
            ("__", vec![]),
        ] {
            assert_eq!(terms(text), wanted, "{text}");
        }
        assert_eq!(spoken("unitPrice_USD"), "unit price usd");
        assert_eq!(content("How many customers are there?"), ["custom"]);
        assert!(STOP.is_sorted());
    }

    #[test]
    fn values_are_looked_for_in_quotes_names_and_fragments() {
        for (question, wanted) in [
            ("Which tracks are by \"Led Zeppelin\"?", "Led Zeppelin"),
            ("How many customers live in New York?", "New York"),
            (
                "Orders of 'Alfreds Futterkiste' in 1997",
                "Alfreds Futterkiste",
            ),
            ("Albums of The Rolling Stones, please", "Rolling Stones"),
            ("list rock tracks", "rock"),
            ("摇滚流派有多少首歌？", "摇滚"),
            ("《十年》这首歌有多长", "十年"),
            ("北京市的供应商", "北京市"),
            ("结论为异常的MRI检查报告", "MRI"),
        ] {
            let found = candidates(question);
            assert!(found.iter().any(|c| c == wanted), "{question}: {found:?}");
        }
        assert!(candidates(&"很长的问题没有空格".repeat(300)).len() <= MOST_CANDIDATES);
        assert_eq!(candidates("?"), Vec::<String>::new());
    }

    #[test]
    fn a_value_is_named_whole_or_by_most_of_its_name() {
        for (question, value, named) in [
            ("How many customers live in New York?", "New York", true),
            ("Orders of microcorp", "Microcorp", true),
            ("Orders of Microcorp", "Microcorp Inc.", true),
            ("Which tracks are Rock?", "rock", true),
            ("How many CTs were made?", "CT", true),
            ("What does the doctor say?", "CT", false),
            ("Orders that are not shipped yet", "Nothing Yet Ltd", false),
            ("Which rockets flew?", "Rock", false),
            ("Who lives in New Orleans?", "New York", false),
            ("结论为异常的MRI检查报告", "MRI", true),
            ("糖尿病套餐包含哪些检验项目？", "糖尿病套餐", true),
            ("糖尿病套餐包含哪些检验项目？", "2型糖尿病", false),
            ("检验项目的平均价格是多少？", "检验费", false),
            ("a", "a", false),
        ] {
            assert_eq!(names_value(question, value), named, "{question} {value}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}", other in "\\PC{0,20}") {
            let _ = (terms(&text), content(&text), spoken(&text), candidates(&text));
            let _ = names_value(&text, &other);
        }
    }
}
