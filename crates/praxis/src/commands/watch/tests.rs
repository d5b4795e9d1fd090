//! What is told, and when which source is looked at, again or at all.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use praxis_core::embed::{EmbedKind, TokenCounter};
use praxis_core::trace::NoTrace;
use praxis_core::{Embedder, ModelError};
use praxis_store::Store;

use super::schedule::Due;
use super::*;

fn base(text: &str) -> BaseConfig {
    toml::from_str(text).unwrap()
}

fn named(due: &Due) -> Vec<String> {
    due.iter()
        .flat_map(|(base, names)| names.iter().map(move |n| format!("{base}/{n}")))
        .collect()
}

fn of(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A web site and a folder.
fn bases() -> Vec<(String, BaseConfig)> {
    let both = "[source]\n[[sources]]\ntype = \"web\"\nname = \"w\"\nurls = [\"https://e.com/\"]";
    vec![("a".to_owned(), base(both))]
}

#[test]
fn a_problem_is_told_once_as_long_as_it_lasts() {
    let with = |reason: Option<&str>| IngestReport {
        problems: reason
            .map(|reason| praxis_knowledge::SourceProblem {
                source: "w".to_owned(),
                reason: reason.to_owned(),
                hint: None,
            })
            .into_iter()
            .collect(),
        ..IngestReport::default()
    };
    let mut teller = Teller::new(Voice::Log);
    let (web, other) = (of(&["w"]), of(&["g"]));
    for (only, reason, news) in [
        (None, None, true),
        (Some(&web), None, false),
        (Some(&web), Some("down"), true),
        (Some(&web), Some("down"), false),
        (Some(&other), None, false),
        (Some(&web), Some("slow"), true),
        (Some(&web), None, true),
        (Some(&web), None, false),
    ] {
        let found = teller.is_news("a", only, &with(reason));
        assert_eq!(found, news, "{only:?} {reason:?}");
    }
}

#[test]
fn an_ingest_that_works_again_is_news() {
    let mut teller = Teller::new(Voice::Log);
    let (only, report) = (of(&["w"]), IngestReport::default());
    let down = CallError::new(ErrorCode::Upstream, "the endpoint is down");
    // The first look, also where it is not the first try.
    teller.fail("a", &down, POLL);
    for (fails, news) in [(false, true), (false, false), (true, true), (false, false)] {
        if fails {
            teller.fail("a", &down, POLL);
            assert!(!teller.failures.is_empty());
        }
        assert_eq!(teller.is_news("a", Some(&only), &report), news);
    }
}

#[test]
fn only_what_a_person_has_to_mend_ends_the_first_ingest() {
    for (code, passes) in [
        (ErrorCode::Upstream, true),
        (ErrorCode::Timeout, true),
        (ErrorCode::StorageFull, true),
        (ErrorCode::ModelNotPulled, false),
        (ErrorCode::Unauthorized, false),
        (ErrorCode::InvalidRequest, false),
    ] {
        assert_eq!(may_pass(&CallError::new(code, "x")), passes, "{code:?}");
    }
}

#[test]
fn sources_are_due_after_their_time_and_files_when_they_change() {
    let bases = [
        (
            "a".to_owned(),
            base(
                "[source]\n[[sources]]\ntype = \"web\"\nname = \"w\"\nurls = [\"https://e.com/\"]\nevery = \"1h\"",
            ),
        ),
        (
            "b".to_owned(),
            base(
                "[[sources]]\ntype = \"git\"\nname = \"g\"\nurl = \"../x\"\nevery = \"10m\"\n\
                 [[sources]]\ntype = \"sql\"\ndatabase = \"a.db\"\nquery = \"SELECT 1 AS id\"",
            ),
        ),
    ];
    let now = Instant::now();
    let minutes = |n: u64| now + Duration::from_secs(60 * n);
    let mut schedule = Schedule::new(&bases, now);
    assert_eq!(schedule.next(), minutes(10));
    assert_eq!(named(&schedule.take_due(minutes(9))), Vec::<String>::new());
    assert_eq!(named(&schedule.take_due(minutes(10))), ["b/g"]);
    assert_eq!(schedule.next(), minutes(20));
    assert_eq!(named(&schedule.take_due(minutes(70))), ["a/w", "b/g"]);
    assert_eq!(named(&schedule.local()), ["a/"]);

    let mut polled = Schedule::new(&bases[..1], now);
    polled.poll(POLL, now);
    assert_eq!(polled.next(), now + POLL);
    assert_eq!(named(&polled.take_due(now + POLL)), ["a/"]);
    assert_eq!(polled.next(), now + 2 * POLL);
    let idle = Schedule::new(&[("c".to_owned(), base(""))], now);
    assert!(idle.next() > minutes(60));
}

#[test]
fn a_look_that_fails_is_taken_again_after_longer_and_longer_pauses() {
    let bases = bases();
    let mut schedule = Schedule::new(&bases, Instant::now());
    let mut now = Instant::now();
    let folder = of(&[""]);
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let told = schedule.failed("a", Some(&folder), now);
        assert_eq!(schedule.next() - now, told);
        pauses.push(told.as_secs());
        now = schedule.next();
        assert_eq!(named(&schedule.take_due(now)), ["a/"]);
    }
    assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 600, 600, 600]);
    // One that goes through ends that.
    schedule.looked("a", Some(&folder), Missing::new(), now);
    assert!(schedule.next() > now + Duration::from_secs(3600));
    assert_eq!(schedule.failed("a", Some(&folder), now).as_secs(), 10);
    schedule.looked("a", Some(&folder), Missing::new(), now);

    // The first look is at all sources; those of others wait longer.
    assert_eq!(schedule.failed("a", None, now).as_secs(), 10);
    let soon = now + Duration::from_secs(10);
    assert_eq!(named(&schedule.take_due(soon)), ["a/"]);
    schedule.looked("a", Some(&folder), Missing::new(), soon);
    let later = now + Duration::from_secs(60);
    assert_eq!(schedule.next(), later);
    assert_eq!(named(&schedule.take_due(later)), ["a/w"]);
}

