"""A database that is older than the log: its rows are counted, its entries are checked, and new rows are compared."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from tests.proofs import signed_record
from tests.stores import SIGNING_KEY
from tests.unit.api.tools.driver import Api, script_at
from tests.unit.api.tools.rotation import text
from tests.unit.audit.tools.filled_safe import KEYS, change, fill, opened, verify

from nightsafe.audit.verification.database_check import verify_database
from nightsafe.audit.verification.difference import DifferenceError
from nightsafe.cli.safe.database_copy import copy_database
from nightsafe.merkle.tree import leaf_hash
from nightsafe.sealing.context import Context
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.services.key_rotation.resealing import location_of_value
from nightsafe.store.sealed_values import StoredValue
from nightsafe.store.sqlite.engine import schema
from nightsafe.store.sqlite.engine.connection import connect
from nightsafe.store.sqlite.identity_macs import make_all

BEFORE_THE_LOG = 9


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a database of the last schema without a log, with records of the first form."""
    folder = tmp_path_factory.mktemp("older")
    (folder / "filled").mkdir()
    (folder / "safe").mkdir(mode=0o700)
    (folder / "new.db").write_bytes(fill(folder / "filled", secrets=3))
    with closing(sqlite3.connect(folder / "safe" / "store.db", isolation_level=None)) as db:
        _copy(db, folder / "new.db")
    return folder


def _copy(db: sqlite3.Connection, new: Path) -> None:
    """Copy the rows of a database into an older schema."""
    db.executescript("".join(schema.migrations()[:BEFORE_THE_LOG]))
    db.execute("ATTACH ? AS new", (str(new),))
    tables = {name for (name,) in db.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table'")}
    for table in tables - {"audit", "sqlite_sequence", "probe", "ring"}:
        columns = ", ".join(row[1] for row in db.execute(f"PRAGMA main.table_info({table})"))
        db.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table}")  # noqa: S608 - our own names
    for number, account_id, entry in db.execute("SELECT seq, account_id, entry FROM new.audit").fetchall():
        fields = msgspec.json.decode(entry)
        fields.pop("written", None)
        data = msgspec.json.encode(fields)
        db.execute("INSERT INTO main.audit VALUES (?, ?, ?, ?)", (number * 3, account_id, data, leaf_hash(data)))
    for sealed, record in _older_records(new).items():
        for table in ("bindings", "binding_history", "items"):
            db.execute(f"UPDATE main.{table} SET sealed = ? WHERE sealed = ?", (record, sealed))  # noqa: S608 - the same
    db.execute(f"PRAGMA user_version = {BEFORE_THE_LOG}")


def _older_records(new: Path) -> dict[bytes, bytes]:
    """Return the record of the first form for each sealed value of a database."""
    records: dict[bytes, bytes] = {}

    def context_of(value: StoredValue) -> Context:
        """Return the context of a value, and make its record."""
        context = location_of_value(value).signed
        records[value.sealed] = signed_record(SIGNING_KEY, context, value.sealed)
        return context

    with closing(opened(new.read_bytes())) as db:
        verify_database(db, KEYS, None, context_of, lambda _: None)
    return records


@pytest.fixture(scope="module")
def grown(older: Path) -> Iterator[bytes]:
    """Yield the database after the upgrade, and after further changes."""
    key = IdentityKey(bytes(range(32)), states_older_rows=True)
    with closing(connect(older / "safe" / "store.db", 0)) as db:
        schema.migrate(db)
        make_all(db, key)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.stores.IDENTITY_KEY", key)
        yield _grow(older)


def _grow(older: Path) -> bytes:
    """Change the upgraded database through the API, and return it."""
    with Api(older) as api:
        newest, *_, oldest = (version.id.hex() for version in api.run(api.store.versions(api.ref("worker"))))
        for shares in ([(newest, 100)], [(oldest, 60), (newest, 40)], [(newest, 100)]):
            versions = [{"version_id": version_id, "percentage": share} for version_id, share in shares]
            body = {"strategy": "percentage", "versions": versions}
            assert api.json("POST", f"{script_at('worker')}/deployments?force=true", body).status == 200
        assert api.put("worker", text("T", "third")).status == 200
        assert api.put("many", text("NEW", "new")).status == 200
        copy_database(api.path, older / "grown.db")
    return (older / "grown.db").read_bytes()


@pytest.fixture
def db(grown: bytes) -> Iterator[sqlite3.Connection]:
    """Yield a copy of the database."""
    with closing(opened(grown)) as db:
        yield db


def test_older_rows_are_counted(db: sqlite3.Connection) -> None:
    """Rows from before the log are no difference: they are counted, and all entries are checked."""
    verified = verify(db)

    assert db.execute("SELECT count(*) FROM audit").fetchone()[0] == verified.entries
    assert 20 < verified.older


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (
            "UPDATE audit SET entry = CAST(replace(entry, 'a', 'b') AS BLOB) WHERE seq = 2",
            "entry 1 of the log",
        ),
        ("UPDATE audit SET leaf = zeroblob(32) WHERE seq = 2", "entry 1 of the log"),
        (
            "UPDATE versions SET id = zeroblob(16) WHERE number = 1 AND stated_in IS NULL",
            "is in the database, but no entry",
        ),
        (
            "UPDATE bindings SET sealed = CAST(sealed || x'00' AS BLOB) WHERE name = 'K'",
            "the value of the binding 'K'",
        ),
        ("UPDATE bindings SET sealed = substr(sealed, 78) WHERE name = 'K'", "the value of the binding 'K'"),
        ("UPDATE items SET sealed = CAST(sealed || x'00' AS BLOB) WHERE name = 'S'", "the value of 'S'"),
        ("UPDATE tokens SET modified_on = modified_on + 1000000000000", "the token"),
        ("UPDATE scripts SET name = 'other' WHERE name = 'worker'", "version"),
    ],
)
def test_changes_of_older_rows_are_found_where_something_covers_them(
    db: sqlite3.Connection, sql: str, words: str
) -> None:
    """Older entries, older values with their signatures, and ids that no older entry names, are still checked."""
    change(db, sql)

    with pytest.raises(DifferenceError) as refusal:
        verify(db)

    assert words in refusal.value.what
