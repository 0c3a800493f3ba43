"""The transparency log of a store: one tree over all entries, signed checkpoints, and statements."""

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.engines.tools.changes import (
    ACCOUNT,
    OTHER_ACCOUNT,
    REF,
    change,
    deploying,
    dropping,
    editing,
    entry,
    plain,
    removing,
    secret,
    setting,
    upload,
)
from tests.engines.tools.collections import holding, making, new_collection, open_value, putting, value
from tests.engines.tools.log import check_log, check_served, head_of
from tests.engines.tools.refusals import refusal
from tests.stores import SIGNING_KEY, open_store
from tests.unit.store.test_processes import store_process
from tests.unit.store.tools.tables import query

from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.tiles import MAX_ENTRY_BYTES
from nightsafe.merkle.tree import EMPTY_ROOT, Frontier, leaf_hash, root_of
from nightsafe.store.changes import Change, Outcome
from nightsafe.store.identities import Account, User
from nightsafe.store.scripts import ScriptRef
from nightsafe.store.sqlite import SqliteStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of the store's file."""
    return tmp_path / "safe" / "store.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    """Yield an empty store, and close it after the test."""
    store = open_store(path)
    yield store
    await store.close()


def a_change(drawn: random.Random) -> Change:
    """Return a random change, which the store may refuse."""
    name = drawn.choice("ABC")
    ref = ScriptRef(drawn.choice([ACCOUNT, OTHER_ACCOUNT]), drawn.choice(["worker", "other"]))
    kinds: list[Callable[[], Change]] = [
        lambda: upload(secret(name), plain("P"), ref=ref, keep=("secret_text",), deployed=drawn.random() < 0.5),
        lambda: setting(secret(name), secret("D"), ref=ref),
        lambda: dropping(name, ref=ref),
        lambda: removing(ref),
        lambda: editing(ref, triggers=b'{"n":%d}' % drawn.randrange(1 << 32)),
        lambda: making(new_collection(), put=(value("S"), open_value("O"))),
        lambda: putting(value(name), value("T", "preview")),
        lambda: holding(remove=True),
        lambda: change(None, User(id=name, email=f"{drawn.choice('xy')}@example.com", key_digest=b"", created_on=1)),
        lambda: change(audit=entry("é" * drawn.randrange(9), "")),
        lambda: replace(setting(secret(name), ref=ref), collection_edit=putting(value("S")).collection_edit),
    ]
    return drawn.choice(kinds)()


@pytest.mark.parametrize("seed", range(3))
async def test_the_tree_is_over_all_entries(store: SqliteStore, path: Path, seed: int) -> None:
    """After random commits, several at once and some refused, the signed root is that of the tree over all entries.

    Each group has exactly the statements that its entries name, in their order. Each accepted change that altered
    anything has one entry, and no other change has one.
    """
    drawn = random.Random(seed)  # noqa: S311 - the same changes in every run
    accepted = refused = 0
    for _ in range(25):
        answers = await asyncio.gather(
            *(store.commit(a_change(drawn)) for _ in range(drawn.randrange(1, 9))), return_exceptions=True
        )
        assert all(isinstance(answer, Outcome | NightsafeError) for answer in answers)
        accepted += sum(isinstance(answer, Outcome) for answer in answers)
        refused += sum(isinstance(answer, NightsafeError) for answer in answers)
        if accepted:
            assert check_log(path) == accepted

    assert accepted > 20
    assert refused > 10


async def test_an_entry_names_what_its_change_wrote(store: SqliteStore, path: Path) -> None:
    """An entry names the records, the version, the deployment, the triggers and the items that its change stated."""
    await store.commit(upload(secret("A"), plain("P"), secret("B")))
    await store.commit(editing(triggers=b'{"subdomain_enabled":false}'))
    await store.commit(deploying(((await store.versions(REF))[0].id, 50.0)))
    await store.commit(making(new_collection(), put=(value("S"), open_value("O"))))
    await store.commit(change(None, Account(ACCOUNT, "Home", 1)))
    await store.commit(removing())

    written = [msgspec.json.decode(found.entry).get("written", {}) for _, found in await store.audit_entries(ACCOUNT)]

    assert [
        ["triggers", "record", "record", "version", "deployment"],
        ["triggers"],
        ["deployment"],
        ["item"],
        [],
        [],
    ] == [[subject for subject, *_ in one.get("statements", [])] for one in written]
    assert [0, 0, 0, 3, 1, 0] == [len(one.get("rows", [])) for one in written]
    assert 6 == check_log(path)


async def test_an_entry_is_canonical(store: SqliteStore) -> None:
    """The store adds the digests as the last member of the entry, and leaves the rest as it was."""
    new = setting(secret("A"))
    await store.commit(upload())
    await store.commit(new)

    [_, (_, found)] = await store.audit_entries(ACCOUNT)

    assert found.entry.startswith(new.audit.entry[:-1] + b',"written":{"owner":"')
    assert found.leaf == leaf_hash(found.entry)


async def test_a_refused_change_leaves_nothing_in_the_log(store: SqliteStore, path: Path) -> None:
    """A change that is refused after it made statements leaves no entry and no statement, and its neighbours do."""
    await store.commit(upload())
    taken = change(None, User(id="1", email="a@example.com", key_digest=b"", created_on=1))
    await store.commit(taken)
    absent = replace(setting(secret("X")), collection_edit=putting(value("S")).collection_edit)
    same_email = replace(
        setting(secret("Y")), put=(User(id="2", email="a@example.com", key_digest=b"", created_on=1),)
    )

    answers = await asyncio.gather(
        *(store.commit(new) for new in (setting(secret("A")), absent, setting(secret("B")), same_email)),
        return_exceptions=True,
    )

    assert [None, Code.COLLECTION_NOT_FOUND, None, Code.INVALID] == [
        getattr(answer, "code", None) for answer in answers
    ]
    assert ["A", "B"] == [binding.name for binding in await store.bindings(REF)]
    assert 4 == check_log(path)
    groups = query(path, "SELECT size - first, length(digests) / 32 FROM log_groups ORDER BY first")
    assert [(1, 3), (2, 6)] == groups


async def test_a_change_that_alters_nothing_leaves_the_head(store: SqliteStore, path: Path) -> None:
    """A change that alters nothing, or is refused alone, writes no entry, no group and no new checkpoint."""
    await store.commit(upload())
    before = query(path, "SELECT * FROM log_head")

    await store.commit(dropping("ABSENT", require=False))
    await refusal(store, dropping("ABSENT"))

    assert before == query(path, "SELECT * FROM log_head")
    assert 1 == check_log(path)


async def test_what_is_served_is_proven(store: SqliteStore) -> None:
    """The bundle of a script passes the checks of the delivery process after each kind of change."""
    await store.commit(upload(secret("A"), secret("B"), plain("P"), bodies=(b"one", b"two")))
    await check_served(store, REF)
    await asyncio.gather(*(store.commit(setting(secret(name))) for name in "ABCD"))
    await check_served(store, REF)
    await store.commit(editing(triggers=b'{"subdomain_enabled":false}'))
    await check_served(store, REF)
    oldest, *_, newest = reversed(await store.versions(REF))
    await store.commit(deploying((oldest.id, 12.5), (newest.id, 87.5), force=True))
    await check_served(store, REF)
    await store.commit(deploying((oldest.id, 100.0), force=True))
    await check_served(store, REF)
    await store.commit(upload(secret("E"), keep=("secret_text",), deployed=False))
    await check_served(store, REF)
    await store.commit(removing())
    await store.commit(upload(secret("A")))
    await check_served(store, REF)


async def test_full_tiles_have_their_roots(store: SqliteStore, path: Path) -> None:
    """A log of more than 600 entries keeps the root of each full tile."""
    for _ in range(5):
        await asyncio.gather(*(store.commit(change(audit=entry(account_id=""))) for _ in range(130)))

    assert 650 == check_log(path)
    leaves = [leaf for (leaf,) in query(path, "SELECT leaf FROM audit ORDER BY seq")]
    assert [(1, 0, root_of(leaves[:256])), (1, 1, root_of(leaves[256:512]))] == query(  # type: ignore[arg-type]
        path, "SELECT level, number, hash FROM log_nodes ORDER BY level, number"
    )


async def test_higher_levels_have_their_roots(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same holds at every level, tried with tiles of four hashes instead of 256."""
    monkeypatch.setattr("nightsafe.store.rules.group_log.HEIGHT", 2)
    for size in (1, 2, 30, 44):
        await asyncio.gather(*(store.commit(change(audit=entry(account_id=""))) for _ in range(size)))

    leaves: list[Any] = [leaf for (leaf,) in query(path, "SELECT leaf FROM audit ORDER BY seq")]
    assert 77 == len(leaves)
    assert [
        (level, number, root_of(leaves[number * 4**level : (number + 1) * 4**level]))
        for level in (1, 2, 3)
        for number in range(77 // 4**level)
    ] == query(path, "SELECT level, number, hash FROM log_nodes ORDER BY level, number")


async def test_a_store_without_a_signer_only_reads(store: SqliteStore, path: Path) -> None:
    """A store that was opened without a signing key refuses each change, writes nothing, and reads on."""
    await store.commit(upload(secret("A")))
    reading = SqliteStore.open(path)
    try:
        for new in (setting(secret("A")), putting(value("S")), change(None, Account(ACCOUNT, "Home", 1)), removing()):
            with pytest.raises(NightsafeError) as caught:
                await reading.commit(new)
            assert caught.value.code in {Code.STORE, Code.COLLECTION_NOT_FOUND}
        with pytest.raises(NightsafeError, match="without the signing key"):
            await reading.commit(setting(secret("A")))

        assert ["A"] == [binding.name for binding in await reading.bindings(REF)]
        assert await store.served(REF) == await reading.served(REF)
        assert 1 == check_log(path)
    finally:
        await reading.close()


async def test_an_entry_that_is_too_large_is_refused(store: SqliteStore, path: Path) -> None:
    """An entry of more than 65,535 bytes with its digests is refused with INVALID, and changes nothing."""
    await store.commit(upload())
    largest = "x" * (MAX_ENTRY_BYTES - len(entry("").entry))
    await store.commit(change(audit=entry(largest)))

    too_large = replace(setting(secret("A")), audit=entry(largest))
    answers = await asyncio.gather(
        store.commit(setting(secret("B"))),
        store.commit(change(audit=entry(largest + "x"))),
        store.commit(too_large),
        return_exceptions=True,
    )

    assert [None, Code.INVALID, Code.INVALID] == [getattr(answer, "code", None) for answer in answers]
    assert "65535" in str(answers[1])
    assert ["B"] == [binding.name for binding in await store.bindings(REF)]
    assert 3 == check_log(path)
    assert [(MAX_ENTRY_BYTES,)] == query(path, "SELECT max(length(entry)) FROM audit")


async def test_a_new_log_is_empty(path: Path) -> None:
    """A new store has a log without entries, with an origin of its own, and without a checkpoint."""
    origins = set()
    for file in (path, path.with_name("other.db")):
        store = SqliteStore.open(file, create=True, signer=SIGNING_KEY)
        [(origin, size, frontier, checkpoint)] = query(
            file, "SELECT origin, size, frontier, checkpoint FROM log_head"
        )
        assert (0, b"", b"") == (size, frontier, checkpoint)
        await store.commit(change(audit=entry()))
        assert 1 == check_log(file)
        await store.close()
        origins.add(origin)

    assert Frontier().root() == EMPTY_ROOT
    assert 2 == len(origins)


async def test_nothing_is_appended_to_a_log_that_was_cut(store: SqliteStore, path: Path) -> None:
    """A log whose newest entry is missing takes no further change, which would make the gap lasting."""
    await store.commit(upload())
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DROP TRIGGER audit_is_never_cut")
        db.execute("DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)")

    with pytest.raises(NightsafeError, match="restore a backup") as refusal:
        await store.commit(setting(secret("S")))

    assert Code.CANNOT_OPEN is refusal.value.code


async def test_reopening_continues_the_tree(path: Path) -> None:
    """A store that is opened again appends to the same tree, with the same origin."""
    origins = set()
    for number in range(1, 5):
        store = open_store(path)
        await store.commit(upload(secret("A")))
        assert number == check_log(path)
        origins.add(head_of(path).origin)
        await store.close()

    assert 1 == len(origins)


async def test_two_stores_append_to_one_tree(store: SqliteStore, path: Path) -> None:
    """Two stores that are open on one file, which write at the same time, append to one tree."""
    other = open_store(path)
    await store.commit(upload())
    try:
        for _ in range(10):
            await asyncio.gather(*(one.commit(setting(secret("A"))) for one in (store, other, store, other)))
        assert 41 == check_log(path)
    finally:
        await other.close()


async def test_two_processes_append_to_one_tree(store: SqliteStore, path: Path) -> None:
    """Another process, which writes at the same time, appends to the same tree, and what both wrote is proven."""
    await store.commit(upload())
    processes = [await store_process("commit", str(path), name) for name in ("S", "T")]
    await asyncio.gather(*(process.wait() for process in processes), *(mine(store) for _ in range(4)))

    assert [0, 0] == [process.returncode for process in processes]
    assert 1 + 2 + 4 * 50 == check_log(path)
    await check_served(store, REF)


async def mine(store: SqliteStore) -> None:
    """Commit fifty changes, one after the other."""
    for _ in range(50):
        await store.commit(setting(secret("A")))
