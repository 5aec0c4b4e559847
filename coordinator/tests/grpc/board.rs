//! The message board and handoffs, for people and for agents.

use factory_proto::v1;
use tonic::{Code, Status, Streaming};

use crate::setup::{Factory, Worker, prompt, soon, succeeded};

fn with_role(role: &str) -> v1::TaskSpec {
    v1::TaskSpec { role: role.to_owned(), ..prompt("Work") }
}

fn message(to: &str, content: &str) -> v1::NewMessage {
    v1::NewMessage { to: to.to_owned(), content: content.to_owned(), ..Default::default() }
}

async fn post(factory: &Factory, message: v1::NewMessage) -> Result<v1::Message, Status> {
    let request = v1::PostMessageRequest { message: Some(message), ..Default::default() };
    let reply = soon(factory.client.board().post_message(request)).await?.into_inner();
    Ok(reply.message.expect("a message"))
}

async fn list(factory: &Factory, request: v1::ListMessagesRequest) -> v1::ListMessagesResponse {
    soon(factory.client.board().list_messages(request)).await.expect("listed").into_inner()
}

async fn follow(
    factory: &Factory,
    request: v1::FollowMessagesRequest,
) -> Streaming<v1::FollowMessagesResponse> {
    soon(factory.client.board().follow_messages(request)).await.expect("a stream").into_inner()
}

async fn next(messages: &mut Streaming<v1::FollowMessagesResponse>) -> u64 {
    let response = soon(messages.message()).await.expect("no error").expect("it goes on");
    response.message.expect("a message").number
}

fn attempt(worker: &Worker, offer: &v1::Offer) -> Option<v1::AttemptRef> {
    Some(v1::AttemptRef {
        worker_id: worker.id.to_string(),
        task_id: offer.task_id.clone(),
        attempt_id: offer.attempt_id.clone(),
    })
}

async fn notices(worker: &Worker, offer: &v1::Offer, told_up_to: u64) -> v1::NoticesResponse {
    let request = v1::NoticesRequest { attempt: attempt(worker, offer), told_up_to, wait_ms: 60_000 };
    soon(worker.client().agents().notices(request)).await.expect("an answer").into_inner()
}

#[tokio::test]
async fn a_follower_resumes_by_number_over_a_restart_without_loss_or_repetition() {
    let factory = Factory::start().await;
    let mut live = follow(&factory, v1::FollowMessagesRequest::default()).await;
    post(&factory, message("all", "one")).await.expect("posted");
    assert_eq!(next(&mut live).await, 1);
    post(&factory, message("all", "two")).await.expect("posted");
    post(&factory, message("user", "three")).await.expect("posted");
    assert_eq!(next(&mut live).await, 2);
    drop(live);

    let factory = factory.restart().await;
    let after = |after| v1::FollowMessagesRequest { after: Some(after), ..Default::default() };
    let mut resumed = follow(&factory, after(2)).await;
    assert_eq!(next(&mut resumed).await, 3);
    post(&factory, message("user", "four")).await.expect("posted");
    assert_eq!(next(&mut resumed).await, 4);

    let beyond = soon(factory.client.board().follow_messages(after(99))).await.expect_err("refused");
    assert_eq!(beyond.code(), Code::InvalidArgument);
    soon(factory.coordinator.shutdown()).await;
    assert_eq!(soon(resumed.message()).await.expect_err("ended").code(), Code::Unavailable);
}

