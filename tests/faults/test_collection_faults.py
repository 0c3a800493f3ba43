"""Each storage call of a change to a collection fails in turn; no change is half done or lost."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.engines.tools.changes import ACCOUNT, REF, removing, upload
from tests.engines.tools.collections import everything, holding, making, new_collection, putting, value
from tests.engines.tools.refusals import state
from tests.faults.every_call import MOMENTS, Case, check_every_call
from tests.faults.failing_sqlite import Breaker, Moment

from nightsafe.store.collections import Kind
from nightsafe.store.sqlite import SqliteStore

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


async def whole(store: SqliteStore) -> object:
    """Return everything that any of the changes could alter."""
    script = BASE[2].edit
    assert script is not None
    assert script.upload is not None
    return await everything(store), await state(store, REF), await store.items(ACCOUNT, script.upload.script_id)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kind", CHANGES)
async def test_a_collection_change_is_whole_or_absent(
    tmp_path: Path, breaker: Breaker, kind: str, moment: Moment
) -> None:
    """If any call fails, an acknowledged change is stored as a whole, and a failed one is not stored."""
    later = holding("empty", put=(LATER,))
    case = Case(BASE, CHANGES[kind], whole, later, lambda outcome: (LATER,) == outcome.items)

    assert await check_every_call(tmp_path, breaker, moment, case) > 5
