"""The cluster and the nodes that all scenarios share, and the table of their figures."""

import statistics
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import pytest
from msgspec import Struct
from tests.failover.cluster import Cluster
from tests.failover.nodes import Nodes

_TABLE: Final = Path(__file__).parents[2] / ".cache" / "failover.md"
_HEAD: Final = """\
| failure | times | next acknowledged write, median | worst | acknowledged | lost | half done | done twice |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


class Figures(Struct):
    """The figures of one scenario.

    Attributes:
        failure: the failure.
        seconds: for each time, the seconds from the failure to the next acknowledged write.
        acknowledged: the number of acknowledged writes.
        lost: the number of these that are not there.
        half_done: the number of writes that are there in one of two parts.
        done_twice: the number of writes that are there more than once.
    """

    failure: str
    seconds: list[float]
    acknowledged: int
    lost: int
    half_done: int
    done_twice: int

    def row(self) -> str:
        """Return the figures as a row of the table."""
        median, worst = statistics.median(self.seconds), max(self.seconds)
        return (
            f"| {self.failure} | {len(self.seconds)} | {median:.1f} s | {worst:.1f} s | {self.acknowledged:,} |"
            f" {self.lost} | {self.half_done} | {self.done_twice} |\n"
        )


_FIGURES: Final[list[Figures]] = []


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Yield the cluster. `make test-failover` also ends its mounts and network, and all of it if it is killed."""
    folder = Path(mkdtemp(prefix="failover-", dir="/run"))
    folder.chmod(0o755)
    cluster = Cluster(folder)
    yield cluster
    for machine in cluster.machines:
        machine.end()


@pytest.fixture(scope="session")
def nodes(cluster: Cluster) -> Nodes:
    """Return the nodes of Nightsafe on the cluster."""
    return Nodes(cluster, cluster.machines[0].disk.parent)


@pytest.fixture
def figures() -> list[Figures]:
    """Return the list that the scenarios add their figures to."""
    return _FIGURES


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table, and write it to `.cache/failover.md`."""
    if _FIGURES:
        table = _HEAD + "".join(one.row() for one in _FIGURES)
        _TABLE.parent.mkdir(exist_ok=True)
        _TABLE.write_text(table)
        terminalreporter.write_line(table)
