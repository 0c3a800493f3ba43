"""Reads of the PostgreSQL engine beside each other, beside other nodes, and from a server that has stopped."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Final

import asyncpg
import pytest
from msgspec.structs import replace
from tests.engines.test_identities import TOKEN
from tests.engines.tools.changes import ACCOUNT, REF, change, removing, secret, setting, upload
from tests.engines.tools.engine import PostgresEngine
from tests.postgres.databases import Databases
from tests.postgres.server import PostgresServer
from tests.stores import IDENTITY_KEY, SIGNING_KEY

from nightsafe.errors import Code, NightsafeError
from nightsafe.identity import service
from nightsafe.identity.credentials import digest
from nightsafe.store.changes import Change
from nightsafe.store.identities import Account
from nightsafe.store.postgres.engine import reader
from nightsafe.store.postgres.engine.address import parse
from nightsafe.store.postgres.engine.connection import connect
from nightsafe.store.postgres.engine.schema import migrate
from nightsafe.store.postgres.reads import identity_generation
from nightsafe.store.postgres.store import PostgresStore
from nightsafe.store.scripts import ScriptRef

pytestmark = pytest.mark.heavy

PROCESS: Final = "SELECT pg_backend_pid()"
END_LISTENER: Final = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND query = 'SELECT size FROM log_head'
"""


@pytest.fixture
async def nodes(databases: Databases) -> AsyncIterator[list[PostgresStore]]:
    """Yield two stores on one new database."""
    engine = PostgresEngine(databases)
    stores = [store for _ in range(2) if isinstance(store := await engine.open(), PostgresStore)]
    yield stores
    for store in stores:
        await store.close()
    await engine.drop()


def _tokens() -> Change:
    """Return a change that puts an account and the token `t`."""
    return change(None, Account(ACCOUNT, "Home", 1), replace(TOKEN, digest=digest(b"t"), expires_on=None))


@pytest.mark.parametrize("name", ["\0", "\udcff"])
async def test_a_name_that_cannot_be_stored_fails_no_look_up(nodes: list[PostgresStore], name: str) -> None:
    """A look-up by a text that PostgreSQL cannot store finds nothing, and those beside it are answered."""
    store = nodes[0]
    await store.commit(upload(secret("A")))

    found = await asyncio.gather(*(store.secret(REF, one) for one in ("A", name, "A")))
    absent = await store.secret(ScriptRef(ACCOUNT, name), "A")

    assert [True, False, True] == [one is not None for one in found]
    assert absent is None


async def test_each_read_sees_the_commits_answered_before_it(nodes: list[PostgresStore]) -> None:
    """Beside many look-ups in flight, each node reads what another node has just committed."""
    first, second = nodes
    await first.commit(upload())
    for number in range(20):
        name = f"S{number}"
        beside = [asyncio.ensure_future(second.secret(REF, name)) for _ in range(5)]
        await asyncio.sleep(0)
        await first.commit(setting(secret(name)))
        assert await second.secret(REF, name) is not None
        await asyncio.gather(*beside)


async def test_a_token_that_another_node_revokes_is_refused_at_once(nodes: list[PostgresStore]) -> None:
    """The next request with a token that another node has deleted is refused, although the token was cached."""
    first, second = nodes
    await first.commit(_tokens())
    authenticator = service.Authenticator(second)
    principal = await authenticator.by_token(b"t")
    assert principal is await authenticator.by_token(b"t")
    await first.commit(replace(change(), drop_tokens=(TOKEN.id,)))

    with pytest.raises(NightsafeError) as refused:
        await authenticator.by_token(b"t")

    assert refused.value.code == Code.UNKNOWN_TOKEN


async def test_tokens_stay_cached_while_another_node_writes_secrets(nodes: list[PostgresStore]) -> None:
    """The commits of another node that write no identity leave the cached tokens in force."""
    first, second = nodes
    await first.commit(_tokens())
    await first.commit(upload())
    authenticator = service.Authenticator(second)
    principal = await authenticator.by_token(b"t")

    await asyncio.gather(*(first.commit(setting(secret(f"S{number}"))) for number in range(20)))

    assert await second.secret(REF, "S19") is not None
    assert principal is await authenticator.by_token(b"t")


