"""Three nodes on three PostgreSQL under Patroni: failures under load lose no acknowledged write."""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import pytest
from tests.effort import chosen
from tests.failover.cluster import Cluster, cut_off, full_disk, paused, wait_for
from tests.failover.conftest import Figures
from tests.failover.journal import Outcome, compare, done
from tests.failover.load import Load
from tests.failover.machines import Machine
from tests.failover.nodes import Nodes

pytestmark = pytest.mark.failover

FEW: Final = chosen(thorough=5, quick=1)
MEDIAN_SECONDS: Final = 10.0
WORST_SECONDS: Final = 30.0

Failure = Callable[[], AbstractContextManager[None]]


def primary_of(cluster: Cluster) -> Machine:
    """Return the machine of the primary."""
    return wait_for("a primary", cluster.primary)


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
        async with Load(self.nodes, name, self._journal) as load:
            await load.next_acknowledged(time.monotonic())
            for _ in range(times):
                begun, context = time.monotonic(), failure()
                await asyncio.to_thread(context.__enter__)
                seconds.append(await load.next_acknowledged(time.monotonic()) - begun)
                await asyncio.to_thread(context.__exit__, None, None, None)
                await asyncio.to_thread(self.cluster.wait_until_whole)
                await load.next_acknowledged(time.monotonic())
        outcomes, made = load.journal.outcomes(), await self.nodes.made(load.scripts)
        found, counts = compare(outcomes, made), Counter(outcomes.values())
        self._figures.append(
            Figures(
                what,
                seconds,
                counts[Outcome.ACKNOWLEDGED],
                len(found.lost),
                len(found.half_done),
                len(found.done_twice),
            )
        )
        assert compare({}, {}) == found, load.answers
        assert [] == load.unexpected[:5], load.answers
        own = done(outcomes, made)
        assert {script: 1 + own[script] for script in load.scripts} == await self.nodes.versions(load.scripts)
        await self.nodes.check_log()
        assert max(seconds) < WORST_SECONDS
        return seconds


@pytest.fixture
def scenario(cluster: Cluster, nodes: Nodes, figures: list[Figures], tmp_path: Path) -> Scenario:
    """Return the runner of one scenario."""
    return Scenario(cluster, nodes, figures, tmp_path)


async def test_killed_primary(scenario: Scenario) -> None:
    """If PostgreSQL is killed on the primary, writes go on within seconds, and none is lost or done twice."""

    @contextmanager
    def kill() -> Iterator[None]:
        """Kill the primary. Patroni replaces it, and starts it again as a replica."""
        scenario.cluster.kill_primary(primary_of(scenario.cluster), with_patroni=False)
        yield

    seconds = await scenario.check("killed", "kill -9 of the primary", kill, chosen(thorough=20, quick=3))
    assert statistics.median(seconds) < MEDIAN_SECONDS


async def test_lost_machine_of_the_primary(scenario: Scenario) -> None:
    """If PostgreSQL and Patroni are killed on the primary, writes go on when its lock has ended; none is lost."""

    @contextmanager
    def lose() -> Iterator[None]:
        """Kill both, and start Patroni again at the end."""
        primary = primary_of(scenario.cluster)
        scenario.cluster.kill_primary(primary, with_patroni=True)
        yield
        scenario.cluster.start_patroni(primary)

    await scenario.check("lost", "kill -9 of the primary and its Patroni", lose, FEW)


async def test_paused_primary(scenario: Scenario) -> None:
    """If the primary is paused, replaced, and wakes up again, no write is lost or done twice."""
    await scenario.check("paused", "SIGSTOP of the primary", lambda: paused(primary_of(scenario.cluster)), FEW)


async def test_killed_node(scenario: Scenario) -> None:
    """If a node is killed, its clients go on with another node, and none of their writes is lost or done twice."""
    turns = iter(scenario.cluster.machines * FEW)

    @contextmanager
    def kill() -> Iterator[None]:
        """Kill a node, and start it again at the end."""
        machine = next(turns)
        machine.kill("node")
        yield
        scenario.nodes.start(machine)
        scenario.nodes.wait_until_ready(machine)

    await scenario.check("node", "kill -9 of a node", kill, FEW)


async def test_killed_leader_of_etcd(scenario: Scenario) -> None:
    """If the leader of etcd is killed, writes go on, and none is lost or done twice."""

    @contextmanager
    def kill() -> Iterator[None]:
        """Kill the leader, and start it again at the end."""
        machine = wait_for("a leader of etcd", scenario.cluster.etcd_leader)
        machine.kill("etcd")
        yield
        scenario.cluster.start_etcd(machine)

    await scenario.check("etcd", "kill -9 of etcd's leader", kill, FEW)


async def test_full_disk_of_a_replica(scenario: Scenario) -> None:
    """If the disk of the synchronous replica is full, writes go on with the other replica, and none is lost."""
    await scenario.check(
        "full", "full disk of the synchronous replica", lambda: full_disk(scenario.cluster.replica()), FEW
    )


async def test_partition(scenario: Scenario) -> None:
    """If the primary's machine is cut off, the others take over, and no acknowledged write is lost."""
    await scenario.check("cut", "partition around the primary", lambda: cut_off(primary_of(scenario.cluster)), FEW)
