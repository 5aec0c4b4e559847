//! Messages and handoffs: who is told of them, once, and how they are found again.

use factory_coordinator::store::{
    HandoffEntry, HandoffFilter, HandoffName, HandoffTo, MessageEntry, MessageFilter, MessageName,
    MessageRange, NewHandoff, NewMessage, NewTask, Store,
};
use factory_domain::{
    Event, HandoffId, Links, MessageId, MessageType, NoticeKind, Recipient, Slug, SpecDraft, TaskId,
    WorkflowId,
};
use uuid::Uuid;

use crate::bench::{Worker, apply, at, draft, new_task, submit};

fn role(name: &str) -> Slug {
    Slug::parse(name).expect("a role")
}

fn with_role(name: &str) -> SpecDraft {
    SpecDraft { role: name.into(), ..draft("x") }
}

/// A person's message.
fn message(to: Recipient, content: &str) -> NewMessage {
    NewMessage {
        id: MessageId::from_uuid(Uuid::now_v7()),
        from: "user".into(),
        from_task: None,
        from_attempt: None,
        to,
        kind: MessageType::Info,
        content: content.into(),
        reply_to: None,
        key: None,
    }
}

async fn post(store: &dyn Store, message: NewMessage) -> MessageEntry {
    store.post(message, at(5)).await.expect("posted")
}

fn handoff(from: TaskId, to: HandoffTo) -> NewHandoff {
    NewHandoff {
        id: HandoffId::from_uuid(Uuid::now_v7()),
        from_task: from,
        from_attempt: None,
        to,
        workflow: None,
        context: "Mind the cache.".into(),
        artifacts: vec!["src/a.rs".into()],
        branch: Some("factory/a".into()),
        key: None,
    }
}

async fn hand_off(store: &dyn Store, handoff: NewHandoff) -> HandoffEntry {
    store.hand_off(handoff, at(6)).await.expect("kept")
}

/// How many messages and how many handoffs the agent of `task` is to be told of.
async fn told(store: &dyn Store, task: TaskId) -> (usize, usize) {
    let found = store.notices(task, 0).await.expect("read").notices;
    let of = |kind| found.iter().filter(|notice| notice.kind == kind).count();
    (of(NoticeKind::Message), of(NoticeKind::Handoff))
}

fn everything() -> MessageFilter {
    MessageFilter {
        range: MessageRange::Before(None),
        task: None,
        types: Vec::new(),
        to: None,
        from: None,
        search: None,
        limit: 100,
    }
}

async fn numbers(store: &dyn Store, filter: MessageFilter) -> Vec<u64> {
    let found = store.messages(filter).await.expect("listed");
    found.into_iter().map(|message| message.number).collect()
}

pub async fn a_message_is_told_once_to_those_it_is_for(store: &dyn Store) {
    let worker = Worker::register(store, &[]).await;
    let begun = submit(store, with_role("coder")).await;
    let claimed = worker.run_one(store, at(1)).await;
    let queued = submit(store, with_role("coder")).await;
    let other = submit(store, with_role("reviewer")).await;
    let ended = submit(store, with_role("coder")).await;
    apply(store, ended, Event::CancelRequested, at(2)).await;

    post(store, message(Recipient::Task(queued), "you")).await;
    assert_eq!(told(store, queued).await, (1, 0));
    post(store, message(Recipient::Task(ended), "too late")).await;
    post(store, message(Recipient::Role(role("coder")), "coders")).await;
    assert_eq!((told(store, begun).await, told(store, queued).await), ((1, 0), (2, 0)));
    post(store, message(Recipient::All, "all")).await;
    post(store, message(Recipient::User, "a person")).await;
    let by_agent = NewMessage {
        from: "coder".into(),
        from_task: Some(begun),
        from_attempt: Some(claimed.attempt),
        ..message(Recipient::Role(role("coder")), "from a coder")
    };
    post(store, by_agent).await;
    assert_eq!(told(store, begun).await, (2, 0), "its role's and everyone's, not its own");
    assert_eq!(told(store, queued).await, (3, 0), "its agent has not begun: not what is said to all");
    assert_eq!((told(store, other).await, told(store, ended).await), ((0, 0), (0, 0)));
}

