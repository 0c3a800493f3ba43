"""The log of a command goes to standard error and is not part of the result."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs
from tests.stores import IDENTITY_KEY, SIGNING_KEY

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.store.interface import Store
from nightsafe.store.sqlite import SqliteStore


@pytest.fixture(autouse=True)
def _unconfigured_log() -> Iterator[None]:
    """Reset the log's configuration before and after the test."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


async def _log_something(_: Store) -> None:
    """Log an error, as the store does."""
    structlog.get_logger().error("store.trouble", kind="disk_full")


def _safe(folder: Path) -> DataDirectory:
    """Return a data directory with an empty database and its signing key."""
    directory = DataDirectory(folder / "safe")
    directory.identity_key.parent.mkdir(mode=0o700, parents=True)
    directory.path.chmod(0o700)
    IDENTITY_KEY.save(directory.identity_key)
    SIGNING_KEY.save(directory.signing_key)

    async def made() -> None:
        """Create the database."""
        await SqliteStore.open(directory.database, create=True, signer=SIGNING_KEY).close()

    asyncio.run(made())
    return directory


def test_the_log_goes_to_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The log goes to standard error, so `token create > token` contains only the token."""
    _safe(tmp_path).run(_log_something)

    out, err = capsys.readouterr()
    assert "" == out
    assert "store.trouble" in err


def test_the_log_never_goes_to_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a closed standard error the log goes nowhere, and not to standard output."""
    monkeypatch.setattr(sys, "stderr", None)
    _safe(tmp_path).run(_log_something)

    assert "" == capsys.readouterr().out


def test_a_configured_log_stays_configured(tmp_path: Path) -> None:
    """A process that has configured its log keeps its configuration."""
    with capture_logs() as seen:
        _safe(tmp_path).run(_log_something)

    assert ["store.trouble"] == [event["event"] for event in seen]
