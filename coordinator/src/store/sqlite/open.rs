//! Opening the database: the library's version, the pragmas, the migrations.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection, SqlitePool};

use super::statements;
use crate::store::StoreError;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations/sqlite");

/// Older ones can lose a write when a checkpoint and a reset of the write-ahead
/// log race (<https://www.sqlite.org/wal.html#walresetbug>).
const OLDEST_SQLITE: [u32; 3] = [3, 51, 3];

/// Bytes.
pub(super) const PAGE_SIZE: u32 = 4096;
/// How long to wait for a lock someone else holds, such as a backup or a person's `sqlite3`.
const BUSY: Duration = Duration::from_secs(5);
/// Bytes the write-ahead log's file is cut to once it has been moved into the database.
const WAL_KEPT: &str = "16777216";
/// Pages at which a commit moves the log itself; the idle writer usually comes first.
const WAL_CHECKPOINT: &str = "4000";
const READERS: u32 = 4;
/// Rows SQLite's thread may be ahead of the writer: as many as a full submit returns.
const ROWS_AHEAD: usize = 1024;

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot open the database {}", path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: StoreError,
    },
    #[error("this program is linked with SQLite {found}, which has a known fault; 3.51.3 or newer is needed")]
    SqliteTooOld { found: String },
    #[error(
        "the database {} was written by a newer release (schema {version}); run that release, or restore a backup", path.display()
    )]
    FromNewerRelease { path: PathBuf, version: i64 },
    #[error("the database {} could not be brought to this release's schema", path.display())]
    Migrate {
        path: PathBuf,
        #[source]
        source: MigrateError,
    },
}

/// The writing connection, migrated, and the pool of reading ones.
pub(super) async fn connect(path: &Path) -> Result<(SqliteConnection, SqlitePool), OpenError> {
    let failed = |error: sqlx::Error| OpenError::Open { path: path.to_owned(), source: error.into() };
    let mut writer = writing(path).connect().await.map_err(failed)?;
    check_version(&mut writer, path).await?;
    MIGRATIONS.run(&mut writer).await.map_err(|error| migrate_error(error, path))?;
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .test_before_acquire(false)
        .connect_with(reading(path))
        .await
        .map_err(failed)?;
    Ok((writer, readers))
}

fn writing(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .page_size(PAGE_SIZE)
        .journal_mode(SqliteJournalMode::Wal)
        // A reply means that it survives power loss.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        .pragma("journal_size_limit", WAL_KEPT)
        .pragma("wal_autocheckpoint", WAL_CHECKPOINT)
        .row_buffer_size(ROWS_AHEAD)
        .disable_statement_logging()
}

fn reading(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY).disable_statement_logging()
}

async fn check_version(connection: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let found: String = sqlx::query_scalar(statements::SQLITE_VERSION)
        .fetch_one(connection)
        .await
        .map_err(|error| OpenError::Open { path: path.to_owned(), source: error.into() })?;
    if is_new_enough(&found) { Ok(()) } else { Err(OpenError::SqliteTooOld { found }) }
}

fn is_new_enough(version: &str) -> bool {
    let parts: Vec<u32> = version.split('.').map_while(|part| part.parse().ok()).collect();
    parts.as_slice() >= OLDEST_SQLITE.as_slice()
}

