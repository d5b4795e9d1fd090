//! A Python that runs code in sandboxes: one for a call, or one that stays for several. Left out: functions over it
//! (`run`), and the sandbox (`crate::sandbox`).

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use praxis_core::{CallContext, CallError, Caller, ErrorCode, ModelError, Problem};
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::config::{Config, Limits, problem};
use super::gate::Gate;
use super::host::{self, Python};
use super::said::{self, Failure, Given, LeftOut, Said, Task, is_name};
use super::session::{Running, Session, Table, lost};
use crate::sandbox::{End, Ended, Isolation, NoSandbox, Process, SCRATCH, Spec, Written, sweep};

/// The program in the sandbox.
const DRIVER: &str = include_str!("driver.py");

/// How much longer than a call's time is waited for the interpreter to end it by itself.
const GRACE: Duration = Duration::from_secs(2);

/// The most code of one call, in bytes.
pub(super) const LONGEST: usize = 256 << 10;

/// A Python that runs code in sandboxes. Cheap to share; what runs ends with it.
pub(crate) struct Interpreter {
    limits: Limits,
    idle: Duration,
    /// The sandbox of a call, and that of a session, which has more processor time.
    once: Spec,
    kept: Spec,
    python: Python,
    gate: Arc<Gate>,
    sessions: Table,
}

/// What becomes of the interpreter after a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It ends.
    #[default]
    Nothing,
    /// It stays, as a new session.
    New,
    /// It is that of this session, and stays.
    Session(String),
}

/// Code to be run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Order {
    /// The code.
    pub code: String,
    /// Files that it finds in its scratch folder.
    pub files: Vec<Given>,
    /// What becomes of the interpreter.
    pub keep: Keep,
}

/// What came of code. What went wrong with the code is in here, and no error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ran {
    /// The beginning of what it wrote.
    pub stdout: String,
    /// The beginning of what it complained of.
    pub stderr: String,
    /// The value of its last line, as Python writes it.
    pub result: Option<String>,
    /// Which of these were longer.
    pub truncated: Vec<&'static str>,
    /// What went wrong.
    pub error: Option<Failure>,
    /// Files that it made or changed.
    pub files: Vec<Given>,
    /// Files for which there was no room.
    pub left_out: Vec<LeftOut>,
    /// The session that it ran in.
    pub session: Option<String>,
    /// Why that session is of no use any more, and what is lost with it.
    pub ended: Option<String>,
}

/// What came of one request to a process.
struct Turn {
    stdout: Written,
    stderr: Written,
    /// What it says, with its files; or why it has to be ended.
    answer: Result<(Said, Vec<Vec<u8>>), End>,
}

impl Interpreter {
    /// The interpreter of a tool file. `root` is the application's folder, `state` one of the tool's own.
    ///
    /// # Errors
    /// There is no Python that can be used, or no folder for it.
    pub async fn open(config: &Config, root: &Path, state: &Path) -> Result<Arc<Self>, Problem> {
        let anchor = state.join("root");
        let folder = |error: std::io::Error| {
            let message = format!("cannot make the folder `{}`: {error}", anchor.display());
            problem("", message, "may it be written, and is there room?")
        };
        std::fs::create_dir_all(&anchor).map_err(folder)?;
        let anchor = std::fs::canonicalize(&anchor).map_err(folder)?;
        let own = [std::fs::canonicalize(root), std::fs::canonicalize(state)];
        let own: Vec<PathBuf> = own.into_iter().filter_map(Result::ok).collect();
        let own: Vec<&Path> = own.iter().map(PathBuf::as_path).collect();
        let python = host::find(config, root, &own).await?;
        if config.isolation == Isolation::Landlock {
            // As many as there are, which takes no longer than a few of them.
            let _ = tokio::task::spawn_blocking(sweep).await;
        }
        let spec = |cpu: Duration| spec(config, &python, &anchor, cpu);
        Ok(Arc::new(Self {
            limits: config.limits,
            idle: config.sessions.idle.0,
            once: spec(config.limits.cpu.0),
            kept: spec(config.sessions.cpu.0),
            gate: Gate::shared(&anchor, config.limits.at_once, config.limits.waiting),
            sessions: Table::new(config.sessions.most),
            python,
        }))
    }

    /// The version of Python, such as `3.11`.
    pub fn version(&self) -> &str {
        &self.python.version
    }

    /// Runs a line, to see whether code can run here at all.
    ///
    /// # Errors
    /// Why it cannot.
    pub(super) async fn trial(&self) -> Result<(), CallError> {
        let cancel = CancellationToken::new();
        let process = self.start(&self.once, &cancel).await?;
        process.end().await;
        Ok(())
    }

