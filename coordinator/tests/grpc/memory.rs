//! Memories through the API: saved, searched, summed up at a task's end, told to the next.

use factory_proto::v1;
use tonic::Code;

use crate::setup::{Factory, Worker, failed, prompt, soon, succeeded};

fn of_repo(text: &str, repo: &str) -> v1::TaskSpec {
    v1::TaskSpec { repo: repo.to_owned(), role: "test".to_owned(), ..prompt(text) }
}

fn note(content: &str, repo: &str) -> v1::NewMemory {
    v1::NewMemory { content: content.to_owned(), repo: repo.to_owned(), ..v1::NewMemory::default() }
}

async fn save(factory: &Factory, memory: v1::NewMemory) -> Result<v1::Memory, tonic::Status> {
    let request = v1::SaveMemoryRequest { memory: Some(memory), idempotency_key: String::new() };
    let saved = soon(factory.client.memory().save(request)).await?;
    Ok(saved.into_inner().memory.expect("a memory"))
}

async fn list(factory: &Factory, request: v1::ListMemoryRequest) -> v1::ListMemoryResponse {
    soon(factory.client.memory().list(request)).await.expect("listed").into_inner()
}

/// The summaries, once there are so many: a reconciler writes them.
async fn summaries(factory: &Factory, count: usize) -> Vec<v1::Memory> {
    soon(async {
        loop {
            let all = list(factory, v1::ListMemoryRequest::default()).await.memories;
            let summaries: Vec<_> = all.into_iter().filter(|memory| memory.is_summary).collect();
            if summaries.len() >= count {
                return summaries;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn what_was_saved_is_found_and_listed() {
    let factory = Factory::start().await;
    let task = factory.submit(of_repo("Fix the login", "octo/app")).await;
    let of_task = v1::NewMemory {
        kind: v1::MemoryKind::Decision.into(),
        task: task.number.to_string(),
        ..note("Sessions live in Redis", "")
    };
    let saved = save(&factory, of_task).await.expect("saved");
    assert_eq!((saved.repo.as_str(), saved.role.as_str(), saved.task_number), ("octo/app", "test", 1));
    assert_eq!(saved.tags, ["test-agent"]);
    let general = save(&factory, note("Be kind to Redis", "")).await.expect("saved");
    assert_eq!(general.kind(), v1::MemoryKind::Fact);

    let query = v1::SearchMemoryRequest { query: "redis sessions".into(), ..Default::default() };
    let found = soon(factory.client.memory().search(query)).await.expect("found").into_inner();
    assert_eq!(found.ranking, "bm25");
    let numbers: Vec<_> = found.hits.iter().filter_map(|hit| Some(hit.memory.as_ref()?.number)).collect();
    assert_eq!(numbers, [saved.number, general.number]);

    let first = list(&factory, v1::ListMemoryRequest { page_size: 1, ..Default::default() }).await;
    assert_eq!(first.memories[0].number, general.number);
    let rest = v1::ListMemoryRequest { page_token: first.next_page_token, ..Default::default() };
    let rest = list(&factory, rest).await;
    assert_eq!((rest.memories[0].number, rest.next_page_token.as_str()), (saved.number, ""));
    let of_tasks = list(&factory, v1::ListMemoryRequest { of_tasks: true, ..Default::default() }).await;
    assert_eq!(of_tasks.memories, [saved]);
}

#[tokio::test]
async fn what_cannot_be_saved_or_asked_is_refused_by_name() {
    let factory = Factory::start().await;
    let empty = save(&factory, note("  ", "")).await.expect_err("refused");
    assert_eq!(empty.code(), Code::InvalidArgument);
    assert!(empty.message().contains("memory.content is empty"), "{empty:?}");
    let nowhere = v1::NewMemory { task: "99".into(), ..note("x", "") };
    assert_eq!(save(&factory, nowhere).await.expect_err("refused").code(), Code::NotFound);
    for bad in [
        v1::SearchMemoryRequest::default(),
        v1::SearchMemoryRequest { query: "x".into(), limit: 101, ..Default::default() },
        v1::SearchMemoryRequest { query: "x".into(), kinds: vec![77], ..Default::default() },
        v1::SearchMemoryRequest { query: "x".into(), repo: "-x".into(), ..Default::default() },
    ] {
        let refused = soon(factory.client.memory().search(bad)).await.expect_err("refused");
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn a_task_is_told_what_those_before_it_learned() {
    let factory = Factory::start().await;
    save(&factory, note("The login needs a frozen clock", "octo/app")).await.expect("saved");
    save(&factory, note("The login of another repository", "octo/other")).await.expect("saved");
    let mut worker = Worker::connect(&factory.client).await;

    factory.submit(prompt("login without a repository")).await;
    assert!(worker.run().await.brief.unwrap_or_default().notices.is_empty());
    factory.submit(of_repo("Fix the login", "octo/app")).await;
    let brief = worker.run().await.brief.expect("a brief");
    let [notice] = brief.notices.as_slice() else { panic!("not one notice: {brief:?}") };
    assert_eq!(notice.kind(), v1::NoticeKind::Memory);
    assert!(notice.text.contains("> The login needs a frozen clock"), "{}", notice.text);
    assert!(!notice.text.contains("another repository"), "{}", notice.text);
}

#[tokio::test]
async fn each_ended_task_is_summed_up_once_through_restarts() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    for (text, report) in [("Fix the login", succeeded(0)), ("Break it", failed("rejected", 0))] {
        factory.submit(of_repo(text, "octo/app")).await;
        let attempt = worker.run().await;
        worker.report(&attempt, report).await;
    }
    factory.submit(prompt("of no repository")).await;
    let attempt = worker.run().await;
    worker.report(&attempt, succeeded(0)).await;

    let told = summaries(&factory, 2).await;
    let kinds: Vec<_> = told.iter().map(|memory| (memory.kind(), memory.task_number)).collect();
    assert_eq!(kinds, [(v1::MemoryKind::Error, 2), (v1::MemoryKind::Fact, 1)]);
    assert!(
        told[0].content.starts_with("Task 2 failed: Break it\nrejected: It broke"),
        "{}",
        told[0].content
    );
    assert_eq!(told[0].tags, ["rejected", "test-agent"]);

    let factory = factory.restart().await;
    let mut worker = Worker::connect(&factory.client).await;
    factory.submit(of_repo("Fix the login again", "octo/app")).await;
    let brief = worker.run().await.brief.expect("a brief");
    assert!(brief.notices[0].text.contains("> Task 1 succeeded: Fix the login"), "{brief:?}");
    assert_eq!(summaries(&factory, 2).await, told);
}
