"""Fixtures that several suites share: a server, an environment without settings, and no sockets in unit tests."""

import asyncio
import copy
import gc
import logging
import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
import structlog
from pytest_socket import disable_socket, enable_socket
from tests import effort
from tests.postgres.databases import Databases
from tests.postgres.server import PostgresServer
from tests.server import Safe, Server, make_safe

_UNIT = Path(__file__).parent / "unit"
_MEMORY = Path("/dev/shm")  # noqa: S108 - pytest creates a folder there that others cannot enter
_ROOM = 4 << 30
_SETTINGS = ("NIGHTSAFE_", "CLOUDFLARE_", "WRANGLER_", "VAULT_", "BAO_", "PYTEST_ADDOPTS")


def pytest_configure() -> None:
    """Keep the files of the tests in memory if there is room: a store mostly waits for the disk.

    `PYTEST_DEBUG_TEMPROOT` names another place.
    """
    try:
        room = os.statvfs(_MEMORY)
    except OSError:
        return
    free = room.f_bavail * room.f_frsize
    if free >= _ROOM and not room.f_flag & os.ST_NOEXEC and os.access(_MEMORY, os.W_OK):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


def pytest_xdist_auto_num_workers() -> int:
    """Return one and a half processes for each processor: the tests wait for a third of their time."""
    return max(1, len(os.sched_getaffinity(0)) * 3 // 2)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect the tests without garbage collections, which would take a quarter of the time and find nothing."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_report_header() -> str:
    """Show the effort of the tests."""
    return f"effort: {effort.EFFORT}"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Yield a directory whose path is short enough for unix sockets."""
    with TemporaryDirectory(prefix="ns-") as name:
        yield Path(name)


@pytest.fixture(scope="session", autouse=True)
def _environment_without_settings() -> Iterator[None]:
    """Remove exported settings, so that they set up no server or client, here or in a child process."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(_SETTINGS)]:
            patch.delenv(name)
        patch.setenv("NIGHTSAFE_KNOWN_RINGS", ":memory:")  # one server after another has the same address
        yield


@pytest.fixture(autouse=True)
def _no_sockets_in_unit_tests(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep unit tests from the network; event loops need their Unix sockets."""
    if not request.path.is_relative_to(_UNIT):
        yield
        return
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgres", marks=pytest.mark.thorough)])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a server on each engine in turn that many tests share, with no limit on failed authentications.

    Check at its end that it stops with code 0 and has no unforeseen error in its log.
    """
    url = None
    if request.param == "postgres":
        url = asyncio.run(request.getfixturevalue("databases").create_empty())
    with Server(make_safe(tmp_path_factory.mktemp("server"), url=url), "--auth-failures", "0") as running:
        yield running
    log = running.stderr.read_text()
    assert "unforeseen" not in log, log
    assert "Traceback" not in log, log


@pytest.fixture(scope="session")
def new_safe(tmp_path_factory: pytest.TempPathFactory) -> Safe:
    """Return a safe as it is after `nightsafe init`; no test alters it."""
    return make_safe(tmp_path_factory.mktemp("new"))


@pytest.fixture
def safe(new_safe: Safe, tmp_path: Path) -> Safe:
    """Return a new safe for this test only, which nothing serves yet."""
    path = tmp_path / new_safe.path.name
    shutil.copytree(new_safe.path, path)
    return msgspec.structs.replace(new_safe, path=path)


@pytest.fixture
def own_server(safe: Safe) -> Iterator[Server]:
    """Yield a server for this test only."""
    with Server(safe) as running:
        yield running


@pytest.fixture(autouse=True)
def _log(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Reset the log after a command in this process: with the command's configuration it would use closed streams."""
    configure = structlog.configure

    def uncached(**settings: Any) -> None:
        """Configure the log so that no logger keeps its configuration."""
        configure(**{**settings, "cache_logger_on_first_use": False})

    monkeypatch.setattr(structlog, "configure", uncached)
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _notices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the client's logger after a command in this process, because other tests read it."""
    log = logging.getLogger("nightsafe.client")
    for name in ("handlers", "level", "propagate"):
        monkeypatch.setattr(log, name, copy.copy(getattr(log, name)))


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Yield databases of a PostgreSQL server that this process has started for its tests."""
    with PostgresServer() as server:
        yield Databases(server)