    /// Runs code.
    ///
    /// # Errors
    /// `invalid_request`, `not_found` for a session that is none of the caller's, `rate_limited`, `cancelled`, and
    /// `upstream_error` where there is no sandbox. What goes wrong with the code is no error of the call.
    pub async fn run(self: &Arc<Self>, order: Order, cx: &CallContext) -> Result<Ran, CallError> {
        if order.code.len() > LONGEST {
            let message = format!("the code has more than {LONGEST} bytes");
            return Err(CallError::new(ErrorCode::InvalidRequest, message)
                .with_hint("make it shorter, or give what it needs as a file"));
        }
        match &order.keep {
            Keep::Nothing => {
                let (ran, _) = self
                    .alone(&Task::Run, &order.code, &order.files, cx)
                    .await?;
                Ok(ran)
            }
            Keep::New => {
                let (id, session) = self.sessions.open(cx.caller())?;
                session.mix(cx.taint());
                // From the beginning: also of a call that is given up it is known when it ended.
                tokio::spawn(expire(Arc::downgrade(self), id.clone(), self.idle));
                let ran = self.within(&id, &session, true, &order, cx).await;
                if ran.is_err() {
                    self.sessions.close(&id, "it was never there".to_owned());
                }
                ran
            }
            Keep::Session(id) => {
                let session = self.sessions.find(id, cx.caller())?;
                session.mix(cx.taint());
                self.within(id, &session, false, &order, cx).await
            }
        }
    }

    /// Calls the function `run` that code defines, in a sandbox of its own, and gives what it gave.
    ///
    /// # Errors
    /// As [`run`](Self::run), and `upstream_error` for what goes wrong with the code.
    pub(super) async fn call(
        &self,
        code: &str,
        input: Map<String, Value>,
        cx: &CallContext,
    ) -> Result<Value, CallError> {
        let (ran, value) = self.alone(&Task::Call(input), code, &[], cx).await?;
        match ran.error {
            None => Ok(value),
            Some(error) => {
                let message = format!("{}: {}", error.kind, error.message);
                Err(CallError::new(ErrorCode::Upstream, message)
                    .with_details(serde_json::json!({ "traceback": error.traceback })))
            }
        }
    }

