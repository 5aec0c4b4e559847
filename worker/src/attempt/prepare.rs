//! Making ready: the workspace, the set-up script, and the agent's start.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use factory_domain::{BranchName, Failure, FailureReason, RepoSource};
use tokio_util::sync::CancellationToken;

use super::assignment::{Place, Progress};
use super::continuity::Workspace;
use super::journal::Journal;
use super::machine::Input;
use super::now;
use super::run::{Work, worker_error};
use crate::agent_host::Shared;
use crate::agents::Job;
use crate::blocking;
use crate::environment::ATTEMPT_MARKER;
use crate::repo::{Merge, Request};
use crate::shim::{self, ShimError};
use crate::spool::write_privately;
use crate::{setup, workspace};

impl Work {
    /// Makes the workspace and runs the set-up script. Cancelling the token ends either early.
    pub async fn prepare(&mut self, token: &CancellationToken) -> Input {
        match self.make_ready(token).await {
            Ok(()) => Input::Prepared,
            Err(failure) => Input::PreparationFailed(failure),
        }
    }

    async fn make_ready(&mut self, token: &CancellationToken) -> Result<(), Failure> {
        if !self.pick_up().await? {
            self.make_place(token).await?;
        }
        // No agent begins that could outlive its lease. An order to end it ends the waiting.
        let Shared { lease, roster, config, .. } = &*self.host;
        let leased = async {
            lease.granted(|| config.shims.now()).await;
            roster.covered(self.assignment.attempt).await;
        };
        let _ = token.run_until_cancelled(leased).await;
        Ok(())
    }

    async fn make_place(&mut self, token: &CancellationToken) -> Result<(), Failure> {
        self.progress(Progress::Preparing).await.map_err(worker_error)?;
        let journal = self.journal().await.map_err(worker_error)?;
        let place = match self.continues() {
            Some(from) => {
                let mut place = self.go_on(from, &journal, token).await?;
                self.take_over(&mut place).await?;
                place
            }
            None => match self.take_by_hand(&journal).await? {
                Some(place) => place,
                None => self.make_workspace(&journal, token).await?,
            },
        };
        self.tell_of_conflict(&place);
        // On disk before the script runs, so that whatever ends it, the worktree is known and goes.
        self.progress(Progress::Prepared { place: place.clone() }).await.map_err(worker_error)?;
        let past = self.assignment.past.as_ref();
        if past.is_some_and(|past| past.workspace == Workspace::Same) {
            return Ok(());
        }
        self.set_up(&place, &journal, token).await
    }

    /// A workspace that nobody has worked in.
    pub(super) async fn make_workspace(
        &self,
        journal: &Journal,
        token: &CancellationToken,
    ) -> Result<Place, Failure> {
        match self.assignment.spec.repo.clone() {
            Some(source) => self.check_out(&source, journal, token).await,
            None => self.make_directory(journal).await.map_err(worker_error),
        }
    }

    async fn check_out(
        &self,
        source: &RepoSource,
        journal: &Journal,
        token: &CancellationToken,
    ) -> Result<Place, Failure> {
        let spec = &self.assignment.spec;
        let branch = spec
            .branch
            .clone()
            .unwrap_or_else(|| BranchName::for_attempt(&self.assignment.attempt.short(), &spec.title));
        let workspace = self.workspace_path();
        let upstreams = self.incoming(token).await?;
        let request = Request {
            source,
            base: spec.base.as_ref(),
            attempt: self.assignment.attempt,
            branch: &branch,
            merge: Merge { upstreams: &upstreams, on_conflict: spec.on_conflict },
            workspace: &workspace,
            goes_on: false,
            token,
        };
        let worktree = self.host.repos.checkout(&request, &|text| journal.note(text)).await;
        let worktree = worktree.map_err(|error| {
            if !error.is_cancelled() {
                journal.note(error.to_string());
            }
            error.failure()
        })?;
        journal.note(format!(
            "worktree ready at {} on branch {} from {}",
            worktree.path.display(),
            worktree.branch,
            worktree.base_commit.get(..12).unwrap_or(&worktree.base_commit)
        ));
        Ok(Place::Worktree(Box::new(worktree)))
    }

