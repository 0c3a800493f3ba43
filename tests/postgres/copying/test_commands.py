"""The commands that read a whole safe do the same on PostgreSQL, while it serves."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.postgres.copying.tools.commands import (
    call,
    move,
    new_database,
    point_to,
    query,
    rows_of_database,
    rows_of_file,
)
from tests.postgres.databases import Databases

from nightsafe.cli.safe.database_copy import newest_schema

FOLDERS = "nightsafe-*"
IDENTITIES = ("accounts", "users", "memberships", "tokens")


@pytest.fixture
def moved(data: Path, database: str) -> Path:
    """Return the SQLite file that the rows of the data directory had before they were moved to the database."""
    return move(data, database)


def test_audit_verify_reads_the_database(data: Path, moved: Path, database: str) -> None:
    """`audit verify` finds the same as before, with the MACs; it names a row that was changed, and exits with 1."""
    whole = json.loads(call("audit", "verify", "--data", data, "--json"))
    query(database, "UPDATE tokens SET name = 'stronger' WHERE id = (SELECT min(id) FROM tokens)")
    changed = json.loads(call("audit", "verify", "--data", data, "--json", code=1))
    moved.rename(data / "nightsafe.db")
    (data / "store-url").unlink()

    assert json.loads(call("audit", "verify", "--data", data, "--json")) == whole
    assert whole["macs_checked"]
    assert "the token" in changed["difference"]["what"]


def test_audit_export_reads_the_database(data: Path, moved: Path, tmp_path: Path) -> None:
    """`audit export` writes the whole log, which verifies alone, and the snapshot is removed afterwards."""
    export = tmp_path / "export.jsonl"
    call("audit", "export", "--data", data, "--output", export)
    said = call("audit", "verify", export, "--verify-keys", data / "keys" / "verify-keys.json")
    with closing(sqlite3.connect(moved)) as db:
        (size,) = db.execute("SELECT count(*) FROM audit").fetchone()

    assert f"{size} entries" in said


def test_a_snapshot_is_private_and_is_removed(
    data: Path, moved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of a snapshot has mode 0600 in a folder of mode 0700, and both are gone after the command."""
    assert moved.exists()
    seen: list[int] = []

    def integrity(*_: Any, **__: Any) -> list[str]:
        """Look at the snapshot while the command uses it."""
        (folder,) = (tmp_path / "temporary").glob(FOLDERS)
        seen.extend([folder.stat().st_mode & 0o777, (folder / "nightsafe.db").stat().st_mode & 0o777])
        return []

    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr("nightsafe.cli.audit.verify.integrity_problems", integrity)
    call("audit", "verify", "--data", data)

    assert [0o700, 0o600] == seen
    assert [] == list((tmp_path / "temporary").iterdir())


def test_a_backup_goes_into_either_engine(
    data: Path, moved: Path, database: str, postgres: Databases, tmp_path: Path
) -> None:
    """The archive of a safe on PostgreSQL is restored into a SQLite file and into an empty database, row by row."""
    archive, other = tmp_path / "backup.tar", new_database(postgres)
    call("backup", archive, "--data", data)
    call("restore", archive, "--data", tmp_path / "file")
    call("restore", archive, "--data", tmp_path / "server", "--store", other)

    assert rows_of_file(moved) == rows_of_file(tmp_path / "file" / "nightsafe.db")
    assert rows_of_file(moved) == rows_of_database(other)
    assert other == (tmp_path / "server" / "store-url").read_text().strip()
    assert 0o600 == (tmp_path / "server" / "store-url").stat().st_mode & 0o777
    assert not (tmp_path / "server" / "nightsafe.db").exists()
    assert "all as the log says" in call("audit", "verify", "--data", tmp_path / "server")
    assert rows_of_file(moved) == rows_of_database(database)


def test_a_backup_of_a_file_goes_into_postgresql(data: Path, database: str, tmp_path: Path) -> None:
    """The archive of a safe on SQLite is restored into an empty database."""
    call("backup", tmp_path / "backup.tar", "--data", data)
    call("restore", tmp_path / "backup.tar", "--data", tmp_path / "new", "--store", database)

    assert rows_of_file(data / "nightsafe.db") == rows_of_database(database)


