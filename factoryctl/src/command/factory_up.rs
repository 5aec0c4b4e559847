//! `up`: a coordinator and a worker in this terminal, until ctrl-c.

use std::path::PathBuf;

use factory_coordinator::Config;
use factory_coordinator::config::{MemoryOptions, Options, ReposOptions};
use factory_domain::Labels;
use factory_proto::client::ClientConfig;
use factory_proto::client::follow::{self, Update};
use factory_proto::v1;
use futures_util::StreamExt;
use tracing_subscriber::filter::LevelFilter;

use crate::cli::{Global, Up};
use crate::connect;
use crate::embedded::{self, Factory, LAST_WORDS, LocalWorker};
use crate::exit::{CommandError, Exit};
use crate::interrupt::Interrupts;
use crate::render::console::{BOLD, DIM};
use crate::render::{Console, event, units};

pub async fn run(global: &Global, console: Console, args: Up) -> Result<Exit, CommandError> {
    let mut interrupts = Interrupts::catch().map_err(CommandError::local("cannot catch signals"))?;
    embedded::show_log(LevelFilter::WARN)?;
    let options = Options {
        listen: Some(args.listen),
        insecure: args.insecure,
        limits: args.limits,
        ..Options::default()
    };
    let config = configure(global, options)?;
    let token = connect::token(global)?;
    let mut labels = Labels::default();
    for (key, value) in args.labels {
        labels.insert(key, value).map_err(|error| CommandError::Usage(format!("--label: {error}")))?;
    }
    let worker = LocalWorker { name: None, root: config.root.clone(), slots: args.slots, labels };
    let root = config.root.clone();
    let factory = Factory::start(config, token.clone(), vec![worker]).await?;
    let url = factory.url();
    greet(console, &url, &root, args.slots)?;
    tokio::select! {
        shown = show_events(console, ClientConfig::new(&url, token)) => shown?,
        () = interrupts.next() => {}
    }
    let exit = drain(console, &factory, &mut interrupts).await;
    factory.stop().await;
    exit
}

/// The root and the token beside what is given, by the coordinator's own rules.
pub fn configure(global: &Global, given: Options) -> Result<Config, CommandError> {
    let options = Options {
        root: std::env::var_os("AGENT_FACTORY_DIRPATH").map(PathBuf::from),
        token_file: global.token_file.clone(),
        memory: MemoryOptions {
            embeddings_url: std::env::var("FACTORY_EMBEDDINGS_URL").ok(),
            embeddings_model: std::env::var("FACTORY_EMBEDDINGS_MODEL").ok(),
            embeddings_key_file: std::env::var_os("FACTORY_EMBEDDINGS_KEY_FILE").map(PathBuf::from),
            embeddings_key_env: None,
        },
        repos: ReposOptions {
            default_org: std::env::var("FACTORY_DEFAULT_ORG").ok(),
            repo_host: std::env::var("FACTORY_REPO_HOST").ok(),
        },
        ..given
    };
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let mut config = Config::load(options, global.token.clone(), home)
        .map_err(|error| CommandError::Usage(error.to_string()))?;
    // Agents have working directories of their own.
    config.root = std::path::absolute(&config.root)
        .map_err(|error| CommandError::Usage(format!("AGENT_FACTORY_DIRPATH: {error}")))?;
    Ok(config)
}

fn greet(console: Console, url: &str, root: &std::path::Path, slots: u32) -> Result<(), CommandError> {
    console.line(format_args!("factory listening on {url}"))?;
    let named =
        if url == factory_proto::client::DEFAULT_URL { String::new() } else { format!("--url {url} ") };
    console.note(format_args!(
        "{} at once, kept under {}\n\n\
         In another terminal:\n\
         {DIM}  ${DIM:#} {BOLD}factoryctl {named}submit{BOLD:#} \"what to do\"   {DIM}in a git repository; prints an id{DIM:#}\n\
         {DIM}  ${DIM:#} {BOLD}factoryctl {named}watch{BOLD:#} 1               {DIM}follow it{DIM:#}\n\
         {DIM}  ${DIM:#} {BOLD}factoryctl {named}status{BOLD:#}                {DIM}see all{DIM:#}\n\n\
         ctrl-c lets running tasks finish and stops; twice stops at once.\n",
        units::count(slots.into(), "task"),
        root.display(),
    ));
    Ok(())
}

/// One line for each transition, so that this terminal shows that something happens.
async fn show_events(console: Console, config: ClientConfig) -> Result<(), CommandError> {
    let connection = connect::Connection::to(config.clone()).await?;
    let client = &connection.client;
    let request = client.request(v1::ListRequest { page_size: 1, ..v1::ListRequest::default() });
    let after = client.tasks().list(request).await?.into_inner().cursor;
    let request = v1::WatchRequest { tasks: Vec::new(), after, follow: true, until_ended: false };
    let mut events = follow::events(config, request);
    while let Some(update) = events.next().await {
        if let Update::Next(event) = update? {
            let time = units::clock(event.at_ms);
            let number = event.task_number;
            console.note(format_args!("{DIM}{time}{DIM:#} [{number}] {}", event::sentence(&event)));
        }
    }
    Ok(())
}

async fn drain(
    console: Console,
    factory: &Factory,
    interrupts: &mut Interrupts,
) -> Result<Exit, CommandError> {
    console.note("draining: no new task starts, running ones finish; ctrl-c again stops at once");
    let before = factory.live_tasks().await?;
    let drained = async {
        factory.drain().await;
        if before > 0 {
            tokio::time::sleep(LAST_WORDS).await;
        }
    };
    tokio::select! {
        () = drained => {}
        () = interrupts.next() => return Err(CommandError::Interrupted),
    }
    let left = factory.live_tasks().await?;
    if left > 0 {
        let tasks = units::count(left, "task");
        console.note(format_args!("{tasks} not done yet, left for the next `factoryctl up`"));
    }
    Ok(Exit::Done)
}
