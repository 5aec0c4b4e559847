use factory_domain::{Labels, Preference, Requirements};
use uuid::Uuid;

use super::*;
use crate::store::AgentFound;

const NOW: Timestamp = Timestamp::from_millis(0);

fn found(kind: AgentKind, unusable: Option<&str>) -> AgentFound {
    AgentFound { kind, version: String::new(), warning: None, unusable: unusable.map(str::to_owned) }
}

fn worker(agents: &[AgentKind]) -> WorkerEntry {
    WorkerEntry {
        id: WorkerId::from_uuid(Uuid::now_v7()),
        session: SessionId::from_uuid(Uuid::now_v7()),
        name: "w".into(),
        version: String::new(),
        labels: Labels::default(),
        agents: agents.iter().map(|kind| found(*kind, None)).collect(),
        slots: 8,
        free_disk: 0,
    }
}

fn seat(fleet: &Fleet, agents: &[AgentKind], free_slots: u32) -> Seat {
    let (outbox, _) = mpsc::channel(8);
    let (seat, _) = fleet.connect(&worker(agents), outbox).expect("a seat");
    fleet.set_credits(seat, free_slots, false);
    seat
}

fn shares(round: &[Opening]) -> Vec<(Seat, u32)> {
    round.iter().map(|opening| (opening.seat, opening.capacity.free_slots)).collect()
}

#[test]
fn those_with_the_most_free_slots_come_first() {
    let fleet = Fleet::default();
    let idle = seat(&fleet, &[AgentKind::Claude], 4);
    let busy = seat(&fleet, &[AgentKind::Claude], 2);
    assert_eq!(shares(&fleet.round(&[], NOW)), [(idle, 1)]);
    fleet.set_credits(idle, 2, false);
    let mut both = shares(&fleet.round(&[], NOW));
    both.sort_by_key(|(seat, _)| seat.stream);
    assert_eq!(both, [(idle, 1), (busy, 1)]);
}

#[test]
fn who_could_only_find_what_another_did_not_is_passed_over() {
    let fleet = Fleet::default();
    seat(&fleet, &[AgentKind::Claude, AgentKind::Command], 4);
    let found_nothing = fleet.round(&[], NOW);
    seat(&fleet, &[AgentKind::Claude], 4);
    assert!(fleet.round(&found_nothing, NOW).is_empty());
    let other = seat(&fleet, &[AgentKind::Scripted], 1);
    assert_eq!(shares(&fleet.round(&found_nothing, NOW)), [(other, 1)]);
}

#[test]
fn a_task_that_everyone_declined_waits_with_their_reason() {
    let fleet = Fleet::default();
    let [one, other] = [1, 1].map(|slots| seat(&fleet, &[AgentKind::Claude], slots));
    seat(&fleet, &[AgentKind::Scripted], 1);
    let needs = Requirements { agent: AgentKind::Claude, labels: Labels::default() };
    let (task, attempt) = (TaskId::from_uuid(Uuid::now_v7()), AttemptId::from_uuid(Uuid::now_v7()));
    fleet.declined(one, task, attempt, Timestamp::from_millis(9), "its disk is full".into());
    assert_eq!(fleet.refusal(task, &needs), None, "the other may take it");
    fleet.declined(other, task, attempt, Timestamp::from_millis(9), "its disk is full".into());
    assert!(fleet.refusal(task, &needs).is_some_and(|why| why.ends_with("its disk is full")));
}

#[test]
fn a_draining_worker_is_passed_over_and_declares_no_refusal() {
    let fleet = Fleet::default();
    let (outbox, mut messages) = mpsc::channel(8);
    let (seat, _) = fleet.connect(&worker(&[AgentKind::Claude]), outbox).expect("a seat");
    fleet.set_drain(seat.worker, Some(Drain { hand_over_after: None }));
    assert!(messages.try_recv().is_err(), "nothing comes before the welcome");
    let welcome = Welcome {
        protocol: factory_proto::PROTOCOL_VERSION,
        terms: Default::default(),
        verdicts: Vec::new(),
        drain: Some(Drain { hand_over_after: None }),
    };
    assert!(fleet.welcome(seat, welcome));
    fleet.set_credits(seat, 3, false);
    assert!(fleet.round(&[], NOW).is_empty() && fleet.capacities()[0].draining);
    fleet.set_drain(seat.worker, None);
    assert!(matches!(messages.try_recv(), Ok(Ok(ToWorker::Welcome(Welcome { drain: Some(_), .. })))));
    assert!(matches!(messages.try_recv(), Ok(Ok(ToWorker::Drain(None)))));
    assert_eq!(shares(&fleet.round(&[], NOW)).len(), 1);
    fleet.set_credits(seat, 3, true);
    assert!(fleet.round(&[], NOW).is_empty() && fleet.is_stopping(seat.worker));
}

