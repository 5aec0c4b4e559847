//! What commands ask on a terminal.

use serde_json::json;

use crate::factory::{Factory, text};
use crate::screen::Screen;

/// Its agent has asked, and waits.
fn asking(factory: &Factory, question: &str) -> String {
    let task = factory.submit(&format!("ask: {question}\nsay done"), &["--no-repo"]);
    let mut screen = Screen::start(factory, &["watch", &task], 24, 100);
    screen.until(&["asks", question]);
    task
}

#[test]
fn answer_shows_the_question_and_reads_a_line() {
    let factory = Factory::start();
    let task = asking(&factory, "Which database?");
    let mut left = Screen::start(&factory, &["answer", &task], 24, 100);
    left.until(&["Question 1", "Which database?", "an empty line leaves it open"]);
    left.press("\n");
    left.ended_with(0);
    assert_eq!(factory.status(&task)["open_questions"], json!(1), "nobody answered");

    let mut screen = Screen::start(&factory, &["answer", &task], 24, 100);
    screen.until(&["an empty line leaves it open"]);
    screen.press("Postgre\x7f\x7fgreSQL 17\n");
    screen.until(&["question 1 of task 1 is answered"]);
    screen.ended_with(0);
    let watched = factory.run(&["watch", &task]);
    assert_eq!(watched.status.code(), Some(0), "{}", text(&watched.stderr));
    let questions = factory.run(&["questions", "--all", "-o", "json"]);
    let questions: serde_json::Value = serde_json::from_slice(&questions.stdout).expect("JSON");
    assert_eq!(
        (&questions[0]["answer"], &questions[0]["answered_by"]),
        (&json!("PostggreSQL 17"), &json!("ada"))
    );

    let none = Screen::start(&factory, &["answer", &task], 24, 100);
    none.ended_with(5);
}

#[test]
fn cancel_asks_about_children() {
    let factory = Factory::start();
    let family = || {
        let parent = factory.submit("sleep 600000", &["--no-repo"]);
        let child = factory.submit("sleep 600000", &["--no-repo", "--parent", &parent]);
        (parent, child)
    };
    let (parent, child) = family();
    let mut screen = Screen::start(&factory, &["cancel", &parent], 24, 100);
    screen.until(&["1 task submitted for task 1 go on. End them, too? [y/N]"]);
    screen.press("n\n");
    screen.ended_with(0);
    let state = factory.status(&child)["state"].clone();
    assert!(state == "queued" || state == "leased" || state == "running", "it goes on: {state}");
    factory.run(&["cancel", &child, "--wait"]);

    let (parent, child) = family();
    let mut screen = Screen::start(&factory, &["cancel", &parent], 24, 100);
    screen.until(&["End them, too? [y/N]"]);
    screen.press("y\n");
    screen.until(&["1 task submitted for task 3 asked to end as well"]);
    screen.ended_with(0);
    factory.run(&["watch", &child]);
    assert_eq!(factory.status(&child)["state"], "cancelled");
}