async def test_entries_that_are_not_read_count_as_identities(
    nodes: list[PostgresStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token is looked up again after more commits than one look reads."""
    first, second = nodes
    monkeypatch.setattr(identity_generation, "_LOOK", identity_generation._LOOK.replace("LIMIT 512", "LIMIT 2"))
    second._identities = identity_generation.IdentityGeneration(second._reader)
    await first.commit(upload())
    before = await second.identity_generation()

    await first.commit(setting(secret("A")))
    unchanged = await second.identity_generation()
    for name in ("B", "C", "D"):
        await first.commit(setting(secret(name)))

    assert before == unchanged != await second.identity_generation()


@pytest.mark.parametrize("ahead", [False, True])
async def test_a_look_up_waits_no_longer_than_the_patience(
    nodes: list[PostgresStore], monkeypatch: pytest.MonkeyPatch, *, ahead: bool
) -> None:
    """While no server answers, each look-up is refused after the patience, also one that waits behind another."""
    monkeypatch.setattr(nodes[0]._reader, "_patience", 1.2)
    gone, loop = asyncio.Event(), asyncio.get_running_loop()

    async def connect() -> asyncpg.Connection:
        """Never return."""
        await gone.wait()
        raise AssertionError

    monkeypatch.setattr(nodes[0]._reader, "_connect", connect)
    nodes[0]._reader.drop()
    first = asyncio.ensure_future(nodes[0].secret(REF, "A"))
    await asyncio.sleep(0.6 if ahead else 0)
    began = loop.time()

    with pytest.raises(NightsafeError) as refused:
        await nodes[0].secret(REF, "B")

    waited = loop.time() - began
    assert refused.value.code == Code.NO_PRIMARY
    assert 1 <= waited < 2
    assert isinstance((await asyncio.gather(first, return_exceptions=True))[0], NightsafeError)


async def test_a_cancelled_look_up_leaves_the_others(nodes: list[PostgresStore]) -> None:
    """A caller that is cancelled takes nothing from the other callers of the same key."""
    store = nodes[0]
    await store.commit(upload(secret("A")))
    callers = [asyncio.ensure_future(store.secret(REF, "A")) for _ in range(3)]
    await asyncio.sleep(0)
    callers[0].cancel()

    found = await asyncio.gather(*callers, return_exceptions=True)

    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1] == found[2] == await store.secret(REF, "A")


async def test_bindings_of_a_deleted_script_are_not_those_of_the_next(
    nodes: list[PostgresStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a script is replaced by another of its name during a read, the read does not mix both."""
    store = nodes[0]
    await store.commit(upload(secret("OLD")))
    head = await store._head(REF)

    async def head_of_before(_: ScriptRef) -> tuple[str, int] | None:
        """Return the script as it was before it was replaced."""
        return head

    await store.commit(removing())
    await store.commit(upload(secret("NEW")))
    monkeypatch.setattr(store, "_head", head_of_before)

    assert "NEW" not in [binding.name for binding in await store.bindings(REF, 1)]


async def test_reads_of_one_moment_end_although_the_server_has_stopped(
    nodes: list[PostgresStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads in a transaction are given up after their time, and made again in another connection."""
    monkeypatch.setattr(reader, "_SNAPSHOT_SECONDS", 0.5)
    stopped: list[int] = []

    async def work(db: asyncpg.Connection) -> int:
        """Stop the first server process between two reads."""
        process = int(await db.fetchval("SELECT pg_backend_pid()"))
        if not stopped:
            stopped.append(process)
            os.kill(process, signal.SIGSTOP)
        return int(await db.fetchval("SELECT pg_backend_pid()"))

    try:
        async with asyncio.timeout(20):
            other = await nodes[0]._reader.in_snapshot(work)
    finally:
        for process in stopped:
            os.kill(process, signal.SIGCONT)

    assert other not in stopped


async def test_a_commit_during_a_look_makes_no_server_seem_behind(
    nodes: list[PostgresStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that commits while the server answers how long the log is does not take the server for one behind."""
    store = nodes[0]
    await store.commit(upload())
    find = store._identities._look_ups.find

    async def find_before_a_commit(key: int) -> object:
        """Return what the server answers, after a further commit."""
        found = await find(key)
        await store.commit(setting(secret("A")))
        return found

    monkeypatch.setattr(store._identities._look_ups, "find", find_before_a_commit)
    await store.identity_generation()


async def test_a_connection_that_was_given_up_during_its_read_is_not_used_again(nodes: list[PostgresStore]) -> None:
    """If the connections are given up during a read, the read is answered, and the next has another connection."""

    async def work(db: asyncpg.Connection) -> int:
        """Give the connections up during a read."""
        nodes[0]._reader.drop()
        return int(await db.fetchval(PROCESS))

    assert await nodes[0]._reader.run(work, 3) != (await nodes[0]._reader.one(PROCESS))[0]


async def test_idle_connections_are_given_up_when_the_notified_one_is_lost(nodes: list[PostgresStore]) -> None:
    """When the connection fails that is notified of commits, later reads and writes have new connections.

    Otherwise the first write after a failover would wait for a server that is silent.
    """
    opened = asyncio.Event()
    nodes[0].on_announcement(lambda _: None, opened.set)
    await opened.wait()
    opened.clear()
    await nodes[0].commit(upload())
    if (purging := nodes[0]._writer._task) is not None:
        await asyncio.wait([purging])
    process = (await nodes[0]._reader.one(PROCESS))[0]
    assert process == (await nodes[0]._reader.one(PROCESS))[0]
    writing = nodes[0]._writer._db

    await nodes[1]._reader.one(END_LISTENER)
    await opened.wait()
    await nodes[0].commit(setting(secret("A")))

    assert process != (await nodes[0]._reader.one(PROCESS))[0]
    assert writing is not nodes[0]._writer._db


async def test_a_replaced_primary_that_wakes_up_is_passed_over() -> None:
    """A node that knows a commit of the new primary reads from no server that lacks it, although it takes writes."""
    with PostgresServer() as old, closing(PostgresServer()) as new:
        old.execute("CREATE DATABASE safe")
        new.follow(old)
        new.start()
        both = f"postgresql://nightsafe@127.0.0.1:{old.port},127.0.0.1:{new.port}/safe?allow_fsync_off=yes"
        db = await connect(parse(both))
        await migrate(db)
        await db.close()
        node = await PostgresStore.open(parse(both), IDENTITY_KEY, signer=SIGNING_KEY)
        await node.commit(upload())
        place = old.execute("SELECT pg_current_wal_lsn()")
        while new.execute(f"SELECT pg_last_wal_replay_lsn() >= '{place}'") != "t":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.to_thread(new.execute, "SELECT pg_promote()")
        other = await PostgresStore.open(parse(new.url("safe")), IDENTITY_KEY, signer=SIGNING_KEY)
        await other.commit(setting(secret("A")))
        assert await node.secret(REF, "A") is None

        node._feed.seen(2)
        shown, _ = await node.secret_and_identity_generation(REF, "A")

        assert shown is not None
        await node.close()
        await other.close()
