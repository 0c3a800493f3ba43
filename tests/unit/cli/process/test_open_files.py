"""The limit of open files is raised as far as it may be; a low one is told at start, one that is too low refused."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest
import structlog
from tests.server import clean_environ

from nightsafe.cli.process import open_files
from nightsafe.errors import NightsafeError


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Soft and hard limit of this process, as far as it knows."""
    now = [64, 64]

    def set_to(_: int, limits: tuple[int, int]) -> None:
        """In place of the system."""
        now[:] = limits

    monkeypatch.setattr(resource, "getrlimit", lambda _: (now[0], now[1]))
    monkeypatch.setattr(resource, "setrlimit", set_to)
    return now


@pytest.mark.parametrize(
    ("hard", "connections", "told"),
    [(96, 32, True), (200, 136, True), (256, 128, True), (1000, 872, True), (1024, 896, False),
     (1 << 20, 65_408, False), (resource.RLIM_INFINITY, 65_408, False)],
)  # fmt: skip
def test_it_is_raised_and_told(limits: list[int], hard: int, connections: int, *, told: bool) -> None:
    """As far as the hard limit; one that leaves few connections is logged with their number and the way out."""
    limits[1] = hard

    with structlog.testing.capture_logs() as logs:
        open_files.allow_many()

    assert connections == open_files.connections()
    assert hard == limits[1]
    assert [connections] * told == [one["connections"] for one in logs if one["event"] == "files.few"]
    assert all("LimitNOFILE" in one["reason"] for one in logs)


def test_too_few_are_refused(limits: list[int]) -> None:
    """What cannot serve anybody does not begin."""
    limits[1] = 95
    with pytest.raises(NightsafeError, match="the limit of open files is 95, and serving needs 96; raise it"):
        open_files.allow_many()


@pytest.mark.parametrize("command", ["serve", "run"])
def test_a_server_that_may_open_too_few(tmp_path: Path, command: str) -> None:
    """Says so at once, instead of being silent to who connects."""
    code = "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
    code += "from nightsafe.cli.main import main; sys.argv[1:] = [sys.argv[1], '--data', 'x']; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, command], cwd=tmp_path, env=clean_environ(), capture_output=True, text=True,
        check=False,
    )  # fmt: skip

    assert (1, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("nightsafe: the limit of open files is 64, and serving needs 96")
