//! What a workflow does next: over any definition and whatever becomes of its steps.

use factory_domain::workflow::{
    Definition, DefinitionDraft, Ending, Issue, Next, Review, Severity, StepDraft, StepEnd, StepRun, Verdict,
    next,
};
use proptest::prelude::*;

fn step(agent: &str, input: Option<&str>, output: &str) -> StepDraft {
    StepDraft {
        agent: agent.to_owned(),
        input: input.map(str::to_owned),
        output: Some(output.to_owned()),
        ..StepDraft::default()
    }
}

fn code_review(max_iterations: u32) -> Definition {
    let revision = StepDraft {
        condition: Some("has_issues".into()),
        loop_to: Some("review".into()),
        prompt_template: Some("prompts/coder_revision.md".into()),
        ..step("coder", Some("review"), "revision")
    };
    let steps =
        vec![step("coder", None, "initial_code"), step("reviewer", Some("initial_code"), "review"), revision];
    let draft = DefinitionDraft { max_iterations: Some(max_iterations), steps, ..Default::default() };
    draft.validate("code_review").expect("sound")
}

fn review(verdict: Verdict, severities: &[Severity]) -> StepEnd {
    let issues = severities.iter().map(|&severity| Issue {
        severity,
        file: "src/a.rs".into(),
        line: Some(3),
        description: "It is wrong".into(),
    });
    let review = Review { verdict, summary: "Looked at it".into(), issues: issues.collect() };
    StepEnd::Succeeded { review: Some(review) }
}

/// Runs it to its end; `answer` says what becomes of each step.
fn run(definition: &Definition, mut answer: impl FnMut(&StepRun) -> StepEnd) -> (Vec<StepRun>, Ending) {
    let mut history: Vec<StepRun> = Vec::new();
    loop {
        let run = match next(definition, &history) {
            Next::Start { step, iteration } => {
                let mut run = StepRun { step, iteration, end: None };
                history.push(run.clone());
                assert_eq!(next(definition, &history), Next::Wait, "nothing begins while a step runs");
                history.pop();
                run.end = Some(answer(&run));
                run
            }
            Next::Skip { step, iteration, .. } => StepRun { step, iteration, end: Some(StepEnd::Skipped) },
            Next::Wait => panic!("waits for nothing"),
            Next::Done(ending) => return (history, ending),
        };
        history.push(run);
    }
}

const DONE: StepEnd = StepEnd::Succeeded { review: None };

#[test]
fn a_review_with_issues_is_revised_and_reviewed_again() {
    let definition = code_review(3);
    let (history, ending) = run(&definition, |run| match (run.step, run.iteration) {
        (1, 1) => review(Verdict::HasIssues, &[Severity::Major]),
        (1, _) => review(Verdict::Approved, &[Severity::Nit]),
        _ => DONE,
    });
    let steps: Vec<_> = history.iter().map(|run| (run.step, run.iteration)).collect();
    assert_eq!(steps, [(0, 1), (1, 1), (2, 1), (1, 2), (2, 2)]);
    assert_eq!(history.last().expect("a step").end, Some(StepEnd::Skipped));
    assert_eq!(ending, Ending::Completed);
    assert!(definition.is_gone_on_with(0) && definition.is_gone_on_with(2) && !definition.is_gone_on_with(1));
}

#[test]
fn a_workflow_that_is_never_approved_fails_with_the_last_review() {
    let (history, ending) = run(&code_review(2), |run| match run.step {
        1 => review(Verdict::HasIssues, &[Severity::Blocker]),
        _ => DONE,
    });
    let revisions = history.iter().filter(|run| run.step == 2).count();
    assert_eq!(revisions, 2);
    let Ending::Failed { why } = ending else { panic!("{ending:?}") };
    assert_eq!(why, "1 issue found after the last of 2 rounds: Looked at it");
}

#[test]
fn minor_findings_hold_nothing_up() {
    let (history, ending) = run(&code_review(3), |run| match run.step {
        1 => review(Verdict::HasIssues, &[Severity::Minor, Severity::Nit]),
        _ => DONE,
    });
    assert_eq!((history.len(), ending), (3, Ending::Completed));
}

#[test]
fn what_ends_a_step_ends_the_workflow() {
    let (_, ending) = run(&code_review(3), |_| StepEnd::Failed { why: "agent_error: it broke".into() });
    assert_eq!(ending, Ending::Failed { why: "step 1 (initial_code) failed: agent_error: it broke".into() });
    assert_eq!(run(&code_review(3), |_| StepEnd::Cancelled).1, Ending::Cancelled);
    let (_, ending) = run(&code_review(3), |_| DONE);
    assert_eq!(ending, Ending::Failed { why: "step 2 (review) ended without a verdict".into() });
}

#[test]
fn every_problem_is_named_at_once_with_its_place() {
    let bad = DefinitionDraft {
        max_iterations: Some(0),
        steps: vec![
            StepDraft { condition: Some("has_issues".into()), ..step("coder", Some("nothing"), "code") },
            StepDraft {
                condition: Some("is_nice".into()),
                loop_to: Some("later".into()),
                prompt: Some("x".into()),
                prompt_template: Some("y".into()),
                ..step("re viewer", Some("code"), "code")
            },
            step("coder", None, "later"),
        ],
        ..Default::default()
    };
    let problems = bad.validate("a/b").expect_err("not sound");
    let places: Vec<_> = problems.iter().map(|problem| problem.place.as_str()).collect();
    assert_eq!(
        places,
        [
            "name",
            "max_iterations",
            "steps[1].output",
            "steps[0].input",
            "steps[1].agent",
            "steps[1].loop_to",
            "steps[1].condition",
            "steps[1].prompt"
        ]
    );
    assert_eq!(problems[3].to_string(), "steps[0].input `nothing` is no output of an earlier step");
}

