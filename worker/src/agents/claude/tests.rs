//! The launch, and the verdict on what the real CLI (2.1.329) printed in each of these cases.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

use factory_domain::{
    AgentKind, AttemptId, FailureReason, Notice, NoticeKind, Outcome, PermissionMode, Timestamp,
};
use factory_proto::v1::LogStream;
use uuid::Uuid;

use super::Claude;
use crate::agents::{Agent, Conclusion, Conversation, Job, Launch, Transcript, fixture};
use crate::environment::Environment;
use crate::mcp::{self, Access, Secret};
use crate::shim::Exit;
use crate::spool::SpoolDir;

const PAUSE: Duration = Duration::from_secs(300);
/// When every run of these tests ended.
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn environment(vars: &[(&str, &str)]) -> Environment {
    let vars = vars.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Environment::from_vars(vars, vec!["NAMED".to_owned()])
}

fn job(prompt: &str) -> Job {
    fixture::job(AgentKind::Claude, prompt)
}

fn launch(vars: &[(&str, &str)], job: &Job) -> Launch {
    Claude::new(Some("/proc/self/exe".into()), environment(vars), PAUSE).launch(job).unwrap()
}

fn text(argv: &[OsString]) -> String {
    argv.iter().map(|arg| arg.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn get<'a>(env: &'a BTreeMap<OsString, OsString>, name: &str) -> Option<&'a str> {
    env.get(OsStr::new(name)).and_then(|value| value.to_str())
}

#[test]
fn an_environment_is_made_and_holds_no_more_than_was_named() {
    let mut job = job("do it");
    job.traceparent = "00-abc-def-01".to_owned();
    let vars = [
        ("PATH", "/bin"),
        ("LC_ALL", "C"),
        ("ANTHROPIC_API_KEY", "sk-secret"),
        ("CLAUDECODE", "1"),
        ("CLAUDE_CONFIG_DIR", "/someone/elses"),
        ("AWS_SECRET_ACCESS_KEY", "cloud"),
        ("GITHUB_TOKEN", "gh"),
        ("NAMED", "yes"),
    ];
    let env = launch(&vars, &job).env;
    let expected = [
        ("PATH", "/bin"),
        ("LC_ALL", "C"),
        ("ANTHROPIC_API_KEY", "sk-secret"),
        ("NAMED", "yes"),
        ("CLAUDE_CONFIG_DIR", job.agent_home.to_str().unwrap()),
        ("CLAUDE_CODE_DISABLE_FILE_MENTIONS", "1"),
        ("FACTORY_TASK_ID", &job.task.to_string()),
        ("FACTORY_ATTEMPT_ID", &job.attempt.to_string()),
        ("FACTORY_ATTEMPT_NUMBER", "1"),
        ("TRACEPARENT", "00-abc-def-01"),
    ];
    for (name, value) in expected {
        assert_eq!(get(&env, name), Some(value), "{name}");
    }
    for name in ["CLAUDECODE", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN"] {
        assert_eq!(get(&env, name), None, "{name}");
    }
    let cloud = launch(&[("CLAUDE_CODE_USE_BEDROCK", "1"), ("AWS_SECRET_ACCESS_KEY", "cloud")], &job).env;
    assert_eq!(get(&cloud, "AWS_SECRET_ACCESS_KEY"), Some("cloud"));
}

#[test]
fn a_login_in_a_file_is_used_where_it_is() {
    let home = tempfile::tempdir().unwrap();
    let configured = home.path().to_str().unwrap();
    std::fs::write(home.path().join(".credentials.json"), "{}").unwrap();
    let job = job("do it");
    let shared = launch(&[("CLAUDE_CONFIG_DIR", configured)], &job).env;
    assert_eq!(get(&shared, "CLAUDE_CONFIG_DIR"), Some(configured));
    let keyed = launch(&[("CLAUDE_CONFIG_DIR", configured), ("ANTHROPIC_API_KEY", "sk")], &job).env;
    assert_eq!(get(&keyed, "CLAUDE_CONFIG_DIR"), job.agent_home.to_str());
}

