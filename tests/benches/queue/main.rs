//! How fast the queue is, beside what the machine and the same parts can do at best.
//!
//! Each row is taken from the real coordinator and from **the limit** in turns: bare
//! tonic over bare sqlx, SQLite in WAL mode with `synchronous=FULL`, one writer with
//! group commit — no validation, no events, no auth, no leases. What counts is the
//! ratio. One fdatasync is probed beside each take, since on a busy machine it takes
//! many times as long, and then durable rates say nothing about the code.
//!
//! ```sh
//! cargo bench --bench queue            # the release binaries must be built: cargo build --release
//! ```

mod drain;
mod limit;
mod load;
mod report;
mod servers;
mod sync_probe;

use std::process::ExitCode;

use report::Row;

/// Takes of each side; the median is reported, with the spread.
const TAKES: usize = 3;

fn main() -> ExitCode {
    if let Some(arguments) = limit::arguments() {
        return limit::serve(&arguments);
    }
    // `cargo test --benches` runs benches too, to see that they start; there is nothing to time then.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("run by `cargo bench --bench queue`");
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure());
    ExitCode::SUCCESS
}

async fn measure() {
    let rows = [
        load::Submits { name: "durable submits, 1 client", clients: 1, calls: 2_000, batch: 1, target: 0.8 },
        load::Submits { name: "durable submits, 64 at once", clients: 64, calls: 300, batch: 1, target: 0.7 },
        load::Submits {
            name: "durable submits, batches of 500",
            clients: 4,
            calls: 40,
            batch: 500,
            target: 0.4,
        },
    ];
    report::heading();
    for submits in rows {
        let mut row = Row::new(submits.name, submits.target);
        for _ in 0..TAKES {
            row.limit.push(take(servers::Server::limit().await, &submits).await);
            row.ours.push(take(servers::Server::coordinator().await, &submits).await);
        }
        report::row(&row);
    }
    let mut drains = Vec::with_capacity(TAKES);
    for _ in 0..TAKES {
        let server = servers::Server::coordinator().await;
        let before = sync_probe::fdatasync(server.root());
        let rate = drain::run(&server).await;
        let after = sync_probe::fdatasync(server.root());
        drains.push(report::Take { rate, sync: before.max(after) });
    }
    report::drain(&drains);
    report::offers(&load::offer_latency(servers::Server::coordinator().await).await);
}

async fn take(server: servers::Server, submits: &load::Submits) -> report::Take {
    let before = sync_probe::fdatasync(server.root());
    let rate = submits.run(&server).await;
    let after = sync_probe::fdatasync(server.root());
    report::Take { rate, sync: before.max(after) }
}
