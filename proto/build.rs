//! Compiles `factory/v1/*.proto` with a compiler written in Rust, so that no `protoc` is needed.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

const FILES: [&str; 10] = [
    "factory/v1/task.proto",
    "factory/v1/log.proto",
    "factory/v1/worker.proto",
    "factory/v1/fleet.proto",
    "factory/v1/agent.proto",
    "factory/v1/board.proto",
    "factory/v1/memory.proto",
    "factory/v1/library.proto",
    "factory/v1/workflow.proto",
    "factory/v1/repo.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=factory");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let descriptors = protox::compile(FILES, ["."])?;
    // Served by reflection.
    std::fs::write(out.join("factory_descriptor.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".factory.v1.LogRecord.data").compile_fds(descriptors)?;
    Ok(())
}
