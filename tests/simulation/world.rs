//! The simulated world: one coordinator, its workers on their hosts, a user, and a network between them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use factory_coordinator::clock::Clock;
use factory_coordinator::config::{Config, LogFormat};
use factory_coordinator::store::Rules;

use factory_coordinator::{Coordinator, Footing};
use factory_domain::{Backoff, LeaseTerms, Limits, Timestamp};
use factory_proto::client::ClientConfig;
use factory_worker::environment::Environment;
use factory_worker::shim::ShimProgram;
use factory_worker::{Worker, WorkerConfig};
use tokio::runtime::Handle;
use tokio::sync::watch;
use turmoil::Sim;

use crate::agents::{Host, SimulatedShims};
use crate::network::{Listener, PORT, Turmoil};
use crate::plan::{Fault, Plan, Wrong};
use crate::sealed::EPOCH_SECONDS;
use crate::store::TimelessStore;
use crate::user;

pub const TICK: Duration = Duration::from_millis(10);
pub const COORDINATOR: &str = "coordinator";
const USER: &str = "user";

/// Short, so that a minute of faults has many ends of them.
pub const RULES: Rules = Rules {
    terms: LeaseTerms {
        heartbeat: Duration::from_millis(500),
        lease: Duration::from_secs(2),
        lost_after: Duration::from_secs(6),
        offer: Duration::from_secs(1),
    },
    backoff: Backoff { base: Duration::from_millis(500), cap: Duration::from_secs(2) },
    max_infrastructure_failures: 100,
    limits: Limits::NONE,
};
const KILL_GRACE: Duration = Duration::from_millis(700);
const LIMIT_PAUSE: Duration = Duration::from_secs(3);

pub fn worker_name(worker: usize) -> String {
    format!("worker-{worker}")
}

pub fn client_config() -> ClientConfig {
    let network = Some(Arc::new(Turmoil) as Arc<_>);
    ClientConfig { network, ..ClientConfig::new(format!("http://{COORDINATOR}:{PORT}"), None) }
}

/// What a running process is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Run,
    /// As by a signal.
    Stop,
    /// Leave the agents be.
    Detach,
}

/// A process that can be ended and started again.
struct Process {
    name: String,
    orders: Rc<watch::Sender<Order>>,
    /// Faults that keep it down now.
    down: u32,
}

pub struct World {
    pub hosts: Vec<Arc<Host>>,
    pub database: PathBuf,
    pub logs: PathBuf,
    sim: Sim<'static>,
    coordinator: Process,
    workers: Vec<Process>,
    latency: Duration,
}

impl World {
    /// `outside` is where SQLite works, and `root` where everyone's disk is.
    pub fn new(plan: &Plan, root: &Path, outside: &Handle) -> Self {
        let mut sim = turmoil::Builder::new()
            .rng_seed(plan.seed)
            .tick_duration(TICK)
            .simulation_duration(Duration::from_secs(3600))
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(plan.latency)
            .tcp_capacity(4096)
            .enable_tokio_io()
            .build();
        let home = root.join(COORDINATOR);
        let orders = Rc::new(watch::Sender::new(Order::Run));
        let (config, host, ordered) = (coordinator_config(&home), outside.clone(), Rc::clone(&orders));
        sim.host(COORDINATOR, move || coordinate(config.clone(), host.clone(), ordered.subscribe()));
        let mut world = Self {
            hosts: Vec::new(),
            database: home.join("agent-factory.db"),
            logs: home.join("logs"),
            sim,
            coordinator: Process { name: COORDINATOR.to_owned(), orders, down: 0 },
            workers: Vec::new(),
            latency: plan.latency,
        };
        for (worker, slots) in plan.workers.iter().enumerate() {
            world.add_worker(worker_name(worker), *slots, root);
        }
        world.sim.client(USER, user::act(plan.clone()));
        world
    }

    fn add_worker(&mut self, name: String, slots: u32, root: &Path) {
        let host = Host::new(name.clone(), root.join(&name));
        let config = worker_config(&host, slots);
        let orders = Rc::new(watch::Sender::new(Order::Run));
        let ordered = Rc::clone(&orders);
        self.sim.host(name.as_str(), move || work(config.clone(), ordered.subscribe()));
        self.workers.push(Process { name, orders, down: 0 });
        self.hosts.push(host);
    }

    pub fn elapsed(&self) -> Duration {
        self.sim.elapsed()
    }

    /// Everyone lives for one tick. Whether the user has done everything; an error of whoever died of it.
    pub fn step(&mut self) -> Result<bool, String> {
        let now = self.sim.elapsed();
        crate::sealed::set_elapsed(now);
        for host in &self.hosts {
            host.advance(now);
        }
        self.sim.step().map_err(|error| format!("a process ended by itself: {error}"))
    }

