//! What is killed loses nothing and runs nothing twice.

mod coordinator;
mod dag;
mod network;
mod restart;
mod seeded;
mod storm;
mod worker;

use factory_proto::client::Client;
use factory_proto::v1::{Event, FollowLogRequest, LogPosition, LogRecord, LogStream, TaskSpec, TaskState};
use factory_tests::harness::feed::Feed;
use factory_tests::harness::pipes::Turnstile;
use factory_tests::harness::{soon, task};

/// Prints `first` numbered lines, waits to be let through, prints up to `last` and ends.
fn counting(first: u32, last: u32, turnstile: &Turnstile) -> TaskSpec {
    task::script(&format!(
        "i=1; while [ $i -le {first} ]; do echo line-$i; i=$((i+1)); sleep 0.01; done\n\
         read _ < {} || true\n\
         while [ $i -le {last} ]; do echo line-$i; i=$((i+1)); sleep 0.01; done",
        turnstile.path().display(),
    ))
}

fn counted(last: u32) -> Vec<String> {
    (1..=last).map(|line| format!("line-{line}")).collect()
}

/// Follows a task's log from a position until it ends, its reader is content, or the connection breaks.
async fn follow_from(
    client: &Client,
    task: &str,
    from: LogPosition,
    mut content: impl FnMut(&LogRecord) -> bool,
) -> Vec<LogRecord> {
    let request = FollowLogRequest { task: task.to_owned(), from: Some(from), attempt_number: None };
    let mut log = client.logs().follow(request).await.expect("the log is served").into_inner();
    let mut read = Vec::new();
    soon("the log", async {
        while let Ok(Some(batch)) = log.message().await {
            for record in batch.records {
                let stop = content(&record);
                read.push(record);
                if stop {
                    return;
                }
            }
        }
    })
    .await;
    read
}

fn is_line(record: &LogRecord, line: &str) -> bool {
    record.stream() == LogStream::Stdout && record.data == line.as_bytes()
}

/// How often each task named was reported ended for good.
fn assert_each_ended_once(feed: &Feed, tasks: &[String], state: TaskState) {
    let (events, story) = (feed.seen(), feed.story());
    for task in tasks {
        let of_task = events.iter().filter(|event| &event.task_id == task);
        let (ends, others): (Vec<&Event>, Vec<&Event>) =
            of_task.partition(|event| event.state().is_terminal());
        assert_eq!(ends.len(), 1, "{task} did not end once:{story}");
        assert_eq!(ends[0].state(), state, "{task}:{story}");
        assert!(others.iter().all(|event| event.cursor < ends[0].cursor), "{task} went on:{story}");
        let started = others.iter().filter(|event| event.kind == "started").count();
        // None where the word of it was lost with the connection, and the report came first.
        assert!(started <= 1, "{task} ran twice:{story}");
    }
}
