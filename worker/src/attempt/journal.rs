//! What the worker itself writes into an attempt's log: its notes, and what a set-up script prints.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use factory_proto::v1::LogStream;

use super::now;
use crate::blocking;
use crate::spool::{RecordWriter, SpoolDir};

/// The one writer of the log while no shim is. To be dropped before a shim starts.
pub struct Journal {
    writer: Mutex<RecordWriter>,
    /// Bytes of log, beyond which the set-up script's lines are left out.
    bound: u64,
    /// That has happened, and was said.
    is_full: AtomicBool,
}

impl Journal {
    /// Opening reads the whole log, so it is done apart from the loops.
    pub async fn open(spool: &SpoolDir, bound: u64) -> io::Result<Self> {
        let path = spool.records_path();
        let writer = blocking::run(move || RecordWriter::open(&path)).await?;
        Ok(Self { writer: Mutex::new(writer), bound, is_full: AtomicBool::new(false) })
    }

    fn writer(&self) -> MutexGuard<'_, RecordWriter> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn note(&self, text: impl Into<String>) {
        let text = text.into();
        tracing::info!("{text}");
        self.line(LogStream::Factory, Bytes::from(text));
    }

    pub fn setup_line(&self, line: &[u8]) {
        if self.writer().length() >= self.bound {
            if !self.is_full.swap(true, Ordering::Relaxed) {
                let bound = self.bound >> 20;
                self.note(format!(
                    "the rest of the set-up script's output is left out: the log's bound is {bound} MiB (--max-spool-mib)"
                ));
            }
            return;
        }
        self.line(LogStream::Setup, Bytes::copy_from_slice(line));
    }

    fn line(&self, stream: LogStream, line: Bytes) {
        // A note lost is no reason to fail the attempt; the disk will say so itself where it matters.
        if let Err(error) = self.writer().line(now().as_millis(), stream, line) {
            tracing::warn!(%error, "the attempt's log cannot be written");
        }
    }

    /// Records in the log so far.
    pub fn records(&self) -> u64 {
        self.writer().next_offset()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::RecordReader;
    use factory_domain::AttemptId;
    use uuid::Uuid;

    #[tokio::test]
    async fn a_set_up_script_without_end_fills_the_log_no_further_than_its_bound() {
        let root = tempfile::tempdir().expect("a directory");
        let spool = SpoolDir::create(root.path(), AttemptId::from_uuid(Uuid::now_v7())).expect("made");
        let journal = Journal::open(&spool, 1 << 20).await.expect("opened");
        for _ in 0..3000 {
            journal.setup_line(&[b'x'; 1000]);
        }
        journal.note("the worktree is ready");
        let size = spool.records_path().metadata().expect("a log").len();
        assert!((1 << 20..(1 << 20) + 4096).contains(&size), "{size}");
        let mut reader = RecordReader::open(&spool.records_path(), 0).expect("opened");
        let records = reader.read_batch(usize::MAX).expect("read");
        let said: Vec<_> = records.iter().filter(|record| record.stream() == LogStream::Factory).collect();
        assert_eq!(said.len(), 2);
        assert!(String::from_utf8_lossy(&said[0].data).contains("1 MiB (--max-spool-mib)"));
    }
}
