"""The caller of a use case, and the records of a change: audit entry, version and deployment."""

import os
import time
from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct

from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.identity.service import Principal
from nightsafe.store.changes import AuditEntry, Change
from nightsafe.store.collections import CollectionEdit, Kind
from nightsafe.store.identities import Identity
from nightsafe.store.script_edit import ScriptEdit, Stamp
from nightsafe.store.scripts import ScriptRef

_PREFIX: Final = "/client/v4"
_MAX_URI: Final = 512
_MAX_USER_AGENT: Final = 128


class Caller(Struct, frozen=True):
    """The caller of a use case.

    Attributes:
        principal: the authenticated principal.
        source: the kind of client.
        address: the address that the request came from.
        permission: the action that the request needs, or "".
        policy: ID of the policy that allowed the action, or "".
        method: the method of the request, or "".
        path: the path of the request as it arrived, or "".
        user_agent: the value of the request's `User-Agent` header.
    """

    principal: Principal
    source: str = "api"
    address: str = ""
    permission: str = ""
    policy: str = ""
    method: str = ""
    path: str = ""
    user_agent: bytes = b""


def now() -> int:
    """Return the time in microseconds since 1970 UTC."""
    return time.time_ns() // 1000


def new_stamp(caller: Caller, triggered_by: str, annotations: bytes = b"{}") -> Stamp:
    """Return a stamp with new IDs for a version and its deployment, made by the caller."""
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
    """Return two UUIDs in the form of RFC 9562, version 4, made from one read of random bytes: every write needs two.

    They end with the time since 1970 UTC in milliseconds, so that an index by these bytes grows at its end. They
    begin with random bits, because people name a version by the first digits of its UUID.
    """
    milliseconds, random = (time.time_ns() // 1_000_000).to_bytes(6, "big"), bytearray(os.urandom(20))
    for at in (0, 10):
        random[at + 6] = 0x40 | random[at + 6] & 0x0F
        random[at + 8] = 0x80 | random[at + 8] & 0x3F
    return bytes(random[:10]) + milliseconds, bytes(random[10:]) + milliseconds


def script_change(caller: Caller, action: str, edit: ScriptEdit) -> Change:
    """Return a change with the edit and its audit entry, ready to commit."""
    at = now()
    names = tuple(binding.name for binding in edit.set)
    return Change(at=at, audit=_audit(caller, action, edit, at, names), edit=edit)


def older_rows_change(ref: ScriptRef, deployment_id: bytes) -> Change:
    """Return a change that states a deployment which is older than the log. Nobody asked for it."""
    at = now()
    event = AuditEvent(
        at=at,
        action="log.state",
        actor="nightsafe",
        actor_kind="system",
        account_id=ref.account_id,
        namespace=ref.namespace,
        script=ref.name,
        resource=deployment_id.hex(),
    )
    return Change(at=at, audit=entry_for(event), edit=ScriptEdit(ref=ref, state=deployment_id))


def _audit(caller: Caller, action: str, edit: ScriptEdit, at: int, names: Iterable[str]) -> AuditEntry:
    """Return the audit entry of an edit."""
    ref: ScriptRef = edit.ref
    event = AuditEvent(
        **caller_fields(caller),
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
    """Return the ID of the version that an edit makes, or the IDs of the versions that it deploys."""
    if edit.stamp is not None:
        return edit.stamp.version_id.hex()
    return ",".join(version_id.hex() for version_id, _ in edit.deploy.versions) if edit.deploy else ""


def identity_change(  # noqa: PLR0913 - a change has many parts
    caller: Caller,
    action: str,
    account_id: str,
    resource: str,
    *,
    put: tuple[Identity, ...] = (),
    drop_tokens: tuple[str, ...] = (),
) -> Change:
    """Return a change with identities to put or delete and their audit entry, ready to commit.

    Args:
        caller: the caller.
        action: for example `tokens.roll`.
        account_id: the account concerned, or "" if only a user is concerned.
        resource: ID of the token or user that changes.
        put: rows to create or replace.
        drop_tokens: IDs of tokens to delete.
    """
    at = now()
    event = AuditEvent(**caller_fields(caller), at=at, action=action, account_id=account_id, resource=resource)
    return Change(at=at, audit=entry_for(event), put=put, drop_tokens=drop_tokens)


def collection_change(
    caller: Caller, action: str, collection_edit: CollectionEdit, at: int, edit: ScriptEdit | None = None
) -> Change:
    """Return a change with an edit of a collection and its audit entry, ready to commit.

    Args:
        caller: the caller.
        action: for example `stores.secrets.create`.
        collection_edit: the edit.
        at: the time, in microseconds; the same as in the items that the edit puts.
        edit: an edit of the script that the collection belongs to, for the same change.
    """
    event = AuditEvent(
        **caller_fields(caller),
        at=at,
        action=action,
        account_id=collection_edit.account_id,
        collection=collection_edit.kind,
        resource=collection_edit.name,
        script=collection_edit.name if collection_edit.kind is Kind.SCRIPT else "",
        set=tuple(_item_name(item.environment, item.name) for item in collection_edit.put),
        dropped=tuple(_item_name(*key) for key in collection_edit.drop),
    )
    return Change(at=at, audit=entry_for(event), edit=edit, collection_edit=collection_edit)


def _item_name(environment: str, name: str) -> str:
    """Return the name of an item in the log: `production/NAME`, or `NAME` in a collection without environments."""
    return f"{environment}/{name}" if environment else name


def caller_fields(caller: Caller) -> dict[str, Any]:
    """Return the fields of an audit entry that name the caller, the request, and the policy that allowed the action.

    The query of the request is left out, and so is everything in it that a client should not have put there.
    """
    principal = caller.principal
    return {
        "actor": principal.id,
        "actor_kind": principal.kind,
        "email": principal.email,
        "user_id": "" if principal.account_id else principal.user_id,
        "token_name": principal.name,
        "address": caller.address,
        "permission": caller.permission,
        "policy": caller.policy,
        "method": caller.method,
        "uri": _uri(caller.path),
        "user_agent": caller.user_agent[:_MAX_USER_AGENT].decode("latin-1"),
    }


def _uri(path: str) -> str:
    """Return a path as an audit entry has it; the account is a field of its own."""
    below = path.removeprefix(_PREFIX)
    parts = below.split("/", 3)
    in_account = len(parts) == 4 and parts[1] == "accounts"  # noqa: PLR2004 - "", accounts, ID and the rest
    return (parts[3] if in_account else below)[:_MAX_URI]
