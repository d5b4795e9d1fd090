//! Definitions of a schema, made safe and short: circles in which a schema asks for itself of the same value are cut,
//! alternatives that multiply are refused, and what is used once or is small stands where it is used, since small
//! models read a schema better without references. Left out: what schemas mean.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::{Map, Value};

/// Schemas that are asked of one value, all alternatives counted.
const MOST_STEPS: usize = 1000;

/// Parts of a definition that is written out wherever it is used, and how deep one may be that is written out.
const SMALL: usize = 24;
const MOST_DEPTH: usize = 16;

/// What a reference into the definitions begins with.
const DEFS: &str = "#/$defs/";

/// The name of the definition that a schema stands for.
pub(super) fn target(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix(DEFS)
}

/// Cuts circles. `$defs` that ask for each other of the same value would be followed for ever.
///
/// # Errors
/// Alternatives of alternatives that would take for ever all the same.
pub(super) fn untangle(defs: &mut Map<String, Value>) -> Result<(), String> {
    let (circles, order) = walk(defs, in_place);
    for (from, to) in &circles {
        if let Some(schema) = defs.get_mut(from) {
            cut(schema, to);
        }
    }
    let mut steps: HashMap<&str, usize> = HashMap::new();
    for name in &order {
        let parts = defs.get(name).map(in_place).unwrap_or_default();
        let all = parts.iter().fold(1_usize, |sum, part| {
            sum.saturating_add(steps.get(part).copied().unwrap_or(1))
        });
        if all > MOST_STEPS {
            return Err("its schemas have alternatives of alternatives without end".to_owned());
        }
        steps.insert(name, all);
    }
    Ok(())
}

/// Writes out what is used once or is small; gives the definitions that stay.
pub(super) fn shorten(root: &mut Value, mut defs: Map<String, Value>) -> Map<String, Value> {
    keep_reachable(root, &mut defs);
    let (circles, order) = walk(&defs, references);
    let recursive: HashSet<String> = circles.into_iter().map(|(_, to)| to).collect();
    let mut uses: HashMap<String, usize> = HashMap::new();
    for name in defs.values().flat_map(references).chain(references(root)) {
        *uses.entry(name.to_owned()).or_default() += 1;
    }
    let (mut inside, mut kept) = (HashMap::new(), Map::new());
    for name in order {
        let Some(mut schema) = defs.get_mut(&name).map(Value::take) else {
            continue;
        };
        write_out(&mut schema, &inside);
        let (parts, depth) = measure(&schema);
        let once = uses.get(&name) == Some(&1);
        if !recursive.contains(&name) && depth <= MOST_DEPTH && (once || parts <= SMALL) {
            inside.insert(name, schema);
        } else {
            kept.insert(name, schema);
        }
    }
    write_out(root, &inside);
    kept
}

/// Leaves those definitions alone that a schema leads to.
fn keep_reachable(root: &Value, defs: &mut Map<String, Value>) {
    let mut reached: HashSet<String> = HashSet::new();
    let mut waiting: VecDeque<String> = references(root).into_iter().map(str::to_owned).collect();
    while let Some(name) = waiting.pop_front() {
        let Some(schema) = defs.get(&name) else {
            continue;
        };
        let more = references(schema).into_iter().map(str::to_owned);
        if reached.insert(name) {
            waiting.extend(more);
        }
    }
    defs.retain(|name, _| reached.contains(name));
}

