"""An entry of the audit log: who did what to which resource. It never holds a value.

The leaf hash follows RFC 6962, section 2.1, so that the log can later become a Merkle tree.
"""

import hashlib

import msgspec
from msgspec import Struct, field

from nightsafe.store.changes import AuditEntry

_encoder = msgspec.json.Encoder(order="sorted")


class AuditEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fields of an entry.

    Attributes:
        at: the time, in microseconds since 1970 UTC.
        action: for example `secrets.put`.
        actor: ID of the token or user.
        actor_kind: `token`, `account_token`, `key`, `service_key`, or `operator` for a person at the machine itself.
        email: e-mail address of the user who owns the credential.
        address: the address that the request came from.
        permission: the permission that the action needed, for example `secrets.write`.
        policy: ID of the policy that allowed it, or `#` and the index of that policy in the credential.
        resource: ID of the token, user or deployment acted on, or the name of the collection, or "".
        collection: kind of the collection that holds the values (`pages_project`, `secrets_store` ...), or "".
        account_id: the account.
        namespace: the dispatch namespace, or "".
        script: the script's name, or "".
        set: names of bindings that were set; for a collection's items, the environment, a `/` and the name.
        dropped: names of bindings that were removed, in the same form.
        version_id: UUID of the version that was made, as 32 hex digits; for a deployment, the UUIDs of all its
            versions, with commas between them; or "".
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
    """Return the log entry of an event: canonical JSON (RFC 8785) and its leaf hash."""
    entry = _encoder.encode(event)
    return AuditEntry(event.account_id, entry, leaf_hash(entry))


def leaf_hash(entry: bytes) -> bytes:
    """Return the SHA-256 of the byte 0x00 followed by the entry."""
    return hashlib.sha256(b"\0" + entry).digest()
