"""The client against a live factory, whose address is in FACTORY_URL and which has a worker with four slots."""

import asyncio

import grpc
import pytest

from factory_client import Factory, Task


def scripted(*steps: str, **fields) -> Task:
    return Task("\n".join(steps), agent="scripted", **fields)


# One loop for all: gRPC keeps to the first one it meets.
RUNNER = asyncio.Runner()


def in_a_factory(test):
    async def run():
        async with Factory() as factory:
            await asyncio.wait_for(test(factory), timeout=80)

    return RUNNER.run(run())


def test_results_come_in_the_order_in_which_tasks_end():
    async def test(factory):
        slow, fast = await factory.submit(
            scripted("sleep 60000", "say late", title="slow"),
            scripted("say soon", title="fast"),
        )
        results = factory.results(slow, fast)
        first = await anext(results)
        assert (first.id, first.state, first.text) == (fast.id, "succeeded", "soon")
        assert await factory.cancel(slow) in ("cancelling", "cancelled")
        second = await anext(results)
        assert (second.id, second.state, second.text) == (slow.id, "cancelled", "")
        with pytest.raises(StopAsyncIteration):
            await anext(results)

    in_a_factory(test)


def test_all_are_waited_for_in_the_order_asked_for():
    async def test(factory):
        tasks = await factory.submit(
            scripted("sleep 200", "say one", name="one"),
            scripted("fail two went wrong", spec={"max_attempts": 1}),
            scripted("say three", after=("@one",)),
        )
        one, two, three = await factory.wait(*tasks)
        assert (one.text, three.text) == ("one", "three")
        assert two.state == "failed" and "two went wrong" in two.why

    in_a_factory(test)


def test_no_more_are_pending_than_was_said():
    async def test(factory):
        tasks = (scripted("sleep 50", f"say {number}", title="paced") for number in range(9))
        most = 0
        texts = []
        async for result in factory.run(tasks, pending=3):
            texts.append(result.text)
            most = max(most, (await factory.stats()).pending)
        assert sorted(texts) == [str(number) for number in range(9)]
        assert 1 <= most <= 3

    in_a_factory(test)


def test_stats_count_by_state_and_say_what_the_fleet_has():
    async def test(factory):
        before = await factory.stats()
        [task] = await factory.submit(scripted("say done", "cost 0.25"))
        await factory.wait(task)
        after = await factory.stats()
        assert after.states["succeeded"] == before.states.get("succeeded", 0) + 1
        assert after.cost_usd == pytest.approx(before.cost_usd + 0.25)
        assert (after.workers, after.slots) == (1, 4)

    in_a_factory(test)


def test_what_is_refused_says_why_and_changes_nothing():
    async def test(factory):
        before = sum((await factory.stats()).states.values())
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await factory.submit(scripted("say x"), Task("x", agent="nobody"))
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "tasks[1].agent" in refused.value.details()
        assert sum((await factory.stats()).states.values()) == before
        async with Factory(token="wrong") as stranger:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stranger.stats()
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED

    in_a_factory(test)
