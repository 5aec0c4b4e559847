//! Files kept of an attempt.

use factory_proto::v1;
use factory_proto::v1::upload_artifact_request::Part;
use sha2::{Digest, Sha256};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::setup::{Factory, Worker, prompt, soon, succeeded};

/// Uploads `content` under a kind and a name, announced with the digest of `announced`.
pub async fn upload(
    factory: &Factory,
    worker: Uuid,
    offer: &v1::Offer,
    (kind, name): (v1::ArtifactKind, String),
    content: &[u8],
    announced: &[u8],
) -> Result<(), Status> {
    let artifact = v1::Artifact {
        kind: kind.into(),
        name,
        bytes: content.len() as u64,
        sha256: Sha256::digest(announced).to_vec(),
    };
    let header = v1::ArtifactHeader {
        worker_id: worker.to_string(),
        task_id: offer.task_id.clone(),
        attempt_id: offer.attempt_id.clone(),
        artifact: Some(artifact),
    };
    let data = content.chunks(256 * 1024).map(|piece| Part::Data(piece.to_vec()));
    let parts: Vec<_> = std::iter::once(Part::Header(header)).chain(data).collect();
    let requests = parts.into_iter().map(|part| v1::UploadArtifactRequest { part: Some(part) });
    let requests = tokio_stream::iter(requests.collect::<Vec<_>>());
    soon(factory.client.worker().upload_artifact(requests)).await.map(drop)
}

fn patch_name() -> (v1::ArtifactKind, String) {
    (v1::ArtifactKind::Patch, "changes.patch".to_owned())
}

async fn read(factory: &Factory, task: &str) -> Result<Vec<u8>, Status> {
    let kind = v1::ArtifactKind::Patch.into();
    let request = v1::ReadArtifactRequest { task: task.to_owned(), kind, ..Default::default() };
    let mut pieces = soon(factory.client.tasks().read_artifact(request)).await?.into_inner();
    let mut content = Vec::new();
    while let Some(piece) = soon(pieces.message()).await? {
        assert!(piece.data.len() <= 256 * 1024);
        content.extend(piece.data);
    }
    Ok(content)
}

#[tokio::test]
async fn a_patch_is_kept_and_read_back_whole() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    let task = factory.submit(prompt("Work")).await;
    let offer = worker.run().await;
    assert_eq!(read(&factory, &task.id).await.expect_err("none yet").code(), Code::NotFound);
    let patch = vec![b'+'; 700_000];
    upload(&factory, worker.id, &offer, patch_name(), &patch, &patch).await.expect("kept");
    worker.report(&offer, succeeded(0)).await;
    assert!(read(&factory, &task.id).await.expect("it is there") == patch);
    let attempt = factory.get(&task.id).await.attempts.remove(0);
    assert_eq!(attempt.artifacts[0].bytes, 700_000);
}

#[tokio::test]
async fn what_is_anothers_or_damaged_is_not_kept() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    let task = factory.submit(prompt("Work")).await;
    let offer = worker.run().await;
    let forged =
        upload(&factory, Uuid::now_v7(), &offer, patch_name(), b"x", b"x").await.expect_err("refused");
    assert_eq!(forged.code(), Code::FailedPrecondition);
    let damaged = upload(&factory, worker.id, &offer, patch_name(), b"x", b"y").await.expect_err("refused");
    assert_eq!(damaged.code(), Code::DataLoss);
    assert_eq!(read(&factory, &task.id).await.expect_err("none").code(), Code::NotFound);
}