#[test]
fn an_agent_that_nobody_can_offer_is_missing_with_a_reason() {
    let fleet = Fleet::default();
    let (outbox, _messages) = mpsc::channel(8);
    let mut entry = worker(&[]);
    entry.agents.push(found(AgentKind::Claude, Some("it is not logged in")));
    fleet.connect(&entry, outbox).expect("a seat");
    assert!(fleet.capacities()[0].agents.is_empty());
    let why = fleet.why_unusable(AgentKind::Claude).expect("a reason");
    assert_eq!(why, "w says: it is not logged in");
    assert_eq!(fleet.why_unusable(AgentKind::Scripted), None, "nobody said anything of it");
    seat(&fleet, &[AgentKind::Claude], 1);
    assert_eq!(fleet.why_unusable(AgentKind::Claude), None, "one worker offers it");
}

#[test]
fn a_stream_that_was_replaced_empties_no_seat() {
    let fleet = Fleet::default();
    let (outbox, _messages) = mpsc::channel(8);
    let entry = worker(&[AgentKind::Claude]);
    let (old, over) = fleet.connect(&entry, outbox.clone()).expect("a seat");
    let (new, _) = fleet.connect(&entry, outbox).expect("the same process, a new stream");
    assert!(over.is_cancelled());
    fleet.disconnect(old);
    fleet.set_credits(old, 5, false);
    assert!(fleet.is_connected(entry.id) && fleet.round(&[], NOW).is_empty());
    fleet.disconnect(new);
    assert!(!fleet.is_connected(entry.id));
}

#[test]
fn what_is_kept_for_a_worker_is_left_to_it_while_it_could_take_it() {
    let fleet = Fleet::default();
    let home = seat(&fleet, &[AgentKind::Claude], 1);
    let other = seat(&fleet, &[AgentKind::Claude], 4);
    let until = Timestamp::from_millis(15);
    fleet.keep_for(Preference { worker: home.worker, until });
    assert_eq!(fleet.next_change(), Some(until));
    let left_to = |round: &[Opening]| round[0].left_to.iter().map(|(worker, _)| *worker).collect::<Vec<_>>();
    let nothing_but_that = fleet.round(&[], NOW);
    assert_eq!((nothing_but_that[0].seat, left_to(&nothing_but_that)), (other, vec![home.worker]));
    assert_eq!(
        shares(&fleet.round(&nothing_but_that, NOW)),
        [(home, 1)],
        "it could find what the other left"
    );

    // Full, it keeps nothing: the other looks again.
    fleet.set_credits(home, 0, false);
    let again = fleet.round(&nothing_but_that, NOW);
    assert_eq!((again[0].seat, left_to(&again)), (other, vec![]));
    fleet.set_credits(home, 1, false);
    assert!(left_to(&fleet.round(&[], until)).is_empty(), "its time is over");
    assert_eq!(fleet.next_change(), None);
}

#[test]
fn who_a_task_is_kept_for_is_named() {
    let fleet = Fleet::default();
    let home = seat(&fleet, &[AgentKind::Claude], 1);
    let kept = Preference { worker: home.worker, until: Timestamp::from_millis(15) };
    let needs = |agent| Requirements { agent, labels: Labels::default() };
    assert_eq!(fleet.keeper(kept, &needs(AgentKind::Claude), NOW).as_deref(), Some("w"));
    assert_eq!(fleet.keeper(kept, &needs(AgentKind::Command), NOW), None);
    assert_eq!(fleet.keeper(kept, &needs(AgentKind::Claude), kept.until), None);
    fleet.disconnect(home);
    assert_eq!(fleet.keeper(kept, &needs(AgentKind::Claude), NOW), None);
}

#[test]
fn a_host_s_load_is_of_the_session_that_is_seated_and_goes_with_it() {
    let (fleet, entry) = (Fleet::default(), worker(&[AgentKind::Claude]));
    let load = |average_hundredths| HostLoad {
        average_hundredths,
        cpus: 4,
        memory_total: 8,
        memory_available: 4,
        disk_total: 16,
    };
    fleet.set_load(entry.id, entry.session, Some(load(1)));
    assert_eq!(fleet.load(entry.id), None, "nobody is seated");
    let (outbox, _) = mpsc::channel(8);
    let (seat, _) = fleet.connect(&entry, outbox).expect("a seat");
    fleet.set_load(entry.id, entry.session, Some(load(2)));
    fleet.set_load(entry.id, SessionId::from_uuid(Uuid::from_u128(1)), Some(load(3)));
    assert_eq!(fleet.load(entry.id), Some(load(2)));
    fleet.disconnect(seat);
    assert_eq!(fleet.load(entry.id), None);
}
