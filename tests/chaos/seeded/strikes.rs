//! The faults as they are done, those of each target one after the other.

use std::path::Path;

use factory_proto::client::ClientConfig;
use factory_proto::v1::{DrainWorkerRequest, ResumeWorkerRequest};
use factory_tests::harness::coordinator::Coordinator;
use factory_tests::harness::disks::Disks;
use factory_tests::harness::host::Host;
use factory_tests::harness::processes::{self, Process};
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

use super::faults::{Fault, Kind, Schedule};
use super::fleet::Member;
use super::workload::insist;

/// The next fault's time has come before the end's.
async fn comes(pause: Duration, until: Instant) -> bool {
    timeout_at(until, sleep(pause)).await.is_ok()
}

pub async fn on_coordinator(
    coordinator: &mut Coordinator,
    disks: Option<&Disks>,
    mut schedule: Schedule,
    until: Instant,
) -> Vec<Kind> {
    let mut done = Vec::new();
    loop {
        let fault = schedule.next();
        if !comes(fault.pause, until).await {
            return done;
        }
        match fault.kind {
            Kind::CoordinatorDiskFull => {
                if fill(disks, coordinator.root(), fault.lasts).await {
                    done.push(fault.kind);
                }
                continue;
            }
            Kind::CoordinatorStopped => {
                let ended = coordinator.terminate().await;
                assert!(ended.success(), "the coordinator ends well: {ended}");
            }
            _ => coordinator.kill9().await,
        }
        sleep(fault.lasts).await;
        coordinator.start_again().await;
        done.push(fault.kind);
    }
}

pub async fn on_worker(
    member: &mut Member,
    coordinator: &ClientConfig,
    mut schedule: Schedule,
    until: Instant,
) -> Vec<Kind> {
    let mut done = Vec::new();
    loop {
        let fault = schedule.next();
        if !comes(fault.pause, until).await {
            return done;
        }
        let hit = match fault.kind {
            Kind::ConnectionsCut | Kind::NetworkStalled | Kind::AnswersLost => {
                on_network(member, fault).await;
                true
            }
            Kind::ShimKilled | Kind::ShimFrozen => {
                let (shims, _) = processes::of_attempts_in(&member.worker.root());
                on_process(schedule.choose(shims), fault).await
            }
            Kind::WorkerDiskFull => fill(member.disks.as_ref(), &member.worker.root(), fault.lasts).await,
            Kind::WorkerDrained => {
                drain_and_resume(member, coordinator, fault.lasts).await;
                true
            }
            _ => {
                on_daemon(member, fault).await;
                true
            }
        };
        if hit {
            done.push(fault.kind);
        }
    }
}

/// Leaves nothing free on a small disk for a while, where there is one.
async fn fill(disks: Option<&Disks>, folder: &Path, lasts: Duration) -> bool {
    let Some(filled) = disks.and_then(|disks| disks.fill(folder).ok()) else { return false };
    sleep(lasts).await;
    drop(filled);
    true
}

async fn on_network(member: &Member, fault: Fault) {
    match fault.kind {
        Kind::NetworkStalled => {
            member.proxy.stall(true);
            sleep(fault.lasts).await;
            member.proxy.stall(false);
        }
        Kind::AnswersLost => {
            member.proxy.lose_answers();
            sleep(fault.lasts).await;
            member.proxy.cut();
        }
        _ => member.proxy.cut(),
    }
}

async fn on_daemon(member: &mut Member, fault: Fault) {
    let worker = &mut member.worker;
    match fault.kind {
        Kind::WorkerFrozen => {
            worker.signal(Signal::STOP);
            sleep(fault.lasts).await;
            worker.signal(Signal::CONT);
            return;
        }
        Kind::HostKilled => {
            worker.kill_host().await;
            sleep(fault.lasts).await;
        }
        Kind::WorkerDetached => {
            worker.signal(Signal::HUP);
            worker.ended().await;
            sleep(fault.lasts).await;
        }
        Kind::WorkerStopped => {
            // The second signal does not wait for the agents.
            worker.signal(Signal::TERM);
            worker.signal(Signal::INT);
            worker.ended().await;
        }
        Kind::WorkerKilledTwice => {
            worker.kill9().await;
            worker.start_and_kill9_after(fault.lasts).await;
        }
        _ => {
            worker.kill9().await;
            sleep(fault.lasts).await;
        }
    }
    worker.start_again().await;
}

/// Drains it from the coordinator's side, with the work handed over after half the time.
async fn drain_and_resume(member: &Member, coordinator: &ClientConfig, lasts: Duration) {
    let worker = name_of(&member.worker.root());
    let hand_over_after_ms = u64::try_from(lasts.as_millis() / 2).ok();
    insist(coordinator, async |client| {
        let request = DrainWorkerRequest { worker: worker.clone(), hand_over_after_ms };
        client.fleet().drain_worker(client.request(request)).await
    })
    .await;
    sleep(lasts).await;
    insist(coordinator, async |client| {
        let request = ResumeWorkerRequest { worker: worker.clone() };
        client.fleet().resume_worker(client.request(request)).await
    })
    .await;
}

/// A worker's root is named as it is.
fn name_of(root: &Path) -> String {
    root.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

pub async fn on_agents(host: &Host, mut schedule: Schedule, until: Instant) -> Vec<Kind> {
    let mut done = Vec::new();
    loop {
        let fault = schedule.next();
        if !comes(fault.pause, until).await {
            return done;
        }
        let (_, agents) = processes::of_attempts_in(host.path());
        if on_process(schedule.choose(agents), fault).await {
            done.push(fault.kind);
        }
    }
}

/// Kills a process, or freezes it for a while. One that has ended meanwhile was spared.
async fn on_process(target: Option<Process>, fault: Fault) -> bool {
    let Some(pid) = target.and_then(|process| Pid::from_raw(process.pid)) else { return false };
    if matches!(fault.kind, Kind::ShimKilled | Kind::AgentKilled) {
        return kill_process(pid, Signal::KILL).is_ok();
    }
    let frozen = kill_process(pid, Signal::STOP).is_ok();
    sleep(fault.lasts).await;
    // It may have been ended all the same, which is no error.
    let _ = kill_process(pid, Signal::CONT);
    frozen
}
