//! The event feed as a test waits on it: nothing sleeps, everything is an event.

use factory_proto::client::Client;
use factory_proto::v1::{Event, TaskState, WatchRequest, WatchResponse};
use tonic::Streaming;

use super::soon;

/// Every event from a cursor on, kept as they come.
pub struct Feed {
    stream: Streaming<WatchResponse>,
    seen: Vec<Event>,
}

impl Feed {
    /// The feed of all tasks, after `cursor`.
    ///
    /// # Panics
    /// When the coordinator refuses.
    pub async fn after(client: &Client, cursor: u64) -> Self {
        let request = WatchRequest { tasks: Vec::new(), after: cursor, follow: true, until_ended: false };
        let stream = soon("the feed", client.tasks().watch(request)).await.expect("the feed is served");
        Self { stream: stream.into_inner(), seen: Vec::new() }
    }

    pub async fn from_start(client: &Client) -> Self {
        Self::after(client, 0).await
    }

    pub fn seen(&self) -> &[Event] {
        &self.seen
    }

    /// The first event, of those seen and those to come, that is wanted.
    ///
    /// # Panics
    /// When it does not come, showing what came instead.
    pub async fn wait_for(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        if let Some(found) = self.seen.iter().find(|event| wanted(event)) {
            return found.clone();
        }
        let found = tokio::time::timeout(super::PATIENCE, async {
            loop {
                let event = self.next().await;
                if wanted(&event) {
                    return event;
                }
            }
        })
        .await;
        found.unwrap_or_else(|_| panic!("waited in vain for {what}; seen: {}", self.story()))
    }

    /// The event with which a task enters `state`.
    pub async fn wait_for_state(&mut self, task: &str, state: TaskState) -> Event {
        let what = format!("{task} to be {}", state.name());
        self.wait_for(&what, |event| event.task_id == task && event.state() == state).await
    }

    /// The event with which a task ends, however it does.
    pub async fn wait_for_end(&mut self, task: &str) -> Event {
        self.wait_for(&format!("{task} to end"), |event| event.task_id == task && event.state().is_terminal())
            .await
    }

    async fn next(&mut self) -> Event {
        let message = self.stream.message().await;
        let message =
            message.unwrap_or_else(|status| panic!("the feed broke: {status}; seen: {}", self.story()));
        let event = message.and_then(|response| response.event).expect("a feed that is followed has no end");
        self.seen.push(event.clone());
        event
    }

    /// What came so far, a line each.
    pub fn story(&self) -> String {
        self.seen.iter().fold(String::new(), |story, event| {
            let Event { cursor, task_number, attempt_number, kind, worker_name, detail, .. } = event;
            let state = event.state().name();
            format!(
                "{story}\n  {cursor}: #{task_number}.{attempt_number} {kind} → {state} {worker_name} {detail}"
            )
        })
    }
}
