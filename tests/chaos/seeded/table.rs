//! The storm's table, for people.

use super::audit::Found;
use super::fleet::Endured;

pub fn of(endured: &Endured, found: &Found) -> String {
    let mut text = String::from("\nfaults\n");
    for (kind, count) in &endured.faults {
        text += &format!("  {kind:<34}{count:>6}\n");
    }
    text += "tasks\n";
    for (what, count) in found.happened() {
        text += &format!("  {what:<34}{count:>6}\n");
    }
    text += "harm\n";
    for (what, instances) in found.harm() {
        text += &format!("  {what:<34}{:>6}\n", instances.len());
    }
    text
}
