//! `praxis.guard`: what is looked for in what goes into a function and comes out of it, and what is done then. How it is
//! written is `crate::moderation::written`'s; here its mistakes get their places in the file.

use praxis_core::Diagnostic;
use serde_json::{Map, Value};

use crate::moderation::policy::Guard;
use crate::moderation::written::{self, Flaw, Place};
use crate::prompt::File;

impl File<'_> {
    /// Reads `praxis.guard`; problems go to `problems`.
    pub(super) fn guard(
        &self,
        ours: &Map<String, Value>,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<Guard> {
        let mut flaws = Vec::new();
        let guard = written::guard(ours.get("guard")?, Place::Prompt, &mut flaws);
        problems.extend(flaws.into_iter().map(|flaw| self.flaw(flaw)));
        guard
    }

    fn flaw(&self, flaw: Flaw) -> Diagnostic {
        // Steps have no key of their own in YAML.
        let is_key = |key: &&str| key.parse::<usize>().is_err();
        let keys = flaw.keys.iter().map(String::as_str).filter(is_key);
        let path: Vec<&str> = std::iter::once("guard").chain(keys).collect();
        let diagnostic = match path.len() {
            1 => self.at_key("praxis.guard", flaw.message),
            _ => self.at_key_below(&path, flaw.message),
        };
        let diagnostic = match flaw.near {
            Some(near) => diagnostic.label(format!("did you mean `{near}`?")),
            None => diagnostic,
        };
        match flaw.help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        }
    }
}
