//! Who belongs to a task: its parent, those it waits for, and its children with theirs.

use std::collections::VecDeque;

use factory_proto::v1;

use crate::command::get_task;
use crate::connect::Connection;
use crate::exit::CommandError;

/// Tasks read at most, so that a large family is shown in part rather than late.
const MOST: usize = 200;

#[derive(Debug, Default)]
pub struct Family {
    pub parent: Option<v1::Task>,
    /// In the order given at the submit.
    pub after: Vec<v1::Task>,
    /// All below the task, in order of number.
    pub below: Vec<v1::Task>,
    /// There are more than were read.
    pub more: bool,
}

pub async fn read(connection: &Connection, task: &v1::Task) -> Result<Family, CommandError> {
    let client = &connection.client;
    let mut family = Family::default();
    if !task.parent_id.is_empty() {
        family.parent = Some(get_task(client, &task.parent_id).await?.0);
    }
    for needed in task.after.iter().take(MOST) {
        family.after.push(get_task(client, needed).await?.0);
    }
    family.more = task.after.len() > MOST;
    let mut parents: VecDeque<String> = (task.children > 0).then(|| task.id.clone()).into_iter().collect();
    while let Some(parent) = parents.pop_front() {
        let room = u32::try_from(MOST.saturating_sub(family.below.len())).unwrap_or_default();
        if room == 0 {
            family.more = true;
            break;
        }
        let request = v1::ListRequest { parent, page_size: room, ..v1::ListRequest::default() };
        let reply = client.tasks().list(client.request(request)).await?.into_inner();
        family.more |= !reply.next_page_token.is_empty();
        let grand = reply.tasks.iter().filter(|child| child.children > 0);
        parents.extend(grand.map(|child| child.id.clone()));
        family.below.extend(reply.tasks);
    }
    family.below.sort_by_key(|task| task.number);
    Ok(family)
}
