//! Workflows over the wire: each step a task, what it is given, and how the workflow comes to its end.

use factory_proto::v1;
use tonic::Code;
use tonic_types::StatusExt;

use crate::setup::{Factory, Worker, failed, soon, succeeded};

const HAS_ISSUES: &str = r#"{"verdict": "has_issues", "summary": "One thing is wrong.",
    "issues": [{"severity": "major", "file": "a.rs", "line": 3, "description": "It leaks."}]}"#;
const APPROVED: &str = r#"{"verdict": "approved", "summary": "Fine now.", "issues": []}"#;

fn code_review() -> v1::StartWorkflowRequest {
    v1::StartWorkflowRequest {
        name: "code_review".into(),
        title: "Implement caching layer".into(),
        description: "Add Redis caching for API responses".into(),
        repo: "octo/app".into(),
        ..Default::default()
    }
}

async fn start(factory: &Factory, request: v1::StartWorkflowRequest) -> v1::Workflow {
    let started = soon(factory.client.workflows().start(request)).await.expect("started");
    started.into_inner().workflow.expect("a workflow")
}

async fn get(factory: &Factory, workflow: &str) -> v1::GetWorkflowResponse {
    let request = v1::GetWorkflowRequest { workflow: workflow.to_owned() };
    soon(factory.client.workflows().get(request)).await.expect("it is there").into_inner()
}

