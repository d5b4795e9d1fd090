//! What can be wrong with a gateway's configuration beyond its shape. Each [`Problem`] names its key,
//! so that the application's loader can point at the place in the file.

use praxis_core::Problem;
use praxis_core::suggest::nearest;
use praxis_engine::Device;
use praxis_hub::{Catalogue, Task};
use reqwest::Url;

use crate::config::{GatewayConfig, ModelConfig, Provider, is_path};

impl GatewayConfig {
    /// What the model of a name does; `None` for an unknown name.
    pub fn task_of(&self, name: &str) -> Option<Task> {
        let catalogue = Catalogue::builtin().ok()?;
        match self.models.get(name) {
            Some(model) => Some(model.task(&catalogue)),
            None => catalogue.find(name).map(|e| e.task),
        }
    }

    /// All that is wrong, in the order of the keys.
    pub fn problems(&self) -> Vec<Problem> {
        let Ok(catalogue) = Catalogue::builtin() else {
            return Vec::new();
        };
        let mut check = Check {
            config: self,
            catalogue: &catalogue,
            problems: Vec::new(),
        };
        check.default("chat", self.defaults.chat.as_deref(), Task::Chat);
        check.default(
            "embedding",
            self.defaults.embedding.as_deref(),
            Task::Embedding,
        );
        for (name, model) in &self.models {
            check.provider(name, model);
            check.encoder(name, model);
            check.adapter(name, model);
            check.device(name, model);
            check.numbers(name, model);
            check.fallback(name, model);
        }
        check.problems
    }
}

