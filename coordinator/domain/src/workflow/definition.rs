//! What a workflow consists of: as someone wrote it, and as it was found to be sound.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Condition;
use crate::Slug;

/// A workflow that can be run: every name in it means something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    pub name: Slug,
    pub description: String,
    /// How often a loop is gone through again at most.
    pub max_iterations: u32,
    /// At least one.
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What people call it.
    pub name: Slug,
    /// Its agent's role.
    pub agent: Slug,
    /// The earlier step whose output it works on.
    pub input: Option<usize>,
    pub output: Slug,
    /// It runs only if this holds of that step's review.
    pub condition: Option<(Condition, usize)>,
    /// After it, the workflow goes on with this step.
    pub loop_to: Option<usize>,
    /// It changes nothing, and answers with a [`Review`](super::Review).
    pub judges: bool,
    pub prompt: Option<String>,
    pub prompt_template: Option<Slug>,
}

/// A workflow as someone wrote it down, in TOML or YAML.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefinitionDraft {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_iterations: Option<u32>,
    pub steps: Vec<StepDraft>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepDraft {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub agent: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loop_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The name of a template, or the path of a file of that name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_template: Option<String>,
}

/// Something in a definition that does not stand, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionProblem {
    /// Such as `steps[2].loop_to`.
    pub place: String,
    pub why: String,
}

impl fmt::Display for DefinitionProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.place, self.why)
    }
}

const DEFAULT_ITERATIONS: u32 = 3;
const MAX_ITERATIONS: u32 = 100;
const MAX_STEPS: usize = 50;
/// Roles whose steps judge even where no condition asks for their verdict.
const REVIEWERS: [&str; 2] = ["reviewer", "review"];

impl DefinitionDraft {
    /// Everything that is wrong at once. Whether its roles and templates exist is for the library to say.
    pub fn validate(&self, name: &str) -> Result<Definition, Vec<DefinitionProblem>> {
        let mut problems = Problems::default();
        let name = problems.slug("name".to_owned(), name);
        if self.steps.is_empty() || self.steps.len() > MAX_STEPS {
            problems.add("steps", format!("must be 1 to {MAX_STEPS}, and are {}", self.steps.len()));
        }
        let max_iterations = self.max_iterations.unwrap_or(DEFAULT_ITERATIONS);
        if max_iterations == 0 || max_iterations > MAX_ITERATIONS {
            problems.add("max_iterations", format!("must lie between 1 and {MAX_ITERATIONS}"));
        }
        self.check_outputs(&mut problems);
        let steps: Vec<_> = (0..self.steps.len()).map(|index| self.step(index, &mut problems)).collect();
        match (name, steps.into_iter().collect::<Option<Vec<_>>>()) {
            (Some(name), Some(mut steps)) if problems.0.is_empty() => {
                let read: BTreeSet<usize> =
                    steps.iter().filter_map(|step| step.condition).map(|(_, step)| step).collect();
                for index in read {
                    steps[index].judges = true;
                }
                Ok(Definition { name, description: self.description.clone(), max_iterations, steps })
            }
            _ => Err(problems.0),
        }
    }

    fn check_outputs(&self, problems: &mut Problems) {
        let mut seen = BTreeSet::new();
        for (index, step) in self.steps.iter().enumerate() {
            for (field, name) in [("output", &step.output), ("name", &step.name)] {
                if let Some(name) = name
                    && !seen.insert((field, name))
                {
                    problems
                        .add(format!("steps[{index}].{field}"), format!("`{name}` is an earlier step's too"));
                }
            }
        }
    }

