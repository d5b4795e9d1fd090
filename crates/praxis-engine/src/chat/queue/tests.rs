//! Whose request is served next, and who is refused.

use praxis_core::Sampling;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;

type Answer = UnboundedReceiver<Result<ChatChunk, ModelError>>;

/// A request that came `ago` seconds before now; `name` is its only token.
fn job(name: u32, priority: Priority, ago: u64, timeout: Option<u64>) -> (Job, Answer) {
    let (sender, receiver) = unbounded_channel();
    let job = Job {
        adapter: None,
        prompt: vec![name],
        sampler: Sampler::new(&Sampling::default(), &[]),
        stop: Vec::new(),
        max_tokens: 1,
        top_logprobs: None,
        guide: None,
        priority,
        came: Instant::now() - Duration::from_secs(ago),
        timeout: timeout.map(Duration::from_secs),
        sender,
        cancel: CancellationToken::new(),
    };
    (job, receiver)
}

fn push(queue: &Arc<Queue>, job: Job) -> Result<(), ModelError> {
    push_of(queue, None, job)
}

fn push_of(queue: &Arc<Queue>, caller: Option<&str>, job: Job) -> Result<(), ModelError> {
    queue
        .place(job.priority, caller)
        .map(|place| place.take(job))
}

/// Adds requests of callers, with a name, a priority and how many seconds ago each came; their answers are kept.
fn adder(queue: &Arc<Queue>) -> impl FnMut(&str, u32, Priority, u64) {
    let (queue, mut answers) = (Arc::clone(queue), Vec::new());
    move |caller, name, priority, ago| {
        let (job, answer) = job(name, priority, ago, None);
        answers.push(answer);
        push_of(&queue, Some(caller), job).unwrap();
    }
}

/// The names in the order in which the requests are served.
fn served(queue: &Queue, wanted: Wanted) -> Vec<u32> {
    std::iter::from_fn(|| queue.pop(wanted))
        .map(|job| job.prompt[0])
        .collect()
}

#[test]
fn batch_requests_wait_for_interactive_ones_but_not_for_ever() {
    use Priority::{Batch, Interactive};
    for (what, jobs, order) in [
        (
            "first come first served",
            vec![
                (1, Interactive, 3),
                (2, Interactive, 2),
                (3, Interactive, 1),
            ],
            vec![1, 2, 3],
        ),
        (
            "whoever waits goes first",
            vec![(1, Batch, 9), (2, Batch, 8), (3, Interactive, 1)],
            vec![3, 1, 2],
        ),
        (
            "an old batch request goes before new interactive ones",
            vec![(1, Batch, 40), (2, Interactive, 5), (3, Interactive, 20)],
            vec![3, 1, 2],
        ),
    ] {
        let queue = Arc::new(Queue::new(9));
        let mut answers = Vec::new();
        for (name, priority, ago) in jobs {
            let (job, answer) = job(name, priority, ago, None);
            answers.push(answer);
            push(&queue, job).unwrap();
        }
        assert_eq!(served(&queue, Wanted::Any), order, "{what}");
    }
}

#[test]
fn a_quarter_of_the_places_is_kept_from_batch_requests() {
    let queue = Arc::new(Queue::new(4));
    let mut answers = Vec::new();
    let mut add = |name, priority| {
        let (job, answer) = job(name, priority, 0, None);
        answers.push(answer);
        push(&queue, job)
    };
    for name in 0..3 {
        add(name, Priority::Batch).unwrap();
    }
    assert!(matches!(
        add(3, Priority::Batch),
        Err(ModelError::RateLimited {
            retry_after: Some(_),
            ..
        })
    ));
    assert!(!queue.has(Wanted::Interactive));
    add(4, Priority::Interactive).unwrap();
    assert!(add(5, Priority::Interactive).is_err());
    assert!(queue.has(Wanted::Interactive));
    assert_eq!(served(&queue, Wanted::Interactive), [4]);
    assert_eq!(served(&queue, Wanted::Any), [0, 1, 2]);
    assert_eq!(share(1, Priority::Batch), 1, "there is always room for one");
}

#[test]
fn a_request_whose_time_is_up_while_it_waits_is_told_so_and_gives_its_place_back() {
    let queue = Arc::new(Queue::new(1));
    let (late, mut answer) = job(1, Priority::Interactive, 5, Some(4));
    push(&queue, late).unwrap();
    let (next, _next_answer) = job(2, Priority::Interactive, 0, Some(4));
    push(&queue, next).unwrap();
    match answer.try_recv() {
        Ok(Err(ModelError::Timeout(timeout))) => assert_eq!(timeout, Duration::from_secs(4)),
        other => panic!("{other:?}"),
    }
    queue.drop_over();
    assert_eq!(served(&queue, Wanted::Any), [2]);
}

