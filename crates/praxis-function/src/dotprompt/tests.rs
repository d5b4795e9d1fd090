//! What the conformance suite does not cover: where `handlebars.js` and the crate differ, what is
//! refused, and that nothing brings the format down.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn data(input: Value) -> Data {
    Data {
        input: input.as_object().cloned().unwrap_or_default(),
        context: Map::from_iter([("auth".to_owned(), json!({"email": "a@b"}))]),
        messages: Vec::new(),
    }
}

fn rendered(partials: &[(&str, &str)], source: &str, input: Value) -> Result<String, String> {
    let mut templates = Templates::new();
    for (name, text) in partials {
        templates.add(name, text).map_err(|e| e.to_string())?;
    }
    templates.add("t", source).map_err(|e| e.to_string())?;
    let messages = templates
        .render("t", &data(input))
        .map_err(|e| e.to_string())?;
    Ok(match messages.first().and_then(|m| m.content.first()) {
        Some(Part::Text { text }) => text.clone(),
        _ => String::new(),
    })
}

#[test]
fn templates_do_what_the_original_does() {
    let input = || {
        json!({
            "a": "A", "zero": 0, "none": null, "yes": true, "no": false, "empty": {}, "half": 0.5,
            "one": 1.0, "list": ["x", "y"], "nil": [], "map": {"k": "v", "l": [1, 2]},
            "rows": [["p", "q"], []], "len": "L", "raw": "R", "eq": "E", "same": ["x", "y"],
        })
    };
    for (source, expected) in [
        // Values.
        ("{{a}} {{{a}}} {{&a}} {{ a }}", "A A A A"),
        (
            "{{one}} {{half}} {{list}} {{map}} {{yes}} {{no}}",
            "1 0.5 x,y [object Object] true false",
        ),
        (
            "[{{none}}{{nothing}}{{nothing.at.all}}{{a.b}}{{list.name}}]",
            "[]",
        ),
        ("{{len}} {{raw}} {{eq}}", "L R E"),
        (
            "{{list.length}} {{list.1}} {{a.length}} {{map.l.[0]}} {{map/k}}",
            "2 y 1 1 v",
        ),
        (
            "{{@root.a}} {{@auth.email}} {{@auth}} {{@nobody.x}}.",
            "A a@b [object Object] .",
        ),
        (
            "{{lookup map \"k\"}} {{lookup list 1}} {{lookup list \"z\"}}.",
            "v y .",
        ),
        (
            "{{json map}} {{json one}} {{json nothing}}.",
            "{\"k\":\"v\",\"l\":[1,2]} 1 .",
        ),
        ("\\{{a}} {{! no }}{{!-- {{no}} --}}{{a}}", "{{a}} A"),
        ("x {{~! c ~}} y {{~!-- c --~}} z", "xyz"),
        ("{{{{raw}}}}{{a}}{{{{/raw}}}}!", "{{a}}!"),
        // What is true.
        (
            "{{#if empty}}1{{/if}}{{#if nil}}2{{/if}}{{#if zero}}3{{/if}}{{#if a}}4{{/if}}.",
            "14.",
        ),
        (
            "{{#if zero includeZero=true}}1{{/if}}{{#unless none}}2{{/unless}}",
            "12",
        ),
        ("{{#if none}}1{{else if zero}}2{{else}}3{{/if}}", "3"),
        (
            "{{#with zero}}{{this}}{{/with}}{{#with none}}1{{else}}2{{/with}}",
            "02",
        ),
        (
            "{{#ifEquals one 1}}1{{/ifEquals}}{{#ifEquals a \"A\"}}2{{/ifEquals}}",
            "12",
        ),
        (
            "{{#ifEquals none nothing}}1{{else}}2{{/ifEquals}}{{#ifEquals nothing nada}}3{{/ifEquals}}",
            "23",
        ),
        (
            "{{#ifEquals list list}}1{{/ifEquals}}{{#unlessEquals list same}}2{{/unlessEquals}}",
            "12",
        ),
        // Loops and scopes.
        (
            "{{#each list}}{{@index}}{{@key}}{{.}}{{#if @last}}!{{/if}}{{/each}}",
            "00x11y!",
        ),
        ("{{#each map}}{{@key}}={{this}};{{/each}}", "k=v;l=1,2;"),
        (
            "{{#each list as |e i|}}{{i}}{{e}}{{../a}}{{/each}}",
            "0xA1yA",
        ),
        (
            "{{#each rows}}{{#each this}}{{@../index}}{{@index}}{{.}}{{else}}-{{/each}}{{/each}}",
            "00p01q-",
        ),
        (
            "{{#each list}}{{@auth.email}}{{@root.a}}{{name}}{{/each}}",
            "a@bAa@bA",
        ),
        (
            "{{#each nil}}1{{else}}2{{/each}}{{#each nothing}}1{{else}}2{{/each}}",
            "22",
        ),
        (
            "{{#with map as |m|}}{{k}}{{m.k}}{{../a}}{{#with this}}{{..}}{{/with}}{{/with}}",
            "vvA[object Object]",
        ),
        ("{{#each (lookup map \"l\")}}{{.}}{{/each}}", "12"),
        // Sections of Mustache.
        (
            "{{#list}}{{.}},{{/list}}{{#map}}{{k}}{{/map}}{{#yes}}{{a}}{{/yes}}",
            "x,y,vA",
        ),
        (
            "{{#map.l}}{{.}}{{/map.l}}{{^nil}}none{{/nil}}{{^a}}1{{else}}2{{/a}}{{#no}}3{{^}}4{{/no}}",
            "12none24",
        ),
        // Partials.
        (
            "{{>p x=a}}|{{>p map}}|{{> \"p\" x=1}}|{{> (lookup this \"raw\")}}",
            "A[A]|[]|1[A]|r",
        ),
        ("{{#each list}}{{>p x=this}}{{@index}}{{/each}}", "x[]0y[]1"),
        ("a {{>two}} b\n  {{>two}}\nc", "a 1\n2\n b\n  1\n  2\nc"),
        (
            "{{#>layout}}in {{a}}{{/layout}} {{#>absent}}instead{{/absent}}",
            "<in A> instead",
        ),
        (
            "{{#*inline \"mine\"}}({{x}}){{/inline}}{{>mine x=1}}{{>mine x=2}}",
            "(1)(2)",
        ),
        ("{{>tree this}}", "A"),
    ] {
        let partials = [
            ("p", "{{x}}[{{a}}]"),
            ("two", "1\n2\n"),
            ("R", "r"),
            ("layout", "<{{> @partial-block}}>"),
            ("tree", "{{a}}{{#each kids}}{{>tree this}}{{/each}}"),
        ];
        let seen = rendered(&partials, source, input());
        assert_eq!(seen.as_deref(), Ok(expected), "{source}");
    }
    let tree = json!({"a": 1, "kids": [{"a": 2}, {"a": 3, "kids": [{"a": 4}]}]});
    let partial = [("tree", "{{a}}{{#each kids}}({{>tree}}){{/each}}")];
    assert_eq!(rendered(&partial, "{{>tree}}", tree).unwrap(), "1(2)(3(4))");
}

