//! An answer that fits into so many tokens: lists are cut to their first items and texts to their beginnings, so that
//! what is left still has the answer's form. Left out: what of an answer is wanted (`keep`).

use praxis_core::tokens::{cut, estimate};
use serde_json::Value;

/// Characters that texts are cut to, one after the other, until the answer fits.
const TEXTS: [usize; 4] = [2000, 400, 100, 30];

/// Fields of an object that stay, however short lists are.
const FIELDS: usize = 40;

/// A value of at most about `room` tokens, and what was cut.
pub(crate) fn trimmed(value: Value, room: usize) -> (Value, Option<String>) {
    let whole = tokens(&value);
    if whole <= room {
        return (value, None);
    }
    // No list of more items than tokens fits.
    let longest = longest_list(&value).clamp(1, room.max(1));
    for text in TEXTS {
        let fits = |items: usize| {
            let short = shortened(&value, text, items);
            (tokens(&short) <= room).then_some(short)
        };
        let Some(mut best) = fits(1) else {
            continue;
        };
        let (mut low, mut high) = (1, longest);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            match fits(middle) {
                Some(short) => (low, best) = (middle, short),
                None => high = middle - 1,
            }
        }
        let note = format!(
            "cut from about {whole} tokens to {room}: lists have {low} items at most, texts {text} characters"
        );
        return (best, Some(note));
    }
    let text = value.to_string();
    let note = format!("cut from about {whole} tokens to the first {room}");
    (Value::String(cut(&text, room).to_owned()), Some(note))
}

fn tokens(value: &Value) -> usize {
    match value {
        Value::String(text) => estimate(text),
        other => estimate(&other.to_string()),
    }
}

fn longest_list(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(longest_list).fold(items.len(), usize::max),
        Value::Object(fields) => {
            let inner = fields.values().map(longest_list).max();
            // An object with many fields is a list by another name.
            inner.unwrap_or(0).max(fields.len())
        }
        _ => 0,
    }
}

fn shortened(value: &Value, text: usize, items: usize) -> Value {
    match value {
        Value::String(whole) => match whole.char_indices().nth(text) {
            Some((at, _)) => Value::String(format!("{}…", &whole[..at])),
            None => value.clone(),
        },
        Value::Array(all) => {
            let first = all.iter().take(items);
            first.map(|one| shortened(one, text, items)).collect()
        }
        Value::Object(fields) => {
            let first = fields.iter().take(items.max(FIELDS));
            first
                .map(|(name, one)| (name.clone(), shortened(one, text, items)))
                .collect()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_fits_stays_as_it_is() {
        let value = json!({ "items": [1, 2, 3] });
        assert_eq!(trimmed(value.clone(), 100), (value, None));
    }

    #[test]
    fn lists_keep_as_many_items_as_fit() {
        let items: Vec<Value> = (0..1000)
            .map(|i| json!({ "id": i, "name": "Ada" }))
            .collect();
        let (short, note) = trimmed(json!({ "total": 1000, "items": items }), 200);
        let kept = short["items"].as_array().unwrap();
        assert_eq!(
            (short["total"].clone(), kept[0].clone()),
            (json!(1000), items[0].clone())
        );
        assert!(tokens(&short) <= 200, "{short}");
        let more = json!({ "total": 1000, "items": &items[..=kept.len()] });
        assert!(tokens(&more) > 200, "one more would have fit");
        assert!(
            note.unwrap()
                .contains(&format!("lists have {} items", kept.len()))
        );
    }

    #[test]
    fn texts_and_dictionaries_are_cut_too() {
        let (short, note) = trimmed(json!({ "text": "word ".repeat(5000) }), 150);
        let text = short["text"].as_str().unwrap();
        assert_eq!(text.chars().count(), 401);
        assert!(text.ends_with('…') && note.unwrap().contains("texts 400 characters"));
        let many: Value = (0..3000).map(|i| (format!("key{i}"), json!(i))).collect();
        let (short, _) = trimmed(many, 300);
        assert!(short.as_object().unwrap().len() >= FIELDS && tokens(&short) <= 300);
    }

    #[test]
    fn what_cannot_be_shortened_in_form_is_cut_as_a_text() {
        let wide: Value = (0..40)
            .map(|i| (format!("a_long_name_of_a_field_{i}"), json!(i)))
            .collect();
        let (short, note) = trimmed(wide, 50);
        assert!(short.as_str().unwrap().starts_with("{\"a_long_name"));
        assert!(tokens(&short) <= 50 && note.unwrap().contains("the first 50"));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i32>().prop_map(Value::from),
            "[a-z藤野 ]{0,300}".prop_map(Value::from),
            Just(Value::Null),
        ];
        leaf.prop_recursive(4, 200, 20, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{1,8}", inner, 0..20)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_fits_afterwards(value in value(), room in 1_usize..500) {
            let whole = tokens(&value);
            let (short, note) = trimmed(value, room);
            prop_assert!(tokens(&short) <= room, "{short}");
            prop_assert_eq!(note.is_some(), whole > room);
        }
    }
}
