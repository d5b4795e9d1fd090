//! What is said of mistakes in a configuration, each with its key and its fix.

use super::*;

fn problems(source: &str) -> Vec<Problem> {
    toml::from_str::<GatewayConfig>(source).unwrap().problems()
}

const GPT: &str = "[models.gpt]\nprovider = \"openai\"\nmodel = \"m\"\n";

#[test]
fn each_mistake_names_its_key_and_its_fix() {
    for (source, path, message, help) in [
        (
            "[defaults]\nchat = \"qwen2.5-coder-1.5b\"",
            "defaults.chat",
            "`qwen2.5-coder-1.5b`",
            "did you mean `qwen2.5-coder-1.5b-instruct`?",
        ),
        (
            "[defaults]\nchat = \"multilingual-e5-small\"",
            "defaults.chat",
            "for embedding, not chat",
            "name a model for chat",
        ),
        (
            "[models.e]\nprovider = \"local\"\nmodel = \"multilingual-e5-small\"\ncache_tokens = 9",
            "models.e.cache_tokens",
            "no meaning for a model for embedding",
            "it is for chat models",
        ),
        (
            "[models.gpt]\nprovider = \"azure\"\nmodel = \"m\"",
            "models.gpt",
            "`base_url` is missing",
            "base_url = ",
        ),
        (
            "[models.c]\nprovider = \"anthropic\"\nmodel = \"m\"\ntask = \"embedding\"",
            "models.c.task",
            "no models for embedding",
            "for chat",
        ),
        (
            &format!("{GPT}headers = {{ \"a b\" = \"c\" }}"),
            "models.gpt.headers",
            "`a b` is no name of a header",
            "X-Title",
        ),
        (
            &format!("{GPT}headers = {{ a = \"env:\" }}"),
            "models.gpt.headers",
            "`a` refers to no environment variable",
            "env:NAME",
        ),
        (
            "[models.e]\nprovider = \"local\"\nmodel = \"all-minilm-l6-v2\"\ncache = \"1h\"",
            "models.e.cache",
            "for embedding are not kept",
            "for chat models",
        ),
        (
            &format!("{GPT}price = {{ input = 1, cached_input = -1 }}"),
            "models.gpt.price",
            "negative",
            "million",
        ),
        (
            "[models.a]\nprovider = \"local\"\nmodel = \"x.gguf\"\nregion = \"eu\"",
            "models.a.region",
            "no meaning for a local model",
            "remove it",
        ),
        (
            &format!("{GPT}[routes]\ngpt = \"gpt\""),
            "routes.gpt",
            "a model has this name too",
            "another name",
        ),
        (
            "[routes]\nfast = []",
            "routes.fast",
            "names no model",
            "targets",
        ),
        (
            &format!("{GPT}[routes]\nfast = [\"gpd\"]"),
            "routes.fast",
            "`gpd`",
            "did you mean `gpt`?",
        ),
        (
            "[routes]\na = \"smollm2-135m-instruct\"\nb = \"a\"",
            "routes.b",
            "`a` is a route",
            "models",
        ),
        (
            "[routes]\nr = [\"all-minilm-l6-v2\"]",
            "routes.r",
            "for embedding, not chat",
            "chat",
        ),
        (
            &format!(
                "{GPT}[routes.r]\norder = \"weighted\"\ntargets = [{{ model = \"gpt\", weight = -1 }}]"
            ),
            "routes.r.targets",
            "weights",
            "at least one above 0",
        ),
        (
            &format!("{GPT}region = \"us\"\n[routes.r]\ntargets = [\"gpt\"]\nregions = [\"eu\"]"),
            "routes.r.regions",
            "no model of it is in `eu`",
            "region",
        ),
        (
            &format!(
                "{GPT}[routes.r]\ntargets = [\"gpt\"]\nshadow = {{ model = \"gpt\", share = 2 }}"
            ),
            "routes.r.shadow",
            "share",
            "between 0 and 1",
        ),
        (
            &format!(
                "{GPT}region = \"eu\"\n[models.far]\nprovider = \"openai\"\nmodel = \"x\"\nregion = \"us\"\n\
                 [routes.r]\ntargets = [\"gpt\"]\nregions = [\"eu\"]\nshadow = {{ model = \"far\" }}"
            ),
            "routes.r.shadow",
            "`far` is not in a region of the route",
            "region = \"eu\"",
        ),
        (
            &format!("{GPT}[routes.r]\ntargets = [\"gpt\"]\nshadow = {{ model = \"none\" }}"),
            "routes.r.shadow",
            "`none`",
            "praxis models list",
        ),
        (
            &format!("{GPT}base_url = \"api.openai.com\""),
            "models.gpt.base_url",
            "not an http address",
            "https://",
        ),
        (
            &format!("{GPT}base_url = \"http://x/v1\"\napi_key = \"sk-1\""),
            "models.gpt.api_key",
            "environment variable",
            "env:",
        ),
        (
            &format!("{GPT}base_url = \"http://x/v1\"\nfallback = [\"smollm2-135-instruct\"]"),
            "models.gpt.fallback",
            "`smollm2-135-instruct`",
            "did you mean `smollm2-135m-instruct`?",
        ),
        (
            &format!("{GPT}base_url = \"http://x/v1\"\nfallback = [\"whisper-base\"]"),
            "models.gpt.fallback",
            "for transcription, not chat",
            "same task",
        ),
        (
            &format!(
                "{GPT}base_url = \"http://x/v1\"\ntask = \"embedding\"\nfallback = [\"all-minilm-l6-v2\"]"
            ),
            "models.gpt.fallback",
            "cannot fall back",
            "mixed",
        ),
        (
            &format!(
                "{GPT}base_url = \"http://x/v1\"\ntask = \"reranking\"\nfallback = [\"smollm2-135m-instruct\"]"
            ),
            "models.gpt.fallback",
            "a reranker cannot fall back",
            "keeps the order",
        ),
        (
            &format!("{GPT}base_url = \"http://x/v1\"\nprice = {{ input = -1 }}"),
            "models.gpt.price",
            "negative",
            "million",
        ),
        (
            &format!("{GPT}base_url = \"http://x/v1\"\ndevice = \"cuda\""),
            "models.gpt.device",
            "no meaning for a remote model",
            "remove it",
        ),
        (
            "[models.a]\nprovider = \"local\"\nmodel = \"x.gguf\"\ndevice = \"cuda\"\nadapter = \"x\"",
            "models.a.adapter",
            "no meaning for a model on a GPU",
            "device = \"cpu\"",
        ),
        (
            "[models.a]\nprovider = \"local\"\nmodel = \"all-minilm-l6-v2\"\ndevice = \"cuda\"",
            "models.a.device",
            "runs on the CPU only",
            "chat models",
        ),
        (
            "[models.a]\nprovider = \"local\"\nmodel = \"smolm2-135m-instruct\"",
            "models.a.model",
            "`smolm2-135m-instruct`",
            "did you mean `smollm2-135m-instruct`?",
        ),
        (
            "[models.a]\nprovider = \"local\"\nmodel = \"x.gguf\"\napi_key = \"env:A\"",
            "models.a.api_key",
            "no meaning",
            "provider = \"openai\"",
        ),
        (
            &format!("{GPT}base_url = \"http://x/v1\"\nadapter = \"legal.gguf\""),
            "models.gpt.adapter",
            "no meaning",
            "remove",
        ),
        (
            "[models.a]\nprovider = \"local\"\nmodel = \"all-minilm-l6-v2\"\nadapter = \"x.gguf\"",
            "models.a.adapter",
            "for embedding",
            "chat models",
        ),
        (
            "[models.a]\nprovider = \"local\"\nmodel = \"x.gguf\"\nthreads = 0",
            "models.a.threads",
            "at least 1",
            "default",
        ),
        (
            &format!(
                "{GPT}base_url = \"http://x/v1\"\nfallback = [\"a\"]\n[models.a]\nprovider = \"local\"\nmodel = \"x.gguf\"\nfallback = [\"b\"]\n[models.b]\nprovider = \"local\"\nmodel = \"y.gguf\"\nfallback = [\"gpt\"]"
            ),
            "models.a.fallback",
            "a -> b -> gpt -> a",
            "no fallback",
        ),
    ] {
        let found = problems(source);
        let [problem] = found.as_slice() else {
            panic!("{source}: {found:?}")
        };
        assert_eq!(problem.path, path, "{source}");
        assert!(problem.message.contains(message), "{source}: {problem}");
        assert!(
            problem.help.as_ref().unwrap().contains(help),
            "{source}: {problem}"
        );
    }
}