#[test]
fn what_is_wrong_with_a_template_has_a_place_and_a_fix() {
    for (source, said) in [
        ("a\n {{#if x}}b", "2:2: `{{#if}}` has no end"),
        (
            "{{#if x}}{{/each}}",
            "1:10: `{{/each}}` ends a block that began as `{{#if}}`",
        ),
        ("x{{/if}}", "1:2: `{{/if}}` ends a block that has not begun"),
        ("{{a", "1:1: a tag"),
        ("{{! a", "1:1: a comment has no end"),
        ("{{#iff x}}{{/iff}}", "did you mean `if`?"),
        (
            "\n{{jsn x}}",
            "2:3: there is no helper `jsn` (did you mean `json`?)",
        ),
        ("{{if x}}", "`if` needs a block"),
        ("{{json}}", "an input of that name is `{{this.json}}`"),
        ("{{x (upper y)}}", "no helper `upper`"),
        (
            "{{#*other \"x\"}}{{/other}}",
            "the only decorator is `inline`",
        ),
        ("{{{{x}}}}", "four braces"),
        ("{{a b c d=}}", "not Handlebars"),
    ] {
        let seen = Templates::new().add("t", source).unwrap_err().to_string();
        assert!(seen.contains(said), "{source}: {seen}");
    }
    for (source, said) in [
        (
            "{{role \"boss\"}}x",
            "there is no role `boss`; there are system, user, model, tool",
        ),
        (
            "a\n{{media url=nothing}}",
            "line 2 of the template: `media` has no `url`",
        ),
        ("{{>nowhere}}", "nowhere"),
        ("{{section nothing}}", "`section` needs a name"),
    ] {
        let seen = rendered(&[], source, json!({})).unwrap_err();
        assert!(seen.contains(said), "{source}: {seen}");
    }
}

