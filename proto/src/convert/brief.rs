//! What an attempt is given beside its task, between the wire and the domain.

use factory_domain::{Brief, Notice, NoticeKind, Notices, Upstream};

use super::{InvalidMessage, attempt_id, some, task_id};
use crate::v1;

/// Both halves go as one message.
pub fn brief_to_wire(brief: Brief, notices: Notices) -> v1::Brief {
    v1::Brief {
        system_prompt: brief.system_prompt.unwrap_or_default(),
        prompt: brief.prompt.unwrap_or_default(),
        notices: notices.notices.into_iter().map(Into::into).collect(),
        notices_cursor: notices.cursor,
    }
}

/// Notices of a kind that is not known here are passed over.
pub fn brief_from_wire(brief: v1::Brief) -> (Brief, Notices) {
    let v1::Brief { system_prompt, prompt, notices, notices_cursor } = brief;
    let notices = notices.into_iter().filter_map(notice_from_wire).collect();
    (
        Brief { system_prompt: some(system_prompt), prompt: some(prompt) },
        Notices { notices, cursor: notices_cursor },
    )
}

pub fn notice_from_wire(notice: v1::Notice) -> Option<Notice> {
    let kind = match notice.kind() {
        v1::NoticeKind::Unspecified => return None,
        v1::NoticeKind::Answer => NoticeKind::Answer,
        v1::NoticeKind::Message => NoticeKind::Message,
        v1::NoticeKind::Handoff => NoticeKind::Handoff,
        v1::NoticeKind::Memory => NoticeKind::Memory,
        v1::NoticeKind::ChildEnded => NoticeKind::ChildEnded,
        v1::NoticeKind::Dependency => NoticeKind::Dependency,
    };
    Some(Notice { kind, text: notice.text })
}

impl From<Notice> for v1::Notice {
    fn from(notice: Notice) -> Self {
        let kind = match notice.kind {
            NoticeKind::Answer => v1::NoticeKind::Answer,
            NoticeKind::Message => v1::NoticeKind::Message,
            NoticeKind::Handoff => v1::NoticeKind::Handoff,
            NoticeKind::Memory => v1::NoticeKind::Memory,
            NoticeKind::ChildEnded => v1::NoticeKind::ChildEnded,
            NoticeKind::Dependency => v1::NoticeKind::Dependency,
        };
        Self { kind: kind.into(), text: notice.text }
    }
}

impl From<Upstream> for v1::Upstream {
    fn from(upstream: Upstream) -> Self {
        let delivery = if upstream.pushed { v1::DeliveryKind::Pushed } else { v1::DeliveryKind::Bundled };
        Self {
            task_id: upstream.task.to_string(),
            task_number: upstream.number,
            title: upstream.title,
            attempt_id: upstream.attempt.to_string(),
            branch: upstream.branch,
            commit: upstream.commit,
            delivery: delivery.into(),
        }
    }
}

impl TryFrom<v1::Upstream> for Upstream {
    type Error = InvalidMessage;

    fn try_from(upstream: v1::Upstream) -> Result<Self, InvalidMessage> {
        let pushed = upstream.delivery() == v1::DeliveryKind::Pushed;
        Ok(Self {
            task: task_id(&upstream.task_id)?,
            number: upstream.task_number,
            title: upstream.title,
            attempt: attempt_id(&upstream.attempt_id)?,
            branch: upstream.branch,
            commit: upstream.commit,
            pushed,
        })
    }
}
