"""Accounts, users, memberships and tokens, as values. `store/scripts.py` defines the forms of times and ids."""

from msgspec import Struct


class Account(Struct, frozen=True):
    """A tenant. Everything else belongs to an account."""

    id: str
    name: str
    created_on: int


class User(Struct, frozen=True):
    """A person.

    Attributes:
        id: 32 hex digits.
        email: unique, ignoring case.
        key_digest: SHA-256 of the Global API key.
        created_on: the time of its creation.
        service_key_digest: SHA-256 of the user service key, or None without a key.
    """

    id: str
    email: str
    key_digest: bytes
    created_on: int
    service_key_digest: bytes | None = None


class Membership(Struct, frozen=True):
    """A user's membership in an account; `policies` is the JSON list of the Global API key's policies there."""

    account_id: str
    user_id: str
    policies: bytes
    created_on: int


class Token(Struct, frozen=True, kw_only=True):
    """An API token, identified by the SHA-256 of its secret.

    Attributes:
        id: 32 hex digits.
        digest: SHA-256 of the token as clients send it.
        user_id: the user who owns it, or who created it for an account.
        name: the name that its owner gave it.
        status: `active` or `disabled`.
        policies: JSON list of policies.
        issued_on: the time of its creation.
        modified_on: the time of its last change.
        not_before: the start of its validity, or None.
        expires_on: the end of its validity, or None.
        account_id: the account that owns it, or "" if a user owns it.
        condition: JSON object of conditions on requests: `request_ip` with `in` and `not_in`.
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


class RefusedRow(Struct, frozen=True, kw_only=True):
    """A row of an identity that does not count, because its MAC is missing or wrong.

    Attributes:
        table: its table.
        name: what identifies it there: an id, or the ids of an account and a user; safe to print.
        row_id: its number in the table.
        contents: the types and bytes of all its columns, as SQLite shows them.
        identity: the row itself, or None if a column has a foreign type.
    """

    table: str
    name: str
    row_id: int
    contents: str
    identity: Identity | None
