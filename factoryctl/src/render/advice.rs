//! The next step after a failure.

use factory_domain::FailureReason;

/// What a person can do about `reason`; nothing where the failure's own message is all there is to say.
pub fn after(reason: &str, number: u64) -> Option<String> {
    let retry = format!("then `factoryctl retry {number}`");
    Some(match reason.parse::<FailureReason>().ok()? {
        FailureReason::AgentError | FailureReason::WorkerError => {
            format!("`factoryctl logs {number}` shows what happened; `factoryctl retry {number}` tries again")
        }
        FailureReason::ApiError => {
            format!("the model's API gave up; look at its status page, {retry}")
        }
        FailureReason::AuthFailed => {
            format!(
                "log in on the worker's host (`claude`, then /login) or give the worker ANTHROPIC_API_KEY, {retry}"
            )
        }
        FailureReason::UsageLimit => format!("wait for the limit to be reset, {retry}"),
        FailureReason::TimeoutTotal => {
            "submit it again with a longer --timeout, or as smaller tasks".to_owned()
        }
        FailureReason::TimeoutIdle => "submit it again with a longer --idle-timeout".to_owned(),
        FailureReason::Budget => {
            "submit it again with a larger --budget-usd or --budget-tokens, or as smaller tasks".to_owned()
        }
        FailureReason::SetupFailed => {
            format!("`factoryctl logs {number}` has the set-up's output; mend the script, {retry}")
        }
        FailureReason::RepositoryUnavailable => {
            format!("see that the worker's host can reach the repository and may read it, {retry}")
        }
        FailureReason::BaseNotFound => "submit it again with a --base that the repository has".to_owned(),
        FailureReason::MergeConflict => {
            "submit it again with --on-conflict agent, or after a task that merges the branches".to_owned()
        }
        FailureReason::Rejected => return None,
        FailureReason::AgentUnavailable => {
            format!("`factoryctl workers` shows which agents each worker offers; install it there, {retry}")
        }
        FailureReason::WorkerLost => {
            format!("`factoryctl workers` shows which workers are connected; {retry}")
        }
    })
}
