"""Approvals, as the store keeps them."""

import hashlib
import os

import pytest
from msgspec.structs import replace
from tests.engines.tools.changes import ACCOUNT, REF, change, removing, upload

from nightsafe.bundle.approvals.approval import Approval
from nightsafe.errors import Code, NightsafeError
from nightsafe.store.bundles import StoredApproval
from nightsafe.store.changes import Change
from nightsafe.store.interface import Store


def approval(public: bytes, made_at: int, code: bytes = b"code") -> Approval:
    """Return an approval; the store does not check its signature."""
    digest = hashlib.sha256(code).digest()
    return Approval(public=public * 32, made_at=made_at, code=digest, values=digest, signature=os.urandom(64))


async def approving(store: Store, made: Approval, **members: object) -> Change:
    """Return a change that keeps an approval of the newest version."""
    script, version = await store.script(REF), await store.version(REF)
    assert script is not None
    assert version is not None
    stored = replace(StoredApproval(script.id, version.id, made), **members)
    return replace(change(), approval=stored)


async def test_approvals_are_listed_newest_first(store: Store) -> None:
    """The approvals of a script are returned newest first; those of some code, by keys."""
    assert [] == await store.approvals(REF)
    await store.commit(upload())
    first, second, third = approval(b"a", 10), approval(b"b", 30), approval(b"a", 20, b"other")
    for made in (first, second, third):
        await store.commit(await approving(store, made))

    assert [second, third, first] == [stored.approval for stored in await store.approvals(REF)]
    assert [second] == [stored.approval for stored in await store.approvals(REF, limit=1)]
    found = await store.approvals_of(REF, first.code, [first.key, second.key])
    assert [second, first] == [stored.approval for stored in found]
    assert [first] == [stored.approval for stored in await store.approvals_of(REF, first.code, [first.key])]
    assert [] == await store.approvals_of(REF, first.code, [])


async def test_an_approval_has_an_entry(store: Store) -> None:
    """Keeping an approval is an entry of the audit log; keeping it again changes nothing else."""
    await store.commit(upload())
    before = await store.audit_head(ACCOUNT)
    kept = await approving(store, approval(b"a", 10))
    await store.commit(kept)
    await store.commit(kept)

    assert before.number + 2 == (await store.audit_head(ACCOUNT)).number
    assert 1 == len(await store.approvals(REF))


async def test_an_approval_needs_its_version(store: Store) -> None:
    """An approval of a version that is gone is refused; deleting the script deletes its approvals."""
    await store.commit(upload())
    kept = await approving(store, approval(b"a", 10))
    await store.commit(kept)
    await store.commit(removing())
    with pytest.raises(NightsafeError) as caught:
        await store.commit(kept)
    assert Code.VERSION_NOT_FOUND == caught.value.code

    await store.commit(upload())
    assert [] == await store.approvals(REF)