#[test]
fn what_is_missing_is_looked_for_some_times_and_then_left_until_there_is_more() {
    let bases = bases();
    let mut schedule = Schedule::new(&bases, Instant::now());
    let mut now = Instant::now();
    let lacks = |documents: &[&str]| Missing::from([(String::new(), of(documents))]);
    let mut pauses = Vec::new();
    loop {
        schedule.looked("a", None, lacks(&["damaged.pdf"]), now);
        let next = schedule.next();
        if next > now + Duration::from_secs(3600) {
            break;
        }
        pauses.push((next - now).as_secs());
        now = next;
        // The site, of which nothing is missing, is left alone.
        assert_eq!(named(&schedule.take_due(now)), ["a/"]);
    }
    assert_eq!(pauses, [10, 20, 40, 80, 160]);
    // A change of another file finds the same missing, and no more.
    schedule.looked("a", None, lacks(&["damaged.pdf"]), now);
    assert!(schedule.next() > now + Duration::from_secs(3600));
    schedule.looked("a", None, lacks(&["damaged.pdf", "busy.pdf"]), now);
    assert_eq!((schedule.next() - now).as_secs(), 10);
    schedule.looked("a", None, lacks(&["damaged.pdf"]), now);
    assert!(schedule.next() > now + Duration::from_secs(3600));
}

/// An embedder that is not there at first.
#[derive(Default)]
struct Endpoint {
    is_up: AtomicBool,
    /// How often it was asked for in vain.
    refused: AtomicUsize,
}

struct Ones;

#[async_trait]
impl Embedder for Ones {
    fn identity(&self) -> String {
        "ones@1".to_owned()
    }

    async fn dimension(&self) -> Result<usize, ModelError> {
        Ok(8)
    }

    async fn max_tokens(&self) -> Result<usize, ModelError> {
        Ok(512)
    }

    async fn embed(&self, _: EmbedKind, texts: Vec<String>) -> Result<Vec<Vec<f32>>, ModelError> {
        Ok(texts.iter().map(|_| vec![0.125f32.sqrt(); 8]).collect())
    }

    async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
        Ok(Arc::new(|text: &str| text.split_whitespace().count()))
    }
}

/// The base `docs` of a folder.
async fn of_folder(dir: &Path, endpoint: &Arc<Endpoint>) -> Watched {
    let store = Store::open(&dir.join("praxis.db")).await.unwrap();
    let folder = dir.join("knowledge");
    let asked = Arc::clone(endpoint);
    let knowledge = Knowledge::open(
        dir.join(STATE_DIR),
        store,
        vec![("docs".to_owned(), folder.clone(), base(""))],
        Arc::new(move |_| {
            if asked.is_up.load(Ordering::SeqCst) {
                return Ok(Arc::new(Ones) as Arc<dyn Embedder>);
            }
            asked.refused.fetch_add(1, Ordering::SeqCst);
            Err(ModelError::NotFound("the endpoint is down".to_owned()))
        }),
    );
    Watched {
        knowledge: Arc::new(knowledge),
        bases: vec![("docs".to_owned(), base(""))],
        dir: folder,
        sink: Arc::new(NoTrace),
    }
}

/// Waits until something holds.
async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    for _ in 0..200 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it does not come to that: {what}");
}

#[tokio::test]
async fn beside_a_server_a_first_ingest_that_fails_is_not_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("knowledge");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.md"), "# A\n\nText.\n").unwrap();
    let endpoint = Arc::<Endpoint>::default();
    let watched = of_folder(dir.path(), &endpoint).await;
    let knowledge = Arc::clone(&watched.knowledge);
    let cancel = CancellationToken::new();
    let watching = tokio::spawn(run(watched, Voice::Log, cancel.clone()));
    let is_refused = async || endpoint.refused.load(Ordering::SeqCst) > 0;
    until("the first ingest fails", is_refused).await;
    endpoint.is_up.store(true, Ordering::SeqCst);
    // What changes is seen, and with it what the first ingest left.
    std::fs::write(folder.join("b.md"), "# B\n\nText.\n").unwrap();
    let has_both = async || {
        let heads = knowledge.documents("docs", &Clearance::Full).await;
        heads.unwrap().len() == 2
    };
    until("both documents are there", has_both).await;
    cancel.cancel();
    watching.await.unwrap().unwrap();
}

#[tokio::test]
async fn who_waits_for_a_first_ingest_that_a_person_has_to_mend_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("knowledge");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.md"), "# A\n\nText.\n").unwrap();
    let watched = of_folder(dir.path(), &Arc::default()).await;
    let cancel = CancellationToken::new();
    let failed = run(watched, Voice::Json, cancel).await.unwrap_err();
    assert_eq!(failed.code, ErrorCode::NotFound);
}
