//! `tests/clients/python`: the client, and its own tests, run against real daemons.

use std::path::PathBuf;
use std::process::Stdio;

use factory_tests::harness::coordinator::{Coordinator, CoordinatorSetup};
use factory_tests::harness::host::Host;
use factory_tests::harness::worker::{Worker, WorkerSetup};
use factory_tests::harness::{python, soon};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

const TOKEN: &str = "s3cret";

struct Factory {
    host: Host,
    coordinator: Coordinator,
    _worker: Worker,
}

impl Factory {
    async fn start() -> Self {
        let host = Host::new();
        let setup = CoordinatorSetup { token: Some(TOKEN.to_owned()), ..CoordinatorSetup::new(&host) };
        let coordinator = Coordinator::try_start(&host, setup).await.expect("the coordinator starts");
        let worker = WorkerSetup { token: Some(TOKEN.to_owned()), ..WorkerSetup::named("here", 4) };
        let worker = Worker::start(&host, &coordinator, worker).await;
        Self { host, coordinator, _worker: worker }
    }

    /// Python in the client's folder, told where the factory is.
    fn python(&self, interpreter: &PathBuf, args: &[&str]) -> Command {
        let mut command = Command::new(interpreter);
        command
            .args(args)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/clients/python"))
            .env_clear()
            .envs(self.host.environment())
            .env("FACTORY_URL", self.coordinator.url())
            .env("FACTORY_AUTH_TOKEN", TOKEN)
            // Nothing is left in the repository.
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

#[tokio::test]
async fn the_python_client_submits_streams_waits_cancels_and_counts() {
    let Some(interpreter) = python::find() else { return };
    let factory = Factory::start().await;
    let tests = factory.python(&interpreter, &["-m", "pytest", "-q", "-p", "no:cacheprovider"]).output();
    let output = soon("the client's tests", tests).await.expect("python starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(" passed"), "{said}");
}

#[tokio::test]
async fn results_go_on_over_a_restart_of_the_coordinator() {
    let Some(interpreter) = python::find() else { return };
    let mut factory = Factory::start().await;
    let mut script = factory.python(&interpreter, &["through_a_restart.py"]).spawn().expect("python starts");
    let mut lines = BufReader::new(script.stdout.take().expect("piped")).lines();
    let first = soon("the first result", lines.next_line()).await.expect("a line");
    assert_eq!(first.as_deref(), Some("succeeded fast"));
    factory.coordinator.kill9().await;
    factory.coordinator.start_again().await;
    let second = soon("the second result", lines.next_line()).await.expect("a line");
    assert_eq!(second.as_deref(), Some("succeeded slow"));
    assert_eq!(soon("the script's end", lines.next_line()).await.expect("the end"), None);
    assert!(soon("the script's end", script.wait()).await.expect("an end").success());
}
