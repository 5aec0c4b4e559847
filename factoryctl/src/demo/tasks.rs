//! The six tasks of the demo. For the scripted agent a prompt holds the steps it
//! takes; Claude Code is told what is wanted. One task fails at first in either case,
//! so that a retry is seen; it is always the scripted agent's, and costs nothing.

use std::path::Path;

use factory_domain::AgentKind;
use factory_proto::v1;

struct Job {
    title: &'static str,
    wanted: &'static str,
    steps: &'static str,
}

const JOBS: [Job; 5] = [
    Job {
        title: "Explain how to use it",
        wanted: "Add a short section `Usage` to README.md with one example command.",
        steps: "say I read the README first.\n\
                run cat README.md\n\
                sleep 1800\n\
                append README.md \\n## Usage\\n\\n    python -m tally FILE...\n\
                sleep 1200\n\
                commit Explain how to use it\n\
                say The README has a section on usage now.",
    },
    Job {
        title: "Count characters as well",
        wanted: "Add a function `characters(text)` to tally/count.py that returns the number of characters.",
        steps: "say I look at what can be counted already.\n\
                run cat tally/count.py\n\
                sleep 2200\n\
                append tally/count.py \\n\\ndef characters(text):\\n    return len(text)\n\
                commit Count characters as well\n\
                sleep 1000\n\
                say tally.count has characters() now.",
    },
    Job {
        title: "Test the counting of words",
        wanted: "Add tests/test_count.py with two small unittest tests of tally.count.words.",
        steps: "say I write the tests before I trust the code.\n\
                sleep 1400\n\
                write tests/__init__.py \n\
                write tests/test_count.py import unittest\\n\\nfrom tally.count import words\\n\\n\\nclass Words(unittest.TestCase):\\n    def test_empty(self):\\n        self.assertEqual(words(\"\"), 0)\\n\\n    def test_two(self):\\n        self.assertEqual(words(\"one two\"), 2)\n\
                sleep 1800\n\
                run git status --short\n\
                commit Test the counting of words\n\
                say Two tests were added.",
    },
    Job {
        title: "Mend the counting of lines",
        wanted: "tally.count.lines counts one line too many where the text ends with a line break. Mend it.",
        steps: "say A text that ends with a line break has one line less than split says.\n\
                run cat tally/count.py\n\
                sleep 2000\n\
                write tally/count.py def words(text):\\n    return len(text.split())\\n\\n\\ndef lines(text):\\n    return len(text.splitlines())\n\
                commit Mend the counting of lines\n\
                sleep 800\n\
                say lines() uses splitlines() now.",
    },
    Job {
        title: "Start a changelog",
        wanted: "Add CHANGELOG.md with an entry for each commit so far, newest first.",
        steps: "run git log --oneline\n\
                sleep 2400\n\
                write CHANGELOG.md # Changelog\\n\\n- Greet on the command line\\n- Count words\\n- Begin with a README\n\
                commit Start a changelog\n\
                sleep 600\n\
                say CHANGELOG.md lists what came so far.",
    },
];

const FAILS_AT_FIRST: &str = "say I ask for the licence of the project.\n\
                              sleep 1000\n\
                              fail-once The network was away for a moment (on purpose, so that you see a retry).\n\
                              write LICENSE You may do with this what you like.\n\
                              commit Say what others may do with this\n\
                              sleep 600\n\
                              say It worked the second time.";

/// The tasks, for `agent` to do in `repository`.
pub fn all(agent: AgentKind, repository: &Path) -> Vec<v1::NewTask> {
    let task = |title: &str, agent: AgentKind, prompt: &str| v1::NewTask {
        spec: Some(v1::TaskSpec {
            title: title.to_owned(),
            prompt: prompt.to_owned(),
            agent: agent.to_string(),
            repo: repository.to_string_lossy().into_owned(),
            // A demo should not run for long, nor cost much, whatever happens.
            timeout_ms: Some(180_000),
            budget_micro_usd: (agent == AgentKind::Claude).then_some(500_000),
            ..v1::TaskSpec::default()
        }),
        ..v1::NewTask::default()
    };
    let prompt = |job: &Job| match agent {
        AgentKind::Claude => format!("{} Then commit. Keep it small.", job.wanted),
        AgentKind::Command | AgentKind::Scripted => job.steps.to_owned(),
    };
    let mut tasks: Vec<_> = JOBS.iter().map(|job| task(job.title, agent, &prompt(job))).collect();
    tasks.insert(2, task("Add a licence (fails at first)", AgentKind::Scripted, FAILS_AT_FIRST));
    tasks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_would_be_accepted() {
        for agent in [AgentKind::Claude, AgentKind::Scripted] {
            let tasks = all(agent, Path::new("/srv/app"));
            assert_eq!(tasks.len(), 6);
            for task in tasks {
                let spec = task.spec.expect("a spec");
                assert!(factory_proto::convert::spec_from_wire(spec).is_ok());
            }
        }
    }
}