#[test]
fn what_has_no_end_is_refused() {
    let nested = |n: usize, open: &str, inner: &str, close: &str| {
        format!("{}{inner}{}", open.repeat(n), close.repeat(n))
    };
    let many = json!({"l": vec![0; 1000]});
    let loops = nested(5, "{{#each @root.l}}", "", "{{/each}}");
    for (partials, source, said) in [
        (&[("a", "{{>a}}")][..], "{{>a}}", "levels deep"),
        (
            &[("a", "{{>b}}"), ("b", "x{{>a}}")],
            "{{>a}}",
            "levels deep",
        ),
        (
            &[("a", "{{>b}}{{>b}}"), ("b", "{{#if l}}{{>a}}{{/if}}")],
            "{{>a}}",
            "levels deep",
        ),
        (
            &[],
            "{{#*inline \"a\"}}{{>a}}{{/inline}}{{>a}}",
            "levels deep",
        ),
        (
            &[(
                "a",
                "{{#>a}}0123456789{{> @partial-block}}{{> @partial-block}}{{/a}}",
            )],
            "{{#>a}}x{{/a}}",
            "",
        ),
        (&[], loops.as_str(), "steps"),
        (
            &[],
            nested(33, "{{#if x}}", "", "{{/if}}").as_str(),
            "levels deep",
        ),
        (&[], nested(20, "{{x (", "", "").as_str(), ""),
        (
            &[],
            format!("{{{{x {}}}}}", nested(17, "(", "", ")")).as_str(),
            "levels deep",
        ),
        (
            &[],
            format!("{{{{json {}}}}}", nested(17, "[", "", "]")).as_str(),
            "levels deep",
        ),
    ] {
        let seen = rendered(partials, source, many.clone()).unwrap_err();
        assert!(seen.contains(said), "{source}: {seen}");
    }
    // A doubling that ends would take ages to reach the depth: the steps end it.
    let names: Vec<String> = (0..40).map(|i| format!("p{i}")).collect();
    let texts: Vec<String> = (0..40)
        .map(|i| format!("{{{{>p{0}}}}}{{{{>p{0}}}}}", i + 1))
        .collect();
    let mut partials: Vec<(&str, &str)> = names
        .iter()
        .zip(&texts)
        .map(|(n, t)| (n.as_str(), t.as_str()))
        .collect();
    partials.push(("p40", ""));
    let seen = rendered(&partials, "{{>p0}}", json!({})).unwrap_err();
    assert!(seen.contains("steps"), "{seen}");
}

#[test]
fn front_matter_is_read_by_its_keys() {
    let source = "# licence\n\n---\nname: n\nvariant: v\nversion: 2\ndescription: d\nmodel: m\n\
        tools: [a, b]\ntoolDefs: [{name: c}]\nmaxTurns: 3\nmetadata: {x: 1}\ninput:\n  schema: {a: string}\n  \
        default: {a: b}\noutput: {format: json, schema: string}\nx.y: 1\nx.y.z: 2\nown: 3\n---\n\n T \n";
    let document = parse(source).unwrap();
    let front = &document.front;
    assert_eq!(document.flaws, []);
    assert_eq!(
        (
            document.template.as_str(),
            &source[document.template_start..][..1]
        ),
        ("T", "T")
    );
    assert_eq!(front.name.as_deref(), Some("n"));
    assert_eq!(front.variant.as_deref(), Some("v"));
    assert_eq!(front.version.as_deref(), Some("2"));
    assert_eq!(front.tools, ["a", "b"]);
    assert_eq!(front.tool_defs, [json!({"name": "c"})]);
    assert_eq!(
        (front.max_turns, &front.metadata["x"]),
        (Some(3), &json!(1))
    );
    assert_eq!(front.input.default["a"], "b");
    assert_eq!(front.output.format.as_deref(), Some("json"));
    assert_eq!(json!(front.ext), json!({"x": {"y": 1}, "x.y": {"z": 2}}));
    assert_eq!(front.raw["own"], 3);
    for (source, template) in [
        ("x", "x"),
        (" x ", " x "),
        ("---\n---\nx", "x"),
        ("---\na: 1\n---", ""),
        ("--- x\n---\n", "--- x\n---\n"),
        ("---\na: 1\n", "---\na: 1\n"),
        ("\u{feff}---\r\na: 1\r\n---\r\nx\r\n", "x"),
    ] {
        assert_eq!(parse(source).unwrap().template, template, "{source:?}");
    }
    let flaw = parse("\n---\na: 1\nb: [\n---\nx").unwrap_err();
    assert!(flaw.message.contains("not YAML"), "{flaw:?}");
    assert!(flaw.place.is_some_and(|(line, _)| line >= 4), "{flaw:?}");
}

