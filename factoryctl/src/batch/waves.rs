//! Which tasks can start together: those of a wave wait only for tasks of the waves before it.

/// The wave of each task, counted from 1, where `after[n]` are the tasks that the n-th waits for.
/// The error is a cycle: each waits for the next, and the last is the first again.
pub fn waves(after: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut waves: Vec<Option<usize>> = vec![None; after.len()];
    loop {
        let mut settled = waves.clone();
        for (task, needs) in after.iter().enumerate().filter(|(task, _)| waves[*task].is_none()) {
            let deepest =
                needs.iter().map(|need| waves[*need]).try_fold(0, |deep, wave| Some(deep.max(wave?)));
            settled[task] = deepest.map(|deepest| deepest + 1);
        }
        if settled == waves {
            break;
        }
        waves = settled;
    }
    match waves.iter().position(Option::is_none) {
        None => Ok(waves.into_iter().flatten().collect()),
        Some(stuck) => Err(cycle_from(stuck, after, &waves)),
    }
}

/// Whatever is stuck waits for something that is stuck, so that following it comes round.
fn cycle_from(start: usize, after: &[Vec<usize>], waves: &[Option<usize>]) -> Vec<usize> {
    let mut path = vec![start];
    while let Some(next) =
        path.last().and_then(|last| after[*last].iter().copied().find(|n| waves[*n].is_none()))
    {
        if let Some(from) = path.iter().position(|seen| *seen == next) {
            path.drain(..from);
            path.push(next);
            break;
        }
        path.push(next);
    }
    path
}