#[test]
fn the_argv_says_what_the_task_asks_and_no_secret() {
    let mut job = job("do it");
    job.spec.model = Some("opus".to_owned());
    job.spec.max_turns = Some(7);
    job.spec.budget_micro_usd = Some(2_500_000);
    let launch = launch(&[("ANTHROPIC_API_KEY", "sk-secret")], &job);
    let argv = text(&launch.argv);
    assert!(argv.contains(&format!("--session-id {}", job.conversation.id())), "{argv}");
    assert!(argv.contains("--model opus --max-turns 7 --max-budget-usd 2.5"), "{argv}");
    assert!(
        argv.contains("-p --output-format stream-json --verbose --permission-mode bypassPermissions"),
        "{argv}"
    );
    assert!(!argv.contains("secret"), "{argv}");
    assert_eq!(launch.stdin, b"do it");
}

#[test]
fn a_repository_is_trusted_only_where_the_task_says_so() {
    let workspace = tempfile::tempdir().unwrap();
    let mut job = job("do it");
    job.workspace = workspace.path().to_owned();
    let memory = workspace.path().join("CLAUDE.md");

    std::os::unix::fs::symlink("/etc/passwd", &memory).unwrap();
    let untrusted = text(&launch(&[], &job).argv);
    assert!(untrusted.contains("--setting-sources  --strict-mcp-config"), "{untrusted}");
    assert!(!untrusted.contains("--append-system-prompt-file"), "it leads out of the workspace");

    std::fs::remove_file(&memory).unwrap();
    std::fs::write(&memory, "Be kind.").unwrap();
    job.brief.system_prompt = Some("You review.\n".to_owned());
    let untrusted = launch(&[], &job);
    assert!(text(&untrusted.argv).contains("--append-system-prompt-file"), "{untrusted:?}");
    assert_eq!(untrusted.files[0].content, b"You review.\n\n# CLAUDE.md\n\nBe kind.");

    job.spec.trust_repo = true;
    let trusted = launch(&[], &job);
    assert!(!text(&trusted.argv).contains("--setting-sources"), "{trusted:?}");
    assert_eq!(trusted.files[0].content, b"You review.", "it reads its memory itself");
}

#[test]
fn a_role_restricts_the_tools_and_never_those_of_the_factory() {
    let root = tempfile::tempdir().unwrap();
    let spool = SpoolDir::create(root.path(), AttemptId::from_uuid(Uuid::now_v7())).unwrap();
    let mut job = job("do it");
    job.access = Some(Access::new(([127, 0, 0, 1], 81).into(), Secret::of(&spool).unwrap(), &spool));
    job.spec.allowed_tools = vec!["Read".to_owned(), "Bash(git *)".to_owned(), "Bash(ls)".to_owned()];
    job.spec.disallowed_tools = vec!["Bash(git push *)".to_owned()];
    job.spec.permission_mode = Some(PermissionMode::AcceptEdits);
    job.spec.output_schema = Some("{}".to_owned());
    let launch = launch(&[("NO_PROXY", "intern")], &job);
    let argv = text(&launch.argv);
    for part in [
        "--permission-mode acceptEdits",
        "--tools Bash,Read",
        "--allowedTools Read,Bash(git *),Bash(ls),mcp__factory",
        "--disallowedTools Bash(git push *)",
        "--json-schema {}",
    ] {
        assert!(argv.contains(part), "{part}: {argv}");
    }
    assert_eq!(get(&launch.env, "NO_PROXY"), Some("intern,127.0.0.1"));
    assert_eq!(get(&launch.env, "FACTORY_MCP_URL"), Some("http://127.0.0.1:81/mcp"));
    let secret = job.access.as_ref().unwrap().secret.reveal();
    let files: Vec<_> = launch.files.iter().map(|file| String::from_utf8_lossy(&file.content)).collect();
    assert!(files.iter().all(|file| file.contains(secret)), "the configuration and the hook");
    assert!(!argv.contains(secret) && !format!("{launch:?}").contains(secret));
}

#[test]
fn a_prompt_is_never_a_command() {
    for (prompt, stdin) in [("/compact", "\n/compact"), ("fix a/b", "fix a/b"), (" /clear", "\n /clear")] {
        assert_eq!(launch(&[], &job(prompt)).stdin, stdin.as_bytes());
    }
}

