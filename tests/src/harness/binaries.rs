//! The binaries under test, found beside the running test.

use std::path::PathBuf;

/// The path of one of the workspace's binaries.
///
/// # Panics
/// When it is not built.
pub fn path(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    // target/debug/deps/e2e-0123 → target/debug/NAME
    let folder = test.parent().and_then(|deps| deps.parent()).expect("tests run from target/<profile>/deps");
    let binary = folder.join(name);
    assert!(
        binary.is_file(),
        "{} is not built: run `cargo test --workspace`, or `cargo build --workspace` before this package's tests",
        binary.display()
    );
    binary
}
