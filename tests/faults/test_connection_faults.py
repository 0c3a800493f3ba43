"""Writes to PostgreSQL whose connection is cut before, in and after their commit: no answer is wrong."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import asyncpg
import pytest
from tests.engines.tools.changes import ACCOUNT, REF, secret, setting, upload
from tests.postgres.cutting_proxy import Cut, CuttingProxy
from tests.postgres.databases import Databases
from tests.postgres.server import PostgresServer
from tests.stores import IDENTITY_KEY, SIGNING_KEY

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.changes import Change, OutcomeUnknownError
from nightsafe.store.postgres.engine import writer
from nightsafe.store.postgres.engine.address import parse
from nightsafe.store.postgres.store import PostgresStore

PATIENCE: Final = 4.0
WAITING: Final = "FROM pg_stat_activity WHERE application_name = 'nightsafe' AND wait_event = 'SyncRep'"


@pytest.fixture
async def url(databases: Databases) -> AsyncIterator[str]:
    """Yield the address of an empty safe."""
    url = await databases.create()
    yield url
    await databases.drop(url)


@pytest.fixture
async def proxy(databases: Databases) -> AsyncIterator[CuttingProxy]:
    """Yield a proxy before the server."""
    proxy = CuttingProxy("127.0.0.1", databases.server.port)
    yield proxy
    await proxy.close()


@pytest.fixture
async def store(url: str, proxy: CuttingProxy, databases: Databases) -> AsyncIterator[PostgresStore]:
    """Yield a store behind the proxy, with a script of two versions."""
    through = url.replace(f":{databases.server.port}/", f":{await proxy.start()}/")
    store = await PostgresStore.open(parse(through), IDENTITY_KEY, signer=SIGNING_KEY, patience=PATIENCE)
    await store.commit(upload())
    await store.commit(setting(secret("A")))
    await store.commit(setting(secret("A")))
    yield store
    await store.close()


async def rows(url: str, sql: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query, asked past the proxy."""
    db = await asyncpg.connect(url.split("?", maxsplit=1)[0], ssl="disable")
    try:
        return [tuple(row) for row in await db.fetch(sql)]
    finally:
        await db.close()


async def until_found(url: str, sql: str) -> None:
    """Repeat a query until it has a row."""
    async with asyncio.timeout(30):
        while not await rows(url, sql):  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.01)


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - the proxy has no event for it
            await asyncio.sleep(0.01)


async def until_idle(url: str) -> None:
    """Wait until no statement of a store is executed: three times in a row, because one may be on its way."""
    for _ in range(3):
        await asyncio.sleep(0.1)
        await until_found(
            url,
            "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'nightsafe' AND state = 'active')",
        )


async def until_commits_wait(url: str) -> None:
    """Commit until the server makes a commit wait for a standby, because it reloads its configuration later."""
    db = await asyncpg.connect(url.split("?", maxsplit=1)[0], ssl="disable")
    committing = asyncio.ensure_future(asyncio.sleep(0))
    async with asyncio.timeout(30):
        while not await rows(url, "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"):
            if committing.done():
                committing = asyncio.ensure_future(db.execute("CREATE TEMPORARY TABLE waits(); DROP TABLE waits"))
            await asyncio.wait([committing], timeout=0.1)
    db.terminate()
    await asyncio.gather(committing, return_exceptions=True)


async def counts(url: str) -> dict[str, int]:
    """Return how many versions, entries and live bindings there are, and the size of the log."""
    [(versions, entries, bindings, size, groups)] = await rows(
        url,
        "SELECT (SELECT count(*) FROM versions), (SELECT count(*) FROM audit), (SELECT count(*) FROM bindings),"
        " size, (SELECT max(size) FROM log_groups) FROM log_head",
    )
    assert size == entries == groups
    return {"versions": versions, "entries": entries, "bindings": bindings}


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.UNANSWERED, Cut.AT_ONCE, Cut.AFTER])
@pytest.mark.parametrize("locked", [False, True], ids=["one statement", "under a lock"])
async def test_a_cut_commit_is_answered_truly_and_done_once(
    store: PostgresStore, proxy: CuttingProxy, url: str, cut: Cut, *, locked: bool
) -> None:
    """A write whose connection is cut at any moment of its commit succeeds, and is done exactly once."""
    before = await counts(url)
    if locked:
        store._writer._group._calm = 1
    proxy.arm(cut, b"COMMIT" if locked else b"")

    outcome = await store.commit(setting(secret("B")))

    after = await counts(url)
    assert 1 == proxy.cuts
    assert before["versions"] + 1 == outcome.version == after["versions"]
    assert before["entries"] + 1 == after["entries"]
    assert b'{"name":"B","type":"secret_text"}' == await store.secret(REF, "B")


@pytest.mark.parametrize("cut", [Cut.STALL, Cut.LATE])
async def test_a_stopped_server_is_given_up_and_the_write_goes_on(
    store: PostgresStore, proxy: CuttingProxy, url: str, monkeypatch: pytest.MonkeyPatch, cut: Cut
) -> None:
    """A write whose server is silent is made once, in another connection, even if its statement arrives late."""
    monkeypatch.setattr(writer, "STALL_SECONDS", 0.3)
    before = await counts(url)
    proxy.arm(cut)

    await store.commit(setting(secret("B")))
    proxy.deliver()
    await until_idle(url)

    assert before["versions"] + 1 == (await counts(url))["versions"]
    assert 1 == proxy.cuts


