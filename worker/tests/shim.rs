//! The shim as a real process over real agents: whatever they do, nothing of them is left.

#![allow(clippy::unwrap_used, reason = "a test says by panicking that it failed")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use factory_domain::{AttemptId, FailureReason, LeaseTerms};
use factory_proto::v1::LogStream;
use factory_worker::agents::Launch;
use factory_worker::host_lease::{BootTime, HostLease};
use factory_worker::process::{Belonging, Identity};
use factory_worker::shim::{self, Exit, Limits, Shim, ShimError, ShimProgram};
use factory_worker::spool::{RecordReader, SpoolDir};
use tempfile::TempDir;

const GRACE: Duration = Duration::from_millis(200);
const LIMITS: Limits = Limits { start_by: BootTime::from_millis(u64::MAX), grace: GRACE, spool: 16 << 20 };
/// An agent that does not end by itself.
const FOREVER: &str = "echo ready; exec sleep 1000";

struct Bench {
    dir: TempDir,
    spool: SpoolDir,
    lease: HostLease,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let attempt = AttemptId::from_uuid(uuid::Uuid::now_v7());
        let spool = SpoolDir::create(dir.path(), attempt).unwrap();
        let lease = HostLease::open(dir.path()).unwrap();
        let bench = Self { dir, spool, lease };
        bench.may_live(Duration::from_secs(3600));
        bench
    }

    /// Moves the host's lease to a time from now.
    fn may_live(&self, span: Duration) {
        let none = Duration::ZERO;
        let terms = LeaseTerms { lease: span, heartbeat: none, lost_after: none, offer: none };
        self.lease.extend(BootTime::now(), &terms, none).unwrap();
    }

    async fn start(&self, argv: &[&str]) -> Result<Shim, ShimError> {
        self.start_within(argv, LIMITS).await
    }

    async fn start_within(&self, argv: &[&str], limits: Limits) -> Result<Shim, ShimError> {
        let program =
            ShimProgram { program: env!("CARGO_BIN_EXE_factory-worker").into(), args: vec!["shim".into()] };
        let path = std::env::var_os("PATH").unwrap();
        let launch = Launch {
            argv: argv.iter().map(OsString::from).collect(),
            env: BTreeMap::from([("PATH".into(), path), ("GREETING".into(), "hello".into())]),
            stdin: b"the prompt".to_vec(),
            files: Vec::new(),
        };
        shim::start(&program, &self.spool, self.dir.path(), &launch, self.lease.path(), limits).await
    }

    async fn sh(&self, script: &str) -> Shim {
        self.start(&["sh", "-c", script]).await.unwrap()
    }

    /// Whole lines of one stream.
    fn lines(&self, stream: LogStream) -> Vec<String> {
        let mut reader = RecordReader::open(&self.spool.records_path(), 0).unwrap();
        let mut lines = vec![Vec::new()];
        for (expected, record) in reader.read_batch(usize::MAX).unwrap().into_iter().enumerate() {
            assert_eq!(record.offset, expected as u64, "offsets have no gaps");
            if record.stream() == stream {
                lines.last_mut().unwrap().extend(&record.data);
                if !record.continues {
                    lines.push(Vec::new());
                }
            }
        }
        lines.pop();
        lines.into_iter().map(|line| String::from_utf8(line).unwrap()).collect()
    }

    /// Waits until the agent has printed so many lines.
    async fn printed(&self, count: usize) {
        while self.lines(LogStream::Stdout).len() < count {
            tokio::task::yield_now().await;
        }
    }

    fn left(&self) -> Vec<Identity> {
        Belonging { attempt: self.spool.attempt(), shim: None }.find().unwrap()
    }
}

async fn end(shim: &mut Shim) -> Exit {
    tokio::time::timeout(Duration::from_secs(20), shim.wait()).await.expect("the shim hangs").unwrap()
}

#[tokio::test]
async fn both_outputs_the_prompt_and_the_exit_code_are_kept() {
    let bench = Bench::new();
    let mut shim = bench
        .sh("cat; echo; echo \"$GREETING\" >&2; pwd; env | grep -c HOME; printf unfinished; exit 3")
        .await;
    assert_eq!(end(&mut shim).await, Exit { code: Some(3), ..Exit::default() });
    let workspace = bench.dir.path().to_str().unwrap().to_owned();
    assert_eq!(bench.lines(LogStream::Stdout), ["the prompt", &workspace, "0", "unfinished"]);
    assert_eq!(bench.lines(LogStream::Stderr), ["hello"]);
    assert_eq!(end(&mut shim).await.code, Some(3), "asked again, it says the same");
}

