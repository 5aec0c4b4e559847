//! The simulation's thread, sealed off from the host's time and randomness: the same seed, the same run.
//!
//! Much of what makes a run is drawn far from our own code: ids, the jitter of pauses, the order of a
//! hash map, which branch of a `select!` is polled first. All of it comes in the end from `getrandom`,
//! and all time from `clock_gettime`. This program has those two of its own, which answer a sealed
//! thread from its seed and from simulated time, and any other thread (SQLite's, say) as always.

#![expect(unsafe_code, reason = "functions that libc's callers call instead of libc's have its signatures")]

use std::cell::Cell;
use std::time::Duration;

use rustix::rand::GetRandomFlags;
use rustix::time::{ClockId, Timespec};

/// When the simulated world begins, in seconds since the Unix epoch: the morning of 1 January 2026.
pub const EPOCH_SECONDS: u64 = 1_767_225_600;
/// What the monotonic clock shows then.
const UPTIME: Duration = Duration::from_secs(1000);

thread_local! {
    /// Simulated time, on a thread that is sealed.
    static ELAPSED: Cell<Option<Duration>> = const { Cell::new(None) };
    static DICE: Cell<u64> = const { Cell::new(0) };
}

/// Seals the calling thread. Before anything else is done on it.
pub fn seal(seed: u64) {
    DICE.set(seed);
    ELAPSED.set(Some(Duration::ZERO));
}

/// Moves the sealed thread's time on.
pub fn set_elapsed(elapsed: Duration) {
    ELAPSED.set(Some(elapsed));
}

/// SplitMix64.
fn roll() -> u64 {
    let state = DICE.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
    DICE.set(state);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// # Safety
/// `buffer` has room for `length` bytes, as the system call wants it.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, flags: u32) -> isize {
    if buffer.is_null() || length == 0 {
        return 0;
    }
    // SAFETY: the caller's promise; nobody else has the buffer meanwhile.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer, length) };
    if ELAPSED.get().is_none() {
        let filled = rustix::rand::getrandom(&mut *buffer, GetRandomFlags::from_bits_retain(flags));
        return filled.map_or(-1, |filled| isize::try_from(filled).unwrap_or(-1));
    }
    for piece in buffer.chunks_mut(8) {
        piece.copy_from_slice(&roll().to_le_bytes()[..piece.len()]);
    }
    isize::try_from(length).unwrap_or(-1)
}

/// # Safety
/// `time` is where a `timespec` may be written, as the system call wants it.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: i32, time: *mut Timespec) -> i32 {
    let now = match (ELAPSED.get(), clock) {
        (Some(elapsed), 0 | 5) => timespec(Duration::from_secs(EPOCH_SECONDS) + elapsed),
        (Some(elapsed), 1 | 4 | 6 | 7) => timespec(UPTIME + elapsed),
        (None, 0 | 5) => rustix::time::clock_gettime(ClockId::Realtime),
        (None, 1 | 4 | 6) => rustix::time::clock_gettime(ClockId::Monotonic),
        (None, 7) => rustix::time::clock_gettime(ClockId::Boottime),
        (_, 2) => rustix::time::clock_gettime(ClockId::ProcessCPUTime),
        (_, 3) => rustix::time::clock_gettime(ClockId::ThreadCPUTime),
        _ => return -1,
    };
    // SAFETY: the caller's promise.
    unsafe { time.write(now) };
    0
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(time.subsec_nanos()),
    }
}