async def test_a_write_that_is_told_to_be_lost_is_never_made(
    store: PostgresStore, proxy: CuttingProxy, url: str
) -> None:
    """After a node has found out that a write of unknown outcome was not made, no late statement makes it."""
    before = await counts(url)
    proxy.arm(Cut.LATE)
    proxy.refuse()
    with pytest.raises(OutcomeUnknownError) as unknown:
        await store.commit(setting(secret("B")))
    proxy.refuse(refuses=False)
    with pytest.raises(NightsafeError):
        await unknown.value.outcome
    proxy.deliver()
    await until_idle(url)

    assert before == await counts(url)


async def test_a_commit_found_after_several_attempts_is_answered_by_itself(
    store: PostgresStore, proxy: CuttingProxy, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt that a later look has not found, and that is committed afterwards, is found by the look after it."""
    monkeypatch.setattr(writer, "STALL_SECONDS", 0.5)
    before = await counts(url)
    proxy.arm(Cut.LATE)
    writing = asyncio.ensure_future(store.commit(setting(secret("B"))))
    await until(lambda: proxy.cuts == 1)
    proxy.deliver()  # it waits for the lock of the second attempt
    proxy.arm(Cut.BEFORE, b"COMMIT\0")

    assert before["versions"] + 1 == (await writing).version
    assert before["versions"] + 1 == (await counts(url))["versions"]


async def test_a_commit_that_nobody_can_tell_of_is_unknown(
    store: PostgresStore, proxy: CuttingProxy, url: str
) -> None:
    """When no primary tells in time what became of a write, the answer says that it may be kept, and it was kept.

    The same request sent again succeeds.
    """
    before = await counts(url)
    proxy.arm(Cut.UNANSWERED)
    proxy.refuse()

    with pytest.raises(NightsafeError) as caught:
        await store.commit(setting(secret("B")))
    proxy.refuse(refuses=False)

    assert Code.OUTCOME_UNKNOWN is caught.value.code
    assert "may or may not be kept" in caught.value.problems[0].detail
    assert before["versions"] + 1 == (await counts(url))["versions"]
    await store.commit(setting(secret("B")))
    assert b'{"name":"B","type":"secret_text"}' == await store.secret(REF, "B")


async def test_a_write_without_a_primary_changes_nothing(store: PostgresStore, proxy: CuttingProxy, url: str) -> None:
    """A write that finds no primary in time is refused, with nothing changed; reads are refused, too."""
    before = await counts(url)
    proxy.arm(Cut.BEFORE)
    proxy.refuse()
    store._writer._drop()

    with pytest.raises(NightsafeError) as caught:
        await store.commit(setting(secret("B")))

    assert Code.NO_PRIMARY is caught.value.code
    assert before == await counts(url)


async def test_each_of_a_group_gets_its_own_true_answer(store: PostgresStore, proxy: CuttingProxy, url: str) -> None:
    """When the answer of a group is lost, each of its changes gets the outcome of the commit that was made."""
    before = await counts(url)
    proxy.arm(Cut.UNANSWERED)
    changes: list[Change] = [setting(secret(f"S{number}"), most=1000) for number in range(40)]

    outcomes = await asyncio.gather(*(store.commit(change) for change in changes))

    assert [*range(before["versions"] + 1, before["versions"] + 41)] == sorted(one.version for one in outcomes)
    assert before["versions"] + 40 == (await counts(url))["versions"]


async def test_a_commit_whose_wait_for_a_standby_was_cancelled_is_not_believed() -> None:
    """An answered commit that no standby may have is answered to the client only when the standbys have it.

    The server answers a commit whose wait for its standbys is cancelled, with a warning.
    """
    with PostgresServer() as server:
        url = await Databases(server).create()
        store = await PostgresStore.open(parse(url), IDENTITY_KEY, signer=SIGNING_KEY, patience=60)
        await store.commit(upload())
        await rows(server.url(), "ALTER SYSTEM SET synchronous_standby_names = 'absent'")
        await rows(server.url(), "SELECT pg_reload_conf()")
        await until_commits_wait(server.url())

        writing = asyncio.ensure_future(store.commit(setting(secret("B"))))
        await until_found(server.url(), f"SELECT pg_cancel_backend(pid) {WAITING}")
        await until_found(server.url(), f"SELECT pid {WAITING} AND query LIKE 'COMMIT%'")  # the look into the log
        assert not writing.done()
        await rows(server.url(), "ALTER SYSTEM SET synchronous_standby_names = ''")
        await rows(server.url(), "SELECT pg_reload_conf()")

        assert 2 == (await writing).version
        assert {"versions": 2, "entries": 2, "bindings": 1} == await counts(url)
        await store.close()


async def test_three_nodes_write_a_thousand_secrets_of_one_script(url: str) -> None:
    """A thousand parallel writes to one script over three nodes all succeed, each with a version of its own."""
    nodes = [await PostgresStore.open(parse(url), IDENTITY_KEY, signer=SIGNING_KEY) for _ in range(3)]
    await nodes[0].commit(upload())

    outcomes = await asyncio.gather(
        *(nodes[number % 3].commit(setting(secret(f"S{number % 100}"), most=1000)) for number in range(1000))
    )

    assert [*range(2, 1002)] == sorted(outcome.version for outcome in outcomes)
    assert {"versions": 1001, "entries": 1001, "bindings": 100} == await counts(url)
    assert 100 == len(await nodes[2].secrets(REF) or [])
    assert 1001 == (await nodes[1].audit_head(ACCOUNT)).number
    for node in nodes:
        await node.close()
