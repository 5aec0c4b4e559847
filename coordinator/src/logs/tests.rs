use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::path::Path;

use factory_domain::AttemptId;
use factory_proto::record::MAX_DATA;
use factory_proto::v1::{LogRecord, LogStream};
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::*;

/// So small that a few records make a new block, and a few more a new segment.
const SMALL: Sizes = Sizes { segment: 2000, block: 200 };

fn attempt(n: u128) -> AttemptId {
    AttemptId::from_uuid(Uuid::from_u128(n))
}

fn record(offset: u64, data: impl Into<bytes::Bytes>) -> LogRecord {
    LogRecord { offset, at_ms: 5, stream: LogStream::Stdout.into(), data: data.into(), continues: false }
}

fn lines(offsets: std::ops::Range<u64>) -> Vec<LogRecord> {
    offsets
        .map(|offset| record(offset, format!("line {offset} {}", "x".repeat(offset as usize % 50))))
        .collect()
}

fn small(root: &TempDir) -> LogStore {
    LogStore::open_with(root.path().to_owned(), SMALL).expect("the root can be written")
}

/// Waits until what runs behind the calls is done.
async fn settle(store: &LogStore) {
    store.0.tasks.close();
    store.0.tasks.wait().await;
}

async fn all(store: &LogStore, attempt: AttemptId) -> Vec<LogRecord> {
    let mut records = Vec::new();
    loop {
        let page = store.read(attempt, records.len() as u64, 7, 10_000).await.expect("it reads");
        if page.records.is_empty() {
            return records;
        }
        records.extend(page.records);
    }
}

fn names(store: &LogStore, attempt: AttemptId) -> BTreeSet<String> {
    let entries = fs::read_dir(store.dir(attempt)).expect("the attempt has a directory");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("plain")).collect()
}

#[tokio::test]
async fn what_was_appended_is_read_and_a_follower_is_told() {
    let root = TempDir::new().expect("a directory");
    let store = LogStore::open(root.path().join("logs")).expect("it opens");
    let mut extent = store.subscribe(attempt(1)).await.expect("it opens");
    assert_eq!(*extent.borrow_and_update(), Extent { next_offset: 0, sealed: false });
    assert_eq!(store.append(attempt(1), lines(0..10)).await.expect("room").next_offset, 10);
    extent.changed().await.expect("the log is open");
    assert_eq!(extent.borrow_and_update().next_offset, 10);

    let page = store.read(attempt(1), 4, 3, 10_000).await.expect("it reads");
    assert_eq!((page.records, page.next_offset, page.end, page.sealed), (lines(4..7), 7, 10, false));
    let none = store.read(attempt(2), 0, 3, 10_000).await.expect("an unknown log is an empty one");
    assert_eq!((none.records.len(), none.end), (0, 0));

    store.seal(attempt(1)).await.expect("it seals");
    extent.changed().await.expect("the log is there");
    assert!(extent.borrow().sealed);
    let refused = store.append(attempt(1), lines(10..11)).await.expect("an answer");
    assert_eq!(refused, Extent { next_offset: 10, sealed: true });
    store.close().await;
    assert!(matches!(store.read(attempt(1), 0, 1, 1).await, Err(LogError::Closed)));
}

#[tokio::test]
async fn repeated_records_are_skipped_and_a_gap_appends_nothing() {
    let root = TempDir::new().expect("a directory");
    let store = small(&root);
    for (records, next_offset) in
        [(0..5, 5), (3..8, 8), (0..4, 8), (9..12, 8), (8..8, 8), (8..9, 9), (0..12, 12)]
    {
        let extent = store.append(attempt(1), lines(records)).await.expect("room");
        assert_eq!(extent.next_offset, next_offset);
    }
    assert_eq!(all(&store, attempt(1)).await, lines(0..12));

    let holes = store.append(attempt(1), vec![record(12, "a"), record(14, "b")]).await;
    assert!(matches!(holes, Err(LogError::NotConsecutive { expected: 13, found: 14, .. })), "{holes:?}");
    let long = store.append(attempt(1), vec![record(12, vec![0; MAX_DATA + 1])]).await;
    assert!(matches!(long, Err(LogError::TooLong { offset: 12, .. })), "{long:?}");
    assert_eq!(store.extent(attempt(1)).await.expect("it is open").next_offset, 12);
}

