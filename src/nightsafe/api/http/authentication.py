"""Authenticates a request by its credential headers, read as Cloudflare's clients send them.

A Bearer token wins over other credentials; a Global API key with its e-mail comes next; then a user service key. A
key without its e-mail, or an e-mail without its key, counts as no credentials.
"""

import re
from collections.abc import Iterable

from msgspec import Struct

from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.service import Authenticator, Principal

LONGEST = 512
"""The most bytes of a credential that is looked up. Nightsafe issues at most 51; hashing more is wasted."""

_BEARER = re.compile(rb"bearer +([A-Za-z0-9\-._~+/]+=*)", re.IGNORECASE)
_KEY = re.compile(rb"[A-Za-z0-9\-._]{16,128}")
_EMAIL = re.compile(rb"[^@\s]{1,64}@[^@\s]{1,255}")

FAILED_CREDENTIALS = frozenset(
    {
        Code.MALFORMED_AUTHORIZATION,
        Code.MALFORMED_KEY,
        Code.MALFORMED_EMAIL,
        Code.UNKNOWN_KEY,
        Code.UNKNOWN_SERVICE_KEY,
        Code.UNKNOWN_TOKEN,
    }
)
"""Refusals of malformed and unknown credentials."""


class Credential(Struct, frozen=True):
    """The one credential of a request that counts. Any others in the request are ignored.

    Attributes:
        kind: `token`, `key` or `service_key`.
        secret: the credential itself.
        email: the e-mail of a `key`, else "".
    """

    kind: str
    secret: bytes
    email: str = ""

    def __repr__(self) -> str:
        """Show the kind only."""
        return f"Credential({self.kind})"


class AddressRefusedError(NightsafeError):
    """The refusal of a valid credential from an address that its condition does not allow.

    Attributes:
        principal: the principal of the credential.
    """

    def __init__(self, principal: Principal, address: str) -> None:
        super().__init__(Code.ADDRESS_REFUSED, address)
        self.principal = principal


async def authenticate(
    headers: Iterable[tuple[bytes, bytes]], address: str, authenticator: Authenticator
) -> Principal:
    """Return the principal of a request's headers.

    Args:
        headers: names in lower case, with values.
        address: the address that the request came from.
        authenticator: looks credentials up.

    Raises:
        NightsafeError: as `credential_of`; NO_CREDENTIALS, UNKNOWN_KEY, UNKNOWN_SERVICE_KEY or UNKNOWN_TOKEN.
        AddressRefusedError: when the credential is valid, but not from this address.
    """
    credential = credential_of(headers)
    if credential is None:
        raise NightsafeError(Code.NO_CREDENTIALS)
    principal = await _principal(credential, authenticator)
    if not principal.may_come_from(address):
        raise AddressRefusedError(principal, address)
    return principal


def credential_of(headers: Iterable[tuple[bytes, bytes]]) -> Credential | None:
    """Return the credential that counts, or None without credentials.

    Args:
        headers: names in lower case, with values.

    Raises:
        NightsafeError: MALFORMED_AUTHORIZATION, MALFORMED_KEY or MALFORMED_EMAIL; UNKNOWN_TOKEN or
            UNKNOWN_SERVICE_KEY, for a credential that Nightsafe cannot have issued.
    """
    sent: dict[bytes, list[bytes]] = {
        b"authorization": [],
        b"x-auth-email": [],
        b"x-auth-key": [],
        b"x-auth-user-service-key": [],
    }
    for name, value in headers:
        if name in sent:
            sent[name].append(value)
    if sent[b"authorization"]:
        return Credential("token", _bearer(sent[b"authorization"]))
    if sent[b"x-auth-email"] and sent[b"x-auth-key"]:
        email, key = _key_pair(sent[b"x-auth-email"], sent[b"x-auth-key"])
        return Credential("key", key, email)
    if sent[b"x-auth-user-service-key"]:
        return Credential("service_key", _service_key(sent[b"x-auth-user-service-key"]))
    return None


async def _principal(credential: Credential, authenticator: Authenticator) -> Principal:
    """Return the principal of a credential."""
    if credential.kind == "token":
        return await authenticator.by_token(credential.secret)
    if credential.kind == "key":
        return await authenticator.by_key(credential.email, credential.secret)
    return await authenticator.by_service_key(credential.secret)


def _bearer(values: list[bytes]) -> bytes:
    """Return the token of the only Authorization header."""
    match = _BEARER.fullmatch(values[0]) if len(values) == 1 else None
    if match is None:
        raise NightsafeError(Code.MALFORMED_AUTHORIZATION)
    if len(match[1]) > LONGEST:
        raise NightsafeError(Code.UNKNOWN_TOKEN, "longer than any token")
    return match[1]


def _key_pair(emails: list[bytes], keys: list[bytes]) -> tuple[str, bytes]:
    """Return the e-mail and the Global API key."""
    if len(keys) != 1 or not _KEY.fullmatch(keys[0]):
        raise NightsafeError(Code.MALFORMED_KEY)
    if len(emails) != 1 or not _EMAIL.fullmatch(emails[0]):
        raise NightsafeError(Code.MALFORMED_EMAIL)
    return emails[0].decode("utf-8", "replace"), keys[0]


def _service_key(values: list[bytes]) -> bytes:
    """Return the only service key."""
    if len(values) != 1:
        raise NightsafeError(Code.UNKNOWN_SERVICE_KEY, "sent more than once")
    if len(values[0]) > LONGEST:
        raise NightsafeError(Code.UNKNOWN_SERVICE_KEY, "longer than any service key")
    return values[0]
