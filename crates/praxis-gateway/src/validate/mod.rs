//! What can be wrong with a gateway's configuration beyond its shape. Each [`Problem`] names its key,
//! so that the application's loader can point at the place in the file.

mod remote;
mod routes;

use praxis_core::Problem;
use praxis_core::suggest::nearest;
use praxis_engine::Device;
use praxis_hub::{Catalogue, Task};

use crate::config::{GatewayConfig, ModelConfig, is_path};

impl GatewayConfig {
    /// What the model of a name does; `None` for an unknown name.
    pub fn task_of(&self, name: &str) -> Option<Task> {
        let catalogue = Catalogue::builtin().ok()?;
        if self.routes.contains_key(name) {
            return Some(Task::Chat);
        }
        match self.models.get(name) {
            Some(model) => Some(model.task(&catalogue)),
            None => catalogue.find(name).map(|e| e.task),
        }
    }

    /// Why no model of this name is for one of the tasks, and what helps; `None` where one is.
    pub fn unfit(&self, name: &str, tasks: &[Task]) -> Option<(String, String)> {
        let actual = match self.task_of(name) {
            None => return Some(self.unknown(name)),
            Some(actual) if tasks.contains(&actual) => return None,
            Some(actual) => actual,
        };
        let wanted: Vec<String> = tasks.iter().map(Task::to_string).collect();
        let wanted = wanted.join(" or ");
        Some((
            format!("`{name}` is a model for {actual}, not {wanted}"),
            format!(
                "name a model for {wanted}: `praxis models list` shows them, praxis.toml declares others"
            ),
        ))
    }

    fn unknown(&self, name: &str) -> (String, String) {
        let known = self.known_models();
        let help = match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "declare it as [models.NAME], or take one of `praxis models list`".to_owned(),
        };
        (format!("no model is called `{name}`"), help)
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
            match model.provider.dialect() {
                Some(dialect) => check.remote(name, model, dialect),
                None => check.local(name, model),
            }
            check.encoder(name, model);
            check.adapter(name, model);
            check.cache(name, model);
            check.device(name, model);
            check.numbers(name, model);
            check.fallback(name, model);
        }
        for (name, route) in &self.routes {
            check.route(name, route);
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

    fn default(&mut self, key: &str, name: Option<&str>, task: Task) {
        let Some(name) = name else { return };
        if let Some((message, help)) = self.config.unfit(name, &[task]) {
            self.report(format!("defaults.{key}"), message, help);
        }
    }

    fn local(&mut self, name: &str, model: &ModelConfig) {
        let at = |key: &str| format!("models.{name}.{key}");
        let strangers = [
            ("base_url", model.base_url.is_some()),
            ("api_key", model.api_key.is_some()),
            ("region", model.region.is_some()),
            ("api_version", model.api_version.is_some()),
            ("prompt_cache", model.prompt_cache.is_some()),
            ("headers", !model.headers.is_empty()),
            ("extra_body", !model.extra_body.is_empty()),
            ("reasoning_effort", model.reasoning_effort.is_some()),
            ("breaker", model.breaker.is_some()),
            ("structured_outputs", model.structured_outputs.is_some()),
        ];
        for (key, _) in strangers.iter().filter(|(_, given)| *given) {
            let message = format!("`{key}` has no meaning for a local model");
            self.report(at(key), message, "remove it, or set provider = \"openai\"");
        }
        if !is_path(&model.model) && self.catalogue.find(&model.model).is_none() {
            let help = match nearest(&model.model, self.catalogue.names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "one of `praxis models list`, or the path of a .gguf file".to_owned(),
            };
            let message = format!("no model `{}` in the catalogue", model.model);
            self.report(at("model"), message, help);
        }
    }

    /// What a local model for embedding or reranking has no use of.
    fn encoder(&mut self, name: &str, model: &ModelConfig) {
        let task = model.task(self.catalogue);
        if !model.provider.is_local() || task == Task::Chat {
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

    fn cache(&mut self, name: &str, model: &ModelConfig) {
        let task = model.task(self.catalogue);
        if model.cache.is_some() && task != Task::Chat {
            let message = format!("answers of a model for {task} are not kept");
            let help = "remove it: it is for chat models";
            self.report(format!("models.{name}.cache"), message, help);
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
        if !model.provider.is_local() || model.device.unwrap_or_default() == Device::Cpu {
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
        if model.price.is_some_and(|p| !p.numbers().all(sound)) {
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
                    let (message, help) = self.config.unknown(other);
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
mod tests;
