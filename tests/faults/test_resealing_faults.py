"""Each storage call of a change of a rotation fails in turn; no value is ever lost."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.engines.tools.changes import ACCOUNT, REF, change, entry, secret, setting, upload
from tests.engines.tools.collections import making, new_collection, value
from tests.faults.broken import FAILURES, Breaker, Moment

from nightsafe.errors import NightsafeError
from nightsafe.store.changes import Change, Outcome
from nightsafe.store.identities import Account
from nightsafe.store.sealed_values import Resealed, Retirement
from nightsafe.store.sqlite import SqliteStore

MOMENTS: list[Moment] = ["before", "after", "from"]
OLD, NEW = "key-1", "key-2"
BASE = [
    change(None, Account(ACCOUNT, "Home", 1)),
    upload(secret("A"), secret("B")),
    setting(secret("A")),
    making(new_collection(), put=(value("S"),)),
]
RECORDS = {name: name.encode() * 200 for name in ("A", "B", "S")}


async def filled(path: Path) -> SqliteStore:
    """A store with values in a newest version, an older one and a collection."""
    store = SqliteStore.open(path, create=True)
    for new in BASE:
        await store.commit(new)
    return store


async def told(store: SqliteStore) -> object:
    """Every value, under whichever key, with the keys that are retired and the log."""
    values = [
        (one.mark, one.name, one.sealed, key_id)
        for key_id in await store.keys_in_use(ACCOUNT)
        for letter in ("", "a9", "b9")
        for one in await store.values_under(ACCOUNT, key_id, after=letter)
    ]
    log = await store.audit_entries(ACCOUNT, limit=1000), await store.audit_entries("", limit=1000)
    return sorted(set(values)), await store.retired_keys(), log, await store.bindings(REF, 1)


async def changes(store: SqliteStore) -> dict[str, Change]:
    """The changes of a rotation on that store."""
    marks = [one for letter in ("", "a9", "b9") for one in await store.values_under(ACCOUNT, OLD, after=letter)]
    unique = {one.mark: one for one in marks}
    new = tuple(
        Resealed(mark=one.mark, before=one.sealed, sealed=RECORDS[one.name] + one.mark.encode(), key_id=NEW)
        for one in unique.values()
    )
    log = entry("resealed")
    return {
        "reseal": replace(change(audit=log), reseal=new),
        "retire": replace(change(audit=entry("retired", "")), retire=Retirement(key_id=OLD, in_use=True)),
    }


async def answer(store: SqliteStore, new: Change) -> Outcome | None:
    """What a commit gives; None when the engine failed. No other refusal is due here."""
    try:
        return await store.commit(new)
    except NightsafeError as error:
        if error.code not in FAILURES:
            raise
        return None


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kind", ["reseal", "retire"])
async def test_a_change_of_a_rotation_is_whole_or_absent(
    tmp_path: Path, breaker: Breaker, kind: str, moment: Moment
) -> None:
    """Whichever call fails, every value is there under one of the two keys, all of a change under the same.

    Only when the call that failed did its work all the same may a change be there, whole, that was not
    acknowledged. The store holds the same after it was closed and opened again.
    """
    clean = await filled(tmp_path / "clean.db")
    absent, wanted = await told(clean), (await changes(clean))[kind]
    await clean.commit(wanted)
    applied = await told(clean)
    await clean.close()
    calls = 0
    while calls == 0 or breaker.struck:
        path = tmp_path / f"{calls}.db"
        store = await filled(path)
        breaker.arm(calls, moment)
        outcome = await answer(store, wanted)
        breaker.heal()
        found = await told(store)

        unsure = outcome is None and moment == "after"
        assert found in ([absent, applied] if unsure else [absent if outcome is None else applied])
        await store.close()
        store = SqliteStore.open(path)
        assert found == await told(store)
        await store.close()
        calls += 1

    assert calls > 5
