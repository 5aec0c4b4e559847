//! Workflows: a step begins once, with its task and its handoff or not at all, and what has ended stays so.

use factory_coordinator::store::workflow::{
    NewStep, NewWorkflow, PassedStep, StartError, StepPlace, StepWas, WorkflowEntry, WorkflowFilter,
    WorkflowRequest,
};
use factory_coordinator::store::{
    HandoffFilter, HandoffTo, NewHandoff, NewTask, ResolveError, Store, Submitted,
};
use factory_domain::workflow::{DefinitionDraft, StepDraft, WorkflowState};
use factory_domain::{AgentKind, BranchName, HandoffId, Labels, WorkflowId};
use uuid::Uuid;

use crate::bench::{at, draft, new_task};

fn new_workflow(key: Option<&str>) -> NewWorkflow {
    let step = |agent: &str, output: &str| StepDraft {
        agent: agent.into(),
        output: Some(output.into()),
        ..StepDraft::default()
    };
    let steps =
        vec![step("coder", "code"), StepDraft { input: Some("code".into()), ..step("docs", "manual") }];
    let definition = DefinitionDraft { steps, ..DefinitionDraft::default() };
    NewWorkflow {
        id: WorkflowId::from_uuid(Uuid::now_v7()),
        request: WorkflowRequest {
            title: "A cache".into(),
            description: "Add a cache".into(),
            repo: None,
            base: None,
            agent: AgentKind::Scripted,
            model: None,
            labels: Labels::default(),
            submitter: None,
            project: None,
            priority: 0,
            trust_repo: false,
        },
        definition: definition.validate("mine").expect("sound"),
        branch: BranchName::parse("factory/a-cache").expect("a branch"),
        idempotency_key: key.map(str::to_owned),
    }
}

async fn start(store: &dyn Store) -> WorkflowEntry {
    store.start_workflow(new_workflow(None), at(1)).await.expect("started")
}

fn place(workflow: &WorkflowEntry, position: usize, step: usize) -> StepPlace {
    StepPlace { workflow: workflow.id, position, step, iteration: 1 }
}

fn task() -> NewTask {
    new_task(draft("write: a"))
}

async fn begin(store: &dyn Store, place: StepPlace, handoff: Option<NewHandoff>) -> Option<Submitted> {
    store.begin_step(NewStep { place, task: task(), handoff }, at(2)).await.expect("the store works")
}

async fn state(store: &dyn Store, workflow: &WorkflowEntry) -> WorkflowState {
    store.workflow(workflow.id).await.expect("read").expect("it is there").state
}

pub async fn a_step_begins_once_with_its_task_and_its_handoff(store: &dyn Store) {
    let workflow = start(store).await;
    assert_eq!(workflow.state, WorkflowState::Pending);
    let first = begin(store, place(&workflow, 0, 0), None).await.expect("begun");
    assert_eq!(begin(store, place(&workflow, 0, 0), None).await, None, "it has gone on meanwhile");
    assert_eq!(store.live_count().await.expect("counted"), 1, "the second left no task behind");

    let second = task();
    let handoff = NewHandoff {
        id: HandoffId::from_uuid(Uuid::now_v7()),
        from_task: first.id,
        from_attempt: None,
        to: HandoffTo::Task(second.id),
        workflow: Some((workflow.id, 1)),
        context: "The cache is there.".into(),
        artifacts: Vec::new(),
        branch: None,
        key: None,
    };
    let step = NewStep { place: place(&workflow, 1, 1), task: second, handoff: Some(handoff) };
    let second = store.begin_step(step, at(3)).await.expect("the store works").expect("begun");
    let steps = store.workflow_steps(workflow.id).await.expect("read");
    let tasks: Vec<_> = steps.iter().map(|step| &step.what).collect();
    assert_eq!(tasks, [&StepWas::Begun(first.id), &StepWas::Begun(second.id)]);
    let filter = HandoffFilter { workflow: Some(workflow.id), limit: 10, ..HandoffFilter::default() };
    let handoffs = store.handoffs(filter).await.expect("read");
    assert_eq!((handoffs.len(), handoffs[0].to_number), (1, Some(second.number)));
    let told = store.notices(second.id, 0).await.expect("read");
    assert!(told.notices.is_empty(), "the step's prompt has it");
    assert_eq!(state(store, &workflow).await, WorkflowState::Running);
}

pub async fn a_workflow_that_is_to_end_begins_no_step(store: &dyn Store) {
    let workflow = start(store).await;
    assert!(store.wish_workflow_ended(workflow.id, at(2)).await.expect("wished"));
    assert_eq!(begin(store, place(&workflow, 0, 0), None).await, None);
    let passed = PassedStep { place: place(&workflow, 0, 0), why: "no".into() };
    assert!(!store.pass_step(passed, at(2)).await.expect("the store works"));
    assert_eq!(store.open_workflows().await.expect("read"), [workflow.id]);
    assert!(store.end_workflow(workflow.id, WorkflowState::Cancelled, at(3)).await.expect("ended"));
    let failed = WorkflowState::Failed { why: "late".into() };
    assert!(!store.end_workflow(workflow.id, failed, at(4)).await.expect("the store works"));
    assert!(!store.wish_workflow_ended(workflow.id, at(4)).await.expect("the store works"));
    assert_eq!(state(store, &workflow).await, WorkflowState::Cancelled);
    assert!(store.open_workflows().await.expect("read").is_empty());
}

pub async fn a_workflow_is_found_by_key_number_and_prefix(store: &dyn Store) {
    let first = store.start_workflow(new_workflow(Some("nightly")), at(1)).await.expect("started");
    let again = store.start_workflow(new_workflow(Some("nightly")), at(2)).await.expect("found");
    assert_eq!(again, first);
    let mut other = new_workflow(Some("nightly"));
    other.request.title = "Another".into();
    let refused = store.start_workflow(other, at(2)).await;
    assert!(matches!(refused, Err(StartError::KeyReused { existing, .. }) if existing == first.id));
    let number = first.number.to_string();
    for name in [number.as_str(), &first.id.to_string()] {
        assert_eq!(store.resolve_workflow(name).await.expect("found"), first.id);
    }
    assert!(matches!(store.resolve_workflow("77").await, Err(ResolveError::NotFound(_))));
    let second = start(store).await;
    let filter = WorkflowFilter { states: vec!["pending"], limit: 10, ..WorkflowFilter::default() };
    let listed = store.workflows(filter.clone()).await.expect("read");
    assert_eq!(listed.iter().map(|found| found.id).collect::<Vec<_>>(), [second.id, first.id]);
    let older = WorkflowFilter { before: Some(second.number), ..filter };
    assert_eq!(store.workflows(older).await.expect("read"), [first]);
}
