//! What an agent asked and was told to end its turn for, kept in the attempt's spool: it decides, also after a
//! restart of the worker, what the end of that turn means.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use factory_domain::QuestionId;

use crate::spool::SpoolDir;

fn path(spool: &SpoolDir) -> PathBuf {
    spool.path().join("asked.json")
}

/// The questions for whose answers the agent was told to end its turn; each may have been answered since.
pub fn read(spool: &SpoolDir) -> io::Result<BTreeSet<QuestionId>> {
    match std::fs::read(path(spool)) {
        Ok(json) => Ok(serde_json::from_slice(&json)?),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(error),
    }
}

/// Notes one more, before the agent is told.
pub(super) fn note(spool: &SpoolDir, question: QuestionId) -> io::Result<()> {
    let mut asked = read(spool)?;
    if asked.insert(question) {
        spool.write(&path(spool), &serde_json::to_vec(&asked)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use factory_domain::AttemptId;
    use uuid::Uuid;

    #[test]
    fn what_was_asked_is_known_again() {
        let root = tempfile::tempdir().expect("a directory");
        let spool = SpoolDir::create(root.path(), AttemptId::from_uuid(Uuid::now_v7())).expect("made");
        assert!(read(&spool).expect("readable").is_empty());
        let [one, two] = [1, 2].map(|number| QuestionId::from_uuid(Uuid::from_u128(number)));
        for question in [one, two, one] {
            note(&spool, question).expect("written");
        }
        assert_eq!(read(&spool).expect("readable"), BTreeSet::from([one, two]));
    }
}
