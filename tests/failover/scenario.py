"""Runs a failure under load, and compares the safe with what the clients know."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Final

from tests.effort import chosen
from tests.failover.cluster import DATABASE, Cluster
from tests.failover.figures import Figures
from tests.failover.journal import Outcome
from tests.failover.load import Load
from tests.failover.nodes import Nodes
from tests.failover.safe import problems

_SLACK: Final = chosen(thorough=1, quick=2)
"""A thorough round measures, on an idle machine. A quick one also has to succeed beside other work."""

MEDIAN_SECONDS: Final = 10.0 * _SLACK
WORST_SECONDS: Final = 30.0 * _SLACK

Failure = Callable[[], AbstractContextManager[None]]


class Scenario:
    """Runs a failure several times under load, and compares the safe with the clients' journal.

    Args:
        cluster: the cluster.
        nodes: the nodes.
        figures: gets the figures.
        tmp_path: a folder for the journal.
    """

    def __init__(self, cluster: Cluster, nodes: Nodes, figures: list[Figures], tmp_path: Path) -> None:
        self.cluster = cluster
        self.nodes = nodes
        self._figures = figures
        self._journal = tmp_path / "journal.jsonl"

    def load(self, name: str) -> Load:
        """Return the clients, which begin when the load is entered; `name` begins the scripts' names."""
        return Load(self.nodes, name, self._journal)

    async def check(self, name: str, what: str, failure: Failure, times: int) -> list[float]:
        """Check that no write is lost, half done or done twice. Return the seconds until writes went on.

        Args:
            name: the beginning of the scripts' names.
            what: the failure, for the table.
            failure: makes the failure when it is entered, and ends it when it is left.
            times: how often.
        """
        await asyncio.to_thread(self.cluster.wait_until_whole)
        seconds = []
        async with self.load(name) as load:
            await load.next_acknowledged(time.monotonic())
            for _ in range(times):
                begun = time.monotonic()
                async with _in_thread(failure()):
                    seconds.append(await load.next_acknowledged(time.monotonic()) - begun)
                await asyncio.to_thread(self.cluster.wait_until_whole)
                await load.next_acknowledged(time.monotonic())
        found = await self.problems(load)
        acknowledged = Counter(load.journal.outcomes().values())[Outcome.ACKNOWLEDGED]
        counts = [len(found.get(kind, [])) for kind in ("lost", "half_done", "done_twice")]
        self._figures.append(Figures(what, seconds, acknowledged, *counts))
        assert {} == found, load.answers
        assert [] == load.unexpected[:5], load.answers
        assert max(seconds) < WORST_SECONDS
        return seconds

    async def problems(self, load: Load, tampering: str | None = None) -> dict[str, list[object]]:
        """Return what is wrong with the safe, by kind, after a statement that is undone."""
        db = await self.cluster.connect(DATABASE)
        transaction = db.transaction(isolation="repeatable_read")
        await transaction.start()
        try:
            if tampering is not None:
                assert not (await db.execute(tampering)).endswith(" 0")
            return await problems(db, self.nodes, load)
        finally:
            await transaction.rollback()
            await db.close()


@asynccontextmanager
async def _in_thread(context: AbstractContextManager[None]) -> AsyncIterator[None]:
    """Enter and leave a context in other threads, so that the clients go on."""
    await asyncio.to_thread(context.__enter__)
    try:
        yield
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)
