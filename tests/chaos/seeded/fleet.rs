//! The coordinator and the workers of a storm.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use factory_proto::v1::Submitted;
use factory_tests::harness::coordinator::{Coordinator, CoordinatorSetup};
use factory_tests::harness::disks::Disks;
use factory_tests::harness::host::Host;
use factory_tests::harness::worker::{Worker, WorkerSetup};
use futures_util::future::join_all;
use tokio::time::Instant;

use super::faults::{Kind, Schedule};
use super::proxy::Proxy;
use super::strikes;
use super::workload::Workload;

const WORKERS: u64 = 3;
const SLOTS: u32 = 3;

/// Terms so short that freezes and stalls outlast them.
pub const TERMS: &str = "\
[lease]
heartbeat_ms = 200
lease_ms = 1500
lost_after_ms = 3000
offer_ms = 1000

[retry]
base_ms = 20
cap_ms = 100
max_infrastructure_failures = 100
";
const WORKER: &str = "kill_grace_ms = 300\ncheckpoint_interval_ms = 500\nlimit_pause_ms = 1000\n";

/// Of the coordinator's disk, and of the first worker's.
const DISK: &str = "64m";

pub struct Fleet {
    seed: u64,
    /// Where mounting is permitted: what the coordinator and the first worker have their roots on.
    disks: Option<Disks>,
    pub coordinator: Coordinator,
    pub workers: Vec<Member>,
}

/// A worker, and its way to the coordinator.
pub struct Member {
    pub worker: Worker,
    pub proxy: Proxy,
    /// What its root is on, where that is not the machine's own.
    pub disks: Option<Disks>,
}

pub struct Endured {
    pub submitted: Vec<Submitted>,
    pub faults: BTreeMap<Kind, u32>,
}

fn name_of(worker: u64) -> String {
    format!("worker-{worker}")
}

impl Fleet {
    pub async fn start(host: &Host, seed: u64) -> Self {
        let setup = CoordinatorSetup { config: TERMS.to_owned(), ..CoordinatorSetup::new(host) };
        let disks = Disks::at(&[&setup.root, &host.path().join(name_of(1))], DISK).await;
        let setup = CoordinatorSetup { disks: disks.clone(), ..setup };
        let coordinator = Coordinator::try_start(host, setup).await.expect("the coordinator starts");
        std::fs::create_dir(host.path().join("disks")).expect("a folder");
        let config = host.path().join("worker.toml");
        std::fs::write(&config, WORKER).expect("a configuration file");
        let address: SocketAddr =
            coordinator.url().trim_start_matches("http://").parse().expect("an address");
        let members = (1..=WORKERS).map(async |index| {
            let proxy = Proxy::before(address).await;
            let name = name_of(index);
            let setup = WorkerSetup::named(&name, SLOTS)
                // By which everything on its host is known.
                .pass("CHAOS_HOST", host.path().join(&name).display().to_string())
                .on(disks.clone().filter(|_| index == 1))
                .env("FACTORY_CONFIG", config.as_os_str())
                .env("FACTORY_URL", proxy.url());
            let disks = setup.disks.clone();
            Member { worker: Worker::start(host, &coordinator, setup).await, proxy, disks }
        });
        let workers = join_all(members).await;
        Self { seed, disks, coordinator, workers }
    }

    /// Copies what is on the small disks to where it outlives them, for people to look at.
    pub fn keep_disks(&self, host: &Host) {
        let Some(disks) = &self.disks else { return };
        for folder in [self.coordinator.root(), &self.workers[0].worker.root()] {
            let copied =
                Command::new("cp").arg("-a").arg(disks.seen(folder)).arg(host.path().join("disks")).status();
            println!("{} copied: {copied:?}", folder.display());
        }
    }

    /// Submits the tasks and does the faults, for so long. Everything is up and connected after it.
    pub async fn endure(&mut self, host: &Host, workload: &Workload, span: Duration) -> Endured {
        let until = Instant::now() + span;
        let config = self.coordinator.client_config();
        let seed = self.seed;
        let of_coordinator = strikes::on_coordinator(
            &mut self.coordinator,
            self.disks.as_ref(),
            Schedule::of_coordinator(seed),
            until,
        );
        let of_workers = self.workers.iter_mut().zip(0..).map(|(member, index)| {
            strikes::on_worker(member, &config, Schedule::of_worker(seed, index), until)
        });
        let (submitted, of_coordinator, of_workers, of_agents) = tokio::join!(
            workload.submit(&config, span),
            of_coordinator,
            join_all(of_workers),
            strikes::on_agents(host, Schedule::of_agents(seed), until),
        );
        let mut faults = BTreeMap::new();
        for kind in of_workers.into_iter().flatten().chain(of_coordinator).chain(of_agents) {
            *faults.entry(kind).or_default() += 1;
        }
        Endured { submitted, faults }
    }
}
