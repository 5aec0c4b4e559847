use super::*;
use proptest::prelude::*;

fn failure() -> Failure {
    Failure { reason: FailureReason::AgentError, message: "it broke".into() }
}

fn cause() -> impl Strategy<Value = Cause> {
    prop_oneof![
        Just(Cause::HandOver),
        Just(Cause::Failed(failure())),
        Just(Cause::Cancelled),
        Just(Cause::Superseded),
    ]
}

fn verdict() -> impl Strategy<Value = Outcome> {
    prop_oneof![Just(Outcome::Succeeded), Just(Outcome::Asked), Just(Outcome::Failed { failure: failure() })]
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        Just(Input::Confirmed),
        Just(Input::Prepared),
        Just(Input::PreparationFailed(failure())),
        Just(Input::Started),
        Just(Input::StartFailed(failure())),
        cause().prop_map(Input::End),
        (any::<bool>(), verdict()).prop_map(|(stopped, verdict)| Input::AgentEnded { stopped, verdict }),
        any::<bool>().prop_map(|bad| Input::Saved { failed: bad.then(failure) }),
        any::<bool>().prop_map(|bad| Input::Delivered { failed: bad.then(failure) }),
        Just(Input::Acknowledged),
    ]
}

proptest! {
    #[test]
    fn no_order_of_inputs_breaks_the_rules(inputs in prop::collection::vec(input(), 0..40)) {
        let mut machine = Machine::accepted();
        let mut steps = Vec::new();
        let mut interrupts = 0;
        for input in inputs {
            let before = machine.phase();
            let reaction = machine.apply(input);
            prop_assert!(machine.phase() >= before, "a phase never goes back");
            if before == Phase::Done {
                prop_assert_eq!(reaction, Reaction::Nothing, "what is done stays done");
            }
            match reaction {
                Reaction::Next(step) => steps.push(step),
                Reaction::Interrupt => interrupts += 1,
                Reaction::Nothing => {}
            }
        }
        for (index, step) in steps.iter().enumerate() {
            prop_assert!(!steps[..index].contains(step), "{step:?} twice");
        }
        prop_assert!(interrupts <= 1);
        prop_assert!(!steps.contains(&Step::Start) || steps.contains(&Step::Prepare), "nothing runs unprepared");
        prop_assert!(!steps.contains(&Step::Report) || !steps.contains(&Step::Follow) || steps.contains(&Step::Save),
            "what an agent did is saved before it is reported");
        prop_assert!(!steps.contains(&Step::Remove) || !steps.contains(&Step::Follow) || steps.contains(&Step::Report),
            "what an agent did is with the coordinator before it goes");
        prop_assert_eq!(machine.phase() == Phase::Done, steps.last() == Some(&Step::Remove));
        if steps.contains(&(Step::Deliver { push: true })) {
            prop_assert_eq!(machine.verdict, Some(Outcome::Succeeded));
        }
    }
}

fn run(inputs: impl IntoIterator<Item = Input>) -> (Machine, Vec<Step>) {
    let mut machine = Machine::accepted();
    let steps = inputs.into_iter().filter_map(|input| match machine.apply(input) {
        Reaction::Next(step) => Some(step),
        Reaction::Nothing | Reaction::Interrupt => None,
    });
    let steps = steps.collect();
    (machine, steps)
}

fn ended(stopped: bool, verdict: Outcome) -> Input {
    Input::AgentEnded { stopped, verdict }
}

fn running() -> Vec<Input> {
    vec![Input::Confirmed, Input::Prepared, Input::Started]
}

#[test]
fn the_happy_path_saves_delivers_reports_and_tidies_up() {
    let rest = [
        ended(false, Outcome::Succeeded),
        Input::Saved { failed: None },
        Input::Delivered { failed: None },
        Input::Acknowledged,
    ];
    let (machine, steps) = run(running().into_iter().chain(rest));
    let push = Step::Deliver { push: true };
    assert_eq!(
        steps,
        [Step::Prepare, Step::Start, Step::Follow, Step::Save, push, Step::Report, Step::Remove]
    );
    assert_eq!((machine.phase(), machine.outcome()), (Phase::Done, Outcome::Succeeded));
}

