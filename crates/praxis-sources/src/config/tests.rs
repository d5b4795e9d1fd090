//! Settings as people write them, and what is said of wrong ones.

use super::*;

#[derive(Deserialize)]
struct Base {
    sources: Vec<SourceConfig>,
}

fn wrong(text: &str) -> Vec<String> {
    let base: Base = toml::from_str(text).unwrap();
    let keyed = base
        .sources
        .iter()
        .enumerate()
        .map(|(i, s)| (format!("sources.{i}"), s));
    problems(keyed)
        .into_iter()
        .map(|p| format!("{}: {}", p.path, p.message))
        .collect()
}

#[test]
fn each_kind_is_read_and_named_after_what_it_reads() {
    let base: Base = toml::from_str(
        "[[sources]]\ntype = \"web\"\nurls = [\"https://docs.example.com/guide/\"]\nevery = \"1h\"\n\
         [[sources]]\ntype = \"git\"\nurl = \"git@example.com:team/hand.book.git\"\nref = \"main\"\n\
         [[sources]]\ntype = \"s3\"\nbucket = \"papers\"\n\
         [[sources]]\ntype = \"sql\"\ndatabase = \"shop.db\"\nquery = \"SELECT 1 AS id\"\n\
         [[sources]]\ntype = \"jsonl\"\npaths = [\"*.jsonl\"]\n\
         [[sources]]\ntype = \"folder\"\n",
    )
    .unwrap();
    let names: Vec<String> = base.sources.iter().map(SourceConfig::name).collect();
    assert_eq!(
        names,
        [
            "docs.example.com",
            "hand.book",
            "papers",
            "sql",
            "jsonl",
            "folder"
        ]
    );
    assert_eq!(base.sources[0].every().unwrap().as_secs(), 3600);
    let keyed = base.sources.iter().map(|s| ("s".to_owned(), s));
    assert_eq!(problems(keyed), []);
}

#[test]
fn each_kind_may_lose_all_of_its_documents_where_it_says_so() {
    for kind in ["folder", "web", "git", "s3", "sql", "jsonl"] {
        let may_empty = |more: &str| {
            let text = format!("[[sources]]\ntype = \"{kind}\"\n{more}");
            let base: Base = toml::from_str(&text).unwrap();
            base.sources[0].may_empty()
        };
        assert!(!may_empty("") && may_empty("may_empty = true\n"), "{kind}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_key() {
    for (text, expected) in [
        (
            "type = \"web\"",
            "sources.0.urls: there is nothing to start from",
        ),
        ("type = \"web\"\nurls = [\"ftp://a/\"]", "neither http"),
        (
            "type = \"web\"\nurls = [\"https://u:p@a/\"]",
            "holds a user",
        ),
        (
            "type = \"web\"\nurls = [\"https://a/\"]\nparallel = 99",
            "sources.0.parallel",
        ),
        ("type = \"git\"\nurl = \"ext::sh -c x\"", "sources.0.url"),
        ("type = \"git\"\nurl = \"https://u:p@a/b\"", "sources.0.url"),
        (
            "type = \"git\"\nurl = \"https://a/b\"\nref = \"--upload-pack=x\"",
            "sources.0.ref",
        ),
        (
            "type = \"git\"\nurl = \"https://a/b\"\ntoken = \"abc\"",
            "sources.0.token",
        ),
        ("type = \"s3\"\nbucket = \"a/b\"", "sources.0.bucket"),
        (
            "type = \"s3\"\nbucket = \"b\"\naccess_key = \"env:A\"",
            "belong together",
        ),
        (
            "type = \"sql\"\ndatabase = \"postgres://u:p@h/d\"\nquery = \"SELECT 1\"",
            "sources.0.database",
        ),
        (
            "type = \"sql\"\ndatabase = \"a.db\"\nquery = \" \"",
            "sources.0.query",
        ),
        (
            "type = \"sql\"\ndatabase = \"a.db\"\nquery = \"q\"\ntemplate = \"{{a\"",
            "sources.0.template",
        ),
        ("type = \"jsonl\"", "sources.0.paths"),
        ("type = \"folder\"\nname = \"../x\"", "sources.0.name"),
        (
            "type = \"folder\"\n[[sources]]\ntype = \"folder\"",
            "sources.1.name: two sources",
        ),
    ] {
        let found = wrong(&format!("[[sources]]\n{text}\n"));
        assert!(
            found.iter().any(|f| f.contains(expected)),
            "{text}: {found:?}"
        );
        assert!(
            !found.iter().any(|f| f.contains("u:p@")),
            "a secret shows: {found:?}"
        );
    }
}