pub async fn a_key_used_again_posts_once(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    let mut board = store.board();
    let keyed = || NewMessage { key: Some("k".into()), ..message(Recipient::Task(task), "once") };
    let first = post(store, keyed()).await;
    let again = post(store, keyed()).await;
    assert_eq!(first, again);
    assert_eq!(told(store, task).await, (1, 0));
    assert_eq!(*board.borrow_and_update(), first.number);
    let second = post(store, message(Recipient::User, "twice")).await;
    board.changed().await.expect("a store that is open");
    assert_eq!((second.number, *board.borrow()), (2, 2));
}

pub async fn a_thread_is_told_in_order_and_its_agents_hear_of_replies(store: &dyn Store) {
    let worker = Worker::register(store, &[]).await;
    let asker = submit(store, with_role("coder")).await;
    let claimed = worker.run_one(store, at(1)).await;
    let question = post(
        store,
        NewMessage {
            from: "coder".into(),
            from_task: Some(asker),
            from_attempt: Some(claimed.attempt),
            kind: MessageType::Question,
            ..message(Recipient::User, "Which port?")
        },
    )
    .await;
    post(store, message(Recipient::User, "something else")).await;
    let reply = |to: &MessageEntry, text: &str| NewMessage {
        reply_to: Some(to.number),
        ..message(Recipient::User, text)
    };
    let first = post(store, reply(&question, "8100")).await;
    let second = post(store, reply(&first, "No: 8200")).await;
    assert_eq!(second.first_of_thread(), question.number);
    assert_eq!(second.reply_to.map(|message| message.id), Some(first.id));
    assert_eq!(told(store, asker).await, (2, 0), "its agent posted in the thread");

    let thread = store.thread(question.number, 10).await.expect("read");
    assert_eq!(thread.iter().map(|message| message.number).collect::<Vec<_>>(), [1, 3, 4]);
    assert_eq!(thread[0].replies, 2);
    let end = store.thread(question.number, 2).await.expect("read");
    assert_eq!(end.iter().map(|message| message.number).collect::<Vec<_>>(), [3, 4]);
    let by_id = store.message(MessageName::Id(first.id)).await.expect("read");
    assert_eq!(by_id.as_ref(), store.message(MessageName::Number(3)).await.expect("read").as_ref());
    assert_eq!(by_id.map(|message| message.content), Some("8100".into()));
    assert_eq!(store.message(MessageName::Number(u64::MAX)).await.expect("read"), None);
}

pub async fn messages_are_filtered_and_paged(store: &dyn Store) {
    let (a, b) = (submit(store, draft("a")).await, submit(store, draft("b")).await);
    let from = |task, kind, name: &str, to| NewMessage {
        from: name.into(),
        from_task: Some(task),
        kind,
        ..message(to, "text")
    };
    post(store, from(a, MessageType::Info, "coder", Recipient::All)).await;
    post(store, from(b, MessageType::Error, "coder", Recipient::Task(a))).await;
    post(store, from(b, MessageType::Status, "reviewer", Recipient::Role(role("coder")))).await;
    post(store, from(a, MessageType::Error, "reviewer", Recipient::Task(b))).await;
    for (filter, expected) in [
        (everything(), vec![4, 3, 2, 1]),
        (MessageFilter { range: MessageRange::Before(Some(3)), ..everything() }, vec![2, 1]),
        (MessageFilter { range: MessageRange::After(2), ..everything() }, vec![3, 4]),
        (MessageFilter { range: MessageRange::After(0), limit: 2, ..everything() }, vec![1, 2]),
        (MessageFilter { limit: 2, ..everything() }, vec![4, 3]),
        (MessageFilter { task: Some(a), ..everything() }, vec![4, 2, 1]),
        (MessageFilter { types: vec![MessageType::Error], ..everything() }, vec![4, 2]),
        (MessageFilter { types: vec![MessageType::Info, MessageType::Status], ..everything() }, vec![3, 1]),
        (MessageFilter { to: Some(Recipient::Task(a)), ..everything() }, vec![2]),
        (MessageFilter { to: Some(Recipient::Role(role("coder"))), ..everything() }, vec![3]),
        (MessageFilter { to: Some(Recipient::All), ..everything() }, vec![1]),
        (MessageFilter { to: Some(Recipient::User), ..everything() }, vec![]),
        (MessageFilter { from: Some("reviewer".into()), task: Some(a), ..everything() }, vec![4]),
    ] {
        assert_eq!(numbers(store, filter.clone()).await, expected, "{filter:?}");
    }
}

