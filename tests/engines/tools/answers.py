"""The answers of a store to all reads of the interface, to compare two stores."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from msgspec.structs import replace
from tests.engines.tools.changes import ACCOUNT, OTHER_ACCOUNT
from tests.engines.tools.collections import KINDS

from nightsafe.errors import NightsafeError
from nightsafe.store.bundles import StoredApproval, StoredFile
from nightsafe.store.collections import Kind
from nightsafe.store.interface import Store
from nightsafe.store.scripts import Period, Script, ScriptRef, Version
from nightsafe.store.sealed_values import StoredValue

ACCOUNTS = (ACCOUNT, OTHER_ACCOUNT)
KEYS = ("key-1", "key-2")
REFS = (
    ScriptRef(ACCOUNT, "w"),
    ScriptRef(ACCOUNT, "v"),
    ScriptRef(ACCOUNT, "w", "ns"),
    ScriptRef(OTHER_ACCOUNT, "w"),
)
PERIOD = Period(since=1_700_000_000_000_005, until=1_700_000_000_000_020)
USER_ID = "c" * 32


async def answer(read: Callable[[], Awaitable[Any]]) -> Any:
    """Return the answer of a read or a commit, or the problems with which it is refused."""
    try:
        return await read()
    except NightsafeError as error:
        return [(problem.code, problem.detail) for problem in error.problems]


async def every_value(store: Store, account_id: str, key_id: str, **page: int) -> list[StoredValue]:
    """Return every value under a key, page by page, and check what the marks mean."""
    found: list[StoredValue] = []
    while values := await store.values_under(
        account_id, key_id, after=found[-1].mark if found else "", limit=page.get("limit", 3), max_bytes=1000
    ):
        found += values
    marks = [one.mark for one in found]
    assert len(set(marks)) == len(marks)
    assert found == [await store.value(account_id, mark) for mark in marks]
    assert [None] * len(marks) == [await store.value("f" * 32, mark) for mark in marks]
    return found


def place_and_record(one: StoredValue) -> tuple[str, bytes]:
    """Return what identifies a value on every engine."""
    return one.place, one.record


def without_marks(values: Iterable[StoredValue]) -> list[StoredValue]:
    """Return values in an order that both engines share, without their marks."""
    return sorted((replace(one, mark="") for one in values), key=place_and_record)


async def answers(store: Store) -> dict[str, Any]:
    """Return the answers to all reads of the interface, about everything that the histories touch."""
    told: dict[str, Any] = {}
    for account_id in ACCOUNTS:
        told |= await of_account(store, account_id)
    for ref in REFS:
        script = await store.script(ref)
        told |= {f"{ref} {key}": one for key, one in (await of_script(store, ref, script)).items()}
    return told | await of_log(store) | await of_identities(store)


async def together(reads: dict[str, Callable[[], Awaitable[Any]]]) -> dict[str, Any]:
    """Return the answers to reads that are made at the same time."""
    return dict(zip(reads, await asyncio.gather(*(answer(read) for read in reads.values())), strict=True))


async def of_account(store: Store, account_id: str) -> dict[str, Any]:
    """Return the answers about an account."""
    reads: dict[str, Callable[[], Awaitable[Any]]] = {
        "account": partial(store.account, account_id),
        "scripts": partial(store.scripts, account_id),
        "scripts in ns": partial(store.scripts, account_id, "ns"),
        "scripts after v": partial(store.scripts_after, account_id, "", "v"),
        "one script after": partial(store.scripts_after, account_id, "", "", 1),
        "count": partial(store.count_scripts, account_id, "ns"),
        "bound to stores": partial(_sorted, partial(store.bound_to_stores, account_id)),
        "mentioning": partial(store.bindings_mentioning, account_id, "w"),
        "settings": partial(store.settings_mentioning, account_id, "a"),
        "keys": partial(store.keys_in_use, account_id),
        "audit": partial(store.audit_entries, account_id, limit=1000),
        "later audit": partial(store.audit_entries, account_id, 5, 2),
        "between": partial(store.audit_between, account_id, 3, 9),
        "after": partial(store.audit_number_after, account_id, 2),
        "before": partial(store.audit_number_before, account_id, 7),
        "head": partial(store.audit_head, account_id),
        "members": partial(store.members, account_id),
        "tokens": partial(store.tokens_of_account, account_id),
    }
    told = await together(reads)
    for key_id in KEYS:
        told[f"values {key_id}"] = without_marks(await every_value(store, account_id, key_id))
        told[f"number {key_id}"] = await store.count_values(account_id, key_id)
    for kind in (*KINDS, Kind.SCRIPT):
        names = ("main", "é", "ns", "w", "v")
        held = [await store.collection(account_id, kind, name) for name in names]
        told[f"collections {kind}"] = [await store.collections(account_id, kind), *held]
        told[f"items {kind}"] = [
            (await store.items(account_id, one.id), await store.item_records(account_id, one.id))
            for one in held
            if one is not None
        ]
    return {f"{account_id} {key}": one for key, one in told.items()}


async def _sorted(read: Callable[[], Awaitable[list[Any]]]) -> list[Any]:
    """Return an answer whose order the interface does not promise."""
    return sorted(await read())


async def of_script(store: Store, ref: ScriptRef, script: Script | None) -> dict[str, Any]:
    """Return the answers about a script, its versions and its deployments."""
    reads: dict[str, Callable[[], Awaitable[Any]]] = {
        **{f"secret {name}": partial(store.secret, ref, name) for name in ("A", "B", "é", "absent")},
        "secrets": partial(store.secrets, ref),
        "bindings": partial(store.bindings, ref),
        "secret versions": partial(store.secret_versions, ref),
        "files": partial(store.files, ref),
        "version": partial(store.version, ref),
        "versions": partial(store.versions, ref),
        "some versions": partial(store.versions, ref, offset=1, limit=2),
        "deployments": partial(store.deployments, ref),
        "some deployments": partial(store.deployments, ref, offset=1, limit=1),
        "deployments in a period": partial(store.deployments, ref, period=PERIOD),
        "count": partial(store.count_deployments, ref),
        "count in a period": partial(store.count_deployments, ref, PERIOD),
        "served": partial(store.served, ref),
        "full": partial(store.full_version, ref),
        "approvals": partial(store.approvals, ref),
        "one approval": partial(store.approvals, ref, limit=1),
    }
    told = {"script": script, **await together(reads)}
    if script is None:
        return told
    told["by id"] = await store.script_by_id(ref.account_id, script.id)
    told["last deployed"] = await store.last_deployed(script)
    told["bindings of"] = await store.bindings_of(ref, 0, script.version + 1)
    versions, deployments = await store.versions(ref), await store.deployments(ref)
    files, approvals = await store.files(ref), await store.approvals(ref)
    first, last = sorted((versions[0].id, versions[-1].id))
    return told | await together(
        {
            "range": partial(store.versions_between, ref, first, last),
            **{f"version {one.number}": partial(of_version, store, ref, one) for one in versions},
            **{f"deployment {one.id.hex()}": partial(store.deployment, ref, one.id) for one in deployments},
            **{f"served by {one.id.hex()}": partial(store.served, ref, one.id) for one in deployments},
            **{f"content {one.name}": partial(of_file, store, ref.account_id, one) for one in files},
            **{f"by {one.approval.key}": partial(of_approver, store, ref, one) for one in approvals},
        }
    )


async def of_version(store: Store, ref: ScriptRef, version: Version) -> Any:
    """Return the answers about a version."""
    return [
        await store.version(ref, version.id),
        await store.bindings(ref, version.number),
        await store.files(ref, version.number),
        await store.full_version(ref, version.id),
    ]


async def of_file(store: Store, account_id: str, file: StoredFile) -> Any:
    """Return the answers about a file's contents."""
    parts = [
        await store.content_part(account_id, file.digest, start, 2) for start in (0, 1, file.size - 1, file.size)
    ]
    return await store.content(account_id, file.digest), await store.content_size(account_id, file.digest), parts


