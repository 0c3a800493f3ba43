"""Each storage call of a change of a collection fails in turn; nothing is ever half done or lost."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.engines.tools.changes import ACCOUNT, REF, removing, upload
from tests.engines.tools.collections import everything, holding, making, new_collection, putting, value
from tests.engines.tools.refusals import state
from tests.faults.broken import FAILURES, Breaker, Moment

from nightsafe.errors import NightsafeError
from nightsafe.store.changes import Change, Outcome
from nightsafe.store.collections import Kind
from nightsafe.store.sqlite import SqliteStore

MOMENTS: list[Moment] = ["before", "after", "from"]
PUT = putting(value("A"), value("C"), drop=(("", "B"),), body=b'{"x":1}')
DEFAULTS = holding(REF.name, Kind.SCRIPT, put=(value("NEW"),))
LATER = value("LATER")
BASE = [
    making(new_collection(), put=(value("A"), value("B"))),
    making(new_collection("empty")),
    upload(),
    holding(REF.name, Kind.SCRIPT, put=(value("DEFAULT"),)),
]
CHANGES = {
    "make": making(new_collection("new"), put=(value("A"), value("B")), max_collections=9, max_items=9),
    "put": PUT,
    "remove": holding(remove=True),
    "defaults": DEFAULTS,
    "both": replace(upload(), collection_edit=DEFAULTS.collection_edit),
    "script": removing(),
}


async def filled(path: Path) -> SqliteStore:
    """A store with two collections, and a script that is one."""
    store = SqliteStore.open(path, create=True)
    for new in BASE:
        await store.commit(new)
    return store


async def whole(store: SqliteStore) -> object:
    """Everything that any of the changes could alter."""
    script = BASE[2].edit
    assert script is not None
    assert script.upload is not None
    return await everything(store), await state(store, REF), await store.items(ACCOUNT, script.upload.script_id)


async def answer(store: SqliteStore, new: Change) -> Outcome | None:
    """What a commit gives; None when the engine failed. No other refusal is due here."""
    try:
        return await store.commit(new)
    except NightsafeError as error:
        if error.code not in FAILURES:
            raise
        return None


async def reopened(path: Path) -> object:
    """The same as `whole`, of the file as it is."""
    store = SqliteStore.open(path)
    found = await whole(store)
    await store.close()
    return found


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kind", CHANGES)
async def test_a_collections_change_is_whole_or_absent(
    tmp_path: Path, breaker: Breaker, kind: str, moment: Moment
) -> None:
    """Whichever call fails, an acknowledged change is there whole, and one that failed is not there.

    Only when the call that failed did its work all the same may a change be there, whole, that was not
    acknowledged. The store then works on, and holds the same after it was closed and opened again.
    """
    clean = await filled(tmp_path / "clean.db")
    absent = await whole(clean)
    await clean.commit(CHANGES[kind])
    applied = await whole(clean)
    await clean.close()
    calls = 0
    while calls == 0 or breaker.struck:
        path = tmp_path / f"{calls}.db"
        store = await filled(path)
        breaker.arm(calls, moment)
        outcome = await answer(store, CHANGES[kind])
        breaker.heal()
        found = await whole(store)

        unsure = outcome is None and moment == "after"
        assert found in ([absent, applied] if unsure else [absent if outcome is None else applied])
        assert (LATER,) == (await store.commit(holding("empty", put=(LATER,)))).items
        later = await whole(store)
        await store.close()
        assert later == await reopened(path)
        calls += 1

    assert calls > 5
