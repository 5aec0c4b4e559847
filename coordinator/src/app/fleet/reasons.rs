//! Why nobody takes a task, in the workers' own words.

use factory_domain::{AgentKind, Requirements, TaskId};

use super::{Connected, CoolDown, Fleet};

impl Fleet {
    /// What one of them said, where every worker that suits a task has declined it lately.
    pub fn refusal(&self, task: TaskId, requirements: &Requirements) -> Option<String> {
        let inner = self.lock();
        let suitable = inner
            .seats
            .values()
            .filter(|connected| !connected.is_draining() && requirements.met_by(&connected.capacity));
        let refusals: Option<Vec<&CoolDown>> =
            suitable.map(|connected| connected.cool_downs.get(&task)).collect();
        let why = &refusals?.first()?.why;
        Some(format!("every worker that suits has declined it for now: {why}"))
    }

    /// What one of them says against an agent, where none offers it.
    pub fn why_unusable(&self, kind: AgentKind) -> Option<String> {
        let inner = self.lock();
        if inner.seats.values().any(|connected| connected.capacity.agents.contains(&kind)) {
            return None;
        }
        let said =
            |connected: &Connected| Some((connected.name.clone(), connected.unusable.get(&kind)?.clone()));
        // The same one each time it is asked.
        let (worker, why) = inner.seats.values().filter_map(said).min()?;
        Some(format!("{worker} says: {why}"))
    }
}
