//! Each mistake in `praxis.toml` gets a diagnostic that a person can act on.

use super::*;

fn check(source: &str, expected: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(FILE_NAME), source).unwrap();
    let diagnostics = AppConfig::load(dir.path()).expect_err("must be refused");
    let text: String = diagnostics.iter().map(|d| d.render(false)).collect();
    for part in expected {
        assert!(
            text.contains(part),
            "{part:?} is missing for {source:?}:\n{text}"
        );
    }
}

#[test]
fn mistakes_name_place_text_and_fix() {
    for (source, expected) in [
        (
            "[modles.gpt]\n",
            &[
                "praxis.toml:1:2",
                "unknown key `modles`",
                "did you mean `models`?",
            ][..],
        ),
        (
            "[server]\nprot = 1\n",
            &[
                "praxis.toml:2:1",
                "did you mean `port`?",
                "host, port, api_key, keys",
            ],
        ),
        (
            "[[server.keys]]\nname = \"hr\"\nkey = \"sk-1\"\nlabels = [\"h r\"]\n[[server.keys]]\nname = \"hr\"\nkey = \"env:K\"\n",
            &[
                "`hr` must name an environment variable",
                "`h r` of the key `hr` is no label",
                "two of `server.keys` are called `hr`",
            ],
        ),
        (
            "[server]\nopen = true\napi_key = \"env:K\"\nlimits = [\"9 requests/minute\"]\n",
            &[
                "praxis.toml:2:8",
                "`open = true` says that there are no keys",
                "praxis.toml:4:10",
                "`limits` hold for keys",
            ],
        ),
        (
            "[server]\ncors_origins = [\"https://app.example/\"]\nmax_connections = 2\nmax_connections_per_address = 0\n",
            &[
                "praxis.toml:2:16",
                "`https://app.example/` is no origin of a page",
                "write it as browsers do: \"https://app.example\"",
                "praxis.toml:3:19",
                "2 connections at a time are too few",
                "praxis.toml:4:31",
                "lets nobody in",
            ],
        ),
        (
            "[server]\nhost = \"elsewhere\"\n",
            &["praxis.toml:2", "write 127.0.0.1, or 0.0.0.0 for all"],
        ),
        (
            "[server]\ntls = { certificate = \"cert.pem\" }\n",
            &["praxis.toml:2", "missing field `key`"],
        ),
        (
            "[server]\ndrain = \"20\"\n",
            &["praxis.toml:2", "is not a span of time"],
        ),
        (
            "[guard]\nmodel = true\n[[guard.input]]\nrules = \"secrets\"\naction = \"block\"\n[[guard.input]]\nrules = [\"emial\"]\naction = \"mask\"\n",
            &[
                "praxis.toml:2:9",
                "unknown key `guard.model`",
                "did you mean `models`?",
                "praxis.toml:7:9",
                "did you mean `email`?",
            ],
        ),
        (
            "[guard]\nmodels = true\n",
            &["praxis.toml:1:2", "`[guard]` guards nothing"],
        ),
        (
            "[server]\nport = \"x\"\n",
            &["praxis.toml:2:8", "a whole number from 0 to 65535"],
        ),
        ("[app\nname = 1", &["praxis.toml:1"]),
        (
            "[models.gpt]\nprovider = \"openia\"\nmodel = \"m\"\n",
            &["praxis.toml:2:12", "openia", "did you mean `openai`?"],
        ),
        (
            "[models.gpt]\nprovider = \"openai\"\nmodel = \"m\"\nbase_url = \"http://localhost/v1\"\napi_key = \"sk-123\"\n",
            &["praxis.toml:5:11", "env:"],
        ),
        (
            "[models.a]\nprovider = \"openai\"\nmodel = \"m\"\nbase_url = \"http://localhost/v1\"\nfallback = [\"b\"]\n",
            &["praxis.toml:5:12", "`b`"],
        ),
        (
            "[models.\"gpt-4.1\"]\nprovider = \"openai\"\nmodel = \"m\"\nbase_url = \"http://localhost/v1\"\nfallback = [\"b\"]\n",
            &["praxis.toml:5:12", "`b`"],
        ),
    ] {
        check(source, expected);
    }
}

