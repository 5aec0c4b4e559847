//! What the worker itself writes into an attempt's log: its notes, and what a set-up script prints.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use factory_proto::v1::LogStream;

use super::now;
use crate::blocking;
use crate::spool::{RecordWriter, SpoolDir};

/// The one writer of the log while no shim is. To be dropped before a shim starts.
pub struct Journal {
    writer: Mutex<RecordWriter>,
}

impl Journal {
    /// Opening reads the whole log, so it is done apart from the loops.
    pub async fn open(spool: &SpoolDir) -> io::Result<Self> {
        let path = spool.records_path();
        let writer = blocking::run(move || RecordWriter::open(&path)).await?;
        Ok(Self { writer: Mutex::new(writer) })
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