#[test]
fn what_else_there_is_to_tell_comes_behind_the_task_or_what_has_happened_since() {
    let mut job = job("do it\n");
    job.brief.prompt = Some("# Task\n\ndo it well\n".to_owned());
    job.notices = vec![Notice { kind: NoticeKind::Answer, text: "Take 81.".to_owned() }];
    let news = format!("{}\n\n## Answers to your questions\n\nTake 81.", mcp::NEWS);
    assert_eq!(job.prompt(), format!("# Task\n\ndo it well\n\n{news}"));
    let (id, note) = (job.conversation.id(), "You were interrupted.".to_owned());
    job.conversation = Conversation::Resumed { id, note };
    assert_eq!(job.prompt(), format!("You were interrupted.\n\n{news}"));
}

#[test]
fn a_resumed_conversation_is_told_what_happened_and_not_its_task_again() {
    let mut job = job("do it\n");
    let id = job.conversation.id();
    job.conversation = Conversation::Resumed { id, note: "Go on.".into() };
    let resumed = launch(&[], &job);
    let argv = text(&resumed.argv);
    assert!(argv.contains(&format!("--resume {id}")) && !argv.contains("--session-id"), "{argv}");
    assert_eq!(resumed.stdin, b"Go on.");
    job.conversation = Conversation::New { id, note: Some("An earlier attempt was lost.".into()) };
    assert_eq!(launch(&[], &job).stdin, b"do it\n\nAn earlier attempt was lost.");
}

const INIT: &str = r#"{"type":"system","subtype":"init","session_id":"s-1","model":"claude-opus-5-5"}"#;
const DONE: &str = r#"{"type":"result","subtype":"success","is_error":false,"result":"All done.","num_turns":2,
    "terminal_reason":"completed","total_cost_usd":2.008212,"usage":{"input_tokens":1},
    "modelUsage":{"a":{"inputTokens":2000,"outputTokens":100},"b":{"inputTokens":5,"cacheReadInputTokens":60,"cacheCreationInputTokens":40}}}"#;

fn transcript(lines: &[&str], stderr: &str) -> Box<dyn Transcript> {
    let mut job = job("do it");
    job.spec.budget_micro_usd = Some(500_000);
    let mut transcript = Claude::new(None, Environment::default(), PAUSE).transcript(&job);
    for line in lines {
        transcript.record(LogStream::Stdout, line.as_bytes());
    }
    transcript.record(LogStream::Stderr, stderr.as_bytes());
    transcript
}

fn exit(code: i32) -> Exit {
    Exit { code: Some(code), ..Exit::default() }
}

fn conclude(lines: &[&str]) -> Conclusion {
    transcript(lines, "").conclude(&exit(i32::from(!lines.contains(&DONE))), NOW)
}

fn failure(conclusion: Conclusion) -> (FailureReason, String) {
    match conclusion.outcome {
        Outcome::Failed { failure } | Outcome::Limited { failure, .. } => (failure.reason, failure.message),
        outcome => panic!("{outcome:?} is no failure"),
    }
}

/// When trying again can help, of a run that a limit ended.
fn limited_until(conclusion: &Conclusion) -> Option<Timestamp> {
    match conclusion.outcome {
        Outcome::Limited { until, .. } => Some(until),
        _ => None,
    }
}

/// A run whose last request failed, as the CLI tells it.
fn api_error(status: &str, error: &str, words: &str) -> Conclusion {
    let shown = format!(
        r#"{{"type":"assistant","message":{{"model":"<synthetic>","content":[{{"type":"text","text":"{words}"}}]}},
        "error":"{error}","is_api_error_message":true,"api_error_status":{status}}}"#
    );
    let result = format!(
        r#"{{"type":"result","subtype":"success","is_error":true,"terminal_reason":"api_error",
        "api_error_status":{status},"result":"{words}","num_turns":1,"total_cost_usd":0}}"#
    );
    conclude(&[INIT, &shown, &result])
}

