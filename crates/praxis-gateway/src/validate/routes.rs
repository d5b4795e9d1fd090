//! What can be wrong with a route.

use praxis_hub::Task;

use super::Check;
use crate::routes::{Order, RouteConfig};

impl Check<'_> {
    pub(super) fn route(&mut self, name: &str, route: &RouteConfig) {
        let path = format!("routes.{name}");
        if self.task_of(name).is_some() {
            self.report(
                path.clone(),
                "a model has this name too",
                "give the route another name",
            );
        }
        if route.targets.is_empty() {
            let help = "e.g. targets = [\"small\", \"large\"]";
            self.report(path, "the route names no model", help);
            return;
        }
        for target in &route.targets {
            self.chat_model(path.clone(), &target.model);
        }
        let weights = || route.targets.iter().map(|t| t.weight);
        let sound = weights().all(|w| w.is_finite() && w >= 0.0) && weights().any(|w| w > 0.0);
        if route.order == Order::Weighted && !sound {
            let help = "numbers of 0 and more, at least one above 0";
            self.report(format!("{path}.targets"), "these are no weights", help);
        }
        self.regions(name, route);
        if let Some(shadow) = &route.shadow {
            let path = format!("{path}.shadow");
            self.chat_model(path.clone(), &shadow.model);
            if !(0.0..=1.0).contains(&shadow.share) {
                let message = format!("`share` is {}", shadow.share);
                self.report(path.clone(), message, "choose a share between 0 and 1");
            }
            if !self.config.may_shadow(route, &shadow.model) {
                let message = format!("`{}` is not in a region of the route", shadow.model);
                let help = format!(
                    "a shadow gets the prompts too: name a model that says region = \"{}\", or a local one",
                    route.regions.join("\" or \"")
                );
                self.report(path, message, help);
            }
        }
    }

    /// Each region has to have a model, or nobody would see that it is asked for none.
    fn regions(&mut self, name: &str, route: &RouteConfig) {
        for region in &route.regions {
            let is_there = route.targets.iter().any(|target| {
                let model = self.config.models.get(&target.model);
                model.and_then(|m| m.region.as_ref()) == Some(region)
            });
            if !is_there {
                let message = format!("no model of it is in `{region}`");
                let help = format!("say region = \"{region}\" where such a model is declared");
                self.report(format!("routes.{name}.regions"), message, help);
            }
        }
    }

    /// Reports a name that is none of a chat model.
    fn chat_model(&mut self, path: String, name: &str) {
        if self.config.routes.contains_key(name) && !self.config.models.contains_key(name) {
            let message = format!("`{name}` is a route");
            self.report(path, message, "name models: a route leads to no other");
            return;
        }
        match self.task_of(name) {
            None => {
                let (message, help) = self.config.unknown(name);
                self.report(path, message, help);
            }
            Some(Task::Chat) => {}
            Some(other) => {
                let message = format!("`{name}` is a model for {other}, not chat");
                self.report(path, message, "name a chat model");
            }
        }
    }
}
