"""On whose behalf a use case runs, and the traces it leaves: audit entry, version, deployment."""

import os
import time
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.identity.service import Principal
from nightsafe.store.changes import AuditEntry, Change
from nightsafe.store.collections import CollectionEdit, Kind
from nightsafe.store.identities import Identity
from nightsafe.store.script_edit import ScriptEdit, Stamp
from nightsafe.store.scripts import ScriptRef


class Caller(Struct, frozen=True):
    """Who asks, through which kind of client, from which address, and what lets them.

    Attributes:
        principal: who asks.
        source: the kind of client.
        address: where the request came from.
        permission: the action that was asked for, or "".
        policy: id of the policy that allowed it, or "".
    """

    principal: Principal
    source: str = "api"
    address: str = ""
    permission: str = ""
    policy: str = ""


def now() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


def stamp(caller: Caller, triggered_by: str, annotations: bytes = b"{}") -> Stamp:
    """A new version and its deployment, made by the caller."""
    version_id, deployment_id = _two_uuids()
    return Stamp(
        version_id=version_id,
        deployment_id=deployment_id,
        source=caller.source,
        triggered_by=triggered_by,
        author_id=caller.principal.user_id,
        author_email=caller.principal.email,
        annotations=annotations,
    )


def _two_uuids() -> tuple[bytes, bytes]:
    """Two random UUIDs (RFC 9562, version 4) from one call for randomness: every write needs two."""
    random = bytearray(os.urandom(32))
    for at in (0, 16):
        random[at + 6] = 0x40 | random[at + 6] & 0x0F
        random[at + 8] = 0x80 | random[at + 8] & 0x3F
    return bytes(random[:16]), bytes(random[16:])


def change(caller: Caller, action: str, edit: ScriptEdit) -> Change:
    """The edit with its audit entry, ready to be committed."""
    at = now()
    names = tuple(binding.name for binding in edit.set)
    return Change(at=at, audit=_audit(caller, action, edit, at, names), edit=edit)


def _audit(caller: Caller, action: str, edit: ScriptEdit, at: int, names: Iterable[str]) -> AuditEntry:
    """The log entry of an edit."""
    ref: ScriptRef = edit.ref
    event = AuditEvent(
        **asker(caller),
        at=at,
        action=action,
        account_id=ref.account_id,
        namespace=ref.namespace,
        script=ref.name,
        set=tuple(names),
        dropped=edit.drop,
        resource=edit.deploy.id.hex() if edit.deploy else "",
        version_id=_versions(edit),
    )
    return entry_for(event)


def _versions(edit: ScriptEdit) -> str:
    """The version that an edit makes, or else those that it deploys."""
    if edit.stamp is not None:
        return edit.stamp.version_id.hex()
    return ",".join(version_id.hex() for version_id, _ in edit.deploy.versions) if edit.deploy else ""


def identity_change(  # noqa: PLR0913 - a change has many sides
    caller: Caller,
    action: str,
    account_id: str,
    resource: str,
    *,
    put: tuple[Identity, ...] = (),
    drop_tokens: tuple[str, ...] = (),
) -> Change:
    """Identities to put or drop, with their audit entry, ready to be committed.

    Args:
        caller: who asks.
        action: for example `tokens.roll`.
        account_id: the account concerned, or "" when only a user is.
        resource: id of the token or user that it is done to.
        put: rows to create or replace.
        drop_tokens: ids of tokens to delete.
    """
    at = now()
    event = AuditEvent(**asker(caller), at=at, action=action, account_id=account_id, resource=resource)
    return Change(at=at, audit=entry_for(event), put=put, drop_tokens=drop_tokens)


def collection_change(
    caller: Caller, action: str, collection_edit: CollectionEdit, at: int, edit: ScriptEdit | None = None
) -> Change:
    """An edit of what holds values with its audit entry, ready to be committed.

    Args:
        caller: who asks.
        action: for example `stores.secrets.create`.
        collection_edit: the edit.
        at: when, in microseconds; the items it puts say the same.
        edit: what happens in the same change to the script that the collection is.
    """
    event = AuditEvent(
        **asker(caller),
        at=at,
        action=action,
        account_id=collection_edit.account_id,
        collection=collection_edit.kind,
        resource=collection_edit.name,
        script=collection_edit.name if collection_edit.kind is Kind.SCRIPT else "",
        set=tuple(_item_name(item.environment, item.name) for item in collection_edit.put),
        dropped=tuple(_item_name(*place) for place in collection_edit.drop),
    )
    return Change(at=at, audit=entry_for(event), edit=edit, collection_edit=collection_edit)


def _item_name(environment: str, name: str) -> str:
    """An item as the log names it: `production/NAME`, or `NAME` where there are no environments."""
    return f"{environment}/{name}" if environment else name


def asker(caller: Caller) -> dict[str, Any]:
    """The part of a log entry that says who asked, and what let them."""
    return {
        "actor": caller.principal.id,
        "actor_kind": caller.principal.kind,
        "email": caller.principal.email,
        "address": caller.address,
        "permission": caller.permission,
        "policy": caller.policy,
    }