def test_a_restore_into_a_used_database_changes_nothing(
    data: Path, moved: Path, database: str, tmp_path: Path
) -> None:
    """A database with a safe is refused; it stays, and no data directory is made."""
    call("backup", tmp_path / "backup.tar", "--data", data)
    said = call("restore", tmp_path / "backup.tar", "--data", tmp_path / "new", "--store", database, code=1)

    assert "is this safe already" in said
    assert not (tmp_path / "new").exists()
    assert rows_of_file(moved) == rows_of_database(database)


def test_a_restore_that_ends_early_can_be_repeated(
    data: Path, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restore that fails after its rows were copied leaves an unusable database, and the next run finishes it."""
    call("backup", tmp_path / "backup.tar", "--data", data)
    arguments = ("restore", tmp_path / "backup.tar", "--data", tmp_path / "new", "--store", database)

    def full(*_: object) -> None:
        """Fail like a full disk."""
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("nightsafe.cli.data_directory.placement.NewSafe.put_in_place", full)
        call(*arguments, code=1)
    point_to(data, database)
    (data / "nightsafe.db").rename(tmp_path / "moved.db")
    unusable = call("audit", "verify", "--data", data, code=1)
    call(*arguments)

    assert "nightsafe restore has not finished the safe" in unusable
    assert "all as the log says" in call("audit", "verify", "--data", tmp_path / "new")


def test_a_retired_key_stays_retired_after_a_restore(data: Path, moved: Path, database: str, tmp_path: Path) -> None:
    """A restore in the place of a safe on PostgreSQL carries over the keys that were retired since the backup."""
    assert moved.exists()
    call("backup", tmp_path / "backup.tar", "--data", data)
    query(database, "INSERT INTO retired_keys VALUES ('retired', 1)")
    call("restore", tmp_path / "backup.tar", "--data", data, "--force")

    with closing(sqlite3.connect(data / "nightsafe.db")) as db:
        assert ("retired",) in db.execute("SELECT id FROM retired_keys").fetchall()


def test_a_changed_identity_is_shown_and_can_be_deleted(data: Path, moved: Path, database: str) -> None:
    """`token refused-rows` lists the rows without their MACs, and `--delete` removes them."""
    assert moved.exists()
    (token, *_) = query(
        database, "UPDATE tokens SET policies = '[]' WHERE id = (SELECT min(id) FROM tokens) RETURNING id"
    )
    shown = json.loads(call("token", "refused-rows", "--data", data, "--json"))
    call("token", "refused-rows", "--data", data, "--delete", "--yes")

    assert [token[0]] == [row["id"] for row in shown["rows"]]
    assert [] == query(database, f"SELECT id FROM tokens WHERE id = '{token[0]}'")  # noqa: S608 - an id of ours
    assert "Every row counts" in call("token", "refused-rows", "--data", data)


def test_a_lost_identity_key_is_replaced(data: Path, moved: Path) -> None:
    """Without the key, commands name the way out; `--accept` makes a new one for all rows, as on SQLite."""
    (data / "keys" / "identity-key.json").rename(moved.with_name("old-key.json"))
    refused = call("token", "list", "--data", data, code=1)
    listed = json.loads(call("token", "refused-rows", "--data", data, "--json"))
    deleting = call("token", "refused-rows", "--data", data, "--delete", "--yes", code=1)
    accepted = call("token", "refused-rows", "--data", data, "--accept", "--yes")

    for said in (refused, deleting):
        assert "identity-key.json is missing" in said
        assert "from another node or a backup" in said
    assert listed["key_lost"]
    assert sum(len(rows_of_file(moved)[name]) for name in IDENTITIES) == len(listed["rows"])
    assert "copy it to every other node, and restart all" in accepted
    assert "Every row counts" in call("token", "refused-rows", "--data", data)
    assert "all as the log says" in call("audit", "verify", "--data", data)
    assert "ok" == examined(data, code=1)["identities"]["state"]


def test_the_macs_of_scripts_are_renewed(data: Path, moved: Path, database: str) -> None:
    """`token refused-rows --accept` gives scripts without a right MAC one, after a comparison with the log."""
    before = rows_of_file(moved)["scripts"]
    query(database, "UPDATE scripts SET mac = '\\x00'")
    said = call("token", "refused-rows", "--data", data, "--accept", "--yes")

    assert f"Renewed the MACs of {len(before)} scripts" in said
    assert before == rows_of_database(database)["scripts"]


def test_old_entries_are_archived(data: Path, moved: Path, database: str, tmp_path: Path) -> None:
    """`audit archive` moves entries from the database into files, with which the log still verifies."""
    assert moved.exists()
    arguments = ("--data", data, "--audit-keep", "1s", "--audit-archive", tmp_path / "archive")
    archived = json.loads(call("audit", "archive", *arguments, "--json"))["archived"]

    assert archived > 0
    assert archived == query(database, "SELECT count(*) FROM audit WHERE entry = ''::bytea")[0][0]
    assert "all as the log says" in call("audit", "verify", "--data", data, "--archive", tmp_path / "archive")


def test_the_serving_role_archives_nothing(data: Path, moved: Path, database: str, tmp_path: Path) -> None:
    """`audit archive` with the role that serves names the right that it lacks and the way out, and writes nothing."""
    assert moved.exists()
    role = f"serving_{database.rpartition('/')[2].partition('?')[0]}"
    query(database, f"CREATE ROLE {role} LOGIN")
    for statement in call("store", "grants", "--role", role, "--data", data).splitlines():
        query(database, statement)
    entries = query(database, "SELECT seq, entry FROM audit ORDER BY seq")
    point_to(data, re.sub("//[^@]+@", f"//{role}@", database))
    arguments = ("--data", data, "--audit-keep", "1s", "--audit-archive", tmp_path / "archive")
    refused = call("audit", "archive", *arguments, code=1)

    assert f"the role {role} may not empty entries of the log" in refused
    assert "UPDATE on the table audit" in refused
    assert "Run the command again with --store" in refused
    assert entries == query(database, "SELECT seq, entry FROM audit ORDER BY seq")
    assert not (tmp_path / "archive").exists()
    assert json.loads(call("audit", "archive", *arguments, "--store", database, "--json"))["archived"] > 0


def examined(data: Path, code: int) -> dict[str, dict[str, str]]:
    """Return the findings of the doctor."""
    said = json.loads(call("doctor", "--data", data, "--json", code=code))
    return {finding["what"]: finding for finding in said["findings"]}


def test_the_doctor_examines_the_server(data: Path, moved: Path, database: str) -> None:
    """The doctor checks the rows of the database, its server, the role's rights and the clock."""
    assert moved.exists()
    found = examined(data, code=1)  # the server of the tests has fsync=off
    query(database, "UPDATE tokens SET mac = ''::bytea")
    changed = examined(data, code=1)

    assert "fsync is off" in found["durability"]["found"]
    assert "ok" == found["postgresql"]["state"]
    assert "superuser" in found["role"]["found"]
    assert "ok" == found["postgresql clock"]["state"]
    assert "warning" == found["standbys"]["state"]
    assert "all as the log says" in found["audit log"]["found"]
    assert "failed" == changed["identities"]["state"]


def test_the_schema_is_that_of_the_engine(data: Path, database: str) -> None:
    """`doctor` and `migrate --status` name the schema of PostgreSQL in the same words, and not that of a snapshot."""
    before = examined(data, code=0)["schema"]["found"]
    move(data, database)
    said = call("migrate", "--status", "--data", data)
    found = examined(data, code=1)["schema"]
    query(database, "UPDATE schema_version SET version = 3, oldest = 2")
    contracted = examined(data, code=1)["schema"]

    assert before == f"SQLite's schema has version {newest_schema()}"
    assert (found["state"], f"{found['found']}.") == ("ok", said.strip())
    assert found["found"] == "PostgreSQL's schema has version 1"
    assert contracted["state"] == "failed"
    assert contracted["found"] == "PostgreSQL's schema has version 3, and this program supports up to 1"


def test_the_doctor_names_a_server_that_is_gone(data: Path, moved: Path, database: str) -> None:
    """A database that cannot be reached is a finding, and the other checks go on."""
    assert moved.exists()
    point_to(data, database.replace("/safe_", "/gone_"))
    found = examined(data, code=1)

    assert "failed" == found["postgresql"]["state"]
