//! What the calculator gives, and what it says to those who write what it does not take.

use praxis_core::trace::NoTrace;
use proptest::prelude::*;

use super::*;

fn result(expression: &str, digits: u32) -> (String, bool) {
    let number = parse::evaluate(expression).unwrap_or_else(|e| panic!("{expression}: {e}"));
    let shown = shown::shown(&number, digits);
    (shown.text, shown.exact)
}

#[test]
fn arithmetic_is_exact() {
    for (expression, wanted) in [
        ("0.1 + 0.2", "0.3"),
        ("2 + 3 * 4", "14"),
        ("(2 + 3) * 4", "20"),
        ("-2^2", "-4"),
        ("2^3^2", "512"),
        ("2**10", "1024"),
        ("7 - 2 - 1", "4"),
        ("100 / 8", "12.5"),
        ("1/3 + 1/6", "0.5"),
        ("1,234.5 + 1", "1235.5"),
        ("1_000_000 * 2", "2000000"),
        ("1e3 + 2.5e-1", "1000.25"),
        ("0xff + 0b101 + 0o17", "275"),
        ("10 mod 3", "1"),
        ("10 % 3", "1"),
        ("-7 mod 3", "2"),
        ("15% of 80", "12"),
        ("80 * 15%", "12"),
        ("200 * (1 + 10%)", "220"),
        ("10% + 5%", "0.15"),
        ("(1 + 5%)^10 * 2500", "4072.236566943603515625"),
        ("20!", "2432902008176640000"),
        ("5! / 3!", "20"),
        ("2(3 + 4)", "14"),
        ("(1 + 2)(3 + 4)", "21"),
        ("sqrt(16) + cbrt(-27)", "1"),
        ("(9/4)^(1/2)", "1.5"),
        ("27^(2/3)", "9"),
        ("root(1024, 10)", "2"),
        ("2^-3", "0.125"),
        ("max(1, 2.5, 2) - min(3, -4)", "6.5"),
        ("sum(1, 2, 3, 4) / 4", "2.5"),
        ("mean(1, 2, 3, 4)", "2.5"),
        ("median(5, 1, 4, 2)", "3"),
        (
            "variance(2, 4, 4, 4, 5, 5, 7, 9)",
            "4.571428571428571428571",
        ),
        ("gcd(12, 18) + lcm(4, 6)", "18"),
        ("choose(52, 5)", "2598960"),
        ("perm(5, 2)", "20"),
        ("round(2.675, 2)", "2.68"),
        ("round(-2.5)", "-3"),
        ("round(1234, -2)", "1200"),
        ("floor(-1.5) + ceil(-1.5) + trunc(-1.5)", "-4"),
        ("abs(-3) + sign(-3)", "2"),
        ("log(8, 2) + log10(1000) + log2(1/4)", "4"),
        ("ln(1) + exp(0)", "1"),
        ("3 × 4 ÷ 2 − 1", "5"),
        ("（１＋２）＊３", "9"),
        ("5² + 2³", "33"),
        ("√(9)", "3"),
        ("2 + 2 = ?", "4"),
        ("1-(2-(3-(4-(5-6))))", "-3"),
        ("1e-30", "0.000000000000000000000000000001"),
        ("25!", "15511210043330985984000000"),
    ] {
        let (text, exact) = result(expression, 22);
        assert_eq!(text, wanted, "{expression}");
        assert_eq!(exact, !expression.starts_with("variance"), "{expression}");
    }
}

/// Reference values of Python's `decimal` and `mpmath`.
#[test]
fn what_has_no_end_is_right_to_its_last_digit() {
    for (expression, wanted) in [
        ("1/3", "0.33333333333333333333"),
        ("2/3", "0.66666666666666666667"),
        ("sqrt(2)", "1.4142135623730950488"),
        ("sqrt(1/3)", "0.57735026918962576451"),
        ("2^0.5", "1.4142135623730950488"),
        ("pi", "3.1415926535897932385"),
        ("e", "2.7182818284590452354"),
        ("exp(-10)", "0.000045399929762484851536"),
        ("ln(2)", "0.69314718055994530942"),
        ("ln(10^400)", "921.03403719761827361"),
        ("log10(2)", "0.30102999566398119521"),
        ("sin(1)", "0.84147098480789650665"),
        ("cos(100)", "0.8623188722876839341"),
        ("tan(1)", "1.5574077246549022305"),
        ("sin(10^15)", "0.85827279317023583552"),
        ("atan(1) * 4", "3.1415926535897932385"),
        ("asin(0.5)", "0.52359877559829887308"),
        ("acos(-1)", "3.1415926535897932385"),
        ("sinh(1)", "1.1752011936438014569"),
        ("tanh(0.5)", "0.4621171572600097585"),
        ("sin(30°)", "0.5"),
        ("sin(pi)", "0"),
        ("(1 + 0.05/365)^(365*30)", "4.4812286885245152478"),
        ("stdev(2, 4, 4, 4, 5, 5, 7, 9)", "2.1380899352993950775"),
    ] {
        assert_eq!(
            result(expression, 20),
            (wanted.to_owned(), false),
            "{expression}"
        );
    }
    let long = parse::evaluate("3000!").unwrap();
    assert_eq!(shown::shown(&long, 5).text, "4.1494e9130");
}