#[test]
fn a_request_that_is_being_prepared_has_its_place() {
    let queue = Arc::new(Queue::new(1));
    let place = queue.place(Priority::Interactive, None).unwrap();
    assert!(queue.place(Priority::Interactive, None).is_err());
    drop(place);
    let place = queue.place(Priority::Interactive, None).unwrap();
    let (job, _answer) = job(1, Priority::Interactive, 0, None);
    place.take(job);
    assert!(queue.place(Priority::Interactive, None).is_err());
    assert_eq!(served(&queue, Wanted::Any), [1]);
    assert!(queue.place(Priority::Interactive, None).is_ok());
}

#[test]
fn callers_are_served_in_turn_however_many_requests_one_has() {
    use Priority::{Batch, Interactive};
    let queue = Arc::new(Queue::new(100));
    let mut add = adder(&queue);
    // The flood was there first, and its oldest request is served first.
    for name in 0..4 {
        add("flood", name, Interactive, 20 - u64::from(name));
    }
    add("ann", 10, Interactive, 3);
    add("bob", 20, Interactive, 2);
    add("ann", 11, Interactive, 1);
    add("carl", 30, Batch, 15);
    let served = served(&queue, Wanted::Any);
    assert_eq!(served, [0, 10, 20, 1, 11, 2, 3, 30]);
    assert!(queue.lock().callers.is_empty());
}

#[test]
fn a_batch_request_is_not_put_off_by_callers_that_come_and_go() {
    use Priority::{Batch, Interactive};
    let queue = Arc::new(Queue::new(100));
    let mut add = adder(&queue);
    add("ann", 1, Interactive, 4);
    add("bob", 2, Batch, 35);
    add("carl", 3, Interactive, 3);
    assert_eq!(served(&queue, Wanted::Any), [2, 1, 3]);
}

#[test]
fn one_caller_cannot_take_all_places() {
    let queue = Arc::new(Queue::new(12));
    let mut answers = Vec::new();
    let mut fill = |caller: Option<&str>| {
        for count in 0.. {
            let (job, answer) = job(count, Priority::Interactive, 0, None);
            match push_of(&queue, caller, job) {
                Ok(()) => answers.push(answer),
                Err(ModelError::RateLimited {
                    message,
                    retry_after,
                }) => {
                    assert!(retry_after.is_some());
                    return (count, message);
                }
                Err(other) => panic!("{other}"),
            }
        }
        unreachable!("the queue is bounded")
    };
    let (flood, message) = fill(Some("flood"));
    assert_eq!(flood, 6, "half");
    assert!(message.contains("of this key"), "{message}");
    assert_eq!(fill(Some("ann")).0, 3, "half of the rest");
    assert_eq!(fill(Some("bob")).0, 2);
    assert_eq!(fill(Some("flood")).0, 0);
    let (nobody, message) = fill(None);
    assert_eq!(nobody, 1, "without a name, what is left");
    assert!(message.starts_with("12 requests"), "{message}");
}

#[test]
fn requests_without_a_callers_name_may_take_the_whole_queue() {
    let queue = Arc::new(Queue::new(5));
    let places: Vec<_> = (0..5)
        .map(|_| queue.place(Priority::Interactive, None).unwrap())
        .collect();
    assert!(queue.place(Priority::Interactive, Some("")).is_err());
    drop(places);
    assert!(queue.lock().coming.is_empty());
}

#[test]
fn a_request_that_is_being_prepared_counts_for_its_caller() {
    let queue = Arc::new(Queue::new(2));
    let place = || queue.place(Priority::Interactive, Some("ann"));
    let first = place().unwrap();
    assert!(place().is_err(), "the other place is for others");
    let other = queue.place(Priority::Interactive, Some("bob")).unwrap();
    drop(first);
    assert!(place().is_ok(), "the place is free again");
    drop(other);
}

#[test]
fn a_caller_whose_requests_are_over_has_its_places_back() {
    let queue = Arc::new(Queue::new(4));
    let (first, answer) = job(1, Priority::Interactive, 0, None);
    let (second, _answer) = job(2, Priority::Interactive, 0, None);
    let (third, _third) = job(3, Priority::Interactive, 0, None);
    push_of(&queue, Some("ann"), first).unwrap();
    push_of(&queue, Some("ann"), second).unwrap();
    drop(answer);
    push_of(&queue, Some("ann"), third).unwrap();
    assert_eq!(served(&queue, Wanted::Any), [2, 3]);
}