#[tokio::test]
async fn a_follower_hears_of_its_task_and_types_alone() {
    let factory = Factory::start().await;
    let task = factory.submit(prompt("Work")).await;
    let types = vec![v1::MessageType::Error.into()];
    let request = v1::FollowMessagesRequest { after: Some(0), task: task.id.clone(), types };
    let mut errors = follow(&factory, request).await;
    let error = |to: &str| v1::NewMessage { r#type: v1::MessageType::Error.into(), ..message(to, "x") };
    post(&factory, error("all")).await.expect("posted");
    post(&factory, message("task:1", "not an error")).await.expect("posted");
    let wanted = post(&factory, error("task:1")).await.expect("posted");
    assert_eq!(next(&mut errors).await, wanted.number);
    assert_eq!((wanted.to.as_str(), wanted.to_task_id), ("task:1", task.id));
}

#[tokio::test]
async fn pages_and_threads_are_read_by_id_or_number() {
    let factory = Factory::start().await;
    let first = post(&factory, message("reviewer", "Which port?")).await.expect("posted");
    let reply =
        |to: &v1::Message, text: &str| v1::NewMessage { reply_to: to.id.clone(), ..message("", text) };
    let second = post(&factory, reply(&first, "8100")).await.expect("posted");
    assert_eq!((second.to.as_str(), second.thread_id.as_str()), ("user", first.id.as_str()));
    post(&factory, v1::NewMessage { reply_to: "2".into(), ..message("all", "8200") }).await.expect("posted");
    let request = v1::GetThreadRequest { message: "3".into() };
    let thread = soon(factory.client.board().get_thread(request)).await.expect("read").into_inner();
    assert_eq!(thread.messages.iter().map(|message| message.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((thread.messages[0].replies, thread.messages[2].reply_to_number), (2, 2));

    let mut request = v1::ListMessagesRequest { page_size: 2, ..Default::default() };
    let page = list(&factory, request.clone()).await;
    request.page_token = page.next_page_token;
    let rest = list(&factory, request.clone()).await;
    let numbers =
        |messages: &[v1::Message]| messages.iter().map(|message| message.number).collect::<Vec<_>>();
    assert_eq!((numbers(&page.messages), numbers(&rest.messages)), (vec![3, 2], vec![1]));
    assert!(rest.next_page_token.is_empty());
    request.search = "port".into();
    let refused = soon(factory.client.board().list_messages(request)).await.expect_err("other filters");
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn what_cannot_be_posted_says_why() {
    let factory = Factory::start().await;
    for (bad, code, part) in [
        (message("all", " "), Code::InvalidArgument, "content"),
        (message("all", &"x".repeat(65 * 1024)), Code::InvalidArgument, "at most 65536"),
        (message("task:7", "x"), Code::NotFound, "no task"),
        (message("task", "x"), Code::InvalidArgument, "task:7"),
        (message("a role", "x"), Code::InvalidArgument, "message.to"),
        (v1::NewMessage { reply_to: "9".into(), ..message("", "x") }, Code::NotFound, "no message `9`"),
        (v1::NewMessage { from: "a\nb".into(), ..message("", "x") }, Code::InvalidArgument, "control"),
        (v1::NewMessage { r#type: 77, ..message("", "x") }, Code::InvalidArgument, "77"),
    ] {
        let refused = post(&factory, bad).await.expect_err(part);
        assert_eq!(refused.code(), code, "{refused}");
        assert!(refused.message().contains(part), "{part} is not in {}", refused.message());
    }
    let types = vec![0];
    let list = v1::ListMessagesRequest { types, ..Default::default() };
    let refused = soon(factory.client.board().list_messages(list)).await.expect_err("no type");
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn agents_talk_to_one_another_under_their_own_identity() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    let coder = factory.submit(with_role("coder")).await;
    let writing = worker.run().await;
    let reviewer = factory.submit(with_role("reviewer")).await;
    let reviewing = worker.run().await;
    let agents = factory.client.agents();
    let say = async |offer: &v1::Offer, message: v1::NewMessage| {
        let request = v1::AgentPostMessageRequest {
            attempt: attempt(&worker, offer),
            key: "k".to_owned(),
            message: Some(message),
        };
        soon(agents.clone().post_message(request)).await.map(|reply| reply.into_inner().message)
    };

    let forged = v1::NewMessage { from: "boss".into(), task: "2".into(), ..message("reviewer", "Ready?") };
    let asked = say(&writing, forged.clone()).await.expect("posted").expect("a message");
    assert_eq!((asked.from.as_str(), asked.from_task_id.as_str()), ("coder", coder.id.as_str()));
    assert_eq!(say(&writing, forged).await.expect("posted").expect("a message").number, asked.number);
    let heard = notices(&worker, &reviewing, 0).await;
    assert_eq!(heard.notices.len(), 1);
    assert!(heard.notices[0].text.contains("> Ready?"), "{:?}", heard.notices);

    let answer = v1::NewMessage { reply_to: asked.number.to_string(), ..message("", "Yes.") };
    let answered = say(&reviewing, answer).await.expect("posted").expect("a message");
    assert_eq!((answered.from.as_str(), answered.to.as_str()), ("reviewer", "task:1"));
    let heard = notices(&worker, &writing, 0).await;
    assert!(heard.notices[0].text.contains("> Yes."), "{:?}", heard.notices);

    let read = async |unread| {
        let attempt = attempt(&worker, &reviewing);
        let request = v1::AgentReadMessagesRequest { attempt, unread, ..Default::default() };
        let read = soon(agents.clone().read_messages(request)).await.expect("read").into_inner();
        read.messages.into_iter().map(|message| message.number).collect::<Vec<_>>()
    };
    assert_eq!((read(true).await, read(true).await), (vec![1], vec![]));
    assert_eq!(read(false).await, [1, 2]);

    worker.report(&reviewing, succeeded(0)).await;
    let late = say(&reviewing, message("all", "One more thing")).await.expect_err("it has ended");
    assert_eq!(late.code(), Code::FailedPrecondition);
    assert_eq!(factory.state(&reviewer.id).await, v1::TaskState::Succeeded);
}

#[tokio::test]
async fn an_agent_hands_on_with_its_branch() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    let spec = v1::TaskSpec { repo: "/srv/app".into(), title: "Add login".into(), ..with_role("coder") };
    let coder = factory.submit(spec).await;
    let writing = worker.run().await;
    let reviewer = factory.submit(with_role("reviewer")).await;
    let handoff = v1::NewHandoff {
        from_task: reviewer.id.clone(),
        to_role: "reviewer".into(),
        context: "Mind the cache.".into(),
        ..Default::default()
    };
    let request = v1::AgentHandoffRequest {
        attempt: attempt(&worker, &writing),
        key: String::new(),
        handoff: Some(handoff.clone()),
    };
    let kept = soon(factory.client.agents().handoff(request)).await.expect("kept").into_inner();
    let kept = kept.handoff.expect("a handoff");
    assert_eq!((kept.from_task_id.as_str(), kept.from_role.as_str()), (coder.id.as_str(), "coder"));
    assert!(kept.branch.starts_with("factory/") && kept.branch.ends_with("-add-login"), "{}", kept.branch);
    let offer = worker.run().await;
    let brief = offer.brief.expect("a brief");
    assert_eq!(brief.notices.len(), 1, "told with the offer");
    assert!(brief.notices[0].text.contains(&kept.branch), "{:?}", brief.notices);

    let mut board = factory.client.board();
    for task in ["1", "2"] {
        let request = v1::ListHandoffsRequest { task: task.into(), ..Default::default() };
        let found = soon(board.list_handoffs(request)).await.expect("listed").into_inner();
        assert_eq!(found.handoffs, std::slice::from_ref(&kept), "of task {task}");
    }
    let get = v1::GetHandoffRequest { handoff: "1".into() };
    assert_eq!(soon(board.get_handoff(get)).await.expect("there").into_inner().handoff, Some(kept));

    let both = v1::NewHandoff { to_task: "1".into(), ..handoff };
    let request = v1::CreateHandoffRequest { handoff: Some(both), ..Default::default() };
    let refused = soon(board.create_handoff(request)).await.expect_err("a task and a role");
    assert_eq!(refused.code(), Code::InvalidArgument);
}
