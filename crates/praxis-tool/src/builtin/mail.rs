//! Tool files `NAME.mail.toml`: drafts of e-mails, written as files that mail programs open. Nothing is sent.
//!
//! ```toml
//! folder = "drafts"
//! from = "Support <support@example.com>"
//! to = ["*@example.com"]
//! ```
//!
//! The function `NAME` writes one draft (RFC 5322, MIME) and says where. What would be a header of its own, such as a
//! subject with a line break, is refused. Left out: sending, attachments, HTML.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use globset::{Glob, GlobSet, GlobSetBuilder};
use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;
use mail_builder::headers::text::Text;
use praxis_core::{CallContext, CallError, Effect, Effects, ErrorCode, Problem, Signature};
use serde::Deserialize;
use serde_json::{Value, json};

use super::workspace::{Workspace, folder_problems};
use crate::deps::ToolDeps;
use crate::safety::PolicyConfig;
use crate::toolbox::{Made, Names, Tool};
use crate::work::{Work, invalid, read, tool};

/// The most recipients of a draft, and characters of its subject and of its text.
const MOST_RECIPIENTS: usize = 50;
const LONGEST_SUBJECT: usize = 300;
const LONGEST_TEXT: usize = 200_000;

/// The longest address, as RFC 5321 has it.
const LONGEST_ADDRESS: usize = 254;

/// Drafts that a folder may have.
const MOST_DRAFTS: usize = 5000;

/// Letters of a subject that a file's name has.
const LONGEST_SLUG: usize = 40;

/// A `mail` tool file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where drafts are written, below the application's folder.
    pub folder: String,
    /// Who they are from.
    pub from: String,
    /// Where answers go, if not there.
    #[serde(default)]
    pub reply_to: Option<String>,
    /// Patterns of addresses that may be written to; all if there is none.
    #[serde(default)]
    pub to: Vec<String>,
    /// Approvals, effects and rates.
    #[serde(default)]
    pub policy: PolicyConfig,
}

impl Config {
    /// What is wrong with it.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut all = folder_problems("folder", &self.folder);
        let addresses = [
            ("from", Some(&self.from)),
            ("reply_to", self.reply_to.as_ref()),
        ];
        for (key, address) in addresses {
            if let Some(Err(message)) = address.map(|text| mailbox(text)) {
                all.push(Problem {
                    path: key.to_owned(),
                    message,
                    help: Some("write NAME <USER@HOST>, or USER@HOST".to_owned()),
                });
            }
        }
        if let Err((at, message)) = patterns(&self.to) {
            all.push(Problem {
                path: format!("to.{at}"),
                message,
                help: Some("write a pattern such as *@example.com".to_owned()),
            });
        }
        all
    }
}

fn patterns(globs: &[String]) -> Result<GlobSet, (usize, String)> {
    let mut set = GlobSetBuilder::new();
    for (i, glob) in globs.iter().enumerate() {
        let glob = Glob::new(&glob.to_lowercase());
        set.add(glob.map_err(|error| (i, error.to_string()))?);
    }
    set.build().map_err(|error| (0, error.to_string()))
}

/// Names of its functions.
pub(crate) fn names(name: &str, _: &Config, _: &Path, _: &Path) -> Names {
    Names::Known(vec![name.to_owned()])
}

/// Makes its function.
///
/// # Errors
/// A folder that cannot be made or opened, and what [`Config::problems`] finds.
pub(crate) async fn make(name: &str, config: &Config, deps: &ToolDeps) -> Result<Made, Problem> {
    let workspace = Arc::new(Workspace::open(&deps.root, &config.folder)?);
    let draft = Draft::new(name, config, workspace, praxis_core::now_s)?;
    let function = tool(Drafting(Arc::new(draft)))?;
    Ok(Made {
        tools: vec![Tool {
            function,
            outside: false,
        }],
        warnings: Vec::new(),
    })
}

struct Draft {
    signature: Signature,
    from: Mailbox,
    reply_to: Option<Mailbox>,
    /// Addresses that may be written to; all if there is none.
    allowed: Option<GlobSet>,
    workspace: Arc<Workspace>,
    clock: fn() -> i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    to: Vec<String>,
    #[serde(default)]
    cc: Vec<String>,
    #[serde(default)]
    bcc: Vec<String>,
    subject: String,
    text: String,
}

