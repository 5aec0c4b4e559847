//! What was typed into the form, and the task that it asks for.

use std::str::FromStr;
use std::time::Duration;

use factory_domain::{DependencyPolicy, SpecDraft};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::Errors;
use crate::app::Wanted;

/// All texts, as browsers send them; a box that is not ticked is not sent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Typed {
    prompt: String,
    title: String,
    repo: String,
    base: String,
    branch: String,
    agent: String,
    /// One argument a line.
    argv: String,
    role: String,
    #[serde(rename = "type")]
    task_type: String,
    model: String,
    priority: String,
    max_attempts: String,
    timeout: String,
    idle_timeout: String,
    budget_usd: String,
    acceptance: String,
    issue: String,
    /// Tasks, with commas or spaces between them.
    after: String,
    parent: String,
    /// One a line, as in `keys` and `labels`.
    touches: String,
    keys: String,
    labels: String,
    trust_repo: String,
    hold: String,
    pub idempotency_key: String,
}

impl Typed {
    /// Every bad field at once.
    pub fn wanted(&self) -> Result<Wanted, Errors> {
        let mut errors = Errors::new();
        let draft = SpecDraft {
            prompt: self.prompt.replace("\r\n", "\n"),
            title: self.title.trim().to_owned(),
            repo: self.repo.trim().to_owned(),
            base: self.base.trim().to_owned(),
            branch: self.branch.trim().to_owned(),
            agent: self.agent.clone(),
            argv: self.argv.lines().map(str::to_owned).collect(),
            role: self.role.trim().to_owned(),
            task_type: self.task_type.trim().to_owned(),
            model: self.model.trim().to_owned(),
            priority: number("priority", &self.priority, &mut errors).unwrap_or_default(),
            max_attempts: number("max_attempts", &self.max_attempts, &mut errors),
            timeout: span("timeout", &self.timeout, &mut errors),
            idle_timeout: span("idle_timeout", &self.idle_timeout, &mut errors),
            budget_micro_usd: dollars("budget_usd", &self.budget_usd, &mut errors),
            acceptance: self.acceptance.replace("\r\n", "\n"),
            issue: self.issue.trim().to_owned(),
            touches: lines(&self.touches),
            keys: lines(&self.keys),
            labels: self.read_labels(&mut errors),
            trust_repo: !self.trust_repo.is_empty(),
            ..SpecDraft::default()
        };
        let spec = draft.validate().map_err(|violations| {
            for violation in violations {
                errors.entry(violation.field.to_owned()).or_default().push(violation.why);
            }
        });
        match spec {
            Ok(spec) if errors.is_empty() => Ok(Wanted {
                spec,
                idempotency_key: self.idempotency_key.clone(),
                name: String::new(),
                after: self
                    .after
                    .split([',', ' '])
                    .filter(|task| !task.is_empty())
                    .map(name_of_task)
                    .collect(),
                on_failed_dependency: DependencyPolicy::default(),
                parent: name_of_task(self.parent.trim()),
                goes_on_from: String::new(),
                hold: !self.hold.is_empty(),
            }),
            _ => Err(errors),
        }
    }

    fn read_labels(&self, errors: &mut Errors) -> Vec<(String, String)> {
        let mut labels = Vec::new();
        for line in lines(&self.labels) {
            match line.split_once('=') {
                Some((key, value)) => labels.push((key.trim().to_owned(), value.trim().to_owned())),
                None => add(errors, "labels", format!("`{line}` is not of the form KEY=VALUE")),
            }
        }
        labels
    }
}

/// The field of the form at which something about this field of the API is said.
pub fn shown_at(field: &str) -> String {
    const SHOWN: [&str; 22] = [
        "prompt",
        "title",
        "repo",
        "base",
        "branch",
        "agent",
        "argv",
        "role",
        "type",
        "model",
        "priority",
        "max_attempts",
        "timeout",
        "idle_timeout",
        "budget_usd",
        "acceptance",
        "issue",
        "after",
        "parent",
        "touches",
        "keys",
        "labels",
    ];
    if SHOWN.contains(&field) { field.to_owned() } else { super::ABOVE.to_owned() }
}

/// People write `#7` as they see it.
fn name_of_task(text: &str) -> String {
    text.strip_prefix('#').unwrap_or(text).to_owned()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn add(errors: &mut Errors, field: &str, why: String) {
    errors.entry(field.to_owned()).or_default().push(why);
}

fn number<T: FromStr>(field: &str, text: &str, errors: &mut Errors) -> Option<T> {
    let text = text.trim();
    let number = text.parse().ok();
    if number.is_none() && !text.is_empty() {
        add(errors, field, format!("`{text}` is not a whole number in range"));
    }
    number
}

fn span(field: &str, text: &str, errors: &mut Errors) -> Option<Duration> {
    let text = text.trim();
    let span: Option<SignedDuration> = text.parse().ok();
    let span = span.and_then(|span| Duration::try_from(span).ok());
    if span.is_none() && !text.is_empty() {
        add(errors, field, format!("`{text}` is not a length of time, such as 90s, 30m or 1h 30m"));
    }
    span
}

fn dollars(field: &str, text: &str, errors: &mut Errors) -> Option<u64> {
    let text = text.trim();
    let dollars: Option<f64> = text.trim_start_matches('$').parse().ok();
    let dollars = dollars.filter(|dollars| (0.0..=1e9).contains(dollars));
    if dollars.is_none() && !text.is_empty() {
        add(errors, field, format!("`{text}` is not a sum of US dollars, such as 1.50"));
    }
    // In range, as was just looked at.
    dollars.map(|dollars| (dollars * 1e6).round() as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A form that could be sent, but for one field.
    fn typed(field: &str, text: &str) -> Typed {
        let mut fields = BTreeMap::from([("prompt", "Go"), ("agent", "claude"), ("repo", "/r")]);
        fields.insert(field, text);
        let query = serde_urlencoded::to_string(fields).expect("a query");
        serde_urlencoded::from_str(&query).expect("a form")
    }

    #[test]
    fn what_is_typed_is_read_as_people_write_it() {
        let spec = |field, text| typed(field, text).wanted().expect("accepted").spec;
        assert_eq!(spec("timeout", " 1h 30m ").timeout, Some(Duration::from_secs(5400)));
        assert_eq!(spec("budget_usd", "$1.50").budget_micro_usd, Some(1_500_000));
        assert_eq!(spec("priority", "-5").priority, -5);
        assert_eq!(spec("keys", "a\r\n\r\n b ").keys, ["a", "b"]);
        assert_eq!(spec("touches", "src/**\r\ndocs").touches.len(), 2);
        assert_eq!(typed("after", "#7, 8").wanted().expect("accepted").after, ["7", "8"]);
    }

    #[test]
    fn what_cannot_be_read_is_said_at_its_field() {
        for (field, text) in [
            ("timeout", "soon"),
            ("idle_timeout", "-5m"),
            ("budget_usd", "NaN"),
            ("budget_usd", "-1"),
            ("priority", "high"),
            ("priority", "9999"),
            ("max_attempts", "0"),
            ("labels", "gpu"),
            ("branch", "a..b"),
            ("issue", "javascript:alert(1)"),
            ("agent", "other"),
        ] {
            let errors = typed(field, text).wanted().expect_err(text);
            assert_eq!(errors.keys().collect::<Vec<_>>(), [field], "{text}");
        }
    }
}
