//! Tesseract, as a program: a picture goes in as PGM, hOCR comes out. A process of its own can be ended at any
//! moment and takes nothing along when it gives up, unlike a library: pages of noise keep Tesseract busy for many
//! minutes. Left out: what is made of its answer (`hocr`).

use std::io::{ErrorKind, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::hocr::areas;
use super::{Area, Missing, Pixels, RecognizeError, Recognizer};
use crate::config::OcrConfig;

/// The most bytes of an answer: a page of small print has a tenth of it.
const MAX_ANSWER: u64 = 16 << 20;

/// How long the program may take to tell its languages.
const SOON: Duration = Duration::from_secs(10);

/// The longest side of a picture, by Tesseract's own limit.
const MAX_SIDE: usize = 32_767;

/// The least side of a picture that may have a text: letters of one line have more pixels.
const MIN_SIDE: usize = 12;

/// Mean confidence below which a page may lie on its head.
const DOUBTFUL: f64 = 70.0;

/// How sure the program must be that a page has to be turned.
const SURELY_TURNED: f64 = 2.0;

/// The program with its settings.
pub(super) struct Tesseract {
    program: PathBuf,
    languages: String,
    timeout: Duration,
}

impl Tesseract {
    /// The program on this machine, if it is there and knows the languages.
    ///
    /// # Errors
    /// What is missing, and the packages that have it.
    pub fn new(config: &OcrConfig) -> Result<Self, Missing> {
        Self::at("tesseract".into(), config)
    }

    fn at(program: PathBuf, config: &OcrConfig) -> Result<Self, Missing> {
        let missing = |reason: String, languages: &[&str]| Missing {
            reason: Some(reason),
            fix: install(languages),
        };
        let wanted: Vec<&str> = config.languages.iter().map(String::as_str).collect();
        let mut command = Command::new(&program);
        command.arg("--list-langs");
        let (answer, complaint) = answer(&mut command, Vec::new(), SOON).map_err(|failure| {
            let reason = match failure {
                Failure::NotThere => "the program `tesseract` is not on this machine".to_owned(),
                Failure::TooSlow => "the program `tesseract` does not answer".to_owned(),
                Failure::Other(message) => format!("the program `tesseract` fails: {message}"),
            };
            missing(reason, &wanted)
        })?;
        // Versions before 5 list them where others complain.
        let known: Vec<&str> = answer
            .lines()
            .chain(complaint.lines())
            .map(str::trim)
            .collect();
        let unknown: Vec<&str> = wanted
            .iter()
            .copied()
            .filter(|l| !known.contains(l))
            .collect();
        if !unknown.is_empty() {
            let names: Vec<String> = unknown.iter().map(|name| format!("`{name}`")).collect();
            let reason = format!(
                "Tesseract has no data for the language {}",
                names.join(" and ")
            );
            return Err(missing(reason, &unknown));
        }
        Ok(Self {
            program,
            languages: wanted.join("+"),
            timeout: config.timeout(),
        })
    }

    /// The program, to be given a picture.
    fn command(&self, arguments: &[&str], dpi: Option<u32>) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["stdin", "stdout"]).args(arguments);
        if let Some(dpi) = dpi {
            command.args(["--dpi", &dpi.to_string()]);
        }
        // Its threads wait for each other more than they work.
        command.env("OMP_THREAD_LIMIT", "1");
        command
    }

    fn run(
        &self,
        command: &mut Command,
        picture: Vec<u8>,
        until: Instant,
    ) -> Result<String, RecognizeError> {
        let left = until.saturating_duration_since(Instant::now());
        match answer(command, picture, left) {
            Ok((answer, _)) => Ok(answer),
            Err(Failure::TooSlow) => Err(RecognizeError::TooSlow(self.timeout.as_secs())),
            Err(Failure::NotThere) => Err(RecognizeError::Failed(
                "the program `tesseract` is gone".to_owned(),
            )),
            Err(Failure::Other(message)) => Err(RecognizeError::Failed(message)),
        }
    }

    fn read(&self, pixels: &Pixels, until: Instant) -> Result<Vec<Area>, RecognizeError> {
        let arguments = [
            "-l",
            &self.languages,
            "--psm",
            "3",
            "-c",
            "tessedit_create_hocr=1",
        ];
        let mut command = self.command(&arguments, pixels.dpi());
        let answer = self.run(&mut command, pixels.to_pgm(), until)?;
        Ok(areas(&answer))
    }

    /// By how many quarters a page must be turned clockwise to be read; none where that cannot be told.
    fn turn(&self, pixels: &Pixels, until: Instant) -> Option<u32> {
        let mut command = self.command(&["--psm", "0"], pixels.dpi());
        let answer = self.run(&mut command, pixels.to_pgm(), until).ok()?;
        let value = |key: &str| -> Option<f64> {
            let line = answer.lines().find_map(|line| line.strip_prefix(key))?;
            line.trim().parse().ok()
        };
        let sure = value("Orientation confidence:")? >= SURELY_TURNED;
        let quarters = match value("Rotate:")? {
            90.0 => 1,
            180.0 => 2,
            270.0 => 3,
            _ => 0,
        };
        (sure && quarters > 0).then_some(quarters)
    }
}

