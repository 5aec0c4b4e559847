//! What to answer whoever asks for something that the retention has removed.

use factory_domain::{Because, Timestamp};
use jiff::tz::TimeZone;

use super::{App, Error};
use crate::artifacts;
use crate::store::{AttemptEntry, Pruned, PrunedItem};

const GIB: u64 = 1024 * 1024 * 1024;

impl App {
    /// What is answered where the log of `attempt` is not there, if that is why.
    pub(super) async fn log_was_removed(&self, attempt: &AttemptEntry) -> Result<Option<Error>, Error> {
        let pruned = self.store.pruned(attempt.id).await?;
        let log = pruned.iter().find(|pruned| pruned.item == PrunedItem::Log);
        Ok(log.map(|log| Error::Removed(sentence(log, attempt.number))))
    }
}

/// When and why it was removed, for people.
pub fn sentence(pruned: &Pruned, attempt_number: u32) -> String {
    let (what, keep, most) = match &pruned.item {
        PrunedItem::Log => ("the log".to_owned(), "--keep-logs", "--max-logs-gib"),
        PrunedItem::Artifact(key) => {
            (artifacts::describe(key.kind, &key.name), "--keep-artifacts", "--max-artifacts-gib")
        }
    };
    let why = match pruned.because {
        Because::Age { most_ms } => format!("by the retention of {} ({keep})", span(most_ms)),
        Because::Size { most_bytes } => format!("as one of the oldest beyond {} ({most})", size(most_bytes)),
        Because::Spent => "since its task has ended and nothing goes on from it".to_owned(),
    };
    format!("{what} of attempt {attempt_number} was removed on {} {why}", day(pruned.at))
}

/// The day in UTC: people on several continents may read it.
fn day(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.as_millis()) {
        Ok(at) => at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d").to_string(),
        Err(_) => at.to_string(),
    }
}

fn span(millis: u64) -> String {
    const DAY: u64 = 24 * 60 * 60 * 1000;
    match (millis / DAY, millis % DAY) {
        (1, 0) => "1 day".to_owned(),
        (days, 0) => format!("{days} days"),
        _ => format!("{} s", millis / 1000),
    }
}

fn size(bytes: u64) -> String {
    if bytes.is_multiple_of(GIB) { format!("{} GiB", bytes / GIB) } else { format!("{bytes} bytes") }
}

#[cfg(test)]
mod tests {
    use factory_domain::AttemptId;
    use uuid::Uuid;

    use super::*;
    use crate::store::{ArtifactKey, ArtifactKind};

    #[test]
    fn what_was_removed_is_told_with_its_day_and_its_rule() {
        let at = Timestamp::from_millis(1_795_273_200_000);
        let log = |because| Pruned { item: PrunedItem::Log, bytes: 1, at, because };
        assert_eq!(
            sentence(&log(Because::Age { most_ms: 30 * 86_400_000 }), 2),
            "the log of attempt 2 was removed on 2026-11-21 by the retention of 30 days (--keep-logs)"
        );
        assert_eq!(
            sentence(&log(Because::Size { most_bytes: 10 * GIB }), 1),
            "the log of attempt 1 was removed on 2026-11-21 as one of the oldest beyond 10 GiB (--max-logs-gib)"
        );
        let attempt = AttemptId::from_uuid(Uuid::from_u128(1));
        let key = ArtifactKey { attempt, kind: ArtifactKind::Patch, name: "changes.patch".into() };
        let patch = Pruned { item: PrunedItem::Artifact(key), ..log(Because::Age { most_ms: 86_400_000 }) };
        assert_eq!(
            sentence(&patch, 1),
            "the patch of attempt 1 was removed on 2026-11-21 by the retention of 1 day (--keep-artifacts)"
        );
    }
}