#[test]
fn a_completed_run_tells_its_words_and_its_price() {
    let done = conclude(&[INIT, r#"{"type":"news","of":["the","future"]}"#, "not JSON", DONE]);
    assert_eq!((&done.outcome, done.result_text.as_str()), (&Outcome::Succeeded, "All done."));
    assert_eq!(done.agent_session.as_deref(), Some("s-1"));
    let usage = done.usage;
    assert_eq!(
        (usage.cost_micro_usd, usage.turns, usage.model.as_deref()),
        (2_008_212, 2, Some("claude-opus-5-5"))
    );
    let tokens = (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens);
    assert_eq!(tokens, (2005, 100, 60, 40));
}

/// As the CLI printed it of a conversation resumed after a run that cost as much, with a background
/// task that called it back.
#[test]
fn a_resumed_run_is_charged_what_it_used_itself() {
    let run = |total: f64, own: f64, tokens: u64| {
        format!(
            r#"{{"type":"result","subtype":"success","is_error":false,"result":"On.","num_turns":1,"terminal_reason":"completed",
            "total_cost_usd":{total},"modelUsage":{{"a":{{"inputTokens":9000,"outputTokens":900}}}},
            "model_usage_since_last_result":{{"a":{{"inputTokens":{tokens},"outputTokens":34,"costUSD":{own}}}}}}}"#
        )
    };
    let (first, second) = (run(0.01096, 0.00548, 1200), run(0.01644, 0.00548, 1300));
    let usage = transcript(&[INIT, &first, INIT, &second], "").conclude(&exit(0), NOW).usage;
    assert_eq!((usage.cost_micro_usd, usage.input_tokens, usage.output_tokens), (10_960, 2500, 68));
}

#[test]
fn a_conversation_that_is_not_found_is_the_attempts_own_failure() {
    let lost = r#"{"type":"result","subtype":"error_during_execution","is_error":true,"num_turns":0,"total_cost_usd":0,
        "modelUsage":{},"errors":["No conversation found with session ID: 11111111-1111-4111-8111-111111111111"]}"#;
    let (reason, message) = failure(conclude(&[lost]));
    assert_eq!(reason, FailureReason::AgentError, "so that the next attempt begins afresh");
    assert!(message.contains("could not go on with the conversation"), "{message}");
}

#[test]
fn the_apis_answers_are_told_apart() {
    use FailureReason::{AgentError, ApiError, AuthFailed, Rejected, UsageLimit};
    let cases = [
        ("401", "authentication_failed", "Failed to authenticate. API Error: 401 no", AuthFailed),
        ("403", "authentication_failed", "Failed to authenticate. API Error: 403 no", AuthFailed),
        ("null", "authentication_failed", "Not logged in · Please run /login", AuthFailed),
        ("400", "billing_error", "Credit balance is too low", UsageLimit),
        ("429", "rate_limit", "API Error: Request rejected (429) · slow down", UsageLimit),
        ("404", "model_not_found", "There's an issue with the selected model (opus-9).", Rejected),
        ("413", "invalid_request", "Request too large (max 32MB).", AgentError),
        ("400", "invalid_request", "API Error: 400 no", ApiError),
        ("500", "server_error", "API Error: 500 oops", ApiError),
        ("529", "server_error", "API Error: 529 overloaded", ApiError),
        ("null", "connection_failed", "Unable to connect to API (ConnectionRefused)", ApiError),
    ];
    for (status, error, words, expected) in cases {
        let (reason, message) = failure(api_error(status, error, words));
        assert_eq!(reason, expected, "{status} {error}");
        assert!(message.contains(words.trim_end_matches('.')), "the cause is told: {message}");
    }
}

#[test]
fn a_refused_key_is_given_up_at_the_first_retry_and_an_overload_is_not() {
    let retry = |status: u16| {
        format!(
            r#"{{"type":"system","subtype":"api_retry","attempt":1,"max_retries":10,"retry_delay_ms":592,"error_status":{status},"error":"x"}}"#
        )
    };
    let refused = transcript(&[INIT, &retry(401)], "");
    assert_eq!(refused.give_up().unwrap().reason, FailureReason::AuthFailed);
    assert_eq!(transcript(&[INIT, &retry(529)], "").give_up(), None);
    let killed = Exit { signal: Some(9), ..Exit::default() };
    let (reason, message) = failure(transcript(&[INIT, &retry(529)], "").conclude(&killed, NOW));
    assert_eq!(reason, FailureReason::ApiError, "{message}");
}

