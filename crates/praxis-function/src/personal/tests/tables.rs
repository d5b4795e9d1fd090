//! Values of each kind in sentences, and what is taken for none.

use super::super::*;

/// What is found, with its text.
fn found(text: &str) -> Vec<(Kind, &str)> {
    let all = find(text, &Kinds::ALL);
    all.into_iter().map(|f| (f.kind, &text[f.range])).collect()
}

/// Letters and digits of a key that is none: whole ones would alarm whoever scans this file.
fn body(length: usize) -> String {
    "aB3dE5gH7jK9mN2pQ4sT6vW8yZ"
        .chars()
        .cycle()
        .take(length)
        .collect()
}

#[test]
fn values_are_found_in_english_and_chinese_sentences() {
    let numbers: &[(Kind, Surety, &[&str])] = &[
        (
            Kind::Email,
            Surety::Shape,
            &[
                "ann.lee+x@mail.example.com",
                "o'brien@example.co.uk",
                "zhang＠example．com",
                "zhang@例子.中国",
                "jürgen@müller.de",
            ],
        ),
        (
            Kind::Phone,
            Surety::Shape,
            &[
                "13800138000",
                "138-0013-8000",
                "138 0013 8000",
                "138.0013.8000",
                "+86 13800138000",
                "+86-138-0013-8000",
                "(+86) 13800138000",
                "0086 13800138000",
                "8613800138000",
                "１３８００１３８０００",
                "010-88888888",
                "010-88888888-8001",
                "(010) 88888888",
                "0755-82345678",
                "+86-10-8888-8888",
                "+49 30 901820",
                "+49 (0)30 901820",
                "+49.30.901820",
                "0049 30 901820",
                "+1 415 555 2671",
                "+1 (415) 555-2671",
                "+14155552671",
                "+44 20 7946 0958",
                "+33 6 12 34 56 78",
                "+852 2345 6789",
                "(415) 555-2671",
                "415-555-2671",
                "415.555.2671",
                "1-415-555-2671",
                "1.415.555.2671",
                "06 12 34 56 78",
                "020 7946 0958",
                "07700 900123",
                "0161 496 0000",
                "01632 960001",
                "0171/1234567",
                "030/901820",
                "0221/123456",
            ],
        ),
        (
            Kind::Card,
            Surety::Proven,
            &[
                "4111111111111111",
                "4111 1111 1111 1111",
                "4111-1111-1111-1111",
                "4111.1111.1111.1111",
                "378282246310005",
                "3782 822463 10005",
                "5555555555554444",
                "2223003122003222",
                "30569309025904",
                "6011111111111117",
                "3530111333300000",
                "6212345678901265",
                "６２１２３４５６７８９０１２６５",
            ],
        ),
        (
            Kind::ResidentId,
            Surety::Proven,
            &[
                "11010519491231002X",
                "11010519491231002x",
                "440524188001010014",
                "110105 19491231 002X",
                "１１０１０５１９４９１２３１００２Ｘ",
            ],
        ),
        (Kind::ResidentId, Surety::Shape, &["110105491231002"]),
        (
            Kind::Iban,
            Surety::Proven,
            &[
                "DE89370400440532013000",
                "DE89 3704 0044 0532 0130 00",
                "GB82 WEST 1234 5698 7654 32",
                "FR1420041010050500013M02606",
                "NO9386011117947",
                "de89370400440532013000",
            ],
        ),
        (Kind::Ssn, Surety::Shape, &["123-45-6789"]),
        (
            Kind::TaxId,
            Surety::Proven,
            &[
                "86 095 742 719",
                "86095742719",
                "36574261809",
                "390.533.447-05",
            ],
        ),
        (
            Kind::NationalId,
            Surety::Proven,
            &[
                "295109912611193",
                "2 95 10 99 126 111 93",
                "54362315K",
                "54362315-K",
                "X2482300W",
                "RCCMNL83S18D969H",
                "A123456(3)",
                "A123456（3）",
                "A123456789",
                "S1234567D",
                "F1234567N",
                "971013-9019902",
            ],
        ),
        (
            Kind::IpAddress,
            Surety::Shape,
            &[
                "93.184.216.34",
                "203.0.113.7",
                "2001:db8:85a3::8a2e:370:7334",
                "2606:4700:4700::1111",
            ],
        ),
        (
            Kind::MacAddress,
            Surety::Shape,
            &["00:1A:2b:3c:4D:5e", "00-1A-2B-3C-4D-5E"],
        ),
    ];
    for (kind, surety, values) in numbers {
        for value in *values {
            for frame in [
                "It is {}, I think.",
                "Note: {}",
                "({})",
                "我的是{}，谢谢。",
                "请记下{}！",
                "{}",
            ] {
                let text = frame.replace("{}", value);
                assert_eq!(found(&text), [(*kind, *value)], "{text}");
                assert_eq!(find(&text, &Kinds::ALL)[0].surety, *surety, "{text}");
            }
        }
    }
}

