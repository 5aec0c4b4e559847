//! Where a watch begins: which tasks, and how much of them was shown before.

use std::collections::BTreeMap;

use factory_proto::client::{Client, ClientConfig};
use factory_proto::v1;
use factory_proto::v1::TaskState;
use futures_util::stream::SelectAll;
use tonic::Code;

use super::cursor::{LogPlace, WatchCursor};
use super::held::HeldEvents;
use super::{Subject, View, Watch, Watched, incoming};
use crate::exit::CommandError;
use crate::render::Console;

impl Watch {
    /// Finds the tasks and opens their streams.
    pub async fn open(
        client: Client,
        config: ClientConfig,
        console: Console,
        subject: Subject,
        since: Option<WatchCursor>,
        raw: bool,
    ) -> Result<Self, CommandError> {
        let prefixed = !matches!(&subject, Subject::Tasks(names) if names.len() == 1);
        let mut watch = Self {
            client,
            config,
            view: View::new(console, raw, prefixed),
            all: matches!(subject, Subject::All),
            cursor: since.clone().unwrap_or_default(),
            tasks: BTreeMap::new(),
            incoming: SelectAll::new(),
            held: HeldEvents::default(),
            events_ended: false,
            away: false,
        };
        let names = match subject {
            Subject::Tasks(names) => {
                for name in names {
                    watch.enter_task(name, since.is_some()).await?;
                }
                watch.tasks.values().map(|task| task.id.clone()).collect()
            }
            Subject::All if since.is_none() => {
                watch.enter_live_tasks().await?;
                Vec::new()
            }
            Subject::All => {
                let under_way: Vec<_> = watch.cursor.logs.keys().map(u64::to_string).collect();
                for number in under_way {
                    watch.enter_task(number, true).await?;
                }
                Vec::new()
            }
        };
        watch.incoming.push(incoming::events(&watch.config, names, watch.cursor.event, watch.all));
        Ok(watch)
    }

    /// From the beginning on, a log is opened by the event that begins its attempt, so
    /// that the telling keeps its order; a cursor may lie behind that event.
    async fn enter_task(&mut self, name: String, resumed: bool) -> Result<(), CommandError> {
        let request = self.client.request(v1::GetRequest { task: name });
        let reply = self.client.tasks().get(request).await?.into_inner();
        let task = reply.task.unwrap_or_default();
        let (number, attempts) = (task.number, task.attempts);
        self.tasks.insert(number, Watched::new(&task));
        if resumed && attempts > 0 {
            self.follow_log(number);
        }
        Ok(())
    }

    /// Of tasks that already run, what they printed before is not shown again.
    async fn enter_live_tasks(&mut self) -> Result<(), CommandError> {
        use TaskState as S;
        let states = [S::Queued, S::Leased, S::Running, S::Cancelling, S::Parked];
        let request = v1::ListRequest {
            states: states.map(i32::from).to_vec(),
            page_size: 1000,
            ..v1::ListRequest::default()
        };
        let reply = self.client.tasks().list(self.client.request(request)).await?.into_inner();
        self.cursor.event = reply.cursor;
        for task in reply.tasks {
            let (number, attempts) = (task.number, task.attempts);
            self.tasks.insert(number, Watched::new(&task));
            if attempts > 0 {
                let place = self.log_end(&task.id).await?;
                self.cursor.logs.insert(number, place);
                self.follow_log(number);
            }
        }
        Ok(())
    }

    async fn log_end(&self, id: &str) -> Result<LogPlace, CommandError> {
        let request =
            v1::ReadLogRequest { task: id.to_owned(), tail: Some(1), ..v1::ReadLogRequest::default() };
        match self.client.logs().read(self.client.request(request)).await {
            Ok(reply) => {
                let page = reply.into_inner();
                Ok(LogPlace { attempt: page.attempt_number, offset: page.next_offset })
            }
            Err(status) if status.code() == Code::NotFound => Ok(LogPlace::default()),
            Err(status) => Err(status.into()),
        }
    }
}