impl Recognizer for Tesseract {
    fn recognize(&self, pixels: &Pixels) -> Result<Vec<Area>, RecognizeError> {
        let (short, long) = (
            pixels.width().min(pixels.height()),
            pixels.width().max(pixels.height()),
        );
        if short < MIN_SIDE || pixels.is_blank() {
            return Ok(Vec::new());
        }
        if long > MAX_SIDE {
            return Err(RecognizeError::Failed(format!(
                "a side of {long} pixels is over the limit of {MAX_SIDE}"
            )));
        }
        let until = Instant::now() + self.timeout;
        let first = self.read(pixels, until)?;
        if first.is_empty() || (confidence(&first) >= DOUBTFUL && !lies(&first)) {
            return Ok(first);
        }
        let Some(quarters) = self.turn(pixels, until) else {
            return Ok(first);
        };
        match self.read(&pixels.turned(quarters), until) {
            Ok(turned) if lies(&first) || confidence(&turned) > confidence(&first) => Ok(turned),
            Ok(_) | Err(_) => Ok(first),
        }
    }
}

/// Whether most lines of a page do not stand upright.
fn lies(areas: &[Area]) -> bool {
    let lines = areas.iter().flatten();
    let upright = lines.clone().filter(|line| line.upright).count();
    upright * 2 < lines.count()
}

/// Mean confidence of a page's characters.
fn confidence(areas: &[Area]) -> f64 {
    let (mut sum, mut characters) = (0.0, 0.0);
    for word in areas.iter().flatten().flat_map(|line| &line.words) {
        let length = word.text.chars().count() as f64;
        sum += f64::from(word.confidence) * length;
        characters += length;
    }
    if characters > 0.0 {
        sum / characters
    } else {
        0.0
    }
}

/// How to get Tesseract with its data for some languages.
fn install(languages: &[&str]) -> String {
    let mut packages = vec!["tesseract-ocr".to_owned()];
    packages.extend(languages.iter().map(|language| {
        let package = language.to_ascii_lowercase().replace('_', "-");
        match package.strip_prefix("script/") {
            Some(script) => format!("tesseract-ocr-script-{script}"),
            None => format!("tesseract-ocr-{package}"),
        }
    }));
    format!(
        "install Tesseract and its language data (Debian: `apt install {}`), or change `languages` under [ocr]",
        packages.join(" ")
    )
}

/// Why a program has no answer.
enum Failure {
    NotThere,
    TooSlow,
    Other(String),
}

/// What a program writes, to its output and to complain, when it is given some bytes. It is ended when its time is up.
fn answer(
    command: &mut Command,
    input: Vec<u8>,
    time: Duration,
) -> Result<(String, String), Failure> {
    let other = |error: std::io::Error| Failure::Other(error.to_string());
    let until = Instant::now() + time;
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map(Ended).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::NotThere,
        _ => other(error),
    })?;
    // Nobody waits for these threads: a pipe may be held open by a program that the program started.
    let stdin = child.0.stdin.take();
    thread::spawn(move || {
        // A program that ends early does not read all.
        let _ = stdin.map(|mut stdin| stdin.write_all(&input));
    });
    let told = text_of(child.0.stdout.take());
    let complaint = text_of(child.0.stderr.take());
    let in_time = |text: &mpsc::Receiver<String>| {
        let left = until.saturating_duration_since(Instant::now());
        text.recv_timeout(left).map_err(|_| Failure::TooSlow)
    };
    let (told, complaint) = (in_time(&told)?, in_time(&complaint)?);
    let status = loop {
        match child.0.try_wait().map_err(other)? {
            Some(status) => break status,
            None if Instant::now() > until => return Err(Failure::TooSlow),
            None => thread::sleep(Duration::from_millis(2)),
        }
    };
    if status.success() {
        return Ok((told, complaint));
    }
    let line = complaint
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty());
    Err(Failure::Other(
        line.map_or(status.to_string(), str::to_owned),
    ))
}

/// All that comes out of a pipe, when it has come.
fn text_of(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (done, text) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            let _ = pipe.take(MAX_ANSWER).read_to_end(&mut bytes);
        }
        let _ = done.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    text
}

/// A program that does not outlive its caller's interest.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(program: &str, languages: &[&str]) -> Missing {
        let config = OcrConfig {
            languages: languages.iter().map(|l| (*l).to_owned()).collect(),
            ..OcrConfig::default()
        };
        Tesseract::at(program.into(), &config).err().unwrap()
    }

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let program = missing("no-such-tesseract", &["eng", "chi_sim"]);
        assert!(program.reason.unwrap().contains("not on this machine"));
        assert!(
            program
                .fix
                .contains("apt install tesseract-ocr tesseract-ocr-eng tesseract-ocr-chi-sim`")
        );
        let language = missing("tesseract", &["eng", "tlh_old", "script/Runic"]);
        assert_eq!(
            language.reason.unwrap(),
            "Tesseract has no data for the language `tlh_old` and `script/Runic`"
        );
        assert!(
            language
                .fix
                .contains("tesseract-ocr-tlh-old tesseract-ocr-script-runic`")
        );
        assert!(missing("false", &["eng"]).reason.unwrap().contains("fails"));
    }

    #[test]
    fn a_program_that_takes_too_long_is_ended() {
        let start = Instant::now();
        let mut command = Command::new("sleep");
        command.arg("60");
        let much = vec![0; 1 << 20];
        let outcome = answer(&mut command, much, Duration::from_millis(100));
        assert!(matches!(outcome, Err(Failure::TooSlow)));
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_program_gets_all_and_says_all() {
        let much = vec![b'x'; 3 << 20];
        let (said, _) = answer(&mut Command::new("cat"), much.clone(), SOON)
            .ok()
            .unwrap();
        assert_eq!(said.len(), much.len());
        let mut command = Command::new("sh");
        command.args(["-c", "echo broken >&2; exit 3"]);
        match answer(&mut command, Vec::new(), SOON) {
            Err(Failure::Other(message)) => assert_eq!(message, "broken"),
            _ => panic!("it did not fail"),
        }
    }
}
