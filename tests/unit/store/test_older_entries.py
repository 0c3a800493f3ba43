"""The log of a database that is older than the log: its tree, and statements about what was written before."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.engines.test_sealed_values import another_record, resealing
from tests.engines.tools.changes import (
    ACCOUNT,
    REF,
    change,
    deploying,
    editing,
    place_of,
    plain,
    secret,
    setting,
    upload,
)
from tests.engines.tools.collections import holding, making, new_collection, value
from tests.engines.tools.collections import place_of as item_place
from tests.engines.tools.log import VERIFIER, check_log, check_served
from tests.proofs import signed_record
from tests.stores import SIGNING_KEY, open_store
from tests.unit.store.tools.tables import query

from nightsafe.merkle.tree import Frontier, leaf_hash, root_of
from nightsafe.sealing.proven_record import PROVEN_MAGIC, ProvenRecord
from nightsafe.sealing.record import RECORD_MAGIC
from nightsafe.store.bundles import Served
from nightsafe.store.identities import Account
from nightsafe.store.sqlite import SqliteStore
from nightsafe.store.sqlite.engine import schema

BEFORE_THE_LOG = 9
"""The version of the last schema without a log."""


async def write(path: Path) -> None:
    """Write a script with versions, deployments and triggers, and a Secrets Store, with the present program."""
    store = open_store(path)
    await store.commit(upload(secret("A"), plain("P")))
    await store.commit(setting(secret("A"), secret("B")))
    await store.commit(setting(secret("C")))
    await store.commit(editing(triggers=b'{"subdomain_enabled":false}'))
    await store.commit(making(new_collection(), put=(value("S"),)))
    await store.commit(change(None, Account(ACCOUNT, "Home", 1)))
    await store.close()


async def split(path: Path) -> None:
    """Deploy two versions, the older one for most requests."""
    store = open_store(path)
    newest, _, oldest = await store.versions(REF)
    await store.commit(deploying((oldest.id, 90.0), (newest.id, 10.0), force=True))
    await store.close()


def make_older(path: Path, new: Path, gap: int) -> None:
    """Copy a database into one of the last schema without a log, with records of the first form.

    Args:
        path: the older database.
        new: the database to copy.
        gap: the distance between the numbers of two entries.
    """
    path.parent.mkdir(mode=0o700)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript("".join(schema.migrations()[:BEFORE_THE_LOG]))
        db.execute("ATTACH ? AS new", (str(new),))
        tables = [name for (name,) in db.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table'")]
        for table in set(tables) - {"audit", "sqlite_sequence", "probe", "ring"}:
            columns = ", ".join(row[1] for row in db.execute(f"PRAGMA main.table_info({table})"))
            db.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table}")  # noqa: S608
        for number, account_id, entry in db.execute("SELECT seq, account_id, entry FROM new.audit").fetchall():
            fields = msgspec.json.decode(entry)
            fields.pop("written", None)
            data = msgspec.json.encode(fields)
            db.execute(
                "INSERT INTO main.audit VALUES (?, ?, ?, ?)", (number * gap, account_id, data, leaf_hash(data))
            )
        for table in ("bindings", "binding_history", "items"):
            rows = db.execute(f"SELECT rowid, name, sealed FROM main.{table} WHERE sealed IS NOT NULL").fetchall()  # noqa: S608
            for row, name, sealed in rows:
                place = item_place("main", value(name)) if table == "items" else place_of(REF, secret(name))
                signed = signed_record(SIGNING_KEY, place, sealed)
                db.execute(f"UPDATE main.{table} SET sealed = ? WHERE rowid = ?", (signed, row))  # noqa: S608
        db.execute(f"PRAGMA user_version = {BEFORE_THE_LOG}")


@pytest.fixture(params=[(1, False), (1, True), (7, False)], ids=["plain", "split", "gaps"])
async def older(path: Path, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[SqliteStore]:
    """Yield a store on a database that was written before the log."""
    gap, is_split = request.param
    new = tmp_path / "new" / "store.db"
    await write(new)
    if is_split:
        await split(new)
    make_older(path, new, gap)
    store = SqliteStore.open(path, signer=SIGNING_KEY)
    yield store
    await store.close()


async def test_older_entries_are_the_first_leaves(older: SqliteStore, path: Path) -> None:
    """The tree of a migrated log has the earlier entries in their order, without gaps; no checkpoint is signed."""
    rows: list[Any] = query(path, "SELECT seq, leaf, entry FROM audit ORDER BY seq")
    [head] = query(path, "SELECT size, frontier, checkpoint FROM log_head")

    assert list(range(1, len(rows) + 1)) == [number for number, _, _ in rows]
    assert ["done"] * len(rows) == [msgspec.json.decode(entry)["action"] for _, _, entry in rows]
    size, frontier, checkpoint = head
    assert isinstance(size, int)
    assert isinstance(frontier, bytes)
    assert (len(rows), b"") == (size, checkpoint)
    assert root_of(leaf for _, leaf, _ in rows) == Frontier.decode(size, frontier).root()

    await older.commit(setting(secret("NEW")))

    assert len(rows) + 1 == check_log(path)


async def test_older_rows_are_stated_for_their_first_bundle(older: SqliteStore, path: Path) -> None:
    """The first bundle of an older script states its deployment, versions and triggers, once; the bundle verifies."""
    before = query(path, "SELECT count(*) FROM audit")[0][0]
    assert not (await older.served(REF)).versions[0].proof

    await check_served(older, REF)
    await check_served(older, REF)

    assert isinstance(before, int)
    assert before + 1 == check_log(path)
    [*_, (_, last)] = await older.audit_entries(ACCOUNT, limit=1000)
    fields = msgspec.json.decode(last.entry)
    assert ("log.state", "nightsafe", "system", REF.name) == tuple(
        fields[name] for name in ("action", "actor", "actor_kind", "script")
    )
    subjects = [subject for subject, *_ in fields["written"]["statements"]]
    assert {"version", "deployment", "triggers"} == set(subjects)


async def test_older_records_stay_valid(older: SqliteStore) -> None:
    """A record of the first form is delivered as it is, and verifies in its place."""
    served = await older.served(REF)

    for version in served.versions:
        secrets = [binding for binding in version.bindings if binding.record is not None]
        assert secrets
        for binding in secrets:
            assert binding.record is not None
            assert binding.record.startswith(RECORD_MAGIC)
            assert VERIFIER.verify(place_of(REF, binding), binding.record)


async def test_an_older_script_is_stated_by_its_next_version(older: SqliteStore, path: Path) -> None:
    """A new version of an older script is stated with the older bindings that it keeps, and verifies."""
    await older.commit(setting(secret("NEW")))
    assert (await older.served(REF)).versions[0].proof
    await check_served(older, REF)
    await older.commit(setting(secret("B")))
    await check_served(older, REF)

    forms = {"A": RECORD_MAGIC, "B": PROVEN_MAGIC, "C": RECORD_MAGIC, "NEW": PROVEN_MAGIC}
    assert forms == forms_of(await older.served(REF))
    check_log(path)


async def test_an_older_version_is_stated_when_it_is_deployed(older: SqliteStore, path: Path) -> None:
    """A deployment of older versions states them, also those with values that were replaced since, and verifies."""
    await older.commit(setting(secret("A")))
    versions = await older.versions(REF)
    for version in versions[:0:-1]:
        await older.commit(deploying((version.id, 60.0), (versions[0].id, 40.0), force=True))
        await check_served(older, REF)
    for version in versions:
        await older.commit(deploying((version.id, 100.0), force=True))
        await check_served(older, REF)

    check_log(path)


def forms_of(served: Served) -> dict[str, bytes]:
    """Return the form of each record of the newest served version."""
    return {one.name: one.record[:4] for one in served.versions[-1].bindings if one.record is not None}


async def test_older_values_are_resealed(older: SqliteStore, path: Path) -> None:
    """A value of each older kind of place gets a proven record when it is resealed, also an item of a collection."""
    found = await older.values_under(ACCOUNT, "key-1")
    while page := await older.values_under(ACCOUNT, "key-1", after=found[-1].mark):
        found += page
    assert {"A", "B", "C", "S"} == {one.name for one in found}
    assert all(one.record == one.sealed for one in found)

    outcome = await older.commit(resealing(*map(another_record, found)))

    assert len(found) == len(outcome.resealed)
    now = [await older.value(ACCOUNT, mark) for mark in outcome.resealed]
    assert all(one is not None and one.sealed == ProvenRecord.parse(one.record).sealed for one in now)
    check_log(path)


async def test_an_older_item_keeps_its_record(older: SqliteStore) -> None:
    """An older item whose comment changes keeps its record of the first form."""
    amended = replace(value("S"), sealed=None, key_id=None, shown=b'{"comment":"c"}')
    collection = (await older.commit(holding(put=(amended,), amend=True))).collection
    assert collection is not None

    [record] = (await older.item_records(ACCOUNT, collection.id)).values()

    assert record.startswith(RECORD_MAGIC)
    assert VERIFIER.verify(item_place("main", value("S")), record)
