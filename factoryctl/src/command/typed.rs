//! Text given as words on the command line, or on stdin.

use std::io::Read;

use crate::exit::CommandError;

/// More than any text that is accepted, so that its size can be told.
const MAX_READ: u64 = 16 * 1024 * 1024;

/// The words, or for `-` alone all of stdin. `name` is the argument's, for people.
pub fn text(name: &str, words: &[String]) -> Result<String, CommandError> {
    if words != ["-"] {
        return Ok(words.join(" "));
    }
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(MAX_READ)
        .read_to_end(&mut bytes)
        .map_err(|error| CommandError::Usage(format!("{name}: cannot read stdin: {error}")))?;
    String::from_utf8(bytes).map_err(|_| CommandError::Usage(format!("{name}: is not UTF-8 text")))
}
