"""The factory from Python: submit tasks, stream their results as they complete, wait for all, cancel, read stats.

    async with Factory() as factory:
        login, docs = await factory.submit("Fix the flaky login test", Task("Document it", role="docs"))
        async for result in factory.results(login, docs):
            print(result.number, result.state, result.text)

Messages and stubs are made from the project's .proto files when this module is imported: there is no generated code
to keep. It needs grpcio and grpcio-tools.
"""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import grpc

PROTO = Path(os.environ.get("FACTORY_PROTO", Path(__file__).resolve().parents[3] / "proto"))
sys.path.insert(0, str(PROTO))
messages, services = grpc.protos_and_services("factory/v1/task.proto")

DEFAULT_URL = "http://127.0.0.1:8100"
# Tasks of one call to Submit; the coordinator takes no more.
MOST_AT_ONCE = 1000
# Seconds before a broken stream is opened again: the first time, and at most.
PAUSE, LONGEST_PAUSE = 0.1, 5.0
# What says that the coordinator is away or stops, and not that it refuses.
AWAY = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED}
ENDED = {"succeeded", "failed", "cancelled"}


@dataclass(frozen=True)
class Task:
    """What is asked for. Fields of `factory.v1.TaskSpec` that have no place here go into `spec`."""

    prompt: str
    title: str = ""
    repo: str = ""
    agent: str = ""
    role: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    # Tasks that must have ended before it starts: numbers, ids, or `@name` of another in the same call.
    after: tuple[str, ...] = ()
    name: str = ""
    spec: dict[str, object] = field(default_factory=dict)

    def message(self) -> messages.NewTask:
        spec = messages.TaskSpec(
            prompt=self.prompt,
            title=self.title,
            repo=self.repo,
            agent=self.agent,
            role=self.role,
            labels=self.labels,
            **self.spec,
        )
        # With a key of its own, a submit whose answer was lost can be repeated and nothing runs twice.
        key = str(uuid.uuid4())
        return messages.NewTask(spec=spec, idempotency_key=key, name=self.name, after=self.after)


@dataclass(frozen=True)
class Handle:
    """A task that was accepted."""

    id: str
    number: int


@dataclass(frozen=True)
class Result:
    """How a task ended."""

    id: str
    number: int
    title: str
    # succeeded, failed or cancelled.
    state: str
    # The agent's closing words.
    text: str
    # Why it failed or was cancelled; empty: it was not.
    why: str
    branch: str
    commits: tuple[str, ...]
    cost_usd: float

    @property
    def succeeded(self) -> bool:
        return self.state == "succeeded"


@dataclass(frozen=True)
class Stats:
    """How many tasks there are by state, and what they have used."""

    states: dict[str, int]
    cost_usd: float
    workers: int
    slots: int
    busy: int

    @property
    def pending(self) -> int:
        return sum(count for state, count in self.states.items() if state not in ENDED)


