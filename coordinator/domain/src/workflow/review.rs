//! What a review comes to, as the reviewer's agent says it in JSON, and what conditions ask of it.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// The answer of a step that judges. It fits [`VERDICT_SCHEMA`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    pub verdict: Verdict,
    pub summary: String,
    #[serde(default)]
    pub issues: Vec<Issue>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Approved,
    HasIssues,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    pub severity: Severity,
    #[serde(default)]
    pub file: String,
    #[serde(default)]
    pub line: Option<u32>,
    pub description: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Nit,
    Minor,
    Major,
    Blocker,
}

impl Severity {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Nit => "nit",
            Self::Minor => "minor",
            Self::Major => "major",
            Self::Blocker => "blocker",
        }
    }
}

/// When a step runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The review holds a blocker or a major issue.
    HasIssues,
    /// It holds neither.
    NoIssues,
    /// It says in so many words that it approves.
    ReviewApproved,
}

impl Condition {
    pub const ALL: [Self; 3] = [Self::HasIssues, Self::NoIssues, Self::ReviewApproved];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HasIssues => "has_issues",
            Self::NoIssues => "no_issues",
            Self::ReviewApproved => "review_approved",
        }
    }

    pub fn holds(self, review: &Review) -> bool {
        match self {
            Self::HasIssues => review.has_issues(),
            Self::NoIssues => !review.has_issues(),
            Self::ReviewApproved => review.verdict == Verdict::Approved,
        }
    }
}

/// The JSON Schema of a [`Review`].
pub const VERDICT_SCHEMA: &str = r#"{
  "type": "object",
  "properties": {
    "verdict": {"type": "string", "enum": ["approved", "has_issues"]},
    "summary": {"type": "string", "description": "Two or three sentences"},
    "issues": {
      "type": "array",
      "items": {
        "type": "object",
        "properties": {
          "severity": {"type": "string", "enum": ["blocker", "major", "minor", "nit"]},
          "file": {"type": "string"},
          "line": {"type": "integer", "minimum": 1},
          "description": {"type": "string", "description": "What is wrong, and what would be right"}
        },
        "required": ["severity", "description"],
        "additionalProperties": false
      }
    }
  },
  "required": ["verdict", "summary", "issues"],
  "additionalProperties": false
}"#;

impl Review {
    /// Reads an agent's structured answer; `None`: it is no review.
    pub fn read(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    fn has_issues(&self) -> bool {
        self.issues.iter().any(|issue| issue.severity >= Severity::Major)
    }

    /// In a few words: `approved`, `2 issues`.
    pub fn in_short(&self) -> String {
        match (self.verdict, self.issues.len()) {
            (Verdict::Approved, 0) => "approved".to_owned(),
            (Verdict::Approved, count) => format!("approved, with {}", issues(count)),
            (Verdict::HasIssues, count) => issues(count),
        }
    }

    /// For the agent that is to settle it, in Markdown; the gravest first.
    pub fn to_markdown(&self) -> String {
        let mut text = self.summary.trim().to_owned();
        let mut issues: Vec<_> = self.issues.iter().collect();
        issues.sort_by_key(|issue| std::cmp::Reverse(issue.severity));
        for (index, issue) in issues.iter().enumerate() {
            let place = match (issue.file.as_str(), issue.line) {
                ("", _) => String::new(),
                (file, None) => format!(" `{file}`"),
                (file, Some(line)) => format!(" `{file}:{line}`"),
            };
            let break_before = if index == 0 { "\n" } else { "" };
            let (severity, description) = (issue.severity.as_str(), issue.description.trim());
            // Writing to a String cannot fail.
            let _ = write!(text, "{break_before}\n{}. **{severity}**{place}: {description}", index + 1);
        }
        text
    }
}

fn issues(count: usize) -> String {
    match count {
        1 => "1 issue".to_owned(),
        count => format!("{count} issues"),
    }
}