#[test]
fn mistakes_in_sources_are_found_at_their_line_and_show_no_password() {
    let dir = tempfile::tempdir().unwrap();
    let source = "[[sources]]\ntype = \"folder\"\n\n[[sources]]\ntype = \"git\"\nurl = \"https://me:hidden@example.com/a\"\ntimeout = \"1m\"\n\n\
                  [[sources]]\ntype = \"web\"\nurls = [\"https://me:hidden@example.com/\"]\nparallel = 99\n";
    let path = dir.path().join("docs.toml");
    std::fs::write(&path, source).unwrap();
    let file = toml_file::read(&path, "docs.toml").unwrap();
    let config: praxis_knowledge::BaseConfig = file.parse().unwrap();
    let found: Vec<Diagnostic> = config
        .problems()
        .into_iter()
        .map(|p| file.diagnose(p))
        .collect();
    let lines: Vec<usize> = found
        .iter()
        .map(|d| d.span.as_ref().unwrap().line)
        .collect();
    assert_eq!(lines, [6, 11, 12], "{found:?}");
    for diagnostic in found {
        let text = diagnostic.render(false);
        assert!(!text.contains("hidden"), "{text}");
    }
    std::fs::write(
        &path,
        "[[sources]]\ntype = \"web\"\nurl = \"https://e.com\"\n",
    )
    .unwrap();
    let file = toml_file::read(&path, "docs.toml").unwrap();
    let wrong = file.parse::<praxis_knowledge::BaseConfig>().unwrap_err();
    assert!(wrong.render(false).contains("`url`"), "{wrong:?}");
}

#[test]
fn a_secret_written_into_the_file_is_not_printed() {
    let dir = tempfile::tempdir().unwrap();
    for source in [
        "[models.gpt]\nprovider = \"openai\"\nmodel = \"m\"\nbase_url = \"http://localhost/v1\"\napi_key = \"sk-live-123\"\n",
        "[server]\napi_key = \"sk-live-123\"\n",
        "[[server.keys]]\nname = \"hr\"\nkey = \"sk-live-123\"\n",
        "[server]\nkeys = [{ name = \"hr\", key = \"sk-live-123\" }]\n",
    ] {
        std::fs::write(dir.path().join(FILE_NAME), source).unwrap();
        let diagnostics = AppConfig::load(dir.path()).expect_err("must be refused");
        assert_eq!(diagnostics.len(), 1);
        assert!(
            !diagnostics[0].render(false).contains("sk-live"),
            "{}",
            diagnostics[0]
        );
    }
}

#[test]
fn bounds_of_the_server_are_the_usual_ones_where_nothing_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    std::fs::write(&path, "[server]\ndrain = \"5s\"\nmax_connections = 64\n").unwrap();
    let bounds = AppConfig::load(dir.path()).unwrap().server.bounds();
    let usual = praxis_api::Bounds::default();
    assert_eq!(bounds.drain, std::time::Duration::from_secs(5));
    assert_eq!(bounds.connections, 64);
    assert_eq!(bounds.write, usual.write);
    assert_eq!(bounds.per_address, usual.per_address);
}

#[test]
fn localhost_is_an_address_to_listen_on() {
    for (written, meant) in [
        ("localhost", "127.0.0.1"),
        ("::1", "::1"),
        ("0.0.0.0", "0.0.0.0"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let source = format!("[server]\nhost = \"{written}\"\n");
        std::fs::write(dir.path().join(FILE_NAME), source).unwrap();
        let host = AppConfig::load(dir.path()).unwrap().server.host;
        assert_eq!(host, meant.parse().ok(), "{written}");
    }
}
