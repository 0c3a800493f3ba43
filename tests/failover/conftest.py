"""The cluster and the nodes that all scenarios share, and the table of their figures."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import pytest
from tests.failover.cluster import Cluster
from tests.failover.figures import Figures, table
from tests.failover.nodes import Nodes
from tests.failover.scenario import Scenario

_CACHE: Final = Path(__file__).parents[2] / ".cache"
_TABLE: Final = _CACHE / "failover.md"
_LOGS: Final = _CACHE / "failover-logs"
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
    shutil.rmtree(_LOGS, ignore_errors=True)
    _LOGS.mkdir(parents=True)
    for log in folder.glob("*.log"):
        shutil.copy(log, _LOGS)


@pytest.fixture(scope="session")
def nodes(cluster: Cluster) -> Nodes:
    """Return the nodes of Nightsafe on the cluster."""
    return Nodes(cluster, cluster.machines[0].disk.parent)


@pytest.fixture
def figures() -> list[Figures]:
    """Return the list that the scenarios add their figures to."""
    return _FIGURES


@pytest.fixture
def scenario(cluster: Cluster, nodes: Nodes, figures: list[Figures], tmp_path: Path) -> Scenario:
    """Return the runner of one scenario."""
    return Scenario(cluster, nodes, figures, tmp_path)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table, and write it to `.cache/failover.md`."""
    if _FIGURES:
        _CACHE.mkdir(exist_ok=True)
        _TABLE.write_text(table(_FIGURES))
        terminalreporter.write_line(table(_FIGURES))
