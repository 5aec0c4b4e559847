//! News from the coordinator: its event feed, what events do not tell, the page that is looked at, and
//! what comes of calls. Nothing is spawned: all of it runs while someone waits for the next news, and
//! ends with the value.

use factory_proto::client::follow::{self, Following, Update};
use factory_proto::v1;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, FuturesUnordered};
use futures_util::{FutureExt, StreamExt};
use tonic::Status;

use super::calls;
use super::model::Subject;
use super::pages::{self, PageNews};
use super::wish::Wish;
use crate::connect::Connection;
use crate::exit::CommandError;

/// Something that was heard.
pub enum Heard {
    Event(Update<v1::Event>),
    /// The feed has ended, which it does only by an answer of the coordinator.
    FeedEnded(Status),
    Loaded(Result<Loaded, CommandError>),
    Polled(Result<Polled, CommandError>),
    Reread(Reread),
    Page(Subject, PageNews),
    Questions(Vec<v1::Question>),
    /// Something was done, in words.
    Done(String),
    /// An answer was taken.
    Answered(String),
    /// Something was not done, and why.
    Refused(String),
}

/// Tasks as they were read, each time with the feed's cursor.
pub struct Loaded {
    pub pages: Vec<(Vec<v1::Task>, u64)>,
    pub sums: v1::StatsResponse,
    /// Events after this one are news.
    pub cursor: u64,
}

/// What no event tells.
pub struct Polled {
    pub workers: v1::ListWorkersResponse,
    /// Running tasks, for how far they have come.
    pub running: Option<v1::ListResponse>,
}

/// Tasks that had moved.
pub struct Reread {
    pub tasks: Vec<(v1::Task, u64)>,
    /// Could not be read just now.
    pub unread: Vec<u64>,
    /// `None`: they could not be read just now.
    pub sums: Option<v1::StatsResponse>,
}

type Pending = BoxFuture<'static, Heard>;

pub struct Feed {
    connection: Connection,
    /// `None`: it has ended, until all is loaded again.
    events: Option<Following<v1::Event>>,
    page: Option<(Subject, BoxStream<'static, PageNews>)>,
    calls: FuturesUnordered<Pending>,
    loading: bool,
    polling: bool,
    rereading: bool,
}

impl Feed {
    pub fn new(connection: Connection) -> Self {
        Self {
            connection,
            events: None,
            page: None,
            calls: FuturesUnordered::new(),
            loading: false,
            polling: false,
            rereading: false,
        }
    }

    /// Follows the events after `cursor`.
    pub fn follow(&mut self, cursor: u64) {
        let request = v1::WatchRequest { after: cursor, follow: true, ..v1::WatchRequest::default() };
        self.events = Some(follow::events(self.connection.config.clone(), request));
    }

    pub fn follows(&self) -> bool {
        self.events.is_some()
    }

    /// Reads all anew, unless it is being read.
    pub fn load(&mut self) {
        if !std::mem::replace(&mut self.loading, true) {
            let connection = self.connection.clone();
            self.call(async move { Heard::Loaded(calls::load(&connection).await) });
        }
    }

    /// Asks for what no event tells, unless it is being asked for.
    pub fn poll(&mut self, running: bool) {
        if !std::mem::replace(&mut self.polling, true) {
            let connection = self.connection.clone();
            self.call(async move { Heard::Polled(calls::poll(&connection, running).await) });
        }
    }

    /// Whether tasks that have moved can be asked for now.
    pub fn may_reread(&self) -> bool {
        !self.rereading
    }

    /// Reads tasks that have moved; with `newest`, the newest all at once.
    pub fn reread(&mut self, stale: Vec<(u64, String)>, newest: bool) {
        self.rereading = true;
        let connection = self.connection.clone();
        self.call(async move { Heard::Reread(calls::reread(&connection, stale, newest).await) });
    }

    /// Does what a key asked for; leaving is not among it.
    pub fn carry_out(&mut self, wish: Wish) {
        let connection = self.connection.clone();
        match wish {
            Wish::OpenLog { number, task } => {
                self.page = Some((Subject::Log(number), pages::log(connection, number, task)));
            }
            Wish::OpenMessages => self.page = Some((Subject::Messages, pages::messages(connection))),
            Wish::OpenDetails { number, task } => {
                self.page = None;
                self.call(async move {
                    let text = pages::details(&connection, &task).await;
                    Heard::Page(Subject::Details(number), PageNews::Text(text))
                });
            }
            Wish::ClosePage | Wish::Leave => self.page = None,
            Wish::Call(call) => self.call(async move { calls::act(&connection, call).await }),
        }
    }

    /// Waits for the next news. Cancelling it loses none.
    pub async fn next(&mut self) -> Heard {
        loop {
            tokio::select! {
                update = next_of(self.events.as_mut()) => match update {
                    Some(Ok(update)) => return Heard::Event(update),
                    ended => {
                        self.events = None;
                        let none = || Err(Status::unavailable("the coordinator ended the event feed"));
                        if let Err(status) = ended.unwrap_or_else(none) {
                            return Heard::FeedEnded(status);
                        }
                    }
                },
                news = next_of(self.page.as_mut().map(|(_, news)| news)) => match (news, &self.page) {
                    (Some(news), Some((subject, _))) => return Heard::Page(*subject, news),
                    _ => self.page = None,
                },
                Some(heard) = self.calls.next(), if !self.calls.is_empty() => {
                    match heard {
                        Heard::Loaded(_) => self.loading = false,
                        Heard::Polled(_) => self.polling = false,
                        Heard::Reread(_) => self.rereading = false,
                        _ => {}
                    }
                    return heard;
                }
            }
        }
    }

    fn call(&mut self, call: impl Future<Output = Heard> + Send + 'static) {
        self.calls.push(call.boxed());
    }
}

/// Waits for ever where there is no stream.
async fn next_of<S: StreamExt + Unpin>(stream: Option<&mut S>) -> Option<S::Item> {
    match stream {
        Some(stream) => stream.next().await,
        None => std::future::pending().await,
    }
}