#[tokio::test]
async fn long_lines_come_back_whole_one_a_page_where_they_fill_it() {
    let root = TempDir::new().expect("a directory");
    let store = LogStore::open(root.path().to_owned()).expect("it opens");
    let long: Vec<_> = (0..40).map(|offset| record(offset, vec![offset as u8; MAX_DATA])).collect();
    store.append(attempt(1), long.clone()).await.expect("room");
    assert_eq!(all(&store, attempt(1)).await, long);
    let page = store.read(attempt(1), 39, 100, 1).await.expect("it reads");
    assert_eq!(page.records, long[39..]);
}

#[tokio::test]
async fn full_and_sealed_segments_are_packed_and_read_from_any_cursor() {
    let root = TempDir::new().expect("a directory");
    let store = small(&root);
    for start in (0..200).step_by(5) {
        store.append(attempt(1), lines(start..start + 5)).await.expect("room");
    }
    settle(&store).await;
    let raw = names(&store, attempt(1)).iter().filter(|name| name.ends_with(".seg")).count();
    assert_eq!(raw, 1, "the last segment stays as it is while the log is open");

    store.seal(attempt(1)).await.expect("it seals");
    store.seal(attempt(1)).await.expect("again changes nothing");
    settle(&store).await;
    let packed = names(&store, attempt(1));
    assert!(
        packed.len() > 4 && packed.iter().all(|name| name.ends_with(".zst") || name == "sealed"),
        "{packed:?}"
    );
    for store in [store, small(&root)] {
        for from in 0..200 {
            let page = store.read(attempt(1), from, 3, 10_000).await.expect("it reads");
            assert_eq!(page.records, lines(from..page.next_offset));
            assert!(page.next_offset > from && page.sealed && page.end == 200);
        }
    }
}

#[tokio::test]
async fn a_log_can_be_read_by_zstd_alone() {
    let root = TempDir::new().expect("a directory");
    let store = small(&root);
    store.append(attempt(1), lines(0..50)).await.expect("room");
    let raw = fs::read(segment::path(&store.dir(attempt(1)), 0, segment::Form::Raw)).expect("it is there");
    store.seal(attempt(1)).await.expect("it seals");
    settle(&store).await;
    let packed =
        fs::read(segment::path(&store.dir(attempt(1)), 0, segment::Form::Packed)).expect("it is there");
    assert_eq!(zstd::decode_all(&packed[..]).expect("the footer is skipped"), raw);
}

