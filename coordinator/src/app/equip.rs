//! What an attempt is given beside its task when it is offered: what its agent is told, and the
//! work of others that it starts from.

use factory_domain::{Notices, Upstream};

use super::{App, Error};
use crate::store::Claimed;

/// An offer as its worker gets it.
#[derive(Debug)]
pub struct Offered {
    pub claimed: Claimed,
    pub equipment: Equipment,
}

#[derive(Debug, Clone, Default)]
pub struct Equipment {
    pub notices: Notices,
    pub upstreams: Vec<Upstream>,
}

impl App {
    /// Read after the claim, so that nothing said before it is missed.
    pub(super) async fn equip(&self, claimed: &Claimed) -> Result<Equipment, Error> {
        let mut notices = self.store.notices(claimed.task, 0).await?;
        // Not of the inbox: they go with this offer alone, and their place is after what is meant for it.
        notices.notices.extend(self.recall(claimed).await);
        if !claimed.waited && claimed.goes_on_from.is_none() {
            return Ok(Equipment { notices, upstreams: Vec::new() });
        }
        let foundations = self.foundations(claimed).await?;
        // An agent that goes on has been told.
        if claimed.continues.is_none() || claimed.attempt_number == 1 {
            notices.notices.splice(0..0, foundations.notices());
        }
        Ok(Equipment { notices, upstreams: foundations.upstreams() })
    }
}
