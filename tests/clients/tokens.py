"""Credentials that the command line cannot make, written to the store by this process beside the server's."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from tests.server import Safe

from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.identity.credentials import digest, new_token
from nightsafe.identity.permissions import ALL_ACCESS
from nightsafe.identity.policy import ACCOUNT_RESOURCE
from nightsafe.services.caller import now
from nightsafe.services.identity.administration import Credentials, create_account
from nightsafe.store.changes import Change
from nightsafe.store.identities import Identity, Token
from nightsafe.store.interface import Store

T = TypeVar("T")

WRITE = "e086da7e2179491d91ee5f35b3ca210a"
READ = "1a71c399035b4950a1bd1466bbe4f420"
TAIL = "05880cd1bdc24d8bae0be2136972816b"


def policy(*groups: str, account_id: str, effect: str = "allow", scope: str = "*") -> dict[str, object]:
    """Return one policy as it is stored."""
    return {
        "effect": effect,
        "permission_groups": [{"id": group} for group in groups],
        "resources": {ACCOUNT_RESOURCE + account_id: scope},
    }


def in_store(safe: Safe, job: Callable[[Store], Awaitable[T]]) -> T:
    """Run a job with the store in this process."""

    async def work() -> T:
        """Open the store, run the job and close the store."""
        store = await DataDirectory(safe.path).open_store()
        try:
            return await job(store)
        finally:
            await store.close()

    return asyncio.run(work())


def write(safe: Safe, *rows: Identity) -> None:
    """Create or replace accounts, users, memberships or tokens."""

    async def job(store: Store) -> None:
        """Commit the rows."""
        event = AuditEvent(
            at=now(), action="tests.write", actor="", actor_kind="operator", account_id=safe.account_id
        )
        await store.commit(Change(at=event.at, audit=entry_for(event), put=rows))

    in_store(safe, job)


def make_token(safe: Safe, *policies: dict[str, object], **changed: object) -> tuple[str, Token]:
    """Create a token with these policies; `changed` are columns with other values. Return its value and its row."""
    secret, at = new_token(), now()
    row = Token(
        id=uuid.uuid4().hex,
        digest=digest(secret),
        user_id=uuid.uuid4().hex,
        name="of a test",
        status="active",
        policies=msgspec.json.encode(policies or [policy(ALL_ACCESS, account_id=safe.account_id)]),
        issued_on=at,
        modified_on=at,
    )
    row = msgspec.structs.replace(row, **changed)
    write(safe, row)
    return secret, row


def make_account(safe: Safe) -> Credentials:
    """Create another account with another owner in the same safe."""
    account_id = uuid.uuid4().hex

    async def job(store: Store) -> Credentials:
        """Create the account."""
        return await create_account(store, account_id, "Another", f"{account_id}@nightsafe.local")

    return in_store(safe, job)
