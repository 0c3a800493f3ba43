"""An entry of the audit log: who did what to which resource. It never holds a value."""

import datetime as dt
from typing import Final

import msgspec
from msgspec import Struct, field

from nightsafe.store.changes import AuditEntry

REFUSED: Final = "refused"
VIEWED: Final = "viewed"
"""The outcomes of requests that change nothing."""

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_encoder = msgspec.json.Encoder(order="sorted")


class AuditEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fields of an entry.

    Attributes:
        at: the time, in microseconds since 1970 UTC.
        action: for example `secrets.put`.
        actor: ID of the token or user.
        actor_kind: `token`, `account_token`, `key`, `service_key`, `operator` for a person at the machine
            itself, or `system` for the API process itself.
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
        user_id: ID of the user who owns the acting token, or for an operator of the user concerned; "" if unknown,
            and for a token that an account owns.
        token_name: the acting token's name at that time, or "".
        method: the method of the request, or "".
        uri: the path of the request below `/client/v4`, without its query; a path in the account is given without
            `/accounts/ID/`. Or "".
        user_agent: the client's name for itself, or "".
        status: the status of the answer, if it was known when the entry was made, or 0.
        outcome: what happened instead of a change: `refused` or `viewed`, or "".
        reason: the code of the refusal, or "".
        repeated: the number of further refusals that the entry counts, or 0.
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
    user_id: str = field(default="", name="user")
    token_name: str = field(default="", name="token")
    method: str = ""
    uri: str = ""
    user_agent: str = field(default="", name="agent")
    status: int = 0
    outcome: str = ""
    reason: str = ""
    repeated: int = 0

    @property
    def time(self) -> str:
        """The time as RFC 3339 in UTC, with microseconds."""
        return (_EPOCH + dt.timedelta(microseconds=self.at)).isoformat().replace("+00:00", "Z")


def entry_for(event: AuditEvent) -> AuditEntry:
    """Return the log entry of an event, as canonical JSON (RFC 8785)."""
    return AuditEntry(event.account_id, _encoder.encode(event))
