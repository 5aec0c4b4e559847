//! One event as one line.

use factory_proto::v1;
use factory_proto::v1::TaskState;

use crate::render::task::{is_limited, state_style};
use crate::render::{console, plain, units};

/// Something that a person is to do.
const ASKS: anstyle::Style = console::style(anstyle::AnsiColor::Yellow).bold();

/// What happened, in a few words; without time and task, which the caller puts before it.
pub fn sentence(event: &v1::Event) -> String {
    let style = state_style(event.state());
    let state = event.state().name();
    let on = if event.worker_name.is_empty() {
        String::new()
    } else {
        format!(" on {}", plain::line(&event.worker_name))
    };
    let attempt = match event.attempt_number {
        0 => String::new(),
        n => format!("attempt {n}"),
    };
    match event.kind.as_str() {
        "submitted" => format!("{style}{state}{style:#}"),
        "offered" => format!("{style}{state}{style:#} · {attempt}, offered{on}{}", because(event)),
        "accepted" => format!("{style}preparing{style:#} · {attempt}{on}"),
        "started" => format!("{style}{state}{style:#} · {attempt}{on}"),
        "returned" => format!("{style}{state}{style:#} · the offer came back{}", because(event)),
        "contact_lost" => {
            format!("{style}unreachable{style:#} · nothing heard{}; the agent may still run", of(event))
        }
        "contact_regained" => format!("{style}{state}{style:#} · heard of again{on}"),
        "cancel_requested" => format!("{style}{state}{style:#} · someone asked for its end"),
        "asked" => format!("{ASKS}asks{ASKS:#} · {}", plain::line(&event.detail)),
        "answered" => format!("{style}{state}{style:#} · answered: {}", plain::line(&event.detail)),
        "woken" => format!("{style}{state}{style:#} · again"),
        "released" => format!("{style}{state}{style:#} · someone let it go"),
        "unblocked" => format!("{style}{state}{style:#} · what it waited for is done"),
        "dependency_failed" => format!("{style}{state}{style:#}{}", because(event)),
        "ended" | "lost" => ended(event, &attempt),
        other => format!("{style}{state}{style:#} · {}{}", plain::line(other), because(event)),
    }
}

/// What a person can do about it.
pub fn next_step(event: &v1::Event) -> Option<String> {
    (event.kind == "asked").then(|| format!("answer with: factoryctl answer {}", event.task_number))
}

fn ended(event: &v1::Event, attempt: &str) -> String {
    let style = state_style(event.state());
    let state = event.state().name();
    match event.state() {
        TaskState::Parked if is_limited(&event.failure) => {
            let until = units::clock(event.wake_at_ms);
            let words = event.failure.as_ref().map(|failure| plain::line(&failure.message));
            let words = words.unwrap_or_default();
            format!("{style}{state} until {until}{style:#} (usage limit) · {attempt}: {words}")
        }
        TaskState::Parked => {
            let pause = units::span(event.wake_at_ms - event.at_ms);
            format!("{style}{attempt} failed{style:#}{}; next try in {pause}", because(event))
        }
        // Answered while it ended its turn.
        TaskState::Queued if event.detail == factory_domain::question::ENDED_ITS_TURN => {
            format!("{style}{attempt} ended its turn{style:#} and has its answer; goes on")
        }
        // An attempt that ends so that another goes on at once.
        TaskState::Queued => format!("{style}{attempt} handed over{style:#}{}; goes on elsewhere", by(event)),
        TaskState::Waiting => format!("{style}{state} for an answer{style:#} · {attempt} ended its turn"),
        TaskState::Failed => format!("{style}{state}{style:#}{}", because(event)),
        _ => format!("{style}{state}{style:#}"),
    }
}

fn of(event: &v1::Event) -> String {
    if event.worker_name.is_empty() {
        String::new()
    } else {
        format!(" of {}", plain::line(&event.worker_name))
    }
}

fn by(event: &v1::Event) -> String {
    if event.worker_name.is_empty() {
        String::new()
    } else {
        format!(" by {}", plain::line(&event.worker_name))
    }
}

fn because(event: &v1::Event) -> String {
    match (&event.failure, event.detail.as_str()) {
        (Some(failure), _) => {
            format!(" ({}: {})", plain::line(&failure.reason), plain::line(&failure.message))
        }
        (None, "") => String::new(),
        (None, detail) => format!(" ({})", plain::line(detail)),
    }
}
