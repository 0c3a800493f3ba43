"""Accounts, users, memberships and tokens, as values. Times and ids are as in `store/scripts.py`."""

from msgspec import Struct


class Account(Struct, frozen=True):
    """A tenant: everything else belongs to one."""

    id: str
    name: str
    created_on: int


class User(Struct, frozen=True):
    """A person.

    Attributes:
        id: 32 hex digits.
        email: unique, whatever its case.
        key_digest: SHA-256 of the Global API key.
        created_on: when it was made.
        service_key_digest: SHA-256 of the user service key, or None without one.
    """

    id: str
    email: str
    key_digest: bytes
    created_on: int
    service_key_digest: bytes | None = None


class Membership(Struct, frozen=True):
    """A user's place in an account; `policies` is the JSON list of what the Global API key may do there."""

    account_id: str
    user_id: str
    policies: bytes
    created_on: int


class Token(Struct, frozen=True, kw_only=True):
    """An API token, known by the SHA-256 of its secret.

    Attributes:
        id: 32 hex digits.
        digest: SHA-256 of the token as it is sent.
        user_id: whose it is, or who made it for an account.
        name: what its owner calls it.
        status: `active` or `disabled`.
        policies: JSON list of policies.
        issued_on: when it was made.
        modified_on: when it was last changed.
        not_before: from when it may be used, or None.
        expires_on: until when it may be used, or None.
        account_id: the account that owns it, or "" when a user does.
        condition: JSON object of what a request must be like: `request_ip` with `in` and `not_in`.
    """

    id: str
    digest: bytes
    user_id: str
    name: str
    status: str
    policies: bytes
    issued_on: int
    modified_on: int
    not_before: int | None = None
    expires_on: int | None = None
    account_id: str = ""
    condition: bytes = b"{}"


Identity = Account | User | Membership | Token