#[test]
fn a_good_configuration_has_no_problems_and_names_what_it_needs() {
    let source = format!(
        "[defaults]\nchat = \"gpt\"\nembedding = \"multilingual-e5-small\"\n{GPT}base_url = \"https://x/v1\"\n\
         api_key = \"env:X_KEY\"\ntimeout = \"60s\"\nprice = {{ input = 0.15, output = 0.6 }}\n\
         fallback = [\"small\"]\n[models.small]\nprovider = \"local\"\nmodel = \"smollm2-135m-instruct\"\n"
    );
    let config: GatewayConfig = toml::from_str(&source).unwrap();
    assert_eq!(config.problems(), []);
    assert_eq!(
        config.local_models(),
        ["multilingual-e5-small", "smollm2-135m-instruct"]
    );
    assert!(config.known_models().iter().any(|n| n == "gpt"));
    assert_eq!(
        GatewayConfig::default().local_models(),
        [crate::DEFAULT_CHAT_MODEL]
    );
}

#[test]
fn a_key_in_the_file_is_never_printed() {
    let source = format!("{GPT}base_url = \"http://x/v1\"\napi_key = \"sk-live-123\"");
    let config: GatewayConfig = toml::from_str(&source).unwrap();
    let shown = format!("{config:?} {:?}", config.problems());
    assert!(!shown.contains("sk-live"), "{shown}");
}

#[test]
fn a_provider_that_nobody_knows_is_told_with_those_like_it() {
    for (name, said) in [
        ("antropic", "did you mean `anthropic`?"),
        ("xyz", "one of local, "),
    ] {
        let source = format!("[models.m]\nprovider = \"{name}\"\nmodel = \"m\"");
        let error = toml::from_str::<GatewayConfig>(&source)
            .unwrap_err()
            .to_string();
        assert!(error.contains(said) && error.contains(name), "{error}");
    }
}

#[test]
fn a_route_is_a_model_like_others() {
    let source = format!(
        "[defaults]\nchat = \"main\"\n{GPT}region = \"eu\"\n[routes.main]\ntargets = [\"gpt\"]\nregions = [\"eu\"]\n\
         shadow = {{ model = \"smollm2-135m-instruct\", share = 0.1 }}"
    );
    let config: GatewayConfig = toml::from_str(&source).unwrap();
    assert_eq!(config.problems(), []);
    assert_eq!(config.task_of("main"), Some(Task::Chat));
    assert!(config.known_models().iter().any(|n| n == "main"));
    assert_eq!(config.local_models(), ["smollm2-135m-instruct"]);
}
