"""Credentials of every kind for an API, each named for what it may do."""

import itertools

from tests.unit.api.tools.driver import ACCOUNT, OTHER_ACCOUNT, Api

from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.identity.credentials import digest, new_token
from nightsafe.identity.grants import Grants
from nightsafe.identity.permissions import ALL_ACCESS
from nightsafe.identity.policy import (
    ACCOUNT_RESOURCE,
    ALL_ACCOUNTS,
    allow_policy,
    encode_policies,
    parse_policies,
    policies_for,
)
from nightsafe.store.changes import Change
from nightsafe.store.identities import Identity, Token

READ = "1a71c399035b4950a1bd1466bbe4f420"
TAIL = "05880cd1bdc24d8bae0be2136972816b"
WRITE = "e086da7e2179491d91ee5f35b3ca210a"

ALLOW_AND_DENY = (
    policies_for(ACCOUNT, ALL_ACCESS)[:-1] + b"," + policies_for(ACCOUNT, READ)[1:].replace(b'"allow"', b'"deny"')
)
assert Grants(parse_policies(ALLOW_AND_DENY)).has_access_to(ACCOUNT)

_ids = itertools.count()


def policies_on(*globs: str) -> bytes:
    """Return one policy that allows everything on the scripts that match these globs."""
    return encode_policies([allow_policy(ACCOUNT_RESOURCE + ACCOUNT, ALL_ACCESS, scripts=globs)])


def keep(api: Api, *rows: Identity) -> None:
    """Write rows of identities."""
    event = AuditEvent(at=0, action="tokens.create", actor="", actor_kind="operator", account_id=ACCOUNT)
    api.run(api.store.commit(Change(at=0, audit=entry_for(event), put=rows)))


def row(  # noqa: PLR0913 - a row has many columns
    secret: str,
    policies: bytes,
    *,
    status: str = "active",
    not_before: int | None = None,
    expires_on: int | None = None,
    user_id: str = "0" * 32,
    account_id: str = "",
    condition: bytes = b"{}",
    token_id: str | None = None,
) -> Token:
    """Return a token as the store keeps it."""
    return Token(
        id=token_id or f"{next(_ids):032x}",
        digest=digest(secret),
        user_id=user_id,
        name="a token",
        status=status,
        policies=policies,
        issued_on=0,
        modified_on=0,
        not_before=not_before,
        expires_on=expires_on,
        account_id=account_id,
        condition=condition,
    )


def give(api: Api) -> dict[str, bytes]:
    """Store a token of each kind; return the tokens."""
    everything, far = policies_for(ACCOUNT, ALL_ACCESS), 2**52
    rows = {
        "all": ({"policies": everything}),
        "read": {"policies": policies_for(ACCOUNT, READ)},
        "tail": {"policies": policies_for(ACCOUNT, TAIL)},
        "write": {"policies": policies_for(ACCOUNT, WRITE)},
        "no group": {"policies": policies_for(ACCOUNT)},
        "unknown group": {"policies": policies_for(ACCOUNT, "0" * 32)},
        "other account": {"policies": policies_for(OTHER_ACCOUNT, ALL_ACCESS)},
        "reading denied": {"policies": ALLOW_AND_DENY},
        "nothing": {"policies": b"[]"},
        "disabled": {"policies": everything, "status": "disabled"},
        "expired": {"policies": everything, "expires_on": 1},
        "not yet": {"policies": everything, "not_before": far},
        "for long": {"policies": everything, "not_before": 1, "expires_on": far},
        "globs": {"policies": policies_on("work*", "abs*")},
        "other globs": {"policies": policies_on("billing-*")},
        "glob denied": {"policies": everything[:-1] + b"," + policies_on("work*")[1:].replace(b'"allow"', b'"deny"')},
        "every account": {"policies": policies_for(ALL_ACCOUNTS, ALL_ACCESS)},
        "account's": {"policies": policies_for(ALL_ACCOUNTS, ALL_ACCESS), "account_id": ACCOUNT},
        "other account's": {"policies": everything, "account_id": OTHER_ACCOUNT},
        "from here": {"policies": everything, "condition": b'{"request_ip":{"in":["192.0.2.0/24"]}}'},
        "from elsewhere": {"policies": everything, "condition": b'{"request_ip":{"in":["198.51.100.0/24"]}}'},
        "not from here": {"policies": everything, "condition": b'{"request_ip":{"not_in":["192.0.2.7/32"]}}'},
    }
    secrets = {kind: new_token() for kind in rows}
    keep(api, *(row(secrets[kind], **columns) for kind, columns in rows.items()))  # type: ignore[arg-type]
    return {kind: secret.encode() for kind, secret in secrets.items()} | {"unknown": new_token().encode()}
