"""One check for every kind of change: each storage call fails in turn, and no change is half done or lost."""

import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path

from msgspec import Struct
from tests.effort import last_first
from tests.engines.tools.log import check_log
from tests.faults.failing_sqlite import FAILURES, Breaker, Moment
from tests.stores import open_store

from nightsafe.errors import NightsafeError
from nightsafe.store.changes import Change, Outcome
from nightsafe.store.sqlite import SqliteStore

MOMENTS: list[Moment] = last_first(["before", "from", "after"])

Seen = Callable[[SqliteStore], Awaitable[object]]
"""Reads everything that a change could alter."""


class Case(Struct, frozen=True):
    """A change whose storage calls fail.

    Attributes:
        base: the changes that fill the store beforehand.
        wanted: the change whose calls fail.
        seen: reads everything that the change could alter.
        later: a change that the store still carries out after the failure.
        proof: returns whether the outcome of `later` is right.
    """

    base: Sequence[Change]
    wanted: Change
    seen: Seen
    later: Change
    proof: Callable[[Outcome], bool]


async def filled(path: Path, changes: Sequence[Change]) -> SqliteStore:
    """Create a store and make some changes."""
    store = open_store(path)
    for new in changes:
        await store.commit(new)
    return store


def copied(base: Path, path: Path) -> SqliteStore:
    """Copy a closed store, and open the copy."""
    shutil.copy(base, path)
    return open_store(path)


async def answer(store: SqliteStore, new: Change) -> Outcome | None:
    """Commit a change; return its outcome, or None when the engine failed. No other refusal is expected."""
    try:
        return await store.commit(new)
    except NightsafeError as error:
        if error.code not in FAILURES:
            raise
        return None


async def reopened(path: Path, seen: Seen) -> object:
    """Check that the file and its log are sound; return its contents, read by a new store."""
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert check_log(path)
    store = open_store(path)
    found = await seen(store)
    await store.close()
    return found


async def check_every_call(folder: Path, breaker: Breaker, moment: Moment, case: Case) -> int:
    """Make each call of the change fail in turn; return how many calls there are.

    An acknowledged change is stored as a whole, and a failed one is not stored. Only if the failed call did its work
    all the same, a change that was not acknowledged may be stored, and then as a whole. The store then works on, and
    has the same contents after it was closed and opened again.
    """
    base = folder / "base.db"
    await (await filled(base, case.base)).close()
    clean = copied(base, folder / "clean.db")
    absent = await case.seen(clean)
    await clean.commit(case.wanted)
    applied = await case.seen(clean)
    await clean.close()
    calls = 0
    while calls == 0 or breaker.struck:
        path = folder / f"{calls}.db"
        store = copied(base, path)
        breaker.arm(calls, moment)
        outcome = await answer(store, case.wanted)
        breaker.heal()
        found = await case.seen(store)

        unsure = outcome is None and moment == "after"
        assert found in ([absent, applied] if unsure else [absent if outcome is None else applied])
        assert case.proof(await store.commit(case.later))
        later = await case.seen(store)
        await store.close()
        assert later == await reopened(path, case.seen)
        calls += 1
    return calls
