"""Three nodes on three PostgreSQL under Patroni: failures under load lose no acknowledged write."""

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest
from tests.effort import chosen
from tests.failover.cluster import Cluster, cut_off, paused, wait_for
from tests.failover.figures import Figures, altogether
from tests.failover.machines import Machine
from tests.failover.scenario import MEDIAN_SECONDS, Scenario

pytestmark = pytest.mark.failover

FEW: Final = chosen(thorough=5, quick=1)


def primary_of(cluster: Cluster) -> Machine:
    """Return the machine of the primary."""
    return wait_for("a primary", cluster.primary)


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


@pytest.mark.parametrize("with_patroni", [False, True], ids=["PostgreSQL", "machine"])
async def test_paused_primary(scenario: Scenario, *, with_patroni: bool) -> None:
    """If the primary is paused, replaced, and wakes up again, no write is lost or done twice."""
    what = "SIGSTOP of the primary" + " and its Patroni" * with_patroni
    name = "machine" if with_patroni else "paused"
    await scenario.check(name, what, lambda: paused(primary_of(scenario.cluster), with_patroni=with_patroni), FEW)


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
    """If the disk of a replica is full, writes go on with the other one, and none is lost."""
    await scenario.check(
        "full",
        "full disk of a synchronous replica",
        lambda: scenario.cluster.full_disk(scenario.cluster.replica()),
        FEW,
    )


async def test_partition(scenario: Scenario) -> None:
    """If the primary's machine is cut off, the others take over, and no acknowledged write is lost."""
    await scenario.check("cut", "partition around the primary", lambda: cut_off(primary_of(scenario.cluster)), FEW)


def test_failures_altogether(figures: list[Figures]) -> None:
    """Over all failures of the tests above, the median of the times until writes went on is within its limit."""
    assert statistics.median(altogether(figures).seconds) < MEDIAN_SECONDS
