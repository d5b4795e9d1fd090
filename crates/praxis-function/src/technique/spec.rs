//! What a prompt writes under `praxis.technique`: one technique, or several, the outermost first.
//!
//! ```yaml
//! praxis.technique:
//!   - self_consistency: {samples: 5}
//!   - chain_of_thought
//! ```

use praxis_core::suggest::nearest;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::Machine;
use super::best_of::{BestOf, Grader};
use super::least_to_most::{Decomposition, LeastToMost};
use super::revise::Revise;
use super::self_consistency::SelfConsistency;
use super::steps::Steps;
use super::vote::Vote;

/// Samples where a prompt does not say how many, and the most that it may ask for.
const SAMPLES: usize = 5;
const MOST_SAMPLES: usize = 64;

/// Simpler questions that a question may be broken into: where a prompt does not say, and at most.
const QUESTIONS: usize = 5;
const MOST_QUESTIONS: usize = 20;

/// The most samples of all layers together.
const MOST_IN_ALL: usize = 1024;

/// Temperature of samples (Wang et al. 2022 use 0.5 to 0.7).
const TEMPERATURE: f32 = 0.7;

const NAMES: &[&str] = &[
    "direct",
    "few_shot",
    "step_by_step",
    "chain_of_thought",
    "least_to_most",
    "self_consistency",
    "best_of",
    "revise",
];

/// A technique as a prompt declares it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Technique {
    /// The outermost first.
    wrappers: Vec<Wrapper>,
    core: Core,
    /// Examples that stand before the question.
    pub examples: Option<Examples>,
}

#[derive(Debug, Clone, PartialEq)]
enum Wrapper {
    SelfConsistency(SelfConsistencyOptions),
    BestOf(BestOfOptions),
    Revise(ReviseOptions),
}

#[derive(Debug, Clone, Default, PartialEq)]
enum Core {
    #[default]
    Direct,
    Steps,
    LeastToMost(LeastToMostOptions),
}

/// Examples, written in the prompt or in a file of JSON lines.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Examples {
    /// Those of the prompt itself.
    pub given: Vec<Example>,
    /// A file with more, relative to the application's folder.
    pub data: Option<String>,
    /// How many of them a call sees.
    pub count: usize,
    /// Which.
    pub by: Selection,
    /// Whether examples show how to come to the answer.
    pub reasoned: bool,
}

/// Which examples a call sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Selection {
    /// The first ones.
    #[default]
    First,
    /// Those whose input is nearest to the call's, by embedding.
    Similarity,
}