#[test]
fn a_crash_between_packing_and_removing_leaves_one_log() {
    let root = TempDir::new().expect("a directory");
    let dir = small(&root).dir(attempt(1));
    let raw = segment::path(&dir, 0, segment::Form::Raw);
    Runtime::new().expect("a runtime").block_on(async {
        let store = small(&root);
        store.append(attempt(1), lines(0..50)).await.expect("room");
        let copy = fs::read(&raw).expect("it is there");
        store.seal(attempt(1)).await.expect("it seals");
        settle(&store).await;
        fs::write(&raw, copy).expect("it can be put back");
    });
    Runtime::new().expect("a runtime").block_on(async {
        let store = small(&root);
        assert_eq!(all(&store, attempt(1)).await, lines(0..50));
        assert!(!raw.exists());
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_follower_sees_every_record_once_while_many_append() {
    const BATCHES: u64 = 60;
    let root = TempDir::new().expect("a directory");
    let store = small(&root);
    let mut writers = JoinSet::new();
    for n in 0..8 {
        let store = store.clone();
        writers.spawn(async move {
            for batch in 0..BATCHES {
                store.append(attempt(n), lines(batch * 4..batch * 4 + 4)).await.expect("room");
            }
            store.seal(attempt(n)).await.expect("it seals");
        });
    }
    let mut followers = JoinSet::new();
    for n in 0..8 {
        let store = store.clone();
        followers.spawn(async move {
            let mut extent = store.subscribe(attempt(n)).await.expect("it opens");
            let mut seen = Vec::new();
            loop {
                let page =
                    store.read(attempt(n), seen.len() as u64, 1 + n as usize, 500).await.expect("it reads");
                seen.extend(page.records);
                if seen.len() as u64 == page.end {
                    if page.sealed {
                        return seen;
                    }
                    extent.wait_for(|e| e.sealed || e.next_offset > page.end).await.expect("the log is open");
                }
            }
        });
    }
    while let Some(written) = writers.join_next().await {
        written.expect("no writer failed");
    }
    while let Some(seen) = followers.join_next().await {
        assert_eq!(seen.expect("no follower failed"), lines(0..BATCHES * 4));
    }
}

#[tokio::test]
async fn a_full_disk_is_said_so_and_the_batch_can_be_sent_again() {
    let root = TempDir::new().expect("a directory");
    let store = small(&root);
    let dir = store.dir(attempt(1));
    let segment = segment::path(&dir, 0, segment::Form::Raw);
    store.extent(attempt(1)).await.expect("it is empty");
    fs::create_dir_all(&dir).expect("it can be made");
    std::os::unix::fs::symlink("/dev/full", &segment).expect("it can be linked");
    let full = store.append(attempt(1), lines(0..5)).await;
    assert!(matches!(full, Err(LogError::Full { .. })), "{full:?}");
    fs::remove_file(&segment).expect("it is there");
    assert_eq!(store.append(attempt(1), lines(0..5)).await.expect("room").next_offset, 5);
    // As if a second failure had left half of its batch.
    append_bytes(&segment, &[7; 3000]);
    assert_eq!(store.append(attempt(1), lines(5..9)).await.expect("room").next_offset, 9);
    assert_eq!(all(&store, attempt(1)).await, lines(0..9));
    assert_eq!(all(&small(&root), attempt(1)).await, lines(0..9));
}

#[tokio::test]
async fn a_damaged_record_is_an_error_and_not_a_gap() {
    let root = TempDir::new().expect("a directory");
    let store = small(&root);
    store.append(attempt(1), lines(0..50)).await.expect("room");
    let segment = segment::path(&store.dir(attempt(1)), 0, segment::Form::Raw);
    let mut bytes = fs::read(&segment).expect("it is there");
    bytes[60] ^= 1;
    fs::write(&segment, bytes).expect("it can be written");
    let whole = store.read(attempt(1), 0, 10, 10_000).await.expect("the records before it are whole");
    assert_eq!(whole.records, lines(0..whole.next_offset));
    assert!((1..10).contains(&whole.next_offset));
    let page = store.read(attempt(1), whole.next_offset, 10, 10_000).await;
    assert!(matches!(page, Err(LogError::Damaged { offset, .. }) if offset == whole.next_offset), "{page:?}");
}

#[test]
fn indices_long_unused_are_dropped_and_those_in_use_are_kept() {
    let mut opened = Opened::default();
    let held = opened.slot(attempt(0));
    for n in 1..=MAX_OPENED as u128 {
        opened.slot(attempt(n));
    }
    assert!(opened.slots.len() <= MAX_OPENED / 2 + 2, "{}", opened.slots.len());
    assert!(Arc::ptr_eq(&held, &opened.slot(attempt(0))));
    assert!(opened.slots.contains_key(&attempt(MAX_OPENED as u128)));
    assert!(!opened.slots.contains_key(&attempt(1)));
}

fn append_bytes(path: &Path, bytes: &[u8]) {
    use std::io::Write;
    let mut file = OpenOptions::new().append(true).open(path).expect("it is there");
    file.write_all(bytes).expect("room");
}

#[derive(Debug, Clone)]
enum Step {
    /// So many records, the first so far before (or after) the end.
    Append {
        shift: i64,
        count: u64,
        size: usize,
    },
    Read {
        from: u64,
        records: usize,
        bytes: usize,
    },
    /// The process dies; so many bytes of the last segment are lost, or junk is found behind it.
    Crash {
        torn: u64,
        junk: usize,
    },
    Seal,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        10 => (-8i64..2, 0u64..20, 0usize..400).prop_map(|(shift, count, size)| Step::Append { shift, count, size }),
        6 => (0u64..150, 0usize..30, 0usize..3000)
            .prop_map(|(from, records, bytes)| Step::Read { from, records, bytes }),
        2 => (0u64..700, 0usize..50).prop_map(|(torn, junk)| Step::Crash { torn, junk }),
        1 => Just(Step::Seal),
    ];
    prop::collection::vec(step, 1..25)
}

/// What the store should hold.
#[derive(Default)]
struct Model {
    records: Vec<LogRecord>,
    sealed: bool,
}

impl Model {
    fn append(&mut self, records: &[LogRecord]) {
        for record in records {
            if !self.sealed && record.offset == self.records.len() as u64 {
                self.records.push(record.clone());
            }
        }
    }
}

fn tear(store: &LogStore, torn: u64, junk: usize) {
    let dir = store.dir(attempt(1));
    let Ok(entries) = fs::read_dir(&dir) else { return };
    let names: BTreeSet<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    let Some(last) = names.iter().rfind(|path| path.to_string_lossy().contains(".seg")) else { return };
    if last.extension().is_some_and(|extension| extension == "seg") {
        let length = fs::metadata(last).expect("it is there").len();
        let file = OpenOptions::new().write(true).open(last).expect("it is there");
        file.set_len(length.saturating_sub(torn)).expect("it can be cut");
        append_bytes(last, &vec![0xff; junk]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_store_does_what_a_list_would_through_any_crash(steps in steps()) {
        let root = TempDir::new().expect("a directory");
        let (mut runtime, mut store) = (Runtime::new().expect("a runtime"), small(&root));
        let mut model = Model::default();
        for step in steps {
            let end = model.records.len() as u64;
            match step {
                Step::Append { shift, count, size } => {
                    let first = end.saturating_add_signed(shift);
                    let batch: Vec<_> = (first..first + count).map(|o| record(o, vec![o as u8; size])).collect();
                    let batch: Vec<_> = batch
                        .into_iter()
                        .map(|new| model.records.get(new.offset as usize).cloned().unwrap_or(new))
                        .collect();
                    model.append(&batch);
                    let extent = runtime.block_on(store.append(attempt(1), batch)).expect("room");
                    prop_assert_eq!(extent.next_offset, model.records.len() as u64);
                }
                Step::Read { from, records, bytes } => {
                    let page = runtime.block_on(store.read(attempt(1), from, records, bytes)).expect("it reads");
                    prop_assert_eq!((page.end, page.sealed), (end, model.sealed));
                    let wanted = model.records.iter().skip(from as usize);
                    prop_assert!(page.records.iter().eq(wanted.take(page.records.len())));
                    prop_assert!(page.records.len() <= records.max(1));
                    prop_assert_eq!(page.records.is_empty(), from >= end);
                }
                Step::Crash { torn, junk } => {
                    drop(runtime);
                    let torn = if model.sealed { 0 } else { torn };
                    tear(&store, torn, junk);
                    (runtime, store) = (Runtime::new().expect("a runtime"), small(&root));
                    let left = runtime.block_on(store.extent(attempt(1))).expect("it opens").next_offset;
                    prop_assert!(left <= end && (torn > 0 || left == end), "only the torn end is lost");
                    model.records.truncate(left as usize);
                }
                Step::Seal => {
                    runtime.block_on(store.seal(attempt(1))).expect("it seals");
                    model.sealed = true;
                }
            }
        }
        let whole = runtime.block_on(all(&store, attempt(1)));
        prop_assert_eq!(whole, model.records);
    }
}

#[tokio::test]
async fn a_log_that_is_removed_is_empty_to_all_and_gone_from_the_disk() {
    let root = TempDir::new().expect("a directory");
    let store = small(&root);
    for log in [attempt(1), attempt(2)] {
        store.append(log, lines(0..200)).await.expect("room");
    }
    store.seal(attempt(1)).await.expect("it seals");
    let mut follower = store.subscribe(attempt(1)).await.expect("it is open");
    let on_disk = store.on_disk().await.expect("it lists");
    assert_eq!(on_disk.len(), 2);
    assert!(on_disk.iter().all(|log| log.bytes > 0), "{on_disk:?}");

    store.remove(attempt(1)).await.expect("it goes");
    assert!(!store.dir(attempt(1)).exists());
    assert_eq!(follower.borrow_and_update().next_offset, 0);
    assert_eq!(all(&store, attempt(1)).await, []);
    assert_eq!(all(&store, attempt(2)).await, lines(0..200));
    store.remove(attempt(1)).await.expect("again changes nothing");
    settle(&store).await;
    assert_eq!(
        store.on_disk().await.expect("it lists").iter().map(|log| log.attempt).collect::<Vec<_>>(),
        [attempt(2)]
    );
}

#[tokio::test]
async fn a_log_nobody_has_opened_is_removed_as_well() {
    let root = TempDir::new().expect("a directory");
    let store = small(&root);
    store.append(attempt(1), lines(0..9)).await.expect("room");
    store.close().await;
    let store = small(&root);
    store.remove(attempt(1)).await.expect("it goes");
    assert_eq!(all(&store, attempt(1)).await, []);
    assert_eq!(store.on_disk().await.expect("it lists"), []);
}