impl Draft {
    fn new(
        name: &str,
        config: &Config,
        workspace: Arc<Workspace>,
        clock: fn() -> i64,
    ) -> Result<Self, Problem> {
        let wrong = |path: &str, message: String| Problem {
            path: path.to_owned(),
            message,
            help: None,
        };
        let allowed = patterns(&config.to).map_err(|(_, message)| wrong("to", message))?;
        let reply_to = config.reply_to.as_deref().map(mailbox).transpose();
        let addresses = || {
            json!({
                "type": "array",
                "items": { "type": "string", "maxLength": LONGEST_ADDRESS + 100 },
                "maxItems": MOST_RECIPIENTS,
                "description": "addresses, such as ann@example.com or Ann Lee <ann@example.com>",
            })
        };
        Ok(Self {
            from: mailbox(&config.from).map_err(|message| wrong("from", message))?,
            reply_to: reply_to.map_err(|message| wrong("reply_to", message))?,
            allowed: (!config.to.is_empty()).then_some(allowed),
            signature: Signature {
                name: name.to_owned(),
                description: "Writes the draft of an e-mail for a person to look over and send. Sends nothing."
                    .to_owned(),
                input_schema: json!({
                    "type": "object",
                    "properties": {
                        "to": addresses(),
                        "cc": addresses(),
                        "bcc": addresses(),
                        "subject": { "type": "string", "maxLength": LONGEST_SUBJECT },
                        "text": { "type": "string", "maxLength": LONGEST_TEXT },
                    },
                    "required": ["to", "subject", "text"],
                    "additionalProperties": false,
                }),
                output_schema: json!({
                    "type": "object",
                    "properties": {
                        "draft": { "type": "string" },
                        "sent": { "const": false },
                    },
                    "required": ["draft", "sent"],
                }),
                effects: Effects::of(&[Effect::Write]),
            },
            workspace,
            clock,
        })
    }

    /// Recipients, if they may be written to.
    fn recipients(&self, texts: &[String]) -> Result<Vec<Mailbox>, String> {
        let mut all = Vec::with_capacity(texts.len());
        for text in texts {
            let mailbox = mailbox(text)?;
            let address = mailbox.address.to_lowercase();
            if self
                .allowed
                .as_ref()
                .is_some_and(|set| !set.is_match(&address))
            {
                return Err(format!(
                    "`{address}` is not among the addresses that may be written to"
                ));
            }
            all.push(mailbox);
        }
        Ok(all)
    }

    /// The draft as a file.
    fn message(&self, input: &Input, seconds: i64) -> Result<Vec<u8>, String> {
        let (to, cc, bcc) = (
            self.recipients(&input.to)?,
            self.recipients(&input.cc)?,
            self.recipients(&input.bcc)?,
        );
        let count = to.len() + cc.len() + bcc.len();
        if to.is_empty() || count > MOST_RECIPIENTS {
            return Err(format!("a draft has 1 to {MOST_RECIPIENTS} recipients"));
        }
        one_line("subject", &input.subject)?;
        if let Some(c) = input
            .text
            .chars()
            .find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
        {
            return Err(format!(
                "`text` has the control character {}",
                c.escape_debug()
            ));
        }
        let id = blake3::hash(format!("{seconds} {} {}", input.subject, input.text).as_bytes());
        let host = self.from.address.rsplit('@').next().unwrap_or("localhost");
        let mut message = MessageBuilder::new()
            .message_id(format!("{}@{host}", &id.to_hex()[..32]))
            .date(seconds)
            .from(self.from.written())
            .to(written(&to));
        if !cc.is_empty() {
            message = message.cc(written(&cc));
        }
        if !bcc.is_empty() {
            message = message.bcc(written(&bcc));
        }
        if let Some(reply_to) = &self.reply_to {
            message = message.reply_to(reply_to.written());
        }
        // Mail programs open a message with this header as a draft.
        let message = message
            .header("X-Unsent", Text::new("1"))
            .subject(input.subject.as_str())
            .text_body(input.text.as_str());
        message.write_to_vec().map_err(|error| error.to_string())
    }

