//! The live view, as one sees it and types into it.

use serde_json::Value;

use crate::factory::{Factory, text};
use crate::screen::Screen;

const ENTER: &str = "\r";

/// The line of the list that is about `title`.
fn row<'a>(screen: &'a str, title: &str) -> &'a str {
    screen.lines().find(|line| line.contains(title)).unwrap_or_default()
}

#[test]
fn what_happens_is_seen_and_acted_on() {
    let factory = Factory::start();
    let mut screen = Screen::start(&factory, &["top"], 30, 120);
    screen.until(&["connected", &factory.url, "no task yet", "0/2 slots"]);
    assert!(screen.is_full_screen());

    factory.submit("ask: Which database?\nsay thanks", &["--no-repo", "--title", "Asker"]);
    let begun = "say begun\nprogress: half way\nlines 200\nsleep 600000";
    factory.submit(begun, &["--no-repo", "--title", "Sleeper"]);
    screen.until(&["1 question", "Asker", "asks 1 question", "Sleeper", "half way", "2/2 slots"]);

    // What waits for someone is on top, and chosen.
    screen.press("a");
    screen.until(&["Question 1 of task 1", "Which database?"]);
    screen.press(&format!("SQLite{ENTER}"));
    screen.until(&["question 1 of task 1 is answered"]);
    screen.until_it("the end of the asker", |screen| row(screen, "Asker").contains("succeeded"));

    screen.press(&format!("/sleeper{ENTER}l"));
    screen.until(&["Log of task 2: Sleeper", "line 200 of 200", "follows"]);
    screen.press("g");
    screen.until(&["attempt 1", "begun", "line 1 of 200", "0%"]);
    screen.press("i");
    screen.until(&["Task 2", "ATTEMPT", "progress", "half way"]);
    screen.press("c");
    screen.until(&["Cancel task 2 (Sleeper)? y yes, n no"]);
    screen.press("y");
    screen.until(&["cancelled", "ATTEMPT"]);
    screen.press("q");
    screen.until_it("the end of the sleeper", |screen| row(screen, "Sleeper").contains("⊘ cancelled"));

    screen.press("ry");
    screen.until(&["task 3 tries task 2 again"]);
    screen.until_it("the new task", |screen| screen.matches("Sleeper").count() == 2);

    screen.press("m");
    screen.until(&["nobody has posted anything yet"]);
    factory.run(&["messages", "post", "Freeze at noon"]);
    screen.until(&["Freeze at noon"]);
    screen.press("q");
    screen.until(&["TITLE"]);

    screen.press("wd");
    screen.until(&["it is given nothing new. y yes"]);
    screen.press("y");
    screen.until(&["draining"]);
    screen.press("dy");
    screen.until(&["is offered work again"]);
    // Back from the workers, then from the filter, then out.
    screen.press("\x1b");
    screen.until(&["/ filter"]);
    screen.press("q");
    screen.ended_with(0);
    factory.run(&["cancel", "3", "--wait"]);
}

#[test]
fn a_lost_connection_is_shown_and_gone_on_from() {
    let mut factory = Factory::start();
    factory.submit("say one", &["--no-repo", "--title", "Before"]);
    let mut screen = Screen::start(&factory, &["top"], 15, 60);
    screen.until_it("the end of the first", |screen| row(screen, "Before").contains('✓'));
    factory.kill();
    screen.until(&["reconnecting", "Before"]);
    factory.start_again();
    screen.until(&["connected"]);
    factory.submit("say two", &["--no-repo", "--title", "After"]);
    screen.until_it("the end of the second", |screen| row(screen, "After").contains('✓'));
    screen.press("\x03");
    screen.ended_with(0);
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    let factory = Factory::start();
    let mut screen = Screen::start(&factory, &["top"], 24, 80);
    screen.until(&["no task yet"]);
    screen.signal("TERM");
    screen.ended_with(130);
}

#[test]
fn one_frame_is_for_scripts() {
    let factory = Factory::start();
    let task = factory.submit("cost 1.25\nsay done", &["--no-repo", "--title", "Costly"]);
    factory.run(&["watch", &task]);
    let frame = factory.run(&["top", "--once", "--width", "120"]);
    assert_eq!(frame.status.code(), Some(0), "{}", text(&frame.stderr));
    let frame = text(&frame.stdout);
    assert!(
        row(&frame, "Costly").contains("succeeded") && row(&frame, "Costly").contains("$1.25"),
        "{frame}"
    );
    assert!(
        frame.contains("✓ 1 succeeded") && !frame.contains('\x1b') && !frame.contains("q quit"),
        "{frame}"
    );
    let json: Value =
        serde_json::from_slice(&factory.run(&["top", "--once", "-o", "json"]).stdout).expect("JSON");
    assert_eq!((&json["states"]["succeeded"], &json["slots"]), (&1.into(), &2.into()));
    assert_eq!(
        (&json["tasks"][0]["title"], &json["workers"][0]["connected"]),
        (&"Costly".into(), &true.into())
    );
    assert_eq!(json["cost_micro_usd"], 1_250_000);
}