fn migrate_error(error: MigrateError, path: &Path) -> OpenError {
    let path = path.to_owned();
    match error {
        MigrateError::VersionMissing(version) => OpenError::FromNewerRelease { path, version },
        // The database's own trouble: a full disk, a file that cannot be written.
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => {
            OpenError::Open { path, source: source.into() }
        }
        source => OpenError::Migrate { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of artifacts was made anew once: what was in it is still there.
    #[tokio::test]
    async fn what_an_older_release_kept_is_brought_along() {
        let root = tempfile::tempdir().expect("a directory");
        let path = root.path().join("t.db");
        // Off, so that one row needs no attempt, task and worker to belong to.
        let mut older = writing(&path).foreign_keys(false).connect().await.expect("opened");
        for migration in MIGRATIONS.iter().filter(|migration| migration.version <= 3) {
            sqlx::raw_sql(migration.sql.clone()).execute(&mut older).await.expect("made");
        }
        sqlx::raw_sql(
            "INSERT INTO artifacts VALUES (zeroblob(16), 'patch', 'changes.patch', 7, zeroblob(32), 9);",
        )
        .execute(&mut older)
        .await
        .expect("kept");
        for migration in MIGRATIONS.iter().filter(|migration| migration.version > 3) {
            sqlx::raw_sql(migration.sql.clone()).execute(&mut older).await.expect("migrated");
        }
        let kept: (String, i64, i64) = sqlx::query_as("SELECT name, bytes, kept_at FROM artifacts")
            .fetch_one(&mut older)
            .await
            .expect("there");
        assert_eq!(kept, ("changes.patch".to_owned(), 7, 9));
    }

    /// Tasks and attempts were made anew once, with foreign keys off: what was in them, and what refers
    /// to them, is still there.
    #[tokio::test]
    async fn tasks_of_an_older_release_are_brought_along() {
        let root = tempfile::tempdir().expect("a directory");
        let path = root.path().join("t.db");
        let mut older = writing(&path).connect().await.expect("opened");
        let old = MIGRATIONS.iter().filter(|migration| migration.version <= 8);
        for migration in old.clone() {
            sqlx::raw_sql(migration.sql.clone()).execute(&mut older).await.expect("made");
        }
        sqlx::raw_sql(
            "INSERT INTO placements VALUES (1, '{}');
             INSERT INTO tasks (number, id, placement_id, priority, spec, spec_digest, traceparent, submitted_at,
                                updated_at, state, ended_at)
             VALUES (41, zeroblob(16), 1, 0, '{}', zeroblob(32), '', 1, 2, 'cancelled', 3);
             INSERT INTO prompts VALUES (41, 'Do it');
             INSERT INTO events (at, task_id, kind, state)
             VALUES (1, zeroblob(16), 'submitted', '{\"state\":\"queued\"}');",
        )
        .execute(&mut older)
        .await
        .expect("kept");
        for migration in MIGRATIONS.iter().filter(|migration| migration.version > 8) {
            sqlx::raw_sql(migration.sql.clone()).execute(&mut older).await.expect("migrated");
        }
        let kept: (i64, String, String) = sqlx::query_as(
            "SELECT t.number, t.cancelled_because, p.prompt FROM events e
             JOIN tasks t ON t.id = e.task_id JOIN prompts p ON p.task_number = t.number",
        )
        .fetch_one(&mut older)
        .await
        .expect("there");
        assert_eq!(kept, (41, r#"{"kind":"requested"}"#.to_owned(), "Do it".to_owned()));
        let dangling = sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut older).await.expect("checked");
        assert!(dangling.is_empty());
        let enforced: i64 =
            sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(&mut older).await.expect("told");
        assert_eq!(enforced, 1, "foreign keys are on again");
    }

    #[tokio::test]
    async fn queued_tasks_of_an_older_release_get_classes_of_this_one() {
        let root = tempfile::tempdir().expect("a directory");
        let mut older = writing(&root.path().join("t.db")).connect().await.expect("opened");
        for migration in MIGRATIONS.iter().filter(|migration| migration.version <= 12) {
            sqlx::raw_sql(migration.sql.clone()).execute(&mut older).await.expect("made");
        }
        sqlx::raw_sql(
            r#"INSERT INTO placements VALUES (1, '{"agent":"claude","labels":{"gpu":"yes"}}');
               INSERT INTO tasks (number, id, placement_id, priority, repo, spec, spec_digest, traceparent,
                                  submitted_at, updated_at, state)
               VALUES (1, zeroblob(16), 1, 0, NULL, '{}', zeroblob(32), '', 1, 1, 'queued'),
                      (2, randomblob(16), 1, 0, 'owner/name', '{"submitter":"ann","touches":["src"]}',
                       zeroblob(32), '', 1, 1, 'queued');"#,
        )
        .execute(&mut older)
        .await
        .expect("kept");
        for migration in MIGRATIONS.iter().filter(|migration| migration.version > 12) {
            sqlx::raw_sql(migration.sql.clone()).execute(&mut older).await.expect("migrated");
        }
        let classes: Vec<String> = sqlx::query_scalar(
            "SELECT p.requirements FROM tasks t JOIN placements p ON p.id = t.placement_id ORDER BY t.number",
        )
        .fetch_all(&mut older)
        .await
        .expect("there");
        let plain = r#"{"agent":"claude","labels":{"gpu":"yes"}}"#;
        let wants = r#"{"agent":"claude","labels":{"gpu":"yes"},"repo":"owner/name","submitter":"ann","exclusive":true}"#;
        assert_eq!(classes, [plain, wants]);
        let class: factory_domain::Class = serde_json::from_str(wants).expect("a class");
        assert_eq!(serde_json::to_string(&class).expect("JSON"), wants, "as this release writes it");
    }

    #[test]
    fn an_old_library_is_told_from_a_new_one() {
        assert!(is_new_enough("3.51.3"));
        assert!(is_new_enough("3.52.0"));
        assert!(is_new_enough("4.0"));
        assert!(!is_new_enough("3.51.2"));
        assert!(!is_new_enough("3.9.99"));
        assert!(!is_new_enough(""));
    }
}
