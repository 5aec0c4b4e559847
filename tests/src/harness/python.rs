//! Python with what the clients' tests need, as `.ci/run` installs it or as a variable names it.

use std::path::PathBuf;

/// Where `.ci/run` makes the virtual environment, from the root of the repository.
const INSTALLED: &str = "target/python/bin/python";

/// The interpreter to test with. Without one the caller skips, and says so; where `CI` is true that is a failure.
///
/// # Panics
/// Under CI, when there is none; and where `FACTORY_TEST_PYTHON` leads nowhere.
pub fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("FACTORY_TEST_PYTHON").map(PathBuf::from) {
        assert!(named.is_file(), "FACTORY_TEST_PYTHON names {}, which is no file", named.display());
        return Some(named);
    }
    let installed = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(INSTALLED);
    if installed.is_file() {
        return Some(installed);
    }
    let missing = "no Python with tests/clients/python/requirements.txt: name one with FACTORY_TEST_PYTHON, \
        or let .ci/run install it";
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
    super::skipped(missing);
    None
}
