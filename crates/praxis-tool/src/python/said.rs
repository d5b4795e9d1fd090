//! What is said to the interpreter in a sandbox, and what it says. Its answers are the words of the code that it runs:
//! they are read as data, within bounds. Left out: the channel (`crate::sandbox`).

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::config::Limits;
use crate::sandbox::{Message, Room, message};

/// Characters of the name of a file.
const LONGEST_NAME: usize = 200;

/// Frames of an error that are told.
const FRAMES: usize = 16;

/// Names of variables that are remembered of a session.
const NAMES: usize = 50;

/// What is kept of the JSON of an answer beside its texts.
const BESIDE: usize = 1 << 20;

/// Code to be run.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Task {
    /// For its output, and the value of its last line.
    Run,
    /// For what its function `run` gives for this input.
    Call(Map<String, Value>),
}

/// A file that code finds in its scratch folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    /// Its name there.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// What the interpreter says of a task.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Said {
    /// The number of the request that it answers.
    pub id: u64,
    /// The value of the last line, as Python writes it.
    pub result: Option<String>,
    /// Whether there was more of it.
    pub cut: bool,
    /// What `run` gave.
    pub value: Value,
    /// What went wrong with the code.
    pub error: Option<Failure>,
    /// Names of the files that come with the answer.
    pub files: Vec<String>,
    /// Files for which there is no room.
    pub left_out: Vec<LeftOut>,
    /// Names of the variables that there are.
    pub names: Vec<String>,
}

/// What went wrong with code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(default)]
pub(crate) struct Failure {
    /// The type of the error, as Python calls it, or one of ours: `TimeLimit`, `OutputLimit`, `ScratchLimit`,
    /// `Killed`, `Exited`, `Broken`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it says.
    pub message: String,
    /// Where it came from, from the first line of the code on.
    pub traceback: String,
    /// The line of the code, from 1.
    pub line: Option<u64>,
}

impl Failure {
    /// One of ours.
    pub(super) fn of(kind: &str, message: String) -> Self {
        Self {
            kind: kind.to_owned(),
            message,
            ..Self::default()
        }
    }
}

/// A file that was not given back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(default)]
pub(crate) struct LeftOut {
    /// Its name.
    pub name: String,
    /// How large it is.
    pub bytes: u64,
}

/// What the driver is told when it starts.
pub(super) fn setup(limits: &Limits, packages: &[std::path::PathBuf]) -> Value {
    json!({
        "packages": packages,
        "listed": limits.files,
        "files": limits.returned,
        "file": limits.file,
        "bytes": limits.returned_bytes,
        "text": limits.output,
        "frames": FRAMES,
        "names": NAMES,
    })
}

/// The bytes of a request; nothing where it is too long.
pub(super) fn request(
    id: u64,
    task: &Task,
    code: &str,
    files: &[Given],
    limits: &Limits,
) -> Option<Vec<u8>> {
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    let (op, input) = match task {
        Task::Run => ("run", json!({})),
        Task::Call(input) => ("call", json!(input)),
    };
    let request = json!({
        "id": id,
        "op": op,
        "code": code,
        "input": input,
        "files": names,
        "seconds": limits.time.0.as_secs_f64(),
        "cpu": limits.cpu.0.as_secs(),
    });
    let blobs = files.iter().map(|file| file.bytes.as_slice());
    message(request.to_string().as_bytes(), blobs)
}

/// What is taken of an answer. A character of a text takes twelve bytes of JSON at most.
pub(super) fn room(limits: &Limits) -> Room {
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Room {
        json: size(limits.output)
            .saturating_mul(36)
            .saturating_add(BESIDE),
        blobs: size(limits.returned),
        bytes: size(limits.returned_bytes),
    }
}

