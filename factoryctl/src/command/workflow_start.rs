//! `workflow start`.

use factory_proto::v1;

use crate::cli::{Global, StartWorkflow};
use crate::command::workflow_show;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::Console;
use crate::render::json::WorkflowView;
use crate::repository::{self, Asked};

pub async fn run(global: &Global, console: Console, args: StartWorkflow) -> Result<Exit, CommandError> {
    let watch = args.watch;
    let request = settle(console, args)?;
    let connection = Connection::open(global).await?;
    let client = &connection.client;
    let reply = client.workflows().start(client.request(request)).await?.into_inner();
    let workflow = reply.workflow.unwrap_or_default();
    console.note(format_args!("workflow {} started", workflow.number));
    if watch {
        return workflow_show::to_the_end(&connection, console, &workflow.id).await;
    }
    if console.for_people() {
        console.line(&workflow.id)?;
        console.note(format_args!("follow it with: factoryctl workflow show {} --watch", workflow.number));
    } else {
        console.value(&WorkflowView::from(&workflow))?;
    }
    Ok(Exit::Done)
}

fn settle(console: Console, args: StartWorkflow) -> Result<v1::StartWorkflowRequest, CommandError> {
    let definition = match &args.definition {
        None => String::new(),
        Some(path) => std::fs::read_to_string(path).map_err(|error| {
            CommandError::Usage(format!("--definition: cannot read {}: {error}", path.display()))
        })?,
    };
    let directory =
        std::env::current_dir().map_err(CommandError::local("cannot find the current directory"))?;
    let asked = Asked { repo: args.repo.as_deref(), no_repo: args.no_repo, base: args.base.as_deref() };
    let repo = match repository::choose(asked, &directory)? {
        Some(chosen) => {
            console.note(format_args!("repository: {}", chosen.repo));
            chosen.warnings.iter().for_each(|warning| console.warn(warning));
            chosen.repo
        }
        None => String::new(),
    };
    Ok(v1::StartWorkflowRequest {
        name: args.name,
        definition,
        title: args.title.unwrap_or_default(),
        description: args.description.join(" "),
        repo,
        base: args.base.unwrap_or_default(),
        agent: args.agent.unwrap_or_default(),
        model: args.model.unwrap_or_default(),
        max_iterations: args.max_iterations.unwrap_or_default(),
        labels: args.labels.into_iter().collect(),
        submitter: args.submitter.unwrap_or_default(),
        project: args.project.unwrap_or_default(),
        idempotency_key: args.idempotency_key.unwrap_or_default(),
        priority: args.priority.unwrap_or_default(),
        trust_repo: args.trust_repo,
    })
}
