//! The results file: one JSON object a line, written as each call ends, so that a run that was stopped
//! can go on. A line that was cut off is taken out again. One run at a time writes into a file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ui::Failure;

/// What one case gave with one variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The case's id.
    pub case: String,
    /// The variant, as it was asked for.
    pub variant: String,
    /// The function's version.
    pub version: String,
    /// The model that was asked instead of the prompt's own, where one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// The models that answered.
    #[serde(default)]
    pub models: Vec<String>,
    /// What went in.
    pub input: Map<String, Value>,
    /// What came out; null where the call failed.
    #[serde(default)]
    pub output: Value,
    /// What was expected.
    #[serde(default)]
    pub expect: Option<Value>,
    /// Whether it was that; nothing where nothing was expected.
    #[serde(default)]
    pub passed: Option<bool>,
    /// Why the call failed, or could not be judged.
    #[serde(default)]
    pub error: Option<String>,
    /// Tokens that the models read.
    pub input_tokens: u64,
    /// Those of them that were computed before.
    pub cached_tokens: u64,
    /// Tokens that the models wrote.
    pub output_tokens: u64,
    /// Times that the model was asked again because its output did not keep its promise.
    #[serde(default)]
    pub repairs: u64,
    /// Cost in US dollars.
    pub cost_usd: f64,
    /// Time from the call to its end.
    pub latency_ms: f64,
    /// The trace, where the store has it.
    pub trace_id: String,
}

impl Outcome {
    /// Whether it is what the same call would give again.
    pub fn answers(&self, other: &Asked<'_>) -> bool {
        self.case == other.case
            && self.variant == other.variant
            && self.version == other.version
            && self.asked.as_deref() == other.model
            && !self.output.is_null()
            && self.input == *other.input
    }
}

/// A call that is to be made.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The case's id.
    pub case: &'a str,
    /// The variant.
    pub variant: &'a str,
    /// The function's version.
    pub version: &'a str,
    /// The model asked instead of the prompt's own.
    pub model: Option<&'a str>,
    /// The input.
    pub input: &'a Map<String, Value>,
}

/// An open results file, which is this run's alone until it is dropped or the process ends, however it does.
pub struct Results {
    file: File,
    path: PathBuf,
}

impl Results {
    /// Opens the file, or begins it; gives what it has already.
    ///
    /// # Errors
    /// A file that cannot be opened, that another run writes into, or that holds something else.
    pub fn open(path: &Path) -> Result<(Self, Vec<Outcome>), Failure> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|e| failed("open", path, &e))?;
        // Before it is read: what another run adds later would be written over. Where the file system has no locks,
        // whoever opens it has it.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(Failure::message(format!(
                "another run writes its results into `{}`",
                path.display()
            ))
            .with_help("wait for it, or name another file with --out"));
        }
        let mut text = String::new();
        file.read_to_string(&mut text)
            .map_err(|e| failed("read", path, &e))?;
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        let outcomes = text[..whole]
            .lines()
            .enumerate()
            .map(|(i, line)| {
                serde_json::from_str(line).map_err(|e| {
                    Failure::message(format!("{}:{}: {e}", path.display(), i + 1))
                        .with_help("this is no file of results; name another with --out")
                })
            })
            .collect::<Result<Vec<Outcome>, Failure>>()?;
        if whole < text.len() && !text[whole..].starts_with("{\"case\":") {
            return Err(
                Failure::message(format!("`{}` is no file of results", path.display()))
                    .with_help("name another with --out"),
            );
        }
        file.set_len(whole as u64)
            .and_then(|()| file.seek(SeekFrom::End(0)))
            .map_err(|e| failed("write", path, &e))?;
        let path = path.to_owned();
        Ok((Self { file, path }, outcomes))
    }

    /// Adds a result; it is in the file when this returns.
    ///
    /// # Errors
    /// A full disk, for example.
    pub fn add(&mut self, outcome: &Outcome) -> Result<(), Failure> {
        let mut line = serde_json::to_vec(outcome)
            .map_err(|e| Failure::message(format!("a result is no JSON: {e}")))?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .map_err(|e| failed("write", &self.path, &e))
    }
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::message(format!("cannot {what} `{}`: {error}", path.display()))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// An outcome for tests.
    pub fn outcome(case: &str, variant: &str) -> Outcome {
        Outcome {
            case: case.to_owned(),
            variant: variant.to_owned(),
            version: "v".to_owned(),
            asked: None,
            models: vec!["m".to_owned()],
            input: [("q".to_owned(), Value::from(case))].into_iter().collect(),
            output: Value::from("a"),
            expect: None,
            passed: Some(true),
            error: None,
            input_tokens: 10,
            cached_tokens: 4,
            output_tokens: 2,
            repairs: 0,
            cost_usd: 0.5,
            latency_ms: 100.0,
            trace_id: "t".to_owned(),
        }
    }

    #[test]
    fn a_line_that_was_cut_off_is_taken_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.jsonl");
        let (mut results, before) = Results::open(&path).unwrap();
        assert_eq!(before, []);
        results.add(&outcome("1", "base")).unwrap();
        drop(results);
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{whole}{{\"case\":\"2\",\"vari")).unwrap();
        let (mut results, before) = Results::open(&path).unwrap();
        assert_eq!(before, [outcome("1", "base")]);
        results.add(&outcome("2", "base")).unwrap();
        drop(results);
        assert_eq!(Results::open(&path).unwrap().1.len(), 2);
    }

    #[test]
    fn a_file_is_of_one_run_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.jsonl");
        let (mut results, _) = Results::open(&path).unwrap();
        results.add(&outcome("1", "base")).unwrap();
        let refused = format!("{:?}", Results::open(&path).err().unwrap());
        assert!(refused.contains("another run writes"), "{refused}");
        assert!(refused.contains("results.jsonl"), "{refused}");
        results.add(&outcome("2", "base")).unwrap();
        drop(results);
        assert_eq!(Results::open(&path).unwrap().1.len(), 2);
    }

    #[test]
    fn another_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        for text in ["my notes", "my notes\nand more\n"] {
            std::fs::write(&path, text).unwrap();
            assert!(Results::open(&path).is_err());
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_result_counts_for_the_same_call_only() {
        let done = outcome("1", "base");
        let input = done.input.clone();
        let asked = Asked {
            case: "1",
            variant: "base",
            version: "v",
            model: None,
            input: &input,
        };
        assert!(done.answers(&asked));
        let other = Map::new();
        for changed in [
            Asked {
                version: "w",
                ..asked
            },
            Asked {
                model: Some("m"),
                ..asked
            },
            Asked {
                input: &other,
                ..asked
            },
        ] {
            assert!(!done.answers(&changed), "{changed:?}");
        }
        let failed = Outcome {
            output: Value::Null,
            ..done
        };
        assert!(!failed.answers(&asked));
    }
}