    /// `None`: something was wrong with it.
    fn step(&self, index: usize, problems: &mut Problems) -> Option<Step> {
        let draft = &self.steps[index];
        let place = |field: &str| format!("steps[{index}].{field}");
        let agent = problems.slug(place("agent"), &draft.agent);
        let own_name = draft.name.as_ref().or(draft.output.as_ref()).unwrap_or(&draft.agent);
        let name = problems.slug(place("name"), own_name);
        let output = match &draft.output {
            Some(output) => problems.slug(place("output"), output),
            None => problems.slug(place("output"), &format!("step_{}", index + 1)),
        };
        let input = draft.input.as_ref().and_then(|wanted| {
            let found = self.steps[..index].iter().position(|step| step.output.as_ref() == Some(wanted));
            if found.is_none() {
                problems.add(
                    place("input"),
                    format!("`{wanted}` is no output of an earlier step{}", self.outputs(index)),
                );
            }
            found
        });
        let loop_to = draft.loop_to.as_ref().and_then(|wanted| {
            let found = self.steps[..=index].iter().position(|step| step.goes_by(wanted));
            if found.is_none() {
                problems.add(
                    place("loop_to"),
                    format!("`{wanted}` is no output or name of an earlier step{}", self.outputs(index)),
                );
            }
            found
        });
        let condition = self.condition(index, input, problems);
        if draft.prompt.is_some() && draft.prompt_template.is_some() {
            problems.add(place("prompt"), "stands beside a prompt_template; keep one");
        }
        let prompt_template = draft
            .prompt_template
            .as_ref()
            .and_then(|path| problems.slug(place("prompt_template"), template_name(path)));
        let judges = REVIEWERS.contains(&draft.agent.as_str());
        Some(Step {
            name: name?,
            agent: agent?,
            input,
            output: output?,
            condition,
            loop_to,
            judges,
            prompt: draft.prompt.clone(),
            prompt_template,
        })
    }

    /// A condition reads the review that the step works on, else the nearest one before it. Where no
    /// reviewer comes before it, its input is taken for the review, whoever gives it.
    fn condition(
        &self,
        index: usize,
        input: Option<usize>,
        problems: &mut Problems,
    ) -> Option<(Condition, usize)> {
        let draft = &self.steps[index];
        let wanted = draft.condition.as_deref()?;
        let place = format!("steps[{index}].condition");
        let Some(condition) = Condition::ALL.into_iter().find(|known| known.as_str() == wanted) else {
            let known = Condition::ALL.map(Condition::as_str).join(", ");
            problems.add(place, format!("`{wanted}` is no condition; there are: {known}"));
            return None;
        };
        let is_review = |step: &StepDraft| REVIEWERS.contains(&step.agent.as_str());
        let read = input
            .filter(|&input| is_review(&self.steps[input]))
            .or_else(|| self.steps[..index].iter().rposition(is_review))
            .or(input);
        if read.is_none() && draft.input.is_none() {
            problems.add(place, "has no review to read: name one with `input`");
        }
        read.map(|read| (condition, read))
    }

    fn outputs(&self, before: usize) -> String {
        let known: Vec<_> = self.steps[..before].iter().filter_map(|step| step.output.as_deref()).collect();
        if known.is_empty() { String::new() } else { format!("; there are: {}", known.join(", ")) }
    }
}

impl StepDraft {
    fn goes_by(&self, name: &str) -> bool {
        self.output.as_deref() == Some(name) || self.name.as_deref() == Some(name)
    }
}

/// `prompts/coder_revision.md` means the template `coder_revision`.
fn template_name(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split('.').next().unwrap_or(file)
}

#[derive(Default)]
struct Problems(Vec<DefinitionProblem>);

impl Problems {
    fn add(&mut self, place: impl Into<String>, why: impl Into<String>) {
        self.0.push(DefinitionProblem { place: place.into(), why: why.into() });
    }

    fn slug(&mut self, place: String, text: &str) -> Option<Slug> {
        Slug::parse(text).map_err(|error| self.add(place, error.to_string())).ok()
    }
}

impl Definition {
    /// Whether a later step goes on with the conversation of this one: the same role works on
    /// the same branch again. Who judges begins afresh each time.
    pub fn is_gone_on_with(&self, step: usize) -> bool {
        let Some(this) = self.steps.get(step).filter(|this| !this.judges) else { return false };
        let returns_to = self.steps.iter().filter_map(|step| step.loop_to).min().unwrap_or(usize::MAX);
        self.steps.iter().enumerate().any(|(index, other)| {
            let later = index > step || index >= returns_to;
            later && !other.judges && other.input.is_some() && other.agent == this.agent
        })
    }

    /// As it could have been written.
    pub fn to_draft(&self) -> DefinitionDraft {
        let output = |step: usize| self.steps[step].output.to_string();
        let steps = self.steps.iter().map(|step| StepDraft {
            name: (step.name != step.output).then(|| step.name.to_string()),
            agent: step.agent.to_string(),
            input: step.input.map(output),
            output: Some(step.output.to_string()),
            condition: step.condition.map(|(condition, _)| condition.as_str().to_owned()),
            loop_to: step.loop_to.map(output),
            prompt: step.prompt.clone(),
            prompt_template: step.prompt_template.as_ref().map(ToString::to_string),
        });
        DefinitionDraft {
            description: self.description.clone(),
            max_iterations: Some(self.max_iterations),
            steps: steps.collect(),
        }
    }
}
