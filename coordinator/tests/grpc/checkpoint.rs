//! Checkpoints over the wire: kept of one attempt, fetched for the next.

use factory_proto::v1;
use factory_proto::v1::fetch_checkpoint_response::Part;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::artifacts::upload;
use crate::setup::{Factory, Worker, failed, prompt, soon, succeeded};

const WORK: v1::ArtifactKind = v1::ArtifactKind::CheckpointWork;
const TRANSCRIPT: v1::ArtifactKind = v1::ArtifactKind::CheckpointTranscript;

fn checkpoint(number: u32) -> v1::Checkpoint {
    v1::Checkpoint {
        number,
        taken_at_ms: 5,
        agent_session: "a-session".into(),
        branch: "factory/work".into(),
        snapshot: Some(v1::Snapshot { base: "a".repeat(40), tip: "b".repeat(40), commit: "c".repeat(40) }),
        has_transcript: true,
    }
}

/// Makes an uploaded checkpoint the attempt's newest.
async fn keep(worker: &Worker, offer: &v1::Offer, number: u32) -> Result<(), Status> {
    let request = v1::CheckpointRequest {
        worker_id: worker.id.to_string(),
        task_id: offer.task_id.clone(),
        attempt_id: offer.attempt_id.clone(),
        checkpoint: Some(checkpoint(number)),
    };
    soon(worker.client().worker().checkpoint(request)).await.map(drop)
}

async fn save(factory: &Factory, worker: &Worker, offer: &v1::Offer, number: u32, work: &[u8], words: &[u8]) {
    for (kind, content) in [(WORK, work), (TRANSCRIPT, words)] {
        let name = (kind, number.to_string());
        upload(factory, worker.id, offer, name, content, content).await.expect("kept");
    }
    keep(worker, offer, number).await.expect("its files are there");
}

fn asks(worker: Uuid, offer: &v1::Offer, from: &v1::Offer) -> v1::FetchCheckpointRequest {
    v1::FetchCheckpointRequest {
        worker_id: worker.to_string(),
        task_id: offer.task_id.clone(),
        attempt_id: offer.attempt_id.clone(),
        from_attempt_id: from.attempt_id.clone(),
    }
}

/// The checkpoint, its work and its transcript.
async fn fetch(
    factory: &Factory,
    request: v1::FetchCheckpointRequest,
) -> Result<(v1::Checkpoint, Vec<u8>, Vec<u8>), Status> {
    let mut parts = soon(factory.client.worker().fetch_checkpoint(request)).await?.into_inner();
    let header = match soon(parts.message()).await?.and_then(|first| first.part) {
        Some(Part::Checkpoint(checkpoint)) => checkpoint,
        other => panic!("instead of the checkpoint: {other:?}"),
    };
    let (mut work, mut transcript) = (Vec::new(), Vec::new());
    while let Some(message) = soon(parts.message()).await? {
        match message.part {
            Some(Part::Work(piece)) if transcript.is_empty() && piece.len() <= 256 * 1024 => {
                work.extend(piece);
            }
            Some(Part::Transcript(piece)) if piece.len() <= 256 * 1024 => transcript.extend(piece),
            other => panic!("out of order, or too large: {other:?}"),
        }
    }
    Ok((header, work, transcript))
}

#[tokio::test]
async fn what_one_attempt_left_is_given_to_the_next() {
    let factory = Factory::start_with(|config| config.rules.backoff.base = std::time::Duration::ZERO).await;
    let mut worker = Worker::connect(&factory.client).await;
    factory.submit(prompt("Work")).await;
    let first = worker.run().await;
    assert_eq!(keep(&worker, &first, 1).await.expect_err("no files").code(), Code::NotFound);
    save(&factory, &worker, &first, 1, b"old", b"old words").await;
    let (work, words) = (vec![b'w'; 700_000], vec![b't'; 300_000]);
    save(&factory, &worker, &first, 2, &work, &words).await;
    worker.report(&first, failed("worker_error", 0)).await;

    let second = worker.run().await;
    let mine = asks(worker.id, &second, &first);
    let (header, fetched_work, fetched_words) = fetch(&factory, mine.clone()).await.expect("kept");
    assert_eq!(header, checkpoint(2));
    assert!(fetched_work == work && fetched_words == words);

    let files = factory.root.path().join("artifacts").join(&first.attempt_id);
    let left: std::collections::BTreeSet<_> =
        std::fs::read_dir(files).expect("there").map(|file| file.expect("read").file_name()).collect();
    assert_eq!(left, ["checkpoint-2.bundle".into(), "checkpoint-2.transcript".into()].into());

    // A stranger, an attempt that has ended, one without a checkpoint.
    let stranger = asks(Uuid::now_v7(), &second, &first);
    assert_eq!(fetch(&factory, stranger).await.expect_err("refused").code(), Code::FailedPrecondition);
    let ended = asks(worker.id, &first, &first);
    assert_eq!(fetch(&factory, ended).await.expect_err("refused").code(), Code::FailedPrecondition);
    let none = asks(worker.id, &second, &second);
    assert_eq!(fetch(&factory, none).await.expect_err("none").code(), Code::NotFound);

    let factory = factory.restart().await;
    let (header, ..) = fetch(&factory, mine).await.expect("still kept");
    assert_eq!(header.number, 2);
}

#[tokio::test]
async fn another_tasks_checkpoint_is_not_given_out() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    factory.submit(prompt("Secret")).await;
    factory.submit(prompt("Curious")).await;
    let (secret, curious) = (worker.run().await, worker.run().await);
    save(&factory, &worker, &secret, 1, b"work", b"words").await;
    let refused = fetch(&factory, asks(worker.id, &curious, &secret)).await.expect_err("refused");
    assert_eq!(refused.code(), Code::NotFound);
    let forged = v1::Offer { task_id: curious.task_id.clone(), ..secret.clone() };
    assert_eq!(keep(&worker, &forged, 2).await.expect_err("refused").code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn a_task_is_given_the_checkpoint_of_the_one_it_goes_on_from() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    let first = factory.submit(v1::TaskSpec { keep_session: true, ..prompt("Write it") }).await;
    let wrote = worker.run().await;
    save(&factory, &worker, &wrote, 1, b"work", b"words").await;
    let next = |after: Vec<String>| {
        let (spec, goes_on_from) = (Some(prompt("Mend it")), first.id.clone());
        let task = v1::NewTask { spec, goes_on_from, after, ..v1::NewTask::default() };
        let mut tasks = factory.client.tasks();
        async move { soon(tasks.submit(v1::SubmitRequest { tasks: vec![task] })).await }
    };
    let early = next(Vec::new()).await.expect_err("refused");
    assert!(early.message().contains("has not ended; name it in `after` as well"), "{early}");
    next(vec![first.id.clone()]).await.expect("accepted");
    worker.report(&wrote, succeeded(0)).await;

    let mends = worker.run().await;
    assert_eq!(mends.continues.as_ref().expect("it goes on").attempt_id, wrote.attempt_id);
    let (header, work, words) = fetch(&factory, asks(worker.id, &mends, &wrote)).await.expect("given");
    assert_eq!((header.number, &work[..], &words[..]), (1, &b"work"[..], &b"words"[..]));
}