/// The workflow once it has ended. Its end follows that of a task, and nobody waits for it but tests.
async fn ended(factory: &Factory, workflow: &str) -> v1::GetWorkflowResponse {
    soon(async {
        loop {
            let found = get(factory, workflow).await;
            if found.workflow.as_ref().is_some_and(|workflow| workflow.ended_at_ms > 0) {
                return found;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

async fn worker_for_claude(factory: &Factory) -> Worker {
    let mut hello = crate::setup::hello(uuid::Uuid::now_v7());
    hello.agents = vec![v1::AgentReadiness { name: "claude".into(), ..Default::default() }];
    Worker::connect_as(&factory.client, hello).await.expect("welcome")
}

/// The next step's task, begun.
async fn step(worker: &mut Worker) -> v1::Offer {
    worker.credits(1).await;
    worker.run().await
}

fn prompt_of(offer: &v1::Offer) -> String {
    offer.spec.clone().expect("a spec").prompt
}

fn committed(words: &str, branch: &str) -> v1::Report {
    v1::Report {
        result_text: words.into(),
        branch: branch.into(),
        commits: vec![v1::Commit { id: "c".repeat(40), subject: words.into() }],
        delivery: Some(v1::Delivery { kind: v1::DeliveryKind::Pushed.into(), ..Default::default() }),
        ..succeeded(0)
    }
}

fn reviewed(verdict: &str) -> v1::Report {
    v1::Report { structured_output: verdict.into(), ..succeeded(0) }
}

#[tokio::test]
async fn a_review_with_issues_is_revised_and_reviewed_again_through_restarts() {
    let factory = Factory::start().await;
    let workflow = start(&factory, code_review()).await;
    let branch = workflow.branch.clone();

    let mut worker = worker_for_claude(&factory).await;
    let coder = step(&mut worker).await;
    let spec = coder.spec.clone().expect("a spec");
    assert_eq!(
        (spec.role.as_str(), spec.branch.as_str(), spec.base.as_str()),
        ("coder", branch.as_str(), "")
    );
    assert_eq!(spec.prompt, "Add Redis caching for API responses");
    assert!(spec.keep_session && spec.output_schema.is_empty());
    worker.report(&coder, committed("I added caching", &branch)).await;

    let review = step(&mut worker).await;
    let spec = review.spec.clone().expect("a spec");
    assert_eq!(
        (spec.role.as_str(), spec.base.as_str(), spec.branch.as_str()),
        ("reviewer", branch.as_str(), "")
    );
    assert!(spec.output_schema.contains("verdict") && spec.deliver() == v1::Deliver::None);
    assert!(prompt_of(&review).contains("I added caching"), "{}", prompt_of(&review));

    let factory = factory.restart().await;
    let mut worker = Worker::connect_as(&factory.client, {
        let mut hello = crate::setup::hello(worker.id);
        hello.agents = vec![v1::AgentReadiness { name: "claude".into(), ..Default::default() }];
        hello
    })
    .await
    .expect("welcome");
    worker.report(&review, reviewed(HAS_ISSUES)).await;

    let revision = step(&mut worker).await;
    let spec = revision.spec.clone().expect("a spec");
    assert_eq!((spec.base.as_str(), spec.branch.as_str()), (branch.as_str(), branch.as_str()));
    assert!(prompt_of(&revision).contains("**major** `a.rs:3`: It leaks."), "{}", prompt_of(&revision));
    worker.report(&revision, committed("I mended the leak", &branch)).await;

    let factory = factory.restart().await;
    let mut worker = worker_for_claude(&factory).await;
    let second = step(&mut worker).await;
    assert!(prompt_of(&second).contains("review number 2"), "{}", prompt_of(&second));
    worker.report(&second, reviewed(APPROVED)).await;

    let end = ended(&factory, &workflow.number.to_string()).await;
    let found = end.workflow.expect("a workflow");
    assert_eq!(found.state(), v1::WorkflowState::Completed, "{}", found.failure);
    let steps: Vec<_> =
        end.steps.iter().map(|step| (step.step, step.iteration, step.task.is_some())).collect();
    assert_eq!(steps, [(0, 1, true), (1, 1, true), (2, 1, true), (1, 2, true), (2, 2, false)]);
    assert_eq!((end.steps[1].detail.as_str(), end.steps[3].detail.as_str()), ("1 issue", "approved"));
    let goes_on_from = end.steps[2].task.as_ref().expect("a task").goes_on_from.clone();
    assert_eq!(goes_on_from, end.steps[0].task.as_ref().expect("a task").id);
    let list = v1::ListRequest { workflow: workflow.number.to_string(), ..Default::default() };
    let listed = soon(factory.client.tasks().list(list)).await.expect("listed").into_inner().tasks;
    assert_eq!(listed.len(), 4, "its steps that ran");
    assert!(listed.iter().all(|task| task.workflow_id == workflow.id));
    let iterations: Vec<_> = end.handoffs.iter().map(|handoff| handoff.iteration).collect();
    assert_eq!(iterations, [1, 1, 2], "each step with an input was handed it");
    assert!(end.handoffs[1].context.contains("It leaks.") && end.handoffs[1].branch == branch);
    assert!(end.definition.contains("loop_to = \"review\""), "{}", end.definition);
}

#[tokio::test]
async fn a_step_that_fails_fails_the_workflow_and_says_which() {
    let factory = Factory::start().await;
    let workflow = start(&factory, code_review()).await;
    let mut worker = worker_for_claude(&factory).await;
    let coder = step(&mut worker).await;
    worker.report(&coder, failed("auth_failed", 0)).await;
    let found = ended(&factory, &workflow.id).await.workflow.expect("a workflow");
    assert_eq!(found.state(), v1::WorkflowState::Failed);
    assert_eq!(found.failure, "step 1 (initial_code) failed: auth_failed: It broke");
}

#[tokio::test]
async fn a_review_without_a_verdict_is_no_approval() {
    let factory = Factory::start().await;
    let workflow = start(&factory, code_review()).await;
    let mut worker = worker_for_claude(&factory).await;
    let coder = step(&mut worker).await;
    worker.report(&coder, committed("Done", &workflow.branch)).await;
    let review = step(&mut worker).await;
    worker.report(&review, v1::Report { result_text: "Looks good to me".into(), ..succeeded(0) }).await;
    let found = ended(&factory, &workflow.id).await.workflow.expect("a workflow");
    assert_eq!(found.failure, "step 2 (review) ended without a verdict");
}

#[tokio::test]
async fn a_cancelled_workflow_ends_with_its_task_and_begins_no_other() {
    let factory = Factory::start().await;
    let workflow = start(&factory, code_review()).await;
    let mut worker = worker_for_claude(&factory).await;
    let coder = step(&mut worker).await;
    let cancel = v1::CancelWorkflowRequest { workflow: workflow.number.to_string() };
    soon(factory.client.workflows().cancel(cancel.clone())).await.expect("cancelled");
    assert_eq!(factory.state(&coder.task_id).await, v1::TaskState::Cancelling);
    let ending = v1::Report { outcome: v1::OutcomeKind::Cancelled.into(), ..Default::default() };
    worker.report(&coder, ending).await;
    let end = ended(&factory, &workflow.id).await;
    assert_eq!(end.workflow.expect("a workflow").state(), v1::WorkflowState::Cancelled);
    assert_eq!(end.steps.len(), 1);
    let again = soon(factory.client.workflows().cancel(cancel)).await.expect_err("it has ended");
    assert_eq!(again.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn starting_it_again_under_its_key_finds_the_first() {
    let factory = Factory::start().await;
    let request = v1::StartWorkflowRequest { idempotency_key: "nightly".into(), ..code_review() };
    let first = start(&factory, request.clone()).await;
    assert_eq!(start(&factory, request.clone()).await.id, first.id);
    let other = v1::StartWorkflowRequest { description: "Something else".into(), ..request };
    let refused = soon(factory.client.workflows().start(other)).await.expect_err("refused");
    assert_eq!(refused.code(), Code::AlreadyExists);
    let list =
        v1::ListWorkflowsRequest { states: vec![v1::WorkflowState::Completed.into()], ..Default::default() };
    let listed = soon(factory.client.workflows().list(list)).await.expect("listed").into_inner();
    assert!(listed.workflows.is_empty());
}

#[tokio::test]
async fn a_definition_of_ones_own_is_checked_as_a_whole() {
    let factory = Factory::start().await;
    let definition =
        "steps:\n  - agent: poet\n    output: verse\n  - agent: coder\n    prompt_template: sonnet\n";
    let request =
        v1::StartWorkflowRequest { name: String::new(), definition: definition.into(), ..code_review() };
    let refused = soon(factory.client.workflows().start(request)).await.expect_err("refused");
    let violations = refused.get_details_bad_request().expect("details").field_violations;
    assert_eq!(violations.len(), 2, "{violations:?}");
    assert!(violations[0].description.contains("steps[0].agent: there is no role `poet`"), "{violations:?}");
    let unknown = v1::StartWorkflowRequest { name: "nothing".into(), ..code_review() };
    let refused = soon(factory.client.workflows().start(unknown)).await.expect_err("refused");
    assert_eq!(refused.code(), Code::NotFound);
    assert!(refused.message().contains("code_review"), "{}", refused.message());
}