struct Check<'a> {
    config: &'a GatewayConfig,
    catalogue: &'a Catalogue,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn report(&mut self, path: String, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Problem {
            path,
            message: message.into(),
            help: Some(help.into()),
        });
    }

    /// What a name in use does; `None` for an unknown one.
    fn task_of(&self, name: &str) -> Option<Task> {
        match self.config.models.get(name) {
            Some(model) => Some(model.task(self.catalogue)),
            None => self.catalogue.find(name).map(|e| e.task),
        }
    }

    fn unknown(&self, name: &str) -> (String, String) {
        let known = self.config.known_models();
        let help = match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "declare it as [models.NAME], or take one of `praxis models list`".to_owned(),
        };
        (format!("no model is called `{name}`"), help)
    }

    fn default(&mut self, key: &str, name: Option<&str>, task: Task) {
        let Some(name) = name else { return };
        let path = format!("defaults.{key}");
        match self.task_of(name) {
            None => {
                let (message, help) = self.unknown(name);
                self.report(path, message, help);
            }
            Some(actual) if actual != task => {
                let help = format!("name a model whose task is {task}");
                self.report(
                    path,
                    format!("`{name}` is a model for {actual}, not {task}"),
                    help,
                );
            }
            Some(_) => {}
        }
    }

    fn provider(&mut self, name: &str, model: &ModelConfig) {
        let at = |key: &str| format!("models.{name}.{key}");
        match model.provider {
            Provider::Local => {
                let strangers = [
                    ("base_url", model.base_url.is_some()),
                    ("api_key", model.api_key.is_some()),
                    ("structured_outputs", model.structured_outputs.is_some()),
                ];
                for (key, _) in strangers.iter().filter(|(_, given)| *given) {
                    let message = format!("`{key}` has no meaning for a local model");
                    self.report(at(key), message, "remove it, or set provider = \"openai\"");
                }
                if !is_path(&model.model) && self.catalogue.find(&model.model).is_none() {
                    let help = match nearest(&model.model, self.catalogue.names()) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => {
                            "one of `praxis models list`, or the path of a .gguf file".to_owned()
                        }
                    };
                    let message = format!("no model `{}` in the catalogue", model.model);
                    self.report(at("model"), message, help);
                }
            }
            Provider::OpenAi => {
                if let Some(url) = &model.base_url {
                    let good = Url::parse(url)
                        .is_ok_and(|u| matches!(u.scheme(), "http" | "https") && u.has_host());
                    if !good {
                        let message = format!("`{url}` is not an http address");
                        self.report(at("base_url"), message, "like https://api.openai.com/v1");
                    }
                } else {
                    let help = "e.g. base_url = \"https://api.openai.com/v1\"";
                    self.report(format!("models.{name}"), "`base_url` is missing", help);
                }
                let ours = [
                    ("threads", model.threads),
                    ("parallel", model.parallel),
                    ("cache_tokens", model.cache_tokens),
                ];
                let adapter = model.adapter.as_ref().map(|_| "adapter");
                let device = model.device.map(|_| "device");
                let given = ours.iter().filter(|(_, n)| n.is_some());
                for key in given.map(|(key, _)| *key).chain(adapter).chain(device) {
                    let message = format!("`{key}` has no meaning for a remote model");
                    self.report(at(key), message, "remove it");
                }
                if model
                    .api_key
                    .as_ref()
                    .is_some_and(|k| k.variable().is_none())
                {
                    let message = "`api_key` must name an environment variable";
                    let help = "write api_key = \"env:OPENAI_API_KEY\" and put the key into that \
                                variable: files are shared and committed, keys must not be";
                    self.report(at("api_key"), message, help);
                }
            }
        }
    }

    /// What a local model for embedding or reranking has no use of.
    fn encoder(&mut self, name: &str, model: &ModelConfig) {
        let task = model.task(self.catalogue);
        if model.provider != Provider::Local || task == Task::Chat {
            return;
        }
        for (key, given) in [
            ("parallel", model.parallel.is_some()),
            ("cache_tokens", model.cache_tokens.is_some()),
        ] {
            if given {
                let message = format!("`{key}` has no meaning for a model for {task}");
                self.report(
                    format!("models.{name}.{key}"),
                    message,
                    "remove it: it is for chat models",
                );
            }
        }
    }

    fn adapter(&mut self, name: &str, model: &ModelConfig) {
        let task = model.task(self.catalogue);
        if model.adapter.is_some() && task != Task::Chat {
            let message = format!("a model for {task} cannot have an adapter");
            let help = "remove it: adapters are for chat models";
            self.report(format!("models.{name}.adapter"), message, help);
        }
    }

    /// What goes together with a GPU. Whether this machine has one shows when the model is used, so that
    /// a folder can be shared between machines with and without.
    fn device(&mut self, name: &str, model: &ModelConfig) {
        let at = |key: &str| format!("models.{name}.{key}");
        if model.provider != Provider::Local || model.device.unwrap_or_default() == Device::Cpu {
            return;
        }
        let task = model.task(self.catalogue);
        if task != Task::Chat {
            let message = format!("a model for {task} runs on the CPU only");
            self.report(at("device"), message, "remove it: GPUs are for chat models");
        }
        let strangers = [
            ("adapter", model.adapter.is_some()),
            ("threads", model.threads.is_some()),
            ("parallel", model.parallel.is_some()),
            ("cache_tokens", model.cache_tokens.is_some()),
        ];
        for (key, _) in strangers.iter().filter(|(_, given)| *given) {
            let message = format!("`{key}` has no meaning for a model on a GPU");
            self.report(at(key), message, "remove it, or set device = \"cpu\"");
        }
    }

    fn numbers(&mut self, name: &str, model: &ModelConfig) {
        let at = |key: &str| format!("models.{name}.{key}");
        let zeros = [
            ("threads", model.threads),
            ("parallel", model.parallel),
            ("cache_tokens", model.cache_tokens),
            ("context_length", model.context_length),
            ("dimension", model.dimension),
        ];
        for (key, _) in zeros.iter().filter(|(_, n)| *n == Some(0)) {
            self.report(
                at(key),
                format!("`{key}` must be at least 1"),
                "remove it for the default",
            );
        }
        let sound = |p: f64| p.is_finite() && p >= 0.0;
        if model
            .price
            .is_some_and(|p| !sound(p.input) || !sound(p.output))
        {
            let help = "US dollars for a million tokens, e.g. { input = 0.15, output = 0.6 }";
            self.report(at("price"), "a price must not be negative", help);
        }
    }

    fn fallback(&mut self, name: &str, model: &ModelConfig) {
        let path = format!("models.{name}.fallback");
        let task = model.task(self.catalogue);
        let without = match task {
            Task::Embedding => Some((
                "an embedder cannot fall back",
                "remove it: vectors of different models must not be mixed",
            )),
            Task::Reranking => Some((
                "a reranker cannot fall back",
                "remove it: a search whose reranker fails keeps the order that it has",
            )),
            _ => None,
        };
        if let Some((message, help)) = without.filter(|_| !model.fallback.is_empty()) {
            self.report(path, message, help);
            return;
        }
        for other in &model.fallback {
            match self.task_of(other) {
                None => {
                    let (message, help) = self.unknown(other);
                    self.report(path.clone(), message, help);
                }
                Some(actual) if actual != task => {
                    let message = format!("`{other}` is a model for {actual}, not {task}");
                    self.report(path.clone(), message, "name a model with the same task");
                }
                Some(_) => {}
            }
        }
        if let Some(cycle) = self.cycle(name) {
            let message = format!("the fallback goes in a circle: {}", cycle.join(" -> "));
            self.report(
                path,
                message,
                "end the chain with a model that has no fallback",
            );
        }
    }

    /// A way from `start` back to itself along fallbacks. Each circle is reported at its first name
    /// only.
    fn cycle<'a>(&'a self, start: &'a str) -> Option<Vec<&'a str>> {
        let mut stack = vec![vec![start]];
        while let Some(way) = stack.pop() {
            let last = *way.last()?;
            for next in self
                .config
                .models
                .get(last)
                .into_iter()
                .flat_map(|m| &m.fallback)
            {
                let mut longer = way.clone();
                longer.push(next);
                if next == start {
                    return longer.iter().all(|n| *n >= start).then_some(longer);
                }
                if !way.contains(&next.as_str()) {
                    stack.push(longer);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
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
                "task is chat",
            ),
            (
                "[models.e]\nprovider = \"local\"\nmodel = \"multilingual-e5-small\"\ncache_tokens = 9",
                "models.e.cache_tokens",
                "no meaning for a model for embedding",
                "it is for chat models",
            ),
            (
                GPT,
                "models.gpt",
                "`base_url` is missing",
                "https://api.openai.com/v1",
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
}