pub async fn messages_are_searched_by_what_people_type(store: &dyn Store) {
    for text in
        ["The login test is flaky", "Logging in works: café", "A test of the flaky login", "AND OR NOT NEAR"]
    {
        post(store, message(Recipient::User, text)).await;
    }
    let search = |typed: &str| MessageFilter { search: Some(typed.into()), ..everything() };
    for (typed, expected) in [
        ("login", vec![3, 1]),
        ("LOGIN test", vec![3, 1]),
        ("\"flaky login\"", vec![3]),
        ("log*", vec![3, 2, 1]),
        ("cafe", vec![2]),
        ("and or", vec![4]),
        ("NOT", vec![4]),
        ("works:", vec![2]),
        ("content:login", vec![]),
        ("nothing", vec![]),
    ] {
        assert_eq!(numbers(store, search(typed)).await, expected, "{typed}");
    }
    let hostile = [
        "\"",
        "'",
        "*",
        "**",
        "(",
        ")",
        "^",
        "-",
        "--",
        "a AND",
        "NEAR(",
        "{x}:y",
        "a\0b",
        ";",
        "\\",
        "%",
        "\u{202e}",
        "\"unclosed",
        "\"\"\"\"",
        "- * \" (",
        "x'; DROP TABLE messages; --",
    ];
    for typed in hostile {
        store.messages(search(typed)).await.unwrap_or_else(|error| panic!("{typed:?}: {error}"));
    }
    let long = "word ".repeat(2000);
    assert_eq!(numbers(store, search(&long)).await, Vec::<u64>::new());
    let next = MessageFilter { range: MessageRange::Before(Some(3)), limit: 1, ..search("log*") };
    assert_eq!(numbers(store, next).await, [2]);
    let typed = MessageFilter { types: vec![MessageType::Error], ..search("login") };
    assert_eq!(numbers(store, typed).await, Vec::<u64>::new());
}

pub async fn an_agent_reads_what_is_for_it_and_no_more_than_once(store: &dyn Store) {
    post(store, message(Recipient::All, "before its time")).await;
    let task = store.submit(vec![new_task(with_role("coder"))], at(6)).await.expect("accepted");
    let task = task[0].id;
    let later = async |to, text: &str| store.post(message(to, text), at(7)).await.expect("posted").number;
    let all = later(Recipient::All, "all").await;
    later(Recipient::Role(role("reviewer")), "others").await;
    later(Recipient::User, "a person").await;
    let its_role = later(Recipient::Role(role("coder")), "coders").await;
    let its_own = later(Recipient::Task(task), "you").await;
    let unread = async |limit| {
        let found = store.unread(task, limit).await.expect("read");
        found.into_iter().map(|message| message.number).collect::<Vec<_>>()
    };
    assert_eq!(unread(2).await, [all, its_role]);
    store.note_read(task, vec![all, its_role]).await.expect("noted");
    store.note_read(task, vec![all]).await.expect("noted, and no step back");
    assert_eq!(unread(10).await, [its_own]);
    store.note_read(task, vec![its_own]).await.expect("noted");
    assert_eq!(unread(10).await, Vec::<u64>::new());
}

