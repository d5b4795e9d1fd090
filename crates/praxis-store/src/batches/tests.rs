//! What becomes of batches: who sees them, which steps they can take, and that results are kept once.

use super::*;
use crate::tests::store;

const NOW: i64 = 1_774_948_000;

const BOUNDS: BatchBounds = BatchBounds {
    of_one: 2,
    of_all: 3,
};

fn file(id: &str, bytes: u64) -> StoredFile {
    StoredFile {
        id: id.to_owned(),
        hash: format!("hash of {id}"),
        bytes,
        filename: "in.jsonl".to_owned(),
        purpose: "batch".to_owned(),
        created: NOW,
        expires: None,
        owner: None,
        labels: Vec::new(),
    }
}

fn new(id: &str, maker: Maker) -> Batch {
    Batch {
        id: id.to_owned(),
        input: "file-in".to_owned(),
        hash: "hash of file-in".to_owned(),
        endpoint: "/v1/embeddings".to_owned(),
        metadata: Some([("made".to_owned(), "by a test".to_owned())].into()),
        output_expires: Some(3600),
        status: BatchStatus::Validating,
        ending: None,
        errors: Vec::new(),
        model: None,
        counts: RequestCounts::default(),
        usage: Usage::default(),
        output_file: None,
        error_file: None,
        times: BatchTimes {
            created: NOW,
            expires: NOW + 86_400,
            ..BatchTimes::default()
        },
        maker,
        tags: "team".to_owned(),
        host: "localhost".to_owned(),
        owner: Some("hr".to_owned()),
        labels: vec!["hr".to_owned()],
    }
}

fn stored(id: &str) -> Maker {
    Maker::Stored(id.to_owned())
}

fn answered(line: u64, status: u16) -> (BatchAnswer, Usage) {
    let answer = BatchAnswer {
        line,
        id: format!("batch_req_{line}"),
        custom_id: format!("line {line}"),
        outcome: LineOutcome::Answered {
            status,
            request: "r".to_owned(),
            body: "{}".to_owned(),
        },
    };
    let usage = Usage {
        input_tokens: 10,
        output_tokens: 1,
        ..Usage::default()
    };
    (answer, usage)
}

/// A store with an input and one batch of it.
async fn with_batch() -> (tempfile::TempDir, Store) {
    let (dir, store) = store().await;
    assert!(store.put_file(&file("file-in", 5), 1000).await.unwrap());
    let added = store.put_batch(&new("b1", stored("k")), BOUNDS).await;
    assert_eq!(added.unwrap(), BatchAdded::Added);
    (dir, store)
}

async fn status(store: &Store) -> BatchStatus {
    let batch = store.batch("b1", &Clearance::Full).await.unwrap();
    batch.unwrap().status
}

#[tokio::test]
async fn a_batch_comes_back_whole_for_who_may_read_it() {
    let (_dir, store) = with_batch().await;
    let batch = new("b1", stored("k"));
    for (clearance, seen) in [
        (Clearance::Full, true),
        (Clearance::of(["hr", "x"]), true),
        (Clearance::of(["x"]), false),
        (Clearance::default(), false),
    ] {
        let found = store.batch("b1", &clearance).await.unwrap();
        assert_eq!(found.as_ref(), seen.then_some(&batch), "{clearance:?}");
        let page = Page {
            limit: 5,
            descending: true,
            ..Page::default()
        };
        let listed = store.batches(&page, &clearance).await.unwrap();
        assert_eq!(listed.items.len(), usize::from(seen), "{clearance:?}");
    }
    for maker in [
        Maker::Nobody,
        Maker::Configured(None),
        Maker::Configured(Some("hr".to_owned())),
    ] {
        let (_dir, store) = store_with_input().await;
        let batch = new("b1", maker);
        store.put_batch(&batch, BOUNDS).await.unwrap();
        assert_eq!(store.open_batches().await.unwrap(), [batch]);
    }
}

async fn store_with_input() -> (tempfile::TempDir, Store) {
    let (dir, store) = store().await;
    store.put_file(&file("file-in", 5), 1000).await.unwrap();
    (dir, store)
}

#[tokio::test]
async fn no_more_batches_are_open_than_may_be() {
    let (_dir, store) = with_batch().await;
    for (id, maker, input, added) in [
        ("b2", stored("k"), "file-none", BatchAdded::NoInput),
        ("b2", stored("k"), "file-in", BatchAdded::Added),
        ("b3", stored("k"), "file-in", BatchAdded::MakerHas(2)),
        ("b3", Maker::Configured(None), "file-in", BatchAdded::Added),
        ("b4", Maker::Nobody, "file-in", BatchAdded::AllHave(3)),
    ] {
        let mut batch = new(id, maker);
        batch.input = input.to_owned();
        let found = store.put_batch(&batch, BOUNDS).await.unwrap();
        assert_eq!(found, added, "{id} of {:?}", batch.maker);
    }
    // What has ended makes room.
    assert!(store.reject_batch("b1", &[], NOW).await.unwrap());
    let added = store.put_batch(&new("b4", stored("k")), BOUNDS).await;
    assert_eq!(added.unwrap(), BatchAdded::Added);
    let open = store.open_batches().await.unwrap();
    let ids: Vec<&str> = open.iter().map(|batch| batch.id.as_str()).collect();
    assert_eq!(ids, ["b2", "b3", "b4"]);
}

/// A step that a batch may be asked to take.
#[derive(Debug, Clone, Copy)]
enum Step {
    Begin,
    Reject,
    Cancel,
    Close,
    Finish,
}

