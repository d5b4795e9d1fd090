//! What is one question and what is two, in English and Chinese.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

#[test]
fn the_lists_say_each_phrase_once() {
    let mut seen = HashSet::new();
    let lines = LISTS.lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (names, phrases) = line.split_once(':').unwrap_or_else(|| panic!("{line}"));
        assert!(!names.trim().is_empty(), "{line}");
        for phrase in phrases.split(',').map(str::trim) {
            assert!(!phrase.is_empty(), "{line}");
            let stems: Vec<String> = phrase.split_whitespace().map(stem).collect();
            assert!(
                seen.insert(stems.join(" ")),
                "`{phrase}` stands there twice"
            );
        }
    }
    assert!(seen.len() > 400, "{}", seen.len());
}

#[test]
fn other_words_for_the_same_are_the_same() {
    for (one, other) in [
        (
            "When does the library open on Saturday?",
            "At what time does the library open on Saturdays?",
        ),
        (
            "How many seats does the lecture hall have?",
            "What is the number of seats in the lecture hall?",
        ),
        (
            "Can I borrow more than ten magazines?",
            "Is it allowed to borrow over 10 magazines?",
        ),
        ("What's the price of a 3D print?", "How much is a 3D print?"),
        (
            "How do I sort a list in C++?",
            "What is the way to sort a list in C++?",
        ),
        (
            "How much does a litre of milk weigh?",
            "How heavy is a litre of milk?",
        ),
        ("Can I print in colour?", "Is colour printing possible?"),
        (
            "Hello, when do you close on Sunday?",
            "when do you shut on sunday",
        ),
        ("小说可以借多久？", "一本小说能借多长时间？"),
        ("图书馆周六几点开门？", "图书馆星期六什么时候开放？"),
        ("逾期两周要罚多少钱？", "逾期2个星期要罚多少钱"),
        ("怎么修改我的密码？", "我的密码要如何修改？"),
        ("你们收不收旧书？", "你们收旧书吗？"),
        ("Ｗｉ－Ｆｉ怎么连接？", "怎么连接wifi"),
        ("三月份放映哪些电影？", "3月有哪些电影放映？"),
    ] {
        let words = (Words::of(one), Words::of(other));
        assert!(same_words(one, other), "{one} | {other}: {words:?}");
        assert!(same_words(other, one), "{other} | {one}: {words:?}");
    }
}

#[test]
fn a_word_that_decides_makes_another_question() {
    for (one, other) in [
        // Numbers, with what they count.
        (
            "What is the fine for a book that is two weeks late?",
            "What is the fine for a book that is three weeks late?",
        ),
        (
            "Are 2 children and 3 adults too many?",
            "Are 2 adults and 3 children too many?",
        ),
        ("What does error E17 mean?", "What does error E18 mean?"),
        ("逾期两周要罚多少钱？", "逾期三周要罚多少钱？"),
        ("周一开门吗？", "周二开门吗？"),
        // Names, however they are written.
        (
            "What is the capital of france?",
            "What is the capital of spain?",
        ),
        (
            "How do I write \"thank you\" in Japanese?",
            "How do I write \"excuse me\" in Japanese?",
        ),
        ("《围城》的作者是谁？", "《边城》的作者是谁？"),
        // What is asked.
        (
            "When should I plant tulips?",
            "Where should I plant tulips?",
        ),
        ("Can I print in colour?", "How can I print in colour?"),
        ("Which rooms can I book?", "Which rooms are booked?"),
        ("二楼有多少台电脑？", "二楼的电脑在哪里？"),
        // Whether it is so, may be or must be.
        ("Can I renew my card?", "Can't I renew my card?"),
        ("May I bring my own food?", "Must I bring my own food?"),
        (
            "When was the library open on Monday?",
            "When is the library open on Monday?",
        ),
        ("When am I paid?", "When do I pay?"),
        ("谁可以使用打印机？", "谁不可以使用打印机？"),
        ("预约图书可以付钱吗？", "预约图书需要付钱吗？"),
        ("拆封的商品能退吗？", "未拆封的商品能退吗？"),
        ("这里有无线网吗？", "这里没有网吗？"),
        // Opposites.
        (
            "Can I borrow books with a library card?",
            "Can I borrow books without a library card?",
        ),
        (
            "What should I eat before a marathon?",
            "What should I eat after a marathon?",
        ),
        (
            "What is the minimum age for the rooms?",
            "What is the maximum age for the rooms?",
        ),
        ("多少岁以下免费办证？", "多少岁以上免费办证？"),
        // Who does it to whom, and from where to where.
        (
            "How do I get from the main station to the library?",
            "How do I get from the library to the main station?",
        ),
        (
            "How do I convert miles to kilometres?",
            "How do I convert kilometres to miles?",
        ),
        (
            "Can a manager overrule a director?",
            "Can a director overrule a manager?",
        ),
        ("从火车站怎么去图书馆？", "从图书馆怎么去火车站？"),
        ("英里怎么换算成公里？", "公里怎么换算成英里？"),
        // Another language is another question, and nothing says nothing.
        ("图书馆几点开门？", "When does the library open?"),
        ("Why?", "Why?"),
        ("", ""),
    ] {
        let words = (Words::of(one), Words::of(other));
        assert!(!same_words(one, other), "{one} | {other}: {words:?}");
    }
}

#[test]
fn numerals_in_chinese_are_numbers() {
    for (text, number) in [
        ("零", 0),
        ("两", 2),
        ("十五", 15),
        ("二十", 20),
        ("三千五百", 3500),
        ("二零二四", 2024),
        ("三千五百万", 35_000_000),
        ("一亿三千万", 130_000_000),
    ] {
        let numerals: Vec<char> = text.chars().collect();
        assert_eq!(value(&numerals), number, "{text}");
    }
    // What no number is large enough for ends at the largest.
    assert!(value(&['九'; 40]) == u64::MAX);
}

#[test]
fn words_are_cut_at_their_marks() {
    let word = |text: &str| Piece::Word(text.to_owned());
    let quoted = |text: &str| Piece::Quoted(text.to_owned());
    for (text, expected) in [
        (
            "It's 10,000.5 or 15%!",
            vec![word("it's"), word("10,000.5"), word("or"), word("15%")],
        ),
        (
            "C++, node.js; a,b",
            vec![word("c++"), word("node.js"), word("a"), word("b")],
        ),
        (
            "ann@example.com 10:30",
            vec![word("ann@example.com"), word("10:30")],
        ),
        ("“ A b ”《书》", vec![quoted("a b"), quoted("书")]),
        (
            "an open “ mark",
            vec![word("an"), word("open"), word("mark")],
        ),
        (
            "用Python3写",
            vec![
                Piece::Han(vec!['用']),
                word("python3"),
                Piece::Han(vec!['写']),
            ],
        ),
    ] {
        assert_eq!(pieces(text), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_and_is_like_itself(text in "(\\PC{0,12}|不|没|从|from |to |一百万|=|\"|n't |15%| ){0,12}") {
        let words = Words::of(&text);
        prop_assert_eq!(&words, &Words::of(&text));
        prop_assert_eq!(words.says_something(), same_words(&text, &text));
    }

    #[test]
    fn what_does_not_count_changes_nothing(
        lights in prop::collection::vec(prop::sample::select(vec!["the", "a", "of", "please", "my", "in"]), 4),
    ) {
        let plain = "When does library open Saturday";
        let [a, b, c, d] = <[&str; 4]>::try_from(lights).unwrap();
        let full = format!("When does {a} {b} library open {c} {d} Saturday?");
        prop_assert!(same_words(plain, &full), "{}", full);
    }
}