/// Pieces of templates, so that random ones are often nearly right.
fn template() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z .\n~\\\\]{0,6}",
        "[{}#/^>!&~@.()\\[\\]\"'|=*\\\\ a-c\n-]{0,12}",
        Just("{{".to_owned()),
        Just("}}".to_owned()),
        Just("\u{fdd0}0;".to_owned()),
        prop_oneof![
            Just("{{a}}"),
            Just("{{#if a}}"),
            Just("{{/if}}"),
            Just("{{else}}"),
            Just("{{~else if b~}}"),
            Just("{{#each l}}"),
            Just("{{/each}}"),
            Just("{{#l}}"),
            Just("{{^l}}"),
            Just("{{/l}}"),
            Just("{{>p}}"),
            Just("{{>t}}"),
            Just("{{#>p a=b}}"),
            Just("{{/p}}"),
            Just("{{> @partial-block}}"),
            Just("{{#*inline \"p\"}}"),
            Just("{{/inline}}"),
            Just("{{role \"user\"}}"),
            Just("{{history}}"),
            Just("{{media url=a}}"),
            Just("{{section \"s\"}}"),
            Just("{{json l indent=2}}"),
            Just("{{..}}"),
            Just("{{../@key}}"),
            Just("{{@../key.x}}"),
            Just("{{lookup l (lookup a b)}}"),
            Just("{{{a}}}"),
            Just("{{{{raw}}}}"),
            Just("{{{{/raw}}}}"),
            Just("{{!-- "),
            Just("--~}}"),
            Just("{{[a b].c}}"),
            Just("\\{{"),
            Just("{{#with l as |x y|}}"),
            Just("{{/with}}"),
            Just("{{a.length}}"),
        ]
        .prop_map(str::to_owned),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|all| all.concat())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-c{}<:>\u{fdd0};=0-2]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-c(),?* ]{0,8}", inner, 0..4)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_template_and_no_data_bring_it_down(
        main in template(),
        partial in template(),
        a in value(),
        l in value(),
    ) {
        let mut templates = Templates::new();
        let _ = templates.add("p", &partial);
        if templates.add("t", &main).is_ok() {
            let _ = templates.partials_of("t");
            let _ = templates.missing("t");
            let _ = templates.render("t", &data(json!({"a": a, "b": "x", "l": l})));
        }
    }

    #[test]
    fn data_is_written_as_it_is_and_makes_no_message(text in "[a-z<:>{}\u{fdd0}\u{fdd1};=0-9]{1,40}") {
        prop_assume!(!text.trim().is_empty());
        let mut templates = Templates::new();
        templates.add("t", "{{role \"system\"}}{{a}}{{a}}").unwrap();
        let seen = templates.render("t", &data(json!({"a": text}))).unwrap();
        prop_assert_eq!(seen.len(), 1);
        prop_assert_eq!(&seen[0].content, &[Part::text(text.repeat(2))]);
    }

    #[test]
    fn no_front_matter_and_no_schema_bring_it_down(
        source in "(---\n)?[a-c:{}\\[\\]#&*!|>'\"?,. \n-]{0,80}(\n---\n)?[a-z{}]{0,10}",
        schema in value(),
    ) {
        let _ = parse(&source);
        let _ = to_json_schema(&schema, &|name| (name == "a").then(|| json!({"type": "string"})));
    }
}
