//! Checkpoints, and what an attempt goes on from.

use factory_domain::{BranchName, Checkpoint, Continuation, Conversation, Snapshot, Timestamp};

use super::{InvalidMessage, attempt_id, some, worker_id};
use crate::v1;

impl From<Checkpoint> for v1::Checkpoint {
    fn from(checkpoint: Checkpoint) -> Self {
        Self {
            number: checkpoint.number,
            taken_at_ms: checkpoint.taken_at.as_millis(),
            agent_session: checkpoint.agent_session.unwrap_or_default(),
            branch: checkpoint.branch.map(String::from).unwrap_or_default(),
            snapshot: checkpoint.snapshot.map(|snapshot| v1::Snapshot {
                base: snapshot.base.unwrap_or_default(),
                tip: snapshot.tip.unwrap_or_default(),
                commit: snapshot.commit,
            }),
            has_transcript: checkpoint.has_transcript,
        }
    }
}

impl TryFrom<v1::Checkpoint> for Checkpoint {
    type Error = InvalidMessage;

    fn try_from(checkpoint: v1::Checkpoint) -> Result<Self, InvalidMessage> {
        if checkpoint.number == 0 {
            return Err(InvalidMessage::Missing("checkpoint.number"));
        }
        let branch: Option<BranchName> = some(checkpoint.branch)
            .map(TryInto::try_into)
            .transpose()
            .map_err(|error| InvalidMessage::invalid("checkpoint.branch", error))?;
        Ok(Self {
            number: checkpoint.number,
            taken_at: Timestamp::from_millis(checkpoint.taken_at_ms),
            agent_session: some(checkpoint.agent_session),
            branch,
            snapshot: checkpoint.snapshot.map(snapshot).transpose()?,
            has_transcript: checkpoint.has_transcript,
        })
    }
}

fn snapshot(snapshot: v1::Snapshot) -> Result<Snapshot, InvalidMessage> {
    let v1::Snapshot { base, tip, commit } = snapshot;
    if !is_commit_id(&commit) {
        return Err(InvalidMessage::invalid("checkpoint.snapshot.commit", NOT_AN_ID));
    }
    let (base, tip) = (some(base), some(tip));
    if [&base, &tip].into_iter().flatten().any(|id| !is_commit_id(id)) {
        return Err(InvalidMessage::invalid("checkpoint.snapshot", NOT_AN_ID));
    }
    Ok(Snapshot { base, tip, commit })
}

const NOT_AN_ID: &str = "must be a full commit id";

/// SHA-1 or SHA-256, as git prints them. What comes over the wire goes into git's argv.
fn is_commit_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl From<Continuation> for v1::Continuation {
    fn from(continuation: Continuation) -> Self {
        Self {
            attempt_id: continuation.from.to_string(),
            worker_id: continuation.worker.to_string(),
            conversation: match continuation.conversation {
                Conversation::Resume => v1::Conversation::Resume,
                Conversation::Afresh => v1::Conversation::Afresh,
            }
            .into(),
            because: continuation.because,
            of_another_task: continuation.of_another_task,
        }
    }
}

impl TryFrom<v1::Continuation> for Continuation {
    type Error = InvalidMessage;

    fn try_from(continuation: v1::Continuation) -> Result<Self, InvalidMessage> {
        Ok(Self {
            from: attempt_id(&continuation.attempt_id)?,
            worker: worker_id(&continuation.worker_id)?,
            conversation: continuation.conversation().into(),
            because: continuation.because,
            of_another_task: continuation.of_another_task,
        })
    }
}

impl From<v1::Conversation> for Conversation {
    fn from(conversation: v1::Conversation) -> Self {
        match conversation {
            v1::Conversation::Resume => Self::Resume,
            v1::Conversation::Unspecified | v1::Conversation::Afresh => Self::Afresh,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use factory_domain::{AttemptId, WorkerId};

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            number: 2,
            taken_at: Timestamp::from_millis(5),
            agent_session: Some("s".into()),
            branch: Some(BranchName::parse("factory/x").expect("a branch")),
            snapshot: Some(Snapshot {
                base: Some("a".repeat(40)),
                tip: Some("b".repeat(40)),
                commit: "c".repeat(40),
            }),
            has_transcript: true,
        }
    }

    #[test]
    fn a_checkpoint_survives_the_wire() {
        let wire = v1::Checkpoint::from(checkpoint());
        assert_eq!(Checkpoint::try_from(wire), Ok(checkpoint()));
    }

    #[test]
    fn what_is_no_commit_id_is_refused() {
        for bad in ["", "--upload-pack=x", "HEAD", "ABCDEF"] {
            let mut wire = v1::Checkpoint::from(checkpoint());
            wire.snapshot.as_mut().expect("given").commit = bad.to_owned();
            assert!(Checkpoint::try_from(wire).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_continuation_survives_the_wire() {
        let continuation = Continuation {
            from: AttemptId::from_uuid(uuid::Uuid::from_u128(1)),
            worker: WorkerId::from_uuid(uuid::Uuid::from_u128(2)),
            conversation: Conversation::Resume,
            because: "its worker was lost".into(),
            of_another_task: false,
        };
        assert_eq!(Continuation::try_from(v1::Continuation::from(continuation.clone())), Ok(continuation));
    }
}
