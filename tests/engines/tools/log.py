"""Checks of a store's whole log, and of what a store serves."""

from pathlib import Path
from typing import Any

import msgspec
from tests.engines.tools.changes import place_of
from tests.stores import SIGNING_KEY
from tests.unit.store.tools.tables import query

from nightsafe.bundle.signed import open_bundle
from nightsafe.bundle.verification import check_stated
from nightsafe.merkle.checkpoint import Checkpoint, NoteKey, open_note, statements_line
from nightsafe.merkle.statements import SignedStatements, statements_root
from nightsafe.merkle.tree import Frontier, leaf_hash, root_of
from nightsafe.sealing.record import RECORD_MAGIC, Record
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.sealer import SigningSealer
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.services.delivery.bundles import Bundles
from nightsafe.services.secrets.seal import Safe
from nightsafe.store.interface import Store
from nightsafe.store.scripts import ScriptRef

VERIFIER = VerifyKeys([SIGNING_KEY.verify_key])
SAFE = Safe(SigningSealer(PrivateRing.generate().public(), SIGNING_KEY), VERIFIER)


def head_of(path: Path, key: SigningKey = SIGNING_KEY) -> Checkpoint:
    """Return the checkpoint of the log, with its signature checked."""
    [(origin, note)] = query(path, "SELECT origin, checkpoint FROM log_head")
    assert isinstance(origin, str)
    assert isinstance(note, bytes)
    return open_note(note, [NoteKey(origin, key.public)])


def statements_of(data: bytes) -> list[bytes]:
    """Return the statements that an entry names."""
    written: dict[str, Any] = msgspec.json.decode(data).get("written", {})
    return [msgspec.convert(digest, bytes) for _, digest, _ in written.get("statements", [])]


def check_log(path: Path, key: SigningKey = SIGNING_KEY) -> int:
    """Check the whole log: its tree, its head, and the statements of each group; return the number of entries.

    Args:
        path: the database.
        key: the key that signed the log.
    """
    verifier = VerifyKeys([key.verify_key])
    rows: list[Any] = query(path, "SELECT seq, entry, leaf FROM audit ORDER BY seq")
    leaves = [leaf_hash(data) for _, data, _ in rows]
    assert list(range(1, len(rows) + 1)) == [number for number, _, _ in rows]
    assert leaves == [leaf for _, _, leaf in rows]
    head = head_of(path, key)
    assert (len(leaves), root_of(leaves)) == (head.size, head.root)
    [(size, frontier)] = query(path, "SELECT size, frontier FROM log_head")
    assert isinstance(size, int)
    assert isinstance(frontier, bytes)
    assert (head.size, head.root) == (size, Frontier.decode(size, frontier).root())
    stated = [statements_of(data) for _, data, _ in rows]
    groups: list[Any] = query(path, "SELECT first, size, root, digests, signer, signature FROM log_groups ORDER BY 1")
    in_groups = set[int]()
    for first, end, root, digests, signer_id, signature in groups:
        named = [digest for statements in stated[first:end] for digest in statements]
        assert (root_of(leaves[:end]), b"".join(named)) == (root, digests)
        signed = SignedStatements(
            origin=head.origin, size=end, root=root, digests=digests, signer_id=signer_id, signature=signature
        )
        checkpoint = open_note(signed.note(key.public), [NoteKey(head.origin, key.public)])
        assert (statements_line(len(named), statements_root(named)),) == checkpoint.extensions
        assert all(verifier.verify_statement(digest, signed.proof(at)) for at, digest in enumerate(named))
        assert in_groups.isdisjoint(range(first, end))
        in_groups |= set(range(first, end))
    assert [] == [at for at, statements in enumerate(stated) if statements and at not in in_groups]
    return len(rows)


async def check_served(store: Store, ref: ScriptRef) -> None:
    """Check a script's bundle and each record in it as the delivery process does."""
    bundle = open_bundle(await Bundles(store, SAFE).bundle(ref), VERIFIER)
    assert bundle.versions
    check_stated(bundle, VERIFIER)
    served = await store.served(ref)
    assert [version.version.number for version in served.versions] == [version.number for version in bundle.versions]
    for version in served.versions:
        sealed = {one.name: one.sealed for one in await store.bindings(ref, version.version.number)}
        for binding in version.bindings:
            if binding.record is not None:
                stored = sealed[binding.name] or b""
                value_of_it = Record.parse(stored).sealed if stored.startswith(RECORD_MAGIC) else stored
                assert value_of_it == VERIFIER.verify(place_of(ref, binding), binding.record)