    /// Ends a session of the caller's.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn reset(&self, id: &str, caller: &Caller) -> Result<(), CallError> {
        let session = self.sessions.find(id, caller)?;
        self.sessions.close(id, "it was reset".to_owned());
        // A call that has it keeps it to its end, and does not put it back into what is open.
        if let Some(running) = session.running.lock().await.take() {
            running.process.end().await;
        }
        Ok(())
    }

    /// Runs a task in a sandbox of its own.
    async fn alone(
        &self,
        task: &Task,
        code: &str,
        files: &[Given],
        cx: &CallContext,
    ) -> Result<(Ran, Value), CallError> {
        let _turn = self.gate.turn(cx.cancel()).await?;
        let mut process = self.start(&self.once, cx.cancel()).await?;
        let turn = self
            .ask(&mut process, 0, task, code, files, cx.cancel())
            .await?;
        let ended = process.end().await;
        let value = match &turn.answer {
            Ok((said, _)) => said.value.clone(),
            Err(_) => Value::Null,
        };
        Ok((self.ran(turn, ended)?, value))
    }

    /// Runs code in the interpreter of a session, which is started if it is new.
    async fn within(
        &self,
        id: &str,
        session: &Session,
        is_new: bool,
        order: &Order,
        cx: &CallContext,
    ) -> Result<Ran, CallError> {
        // Whose call is dropped on the way takes the interpreter along, and nobody hears the answer of another call.
        let mut place = tokio::select! {
            place = session.running.lock() => place,
            () = cx.cancel().cancelled() => return Err(ModelError::Cancelled.into()),
        };
        let _turn = self.gate.turn(cx.cancel()).await?;
        let mut running = match place.take() {
            Some(running) => running,
            None if is_new => Running {
                process: self.start(&self.kept, cx.cancel()).await?,
                calls: 0,
                names: Vec::new(),
                used: Instant::now(),
            },
            None => {
                let why = "a call was given up while it ran";
                self.sessions.close(id, why.to_owned());
                let found = self.sessions.find(id, cx.caller());
                return found.and_then(|_| Err(ModelError::Cancelled.into()));
            }
        };
        running.calls += 1;
        let (code, files) = (&order.code, &order.files);
        let turn = self
            .ask(
                &mut running.process,
                running.calls,
                &Task::Run,
                code,
                files,
                cx.cancel(),
            )
            .await;
        let turn = match turn {
            Ok(turn) => turn,
            Err(error) => {
                // Nothing was asked of it.
                *place = Some(running);
                return Err(error);
            }
        };
        if let Ok((said, _)) = &turn.answer {
            running.names.clone_from(&said.names);
            running.used = Instant::now();
            let mut ran = self.ran(turn, Ended::Unknown)?;
            ran.session = Some(id.to_owned());
            *place = Some(running);
            return Ok(ran);
        }
        let ended = running.process.end().await;
        let lost = lost(&running.names);
        let ran = self.ran(turn, ended);
        let why = match &ran {
            Ok(Ran {
                error: Some(error), ..
            }) => error.message.clone(),
            Ok(_) => "it ended".to_owned(),
            Err(_) => "a call was cancelled".to_owned(),
        };
        let why = format!("{why}; {lost}");
        self.sessions.close(id, why.clone());
        let mut ran = ran?;
        ran.session = Some(id.to_owned());
        ran.ended = Some(why);
        Ok(ran)
    }

    async fn start(&self, spec: &Spec, cancel: &CancellationToken) -> Result<Process, CallError> {
        let room = usize::try_from(self.limits.output).unwrap_or(usize::MAX);
        match Process::start(spec, room, cancel).await {
            Ok(process) => Ok(process),
            Err(_) if cancel.is_cancelled() => Err(ModelError::Cancelled.into()),
            Err(NoSandbox(why)) => {
                let message = format!("code cannot run here, because there is no sandbox: {why}");
                let hint = match spec.isolation {
                    Isolation::Namespaces => {
                        "allow user namespaces, or set `isolation = \"landlock\"` in the tool's file where Landlock is \
                         there; see docs/tools-python.md"
                    }
                    Isolation::Landlock => {
                        "is Landlock in the kernel, and Python where everybody may read it? see docs/tools-python.md"
                    }
                };
                Err(CallError::new(ErrorCode::Upstream, message).with_hint(hint))
            }
        }
    }

    /// Sends a task to a process, and takes what it says.
    ///
    /// # Errors
    /// A task that is too long to be sent.
    async fn ask(
        &self,
        process: &mut Process,
        id: u64,
        task: &Task,
        code: &str,
        files: &[Given],
        cancel: &CancellationToken,
    ) -> Result<Turn, CallError> {
        let request = said::request(id, task, code, files, &self.limits).ok_or_else(|| {
            CallError::new(
                ErrorCode::InvalidRequest,
                "the files are too large to be sent",
            )
        })?;
        let time = self.limits.time.0 + GRACE;
        let exchange = process
            .exchange(&request, said::room(&self.limits), time, cancel)
            .await;
        let answer = exchange.answer.and_then(|message| {
            let said = said::said(&message, id, &self.limits).map_err(End::Broken)?;
            Ok((said, message.blobs))
        });
        Ok(Turn {
            stdout: exchange.stdout,
            stderr: exchange.stderr,
            answer,
        })
    }

    /// What came of a turn, and of the end of its process where it has none.
    ///
    /// # Errors
    /// `cancelled`.
    fn ran(&self, turn: Turn, ended: Ended) -> Result<Ran, CallError> {
        let mut ran = Ran {
            stdout: turn.stdout.text,
            stderr: turn.stderr.text,
            ..Ran::default()
        };
        let mut cut = vec![("stdout", turn.stdout.cut), ("stderr", turn.stderr.cut)];
        match turn.answer {
            Ok((said, blobs)) => {
                cut.push(("result", said.cut));
                ran.result = said.result;
                ran.error = said.error;
                ran.left_out = said.left_out;
                let files = said.files.into_iter().zip(blobs);
                let files = files.filter(|(name, _)| is_name(name));
                ran.files = files.map(|(name, bytes)| Given { name, bytes }).collect();
            }
            Err(End::Cancelled) => return Err(ModelError::Cancelled.into()),
            Err(end) => ran.error = Some(self.failure(&end, ended)),
        }
        ran.truncated = cut
            .into_iter()
            .filter(|(_, cut)| *cut)
            .map(|(name, _)| name)
            .collect();
        Ok(ran)
    }

    /// What is said of a process that had to be ended, or that ended.
    fn failure(&self, end: &End, ended: Ended) -> Failure {
        let limits = &self.limits;
        match end {
            End::Late => {
                let message = format!("the code ran longer than {} and was ended", limits.time);
                Failure::of("TimeLimit", message)
            }
            End::Flood => {
                let message = "the code wrote far more than anybody would read and was ended";
                Failure::of("OutputLimit", message.to_owned())
            }
            End::Broken(what) => {
                let message = format!("the interpreter was ended, because {what}");
                Failure::of("Broken", message)
            }
            End::Gone | End::Cancelled => gone(ended, limits),
        }
    }
}