    async fn make_directory(&self, journal: &Journal) -> io::Result<Place> {
        let path = self.workspace_path();
        workspace::create(&path).await?;
        journal.note(format!("empty workspace ready at {}", path.display()));
        Ok(Place::Directory { path })
    }

    async fn set_up(
        &self,
        place: &Place,
        journal: &Journal,
        token: &CancellationToken,
    ) -> Result<(), Failure> {
        let spec = &self.assignment.spec;
        let Some(script) = &spec.setup else { return Ok(()) };
        journal.note(format!("running the set-up script {script}"));
        let env = self.setup_environment();
        let mut on_line = |line: &[u8]| journal.setup_line(line);
        let ran = setup::run(place.path(), script, spec.setup_timeout, &env, &mut on_line, token).await;
        // What left the script's process group carries the attempt's marker.
        self.sweep().await;
        ran.map_err(|error| {
            if !error.is_cancelled() {
                journal.note(error.to_string());
            }
            error.failure()
        })
    }

    fn setup_environment(&self) -> BTreeMap<OsString, OsString> {
        let mut env = self.host.config.agents.environment.base();
        env.insert(ATTEMPT_MARKER.into(), self.assignment.attempt.to_string().into());
        env
    }

    /// Starts the agent under its shim, unless the token was cancelled before.
    pub async fn start(&mut self, token: &CancellationToken) -> Input {
        match self.launch(token).await {
            Ok(()) => Input::Started,
            Err(failure) => Input::StartFailed(failure),
        }
    }

    async fn launch(&mut self, token: &CancellationToken) -> Result<(), Failure> {
        let unavailable = |message: String| Failure { reason: FailureReason::AgentUnavailable, message };
        let place = self.assignment.place().cloned();
        let place = place.ok_or_else(|| worker_error("the attempt has no workspace"))?;
        self.take_seat().await.map_err(worker_error)?;
        let crew = &self.host.crew;
        let agent = crew.find(self.assignment.spec.agent).map_err(unavailable)?;
        // Its login may have been refused since the offer: then it was not started, and has not failed.
        crew.take(self.assignment.spec.agent, self.assignment.attempt).map_err(unavailable)?;
        let job = self.job().map_err(|error| worker_error(&error))?;
        let launch = agent.launch(&job).map_err(|error| unavailable(error.to_string()))?;
        let files = launch.files.clone();
        let written = blocking::run(move || {
            files.iter().try_for_each(|file| write_privately(&file.path, &file.content))
        });
        written.await.map_err(worker_error)?;
        let directory = self.working_directory(&job)?;
        self.close_journal();
        // Before the start: a worker that dies in between finds out by the shim whether there was one.
        self.progress(Progress::Started { place, at_time: now() })
            .await
            .map_err(|error| worker_error(&error))?;
        let config = &self.host.config;
        // Known before the last look for orders: a heartbeat that moves it on after that may be the
        // one that says that the attempt was given up.
        let start_by = self.host.lease.deadline();
        tokio::task::yield_now().await;
        if token.is_cancelled() {
            return Err(worker_error("the attempt was to end before its agent was started"));
        }
        let limits = shim::Limits { start_by, grace: config.kill_grace, spool: config.max_spool };
        let lease = self.host.lease.path();
        let started = config.shims.start(&self.spool, &directory, &launch, lease, limits);
        match started.await {
            Ok(shim) => {
                tracing::info!(shim = shim.pid(), agent = %self.assignment.spec.agent, "agent started");
                self.shim = Some(shim);
                Ok(())
            }
            Err(error @ ShimError::NotStarted { .. }) => Err(unavailable(error.to_string())),
            Err(error) => Err(worker_error(error)),
        }
    }

    /// Where the agent works: in the workspace, or in the directory of it that the task names. A link may not lead
    /// it out.
    fn working_directory(&self, job: &Job) -> Result<PathBuf, Failure> {
        let Some(directory) = &job.spec.directory else { return Ok(job.workspace.clone()) };
        let inside = || {
            let path = job.workspace.join(directory).canonicalize().ok()?;
            (path.is_dir() && path.starts_with(job.workspace.canonicalize().ok()?)).then_some(path)
        };
        inside().ok_or_else(|| Failure {
            reason: FailureReason::SetupFailed,
            message: format!(
                "the task's directory `{directory}` is none of its repository; name one with --directory"
            ),
        })
    }
}