#[test]
fn a_condition_reads_the_nearest_review_where_its_input_is_none() {
    let mut draft = code_review(3).to_draft();
    let manual =
        StepDraft { condition: Some("no_issues".into()), ..step("docs", Some("initial_code"), "manual") };
    draft.steps.push(manual);
    let definition = draft.validate("documented").expect("sound");
    assert_eq!(definition.steps[3].condition.map(|(_, read)| read), Some(1));
    assert!(!definition.steps[0].judges);
    draft.steps = vec![
        step("security", None, "audit"),
        StepDraft { condition: Some("has_issues".into()), ..step("coder", Some("audit"), "fix") },
    ];
    assert!(
        draft.validate("audited").expect("sound").steps[0].judges,
        "whoever is asked for a verdict judges"
    );
}

#[test]
fn a_definition_says_itself_again() {
    let definition = code_review(3);
    assert_eq!(definition.to_draft().validate("code_review"), Ok(definition));
}

#[test]
fn a_review_is_told_with_the_gravest_first() {
    let StepEnd::Succeeded { review: Some(found) } =
        review(Verdict::HasIssues, &[Severity::Nit, Severity::Blocker])
    else {
        panic!("a review");
    };
    assert_eq!(
        found.to_markdown(),
        "Looked at it\n\n1. **blocker** `src/a.rs:3`: It is wrong\n2. **nit** `src/a.rs:3`: It is wrong"
    );
    let json = serde_json::to_string(&found).expect("JSON");
    assert_eq!(Review::read(&json), Some(found));
    assert_eq!(Review::read("I approve of this"), None);
}

/// Some sound definition: each draft that is not is passed over.
fn definitions() -> impl Strategy<Value = Definition> {
    let condition =
        prop::option::of(prop::sample::select(vec!["has_issues", "no_issues", "review_approved"]));
    let one =
        (any::<bool>(), any::<prop::sample::Index>(), condition, any::<bool>(), any::<prop::sample::Index>());
    (1..6_u32, prop::collection::vec(one, 1..8)).prop_filter_map("not sound", |(max_iterations, drawn)| {
        let steps =
            drawn.into_iter().enumerate().map(|(index, (reviews, input, condition, loops, target))| {
                let input = (index > 0).then(|| format!("out{}", input.index(index)));
                StepDraft {
                    agent: if reviews { "reviewer" } else { "coder" }.to_owned(),
                    condition: condition.filter(|_| input.is_some()).map(str::to_owned),
                    input,
                    output: Some(format!("out{index}")),
                    loop_to: loops.then(|| format!("out{}", target.index(index + 1))),
                    ..StepDraft::default()
                }
            });
        let draft = DefinitionDraft {
            max_iterations: Some(max_iterations),
            steps: steps.collect(),
            ..Default::default()
        };
        draft.validate("w").ok()
    })
}

fn ends() -> impl Strategy<Value = StepEnd> {
    prop_oneof![
        8 => Just(review(Verdict::HasIssues, &[Severity::Major])),
        4 => Just(review(Verdict::Approved, &[])),
        4 => Just(DONE),
        1 => Just(StepEnd::Failed { why: "it broke".into() }),
        1 => Just(StepEnd::Cancelled),
    ]
}

proptest! {
    #[test]
    fn every_workflow_ends_and_no_step_runs_twice_in_a_round(
        definition in definitions(),
        answers in prop::collection::vec(ends(), 1..64),
    ) {
        let mut drawn = answers.iter().cycle();
        let (history, _) = run(&definition, |_| drawn.next().expect("a cycle").clone());
        let rounds = definition.max_iterations as usize + 1;
        prop_assert!(history.len() <= definition.steps.len() * rounds, "{} steps", history.len());
        let mut seen = std::collections::BTreeSet::new();
        prop_assert!(history.iter().all(|run| seen.insert((run.step, run.iteration))));
        prop_assert!(history.iter().all(|run| run.iteration <= definition.max_iterations + 1));
    }

    #[test]
    fn a_step_with_a_condition_starts_only_where_the_review_it_reads_says_so(
        definition in definitions(),
        answers in prop::collection::vec(ends(), 1..64),
    ) {
        let mut drawn = answers.iter().cycle();
        let (history, _) = run(&definition, |_| drawn.next().expect("a cycle").clone());
        for (place, run) in history.iter().enumerate() {
            let Some((condition, read)) = definition.steps[run.step].condition else { continue };
            if run.end == Some(StepEnd::Skipped) { continue }
            let latest = history[..place].iter().rev().find(|earlier| earlier.step == read);
            let Some(StepRun { end: Some(StepEnd::Succeeded { review: Some(review) }), .. }) = latest else {
                return Err(TestCaseError::fail("it started without a review"));
            };
            prop_assert!(condition.holds(review));
        }
    }
}