async def of_approver(store: Store, ref: ScriptRef, stored: StoredApproval) -> Any:
    """Return the answers about the approvals by a key."""
    made = stored.approval
    return await store.approvals(ref, [made.key]), await store.approvals_of(ref, made.code, [made.key, "x"])


async def of_log(store: Store) -> dict[str, Any]:
    """Return the answers about the log of all accounts and about the ring."""
    last = await store.last_audit_number()
    return {
        "last": last,
        "checkpoint": await store.checkpoint(),
        "leaves": await store.log_hashes(0, 0, last + 1),
        "nodes": [await store.log_hashes(level, 0, 300) for level in (1, 2)],
        "log": await store.log_entries(0, last + 1),
        "part of the log": await store.log_entries(2, 3),
        "all": await store.audit_entries_of_all_accounts(limit=1000),
        "few": await store.audit_entries_of_all_accounts(1, 5, 500),
        "one": await store.audit_entries_of_all_accounts(0, 5, 1),
        "retired": await store.retired_keys(),
        "ring": await store.ring_number(),
    }


async def of_identities(store: Store) -> dict[str, Any]:
    """Return the answers about identities."""
    reads: dict[str, Callable[[], Awaitable[Any]]] = {
        "accounts": store.accounts,
        "user": partial(store.user, USER_ID),
        "by email": partial(store.user_by_email, "SOMEONE@EXAMPLE.COM"),
        "by service key": partial(store.user_by_service_key, b"s" * 32),
        "memberships": partial(store.memberships, USER_ID),
        "tokens of the user": partial(store.tokens_of_user, USER_ID),
        **{f"token {number}": partial(store.token, bytes([number]) * 32) for number in range(4)},
        **{f"token {number} by id": partial(store.token_by_id, f"{number}" * 32) for number in range(4)},
    }
    return await together(reads)
