//! `run`: one task from its prompt to its end, with an embedded factory where no
//! coordinator was named and none is found.

use factory_coordinator::config::Options;
use factory_domain::{AgentKind, Labels};
use factory_proto::client::follow::{self, Update};
use factory_proto::client::{ClientConfig, ClientError};
use factory_proto::v1;
use futures_util::StreamExt;
use tracing_subscriber::filter::LevelFilter;

use crate::cli::{Global, Run};
use crate::command::{factory_up, task_submit, task_watch};
use crate::connect::{self, Connection};
use crate::embedded::{self, Factory, LAST_WORDS, LocalWorker};
use crate::exit::{CommandError, Exit};
use crate::interrupt::Interrupts;
use crate::render::{Console, units};
use crate::watch::{Spell, Subject, Watch};

/// Tasks at once in a factory that was started for one: retries and follow-ups need no more.
const SLOTS: u32 = 2;

pub async fn run(global: &Global, console: Console, args: Run) -> Result<Exit, CommandError> {
    let task = task_submit::settle(console, args.task)?;
    if task.hold {
        let why =
            "--hold: a task that nobody lets go never ends; `factoryctl submit --hold` leaves it for later";
        return Err(CommandError::Usage(why.to_owned()));
    }
    if let Some(connection) = find_coordinator(global, console).await? {
        let submitted = task_submit::hand_in(&connection, console, task).await?;
        let subject = Subject::Tasks(vec![submitted.number.to_string()]);
        return task_watch::to_the_end(connection, console, subject, args.raw).await;
    }
    embedded::show_log(LevelFilter::ERROR)?;
    check_agent(&task).await?;
    let config = factory_up::configure(global, own_listener())?;
    let token = connect::token(global)?;
    let worker =
        LocalWorker { name: None, root: config.root.clone(), slots: SLOTS, labels: Labels::default() };
    let factory = Factory::start(config, token.clone(), vec![worker]).await?;
    console.note(format_args!("no coordinator was running: this process is one now, at {}", factory.url()));
    let exit = Alone { console, factory: &factory }
        .run(ClientConfig::new(factory.url(), token), task, args.raw)
        .await;
    factory.stop().await;
    exit
}

fn own_listener() -> Options {
    Options { listen: Some("127.0.0.1:0".to_owned()), ..Options::default() }
}

/// The coordinator that was named, one at the default address, or one on the default root.
async fn find_coordinator(global: &Global, console: Console) -> Result<Option<Connection>, CommandError> {
    match Connection::open(global).await {
        Err(CommandError::Client(ClientError::Unreachable { .. }))
            if connect::named_url(global).is_none() => {}
        opened => return opened.map(Some),
    }
    let root = factory_up::configure(global, own_listener())?.root;
    let Some(url) = embedded::holder(&root).and_then(|holder| holder.url) else { return Ok(None) };
    console.note(format_args!("using the coordinator at {url}"));
    Connection::to(ClientConfig::new(url, connect::token(global)?)).await.map(Some)
}

/// Alone, a task whose agent cannot be used here would wait for ever.
async fn check_agent(task: &v1::NewTask) -> Result<(), CommandError> {
    let named = task.spec.as_ref().map(|spec| spec.agent.as_str()).filter(|agent| !agent.is_empty());
    let kind = named.unwrap_or(AgentKind::Claude.as_str()).parse::<AgentKind>();
    let kind = kind.map_err(|error| CommandError::Usage(format!("--agent: {error}")))?;
    let probed = embedded::probe(kind).await?;
    probed
        .map(drop)
        .map_err(|why| CommandError::Failed(format!("the agent {kind} cannot be used here: {why}")))
}

/// A run in a factory of its own.
struct Alone<'a> {
    console: Console,
    factory: &'a Factory,
}

impl Alone<'_> {
    async fn run(&self, config: ClientConfig, task: v1::NewTask, raw: bool) -> Result<Exit, CommandError> {
        let mut interrupts = Interrupts::catch().map_err(CommandError::local("cannot catch signals"))?;
        let connection = Connection::to(config.clone()).await?;
        let submitted = task_submit::hand_in(&connection, self.console, task).await?;
        let client = connection.client.clone();
        let subject = Subject::Tasks(vec![submitted.id.clone()]);
        let mut watch = Watch::open(client, config.clone(), self.console, subject, None, raw).await?;
        let interrupted = watch.follow(interrupts.next()).await? == Spell::Interrupted;
        if interrupted {
            self.console.note("cancelling the task; ctrl-c again stops at once");
            let request =
                connection.client.request(v1::CancelRequest { task: submitted.id, with_children: false });
            connection.client.tasks().cancel(request).await?;
            if watch.follow(interrupts.next()).await? == Spell::Interrupted {
                return Err(CommandError::Interrupted);
            }
        }
        self.stay_for_others(config, &mut interrupts).await?;
        if interrupted { Err(CommandError::Interrupted) } else { Ok(watch.exit()) }
    }

    /// Others may have found this factory and given it work: it stays until that is done.
    async fn stay_for_others(
        &self,
        config: ClientConfig,
        interrupts: &mut Interrupts,
    ) -> Result<(), CommandError> {
        let others = self.factory.live_tasks().await?;
        if others == 0 {
            return Ok(());
        }
        let tasks = units::count(others, "other task");
        self.console
            .note(format_args!("{tasks} still here at {}; ctrl-c hands back what runs", self.factory.url()));
        let request = v1::WatchRequest { follow: true, ..v1::WatchRequest::default() };
        let mut events = follow::events(config, request);
        loop {
            tokio::select! {
                update = events.next() => match update.transpose()? {
                    Some(Update::Next(event)) if event.state().is_terminal() => {
                        if self.factory.live_tasks().await? == 0 {
                            tokio::time::sleep(LAST_WORDS).await;
                            return Ok(());
                        }
                    }
                    Some(_) => {}
                    None => return Ok(()),
                },
                () = interrupts.next() => return Ok(()),
            }
        }
    }
}