#[test]
fn mistakes_are_told_with_the_words_that_mend_them() {
    for (expression, wanted) in [
        ("", "empty"),
        ("2 +", "a number is missing (at the end)"),
        ("2 3", "an operator is missing between two numbers"),
        ("(1 + 2", "a `)` is missing"),
        ("1 + 2)", "without its `(` (character 6)"),
        ("1,5 + 2", "write decimals with a point"),
        ("200 + 10%", "a * (1 + b%)"),
        ("6/2(1+2)", "read in two ways"),
        ("log(8)", "ln(x), log10(x) or log(x, base)"),
        ("sqr(4)", "did you mean `sqrt`?"),
        ("3 km + 2", "praxis/convert"),
        ("x + 1", "a number is missing"),
        ("sqrt 4", "in parentheses"),
        ("$5 + 1", "currency"),
        ("3 > 2", "compute both sides"),
        ("7 // 2", "floor(a / b)"),
        ("1/0", "division by zero"),
        ("0^0", "no value"),
        ("(-8)^(1/3)", "cbrt(x)"),
        ("sqrt(-1)", "no real even root"),
        ("ln(0)", "above 0"),
        ("asin(2)", "from -1 to 1"),
        ("3.5!", "whole number from 0"),
        ("5000!", "whole number from 0"),
        ("9^9^9^9", "12,000 digits"),
        ("2^(10^12)", "too large"),
        ("10^100000", "12,000 digits"),
        ("1e999999", "5000 at most"),
        ("round(1, 2, 3)", "the decimal places if not 0"),
        ("1; 2", "`;` is no part of arithmetic"),
        ("__import__('os')", "no part of arithmetic"),
    ] {
        let error = parse::evaluate(expression).err();
        let error = error.unwrap_or_else(|| panic!("{expression} has a value"));
        assert!(error.contains(wanted), "{expression}: {error}");
    }
}

/// What would take a naive calculator's stack, memory or time.
#[test]
fn hostile_expressions_end_soon() {
    let nested =
        |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
    for expression in [
        nested("(", ")", 900),
        nested("1-(", ")", 400),
        nested("2(", ")", 400),
        "-".repeat(1900) + "1",
        "2^".repeat(900) + "2",
        "9^".repeat(4) + "9",
        "7!".to_owned() + &"!".repeat(500),
        format!(
            "(10^11999+1)/(10^11998+1){}",
            "*(10^11999+3)/(10^11998+7)".repeat(60)
        ),
        format!("median({}1)", "1/3, ".repeat(990)),
    ] {
        // An answer or words, and no overflow of the stack.
        let _ = parse::evaluate(&expression);
    }
}

proptest! {
    #[test]
    fn any_text_gives_a_number_or_words(text in "[-+*/^()!%., 0-9a-z]{0,60}") {
        if let Ok(number) = parse::evaluate(&text) {
            shown::shown(&number, 20);
        }
    }

    #[test]
    fn whole_numbers_are_those_of_the_machine(a in -1_000_000i64..1_000_000, b in 1i64..1000, c in 0u32..8) {
        let expression = format!("({a}) * {b} + ({a}) mod {b} - {b}^{c}");
        let wanted = i128::from(a) * i128::from(b) + i128::from(a.rem_euclid(b))
            - i128::from(b).pow(c);
        prop_assert_eq!(result(&expression, 20), (wanted.to_string(), true));
    }

    #[test]
    fn a_decimal_is_read_and_written_back(whole in 0u64..1_000_000_000_000, behind in "[0-9]{0,30}[1-9]") {
        let text = format!("{whole}.{behind}");
        prop_assert_eq!(result(&text, 20), (text, true));
    }

    #[test]
    fn functions_agree_with_floating_point(x in -40.0f64..40.0) {
        for (name, wanted) in [("sin", x.sin()), ("cos", x.cos()), ("atan", x.atan()), ("exp", x.exp())] {
            let (text, _) = result(&format!("{name}({x})"), 25);
            let found: f64 = text.parse().unwrap();
            prop_assert!((found - wanted).abs() <= 1e-12 * wanted.abs().max(1.0), "{} {}: {}", name, x, text);
        }
    }
}

#[tokio::test]
async fn a_call_gives_the_result_as_the_schema_says() {
    let function = function().unwrap();
    let schema = jsonschema::validator_for(&function.signature().output_schema).unwrap();
    assert!(function.signature().effects.only_reads());
    let cx = CallContext::new(Arc::new(NoTrace));
    for (input, wanted) in [
        (
            json!({"expression": "1/3", "digits": 5}),
            json!({"result": "0.33333", "exact": false, "fraction": "1/3"}),
        ),
        (
            json!({"expression": "2^0.5 * 2^0.5"}),
            json!({"result": "2", "exact": false}),
        ),
        (
            json!({"expression": 42}),
            json!({"result": "42", "exact": true}),
        ),
    ] {
        let output = function.call(input, &cx).await.unwrap();
        assert!(schema.is_valid(&output));
        assert_eq!(output, wanted);
    }
    for input in [
        json!({"expression": "2 +"}),
        json!({"expression": "1".repeat(LONGEST + 1)}),
    ] {
        let error = function.call(input, &cx).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidRequest);
        assert!(error.hint.is_some());
    }
}
