"""Submits two tasks and prints a line for each that ends, whatever becomes of the coordinator meanwhile."""

import asyncio

from factory_client import Factory, Task


async def main() -> None:
    async with Factory() as factory:
        fast, slow = await factory.submit(
            Task("say fast", agent="scripted"),
            Task("sleep 3000\nsay slow", agent="scripted"),
        )
        async for result in factory.results(fast, slow):
            print(result.state, result.text, flush=True)


asyncio.run(main())