/// A subscription's run: what the limits' event says, and how the run ended.
fn subscription(status: &str, resets_at: &str) -> Conclusion {
    let limit = format!(
        r#"{{"type":"rate_limit_event","rate_limit_info":{{"status":"{status}","resetsAt":{resets_at},"rateLimitType":"five_hour"}}}}"#
    );
    let shown = r#"{"type":"assistant","message":{"model":"<synthetic>","content":[{"type":"text","text":"You've hit your limit"}]},
        "error":"rate_limit","is_api_error_message":true,"api_error_status":429,"api_error":"usage_limit_reached"}"#;
    let result = r#"{"type":"result","subtype":"success","is_error":true,"terminal_reason":"api_error",
        "api_error_status":429,"api_error":"usage_limit_reached","result":"You've hit your limit"}"#;
    conclude(&[INIT, &limit, shown, result])
}

#[test]
fn a_subscriptions_limit_says_when_it_resets() {
    let limited = subscription("rejected", "1900000000");
    assert_eq!(limited_until(&limited), Some(Timestamp::from_millis(1_900_000_000_000)));
    let (reason, message) = failure(limited);
    assert_eq!(reason, FailureReason::UsageLimit);
    let expected = "You've hit your limit. The limit five_hour resets at 2030-03-17T17:46:40Z";
    assert!(message.ends_with(expected), "{message}");
}

#[test]
fn a_limit_that_does_not_say_when_it_resets_is_waited_out_for_a_while() {
    let a_while = Some(NOW.after(PAUSE));
    let past = subscription("rejected", "1700000000");
    assert_eq!(limited_until(&past), a_while, "a reset that is past has not reset anything");
    assert_eq!(limited_until(&subscription("rejected", "null")), a_while);
    assert_eq!(limited_until(&subscription("allowed_warning", "1900000000")), a_while);
    let keyed = api_error("429", "rate_limit", "API Error: Request rejected (429)");
    assert_eq!(limited_until(&keyed), a_while, "with a key the stream has no reset");
    let credit = api_error("400", "billing_error", "Credit balance is too low");
    assert_eq!(limited_until(&credit), None, "no time brings credit back");
}

#[test]
fn the_tasks_own_limits_are_told_as_such() {
    let budget = r#"{"type":"result","subtype":"error_max_budget_usd","is_error":true,"terminal_reason":"budget_exhausted","total_cost_usd":1.004,"errors":["Reached maximum budget ($0.5)"]}"#;
    let (reason, message) = failure(conclude(&[INIT, budget]));
    assert_eq!(reason, FailureReason::Budget);
    assert_eq!(message, "Claude Code used up its budget of $0.50 (it spent $1.00); raise --budget-usd");
    let turns = r#"{"type":"result","subtype":"error_max_turns","is_error":true,"terminal_reason":"max_turns","num_turns":3,"errors":["Reached maximum number of turns (2)"]}"#;
    assert_eq!(failure(conclude(&[INIT, turns])).0, FailureReason::AgentError);
}

#[test]
fn an_end_without_a_good_result_is_never_a_success() {
    let aborted = r#"{"type":"result","subtype":"success","is_error":false,"terminal_reason":"aborted_tools","result":""}"#;
    let command = r#"{"type":"result","subtype":"success","is_error":false,"num_turns":0,"result":""}"#;
    for lines in [&[INIT, aborted][..], &[INIT, command], &[INIT], &[]] {
        let (reason, _) = failure(transcript(lines, "").conclude(&exit(0), NOW));
        assert_eq!(reason, FailureReason::AgentError, "{lines:?}");
    }
    let flag = transcript(&[], "error: unknown option '--no-such-flag'").conclude(&exit(1), NOW);
    let (_, message) = failure(flag);
    assert_eq!(
        message,
        "Claude Code ended with exit code 1 and no result: error: unknown option '--no-such-flag'"
    );
}

