"""What is served of a script, where the log stands, and waiting for a commit."""

import asyncio
import hashlib

from tests.engines.tools.changes import (
    ACCOUNT,
    CODE,
    OTHER_ACCOUNT,
    REF,
    deploying,
    editing,
    removing,
    secret,
    setting,
    upload,
)
from tests.engines.tools.engine import Engine

from nightsafe.store.bundles import AuditHead, ModuleName, Served
from nightsafe.store.interface import Store
from nightsafe.store.scripts import ScriptRef

LONG = 60.0
NAMES = (ModuleName("m0.js", "application/javascript+module", hashlib.sha256(CODE[0]).digest()),)


async def head(store: Store) -> AuditHead:
    """The latest log entry of the account."""
    return await store.audit_head(ACCOUNT)


async def version_ids(store: Store) -> list[bytes]:
    """The ids of the script's versions, oldest first."""
    return [version.id for version in reversed(await store.versions(REF))]


async def test_the_head_of_the_log(store: Store) -> None:
    """Is the number and the leaf hash of the account's latest entry, whatever other accounts do."""
    assert AuditHead() == await head(store)
    await store.commit(upload())
    await store.commit(setting(secret("A")))
    await store.commit(upload(ref=ScriptRef(OTHER_ACCOUNT, "worker")))
    entries = await store.audit_entries(ACCOUNT)

    assert 2 == len(entries)
    assert AuditHead(entries[-1][0], entries[-1][1].leaf) == await head(store)


async def test_what_is_not_there_or_not_deployed(store: Store) -> None:
    """Is served by no version, and the head is told all the same."""
    assert Served(AuditHead()) == await store.served(REF)
    await store.commit(upload())
    await store.commit(removing())
    assert Served(await head(store)) == await store.served(REF)
    assert Served(AuditHead()) == await store.served(ScriptRef(OTHER_ACCOUNT, "worker"))


async def test_the_version_that_is_served_alone(store: Store) -> None:
    """With its files' names and its bindings as they were then; a version that is not deployed changes nothing."""
    first, second = secret("A"), secret("A")
    await store.commit(upload(first, settings=b'{"compatibility_date":"2026-01-01"}'))
    await store.commit(setting(second))
    await store.commit(upload(secret("B"), bodies=(b"x", b"y"), deployed=False))
    served = await store.served(REF)

    assert await head(store) == served.head
    [only] = served.versions
    assert (2, 100.0) == (only.version.number, only.percentage)
    assert (NAMES, (second,)) == (only.modules, only.bindings)
    assert b'{"compatibility_date":"2026-01-01"}' == only.version.settings


async def test_what_a_version_is_made_of(store: Store) -> None:
    """Any one, deployed or not, as it is served; by default the newest. None for one that is not there."""
    first = secret("A")
    await store.commit(upload(first))
    await store.commit(upload(secret("B"), bodies=(b"x", b"y"), deployed=False))
    older, newer = await version_ids(store)
    made = await store.made_of(REF, older)

    assert made is not None
    assert (1, 0.0, NAMES, (first,)) == (made.version.number, made.percentage, made.modules, made.bindings)
    newest = await store.made_of(REF)
    assert newest == await store.made_of(REF, newer)
    assert newest is not None
    assert (2, 2, {"B"}) == (
        newest.version.number,
        len(newest.modules),
        {one.name for one in newest.bindings},
    )
    assert None is await store.made_of(REF, b"\0" * 16)
    assert None is await store.made_of(ScriptRef(OTHER_ACCOUNT, "worker"))


async def test_what_no_upload_touches(store: Store) -> None:
    """Is told of a script that is served."""
    await store.commit(upload())
    assert b"{}" == (await store.served(REF)).triggers
    await store.commit(editing(triggers=b'{"subdomain_enabled":false}'))
    assert b'{"subdomain_enabled":false}' == (await store.served(REF)).triggers


async def test_versions_that_share_the_traffic(store: Store) -> None:
    """Each with its own bindings and share, also when they are older than the newest."""
    first, second = secret("A"), secret("A")
    await store.commit(upload(first))
    await store.commit(setting(second))
    await store.commit(setting(secret("B")))
    ids = await version_ids(store)
    await store.commit(deploying((ids[0], 90.0), (ids[1], 10.0), force=True))
    served = await store.served(REF)

    assert [(1, 90.0, (first,)), (2, 10.0, (second,))] == [
        (one.version.number, one.percentage, one.bindings) for one in served.versions
    ]


async def test_bodies_by_their_digest(store: Store) -> None:
    """Within the account that has them, and no other."""
    await store.commit(upload(bodies=(b"one", b"two")))
    digest = hashlib.sha256(b"two").digest()

    assert b"two" == await store.content(ACCOUNT, digest)
    assert None is await store.content(OTHER_ACCOUNT, digest)
    assert None is await store.content(ACCOUNT, hashlib.sha256(b"three").digest())


async def test_a_commit_of_this_process_wakes(store: Store) -> None:
    """Who waits for a change of the generation, however many there are; who is late does not wait at all."""
    generation = store.generation()
    waiters = [asyncio.ensure_future(store.changed(generation, LONG)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(waiter.done() for waiter in waiters)
    await store.commit(upload())
    await asyncio.gather(*waiters)
    await store.changed(generation, LONG)

    assert generation != store.generation()


async def test_a_commit_of_another_process_wakes(store: Store, engine: Engine) -> None:
    """As another store on the same data stands for one."""
    other = await engine.open()
    generation = store.generation()
    waiter = asyncio.ensure_future(store.changed(generation, LONG))
    await asyncio.sleep(0)
    await other.commit(upload())
    await waiter
    await other.close()

    assert generation != store.generation()


async def test_nothing_happens(store: Store) -> None:
    """Then waiting ends after the time it was given, and one who gives up leaves the others waiting."""
    generation = store.generation()
    await store.changed(generation, 0.05)
    waiters = [asyncio.ensure_future(store.changed(generation, LONG)) for _ in range(2)]
    await asyncio.sleep(0)
    waiters[0].cancel()
    await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
    assert not waiters[1].done()
    await store.commit(upload())
    await waiters[1]

    assert waiters[0].cancelled()


async def test_closing_wakes(store: Store) -> None:
    """A store that is closed lets nobody wait."""
    waiter = asyncio.ensure_future(store.changed(store.generation(), LONG))
    await asyncio.sleep(0)
    await store.close()
    await waiter
