//! How far a task has come, by its agent's word.

use serde::{Deserialize, Serialize};

use crate::Violation;

/// Bytes of what an agent says at once.
pub const MAX_PROGRESS: usize = 500;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// One line.
    pub text: String,
    /// Of a hundred.
    pub percent: Option<u8>,
}

impl Progress {
    pub fn new(text: &str, percent: Option<u32>) -> Result<Self, Violation> {
        let text = text.trim();
        let refuse = |field, why| Err(Violation { field, why });
        if text.is_empty() {
            return refuse("text", "is empty".to_owned());
        }
        if text.len() > MAX_PROGRESS {
            return refuse("text", format!("is {} bytes long; at most {MAX_PROGRESS}", text.len()));
        }
        if text.chars().any(char::is_control) {
            return refuse("text", "is not one plain line".to_owned());
        }
        let percent = percent.map(|percent| u8::try_from(percent).unwrap_or(u8::MAX));
        if let Some(percent) = percent.filter(|percent| *percent > 100) {
            return refuse("percent", format!("is {percent}; at most 100"));
        }
        Ok(Self { text: text.to_owned(), percent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_one_line_and_at_most_all_of_it() {
        let half = Progress { text: "half of it".into(), percent: Some(50) };
        assert_eq!(Progress::new(" half of it\n", Some(50)), Ok(half));
        let long = "x".repeat(MAX_PROGRESS + 1);
        for (text, percent, field) in
            [("", None, "text"), ("a\nb", None, "text"), (&long, None, "text"), ("x", Some(101), "percent")]
        {
            assert_eq!(Progress::new(text, percent).expect_err("refused").field, field);
        }
    }
}