class Factory:
    """One connection to a coordinator. Calls raise `grpc.aio.AioRpcError`, whose `details()` say what to do next."""

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        url = url or os.environ.get("FACTORY_URL") or DEFAULT_URL
        token = token or os.environ.get("FACTORY_AUTH_TOKEN")
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._address = url.removeprefix("http://").rstrip("/")

    async def __aenter__(self) -> Factory:
        # Without it gRPC would wait up to two minutes between its own attempts to connect.
        options = (("grpc.max_reconnect_backoff_ms", int(LONGEST_PAUSE * 1000)),)
        self._channel = grpc.aio.insecure_channel(self._address, options=options)
        self._tasks = services.TaskServiceStub(self._channel)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()

    async def submit(self, *tasks: Task | str) -> list[Handle]:
        """Accepts all of them, or of each thousand none. When it returns, they survive a crash."""
        wanted = [Task(task) if isinstance(task, str) else task for task in tasks]
        new = [task.message() for task in wanted]
        handles = []
        for start in range(0, len(new), MOST_AT_ONCE):
            request = messages.SubmitRequest(tasks=new[start : start + MOST_AT_ONCE])
            reply = await self._call(self._tasks.Submit, request)
            handles += [Handle(task.id, task.number) for task in reply.tasks]
        return handles

    async def results(self, *tasks: Handle) -> AsyncIterator[Result]:
        """Each task's result once, in the order in which they end; goes on over restarts of the coordinator."""
        left = {task.id for task in tasks}
        cursor = 0
        pause = PAUSE
        while left:
            try:
                request = messages.WatchRequest(tasks=sorted(left), after=cursor, follow=True, until_ended=True)
                async for reply in self._tasks.Watch(request, metadata=self._metadata):
                    cursor, pause = reply.event.cursor, PAUSE
                    if reply.event.task_id in left and _state(reply.event.state) in ENDED:
                        result = await self.result(reply.event.task_id)
                        left.discard(result.id)
                        yield result
            except grpc.aio.AioRpcError as error:
                if error.code() not in AWAY:
                    raise
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    async def wait(self, *tasks: Handle) -> list[Result]:
        """The results of all, in the order of `tasks`."""
        found = {result.id: result async for result in self.results(*tasks)}
        return [found[task.id] for task in tasks]

    async def run(self, tasks: Iterable[Task | str], *, pending: int) -> AsyncIterator[Result]:
        """Submits at the pace at which results come, so that never more than `pending` have not ended."""
        waiting = iter(tasks)
        collectors: set[asyncio.Task[Result]] = set()
        try:
            while True:
                while len(collectors) < pending and (task := next(waiting, None)) is not None:
                    [handle] = await self.submit(task)
                    collectors.add(asyncio.create_task(self._collect(handle)))
                if not collectors:
                    return
                done, collectors = await asyncio.wait(collectors, return_when=asyncio.FIRST_COMPLETED)
                for collected in done:
                    yield collected.result()
        finally:
            for collector in collectors:
                collector.cancel()

    async def result(self, task: str) -> Result:
        """How a task has ended, or how far it is."""
        reply = await self._call(self._tasks.Get, messages.GetRequest(task=task))
        return _result(reply.task)

    async def cancel(self, task: Handle) -> str:
        """Wishes its end, durably; answers with its state, which is `cancelling` until its worker confirms."""
        reply = await self._call(self._tasks.Cancel, messages.CancelRequest(task=task.id))
        return _state(reply.task.state)

    async def stats(self) -> Stats:
        reply = await self._call(self._tasks.Stats, messages.StatsRequest())
        return Stats(
            states={_state(count.state): count.tasks for count in reply.states},
            cost_usd=reply.cost_micro_usd / 1e6,
            workers=reply.workers,
            slots=reply.slots,
            busy=reply.busy,
        )

    async def _collect(self, task: Handle) -> Result:
        [result] = await self.wait(task)
        return result

    async def _call(self, method, request):
        """A unary call, repeated while the coordinator is away: each of them may safely come twice."""
        pause = PAUSE
        while True:
            try:
                return await method(request, metadata=self._metadata, timeout=30)
            except grpc.aio.AioRpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE or pause > LONGEST_PAUSE:
                    raise
            await asyncio.sleep(pause)
            pause *= 2


def _state(state: int) -> str:
    return messages.TaskState.Name(state).removeprefix("TASK_STATE_").lower()


def _result(task: messages.Task) -> Result:
    failure = f"{task.failure.reason}: {task.failure.message}" if task.HasField("failure") else ""
    return Result(
        id=task.id,
        number=task.number,
        title=task.spec.title,
        state=_state(task.state),
        text=task.report.result_text,
        why=failure or task.cancelled_because,
        branch=task.report.branch,
        commits=tuple(commit.id for commit in task.report.commits),
        cost_usd=task.report.usage.cost_micro_usd / 1e6,
    )
