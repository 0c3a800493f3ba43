"""The served versions of a script, the head of the log, and waiting for commits."""

import asyncio
import hashlib

from tests.engines.tools.changes import (
    ACCOUNT,
    CODE,
    OTHER_ACCOUNT,
    REF,
    deploying,
    editing,
    place_of,
    removing,
    secret,
    setting,
    upload,
)
from tests.engines.tools.engine import Engine
from tests.stores import SIGNING_KEY

from nightsafe.bundle.statements import ScriptIdentity, triggers_digest
from nightsafe.merkle.statements import StatementProof
from nightsafe.sealing.proven_record import ProvenRecord
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.store.bundles import AuditHead, ModuleName, Served, ServedBinding
from nightsafe.store.interface import Store
from nightsafe.store.scripts import Binding, ScriptRef

LONG = 60.0
VERIFIER = VerifyKeys([SIGNING_KEY.verify_key])
NAMES = (ModuleName("m0.js", "application/javascript+module", hashlib.sha256(CODE[0]).digest()),)


async def head(store: Store) -> AuditHead:
    """Return the latest log entry of the account."""
    return await store.audit_head(ACCOUNT)


async def version_ids(store: Store) -> list[bytes]:
    """Return the ids of the script's versions, oldest first."""
    return [version.id for version in reversed(await store.versions(REF))]


def put(bindings: tuple[ServedBinding, ...]) -> list[tuple[int, Binding]]:
    """Return secrets as they were put, each with the number of its version; check the proofs of their records."""
    found = []
    for binding in bindings:
        assert binding.record is not None
        assert binding.since == ProvenRecord.parse(binding.record).since
        sealed = VERIFIER.verify(place_of(REF, binding), binding.record)
        found.append((binding.since, Binding(binding.name, binding.kind, binding.shown, sealed, "key-1")))
    return found


async def test_the_head_is_the_latest_log_entry(store: Store) -> None:
    """The head is the number and the leaf hash of the account's latest entry."""
    assert AuditHead() == await head(store)
    await store.commit(upload())
    await store.commit(setting(secret("A")))
    await store.commit(upload(ref=ScriptRef(OTHER_ACCOUNT, "worker")))
    entries = await store.audit_entries(ACCOUNT)

    assert 2 == len(entries)
    assert AuditHead(entries[-1][0], entries[-1][1].leaf) == await head(store)


async def test_an_absent_or_undeployed_script_serves_nothing(store: Store) -> None:
    """A script that is absent or not deployed has no served versions, but the head of the log is still returned."""
    assert Served(AuditHead()) == await store.served(REF)
    await store.commit(upload())
    await store.commit(removing())
    assert Served(await head(store)) == await store.served(REF)
    assert Served(AuditHead()) == await store.served(ScriptRef(OTHER_ACCOUNT, "worker"))


async def test_the_served_version_has_its_files_and_bindings(store: Store) -> None:
    """The served version is returned with its file names and bindings, even after undeployed uploads."""
    first, second = secret("A"), secret("A")
    await store.commit(upload(first, settings=b'{"compatibility_date":"2026-01-01"}'))
    await store.commit(setting(second))
    await store.commit(upload(secret("B"), bodies=(b"x", b"y"), deployed=False))
    served = await store.served(REF)

    assert await head(store) == served.head
    [only] = served.versions
    assert (2, 100.0) == (only.version.number, only.percentage)
    assert (NAMES, [(2, second)]) == (only.modules, put(only.bindings))
    assert b'{"compatibility_date":"2026-01-01"}' == only.version.settings


async def test_any_version_is_returned_as_served(store: Store) -> None:
    """Any version, deployed or not, is returned as it would be served; the default is the newest."""
    first = secret("A")
    await store.commit(upload(first))
    await store.commit(upload(secret("B"), bodies=(b"x", b"y"), deployed=False))
    older, newer = await version_ids(store)
    made = await store.full_version(REF, older)

    assert made is not None
    assert (1, 0.0, NAMES) == (made.version.number, made.percentage, made.modules)
    assert [(1, first)] == put(made.bindings)
    newest = await store.full_version(REF)
    assert newest == await store.full_version(REF, newer)
    assert newest is not None
    assert (2, 2, {"B"}) == (
        newest.version.number,
        len(newest.modules),
        {binding.name for binding in newest.bindings},
    )
    assert None is await store.full_version(REF, b"\0" * 16)
    assert None is await store.full_version(ScriptRef(OTHER_ACCOUNT, "worker"))


async def test_triggers_of_a_served_script_are_returned(store: Store) -> None:
    """The triggers of a served script are returned, with the proof of their statement."""
    await store.commit(upload())
    plain = await store.served(REF)
    await store.commit(editing(triggers=b'{"subdomain_enabled":false}'))
    served = await store.served(REF)
    assert [b"{}", b'{"subdomain_enabled":false}'] == [plain.triggers, served.triggers]
    for found in (plain, served):
        digest = triggers_digest(ScriptIdentity(ACCOUNT, "", REF.name, found.script_id), found.triggers)
        assert VERIFIER.verify_statement(digest, StatementProof.parse(found.triggers_proof))


async def test_versions_that_share_traffic_have_own_bindings(store: Store) -> None:
    """Each served version has its own bindings and percentage, also if it is not the newest."""
    first, second = secret("A"), secret("A")
    await store.commit(upload(first))
    await store.commit(setting(second))
    await store.commit(setting(secret("B")))
    ids = await version_ids(store)
    await store.commit(deploying((ids[0], 90.0), (ids[1], 10.0), force=True))
    served = await store.served(REF)

    assert [(1, 90.0, [(1, first)]), (2, 10.0, [(2, second)])] == [
        (served_version.version.number, served_version.percentage, put(served_version.bindings))
        for served_version in served.versions
    ]


async def test_contents_are_found_by_digest_in_their_account(store: Store) -> None:
    """A content is found by its digest, only within its own account."""
    await store.commit(upload(bodies=(b"one", b"two")))
    digest = hashlib.sha256(b"two").digest()

    assert b"two" == await store.content(ACCOUNT, digest)
    assert None is await store.content(OTHER_ACCOUNT, digest)
    assert None is await store.content(ACCOUNT, hashlib.sha256(b"three").digest())


async def test_a_commit_of_this_process_wakes_waiters(store: Store) -> None:
    """Every waiter wakes at a commit; a waiter whose generation is already past returns at once."""
    generation = store.generation()
    waiters = [asyncio.ensure_future(store.changed(generation, LONG)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(waiter.done() for waiter in waiters)
    await store.commit(upload())
    await asyncio.gather(*waiters)
    await store.changed(generation, LONG)

    assert generation != store.generation()


async def test_a_commit_of_another_process_wakes_waiters(store: Store, engine: Engine) -> None:
    """A commit through another store on the same data, as another process would make, wakes the waiter."""
    other = await engine.open()
    generation = store.generation()
    waiter = asyncio.ensure_future(store.changed(generation, LONG))
    await asyncio.sleep(0)
    await other.commit(upload())
    await waiter
    await other.close()

    assert generation != store.generation()


async def test_waiting_ends_after_its_timeout(store: Store) -> None:
    """Waiting ends after its timeout; a cancelled waiter does not disturb the others."""
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


async def test_closing_wakes_waiters(store: Store) -> None:
    """Closing the store wakes its waiters."""
    waiter = asyncio.ensure_future(store.changed(store.generation(), LONG))
    await asyncio.sleep(0)
    await store.close()
    await waiter
