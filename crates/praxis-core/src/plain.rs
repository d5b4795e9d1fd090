//! Complaints of libraries in a person's words: types that a value must have, and bytes that are no text.

/// Serde's complaint about a value, with types as who writes a file knows them.
pub fn complaint(message: &str) -> String {
    let message = message
        .replacen("type: sequence,", "type: a list,", 1)
        .replacen("type: map,", "type: a table,", 1);
    // The last one: a text that somebody wrote may hold the same words.
    let Some((found, wanted)) = message.rsplit_once(", expected ") else {
        return message;
    };
    match meant(wanted) {
        Some(wanted) => format!("{found}, expected {wanted}"),
        None => message,
    }
}

/// What a type is to a person.
fn meant(wanted: &str) -> Option<&'static str> {
    Some(match wanted {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number from 0",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "`true` or `false`",
        "a sequence" => "a list: `[\"...\"]`",
        "a map" => "a table",
        _ if wanted.starts_with("struct ") => "a table",
        _ => return None,
    })
}

/// The key that serde misses.
pub fn missing(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.split('`').next()
}

/// The bytes of a file as text.
///
/// # Errors
/// Which line is not UTF-8, and the fix.
pub fn utf8(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
        format!("line {line} is not UTF-8: save the file as UTF-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_as_who_writes_a_file_knows_them() {
        for (message, wanted) in [
            (
                "invalid type: string \"x\", expected u16",
                "invalid type: string \"x\", expected a whole number from 0 to 65535",
            ),
            (
                "invalid value: integer `-1`, expected usize",
                "invalid value: integer `-1`, expected a whole number from 0",
            ),
            (
                "invalid type: string \"a, expected u16\", expected a sequence",
                "invalid type: string \"a, expected u16\", expected a list: `[\"...\"]`",
            ),
            (
                "invalid type: sequence, expected struct Config",
                "invalid type: a list, expected a table",
            ),
            (
                "invalid type: map, expected a string",
                "invalid type: a table, expected a string",
            ),
            ("`x` is not a span of time", "`x` is not a span of time"),
        ] {
            assert_eq!(complaint(message), wanted);
        }
        assert_eq!(missing("missing field `key`"), Some("key"));
        assert_eq!(missing("unknown field `key`"), None);
    }

    #[test]
    fn bytes_that_are_no_text_are_told_with_their_line() {
        assert_eq!(utf8(b"a\nb".to_vec()).unwrap(), "a\nb");
        let told = utf8(b"a = 1\nb = \"caf\xe9\"\n".to_vec()).unwrap_err();
        assert!(told.starts_with("line 2 is not UTF-8"), "{told}");
    }
}
