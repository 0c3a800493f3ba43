"""Tests of how stored records are signed, protected from other users, made durable and overwritten."""

import asyncio
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import fields, replace
from tests.engines.tools.changes import removing, secret, setting, upload
from tests.faults.disk import Disk, crash_image
from tests.security.tools.planted_server import Planted
from tests.stores import SIGNING_KEY
from tests.unit.api.tools.driver import Api, secrets_of
from tests.unit.api.tools.rotation import Rotation, text
from tests.unit.store.test_purge import until_purged

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.secret.fingerprints import FingerprintKey
from nightsafe.delivery.cache.script_marks import ScriptMarks
from nightsafe.delivery.cache.serials import Serials
from nightsafe.sealing.context import Context
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.sealing.proven_record import ProvenRecord, put_digest
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.services.key_rotation.resealing import location_of_value
from nightsafe.store.sqlite import SqliteStore
from nightsafe.store.sqlite.engine.connection import connect

FIELDS = [field.name for field in fields(Context)]


def test_every_record_is_signed(rotation: Rotation) -> None:
    """Every stored record has a proof that leads to an Ed25519 signature and covers its place.

    The library's Ed25519 verifies each signature over a text that names the value with its place, by their digest.
    """
    values = rotation.under(rotation.primary)
    public = rotation.signing_key.verify_key.loaded

    assert len(values) > 5
    for value in values:
        record, place = ProvenRecord.parse(value.record), location_of_value(value).signed
        others = [replace(place, **{field: b"x" if field == "public" else "x"}) for field in FIELDS]
        texts = [
            record.proof.signed_text(put_digest(one.record_digest(record.sealed), record.since))
            for one in (place, *others)
        ]
        assert texts[0] is not None
        public.verify(record.proof.signature, texts[0])
        assert texts[0] not in texts[1:]
        assert record.sealed == value.sealed


def test_modes(planted: Planted) -> None:
    """The data directory is created with mode 0700, the database and every private key with mode 0600.

    The directories in it have mode 0700 too, and the files of the database log mode 0600.
    """
    below = {path: path.stat().st_mode & 0o777 for path in (planted.safe.path, *planted.safe.path.rglob("*"))}
    closed = {path.name for path, mode in below.items() if mode == 0o600}

    assert {0o700} == {mode for path, mode in below.items() if path.is_dir()}
    assert {"nightsafe.db", "nightsafe.db-wal", "nightsafe.db-shm"} <= closed
    assert {"private-ring.json", "signing-key.json", "identity-key.json"} <= closed
    assert not [path for path in below if path.is_file() and b'"private"' in path.read_bytes() and below[path] & 0o77]


def _open_database(path: Path) -> None:
    """Open the database in the way that `serve` does."""
    asyncio.run(DataDirectory(path.parent).open_store())


READERS: dict[str, Callable[[Path], object]] = {
    "nightsafe.db": _open_database,
    "private-ring.json": PrivateRing.load,
    "signing-key.json": SigningKey.load,
    "identity-key.json": IdentityKey.load,
    "fingerprint-key": FingerprintKey.load,
    "marks.json": Serials,
    "marks-scripts.db": ScriptMarks,
}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660, 0o666])
@pytest.mark.parametrize("name", READERS)
def test_files_that_others_can_read_are_refused(tmp_path: Path, name: str, mode: int) -> None:
    """A database or private key that others can read is refused.

    The refusal says what to run, and comes before the content is read.
    """
    path = tmp_path / name
    path.write_bytes(b"what it is does not matter")
    path.chmod(mode)

    with pytest.raises(Exception, match=r"others|chmod") as refused:
        READERS[name](path)
    assert "chmod" in str(getattr(refused.value, "problems", refused.value))