/// Reads an answer to the request `id`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn said(message: &Message, id: u64, limits: &Limits) -> Result<Said, &'static str> {
    let mut said: Said =
        serde_json::from_slice(&message.json).map_err(|_| "its answer is no JSON of an answer")?;
    if said.id != id {
        return Err("its answer is to something else");
    }
    if said.files.len() != message.blobs.len() {
        return Err("its answer has other files than it says");
    }
    let most = usize::try_from(limits.output).unwrap_or(usize::MAX);
    if let Some(result) = &mut said.result {
        said.cut |= shorten(result, most);
    }
    if let Some(error) = &mut said.error {
        for text in [&mut error.kind, &mut error.message, &mut error.traceback] {
            shorten(text, most);
        }
    }
    said.left_out.truncate(NAMES);
    said.left_out.retain(|file| is_name(&file.name));
    said.names.truncate(NAMES);
    said.names.iter_mut().for_each(|name| {
        shorten(name, LONGEST_NAME);
    });
    Ok(said)
}

/// Cuts a text to so many characters; whether there were more.
fn shorten(text: &mut String, most: usize) -> bool {
    match text.char_indices().nth(most) {
        Some((at, _)) => {
            text.truncate(at);
            true
        }
        None => false,
    }
}

/// Whether a text can be the name of a file in the scratch folder: relative, without `..`, hidden parts and controls.
pub(super) fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.chars().any(|c| c.is_control() || c == '\\')
    };
    name.chars().count() <= LONGEST_NAME && name.split('/').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(json: &Value, blobs: usize) -> Message {
        Message {
            json: json.to_string().into_bytes(),
            blobs: vec![b"x".to_vec(); blobs],
        }
    }

    #[test]
    fn names_stay_in_the_folder() {
        for name in ["a.csv", "plots/figure 1.png", "数据.txt", "a..b"] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "",
            "/etc/passwd",
            "../a",
            "a/../b",
            "a//b",
            ".hidden",
            "a/.b",
            "a\nb",
            "a\\b",
            "a/",
        ] {
            assert!(!is_name(name), "{name}");
        }
        assert!(!is_name(&"x".repeat(LONGEST_NAME + 1)));
    }

    #[test]
    fn an_answer_is_taken_only_if_it_is_one() {
        let limits = Limits::default();
        let read = |json: Value, blobs| said(&answer(&json, blobs), 7, &limits);
        let good = read(
            json!({ "id": 7, "result": "42", "files": ["a"], "more": 1 }),
            1,
        )
        .unwrap();
        assert_eq!((good.result.as_deref(), good.files.len()), (Some("42"), 1));
        for (json, blobs) in [
            (json!({ "id": 8 }), 0),
            (json!({ "id": 7, "files": ["a"] }), 0),
            (json!({ "id": 7, "result": 3 }), 0),
            (json!("7"), 0),
        ] {
            assert!(read(json.clone(), blobs).is_err(), "{json}");
        }
    }

    #[test]
    fn texts_of_an_answer_are_cut_whoever_wrote_it() {
        let limits = Limits {
            output: 4,
            ..Limits::default()
        };
        let long = "é".repeat(9);
        let json = json!({
            "id": 1,
            "result": long,
            "error": { "type": long, "message": long, "traceback": long },
            "left_out": [{ "name": "../x", "bytes": 1 }, { "name": "x", "bytes": 1 }],
            "names": vec!["n"; 2 * NAMES],
        });
        let said = said(&answer(&json, 0), 1, &limits).unwrap();
        assert!(said.cut);
        assert_eq!(said.result.unwrap(), "éééé");
        assert_eq!(said.error.unwrap().traceback, "éééé");
        assert_eq!((said.left_out.len(), said.names.len()), (1, NAMES));
    }

    #[test]
    fn a_request_has_its_files_behind_it() {
        let files = [Given {
            name: "a".to_owned(),
            bytes: b"xyz".to_vec(),
        }];
        let bytes = request(3, &Task::Run, "1", &files, &Limits::default()).unwrap();
        assert!(bytes.ends_with(&[0, 0, 0, 1, 0, 0, 0, 3, b'x', b'y', b'z']));
        let length = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
        let read: Value = serde_json::from_slice(&bytes[4..4 + length]).unwrap();
        assert_eq!(
            (&read["files"], &read["seconds"]),
            (&json!(["a"]), &json!(30.0))
        );
    }
}
