//! A knowledge graph through the real binary, with the smallest model: built in pieces, asked, exported.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    dead_code,
    reason = "tests fail by panicking, and share support that not each of them uses"
)]

mod support;

use support::{Sandbox, has_model};

const GRAPH: &str =
    "[graph]\nenabled = true\nmax_triples = 2\nentities = [\"person\", \"place\"]\n";

#[test]
fn a_graph_is_built_asked_and_exported() {
    if !has_model("multilingual-e5-small") || !has_model("smollm2-135m-instruct") {
        return;
    }
    let app = Sandbox::knowledge_qa();
    app.write("knowledge/docs.toml", GRAPH);
    app.write(
        "knowledge/curie.txt",
        "Marie Curie was born in Warsaw and worked in Paris.\n",
    );
    app.write(
        "knowledge/luxun.txt",
        "鲁迅在仙台学医，藤野严九郎是他的老师。\n",
    );
    let early = app.praxis(&["knowledge", "graph", "build"]);
    assert!(
        !early.ok && early.stderr.contains("praxis ingest docs"),
        "{early:?}"
    );
    assert!(app.praxis(&["ingest"]).ok);

    let one = app.json(&["knowledge", "graph", "build", "--limit", "1"]);
    assert_eq!(
        (&one["report"]["extracted"], &one["report"]["left"]),
        (&1.into(), &1.into()),
        "{one}"
    );
    let rest = app.json(&["knowledge", "graph", "build", "docs"]);
    assert_eq!(
        (&rest["report"]["extracted"], &rest["report"]["left"]),
        (&1.into(), &0.into()),
        "{rest}"
    );
    assert!(
        rest["report"]["usage"]["output_tokens"]
            .as_u64()
            .is_some_and(|n| n > 0)
    );
    let trace = rest["trace"].as_str().unwrap();
    assert!(
        app.praxis(&["traces", "show", trace])
            .stdout
            .contains("extract")
    );

    let stats = app.json(&["knowledge", "graph", "stats"])["stats"].clone();
    assert_eq!(stats["extractions"][0]["chunks"], 2, "{stats}");
    let run = app.praxis(&[
        "knowledge",
        "graph",
        "export",
        "--format",
        "graphml",
        "--out",
        "g.graphml",
    ]);
    let graphml = std::fs::read_to_string(app.path("g.graphml")).unwrap();
    assert!(run.ok && graphml.ends_with("</graphml>\n"), "{run:?}");
    let shown = app.json(&["knowledge", "graph", "show"])["graph"].clone();
    let entities = shown["entities"].as_array().unwrap();
    assert_eq!(stats["entities"], entities.len(), "{shown}");
    if let Some(name) = entities.first().and_then(|e| e["name"].as_str()) {
        let run = app.praxis(&["knowledge", "graph", "show", name]);
        assert!(run.ok && run.stdout.contains(name), "{run:?}");
        let run = app.praxis(&["knowledge", "graph", "path", name, name]);
        assert!(run.ok, "{run:?}");
    }
    let unknown = app.praxis(&["knowledge", "graph", "show", "Nobody at all"]);
    assert!(
        !unknown.ok && unknown.stderr.contains("no entity `Nobody at all`"),
        "{unknown:?}"
    );

    app.write(
        "knowledge/docs.toml",
        GRAPH.replace("max_triples = 2", "max_triples = 0"),
    );
    let wrong = app.praxis(&["check"]);
    assert!(
        !wrong.ok && wrong.stderr.contains("`max_triples` is 0"),
        "{wrong:?}"
    );
}