#[test]
fn nothing_is_pushed_once_a_cancel_came() {
    for inputs in [
        vec![Input::End(Cause::Cancelled), ended(true, Outcome::Failed { failure: failure() })],
        vec![ended(false, Outcome::Succeeded), Input::End(Cause::Cancelled)],
    ] {
        let saved = [Input::Saved { failed: None }];
        let (machine, steps) = run(running().into_iter().chain(inputs).chain(saved));
        assert_eq!(steps.last(), Some(&Step::Deliver { push: false }));
        assert_eq!(machine.outcome(), Outcome::Cancelled);
    }
}

#[test]
fn an_agent_that_was_done_before_the_order_came_has_succeeded() {
    let inputs = [Input::End(Cause::Cancelled), ended(false, Outcome::Succeeded)];
    let (machine, _) = run(running().into_iter().chain(inputs));
    assert_eq!(machine.outcome(), Outcome::Succeeded);
}

#[test]
fn a_turn_that_was_ended_to_wait_is_saved_and_pushed_nowhere() {
    let (machine, steps) =
        run(running().into_iter().chain([ended(false, Outcome::Asked), Input::Saved { failed: None }]));
    assert_eq!(steps.last(), Some(&Step::Deliver { push: false }));
    assert_eq!(machine.outcome(), Outcome::Asked);
}

#[test]
fn an_agent_that_was_done_is_not_handed_over() {
    let failed = Outcome::Failed { failure: failure() };
    for (stopped, verdict, outcome) in [
        (true, Outcome::Cancelled, Outcome::HandedOver),
        (true, failed.clone(), Outcome::HandedOver),
        (true, Outcome::Succeeded, Outcome::Succeeded),
        // Others would only find that there is no answer yet.
        (true, Outcome::Asked, Outcome::Asked),
        (false, failed.clone(), failed),
    ] {
        let inputs = [Input::End(Cause::HandOver), ended(stopped, verdict)];
        let (machine, _) = run(running().into_iter().chain(inputs));
        assert_eq!(machine.outcome(), outcome);
    }
    let (machine, steps) = run([Input::Confirmed, Input::End(Cause::HandOver), Input::Prepared]);
    assert_eq!((machine.outcome(), steps.last()), (Outcome::HandedOver, Some(&Step::Report)));
}

#[test]
fn an_order_during_the_start_interrupts_it_and_is_why_the_attempt_ends() {
    let mut machine = Machine::accepted();
    let reactions =
        [Input::Confirmed, Input::Prepared, Input::End(Cause::Cancelled)].map(|input| machine.apply(input));
    assert_eq!(reactions[2], Reaction::Interrupt);
    assert_eq!(machine.apply(Input::StartFailed(failure())), Reaction::Next(Step::Report));
    assert_eq!(machine.outcome(), Outcome::Cancelled);
}

#[test]
fn an_attempt_superseded_before_its_agent_ran_leaves_without_a_word() {
    let superseded = || Input::End(Cause::Superseded);
    for inputs in [
        vec![superseded()],
        vec![Input::Confirmed, superseded(), Input::PreparationFailed(failure())],
        vec![Input::Confirmed, Input::Prepared, superseded(), Input::StartFailed(failure())],
    ] {
        let (machine, steps) = run(inputs);
        assert_eq!(machine.phase(), Phase::Done);
        assert!(!steps.contains(&Step::Report), "{steps:?}");
        assert_eq!(steps.last(), Some(&Step::Remove));
    }
}

#[test]
fn the_work_of_a_superseded_agent_is_saved_and_never_pushed() {
    let superseded = || Input::End(Cause::Superseded);
    let done = ended(false, Outcome::Succeeded);
    for inputs in [
        vec![superseded(), ended(true, Outcome::Cancelled)],
        vec![superseded(), done.clone()],
        vec![done, superseded()],
    ] {
        let rest = [Input::Saved { failed: None }, Input::Delivered { failed: None }];
        let (machine, steps) = run(running().into_iter().chain(inputs).chain(rest));
        assert_eq!(steps[3..], [Step::Save, Step::Deliver { push: false }, Step::Report]);
        assert_eq!(machine.outcome(), Outcome::Cancelled);
    }
}

#[test]
fn work_that_could_not_be_saved_is_no_success() {
    let inputs = [ended(false, Outcome::Succeeded), Input::Saved { failed: Some(failure()) }];
    let (machine, _) = run(running().into_iter().chain(inputs));
    assert_eq!(machine.outcome(), Outcome::Failed { failure: failure() });
}