pub async fn a_handoff_comes_to_a_task_or_a_role_once(store: &dyn Store) {
    let from = submit(store, SpecDraft { title: "Add login".into(), ..with_role("coder") }).await;
    let reviewer = submit(store, with_role("reviewer")).await;
    let other = submit(store, with_role("reviewer")).await;
    let keyed = || NewHandoff { key: Some("k".into()), ..handoff(from, HandoffTo::Task(reviewer)) };
    let first = hand_off(store, keyed()).await;
    assert_eq!(hand_off(store, keyed()).await, first);
    assert_eq!((first.from_role.as_deref(), first.from_title.as_str()), (Some("coder"), "Add login"));
    assert_eq!((told(store, reviewer).await, told(store, other).await), ((0, 1), (0, 0)));
    let text = store.notices(reviewer, 0).await.expect("read").notices.remove(0).text;
    for part in ["from task 1 (coder)", "> Mind the cache.", "`factory/a`", "`src/a.rs`"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let second = hand_off(store, handoff(from, HandoffTo::Role(role("reviewer")))).await;
    assert_eq!((told(store, reviewer).await, told(store, other).await), ((0, 2), (0, 1)));

    let list = async |filter: HandoffFilter| {
        let found = store.handoffs(HandoffFilter { limit: 10, ..filter }).await.expect("listed");
        found.into_iter().map(|handoff| handoff.number).collect::<Vec<_>>()
    };
    let of = |task| HandoffFilter { task: Some(task), ..HandoffFilter::default() };
    assert_eq!(list(of(from)).await, [2, 1], "seen where it comes from");
    assert_eq!((list(of(reviewer)).await, list(of(other)).await), (vec![2, 1], vec![2]), "and where it goes");
    assert_eq!(list(HandoffFilter { before: Some(2), ..HandoffFilter::default() }).await, [1]);
    assert_eq!(store.handoff(HandoffName::Id(second.id)).await.expect("read"), Some(second));
    assert_eq!(store.handoff(HandoffName::Number(9)).await.expect("read"), None);
}

pub async fn a_workflows_handoffs_are_listed_with_their_iterations(store: &dyn Store) {
    let from = submit(store, draft("x")).await;
    let (one, two) = (WorkflowId::from_uuid(Uuid::now_v7()), WorkflowId::from_uuid(Uuid::now_v7()));
    for (workflow, iteration) in [(one, 1), (two, 1), (one, 2)] {
        let of = NewHandoff { workflow: Some((workflow, iteration)), ..handoff(from, HandoffTo::Task(from)) };
        hand_off(store, of).await;
    }
    let filter = HandoffFilter { workflow: Some(one), limit: 10, ..HandoffFilter::default() };
    let found = store.handoffs(filter).await.expect("listed");
    let iterations: Vec<_> = found.iter().filter_map(|handoff| handoff.workflow).collect();
    assert_eq!(iterations, [(one, 2), (one, 1)]);
}

pub async fn a_handoff_comes_to_whatever_depends_on_its_task(store: &dyn Store) {
    let from = submit(store, draft("x")).await;
    let after = async |needs| {
        let links = Links { after: vec![needs], ..Links::default() };
        let task = NewTask { links, ..new_task(draft("next")) };
        store.submit(vec![task], at(6)).await.expect("accepted").remove(0).id
    };
    let before = after(from).await;
    let first = hand_off(store, handoff(from, HandoffTo::Dependents)).await;
    let second = hand_off(store, handoff(from, HandoffTo::Dependents)).await;
    let later = after(from).await;
    let farther = after(later).await;
    assert_eq!((told(store, before).await, told(store, later).await), ((0, 2), (0, 2)));
    assert_eq!((told(store, farther).await, told(store, from).await), ((0, 0), (0, 0)));
    let texts = store.notices(later, 0).await.expect("read").notices;
    for (notice, number) in texts.iter().zip([first.number, second.number]) {
        assert!(notice.text.starts_with(&format!("Handoff {number} ")), "{}", notice.text);
    }
    let filter = HandoffFilter { task: Some(later), limit: 10, ..HandoffFilter::default() };
    assert_eq!(store.handoffs(filter).await.expect("listed"), [second, first]);
}

pub async fn what_was_read_is_not_told_and_what_was_told_is_not_new(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    let read = post(store, message(Recipient::Task(task), "read")).await;
    store.note_read(task, vec![read.number]).await.expect("noted");
    assert_eq!(told(store, task).await, (0, 0));
    let shown = post(store, message(Recipient::Task(task), "shown")).await;
    let inbox = store.notices(task, 0).await.expect("read");
    assert!(inbox.notices[0].text.starts_with(&format!("Message {} ", shown.number)), "{inbox:?}");
    let unread = async || store.unread(task, 1).await.expect("read").first().map(|message| message.number);
    assert_eq!(unread().await, Some(shown.number), "nobody knows yet that its agent saw it");
    store.note_told(task, inbox.cursor).await.expect("noted");
    assert_eq!(unread().await, None);
    let next = post(store, message(Recipient::Task(task), "next")).await;
    assert_eq!(unread().await, Some(next.number));
}