/// Definitions, each behind those that it refers to, and the references that lead back to one that is being followed.
fn walk(
    defs: &Map<String, Value>,
    edges: fn(&Value) -> Vec<&str>,
) -> (Vec<(String, String)>, Vec<String>) {
    let (mut circles, mut order) = (Vec::new(), Vec::new());
    // Whether a definition is done; those that are not are being followed.
    let mut done: HashMap<&str, bool> = HashMap::new();
    for (start, schema) in defs {
        if done.contains_key(start.as_str()) {
            continue;
        }
        done.insert(start, false);
        let mut stack = vec![(start.as_str(), edges(schema).into_iter())];
        while let Some((name, targets)) = stack.last_mut() {
            let name = *name;
            let Some(target) = targets.next() else {
                done.insert(name, true);
                order.push(name.to_owned());
                stack.pop();
                continue;
            };
            match done.get(target) {
                Some(true) => {}
                Some(false) => circles.push((name.to_owned(), target.to_owned())),
                None => {
                    if let Some(schema) = defs.get(target) {
                        done.insert(target, false);
                        stack.push((target, edges(schema).into_iter()));
                    }
                }
            }
        }
    }
    (circles, order)
}

/// The schemas directly in a schema.
fn parts(schema: &Value) -> Vec<&Value> {
    let mut all: Vec<&Value> = Vec::new();
    for (key, value) in schema.as_object().into_iter().flatten() {
        match (key.as_str(), value) {
            ("properties", Value::Object(named)) => all.extend(named.values()),
            ("allOf" | "anyOf" | "prefixItems", Value::Array(listed)) => all.extend(listed),
            ("items" | "additionalProperties", one) => all.push(one),
            _ => {}
        }
    }
    all
}

/// The same, to be changed.
fn parts_mut(schema: &mut Value) -> Vec<&mut Value> {
    let mut all: Vec<&mut Value> = Vec::new();
    let Some(map) = schema.as_object_mut() else {
        return all;
    };
    for (key, value) in map.iter_mut() {
        match (key.as_str(), value) {
            ("properties", Value::Object(named)) => all.extend(named.values_mut()),
            ("allOf" | "anyOf" | "prefixItems", Value::Array(listed)) => {
                all.extend(listed.iter_mut());
            }
            ("items" | "additionalProperties", one) => all.push(one),
            _ => {}
        }
    }
    all
}

/// Definitions that a schema refers to, anywhere.
fn references(schema: &Value) -> Vec<&str> {
    let mut found: Vec<&str> = Vec::new();
    let mut waiting = vec![schema];
    while let Some(schema) = waiting.pop() {
        found.extend(target(schema));
        waiting.extend(parts(schema));
    }
    found
}

/// Definitions that a schema asks of its own value.
fn in_place(schema: &Value) -> Vec<&str> {
    let mut found: Vec<&str> = Vec::new();
    let mut waiting = vec![schema];
    while let Some(schema) = waiting.pop() {
        found.extend(target(schema));
        for key in ["allOf", "anyOf"] {
            let listed = schema.get(key).and_then(Value::as_array);
            waiting.extend(listed.into_iter().flatten());
        }
    }
    found
}

/// Takes out what a schema asks of its own value by this reference.
fn cut(schema: &mut Value, name: &str) {
    if target(schema) == Some(name)
        && let Some(map) = schema.as_object_mut()
    {
        map.shift_remove("$ref");
    }
    for key in ["allOf", "anyOf"] {
        let listed = schema.get_mut(key).and_then(Value::as_array_mut);
        for one in listed.into_iter().flatten() {
            cut(one, name);
        }
    }
}

/// Puts definitions in the place of references to them; what is said beside a reference stays.
fn write_out(schema: &mut Value, inside: &HashMap<String, Value>) {
    if let Some(definition) = target(schema).and_then(|name| inside.get(name)) {
        let mut whole = definition.clone();
        if let (Some(whole), Some(beside)) = (whole.as_object_mut(), schema.as_object()) {
            let said = beside.iter().filter(|(key, _)| *key != "$ref");
            whole.extend(said.map(|(key, value)| (key.clone(), value.clone())));
        }
        *schema = whole;
        return;
    }
    for part in parts_mut(schema) {
        write_out(part, inside);
    }
}