async def test_deleted_rows_are_overwritten(tmp_path: Path) -> None:
    """Deleted rows are overwritten in a database in SQLite (`secure_delete`).

    This happens when the log is merged into the database, for example on closing.
    """
    path, gone = tmp_path / "store.db", b"sealed-and-gone" * 20
    store = SqliteStore.open(path, create=True, signer=SIGNING_KEY)
    await store.commit(upload())
    await store.commit(setting(secret("S", sealed=gone)))
    await store.close()
    assert gone in path.read_bytes()
    store = SqliteStore.open(path, signer=SIGNING_KEY)
    with closing(connect(path, 5)) as db:
        db.execute("DELETE FROM bindings WHERE name = 'S'")
    await store.close()

    assert b"sealed-and-gone" not in path.read_bytes()


async def test_the_history_of_a_deleted_script_is_purged(tmp_path: Path) -> None:
    """The history of a deleted script is overwritten in parts, without a further request."""
    path = tmp_path / "store.db"
    store = SqliteStore.open(path, create=True, signer=SIGNING_KEY)
    await store.commit(upload())
    await asyncio.gather(*(store.commit(setting(secret("S", sealed=b"value-%d" % at))) for at in range(600)))
    await store.close()
    assert b"value-" in path.read_bytes()
    store = SqliteStore.open(path, signer=SIGNING_KEY)
    await store.commit(removing())
    await until_purged(path)
    await store.close()

    assert b"value-" not in path.read_bytes()


async def test_a_deleted_value_stays_in_the_log(tmp_path: Path) -> None:
    """A deleted sealed value stays in SQLite's log (`nightsafe.db-wal`) until the log starts over."""
    path, gone = tmp_path / "store.db", b"sealed-and-gone" * 20
    store = SqliteStore.open(path, create=True, signer=SIGNING_KEY)
    await store.commit(upload())
    await store.commit(setting(secret("S", sealed=gone)))
    await store.commit(removing())
    await until_purged(path)
    log = path.with_name("store.db-wal")

    assert gone in log.read_bytes()
    await store.close()
    assert not log.exists()


def test_a_copy_may_outlast_a_deletion(tmp_path: Path) -> None:
    """When SQLite moves rows between pages, it may leave a copy of a sealed record, or a part of one, that outlasts
    the record's deletion.

    The test inserts and deletes rows until a copy is found.
    """
    assert any(_leaves_a_copy(tmp_path / f"{seed}.db", seed) for seed in range(60))


def _leaves_a_copy(path: Path, seed: int) -> bool:
    """Return whether, with our settings, half of a deleted row or more is in the file after many changes."""
    path.touch()
    chance, there, gone = random.Random(seed), dict[str, bytes](), list[bytes]()  # noqa: S311 - the same each time
    with closing(connect(path, 5)) as db:
        db.execute("CREATE TABLE records (name TEXT PRIMARY KEY, sealed BLOB)")
        db.execute("BEGIN")
        for _ in range(1500):
            name = f"{chance.randrange(400):04}"
            gone += [there.pop(name)] if name in there else []
            db.execute("DELETE FROM records WHERE name = ?", (name,))
            if chance.random() < 0.6:
                there[name] = chance.randbytes(chance.choice([200, 350, 600]))
                db.execute("INSERT INTO records VALUES (?, ?)", (name, there[name]))
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = path.read_bytes()
    return any(record[len(record) // 2 :] in data for record in gone)


def test_an_answer_comes_after_the_disk(tmp_path: Path) -> None:
    """The API process answers a write only after its transaction, with the audit entry, is on disk.

    On a disk that makes no data durable, no write gets a 200. An answered write, with its audit entry, is there even
    if the process ends at that very moment.
    """
    with Disk() as disk, Api(tmp_path) as api:
        assert api.upload("worker").status == 200
        assert api.put("worker", text("KEPT", "x")).status == 200
        with closing(sqlite3.connect(crash_image(api.path, tmp_path / "crashed"))) as db:
            kept = db.execute("SELECT name FROM bindings").fetchall()
            [last] = db.execute("SELECT entry FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
        disk.unsynced = 1
        answer = api.json_anyhow("PUT", secrets_of("worker"), text("LOST", "x"))
        disk.heal()

    assert [("KEPT",)] == kept
    assert b"KEPT" in bytes(last)
    assert answer.status >= 500