    pub fn begin(&mut self, fault: &Fault) {
        tracing::warn!(?fault, "fault begins");
        match fault.what {
            Wrong::Partition { worker } => self.sim.partition(worker_name(worker), COORDINATOR),
            Wrong::OneWay { worker, deaf: true } => {
                self.sim.partition_oneway(COORDINATOR, worker_name(worker));
            }
            Wrong::OneWay { worker, deaf: false } => {
                self.sim.partition_oneway(worker_name(worker), COORDINATOR);
            }
            Wrong::Hold { worker } => self.sim.hold(worker_name(worker), COORDINATOR),
            Wrong::Slow { worker, latency } => {
                self.sim.set_link_max_message_latency(worker_name(worker), COORDINATOR, latency);
            }
            Wrong::Isolation => {
                for peer in self.peers() {
                    self.sim.partition(peer, COORDINATOR);
                }
            }
            Wrong::Lossy { worker } => self.sim.set_link_fail_rate(worker_name(worker), COORDINATOR, 0.01),
            Wrong::CoordinatorDies => self.coordinator.kill(&mut self.sim),
            Wrong::CoordinatorStops => self.coordinator.order(Order::Stop),
            Wrong::DaemonDies { worker } => self.workers[worker].kill(&mut self.sim),
            Wrong::DaemonDetaches { worker } => self.workers[worker].order(Order::Detach),
            Wrong::DaemonStops { worker } => self.workers[worker].order(Order::Stop),
            Wrong::HostDies { worker } => {
                self.workers[worker].kill(&mut self.sim);
                self.hosts[worker].crash();
            }
            // The user's to do.
            Wrong::Drained { .. } => {}
        }
    }

    pub fn end(&mut self, fault: &Fault) {
        tracing::warn!(?fault, "fault ends");
        match fault.what {
            Wrong::Partition { worker } | Wrong::OneWay { worker, .. } => {
                self.sim.repair(worker_name(worker), COORDINATOR);
            }
            Wrong::Hold { worker } => self.sim.release(worker_name(worker), COORDINATOR),
            Wrong::Slow { worker, .. } => {
                self.sim.set_link_max_message_latency(worker_name(worker), COORDINATOR, self.latency);
            }
            Wrong::Isolation => {
                for peer in self.peers() {
                    self.sim.repair(peer, COORDINATOR);
                }
            }
            Wrong::Lossy { worker } => {
                self.sim.set_link_fail_rate(worker_name(worker), COORDINATOR, 0.0);
                self.sim.repair(worker_name(worker), COORDINATOR);
            }
            Wrong::CoordinatorDies | Wrong::CoordinatorStops => self.coordinator.start(&mut self.sim),
            Wrong::DaemonDies { worker }
            | Wrong::DaemonDetaches { worker }
            | Wrong::DaemonStops { worker }
            | Wrong::HostDies { worker } => self.workers[worker].start(&mut self.sim),
            Wrong::Drained { .. } => {}
        }
    }

    /// Faults that overlapped may have left something behind.
    pub fn repair_network(&mut self) {
        for peer in self.peers() {
            self.sim.release(peer.as_str(), COORDINATOR);
            self.sim.repair(peer, COORDINATOR);
        }
    }

    fn peers(&self) -> Vec<String> {
        self.workers.iter().map(|worker| worker.name.clone()).chain([USER.to_owned()]).collect()
    }
}

impl Process {
    fn kill(&mut self, sim: &mut Sim<'_>) {
        self.down += 1;
        sim.crash(self.name.as_str());
    }

    fn order(&mut self, order: Order) {
        self.down += 1;
        self.orders.send_replace(order);
    }

    fn start(&mut self, sim: &mut Sim<'_>) {
        self.down -= 1;
        if self.down == 0 {
            self.orders.send_replace(Order::Run);
            sim.bounce(self.name.as_str());
        }
    }
}

fn coordinator_config(root: &Path) -> Config {
    let listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), PORT);
    Config {
        root: root.to_owned(),
        listen,
        token: None,
        insecure: true,
        rules: RULES,
        retention: factory_domain::Retention::default(),
        embeddings: None,
        repos: factory_domain::RepoNames::default(),
        log_format: LogFormat::Text,
    }
}

async fn coordinate(config: Config, outside: Handle, mut orders: watch::Receiver<Order>) -> turmoil::Result {
    let listener = turmoil::net::TcpListener::bind(config.listen).await?;
    std::fs::create_dir_all(&config.root)?;
    let store = TimelessStore::open(outside, &config.root.join("agent-factory.db"), config.rules.clone())?;
    let epoch = Timestamp::default().after(Duration::from_secs(EPOCH_SECONDS));
    let clock = Clock::starting_at(epoch.after(turmoil::sim_elapsed().unwrap_or_default()));
    let footing =
        Footing { listener: Listener(listener), address: config.listen, store: Arc::new(store), clock };
    let mut coordinator = Coordinator::start_on(config, footing).await?;
    tokio::select! {
        error = coordinator.failed() => return Err(error.into()),
        _ = orders.wait_for(|order| *order != Order::Run) => {}
    }
    coordinator.shutdown().await;
    Ok(())
}

fn worker_config(host: &Arc<Host>, slots: u32) -> WorkerConfig {
    let nothing = ShimProgram { program: PathBuf::new(), args: Vec::new() };
    let url = client_config().url;
    let mut config = WorkerConfig::new(url, &host.root, nothing, vec!["simulated".into()]);
    config.name.clone_from(&host.name);
    config.slots = slots;
    config.min_free_disk = 0;
    config.kill_grace = KILL_GRACE;
    config.agents.environment = Environment::from_vars([], Vec::new());
    config.agents.limit_pause = LIMIT_PAUSE;
    config.shims = Arc::new(SimulatedShims(Arc::clone(host)));
    config.network = Some(Arc::new(Turmoil));
    config
}

async fn work(config: WorkerConfig, mut orders: watch::Receiver<Order>) -> turmoil::Result {
    let worker = Worker::launch(config).await?;
    let ordered = orders.wait_for(|order| *order != Order::Run).await.map(|order| *order);
    match ordered {
        Ok(Order::Detach) => worker.detach().await,
        _ => worker.shutdown().await,
    }
    Ok(())
}