#[test]
fn keys_and_tokens_are_found_by_what_they_begin_with() {
    let key = |prefix: &str, length: usize| (Kind::ApiKey, format!("{prefix}{}", body(length)));
    let header = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
    let block = |label: &str| {
        let (begin, end) = (
            format!("-----BEGIN {label}-----"),
            format!("-----END {label}-----"),
        );
        format!("{begin}\n{}\n{}\n{end}", body(64), body(40))
    };
    for (kind, value) in [
        (Kind::ApiKey, format!("AKIA{}", body(16).to_uppercase())),
        key("ghp_", 36),
        key("github_pat_", 82),
        key("glpat-", 20),
        key("xoxb-", 40),
        key("sk_live_", 24),
        key("sk-proj-", 80),
        key("sk-", 48),
        key("sk-ant-api03-", 95),
        key("AIza", 35),
        key("hf_", 34),
        key("npm_", 36),
        key("pypi-AgEIcHlwaS5vcmc", 120),
        (
            Kind::ApiKey,
            format!("sk-praxis-{}", "0123456789abcdef".repeat(4)),
        ),
        (Kind::Jwt, format!("{header}.{}.{}", body(40), body(43))),
        (Kind::PrivateKey, block("PRIVATE KEY")),
        (Kind::PrivateKey, block("RSA PRIVATE KEY")),
        (Kind::PrivateKey, block("PGP PRIVATE KEY BLOCK")),
        (Kind::PrivateKey, block("PRIVATE KEY").replace('\n', "\\n")),
    ] {
        for frame in [
            "Use {} now.",
            "我的是{}，谢谢。",
            "x = \"{}\"",
            "Authorization: Bearer {}",
            "{}",
        ] {
            let text = frame.replace("{}", &value);
            assert_eq!(found(&text), [(kind, value.as_str())], "{text}");
        }
    }
    // A key without its last line goes as far as it looks like one.
    let cut = block("PRIVATE KEY").replace("\n-----END PRIVATE KEY-----", "");
    assert_eq!(
        found(&format!("{cut}\n。完")),
        [(Kind::PrivateKey, cut.as_str())]
    );
}

#[test]
fn words_before_them_tell_what_numbers_and_texts_are() {
    for (kind, text, value) in [
        (
            Kind::Passport,
            "My passport number is E12345678.",
            "E12345678",
        ),
        (Kind::Passport, "护照号码：E12345678。", "E12345678"),
        (Kind::Passport, "Reisepass C01X00T47", "C01X00T47"),
        (Kind::Ssn, "SSN 123456789", "123456789"),
        (
            Kind::Ssn,
            "social security number: 123 45 6789",
            "123 45 6789",
        ),
        (Kind::Phone, "phone: 4155552671", "4155552671"),
        (Kind::Phone, "Tel. 415 555 2671", "415 555 2671"),
        (Kind::Phone, "座机：88886666", "88886666"),
        (Kind::Phone, "电话号码是 8888 6666。", "8888 6666"),
        (Kind::Phone, "Fax: 0049309018200", "0049309018200"),
        (Kind::Phone, "订单联系电话13800138000", "13800138000"),
        (Kind::Phone, "phone number is 612 345 678", "612 345 678"),
        (Kind::Card, "my visa 4222222222222", "4222222222222"),
        (Kind::NationalId, "PESEL: 44051401359", "44051401359"),
        (Kind::NationalId, "BSN 111222333", "111222333"),
        (Kind::NationalId, "NHS number 943 476 5870", "943 476 5870"),
        (Kind::IpAddress, "The server 8.8.8.8 is slow", "8.8.8.8"),
        (Kind::Password, "password = \"Tr0ub4dor&3\"", "Tr0ub4dor&3"),
        (
            Kind::Password,
            "The password is hunter2hunter, see?",
            "hunter2hunter",
        ),
        (Kind::Password, "密码：Abc12345，请修改", "Abc12345"),
        (Kind::Password, "密码是Summer2024!", "Summer2024!"),
        (
            Kind::Password,
            "{\"password\": \"S3cr3t-pass\"}",
            "S3cr3t-pass",
        ),
        (
            Kind::Password,
            "{\\\"password\\\": \\\"S3cr3t-pass\\\"}",
            "S3cr3t-pass",
        ),
        (Kind::Password, "?password=Secret123&user=bob", "Secret123"),
        (Kind::Password, "DB_PASSWORD=x9K2mLq7", "x9K2mLq7"),
        (Kind::Password, "https://user:pass@example.com/x", "pass"),
        (Kind::Password, "redis://:s3cret@cache:6379", "s3cret"),
        (
            Kind::ApiKey,
            "secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfi",
            "wJalrXUtnFEMI/K7MDENG/bPxRfi",
        ),
        (
            Kind::ApiKey,
            "api_key: 9f8e7d6c5b4a39281706",
            "9f8e7d6c5b4a39281706",
        ),
        (Kind::ApiKey, "密钥：a8F3kQ9zLm2x", "a8F3kQ9zLm2x"),
    ] {
        assert_eq!(found(text), [(kind, value)], "{text}");
    }
}

