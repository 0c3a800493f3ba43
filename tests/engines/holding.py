"""Short ways to make holders, entries and the changes that alter them, for the tests of every engine."""

import os
from typing import Any

from msgspec.structs import replace
from tests.engines.changes import ACCOUNT, OTHER_ACCOUNT, change, entry, shown

from nightsafe.store.holding import Entry, Holder, HolderEdit, Kind
from nightsafe.store.interfaces import Store
from nightsafe.store.model import Change

NAME = "main"
LONG_AGO = 1_600_000_000_000_000
KINDS = (Kind.DISPATCH_NAMESPACE, Kind.PAGES_PROJECT, Kind.SECRETS_STORE)
"""The kinds that are made and removed as holders."""


def some_id() -> str:
    """An id that nothing else has."""
    return os.urandom(16).hex()


def value(name: str, slot: str = "", **fields: Any) -> Entry:
    """A secret entry with an id and a sealed value of its own; `fields` say otherwise."""
    made: dict[str, Any] = {
        "id": some_id(),
        "kind": "secret_text",
        "shown": shown(name, "secret_text"),
        "created_on": LONG_AGO,
        "modified_on": LONG_AGO,
        "sealed": os.urandom(200),
        "key_id": "key-1",
    }
    return Entry(slot=slot, name=name, **{**made, **fields})


def open_value(name: str, slot: str = "", **fields: Any) -> Entry:
    """An entry that is no secret."""
    return value(name, slot, **{"kind": "plain_text", "sealed": None, "key_id": None, **fields})


def new_holder(
    name: str = NAME, kind: Kind = Kind.SECRETS_STORE, account_id: str = ACCOUNT, body: bytes = b"{}"
) -> Holder:
    """A holder to be made."""
    return Holder(
        account_id=account_id,
        kind=kind,
        name=name,
        id=some_id(),
        body=body,
        created_on=LONG_AGO,
        modified_on=LONG_AGO,
    )


def making(holder: Holder, **fields: Any) -> Change:
    """A change that makes a holder; `fields` are more of its edit."""
    return holding(holder.name, holder.kind, holder.account_id, create=holder, **fields)


def holding(name: str = NAME, kind: Kind = Kind.SECRETS_STORE, account_id: str = ACCOUNT, **fields: Any) -> Change:
    """A change of one holder, later than every change before."""
    edit = HolderEdit(account_id=account_id, kind=kind, name=name, **fields)
    return replace(change(audit=entry(account_id=account_id)), hold=edit)


def putting(*entries: Entry, **fields: Any) -> Change:
    """A change that puts entries into the usual store."""
    return holding(put=entries, **fields)


async def held(store: Store, name: str = NAME, kind: Kind = Kind.SECRETS_STORE) -> list[Entry]:
    """Every entry of a holder that is there."""
    holder = await store.holder(ACCOUNT, kind, name)
    assert holder is not None
    return await store.entries(ACCOUNT, holder.id)


async def everything(store: Store) -> object:
    """All that is told of holders in both accounts, with the log: what a refused change must leave as it was."""
    return [await _of_account(store, account_id) for account_id in (ACCOUNT, OTHER_ACCOUNT)]


async def _of_account(store: Store, account_id: str) -> list[object]:
    """The same of one account; nothing when there is nothing."""
    holders = [holder for kind in KINDS for holder in await store.holders(account_id, kind)]
    scripts = [await store.holder(account_id, Kind.SCRIPT, one.ref.name) for one in await store.scripts(account_id)]
    told: list[object] = [
        (one, await store.entries(account_id, one.id)) for one in (*holders, *scripts) if one is not None
    ]
    return [*told, *await store.audit_entries(account_id, limit=1_000_000)]
