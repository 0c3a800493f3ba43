"""Fetches the checkpoint and the tiles of a log over HTTP."""

import ssl
from typing import Final
from urllib.parse import urlsplit

import httpcore

from nightsafe.client.network import is_loopback, trusted_certificates
from nightsafe.errors import Code, NightsafeError

_MAX_BYTES: Final = 1 << 17
_SECONDS: Final = 10.0
_OK: Final = 200
_REFUSED: Final = frozenset({401, 403})


class LogSource:
    """The endpoints below `nightsafe/log` of an API.

    Args:
        url: the API's base URL, such as `https://safe.example/client/v4`.
        token: a token with the permission Account Settings Read.

    Raises:
        NightsafeError: INVALID, when the URL cannot be used.
    """

    def __init__(self, url: str, token: str) -> None:
        try:
            parts = urlsplit(url)
            is_usable = parts.scheme in {"https", "http"} and bool(parts.hostname) and "@" not in parts.netloc
            is_usable = is_usable and parts.port != 0 and not parts.query
        except ValueError:
            is_usable = False
        if not is_usable:
            raise NightsafeError(
                Code.INVALID, "--follow: give an API's URL, for example https://safe.example/client/v4"
            )
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            raise NightsafeError(
                Code.INVALID,
                f"--follow: {parts.hostname} is on another machine, and others could read the token on the"
                " way: give https://",
            )
        self.name: Final = parts.netloc
        self._base: Final = f"{url.rstrip('/')}/nightsafe/log/"
        self._headers: Final = [
            (b"host", parts.netloc.encode()),
            (b"authorization", b"Bearer " + token.encode()),
            (b"user-agent", b"nightsafe-witness"),
        ]
        context = trusted_certificates() if parts.scheme == "https" else None
        self._pool: Final = httpcore.AsyncConnectionPool(context, max_connections=2, keepalive_expiry=60.0)

    async def get(self, path: str) -> bytes:
        """Return the body at a path.

        Raises:
            NightsafeError: UNAVAILABLE, when there is no answer with status 200. It repeats nothing of the answer.
        """
        times = dict.fromkeys(("connect", "read", "write", "pool"), _SECONDS)
        try:
            async with self._pool.stream(
                "GET", self._base + path, headers=self._headers, extensions={"timeout": times}
            ) as answer:
                body = bytearray()
                async for part in answer.aiter_stream():
                    body += part
                    if len(body) > _MAX_BYTES:
                        raise _unavailable("its answer is too large")
                status = answer.status
        except (
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.TimeoutException,
            ssl.SSLError,
            OSError,
        ) as error:
            raise _unavailable(f"it cannot be reached ({type(error).__name__})") from None
        if status in _REFUSED:
            raise _unavailable(f"it refuses the token ({status}): it needs the permission Account Settings Read")
        if status != _OK:
            raise _unavailable(f"it answered {status}")
        return bytes(body)

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.aclose()


def _unavailable(detail: str) -> NightsafeError:
    """Return the error for a log that does not answer."""
    return NightsafeError(Code.UNAVAILABLE, detail)