/// Two messages as the CLI printed them, the first in two lines, one for each block of it.
const MESSAGES: [&str; 3] = [
    r#"{"type":"assistant","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-opus-5-5","content":[{"type":"text","text":"Let me look."}],"stop_reason":null,"usage":{"input_tokens":1000,"output_tokens":1,"cache_read_input_tokens":90000,"cache_creation_input_tokens":2000},"context_management":null},"parent_tool_use_id":null,"session_id":"s-1"}"#,
    r#"{"type":"assistant","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-opus-5-5","content":[{"type":"tool_use","id":"toolu_1","name":"Bash","input":{"command":"ls"}}],"stop_reason":null,"usage":{"input_tokens":1000,"output_tokens":1,"cache_read_input_tokens":90000,"cache_creation_input_tokens":2000},"context_management":null},"parent_tool_use_id":null,"session_id":"s-1"}"#,
    r#"{"type":"assistant","message":{"id":"msg_2","type":"message","role":"assistant","model":"claude-opus-5-5","content":[{"type":"text","text":"Two files."}],"stop_reason":null,"usage":{"input_tokens":10,"output_tokens":1,"cache_read_input_tokens":92000,"cache_creation_input_tokens":500},"context_management":null},"parent_tool_use_id":null,"session_id":"s-1"}"#,
];

#[test]
fn a_run_is_given_up_once_its_messages_used_more_than_the_budget() {
    let [text, tool, last] = MESSAGES;
    let given_up = |budget: u64, lines: &[&str]| {
        let mut job = job("do it");
        job.spec.budget_tokens = Some(budget);
        let mut transcript = Claude::new(None, Environment::default(), PAUSE).transcript(&job);
        lines.iter().for_each(|line| transcript.record(LogStream::Stdout, line.as_bytes()));
        transcript.give_up()
    };
    assert_eq!(given_up(3_400, &[INIT, text, tool]), None, "one message, and nothing for the cache's reads");
    let failure = given_up(3_400, &[INIT, text, tool, last]).expect("over it");
    assert_eq!(failure.reason, FailureReason::Budget);
    let message = "Claude Code used 3547 tokens (input 1010, output about 37, written to the cache 2500), \
                   more than its budget of 3400; raise --budget-tokens or split the task";
    assert_eq!(failure.message, message);
    assert_eq!(given_up(3_400, &[INIT, text, tool, last, DONE]), None, "it is done");
    assert!(given_up(3_400, &[INIT, text, tool, last, DONE, INIT]).is_some(), "it goes on");
}

/// What the CLI printed of a command that outlived the turn it was started in.
const BACKGROUND: [&str; 4] = [
    r#"{"type":"system","subtype":"background_tasks_changed","tasks":[{"task_id":"b349pq4i9","task_type":"local_bash","description":"bg"}]}"#,
    r#"{"type":"system","subtype":"task_started","task_id":"b349pq4i9","tool_use_id":"toolu_1","is_backgrounded":true}"#,
    r#"{"type":"system","subtype":"task_notification","task_id":"b349pq4i9","tool_use_id":"toolu_1","status":"completed"}"#,
    r#"{"type":"system","subtype":"background_tasks_changed","tasks":[]}"#,
];

#[test]
fn an_agent_is_done_once_it_waits_for_nothing_in_the_background() {
    let [began, started, ended, none_left] = BACKGROUND;
    let is_done = |lines: &[&str]| transcript(lines, "").is_done();
    assert!(!is_done(&[INIT]));
    assert!(is_done(&[INIT, DONE]));
    assert!(!is_done(&[INIT, began, started, DONE]), "it waits, and says nothing meanwhile");
    assert!(!is_done(&[INIT, began, started, DONE, ended, none_left, INIT]), "it was called back");
    assert!(is_done(&[INIT, began, started, DONE, ended, none_left, INIT, DONE]));
}

#[test]
fn an_agent_that_was_stopped_is_cancelled_unless_it_was_done() {
    let stopped = Exit { stopped: true, ..exit(143) };
    assert_eq!(transcript(&[INIT], "").conclude(&stopped, NOW).outcome, Outcome::Cancelled);
    assert_eq!(transcript(&[INIT, DONE], "").conclude(&stopped, NOW).outcome, Outcome::Succeeded);
    let broken = DONE.replace(r#""is_error":false"#, r#""is_error":true"#);
    let broken = failure(transcript(&[INIT, &broken], "").conclude(&stopped, NOW));
    assert_eq!(broken.0, FailureReason::AgentError, "what it said at its end counts");
    let resumed = transcript(&[INIT, DONE, INIT], "").conclude(&stopped, NOW);
    assert_eq!(resumed.outcome, Outcome::Cancelled, "a background task had called it back");
}
