"""Credential headers, one per line as `name: value`, for a safe that knows nobody."""

import asyncio

from nightsafe.api.http.authentication import FAILED_CREDENTIALS, authenticate
from nightsafe.api.http.rate_limits import credential_key
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.credentials import has_valid_checksum
from nightsafe.identity.service import Authenticator

_REFUSALS = FAILED_CREDENTIALS | {Code.NO_CREDENTIALS}


class _Nobody(Authenticator):
    """An authenticator that knows nobody."""

    def __init__(self) -> None:
        pass

    async def by_token(self, token: bytes) -> None:  # type: ignore[override]
        """Refuse a token."""
        assert not has_valid_checksum(token.decode()[:-1])
        raise NightsafeError(Code.UNKNOWN_TOKEN)

    async def by_key(self, email: str, key: bytes) -> None:  # type: ignore[override]
        """Refuse a key."""
        assert "@" in email
        assert key.isascii()
        raise NightsafeError(Code.UNKNOWN_KEY)

    async def by_service_key(self, key: bytes) -> None:  # type: ignore[override]
        """Refuse a service key."""
        raise NightsafeError(Code.UNKNOWN_SERVICE_KEY, str(len(key)))


def check(data: bytes) -> None:
    """Check that the refusal is one of those for bad credentials, for any headers."""
    lines = [line.partition(b": ") for line in data.split(b"\n")]
    headers = [(name.lower(), value) for name, _, value in lines]
    key = credential_key(headers)
    assert key is None or len(key) == 32
    try:
        asyncio.run(authenticate(headers, "127.0.0.1", _Nobody()))
    except NightsafeError as refused:
        assert refused.code in _REFUSALS
        return
    raise AssertionError("bad credentials were accepted")