#[tokio::test]
async fn a_line_of_five_megabytes_is_kept_whole() {
    let bench = Bench::new();
    let script = "head -c 5000000 /dev/zero | tr '\\0' x; echo; echo short; echo other >&2";
    assert_eq!(end(&mut bench.sh(script).await).await.code, Some(0));
    let lines = bench.lines(LogStream::Stdout);
    assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [5_000_000, 5]);
    assert_eq!(bench.lines(LogStream::Stderr), ["other"]);
}

#[tokio::test]
async fn beyond_the_bound_lines_are_left_out_and_the_last_ones_are_there() {
    let bench = Bench::new();
    let script =
        "head -c 40000000 /dev/zero | tr '\\0' x | fold -w 999; echo; echo note >&2; echo the result";
    assert_eq!(end(&mut bench.sh(script).await).await.code, Some(0));
    let lines = bench.lines(LogStream::Stdout);
    assert_eq!(lines.last().map(String::as_str), Some("the result"));
    assert!(lines.iter().rev().skip(1).all(|line| line.len() <= 999), "only whole lines");
    let size = std::fs::metadata(bench.spool.records_path()).unwrap().len();
    assert!((16 << 20..17 << 20).contains(&size), "{size}");
    let marks = bench.lines(LogStream::Factory);
    assert!(marks[0].contains("16 MiB (--max-spool-mib)"), "{marks:?}");
    let left_out = |mark: &String| mark.split(' ').next().and_then(|count| count.parse::<usize>().ok());
    let left_out: usize = marks.iter().filter_map(left_out).sum();
    assert_eq!(lines.len() + left_out, 40_000_000_usize.div_ceil(999) + 1, "{marks:?}");
    assert_eq!(bench.lines(LogStream::Stderr), ["note"]);
}

#[tokio::test]
async fn what_the_agent_leaves_behind_is_gone_when_its_end_is_told() {
    let bench = Bench::new();
    // One in a session of its own, one deaf to hangups, one without the marker; all hold the pipe open.
    let script =
        "setsid sleep 1000 & nohup sleep 1000 & env -i setsid sh -c 'sleep 1000 & sleep 1000' & echo started";
    assert_eq!(end(&mut bench.sh(script).await).await.code, Some(0));
    assert_eq!(bench.left(), []);
    assert_eq!(bench.lines(LogStream::Stdout), ["started"]);
}

#[tokio::test]
async fn an_agent_told_to_end_may_say_goodbye() {
    let bench = Bench::new();
    let mut shim = bench.sh("trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done").await;
    bench.printed(1).await;
    shim.stop().unwrap();
    let exit = end(&mut shim).await;
    assert_eq!(exit, Exit { code: Some(7), stopped: true, ..Exit::default() });
    assert_eq!(bench.lines(LogStream::Stdout), ["ready", "bye"]);
}

#[tokio::test]
async fn a_tree_that_ignores_the_signal_is_killed_after_the_grace() {
    let bench = Bench::new();
    let mut shim = bench
        .sh("trap '' TERM; setsid sh -c 'trap \"\" TERM; echo ready; sleep 1000' & sleep 1000; sleep 1000")
        .await;
    bench.printed(1).await;
    shim.stop().unwrap();
    assert_eq!(end(&mut shim).await, Exit { signal: Some(9), stopped: true, ..Exit::default() });
    assert_eq!(bench.left(), []);
}

#[tokio::test]
async fn an_agent_that_cannot_be_started_is_an_error_that_says_why() {
    let bench = Bench::new();
    let error = bench.start(&["no-such-program-here"]).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot start no-such-program-here: there is no such program on this host");
    let plain = bench.dir.path().join("plain-file");
    std::fs::write(&plain, "x").unwrap();
    let error = bench.start(&[plain.to_str().unwrap()]).await.unwrap_err();
    assert!(error.to_string().ends_with("it is not an executable file"), "{error}");
    assert!(Shim::adopt(&bench.spool).unwrap().is_none());
    assert_eq!(bench.left(), []);
}