async fn take(store: &Store, step: Step) -> bool {
    let taken = match step {
        Step::Begin => store.begin_batch("b1", 3, Some("m"), NOW).await,
        Step::Reject => store.reject_batch("b1", &[], NOW).await,
        Step::Cancel => store.cancel_batch("b1", NOW).await,
        Step::Close => {
            let ending = BatchStatus::Expired;
            store.close_batch("b1", ending, &[], NOW).await
        }
        Step::Finish => {
            let files = BatchFiles::default();
            let ended = store.finish_batch("b1", files, 1000, NOW).await;
            ended.map(|ended| ended == Ended::Noted)
        }
    };
    taken.unwrap()
}

#[tokio::test]
async fn a_batch_takes_only_the_steps_of_its_status() {
    use BatchStatus::*;
    use Step::*;
    for (way, reached, allowed) in [
        (&[][..], Validating, &[Begin, Reject, Cancel][..]),
        (&[Begin], InProgress, &[Cancel, Close]),
        (&[Cancel], Cancelling, &[Finish]),
        (&[Begin, Cancel], Cancelling, &[Finish]),
        (&[Begin, Close], Finalizing, &[Finish]),
        (&[Reject], Failed, &[]),
        (&[Begin, Close, Finish], Expired, &[]),
        (&[Begin, Cancel, Finish], Cancelled, &[]),
    ] {
        for step in [Begin, Reject, Cancel, Close, Finish] {
            let (_dir, store) = with_batch().await;
            for step in way {
                assert!(take(&store, *step).await, "{way:?}");
            }
            assert_eq!(status(&store).await, reached, "{way:?}");
            let may = allowed
                .iter()
                .any(|a| std::mem::discriminant(a) == std::mem::discriminant(&step));
            assert_eq!(take(&store, step).await, may, "{step:?} after {way:?}");
            if !may {
                assert_eq!(status(&store).await, reached, "{step:?} after {way:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_result_counts_once() {
    let (_dir, store) = with_batch().await;
    assert!(take(&store, Step::Begin).await);
    let mut unanswered = answered(7, 200);
    unanswered.0.outcome = LineOutcome::Unanswered {
        code: "batch_expired".to_owned(),
        message: "late".to_owned(),
    };
    unanswered.1 = Usage::default();
    let first = [answered(4, 200), answered(2, 400)];
    store.put_batch_answers("b1", &first).await.unwrap();
    let again = [answered(2, 200), unanswered.clone(), answered(4, 500)];
    store.put_batch_answers("b1", &again).await.unwrap();
    let batch = store.batch("b1", &Clearance::Full).await.unwrap().unwrap();
    let counts = RequestCounts {
        total: 3,
        completed: 1,
        failed: 2,
    };
    assert_eq!(batch.counts, counts);
    assert_eq!(
        (batch.usage.input_tokens, batch.usage.output_tokens),
        (20, 2)
    );
    assert_eq!(batch.model.as_deref(), Some("m"));
    let mut lines = store.answered_lines("b1").await.unwrap();
    lines.sort_unstable();
    assert_eq!(lines, [2, 4, 7]);
    // In the order of the input, page by page.
    let page = store.batch_answers("b1", 0, 2).await.unwrap();
    assert_eq!(page, [answered(2, 400).0, answered(4, 200).0]);
    let page = store.batch_answers("b1", 4, 2).await.unwrap();
    assert_eq!(page, [unanswered.0]);
}

#[tokio::test]
async fn files_and_end_are_noted_together_or_not_at_all() {
    let (_dir, store) = with_batch().await;
    assert!(take(&store, Step::Begin).await);
    let rows = [answered(1, 200)];
    store.put_batch_answers("b1", &rows).await.unwrap();
    let (output, error) = (file("file-out", 60), file("file-err", 40));
    let files = BatchFiles {
        output: Some(&output),
        error: Some(&error),
    };
    let finish = async |most| {
        store
            .finish_batch("b1", files, most, NOW + 9)
            .await
            .unwrap()
    };
    assert_eq!(finish(1000).await, Ended::NotNow);
    assert!(take(&store, Step::Close).await);
    assert_eq!(finish(104).await, Ended::NoRoom);
    assert_eq!(status(&store).await, BatchStatus::Finalizing);
    assert_eq!(store.answered_lines("b1").await.unwrap(), [1]);
    let found = store.file("file-out", &Clearance::Full, NOW).await.unwrap();
    assert_eq!(found, None);

    assert_eq!(finish(105).await, Ended::Noted);
    assert_eq!(finish(1000).await, Ended::NotNow);
    let batch = store.batch("b1", &Clearance::Full).await.unwrap().unwrap();
    assert_eq!(batch.output_file.as_deref(), Some("file-out"));
    assert_eq!(batch.error_file.as_deref(), Some("file-err"));
    assert_eq!(batch.times.ended, Some(NOW + 9));
    assert!(store.answered_lines("b1").await.unwrap().is_empty());
    // A result that comes late changes nothing.
    store
        .put_batch_answers("b1", &[answered(2, 200)])
        .await
        .unwrap();
    assert!(store.answered_lines("b1").await.unwrap().is_empty());
    let late = store.batch("b1", &Clearance::Full).await.unwrap().unwrap();
    assert_eq!(late.counts, batch.counts);
}

#[tokio::test]
async fn the_bytes_of_an_input_stay_while_its_batch_is_open() {
    let (_dir, store) = with_batch().await;
    store.delete_file("file-in").await.unwrap().unwrap();
    assert!(store.has_bytes("hash of file-in").await.unwrap());
    assert!(take(&store, Step::Reject).await);
    assert!(!store.has_bytes("hash of file-in").await.unwrap());
}