    fn write(&self, input: &Input) -> Result<Value, CallError> {
        let name = &self.signature.name;
        let seconds = (self.clock)();
        let message = self
            .message(input, seconds)
            .map_err(|what| invalid(name, what))?;
        let (count, _) = self
            .workspace
            .size(MOST_DRAFTS)
            .map_err(CallError::failure)?;
        if count >= MOST_DRAFTS {
            let what = format!("there are {MOST_DRAFTS} drafts already");
            return Err(CallError::new(ErrorCode::TooLarge, what)
                .with_hint("a person has to send or delete some"));
        }
        let slug = slug(&input.subject);
        for number in 0..MOST_DRAFTS {
            let path = PathBuf::from(format!("{seconds}-{number}-{slug}.eml"));
            match self.workspace.write(&path, &message, false) {
                Ok(()) => {
                    return Ok(json!({ "draft": path.to_string_lossy(), "sent": false }));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(CallError::failure(error)),
            }
        }
        Err(CallError::new(
            ErrorCode::TooLarge,
            "no name is free for a draft",
        ))
    }
}

/// Drafts as a function.
struct Drafting(Arc<Draft>);

#[async_trait]
impl Work for Drafting {
    fn signature(&self) -> &Signature {
        &self.0.signature
    }

    async fn work(&self, input: Value, _: &CallContext) -> Result<Value, CallError> {
        let input: Input = read(&self.0.signature.name, input)?;
        let draft = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || draft.write(&input))
            .await
            .map_err(|_| CallError::new(ErrorCode::Internal, "the draft ended early"))?
    }
}

/// An address with the name of whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mailbox {
    name: Option<String>,
    address: String,
}

impl Mailbox {
    fn written(&self) -> Address<'_> {
        Address::new_address(self.name.as_deref(), self.address.as_str())
    }
}

fn written(all: &[Mailbox]) -> Address<'_> {
    Address::new_list(all.iter().map(Mailbox::written).collect())
}

/// `Ann Lee <ann@example.com>`, or the address alone.
fn mailbox(text: &str) -> Result<Mailbox, String> {
    one_line("an address", text)?;
    let text = text.trim();
    let (name, address) = match text
        .strip_suffix('>')
        .and_then(|text| text.rsplit_once('<'))
    {
        Some((name, address)) => (name.trim().trim_matches('"').trim(), address),
        None => ("", text),
    };
    let wrong = || format!("`{text}` is no address: write USER@HOST or NAME <USER@HOST>");
    let (user, host) = address.rsplit_once('@').ok_or_else(wrong)?;
    let plain = |c: char| !c.is_whitespace() && !"<>()[]\\,;:\"@".contains(c);
    let in_host = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.');
    let good_host = host
        .split('.')
        .all(|part| !part.is_empty() && !part.starts_with('-'));
    if user.is_empty() || !user.chars().all(plain) || !host.chars().all(in_host) || !good_host {
        return Err(wrong());
    }
    if address.len() > LONGEST_ADDRESS || name.contains(['<', '>', '@']) {
        return Err(wrong());
    }
    Ok(Mailbox {
        name: (!name.is_empty()).then(|| name.to_owned()),
        address: address.to_owned(),
    })
}

/// That a text is one line, as a header's value has to be: a second line would be another header.
fn one_line(what: &str, text: &str) -> Result<(), String> {
    let ends = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{85}');
    match text.chars().find(|c| ends(*c)) {
        Some(c) => Err(format!("`{what}` has {}: it is one line", c.escape_debug())),
        None => Ok(()),
    }
}

