//! A batch for people.

use comfy_table::{Cell, Table};
use factory_proto::v1;

use crate::batch::Planned;
use crate::render::{Console, plain, table};

/// The plan, wave by wave.
pub fn plan(console: Console, tasks: &[Planned]) -> Table {
    let mut table = table::new(console, &["WAVE", "TASK", "TITLE", "ROLE", "AFTER", "HOLDS"]);
    let mut ordered: Vec<_> = tasks.iter().collect();
    ordered.sort_by_key(|task| task.wave);
    for task in ordered {
        let spec = task.task.spec.as_ref();
        let holds = spec.map(|spec| [spec.touches.join(" "), spec.keys.join(", ")]).unwrap_or_default();
        let holds: Vec<_> = holds.into_iter().filter(|held| !held.is_empty()).collect();
        table.add_row([
            Cell::new(task.wave),
            Cell::new(plain::line(&task.name)),
            Cell::new(title(task)),
            Cell::new(spec.map(|spec| plain::line(&spec.role)).unwrap_or_default()),
            Cell::new(plain::line(&task.task.after.join(" ").replace('@', ""))),
            Cell::new(plain::shorten(&plain::line(&holds.join("; ")), 60)),
        ]);
    }
    table
}

/// Which task of the file became which.
pub fn submitted(console: Console, tasks: &[Planned], submitted: &[v1::Submitted]) -> Table {
    let mut table = table::new(console, &["TASK", "NAME", "TITLE", "AFTER", "ID"]);
    for (task, submitted) in tasks.iter().zip(submitted) {
        table.add_row([
            Cell::new(submitted.number),
            Cell::new(plain::line(&task.name)),
            Cell::new(title(task)),
            Cell::new(plain::line(&task.task.after.join(" ").replace('@', ""))),
            Cell::new(&submitted.id),
        ]);
    }
    table
}

fn title(task: &Planned) -> String {
    plain::shorten(&plain::line(&task.title()), 60)
}
