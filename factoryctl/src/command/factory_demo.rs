//! `demo`: a whole factory on a scratch repository, to see what it does.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use factory_coordinator::Config;
use factory_domain::{AgentKind, Backoff, Labels};
use factory_proto::client::ClientConfig;
use factory_proto::v1;
use factory_proto::v1::TaskState;
use tracing_subscriber::filter::LevelFilter;

use crate::cli::{Demo, DemoAgent};
use crate::command::get_task;
use crate::connect::Connection;
use crate::demo::{progress, scratch, tasks};
use crate::embedded::{self, Factory, LocalWorker};
use crate::exit::{CommandError, Exit};
use crate::interrupt::Interrupts;
use crate::render::console::{BOLD, DIM};
use crate::render::json::TaskView;
use crate::render::{Console, table};

const WORKERS: [&str; 2] = ["worker-a", "worker-b"];
const SLOTS: u32 = 2;
/// Short, so that the retry is seen while one still looks.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(1200), cap: Duration::from_secs(3) };

pub async fn run(console: Console, args: Demo) -> Result<Exit, CommandError> {
    let mut interrupts = Interrupts::catch().map_err(CommandError::local("cannot catch signals"))?;
    embedded::show_log(LevelFilter::ERROR)?;
    let (agent, why) = choose_agent(args.agent).await?;
    let directory = tempfile::Builder::new()
        .prefix("factory-demo-")
        .tempdir()
        .map_err(CommandError::local("cannot make a scratch directory"))?;
    let repository = scratch::repository(&directory.path().join("repo"))?;
    let factory = start(directory.path()).await?;
    console.note(format_args!(
        "{BOLD}scratch repository{BOLD:#}  {}\n\
         {BOLD}coordinator{BOLD:#}         {}\n\
         {BOLD}workers{BOLD:#}             {}, {SLOTS} slots each\n\
         {BOLD}agent{BOLD:#}               {agent}: {why}\n",
        repository.display(),
        factory.url(),
        WORKERS.join(", "),
    ));
    let shown = tokio::select! {
        shown = show(console, &factory, tasks::all(agent, &repository)) => shown,
        () = interrupts.next() => Err(CommandError::Interrupted),
    };
    factory.stop().await;
    let exit = shown?;
    close(console, directory, args.keep);
    Ok(exit)
}

/// Which agent, and why that one.
async fn choose_agent(asked: Option<DemoAgent>) -> Result<(AgentKind, String), CommandError> {
    if asked == Some(DemoAgent::Scripted) {
        return Ok((AgentKind::Scripted, "the built-in agent that follows scripts, as you asked".to_owned()));
    }
    match (embedded::probe(AgentKind::Claude).await?, asked) {
        (Ok(found), _) => {
            Ok((AgentKind::Claude, format!("Claude Code {} is installed and logged in", found.version)))
        }
        (Err(why), Some(_)) => Err(CommandError::Failed(format!("Claude Code cannot be used: {why}"))),
        (Err(why), None) => Ok((
            AgentKind::Scripted,
            format!("the built-in agent that follows scripts, since Claude Code cannot be used ({why})"),
        )),
    }
}

/// Coordinator and workers with roots of their own, as on three hosts.
async fn start(directory: &Path) -> Result<Factory, CommandError> {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut config = Config::new(directory.join("coordinator"), listen);
    config.rules.backoff = BACKOFF;
    let worker = |name: &&str| LocalWorker {
        name: Some((*name).to_owned()),
        root: directory.join(name),
        slots: SLOTS,
        labels: Labels::default(),
    };
    Factory::start(config, None, WORKERS.iter().map(worker).collect()).await
}

/// Submits the tasks at once, shows them to their end, and sums up.
async fn show(console: Console, factory: &Factory, tasks: Vec<v1::NewTask>) -> Result<Exit, CommandError> {
    let Connection { client, config } = Connection::to(ClientConfig::new(factory.url(), None)).await?;
    let titles: Vec<_> = tasks
        .iter()
        .map(|task| task.spec.as_ref().map(|spec| spec.title.clone()).unwrap_or_default())
        .collect();
    let reply = client.tasks().submit(client.request(v1::SubmitRequest { tasks })).await?.into_inner();
    let submitted: Vec<_> = reply.tasks.into_iter().zip(titles).collect();
    progress::follow(&config, console, &submitted).await?;
    let mut ended = Vec::with_capacity(submitted.len());
    for (task, _) in &submitted {
        ended.push(get_task(&client, &task.id).await?);
    }
    if console.for_people() {
        console.note("");
        console.line(table::demo(console, &ended).trim_fmt())?;
    } else {
        console.values(&ended.iter().map(|(task, _)| TaskView::from(task)).collect::<Vec<_>>())?;
    }
    let all_well = ended.iter().all(|(task, _)| task.state() == TaskState::Succeeded);
    Ok(if all_well { Exit::Done } else { Exit::Failed })
}

fn close(console: Console, directory: tempfile::TempDir, keep: bool) {
    if keep {
        let path = directory.keep();
        let path = path.display();
        console.note(format_args!(
            "\nkept in {path}\n  \
             the branches:  git -C {path}/repo log --oneline --all --graph\n  \
             the tasks:     AGENT_FACTORY_DIRPATH={path}/coordinator factoryctl up"
        ));
    }
    console.note(format_args!(
        "\n{DIM}Now with a repository of yours: cd into it, and{DIM:#} factoryctl run \"what you want done\""
    ));
}
