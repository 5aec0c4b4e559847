//! A usage limit of an agent's account: what the report says, and what is offered until the reset.

use factory_proto::v1;

use super::*;

/// Whether the newest session offers an agent; else why not.
fn offered(state: &coordinator::State, agent: &str) -> Option<Result<(), String>> {
    let agents = &state.hellos.last()?.agents;
    let agent = agents.iter().find(|readiness| readiness.name == agent)?;
    let why = agent.unusable_because.clone();
    Some(if why.is_empty() { Ok(()) } else { Err(why) })
}

#[tokio::test]
async fn an_agent_is_held_back_from_its_limit_to_the_reset() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    let worker = start(&coordinator, root.path()).await;
    let spec = v1::TaskSpec {
        agent: "scripted".into(),
        prompt: "say hello\nlimit-once 2".into(),
        ..v1::TaskSpec::default()
    };
    let attempt = coordinator.offer(spec.clone()).await;
    let why =
        coordinator.until("a session without the agent", |state| offered(state, "scripted")?.err()).await;
    assert!(why.starts_with("usage limit until "), "{why}");
    assert_eq!(coordinator.with(|state| offered(state, "command")), Some(Ok(())), "others are offered");
    let late = coordinator.offer(spec.clone()).await;
    assert!(coordinator.declined(&late).await.contains(&why), "nothing slips in meanwhile");

    let report = coordinator.report(&attempt).await;
    let failure = report.failure.as_ref().expect("a failure");
    assert_eq!((report.outcome(), failure.reason.as_str()), (v1::OutcomeKind::Failed, "usage_limit"));
    assert!(report.limited_until_ms.is_some(), "{report:?}");

    coordinator.until("a session with the agent", |state| offered(state, "scripted")?.ok()).await;
    worker.shutdown().await;
}