/// An input with its output.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Example {
    /// What the function is given: its inputs, or the only one's value.
    pub input: Value,
    /// How one comes to the output.
    #[serde(default)]
    pub reasoning: Option<String>,
    /// What it gives.
    pub output: Value,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExampleOptions {
    #[serde(default)]
    examples: Vec<Example>,
    data: Option<String>,
    count: Option<usize>,
    by: Option<Selection>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct SelfConsistencyOptions {
    samples: Option<usize>,
    temperature: Option<f32>,
    #[serde(default)]
    vote: Vote,
    early_stop: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct BestOfOptions {
    samples: Option<usize>,
    temperature: Option<f32>,
    criteria: Option<String>,
    grader: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReviseOptions {
    rounds: Option<usize>,
    criteria: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeastToMostOptions {
    #[serde(default)]
    examples: Vec<Decomposition>,
    max_questions: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoOptions {}

impl Technique {
    /// Reads a declaration.
    ///
    /// # Errors
    /// All that is wrong with it, each in a sentence.
    pub fn parse(declared: &Value) -> Result<Self, Vec<String>> {
        let layers: Vec<&Value> = match declared {
            Value::Array(layers) => layers.iter().collect(),
            one => vec![one],
        };
        let (mut technique, mut problems) = (Self::default(), Vec::new());
        let mut core: Option<String> = None;
        for layer in layers {
            let (name, options) = match named(layer) {
                Ok(found) => found,
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            let inside = core.is_some() && !matches!(name, "few_shot");
            if inside {
                problems.push(format!(
                    "`{name}` stands behind `{}`, which nothing can stand inside of; write it before",
                    core.as_deref().unwrap_or_default()
                ));
            }
            if let Err(problem) = technique.add(name, options, &mut core) {
                problems.push(format!("`{name}`: {problem}"));
            }
        }
        problems.extend(technique.too_many());
        if problems.is_empty() {
            Ok(technique)
        } else {
            Err(problems)
        }
    }

    /// The data files that a declaration names, whatever else is wrong with it.
    pub fn data_files(declared: &Value) -> Vec<&str> {
        let layers = match declared {
            Value::Array(layers) => layers.as_slice(),
            one => std::slice::from_ref(one),
        };
        let options = layers
            .iter()
            .filter_map(Value::as_object)
            .flat_map(Map::values);
        options
            .filter_map(|options| options.get("data")?.as_str())
            .collect()
    }

    /// What is wrong where layers that sample stand inside of each other: their samples multiply.
    fn too_many(&self) -> Option<String> {
        let samples = self.wrappers.iter().filter_map(|wrapper| match wrapper {
            Wrapper::SelfConsistency(options) => Some(options.samples.unwrap_or(SAMPLES)),
            Wrapper::BestOf(options) => Some(options.samples.unwrap_or(SAMPLES)),
            Wrapper::Revise(_) => None,
        });
        let all: Vec<usize> = samples.collect();
        let product = all.iter().fold(1usize, |all, n| all.saturating_mul(*n));
        let factors: Vec<String> = all.iter().map(usize::to_string).collect();
        (product > MOST_IN_ALL).then(|| {
            format!(
                "its `samples` multiply to {} = {product} in one call; lower them to {MOST_IN_ALL} in all",
                factors.join(" × ")
            )
        })
    }

    fn add(&mut self, name: &str, options: Value, core: &mut Option<String>) -> Result<(), String> {
        match name {
            "direct" => read::<NoOptions>(options).map(|_| *core = Some(name.to_owned())),
            "few_shot" => {
                let options: ExampleOptions = read(options)?;
                if options.examples.is_empty() && options.data.is_none() {
                    return Err("it has no `examples` and no `data`".to_owned());
                }
                self.examples(options, false)
            }
            "step_by_step" => {
                read::<NoOptions>(options)?;
                self.core = Core::Steps;
                *core = Some(name.to_owned());
                Ok(())
            }
            "chain_of_thought" => {
                let options: ExampleOptions = read(options)?;
                self.core = Core::Steps;
                *core = Some(name.to_owned());
                if options == ExampleOptions::default() {
                    return Ok(());
                }
                self.examples(options, true)
            }
            "least_to_most" => {
                let options: LeastToMostOptions = read(options)?;
                let most = options.max_questions.unwrap_or(QUESTIONS);
                if !(1..=MOST_QUESTIONS).contains(&most) {
                    return Err(format!(
                        "`max_questions` must be 1 to {MOST_QUESTIONS}, not {most}; leave it out for {QUESTIONS}"
                    ));
                }
                self.core = Core::LeastToMost(options);
                *core = Some(name.to_owned());
                Ok(())
            }
            "self_consistency" => {
                let options: SelfConsistencyOptions = read(options)?;
                samples(options.samples)?;
                self.wrappers.push(Wrapper::SelfConsistency(options));
                Ok(())
            }
            "best_of" => {
                let options: BestOfOptions = read(options)?;
                samples(options.samples)?;
                if options.criteria.is_some() && options.grader.is_some() {
                    return Err(
                        "`criteria` are for the model, `grader` names a function: write one \
                                of them"
                            .to_owned(),
                    );
                }
                self.wrappers.push(Wrapper::BestOf(options));
                Ok(())
            }
            "revise" => {
                let options: ReviseOptions = read(options)?;
                if !(1..=8).contains(&options.rounds.unwrap_or(1)) {
                    return Err("`rounds` must be 1 to 8".to_owned());
                }
                self.wrappers.push(Wrapper::Revise(options));
                Ok(())
            }
            other => Err(unknown(other)),
        }
    }

    fn examples(&mut self, options: ExampleOptions, reasoned: bool) -> Result<(), String> {
        if self.examples.is_some() {
            return Err("examples are given twice".to_owned());
        }
        let lacking = options.examples.iter().any(|e| e.reasoning.is_none());
        if reasoned && lacking {
            return Err("each of its `examples` needs a `reasoning`".to_owned());
        }
        let by = options.by.unwrap_or_default();
        if by == Selection::Similarity && options.data.is_none() && options.count.is_none() {
            return Err("`by: similarity` needs a `count` to choose".to_owned());
        }
        let all = if options.data.is_some() {
            4
        } else {
            options.examples.len()
        };
        self.examples = Some(Examples {
            count: options.count.unwrap_or(all),
            given: options.examples,
            data: options.data,
            by,
            reasoned,
        });
        Ok(())
    }

    /// A machine for one call; `structured`: its output is JSON.
    pub fn machine(&self, structured: bool) -> Machine {
        let core = match &self.core {
            Core::Direct => Machine::Direct,
            Core::Steps => Machine::Steps(Steps::new(structured)),
            Core::LeastToMost(options) => Machine::LeastToMost(LeastToMost::new(
                options.examples.clone(),
                options.max_questions.unwrap_or(QUESTIONS),
                structured,
            )),
        };
        self.wrappers
            .iter()
            .rev()
            .fold(core, |inner, wrapper| match wrapper {
                Wrapper::SelfConsistency(o) => {
                    let machine = SelfConsistency::new(
                        &inner,
                        o.samples.unwrap_or(SAMPLES),
                        o.temperature.unwrap_or(TEMPERATURE),
                        o.vote,
                    );
                    Machine::SelfConsistency(if o.early_stop == Some(false) {
                        machine.patient()
                    } else {
                        machine
                    })
                }
                Wrapper::BestOf(o) => {
                    let grader = match (&o.grader, &o.criteria) {
                        (Some(function), _) => Grader::Function(function.clone()),
                        (None, Some(criteria)) => Grader::Model(criteria.clone()),
                        (None, None) => {
                            Grader::Model("Judge by correctness, then by clarity.".into())
                        }
                    };
                    Machine::BestOf(BestOf::new(
                        &inner,
                        o.samples.unwrap_or(SAMPLES),
                        o.temperature.unwrap_or(TEMPERATURE),
                        grader,
                    ))
                }
                Wrapper::Revise(o) => {
                    let criteria = o.criteria.clone().unwrap_or_default();
                    Machine::Revise(Revise::new(inner, o.rounds.unwrap_or(1), criteria))
                }
            })
    }

    /// Whether the prompt is simply asked.
    pub fn is_direct(&self) -> bool {
        self.wrappers.is_empty() && self.core == Core::Direct
    }

    /// Functions of the application that it calls.
    pub fn functions(&self) -> Vec<&str> {
        let grader = |wrapper| match wrapper {
            &Wrapper::BestOf(BestOfOptions {
                grader: Some(ref grader),
                ..
            }) => Some(grader.as_str()),
            _ => None,
        };
        self.wrappers.iter().filter_map(grader).collect()
    }
}

/// A layer's name and options.
fn named(layer: &Value) -> Result<(&str, Value), String> {
    let (name, options) = match layer {
        Value::String(name) => (name.as_str(), json!({})),
        Value::Object(map) if map.len() == 1 => {
            let (name, options) = map.iter().next().ok_or("an empty technique")?;
            let options = match options {
                Value::Null => Value::Object(Map::new()),
                other => other.clone(),
            };
            (name.as_str(), options)
        }
        _ => {
            return Err(
                "a technique is a name, or one name with its options, as in `self_consistency: \
                 {samples: 5}`; several are a list"
                    .to_owned(),
            );
        }
    };
    if NAMES.contains(&name) {
        Ok((name, options))
    } else {
        Err(unknown(name))
    }
}

fn unknown(name: &str) -> String {
    let near = nearest(name, NAMES.iter().copied());
    let hint = near.map_or_else(
        || format!("there are: {}", NAMES.join(", ")),
        |near| format!("did you mean `{near}`?"),
    );
    format!("there is no technique `{name}`; {hint}")
}

fn read<T: DeserializeOwned>(options: Value) -> Result<T, String> {
    serde_json::from_value(options).map_err(|e| e.to_string())
}

fn samples(given: Option<usize>) -> Result<(), String> {
    match given {
        Some(n) if !(2..=MOST_SAMPLES).contains(&n) => {
            Err(format!("`samples` must be 2 to {MOST_SAMPLES}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn techniques_stack_from_the_outside_in() {
        let declared = json!([
            {"self_consistency": {"samples": 3}},
            {"chain_of_thought": {"examples": [{"input": "a", "reasoning": "b", "output": "c"}]}},
        ]);
        let technique = Technique::parse(&declared).unwrap();
        assert!(matches!(
            technique.machine(false),
            Machine::SelfConsistency(_)
        ));
        assert!(technique.examples.as_ref().unwrap().reasoned);
        assert!(!technique.is_direct());
        for name in NAMES.iter().filter(|n| **n != "few_shot") {
            assert!(Technique::parse(&json!(name)).is_ok(), "{name}");
        }
        for most in [1, 20] {
            let declared = json!({"least_to_most": {"max_questions": most}});
            assert!(Technique::parse(&declared).is_ok(), "{most}");
        }
    }

    #[test]
    fn mistakes_are_named_with_their_fix() {
        for (declared, message) in [
            (json!("chain_of_thougt"), "did you mean `chain_of_thought`?"),
            (
                json!({"self_consistency": {"sample": 3}}),
                "unknown field `sample`",
            ),
            (
                json!({"self_consistency": {"samples": 1}}),
                "must be 2 to 64",
            ),
            (json!(["direct", "self_consistency"]), "write it before"),
            (json!("few_shot"), "no `examples` and no `data`"),
            (
                json!({"chain_of_thought": {"examples": [{"input": 1, "output": 2}]}}),
                "needs a `reasoning`",
            ),
            (
                json!({"best_of": {"criteria": "x", "grader": "y"}}),
                "write one",
            ),
            (
                json!([{"best_of": {"samples": 64}}, "revise", {"self_consistency": {"samples": 64}}]),
                "64 × 64 = 4096 in one call; lower them to 1024",
            ),
            (json!(3), "a technique is a name"),
            (json!({"revise": {"rounds": 0}}), "must be 1 to 8"),
            (
                json!({"least_to_most": {"max_questions": 0}}),
                "`least_to_most`: `max_questions` must be 1 to 20, not 0; leave it out for 5",
            ),
            (
                json!([{"self_consistency": {}}, {"least_to_most": {"max_questions": 21}}]),
                "`max_questions` must be 1 to 20, not 21",
            ),
        ] {
            let problems = Technique::parse(&declared).unwrap_err().join("; ");
            assert!(problems.contains(message), "{declared}: {problems}");
        }
    }
}
