//! What can be wrong with a model behind an address.

use praxis_hub::Task;
use reqwest::Url;
use reqwest::header::HeaderName;

use super::Check;
use crate::config::ModelConfig;
use crate::providers::Dialect;

/// Stands for a region that may come from the environment.
const SOME_REGION: &str = "region";

impl Check<'_> {
    pub(super) fn remote(&mut self, name: &str, model: &ModelConfig, dialect: &dyn Dialect) {
        let at = |key: &str| format!("models.{name}.{key}");
        let facts = dialect.facts();
        self.address(name, model, dialect);
        let task = model.task(self.catalogue);
        if !facts.tasks.contains(&task) {
            let tasks: Vec<String> = facts.tasks.iter().map(Task::to_string).collect();
            let message = format!("{} is asked for no models for {task}", facts.title);
            let help = format!("it has models for {}", tasks.join(" and "));
            self.report(at("task"), message, help);
        }
        let ours = [
            ("threads", model.threads.is_some()),
            ("parallel", model.parallel.is_some()),
            ("cache_tokens", model.cache_tokens.is_some()),
            ("adapter", model.adapter.is_some()),
            ("device", model.device.is_some()),
        ];
        for (key, _) in ours.iter().filter(|(_, given)| *given) {
            let message = format!("`{key}` has no meaning for a remote model");
            self.report(at(key), message, "remove it");
        }
        if model
            .api_key
            .as_ref()
            .is_some_and(|k| k.variable().is_none())
        {
            let message = "`api_key` must name an environment variable";
            let variable = facts.key.unwrap_or("OPENAI_API_KEY");
            let help = format!(
                "write api_key = \"env:{variable}\" and put the key into that variable: files are shared and committed, \
                 keys must not be"
            );
            self.report(at("api_key"), message, help);
        }
        self.headers(name, model);
    }

    fn address(&mut self, name: &str, model: &ModelConfig, dialect: &dyn Dialect) {
        let Some(url) = &model.base_url else {
            if dialect.default_base_url(Some(SOME_REGION)).is_none() {
                let help = format!(
                    "e.g. base_url = \"https://example.com/v1\"; see {}",
                    dialect.facts().reference
                );
                self.report(format!("models.{name}"), "`base_url` is missing", help);
            }
            return;
        };
        let good =
            Url::parse(url).is_ok_and(|u| matches!(u.scheme(), "http" | "https") && u.has_host());
        if !good {
            let message = format!("`{url}` is not an http address");
            let path = format!("models.{name}.base_url");
            self.report(path, message, "like https://api.openai.com/v1");
        }
    }

    fn headers(&mut self, name: &str, model: &ModelConfig) {
        let path = format!("models.{name}.headers");
        for (header, value) in &model.headers {
            if HeaderName::from_bytes(header.as_bytes()).is_err() {
                let message = format!("`{header}` is no name of a header");
                self.report(
                    path.clone(),
                    message,
                    "e.g. headers = { X-Title = \"Desk\" }",
                );
            } else if value.written().starts_with("env:") && value.variable().is_none() {
                let message = format!("`{header}` refers to no environment variable");
                self.report(path.clone(), message, "write \"env:NAME\"");
            } else if value.written().contains(['\r', '\n', '\0']) {
                let message = format!("`{header}` has a value that no header can carry");
                self.report(path.clone(), message, "write it on one line");
            }
        }
    }
}