#[test]
fn values_end_where_other_numbers_begin() {
    for (text, all) in [
        (
            "4111 1111 1111 1111 12/27",
            &[(Kind::Card, "4111 1111 1111 1111")][..],
        ),
        (
            "4111 1111 1111 1111 2024-01-05",
            &[(Kind::Card, "4111 1111 1111 1111")],
        ),
        (
            "+86 13800138000 20240115",
            &[(Kind::Phone, "+86 13800138000")],
        ),
        (
            "+1 415 555 2671 24 hours",
            &[(Kind::Phone, "+1 415 555 2671")],
        ),
        (
            "13800138000/13900139000",
            &[(Kind::Phone, "13800138000"), (Kind::Phone, "13900139000")],
        ),
        (
            "DE89 3704 0044 0532 0130 00 IS MINE",
            &[(Kind::Iban, "DE89 3704 0044 0532 0130 00")],
        ),
        (
            "mail a@example.com, 11010519491231002X, 4111111111111111",
            &[
                (Kind::Email, "a@example.com"),
                (Kind::ResidentId, "11010519491231002X"),
                (Kind::Card, "4111111111111111"),
            ],
        ),
    ] {
        assert_eq!(found(text), all, "{text}");
    }
}

#[test]
fn other_numbers_and_texts_are_left_alone() {
    for text in [
        "Order 13800138000 has shipped. Order number: 4111111111111111",
        "订单号13800138000已发货，运单号：15012345678",
        "ISBN 978-3-16-148410-0, ISBN 9787111547426, ISBN-10 7-111-54742-X, EAN 4006381333931",
        "Version 2.10.3, v1.2.3.4, 版本10.0.19045.3803, v415.555.2671, react@1.62.73.38",
        "2024-01-15, 15.01.2024, 1/15/2024, 2024年1月15日, 20240115, 2024.01.15",
        "10:20:30, 2024-01-15T10:20:30+08:00, 2024-01-15 10:20:30.123456",
        "550e8400-e29b-41d4-a716-446655440000, 12345678-1234-1234-1234-123456789012",
        "d41d8cd98f00b204e9800998ecf8427e, da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "$13,800,138.00, ¥13800138000, 13800138000元, 4111.11 EUR",
        "39.9042, 116.4074; +39.9042, -116.4074; +31.230416 +121.473701; 40.712776° N, 74.005974° W",
        "192.168.1.1, 10.0.0.1, 127.0.0.1, 172.16.3.4, 169.254.1.1, 0.0.0.0, ::1, fe80::1, fd00::1:2",
        "std::vec::Vec, a::b, dead::beef, 12:34:56, 1.2.3.4",
        "1,234,567 and 12 345 678 901 and 1.234.567.890, 2.345.678.901",
        "555-1234, 123-4567, 911, 10086, 95588, 400 300 2000, 100 200 3000",
        "1700000000, 1700000000000, 1700000000000000000, 123456789012345678",
        "0.4111111111111111 and 4111111111111111.5, 3.14159265358979323846, +3.14159265358979",
        "000-12-3456, 666-12-3456, 900-12-3456, 123-00-4567, 123-45-0000, 078-05-1120",
        "part no. 123-45-6789, job 20240115-1234567, 2024-0001-5678-9012",
        "110105194912310021, 990105194912310026, 4111 1111 1111 1112, 0000 0000 0000 0000",
        "4111.1111.1111.1112, 12345 4111 1111 1111 1111 5555 5555",
        "DE89 3704 0044 0532 0130 01, GB82WEST12345698765433",
        "@handle, a@b, user@localhost, icon@2x.png, lodash@4.17.21, git@example.com:a/b.git",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx, sk-ant-your-key-goes-right-here",
        "-----BEGIN PRIVATE KEY----- is how it begins, -----END PRIVATE KEY----- how it ends",
        "eyJhbGciOiJIUzI1NiJ9, eyJub3QiOiJqd3QifQ.eyJhIjoxfQ.c2lnbmF0dXJl",
        "password: ********, password = getPassword(), password=${SECRET}, secret: my-secret-name-2",
        "token: string, access token: expires2024, The password is required. The secret is out.",
        "密码是必填项，密码：请输入8位以上",
        "http://user@example.com/path, https://example.com:8080/a@b, https://u:$PASS@example.com",
        "https://example.com/items/4111111111111111, /users/13800138000",
        "the passport office opened in 2024, 护照办理需要10个工作日",
        "00:00:00:00:00:00, ff-ff-ff-ff-ff-ff, 10:20:30:40:50:60",
        "1Z999AA10123456784, SF1234567890123, EE123456789CN, IMEI 490154203237518",
        "A123456788, S1234567E, 12345678A, 20240115Z, 54362315Z",
        "tel aviv 6100000, hotel 12345678, Windows Phone 8.1.10512, phone 2024-01-15",
        "05 12 23 34 45, 11.22.33.44.55, 6.02e23, 0x7ffee4b0c0de, 1920x1080, rgb(255, 128, 0)",
        "order a13800138000b, 138001380001, 14012345678, QQ号 123456789",
        "In 2024 there were 13800138000 records.",
        "",
    ] {
        let nothing: [(Kind, &str); 0] = [];
        assert_eq!(found(text), nothing, "{text}");
    }
}
