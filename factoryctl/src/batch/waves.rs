//! Which tasks can start together: those of a wave wait only for tasks of the waves before it.

use factory_domain::dependency;

/// The wave of each task, counted from 1, where `after[n]` are the tasks that the n-th waits for.
/// The error is a circle: each waits for the next, and the last is the first again.
pub fn waves(after: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    if let Some(circle) = dependency::circle(after) {
        return Err(circle);
    }
    let mut waves = vec![1; after.len()];
    // Without a circle, nothing waits deeper than there are tasks.
    for _ in 0..after.len() {
        let deeper = |(task, needs): (usize, &Vec<usize>)| {
            needs.iter().map(|need| waves[*need] + 1).max().unwrap_or(1).max(waves[task])
        };
        let next: Vec<usize> = after.iter().enumerate().map(deeper).collect();
        if next == waves {
            break;
        }
        waves = next;
    }
    Ok(waves)
}
