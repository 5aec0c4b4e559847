//! What agents note down about themselves, outside of everything the factory looks at: one line each
//! time, with their task, their attempt, this host's time since its boot, and what they do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use factory_tests::harness::host::Host;

/// A shell script that notes down its one argument, and the file it writes to.
pub struct Notes {
    script: PathBuf,
    file: PathBuf,
}

#[derive(Debug, Clone)]
pub struct Note {
    pub task: String,
    pub attempt: String,
    /// Milliseconds since the epoch, rounded down to ten.
    pub at_ms: i64,
    /// `begin`, `alive`, `end`, or the name of a step.
    pub what: String,
}

impl Notes {
    pub fn new(host: &Host) -> Self {
        let notes = Self { script: host.path().join("note.sh"), file: host.path().join("notes") };
        let script = format!("{}\nnote \"$1\"\n", notes.function());
        std::fs::write(&notes.script, script).expect("a script");
        notes
    }

    /// Whoever runs it with `sh` notes down its argument.
    pub fn script(&self) -> &Path {
        &self.script
    }

    /// The same as a shell function, which starts no process. One short line appended is one write.
    pub fn function(&self) -> String {
        format!(
            "note() {{ read -r up _ < /proc/uptime; \
             echo \"$FACTORY_TASK_ID $FACTORY_ATTEMPT_ID $up $1\" >> {}; }}",
            self.file.display()
        )
    }

    pub fn read(&self) -> Vec<Note> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        let booted_ms = booted_ms();
        text.lines().filter_map(|line| note(line, booted_ms)).collect()
    }
}

fn note(line: &str, booted_ms: i64) -> Option<Note> {
    let mut words = line.splitn(4, ' ');
    let mut word = || words.next().map(str::to_owned);
    let (task, attempt, up, what) = (word()?, word()?, word()?, word()?);
    let (seconds, hundredths) = up.split_once('.')?;
    let up_ms = seconds.parse::<i64>().ok()? * 1000 + hundredths.parse::<i64>().ok()? * 10;
    Some(Note { task, attempt, at_ms: booted_ms + up_ms, what })
}

/// When this host was booted, in milliseconds since the epoch: what relates its uptime to the
/// coordinator's clock.
fn booted_ms() -> i64 {
    let uptime = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    now_ms - uptime.tv_sec * 1000 - uptime.tv_nsec / 1_000_000
}

/// From the first note to the last of each attempt, by task.
type Spans<'a> = BTreeMap<&'a str, BTreeMap<&'a str, (i64, i64)>>;

/// Tasks of which two attempts' agents were alive at the same time by their own notes, a sentence each.
pub fn overlaps(notes: &[Note]) -> Vec<String> {
    let mut spans = Spans::new();
    for Note { task, attempt, at_ms, .. } in notes {
        let span = spans.entry(task).or_default().entry(attempt).or_insert((*at_ms, *at_ms));
        *span = (span.0.min(*at_ms), span.1.max(*at_ms));
    }
    let mut found = Vec::new();
    for (task, attempts) in spans {
        let mut attempts: Vec<_> = attempts.into_iter().collect();
        attempts.sort_by_key(|(_, span)| *span);
        for pair in attempts.windows(2) {
            let [(first, (_, last_ms)), (second, (first_ms, _))] = pair else { continue };
            if first_ms < last_ms {
                found.push(format!(
                    "task {task}: {first} was still at it {} ms after {second} had begun",
                    last_ms - first_ms
                ));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(lines: &[&str]) -> Vec<Note> {
        lines.iter().map(|line| note(line, 0).expect("a note")).collect()
    }

    #[test]
    fn attempts_of_one_task_that_overlap_are_found_and_no_others() {
        let apart = notes(&["t a 1.00 begin", "t a 2.05 end", "t b 2.05 begin", "u c 1.50 begin"]);
        assert_eq!(apart[1].at_ms, 2050);
        assert_eq!(overlaps(&apart), [""; 0]);
        let both = notes(&["t a 1.00 begin", "t b 2.00 begin", "t a 2.01 alive", "t b 3.00 end"]);
        assert_eq!(overlaps(&both), ["task t: a was still at it 10 ms after b had begun"]);
    }
}
