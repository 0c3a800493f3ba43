"""The limit of open files: it is raised as far as possible, a low one is logged, and one too low is refused."""

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
    """Return the simulated soft and hard limit of this process."""
    now = [64, 64]

    def set_to(_: int, limits: tuple[int, int]) -> None:
        """Set the simulated limits."""
        now[:] = limits

    monkeypatch.setattr(resource, "getrlimit", lambda _: (now[0], now[1]))
    monkeypatch.setattr(resource, "setrlimit", set_to)
    return now


@pytest.mark.parametrize(
    ("hard", "connections", "told"),
    [(96, 32, True), (200, 136, True), (256, 128, True), (1000, 872, True), (1024, 896, False),
     (1 << 20, 65_408, False), (resource.RLIM_INFINITY, 65_408, False)],
)  # fmt: skip
def test_the_limit_is_raised_and_a_low_one_logged(
    limits: list[int], hard: int, connections: int, *, told: bool
) -> None:
    """The limit is raised to the hard limit; a low one is logged with the number of connections and the remedy."""
    limits[1] = hard

    with structlog.testing.capture_logs() as logs:
        open_files.raise_open_file_limit()

    assert connections == open_files.max_connections()
    assert hard == limits[1]
    assert [connections] * told == [event["connections"] for event in logs if event["event"] == "files.few"]
    assert all("LimitNOFILE" in event["reason"] for event in logs)


def test_a_limit_too_low_to_serve_is_refused(limits: list[int]) -> None:
    """A limit that is too low to serve is refused."""
    limits[1] = 95
    with pytest.raises(NightsafeError, match="the limit of open files is 95, and serving needs 96; raise it"):
        open_files.raise_open_file_limit()


@pytest.mark.heavy
@pytest.mark.parametrize("command", ["serve", "run"])
def test_a_server_with_a_low_limit_exits_with_a_message(tmp_path: Path, command: str) -> None:
    """A server with a limit that is too low exits at once with a message."""
    code = "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
    code += "from nightsafe.cli.main import main; sys.argv[1:] = [sys.argv[1], '--data', 'x']; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, command], cwd=tmp_path, env=clean_environ(), capture_output=True, text=True,
        check=False,
    )  # fmt: skip

    assert (1, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("nightsafe: the limit of open files is 64, and serving needs 96")
