"""Each storage call of a rotation's changes fails in turn; no value is ever lost."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.engines.tools.changes import ACCOUNT, REF, change, entry, secret, setting, upload
from tests.engines.tools.collections import making, new_collection, value
from tests.faults.every_call import MOMENTS, Case, check_every_call, filled
from tests.faults.failing_sqlite import Breaker, Moment

from nightsafe.store.changes import Change
from nightsafe.store.identities import Account
from nightsafe.store.sealed_values import Resealed, Retirement
from nightsafe.store.sqlite import SqliteStore

OLD, NEW = "key-1", "key-2"
BASE = [
    change(None, Account(ACCOUNT, "Home", 1)),
    upload(secret("A"), secret("B")),
    setting(secret("A")),
    making(new_collection(), put=(value("S"),)),
]
RECORDS = {name: name.encode() * 200 for name in ("A", "B", "S")}


async def contents(store: SqliteStore) -> object:
    """Return every value under any key, the retired keys and the log."""
    values = [
        (sealed.mark, sealed.name, sealed.sealed, key_id)
        for key_id in await store.keys_in_use(ACCOUNT)
        for letter in ("", "a9", "b9")
        for sealed in await store.values_under(ACCOUNT, key_id, after=letter)
    ]
    log = await store.audit_entries(ACCOUNT, limit=1000), await store.audit_entries("", limit=1000)
    return sorted(set(values)), await store.retired_keys(), log, await store.bindings(REF, 1)


async def changes(store: SqliteStore) -> dict[str, Change]:
    """Return the changes of a rotation of that store."""
    unique = {
        sealed.mark: sealed
        for letter in ("", "a9", "b9")
        for sealed in await store.values_under(ACCOUNT, OLD, after=letter)
    }
    new = tuple(
        Resealed(mark=mark, before=sealed.sealed, sealed=RECORDS[sealed.name] + mark.encode(), key_id=NEW)
        for mark, sealed in unique.items()
    )
    log = entry("resealed")
    return {
        "reseal": replace(change(audit=log), reseal=new),
        "retire": replace(change(audit=entry("retired", "")), retire=Retirement(key_id=OLD, in_use=True)),
    }


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kind", ["reseal", "retire"])
async def test_a_rotation_change_is_whole_or_absent(
    tmp_path: Path, breaker: Breaker, kind: str, moment: Moment
) -> None:
    """If any call fails, each value exists under one of the keys, and the values of one change under the same key."""
    store = await filled(tmp_path / "first.db", BASE)
    wanted = (await changes(store))[kind]
    await store.close()
    later = change(None, Account("e" * 32, "Office", 1))

    assert await check_every_call(tmp_path, breaker, moment, Case(BASE, wanted, contents, later, lambda _: True)) > 5