#[tokio::test]
async fn a_shim_outlives_its_starter_and_is_adopted() {
    let bench = Bench::new();
    drop(bench.sh(FOREVER).await);
    bench.printed(1).await;
    let mut adopted = Shim::adopt(&bench.spool).unwrap().expect("it runs");
    assert!(!bench.left().is_empty());
    adopted.stop().unwrap();
    assert_eq!(end(&mut adopted).await, Exit { signal: Some(15), stopped: true, ..Exit::default() });
    assert_eq!(bench.left(), []);
    let mut late = Shim::adopt(&bench.spool).unwrap().expect("its end is on disk");
    assert_eq!(end(&mut late).await.signal, Some(15));
}

#[tokio::test]
async fn the_tree_of_a_killed_shim_is_found_and_killed() {
    for adopt in [false, true] {
        let bench = Bench::new();
        let mut shim = bench.sh("setsid sleep 1000 & env -i sleep 1000 & echo ready; sleep 1000").await;
        bench.printed(1).await;
        if adopt {
            shim = Shim::adopt(&bench.spool).unwrap().unwrap();
        }
        kill(shim.pid());
        let error = shim.wait().await.unwrap_err();
        assert!(matches!(error, ShimError::Died), "{error}");
        assert_eq!(bench.left(), []);
    }
}

#[tokio::test]
async fn an_agent_ends_with_the_hosts_lease_though_nobody_tells_it_to() {
    let bench = Bench::new();
    let span = Duration::from_secs(3);
    bench.may_live(span);
    let mut shim = bench.sh("trap '' TERM; setsid sleep 1000 & echo ready; while :; do sleep 1; done").await;
    bench.printed(1).await;
    let moved_on = Instant::now();
    bench.may_live(span);
    let exit = end(&mut shim).await;
    assert!(moved_on.elapsed() >= span, "the new deadline counts: {:?}", moved_on.elapsed());
    assert_eq!(exit, Exit { signal: Some(9), stopped: true, lease_expired: true, ..Exit::default() });
    assert_eq!(exit.lost().unwrap().reason, FailureReason::WorkerLost);
    assert_eq!(bench.left(), []);
}

#[tokio::test]
async fn no_agent_starts_by_a_lease_that_was_granted_after_its_own_had_run_out() {
    let bench = Bench::new();
    let limits = Limits { start_by: BootTime::now(), ..LIMITS };
    let error = bench.start_within(&["sh", "-c", "echo begun"], limits).await.unwrap_err();
    assert!(error.to_string().ends_with("the lease it was to be started under has run out"), "{error}");
    assert!(!bench.spool.records_path().exists(), "it wrote nothing");
    assert_eq!(bench.left(), []);
}

#[tokio::test]
async fn an_agent_whose_lease_file_is_gone_ends_at_the_deadline_that_is_known() {
    let bench = Bench::new();
    bench.may_live(Duration::from_secs(2));
    let mut shim = bench.sh(FOREVER).await;
    std::fs::remove_file(bench.lease.path()).unwrap();
    assert!(end(&mut shim).await.lease_expired);
    let error = bench.start(&["true"]).await.unwrap_err().to_string();
    assert!(error.contains("lease") && error.contains("No such file"), "{error}");
    assert_eq!(bench.left(), []);
}

#[tokio::test]
async fn a_log_that_cannot_be_written_ends_the_agent_and_says_so() {
    let bench = Bench::new();
    if !Path::new("/dev/full").exists() {
        return;
    }
    std::os::unix::fs::symlink("/dev/full", bench.spool.records_path()).unwrap();
    let exit = end(&mut bench.sh("echo lost; sleep 1000").await).await;
    let failure = exit.failure().expect("a fault");
    assert!(failure.message.contains("No space left"), "{}", failure.message);
    assert_eq!(bench.left(), []);
}

#[tokio::test]
async fn a_shim_is_small() {
    let bench = Bench::new();
    let mut shim = bench.sh(FOREVER).await;
    bench.printed(1).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", shim.pid())).unwrap();
    let kilobytes = |name: &str| -> u64 {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
    };
    // What is its own: the mapped program is shared by all shims, and a debug build's is large.
    assert!(kilobytes("RssAnon:") < 2500, "{status}");
    assert_eq!(kilobytes("Threads:"), 1);
    shim.stop().unwrap();
    end(&mut shim).await;
}

fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
