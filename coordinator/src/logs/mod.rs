//! The append-only log store: one directory of segments for each attempt, never in the database.
//!
//! - Records are framed as in `factory_proto::record`; a torn tail after a crash
//!   is cut at the last whole record when the attempt is next opened.
//! - An append is acknowledged once the kernel has it: it survives the death of
//!   this process, and is synced when its segment is sealed.
//! - Readers read the files at their own pace. Followers are told only that
//!   there is more, through a watch channel, so a slow one costs nobody anything.
