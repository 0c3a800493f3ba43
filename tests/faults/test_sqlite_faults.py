"""Each storage call of the embedded engine fails in turn; no change is half done or lost."""

import asyncio
import threading
from pathlib import Path

import pytest
from tests.engines.tools.changes import (
    ACCOUNT,
    REF,
    change,
    code,
    deploying,
    dropping,
    editing,
    namespace,
    plain,
    removing,
    secret,
    setting,
    stamp,
    upload,
)
from tests.engines.tools.refusals import state
from tests.engines.tools.stored import modules_of
from tests.faults.every_call import MOMENTS, Case, answer, check_every_call, filled, reopened
from tests.faults.failing_sqlite import Breaker, Moment
from tests.stores import SIGNING_KEY

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.identities import Account
from nightsafe.store.script_edit import Inherit, NewDeployment, SettingsUpdate
from nightsafe.store.scripts import ScriptRef
from nightsafe.store.sqlite import SqliteStore
from nightsafe.store.sqlite import store as store_module

NEW, BESIDE = ScriptRef(ACCOUNT, "new", "ns"), ScriptRef(ACCOUNT, "beside")
FIRST, DRAFT = stamp("upload"), stamp("upload", deployed=False)
BASE = [
    namespace("ns"),
    upload(plain("P"), secret("A"), secret("B"), secret("K", "secret_key"), bodies=(b"one",), made_by=FIRST),
    editing(stamp=DRAFT, settings=SettingsUpdate(b'{"a":1}')),
    upload(ref=BESIDE),
]
CHANGES = {
    "create": upload(secret("N"), ref=NEW, bodies=(b"one", b"two")),
    "upload": upload(plain("Q"), keep=("secret_key",), inherits=(Inherit("P2", "P"),), bodies=(b"two",)),
    "set": setting(secret("A"), secret("NEW")),
    "drop": dropping("A", "B"),
    "settings": editing(
        stamp=stamp(),
        settings=SettingsUpdate(b'{"b":2}', merge=True),
        script_settings=SettingsUpdate(b'{"d":4}'),
        triggers=b'{"c":3}',
    ),
    "deploy": deploying((FIRST.version_id, 40.0), (DRAFT.version_id, 60.0)),
    "version and deployment": editing(
        stamp=stamp(),
        upload=code(b"three"),
        deploy=NewDeployment(
            id=b"d" * 16, versions=((DRAFT.version_id, 100.0),), source="api", author_id="u", author_email="e"
        ),
    ),
    "remove": removing(),
    "put": change(None, Account("e" * 32, "Home", 1)),
}


async def whole(store: SqliteStore) -> object:
    """Return everything that any of the changes could alter."""
    return (
        [await state(store, ref) for ref in (REF, NEW, BESIDE)],
        [await store.bindings(REF, number) for number in (1, 2, 3)],
        [await modules_of(store, REF, number) for number in (1, 2, 3)],
    )