/// How many parts a schema has, and how deep it is.
fn measure(schema: &Value) -> (usize, usize) {
    parts(schema)
        .into_iter()
        .map(measure)
        .fold((1, 1), |(parts, depth), (more, deep)| {
            (parts + more, depth.max(deep + 1))
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn defs(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_circle_in_place_is_cut_where_it_closes() {
        // A pet is a cat or a dog, and a cat is a pet: as many documents say it.
        let mut all = defs(json!({
            "Pet": { "anyOf": [{ "$ref": "#/$defs/Cat" }, { "$ref": "#/$defs/Dog" }] },
            "Cat": { "allOf": [{ "$ref": "#/$defs/Pet" }, { "type": "object" }] },
            "Dog": { "type": "object", "properties": { "friend": { "$ref": "#/$defs/Pet" } } },
            "Self": { "$ref": "#/$defs/Self", "description": "d" },
        }));
        untangle(&mut all).unwrap();
        assert_eq!(all["Cat"], json!({ "allOf": [{}, { "type": "object" }] }));
        assert_eq!(all["Pet"]["anyOf"][0]["$ref"], "#/$defs/Cat");
        assert_eq!(all["Dog"]["properties"]["friend"]["$ref"], "#/$defs/Pet");
        assert_eq!(all["Self"], json!({ "description": "d" }));
        let whole = json!({ "$ref": "#/$defs/Pet", "$defs": all });
        assert!(praxis_core::json_schema::ends(&whole).is_ok());
    }

    #[test]
    fn alternatives_that_multiply_are_refused() {
        let mut all = Map::new();
        for i in 0..30 {
            let next = format!("#/$defs/A{}", i + 1);
            let schema = json!({ "allOf": [{ "$ref": next }, { "$ref": next }] });
            all.insert(format!("A{i}"), schema);
        }
        all.insert("A30".to_owned(), json!({ "type": "string" }));
        assert!(untangle(&mut all).unwrap_err().contains("without end"));
    }

    #[test]
    fn what_is_used_once_or_small_is_written_out_and_the_rest_stays() {
        let wide: Value = (0..SMALL).map(|i| (format!("f{i}"), json!({}))).collect();
        let all = defs(json!({
            "Once": { "type": "object", "properties": { "small": { "$ref": "#/$defs/Small" } } },
            "Small": { "type": "string", "description": "a name" },
            "Wide": { "properties": wide },
            "Tree": { "properties": { "children": { "items": { "$ref": "#/$defs/Tree" } } } },
            "Nobody": { "type": "string" },
        }));
        let mut root = json!({
            "type": "object",
            "properties": {
                "once": { "$ref": "#/$defs/Once" },
                "small": { "$ref": "#/$defs/Small", "description": "his name" },
                "one": { "$ref": "#/$defs/Wide" },
                "two": { "$ref": "#/$defs/Wide" },
                "tree": { "$ref": "#/$defs/Tree" },
            },
        });
        let kept = shorten(&mut root, all);
        let names: Vec<&str> = kept.keys().map(String::as_str).collect();
        assert_eq!(names, ["Wide", "Tree"]);
        let properties = &root["properties"];
        assert_eq!(
            properties["once"]["properties"]["small"],
            json!({ "type": "string", "description": "a name" })
        );
        assert_eq!(
            properties["small"],
            json!({ "type": "string", "description": "his name" })
        );
        assert_eq!(properties["tree"], json!({ "$ref": "#/$defs/Tree" }));
        assert_eq!(
            kept["Tree"]["properties"]["children"]["items"]["$ref"],
            "#/$defs/Tree"
        );
    }

    #[test]
    fn values_that_look_like_references_stay() {
        let schema =
            json!({ "enum": [{ "$ref": "#/$defs/A" }], "default": { "$ref": "#/$defs/A" } });
        let mut root = schema.clone();
        let kept = shorten(&mut root, defs(json!({ "A": { "type": "string" } })));
        assert_eq!((root, kept.len()), (schema, 0));
    }
}
