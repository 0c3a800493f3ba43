"""The identity key of a data directory, and the migration of a safe from before it."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from tests.older_safe import drop_macs

from nightsafe.cli.data_directory import identity_key
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.data_directory.identity_key import PENDING, is_lost, load_identity_key
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.service import Authenticator
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.services.identity.administration import Credentials, create_account
from nightsafe.store.interface import Store

ACCOUNT = "a" * 32


class Made:
    """A safe with an account, as the newest program makes it.

    Args:
        folder: the folder in which to make it.
    """

    def __init__(self, folder: Path) -> None:
        self.directory = DataDirectory(folder / "safe")
        self.credentials: Credentials = asyncio.run(self.directory.create(_fill))

    @property
    def keys(self) -> list[str]:
        """The names of the files that may hold the identity key."""
        folder = self.directory.identity_key.parent
        return sorted(path.name for path in folder.iterdir() if "identity" in path.name)

    def make_old(self) -> None:
        """Make it a safe from before the identity key, with the same credentials."""
        drop_macs(self.directory.database)
        self.directory.identity_key.unlink()

    def accepts(self) -> bool:
        """Open the safe as a command does; return whether both of its credentials authenticate."""
        return self.directory.run(self._accepts)

    async def _accepts(self, store: Store) -> bool:
        """Return whether both credentials authenticate."""
        made, authenticator = self.credentials, Authenticator(store)
        try:
            principals = [
                await authenticator.by_token(made.api_token.encode()),
                await authenticator.by_key(made.email, made.api_key.encode()),
            ]
        except NightsafeError:
            return False
        return all(principal.grants.has_access_to(ACCOUNT) for principal in principals)

    def execute(self, *statements: str) -> None:
        """Execute statements on the database, as somebody could who has only that file."""
        with closing(sqlite3.connect(self.directory.database, isolation_level=None)) as db:
            for statement in statements:
                db.execute(statement)


async def _fill(store: Store) -> Credentials:
    """Write the first rows."""
    return await create_account(store, ACCOUNT, "Home", "me@example.com")


@pytest.fixture
def safe(tmp_path: Path) -> Made:
    """Return a new safe."""
    return Made(tmp_path)


def test_a_new_safe_has_its_key(safe: Made) -> None:
    """A new safe has an identity key of mode 0600, under which its rows count."""
    assert 0o600 == safe.directory.identity_key.stat().st_mode & 0o777
    assert safe.accepts()
    assert [safe.directory.identity_key.name] == safe.keys


def test_an_older_safe_is_migrated(safe: Made, capsys: pytest.CaptureFixture[str]) -> None:
    """The first command on a safe from before the key makes the key and accepts the rows, and says so, once."""
    safe.make_old()

    assert safe.accepts()
    assert "was accepted as it is" in capsys.readouterr().err
    assert [safe.directory.identity_key.name] == safe.keys
    assert 0o600 == safe.directory.identity_key.stat().st_mode & 0o777
    assert safe.accepts()
    assert "" == capsys.readouterr().err


class _EndedError(Exception):
    """Stands for the end of the process."""


def _end(*_: object, **__: object) -> None:
    """End the process."""
    raise _EndedError


_STEPS = {
    "a": (IdentityKey, "save"),
    "b": (identity_key, "migrate"),
    "c": (identity_key, "make_all"),
    "d": (Path, "rename"),
    "e": (identity_key, "sync"),
}
"""The steps of the migration, in order."""


@pytest.mark.parametrize("places", [*"abcde", "ab", "bb", "cc", "bcd", "dd"])
def test_an_interrupted_migration_is_finished(safe: Made, monkeypatch: pytest.MonkeyPatch, places: str) -> None:
    """A migration that ends before any of its steps, also several times, is finished by the next command."""
    safe.make_old()
    for place in places:
        with monkeypatch.context() as patch:
            patch.setattr(*_STEPS[place], _end)
            with pytest.raises(_EndedError):
                safe.accepts()

    assert (places == "e") == safe.directory.identity_key.exists()
    assert safe.accepts()
    assert [safe.directory.identity_key.name] == safe.keys


def test_an_interruption_between_rows_and_key_keeps_the_macs(safe: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the rows have their MACs and the key has not its name yet, the pending key becomes the key."""
    safe.make_old()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", _end)
        with pytest.raises(_EndedError):
            safe.accepts()
    pending = IdentityKey.load(safe.directory.identity_key.with_name(PENDING))

    assert safe.accepts()
    assert pending.id == IdentityKey.load(safe.directory.identity_key).id


def test_processes_migrate_with_one_key(safe: Made) -> None:
    """Commands that open an older safe at the same time use the same key."""
    safe.make_old()
    path, database = safe.directory.identity_key, safe.directory.database
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: load_identity_key(path, database).id, range(8)))

    assert {IdentityKey.load(path).id} == set(made)
    assert safe.accepts()
    assert [path.name] == safe.keys


def test_a_lost_key_is_refused(safe: Made) -> None:
    """A safe that has lost its key is refused with the way out, and gets no new key."""
    assert not is_lost(safe.directory.identity_key, safe.directory.database)
    safe.directory.identity_key.unlink()
    with pytest.raises(NightsafeError, match="restore the file from a backup, or look at every row") as refused:
        safe.accepts()

    assert Code.INVALID is refused.value.code
    assert "nightsafe token refused-rows --accept" in refused.value.problems[0].detail
    assert is_lost(safe.directory.identity_key, safe.directory.database)
    assert [] == safe.keys


FORGERIES: dict[str, Callable[[Made], None]] = {
    "an older version number": lambda safe: safe.execute("PRAGMA user_version = 9"),
    "the first version number": lambda safe: safe.execute("PRAGMA user_version = 0"),
    "an older schema": lambda safe: drop_macs(safe.directory.database),
    "no MACs": lambda safe: safe.execute(
        "UPDATE accounts SET mac = x''", "UPDATE users SET mac = x''", "UPDATE tokens SET mac = x''"
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_no_database_repeats_the_migration(safe: Made, name: str) -> None:
    """Whatever a database says, a safe that has its key accepts no row without a MAC."""
    before = safe.directory.identity_key.read_bytes()
    FORGERIES[name](safe)
    if "version" in name:
        with pytest.raises(NightsafeError, match="something other than Nightsafe has changed the database"):
            safe.accepts()
    else:
        assert not safe.accepts()
    assert before == safe.directory.identity_key.read_bytes()
    assert [safe.directory.identity_key.name] == safe.keys
