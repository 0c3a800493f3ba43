"""A safe from before its log, in PostgreSQL: it was copied from SQLite before all of it was in the log."""

from pathlib import Path

import pytest
from tests.past_safe import Past, opened, put, served, stored_values, unpack
from tests.postgres.copying.tools.commands import call, move, query
from tests.server import run

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.sealing.proven_record import PROVEN_MAGIC


@pytest.fixture(params=["01", "07"])
def past(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> Past:
    """Return a data directory of a past schema, whose rows were moved to a database."""
    found = unpack(request.param, tmp_path)
    found.upgrade()
    move(found.safe.path, database)
    return found


def test_migrate_states_what_is_older_than_the_log(past: Past, database: str) -> None:
    """`migrate` signs all of it as on SQLite, closes the safe for older rows, and says what other nodes need."""
    archive = ("--audit-keep", "1s", "--audit-archive", str(past.safe.path.parent / "archive"))
    before, delivered = past.run("migrate", "--status"), served(past)
    refused = run("audit", "archive", "--data", str(past.safe.path), *archive, cwd=past.safe.path.parent)
    done = past.run("migrate", "--yes")

    assert before["open"]
    assert before["older_values"] > 0
    assert "first run nightsafe migrate" in refused.stderr
    assert (False, 0, 0) == tuple(done[name] for name in ("open", "older", "older_values"))
    assert done["statements"] >= before["older_values"]
    assert put(past) == opened(past)
    assert delivered == served(past)
    assert {PROVEN_MAGIC} == {value.record[:4] for value in stored_values(past)}
    assert [] == query(database, "SELECT 1 FROM versions WHERE digest IS NULL")
    assert not IdentityKey.load(DataDirectory(past.safe.path).identity_key).states_older_rows
    assert past.run("audit", "verify")["verified"]
    assert past.run("audit", "archive", *archive)["archived"] > 0


def test_a_safe_that_was_brought_over_shows_its_schema(past: Past) -> None:
    """The command names the file that other nodes need, and afterwards has only the schema to look at."""
    said = call("migrate", "--data", past.safe.path, "--yes")

    assert "PostgreSQL's schema has version 1." in said
    assert "identity-key.json to all other nodes" in said
    assert {"schema": 1, "newest_schema": 1} == past.run("migrate", "--status")