def open_resources() -> tuple[int, list[str]]:
    """Return the number of threads, and the open descriptors."""
    return threading.active_count(), sorted(file.name for file in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kind", CHANGES)
async def test_a_change_is_whole_or_absent(tmp_path: Path, breaker: Breaker, kind: str, moment: Moment) -> None:
    """If any call fails, an acknowledged change is stored as a whole, and a failed one is not stored."""
    later = setting(secret("S"), ref=BESIDE)
    case = Case(BASE, CHANGES[kind], whole, later, lambda outcome: outcome.version == 2)

    assert await check_every_call(tmp_path, breaker, moment, case) > 5


@pytest.mark.parametrize("moment", MOMENTS)
async def test_no_acknowledged_concurrent_commit_is_missing(tmp_path: Path, breaker: Breaker, moment: Moment) -> None:
    """No acknowledged commit is missing after failures amid concurrent commits, with the log cut all the time."""
    store = await filled(tmp_path / "store.db", BASE)
    store._log._limit = 1
    lost = 0
    for calls in range(0, 300, 7):
        names = [f"S{calls}_{number}" for number in range(8)]
        breaker.arm(calls % 120, moment)
        answers = await asyncio.gather(*(answer(store, setting(secret(name), most=10_000)) for name in names))
        breaker.heal()
        there = {binding.name for binding in await store.bindings(REF)}
        acknowledged = {name for name, outcome in zip(names, answers, strict=True) if outcome is not None}
        assert acknowledged <= there
        assert moment == "after" or acknowledged == there & set(names)
        lost += len(names) - len(acknowledged)
    before = await whole(store)
    await store.close()

    assert lost > 0
    assert before == await reopened(tmp_path / "store.db", whole)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_failed_read_is_an_error_and_the_next_one_works(
    tmp_path: Path, breaker: Breaker, moment: Moment
) -> None:
    """If any call of a read fails, the error is STORE, and the next read returns the contents."""
    store = await filled(tmp_path / "store.db", BASE)
    expected = await whole(store)
    calls = 0
    while calls == 0 or breaker.struck:
        await store.commit(change())
        breaker.arm(calls, moment)
        try:
            await store.secret(REF, "A")
        except NightsafeError as error:
            assert Code.STORE is error.code  # noqa: PT017  # whether it raises depends on the call
        breaker.heal()
        assert await store.secret(REF, "A") is not None
        calls += 1
    found = await whole(store)
    await store.close()

    assert calls > 2
    assert str(expected)[:100] == str(found)[:100]


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_failed_opening_leaves_nothing_open(tmp_path: Path, breaker: Breaker, moment: Moment) -> None:
    """If any call fails while a store is created, it is STORE, nothing stays open, and the next try succeeds."""
    path = tmp_path / "store.db"
    calls = 0
    while calls == 0 or breaker.struck:
        path.unlink(missing_ok=True)
        before = open_resources()
        breaker.arm(calls, moment)
        try:
            store = SqliteStore.open(path, create=True, signer=SIGNING_KEY)
        except NightsafeError as error:
            assert Code.STORE is error.code  # noqa: PT017  # the last round succeeds
            assert before == open_resources()
            breaker.heal()
            store = SqliteStore.open(path, create=True, signer=SIGNING_KEY)
        breaker.heal()
        await store.commit(BASE[0])
        await store.close()
        calls += 1

    assert calls > 20


@pytest.mark.parametrize("moment", MOMENTS)
async def test_close_ends_everything_though_a_call_fails(tmp_path: Path, breaker: Breaker, moment: Moment) -> None:
    """If any call fails while a store is closed, the store is closed, no thread is left, and nothing is lost."""
    calls = 0
    while calls == 0 or breaker.struck:
        threads = threading.active_count()
        store = await filled(tmp_path / f"{calls}.db", BASE)
        expected = await whole(store)
        breaker.arm(calls, moment)
        await store.close()
        breaker.heal()
        assert threads == threading.active_count()
        assert expected == await reopened(tmp_path / f"{calls}.db", whole)
        calls += 1

    assert calls > 2


async def test_check_fails_while_the_store_cannot_write(tmp_path: Path, breaker: Breaker) -> None:
    """A check fails with STORE while calls fail, and passes as soon as they succeed."""
    store = await filled(tmp_path / "store.db", BASE)
    for calls in range(4):
        breaker.arm(calls, "from")
        with pytest.raises(NightsafeError) as caught:
            await store.check()
        assert Code.STORE is caught.value.code
        breaker.heal()
        await store.check()
    await store.close()


async def test_a_full_disk_is_survived(tmp_path: Path) -> None:
    """While the database may not grow, commits are DISK_FULL and change nothing; with room again they succeed."""
    store = await filled(tmp_path / "store.db", BASE)
    writer = store._writer._db
    assert writer is not None
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    before = await whole(store)
    writer.execute(f"PRAGMA max_page_count = {pages}")
    large = upload(ref=NEW, bodies=(b"x" * 100_000,))

    with pytest.raises(NightsafeError, match="full") as caught:
        await store.commit(large)

    assert Code.DISK_FULL is caught.value.code
    assert before == await whole(store)
    writer.execute("PRAGMA max_page_count = 1000000")
    assert (await store.commit(large)).version == 1
    await store.close()


async def test_the_log_is_cut_despite_failures(
    tmp_path: Path, breaker: Breaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed copy of the log disturbs no write, and is tried again."""
    monkeypatch.setattr(store_module, "LOG_LIMIT", 1)
    store = await filled(tmp_path / "store.db", BASE)
    cut = 0
    for number in range(300):
        breaker.arm(number % 40, "before")
        frames = store._index.frames()
        await answer(store, setting(secret(f"S{number % 9}")))
        cut += store._index.frames() < frames
    breaker.heal()
    before = await whole(store)
    await store.close()

    assert cut > 0
    assert before == await reopened(tmp_path / "store.db", whole)
