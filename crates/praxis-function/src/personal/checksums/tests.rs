//! Numbers that pass the checksums and numbers that do not.

use super::*;

/// A check, numbers that pass it, and numbers that do not.
type Case = (
    fn(&str) -> bool,
    &'static [&'static str],
    &'static [&'static str],
);

#[test]
fn each_checksum_tells_numbers_from_others() {
    let cases: &[Case] = &[
        (
            |t| luhn(&digits(t)),
            &["4111111111111111", "378282246310005", "79927398713"],
            &["4111111111111112", ""],
        ),
        (
            mod_11_2,
            &["11010519491231002X", "440524188001010014"],
            &["110105194912310021", "1101051949123100X2", "", "题"],
        ),
        (
            |t| mod_11_10(&digits(t)),
            &["36574261809", "86095742719"],
            &["36574261890", ""],
        ),
        (
            iban,
            &[
                "DE89370400440532013000",
                "GB82WEST12345698765432",
                "FR1420041010050500013M02606",
                "NO9386011117947",
                "de89370400440532013000",
            ],
            &[
                "GB82WEST12345698765433",
                "XX89370400440532013000",
                "DE893704004405320130",
                "",
                "题目",
            ],
        ),
        (
            |t| german_tax(&digits(t)),
            &["36574261809", "86095742719"],
            &["36554266806", "13800138000", "1"],
        ),
        (
            |t| cpf(&digits(t)),
            &["39053344705", "52998224725"],
            &["23100299900", "11111111111"],
        ),
        (
            nir,
            &["295109912611193", "253072B07300470", "253072A07300443"],
            &["295109912611199", "253072C07300443", "1"],
        ),
        (
            dni,
            &["54362315K", "12345678Z", "X2482300W"],
            &["54362315Z", "X2482300A", "5436231K", ""],
        ),
        (
            codice_fiscale,
            &["RCCMNL83S18D969H", "CNTCHR83T41D969D"],
            &["RCCMNL83S18D969A", "RCCMNL83S18D969", ""],
        ),
        (hong_kong, &["A1234563"], &["A1234564", "A123456", "题"]),
        (
            taiwan,
            &["A123456789"],
            &["A123456788", "A12345678", "题123456789"],
        ),
        (
            singapore,
            &["S1234567D", "F1234567N"],
            &["S1234567E", "F1234567D", "S123456D"],
        ),
        (
            |t| korean(&digits(t)),
            &["9710139019902"],
            &["9710139019903", "9713139019902"],
        ),
        (
            |t| pesel(&digits(t)),
            &["44051401359"],
            &["44051401358", "4"],
        ),
        (
            |t| bsn(&digits(t)),
            &["111222333"],
            &["111252333", "000000000"],
        ),
        (
            |t| nhs(&digits(t)),
            &["9434765870"],
            &["9434765871", "0000000000"],
        ),
        (
            |t| {
                let d = digits(t);
                d.len() == 8 && is_date(number(&d[..4]), number(&d[4..6]), number(&d[6..]))
            },
            &["20240229", "20000229", "19991231"],
            &["20230229", "19000229", "20240431", "20241301", "20240100"],
        ),
    ];
    for (check, right, wrong) in cases {
        for text in *right {
            assert!(check(text), "{text} is one");
        }
        for text in *wrong {
            assert!(!check(text), "{text} is none");
        }
    }
}

#[test]
fn every_wrong_digit_of_an_account_or_an_identity_number_is_seen() {
    for (text, check) in [
        ("110105194912310021", mod_11_2 as fn(&str) -> bool),
        ("DE89370400440532013000", iban),
    ] {
        let mut valid = text.to_owned();
        if !check(&valid) {
            valid.replace_range(17.., "X");
        }
        assert!(check(&valid), "{valid}");
        for at in 2..valid.len() {
            for digit in "0123456789".chars() {
                let mut other = valid.clone();
                other.replace_range(at..=at, &digit.to_string());
                assert_eq!(check(&other), other == valid, "{other}");
            }
        }
    }
}