/// What is said of a process that ended.
fn gone(ended: Ended, limits: &Limits) -> Failure {
    let killed = |what: String| Failure::of("Killed", what);
    match ended {
        Ended::Outgrew => Failure::of(
            "ScratchLimit",
            format!(
                "the code was ended, because it made more than {} files, {} bytes or {} threads",
                limits.files, limits.scratch, limits.threads
            ),
        ),
        Ended::Status(status) => Failure::of(
            "Exited",
            format!("the code ended the interpreter (status {status})"),
        ),
        // Linux's numbers of signals that come from limits and mistakes.
        Ended::Signal(9) => killed(format!(
            "the interpreter was killed, as it is where its memory ({} bytes) or processor time ({}) is used up",
            limits.memory, limits.cpu
        )),
        Ended::Signal(6) => killed("the interpreter was aborted".to_owned()),
        Ended::Signal(7 | 11) => killed(
            "the interpreter crashed: code reached memory that is not its own, or its \
                                         stack was used up"
                .to_owned(),
        ),
        Ended::Signal(24) => killed(format!("the processor time ({}) is used up", limits.cpu)),
        Ended::Signal(signal) => killed(format!("signal {signal} ended the interpreter")),
        Ended::Unknown => killed("the interpreter ended".to_owned()),
    }
}

/// Ends a session that nobody calls.
async fn expire(interpreter: Weak<Interpreter>, id: String, idle: Duration) {
    let mut left = idle;
    loop {
        sleep(left).await;
        let Some(interpreter) = interpreter.upgrade() else {
            return;
        };
        let Some(session) = interpreter.sessions.get(&id) else {
            return;
        };
        // One that is called is not idle.
        left = idle;
        let Ok(mut place) = session.running.try_lock() else {
            continue;
        };
        let quiet = place
            .as_ref()
            .map_or(idle, |running| running.used.elapsed());
        if quiet < idle {
            left = idle - quiet;
            continue;
        }
        let running = place.take();
        let names = running
            .as_ref()
            .map_or(&[][..], |running| running.names.as_slice());
        let why = format!("nobody called it for {idle:?}; {}", lost(names));
        interpreter.sessions.close(&id, why);
        drop(place);
        if let Some(running) = running {
            running.process.end().await;
        }
        return;
    }
}

/// The sandbox of an interpreter that has this much processor time.
fn spec(config: &Config, python: &Python, anchor: &Path, cpu: Duration) -> Spec {
    let setup = said::setup(&config.limits, &python.packages);
    let arguments = ["-I", "-S", "-B", "-X", "utf8", "-c", DRIVER, "{channel}"];
    let mut arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
    arguments.push(setup.to_string());
    let (scratch, temporary) = match config.isolation {
        Isolation::Namespaces => (SCRATCH, "/tmp"),
        Isolation::Landlock => ("{scratch}", "{scratch}/.tmp"),
    };
    let settings = format!("{temporary}/.settings");
    let environment = [
        ("HOME", scratch),
        ("LANG", "C.UTF-8"),
        ("LOGNAME", "user"),
        ("MALLOC_ARENA_MAX", "2"),
        ("MKL_NUM_THREADS", "1"),
        ("MPLBACKEND", "Agg"),
        ("MPLCONFIGDIR", settings.as_str()),
        ("NUMEXPR_NUM_THREADS", "1"),
        ("OMP_NUM_THREADS", "1"),
        ("OPENBLAS_NUM_THREADS", "1"),
        ("PATH", "/usr/bin"),
        ("TMPDIR", temporary),
        ("TZ", "UTC"),
        ("USER", "user"),
    ];
    let environment = environment.into_iter();
    Spec {
        isolation: config.isolation,
        program: python.program.clone(),
        arguments,
        environment: environment
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        views: python.views.clone(),
        links: python.links.clone(),
        hidden: python.hidden.clone(),
        anchor: anchor.to_owned(),
        folder: None,
        bounds: config.bounds(cpu),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_is_said_in_words_that_help() {
        let limits = Limits::default();
        for (ended, kind, words) in [
            (Ended::Signal(9), "Killed", "1073741824 bytes"),
            (Ended::Signal(11), "Killed", "crashed"),
            (Ended::Signal(24), "Killed", "20s"),
            (Ended::Signal(37), "Killed", "signal 37"),
            (Ended::Status(3), "Exited", "status 3"),
            (Ended::Outgrew, "ScratchLimit", "1000 files"),
        ] {
            let failure = gone(ended, &limits);
            assert_eq!(failure.kind, kind, "{ended:?}");
            assert!(failure.message.contains(words), "{failure:?}");
        }
    }
}
