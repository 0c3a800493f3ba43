"""A log whose group commits are signed by the keys of several nodes in turn."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.engines.tools.changes import REF, deploying, plain, secret, setting, upload
from tests.engines.tools.engine import Engine
from tests.engines.tools.refusals import refusal
from tests.stores import SIGNING_KEY

from nightsafe.bundle.signed import open_bundle
from nightsafe.bundle.verification import check_stated
from nightsafe.delivery.cache.record_check import check_new_records
from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.checkpoint import Checkpoint, read_note
from nightsafe.merkle.proofs import is_consistent
from nightsafe.sealing.reloading.key_file import ReloadedFile
from nightsafe.sealing.reloading.signer import ReloadingSigner
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.sealer import SigningSealer
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.services.audit.transparency_log import TransparencyLog
from nightsafe.services.delivery.bundles import Bundles
from nightsafe.services.secrets.seal import Safe
from nightsafe.store.interface import Store

OTHER_KEY = SigningKey.generate()
BOTH = VerifyKeys([SIGNING_KEY.verify_key, OTHER_KEY.verify_key])
RING = PrivateRing.generate().public()
"""Values in these tests are bytes that nobody opens, so any ring does."""


@pytest.fixture
async def nodes(engine: Engine) -> AsyncIterator[tuple[Store, Store]]:
    """Yield two stores on the same data, each with a key of its own."""
    first, second = await engine.open(), await engine.open(OTHER_KEY)
    yield first, second
    await first.close()
    await second.close()


async def in_turn(nodes: Sequence[Store]) -> None:
    """Write a script, a value and a deployment by one node after the other."""
    first, second = nodes
    await first.commit(upload(secret("A"), plain("P")))
    await second.commit(setting(secret("B")))
    await first.commit(setting(secret("A")))
    await second.commit(deploying(((await first.versions(REF))[0].id, 100.0)))


async def size_of(store: Store) -> int:
    """Return the number of the log's entries."""
    return read_note(await store.checkpoint()).size


async def served_by(store: Store, key: SigningKey, keys: VerifyKeys) -> bool:
    """Return whether a delivery process with these keys takes what a node gives it, and every value in it."""
    data = await Bundles(store, Safe(SigningSealer(RING, key), BOTH)).bundle(REF)
    try:
        bundle = open_bundle(data, keys)
        check_stated(bundle, keys)
        check_new_records(bundle, replace(bundle, versions=()), keys)
    except NightsafeError:
        return False
    return bool(bundle.versions)


async def test_each_node_continues_the_log(nodes: tuple[Store, Store]) -> None:
    """Each checkpoint continues the one before, which another node's key has signed; the log keeps its name."""
    log, seen = TransparencyLog(nodes[1]), list[Checkpoint]()
    for node in (*nodes, *nodes):
        await node.commit(upload(secret("A")))
        before = seen[-1] if seen else None
        answer = await log.proof(before.size if before else 0)
        seen.append(BOTH.open_checkpoint(answer.checkpoint))
        if before is not None:
            assert is_consistent(before.size, seen[-1].size, before.root, seen[-1].root, answer.proof)

    assert 1 == len({checkpoint.origin for checkpoint in seen})
    assert [1, 2, 3, 4] == [checkpoint.size for checkpoint in seen]


async def test_delivery_takes_what_any_listed_node_has_signed(nodes: tuple[Store, Store]) -> None:
    """Parts of one bundle are stated under different keys, and either node may sign the bundle."""
    await in_turn(nodes)

    assert await served_by(nodes[0], SIGNING_KEY, BOTH)
    assert await served_by(nodes[1], OTHER_KEY, BOTH)


async def test_a_key_that_is_not_listed_is_refused(nodes: tuple[Store, Store]) -> None:
    """Without the other node's key, its statements and checkpoints are refused, also in the first node's bundle."""
    await in_turn(nodes)
    alone = VerifyKeys([SIGNING_KEY.verify_key])

    assert not await served_by(nodes[0], SIGNING_KEY, alone)
    with pytest.raises(NightsafeError, match="no trusted key"):
        alone.open_checkpoint(await nodes[0].checkpoint())


async def test_a_retired_key_stays_good_for_what_it_signed(nodes: tuple[Store, Store]) -> None:
    """What a key signed until its retirement is served by another node, and no bundle that it signs is taken."""
    await in_turn(nodes)
    retired = BOTH.retired(OTHER_KEY.verify_key, await size_of(nodes[0]))

    assert await served_by(nodes[0], SIGNING_KEY, retired)
    assert not await served_by(nodes[1], OTHER_KEY, retired)
    assert await size_of(nodes[0]) == retired.open_checkpoint(await nodes[0].checkpoint()).size


async def test_what_a_retired_key_signs_later_is_refused(nodes: tuple[Store, Store]) -> None:
    """A node that runs on after its retirement states nothing that anyone accepts."""
    await in_turn(nodes)
    retired = BOTH.retired(OTHER_KEY.verify_key, await size_of(nodes[0]))
    await nodes[1].commit(setting(secret("C")))

    assert not await served_by(nodes[0], SIGNING_KEY, retired)
    with pytest.raises(NightsafeError, match="was retired when the log had 4"):
        retired.open_checkpoint(await nodes[0].checkpoint())
    assert await served_by(nodes[0], SIGNING_KEY, BOTH.retired(OTHER_KEY.verify_key, 5))


@pytest.mark.parametrize(
    ("keys", "problem"),
    [(BOTH.retired(OTHER_KEY.verify_key, 1), "was retired"), (VerifyKeys([SIGNING_KEY.verify_key]), "is not listed")],
    ids=["retired", "not listed"],
)
async def test_a_node_whose_key_does_not_count_stops(
    engine: Engine, tmp_path: Path, keys: VerifyKeys, problem: str
) -> None:
    """A running node whose list retires its key, or lacks it, refuses every change until the list has it again."""
    path = tmp_path / "verify-keys.json"
    BOTH.save(path)
    signer = ReloadingSigner(OTHER_KEY, ReloadedFile(path, VerifyKeys.load))
    async with AsyncExitStack() as stack:
        store = await engine.open(signer)
        stack.push_async_callback(store.close)
        await store.commit(upload(secret("A")))
        keys.save(path, replace=True)

        [(code, detail)] = await refusal(store, setting(secret("B")))
        assert Code.NODE_NOT_TRUSTED is code
        assert OTHER_KEY.id in detail
        assert problem in detail
        assert 1 == await size_of(store)
        assert ["A"] == [binding.name for binding in await store.bindings(REF)]

        BOTH.save(path, replace=True)
        await store.commit(setting(secret("B")))
        assert 2 == await size_of(store)
