"""Attacks with a database, a manifest or a directory that another user prepared; each is refused before use."""

import asyncio
import os
import re
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from tests.stores import SIGNING_KEY

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.data_directory.ownership import refuse_unsafe
from nightsafe.cli.safe import restore
from nightsafe.cli.safe.archive import Manifest
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.errors import Code, NightsafeError
from nightsafe.store.interface import Store
from nightsafe.store.sqlite import SqliteStore
from nightsafe.store.sqlite.engine.schema import check_own, migrate, migrations

_NOBODY = 65534
_FOREIGN = {
    "trigger": "CREATE TRIGGER more AFTER UPDATE ON probe BEGIN DELETE FROM bindings; END",
    "view": "CREATE VIEW more AS SELECT sealed FROM bindings",
    "table": "CREATE TABLE more (a)",
    "index": "CREATE INDEX more ON bindings (hex(sealed))",
    "missing": "DROP TRIGGER audit_is_never_cut",
    "altered": "ALTER TABLE tokens ADD COLUMN more",
}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return the path of a new, migrated database with mode 0600."""
    path = tmp_path / "nightsafe.db"
    with closing(sqlite3.connect(path)) as db:
        migrate(db)
    path.chmod(0o600)
    return path


def changed(path: Path, statement: str) -> Path:
    """Execute a statement on a database and return its path."""
    with closing(sqlite3.connect(path)) as db:
        db.execute(statement)
        db.commit()
    return path


@pytest.mark.parametrize("what", _FOREIGN)
async def test_a_database_with_a_foreign_schema(database: Path, what: str) -> None:
    """A database with a table, index, trigger or view that Nightsafe did not make is refused when it is opened."""
    changed(database, _FOREIGN[what])
    with pytest.raises(NightsafeError, match="the database") as refused:
        SqliteStore.open(database, signer=SIGNING_KEY)

    assert Code.STORE is refused.value.code
    assert "restore a backup from before that change" in refused.value.problems[0].detail


@pytest.mark.parametrize("what", ["trigger", "view", "table", "index", "missing", "altered"])
def test_a_backup_with_a_foreign_schema(database: Path, what: str) -> None:
    """A database with a table, index, trigger or view that Nightsafe did not make is refused when it is opened.

    `restore` refuses a backup with such a database too, and names the backup file.
    """
    changed(database, _FOREIGN[what])
    with pytest.raises(CommandError, match=r"backup\.tar is not used: the database"):
        restore._check(database.parent, Path("backup.tar"))


@pytest.mark.parametrize("number", range(len(migrations()) + 1))
def test_a_foreign_view_in_every_older_schema(number: int) -> None:
    """A database with a table, index, trigger or view that Nightsafe did not make is refused when it is opened.

    A database with any older schema version is checked too, before it is migrated to the newest.
    """
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript("".join(migrations()[:number]) + f"PRAGMA user_version = {number};")
        if number:  # an empty database is refused as such
            check_own(db)
        db.execute("CREATE VIEW more AS SELECT 1")
        with pytest.raises(NightsafeError, match="view 'more' is not Nightsafe's"):
            migrate(db)


def test_statistics_of_sqlite_are_accepted(database: Path) -> None:
    """A database with a table, index, trigger or view that Nightsafe did not make is refused when it is opened.

    The statistics tables of SQLite are accepted: an operator may have run ANALYZE.
    """
    changed(changed(database, "INSERT INTO ring SELECT 1, 1 WHERE 0"), "ANALYZE")
    with closing(sqlite3.connect(database)) as db:
        assert db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'").fetchone() == (1,)
        check_own(db)


def test_a_foreign_name_is_shown_without_control_characters(database: Path) -> None:
    """A database with a table, index, trigger or view that Nightsafe did not make is refused when it is opened.

    The refusal shows a foreign name without control characters, and cuts a long one.
    """
    changed(database, f'CREATE TABLE "a\x1b[2J{"x" * 5000}" (a)')
    with closing(sqlite3.connect(database)) as db, pytest.raises(NightsafeError) as refused:
        check_own(db)

    assert refused.value.problems[0].detail.isprintable()
    assert len(refused.value.problems[0].detail) < 300


_MANIFEST = {
    "format": "nightsafe-backup/1",
    "made_on": 1,
    "nightsafe": "0.1.0",
    "schema": 8,
    "counts": {"scripts": 1},
    "files": {"nightsafe.db": {"size": 1, "sha256": "0" * 64}},
}


def test_a_valid_manifest() -> None:
    """A backup's manifest is checked before any part of it is printed.

    A manifest of a real backup is accepted.
    """
    assert "0.1.0" == msgspec.json.decode(msgspec.json.encode(_MANIFEST), type=Manifest).nightsafe


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("format", "\x1b]0;x\x07"),
        ("format", "nightsafe-backup/1\n"),
        ("nightsafe", "1\r2"),
        ("nightsafe", "x" * 65),
        ("made_on", -1),
        ("made_on", 10**15),
        ("made_on", True),
        ("schema", -1),
        ("counts", {"\x1b[31m": 1}),
        ("counts", {"scripts": -1}),
        ("counts", {"scripts": "1"}),
        ("counts", {"a" * number: 1 for number in range(1, 32)} | {"b" * number: 1 for number in range(1, 32)}),
        ("files", {"\x9b": {"size": 1, "sha256": "0" * 64}}),
        ("files", {"nightsafe.db": {"size": -1, "sha256": "0" * 64}}),
        ("files", {"nightsafe.db": {"size": 1, "sha256": "\x1b" * 64}}),
        ("files", {"nightsafe.db": {"size": 1, "sha256": "0" * 65}}),
    ],
)
def test_a_manifest_with_unprintable_values(member: str, value: object) -> None:
    """A backup's manifest is checked before any part of it is printed."""
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.json.decode(msgspec.json.encode(_MANIFEST | {member: value}), type=Manifest)

    assert re.fullmatch(r"[ -~]*", str(refused.value))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Yield an empty directory of this user, in a directory of this user."""
    tmp_path.chmod(0o755)
    path = tmp_path / "safe"
    path.mkdir(mode=0o700)
    yield path
    path.chmod(0o700)
    tmp_path.chmod(0o700)


async def nobody(_: Store) -> None:
    """Leave a new store empty."""


def refusal(path: Path) -> str:
    """Return the reason for which a directory is refused, or "" when it is accepted."""
    try:
        refuse_unsafe(path)
    except NightsafeError as error:
        return error.problems[0].detail
    return ""


def test_an_own_directory_is_accepted(place: Path) -> None:
    """A data directory that belongs to another user is refused.

    A directory of the same user is accepted: empty, not yet made, through a link of the same user, or in a sticky
    directory such as /tmp.
    """
    link = place.with_name("link")
    link.symlink_to(place)
    assert ["", "", ""] == [refusal(path) for path in (place, place / "new" / "new", link)]
    place.parent.chmod(0o1777)
    assert ["", ""] == [refusal(path) for path in (place, place.parent / "new")]


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777, 0o1777])
def test_a_directory_that_others_may_fill(place: Path, mode: int) -> None:
    """A data directory that belongs to another user is refused.

    A directory that others may write to is refused too; the refusal says what to run.
    """
    place.chmod(mode)

    assert f"has mode {mode:04o}, so others may write to it; run: chmod 700 {place}" in refusal(place)


@pytest.mark.parametrize("name", ["safe", "new", "new/new"])
def test_a_directory_above_in_which_others_may_rename(place: Path, name: str) -> None:
    """A data directory that belongs to another user is refused.

    A directory below one in which others may rename entries is refused too; the refusal names that parent.
    """
    above = place.parent
    above.chmod(0o777)

    assert f"could be exchanged: others may write to {above}; run: chmod go-w {above}, or" in refusal(above / name)


@pytest.mark.parametrize("mode", [0o755, 0o1755, 0o1777])
def test_a_directory_above_of_another_owner(place: Path, mode: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data directory that belongs to another user is refused.

    A directory below one of another user is refused too, regardless of its mode: its owner may rename entries in it.
    """
    place.parent.chmod(mode)
    given_to_another(place.parent, monkeypatch)

    assert "belongs to user" in refusal(place)
    assert "belongs to user" in refusal(place / "new")


def test_a_directory_of_another_owner(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data directory that belongs to another user is refused."""
    link = place.with_name("link")
    link.symlink_to(place)
    given_to_another(link, monkeypatch)
    assert f"{link} belongs to user" in refusal(link)
    given_to_another(place, monkeypatch)
    assert f"{place} belongs to user" in refusal(place)
    assert "but must belong to you or root; run this as that user" in refusal(place)
    with pytest.raises(NightsafeError, match="belongs to user"):
        asyncio.run(DataDirectory(place).create(nobody))
    (place / "nightsafe.db").touch(0o600)
    with pytest.raises(NightsafeError, match="belongs to user"):
        DataDirectory(place).check()
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def given_to_another(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a path belong to another user: as root by chown, otherwise by changing the user that this process sees."""
    if os.geteuid() == 0:
        os.chown(path, _NOBODY, _NOBODY, follow_symlinks=False)
    else:
        monkeypatch.setattr("os.geteuid", lambda: _NOBODY)