/// A subject as a part of a file's name.
fn slug(subject: &str) -> String {
    let mut slug = String::new();
    for c in subject.chars() {
        if slug.chars().count() == LONGEST_SLUG {
            break;
        }
        if c.is_alphanumeric() {
            slug.extend(c.to_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() {
        return "draft".to_owned();
    }
    slug.to_owned()
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;
    use praxis_core::trace::NoTrace;

    use super::*;

    const FILE: &str = "folder = \"drafts\"\nfrom = \"Über uns <desk@example.com>\"\nreply_to = \"help@example.com\"\n\
                        to = [\"*@example.com\", \"bob@example.org\"]";

    fn noon() -> i64 {
        1_772_719_387
    }

    async fn call(root: &Path, input: Value) -> Result<Value, CallError> {
        let config: Config = toml::from_str(FILE).unwrap();
        assert!(config.problems().is_empty());
        let workspace = Arc::new(Workspace::open(root, &config.folder).unwrap());
        let draft = Draft::new("letters", &config, workspace, noon).unwrap();
        let function = tool(Drafting(Arc::new(draft))).unwrap();
        function
            .call(input, &CallContext::new(Arc::new(NoTrace)))
            .await
    }

    #[tokio::test]
    async fn a_draft_is_what_mail_programs_read() {
        let root = tempfile::tempdir().unwrap();
        let text = "Dear Ann,\n\nyour parcel 包裹 is on its way.\n.\nFrom here\n";
        let input = json!({
            "to": ["\"Lee, Ann\" <ann@example.com>", "李四 <li@example.com>"],
            "cc": ["bob@example.org"],
            "subject": "您的包裹: it is on its way, and this subject is longer than one line of a message can be",
            "text": text,
        });
        let made = call(root.path(), input.clone()).await.unwrap();
        assert_eq!(made["sent"], false);
        let name = made["draft"].as_str().unwrap();
        assert!(name.starts_with("1772719387-0-您的包裹-it-is"), "{name}");
        let bytes = std::fs::read(root.path().join("drafts").join(name)).unwrap();
        let message = MessageParser::default().parse(&bytes).unwrap();
        assert_eq!(message.subject(), input["subject"].as_str());
        let body = message.body_text(0).unwrap().replace("\r\n", "\n");
        assert_eq!(body.trim_end(), text.trim_end());
        let to = message.to().unwrap();
        let found: Vec<_> = to
            .iter()
            .map(|a| (a.name().unwrap(), a.address().unwrap()))
            .collect();
        assert_eq!(
            found,
            [("Lee, Ann", "ann@example.com"), ("李四", "li@example.com")]
        );
        assert_eq!(
            message.from().unwrap().first().unwrap().name(),
            Some("Über uns")
        );
        assert_eq!(message.date().unwrap().to_timestamp(), noon());
        assert!(String::from_utf8_lossy(&bytes).contains("X-Unsent: 1\r\n"));
        let again = call(root.path(), input).await.unwrap();
        assert_ne!(again["draft"], made["draft"]);
    }

    #[tokio::test]
    async fn headers_cannot_be_smuggled_in() {
        let root = tempfile::tempdir().unwrap();
        let good = json!({"to": ["ann@example.com"], "subject": "s", "text": "t"});
        for (key, value, said) in [
            ("subject", json!("s\r\nBcc: eve@evil.org"), "it is one line"),
            ("subject", json!("s\nX: y"), "it is one line"),
            ("subject", json!("s\u{2028}X: y"), "it is one line"),
            (
                "to",
                json!(["ann@example.com\r\nBcc: eve@evil.org"]),
                "it is one line",
            ),
            (
                "to",
                json!(["ann@example.com, eve@evil.org"]),
                "is no address",
            ),
            (
                "to",
                json!(["Ann <ann@example.com> <eve@evil.org>"]),
                "is no address",
            ),
            ("to", json!(["ann@example.com>"]), "is no address"),
            ("to", json!(["ann"]), "is no address"),
            ("to", json!(["@example.com"]), "is no address"),
            ("to", json!([]), "1 to 50 recipients"),
            ("cc", json!(["eve@evil.org"]), "not among the addresses"),
            (
                "bcc",
                json!(["eve@example.com.evil.org"]),
                "not among the addresses",
            ),
            ("text", json!("a\u{0}b"), "control character"),
        ] {
            let mut input = good.clone();
            input[key] = value;
            let error = call(root.path(), input.clone()).await.unwrap_err();
            assert!(error.message.contains(said), "{input}: {error:?}");
        }
        let drafts = std::fs::read_dir(root.path().join("drafts"))
            .unwrap()
            .count();
        assert_eq!(drafts, 0);
    }

    #[test]
    fn mistakes_in_the_file_are_found() {
        for (toml, path) in [
            ("folder = \"..\"\nfrom = \"a@b.c\"", "folder"),
            ("folder = \"d\"\nfrom = \"nobody\"", "from"),
            (
                "folder = \"d\"\nfrom = \"a@b.c\"\nreply_to = \"x\"",
                "reply_to",
            ),
            (
                "folder = \"d\"\nfrom = \"a@b.c\"\nto = [\"*@b.c\", \"[\"]",
                "to.1",
            ),
        ] {
            let config: Config = toml::from_str(toml).unwrap();
            let problems = config.problems();
            assert_eq!(problems.len(), 1, "{toml}: {problems:?}");
            assert_eq!(problems[0].path, path);
        }
    }

    #[test]
    fn subjects_make_names_of_files() {
        for (subject, wanted) in [
            ("Re: ../../etc/passwd", "re-etc-passwd"),
            ("  ", "draft"),
            ("报价单 #5", "报价单-5"),
            (&"x".repeat(99), &"x".repeat(40)),
        ] {
            assert_eq!(slug(subject), wanted);
        }
    }
}
