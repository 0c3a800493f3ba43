"""One line of the audit log: who did what to which resource, and never a value.

The leaf is hashed as RFC 6962, section 2.1 has it, so that the log can be grown into a Merkle tree.
"""

import hashlib

import msgspec
from msgspec import Struct, field

from nightsafe.store.changes import AuditEntry

_encoder = msgspec.json.Encoder(order="sorted")


class AuditEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is written down.

    Attributes:
        at: when, in microseconds since 1970 UTC.
        action: for example `secrets.put`.
        actor: id of the token or user.
        actor_kind: `token`, `account_token`, `key`, `service_key` or `operator` (somebody at the machine itself).
        email: the user behind it.
        address: where the request came from.
        permission: what was asked for and allowed, for example `secrets.write`.
        policy: id of the policy that allowed it, or `#` and its place among those of the credential.
        resource: id of the token, user or deployment that it is done to, or name of the collection, or "".
        collection: kind of the collection that holds the values (`pages_project`, `secrets_store` ...), or "".
        account_id: the account.
        namespace: the dispatch namespace, or "".
        script: the script's name, or "".
        set: names of bindings that were set; a collection's items have their environment and a `/` before the name.
        dropped: likewise, of those that were to be removed.
        version_id: the 32 hex digits of the UUID of the version it made, of those it deployed by commas, or "".
    """

    at: int
    action: str
    actor: str
    actor_kind: str
    account_id: str
    email: str = ""
    address: str = ""
    permission: str = ""
    policy: str = ""
    resource: str = ""
    collection: str = field(default="", name="holder")
    namespace: str = ""
    script: str = ""
    set: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    version_id: str = ""


def entry_for(event: AuditEvent) -> AuditEntry:
    """The log entry of a deed, as canonical JSON (RFC 8785) with its leaf hash."""
    entry = _encoder.encode(event)
    return AuditEntry(event.account_id, entry, leaf_hash(entry))


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256 over 0x00 and the entry."""
    return hashlib.sha256(b"\0" + entry).digest()
