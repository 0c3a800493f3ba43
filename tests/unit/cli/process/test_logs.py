"""What a command's parts log is for whoever reads standard error, and no part of the result."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.store.sqlite import SqliteStore


@pytest.fixture(autouse=True)
def _as_at_the_start() -> Iterator[None]:
    """Nobody has set the log up."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


async def _log_something(_: SqliteStore) -> None:
    """As the store does when it is in trouble."""
    structlog.get_logger().error("store.trouble", kind="disk_full")


def _safe(folder: Path) -> DataDirectory:
    """A directory with an empty database."""
    directory = DataDirectory(folder / "safe")
    directory.path.mkdir(mode=0o700)

    async def made() -> None:
        """Make it."""
        await SqliteStore.open(directory.database, create=True).close()

    asyncio.run(made())
    return directory


def test_it_goes_to_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`token create > token` holds the token alone."""
    _safe(tmp_path).run(_log_something)

    out, err = capsys.readouterr()
    assert "" == out
    assert "store.trouble" in err


def test_it_goes_nowhere_without_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it take the place of the result where standard error is closed."""
    monkeypatch.setattr(sys, "stderr", None)
    _safe(tmp_path).run(_log_something)

    assert "" == capsys.readouterr().out


def test_the_log_of_a_server_stays_as_it_is(tmp_path: Path) -> None:
    """A process that has set its log up before keeps it."""
    with capture_logs() as seen:
        _safe(tmp_path).run(_log_something)

    assert ["store.trouble"] == [event["event"] for event in seen]
