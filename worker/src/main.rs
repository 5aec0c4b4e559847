//! `factory-worker`: the worker daemon, and the small programs it starts of itself.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next().as_deref().and_then(|name| name.to_str()) {
        // Before anything that starts a thread: a shim stays small.
        Some("shim") => factory_worker::shim::main(args),
        Some("scripted-agent") => factory_worker::agents::scripted::main(args),
        _ => {
            eprintln!("usage: factory-worker shim … | scripted-agent");
            ExitCode::from(2)
        }
    }
}
