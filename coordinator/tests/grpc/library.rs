//! Roles and templates: shown, checked, and made part of a task as it is accepted.

use factory_proto::v1;
use tonic::Code;
use tonic_types::StatusExt;

use crate::setup::{Factory, Worker, prompt, soon};

#[tokio::test]
async fn a_role_and_a_type_make_a_task_whole() {
    let factory = Factory::start().await;
    let spec = v1::TaskSpec {
        agent: "claude".into(),
        role: "review".into(),
        r#type: "code".into(),
        ..prompt("Look at the login")
    };
    let submitted = factory.submit(spec).await;
    let task = factory.get(&submitted.id).await.task.expect("a task");
    let spec = task.spec.expect("a spec");
    assert_eq!((spec.role.as_str(), spec.timeout_ms), ("reviewer", Some(30 * 60_000)));
    assert_eq!(spec.prompt, "Look at the login", "what was asked for stays as it was");
    assert!(spec.allowed_tools.contains(&"Grep".to_owned()));
}

#[tokio::test]
async fn an_unknown_role_or_type_is_refused_with_those_there_are() {
    let factory = Factory::start().await;
    let bad = v1::TaskSpec { role: "poet".into(), ..prompt("x") };
    let worse = v1::TaskSpec { r#type: "verse".into(), ..prompt("x") };
    let refused = factory.try_submit(vec![prompt("fine"), bad, worse]).await.expect_err("refused");
    assert_eq!(refused.code(), Code::InvalidArgument);
    let details = refused.get_details_bad_request().expect("details").field_violations;
    assert_eq!(details[0].field, "tasks[1].role");
    assert!(details[0].description.contains("coder_revision"), "{}", details[0].description);
    assert_eq!(details[1].field, "tasks[2].type");
    assert!(details[1].description.contains("integration"), "{}", details[1].description);
}

#[tokio::test]
async fn a_users_files_are_shown_and_checked_as_they_are_now() {
    let factory = Factory::start().await;
    let mut library = factory.client.library();
    let listed = soon(library.list_roles(v1::ListRolesRequest {})).await.expect("listed").into_inner();
    assert_eq!(listed.roles.len(), 10);
    assert!(listed.roles.iter().all(|role| role.prompt.is_empty() && role.source == "built-in"));

    let templates = factory.root.path().join("templates");
    std::fs::create_dir(&templates).expect("made");
    std::fs::write(templates.join("code.md"), "{{ task_name }}\n{{ typo }}").expect("written");
    let checked = soon(library.check(v1::CheckRequest {})).await.expect("checked").into_inner();
    assert_eq!((checked.problems.len(), checked.problems[0].line), (1, 2));
    let refused = factory.try_submit(vec![v1::TaskSpec { r#type: "code".into(), ..prompt("x") }]).await;
    assert!(refused.expect_err("refused").message().contains("code.md:2"));

    let unknown = v1::GetRoleRequest { name: "poet".into() };
    assert_eq!(soon(library.get_role(unknown)).await.expect_err("none").code(), Code::NotFound);
}

#[tokio::test]
async fn an_offer_carries_what_its_agent_is_told() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    factory.submit(v1::TaskSpec { role: "coder".into(), ..prompt("write: a") }).await;
    worker.credits(1).await;
    let offer = worker.offer().await;
    let brief = offer.brief.expect("a brief");
    assert!(brief.system_prompt.starts_with("You are a software engineer"), "{}", brief.system_prompt);
    assert_eq!(brief.prompt, "", "nothing is put around a script");
}
