"""Fetches bundles from a remote API over HTTP, with persistent connections."""

import asyncio
import secrets
import ssl
import time
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import httpcore
import msgspec
from msgspec import Struct

from nightsafe.bundle.approvals.approval import ApprovedBy
from nightsafe.bundle.log_proof import LogProof
from nightsafe.bundle.processes import HeldScriptsReport
from nightsafe.delivery.source.bundle_source import BundleChanges
from nightsafe.errors import Code, NightsafeError

_LONGEST_POLL: Final = 25
_SHORTEST_POLL: Final = 1

_MAX_BODY_BYTES: Final = 128 * 1024 * 1024
_SPARE_SECONDS: Final = 10.0
_TIMEOUTS: Final = {"connect": 5.0, "write": 10.0, "pool": 30.0}
_OK: Final = 200
_REFUSED: Final = frozenset({401, 403})


class _ChangesAnswer(Struct):
    """The API's answer to a request for changes."""

    cursor: str
    scripts: tuple[str, ...]
    whole: bool = False
    rolled_back: bool = False


class _Account(Struct):
    """An account that the token has access to."""

    id: str


class _Answer(Struct):
    """The part of the API's envelope that this module reads."""

    result: msgspec.Raw


class HttpSource:
    """A `BundleSource` that asks a remote API with a token for delivery.

    Args:
        base_url: the API's base URL, the same that clients use: `https://safe.example/client/v4`.
        token: the token to authenticate with.
        account_id: the account that owns the scripts; "" until `find_account` has found it.
        tls: the certificates to trust, and the client certificate; None for plain HTTP.
    """

    def __init__(self, base_url: str, token: str, account_id: str = "", tls: ssl.SSLContext | None = None) -> None:
        self.tls: Final = tls
        """The TLS context; certificates that are loaded into it later apply to new connections."""
        parts = urlsplit(base_url)
        self._origin: Final = (parts.scheme.encode(), (parts.hostname or "").encode(), parts.port)
        self._prefix: Final = parts.path.rstrip("/")
        self._common_headers: Final = [
            (b"host", parts.netloc.rpartition("@")[2].encode()),
            (b"authorization", b"Bearer " + token.encode()),
            (b"user-agent", b"nightsafe-delivery"),
        ]
        self._account_id = account_id
        self._process_name: Final = secrets.token_hex(8)
        self._poll_seconds = _LONGEST_POLL
        self._pool: Final = httpcore.AsyncConnectionPool(tls, max_connections=32, keepalive_expiry=60.0)
        self._retry_pool: Final = httpcore.AsyncConnectionPool(tls, max_connections=32, max_keepalive_connections=0)

    async def changes(self, after: str, *, wait: bool) -> BundleChanges:
        """Implement `BundleSource.changes`."""
        seconds = self._poll_seconds if wait else 0
        query = urlencode({"after": after, "wait": seconds, "process": self._process_name})
        began = time.monotonic()
        try:
            answer = self._decode_result(
                await self._get(self._account_path(f"changes?{query}"), seconds), _ChangesAnswer
            )
        except NightsafeError:
            self._shorten_poll(seconds, time.monotonic() - began)
            raise
        if wait and time.monotonic() - began >= seconds:
            self._poll_seconds = min(seconds * 2, _LONGEST_POLL)
        return BundleChanges(
            cursor=answer.cursor, scripts=answer.scripts, whole=answer.whole, rolled_back=answer.rolled_back
        )

    def _shorten_poll(self, seconds: int, elapsed: float) -> None:
        """Wait for less time after a request was cut off: a proxy in between may limit the time of requests."""
        if elapsed >= _SHORTEST_POLL:
            self._poll_seconds = max(_SHORTEST_POLL, min(seconds, int(elapsed)) // 2)

    async def bundle(self, script: str, wanted: ApprovedBy | None = None) -> bytes:
        """Implement `BundleSource.bundle`."""
        query = ""
        if wanted is not None:
            fields = {"approved_by": ",".join(wanted.keys), "covers": wanted.covers, "since": wanted.since}
            query = f"?{urlencode(fields)}"
        return await self._get(self._account_path(f"bundles/{quote(script, safe='')}{query}"))

    async def module(self, digest: bytes) -> bytes:
        """Implement `BundleSource.module`."""
        return await self._get(self._account_path(f"modules/{digest.hex()}"))

    async def log_proof(self, old: int) -> LogProof:
        """Implement `BundleSource.log_proof`."""
        proof: LogProof = self._decode_result(await self._get(self._account_path(f"log-proof?from={old}")), LogProof)
        return proof

    async def report(self, report: HeldScriptsReport) -> None:
        """Implement `BundleSource.report`."""
        _require_ok(*await self.request("PUT", f"processes/{self._process_name}", msgspec.json.encode(report)))

    async def find_account(self) -> str:
        """Return the one account that the token is for.

        Raises:
            NightsafeError: UNAVAILABLE, when the API cannot be reached or refuses the token; INVALID, when the token
                is for several accounts.
        """
        accounts = self._decode_result(await self._get(f"{self._prefix}/accounts"), tuple[_Account, ...])
        if len(accounts) != 1:
            raise NightsafeError(
                Code.INVALID, f"the token is for {len(accounts)} accounts; choose one with --account-id"
            )
        self._account_id = accounts[0].id
        return self._account_id

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.aclose()
        await self._retry_pool.aclose()

    def _account_path(self, path: str) -> str:
        """Return the target of a request about the account."""
        return f"{self._prefix}/accounts/{self._account_id}/nightsafe/{path}"

    @staticmethod
    def _decode_result(body: bytes, kind: type[Any]) -> Any:
        """Return the result in an envelope; raise NightsafeError UNAVAILABLE when it is malformed."""
        try:
            return msgspec.json.decode(msgspec.json.decode(body, type=_Answer).result, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise NightsafeError(Code.UNAVAILABLE, "the server at the API's address is not a Nightsafe API") from None

    async def _get(self, target: str, seconds: float = 0.0) -> bytes:
        """Return the body of an answer with status 200.

        Args:
            target: path and query.
            seconds: how long the API was asked to wait.

        Raises:
            NightsafeError: UNAVAILABLE, for any other answer or none.
        """
        return _require_ok(*await self._request("GET", target, b"", seconds))

    async def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Send a request about the account; return the status and the body of the answer.

        If the connection is lost before the answer, the request is sent once more.

        Args:
            method: the method, in capitals.
            path: path and query below the account's `nightsafe`.
            body: JSON, or b"".

        Raises:
            NightsafeError: UNAVAILABLE, when there is no answer.
        """
        return await self._request(method, self._account_path(path), body)

    async def _request(self, method: str, target: str, body: bytes, seconds: float = 0.0) -> tuple[int, bytes]:
        """Send a request; return the status and the body, or raise NightsafeError UNAVAILABLE without an answer."""
        reason = ""
        for pool in (
            self._pool,
            self._retry_pool,
        ):  # the idle connections may have been closed meanwhile, even all at once
            try:
                async with asyncio.timeout(seconds + _TIMEOUTS["pool"] + _SPARE_SECONDS):
                    return await self._exchange(pool, method, target, body, seconds + _SPARE_SECONDS)
            except (httpcore.RemoteProtocolError, httpcore.ReadError, httpcore.WriteError) as error:
                reason = type(error).__name__
            except (httpcore.TimeoutException, TimeoutError):
                raise _unavailable("the API does not answer in time") from None
            except (httpcore.NetworkError, ssl.SSLError, OSError) as error:
                raise _unavailable(f"the API cannot be reached: {_describe_error(error)}") from None
            except (httpcore.ProtocolError, httpcore.UnsupportedProtocol, ValueError):
                raise _unavailable("the server at the API's address does not speak valid HTTP") from None
        raise _unavailable(f"the connection to the API was lost ({reason})")

    async def _exchange(
        self, pool: httpcore.AsyncConnectionPool, method: str, target: str, content: bytes, seconds: float
    ) -> tuple[int, bytes]:
        """Send one request over a pool's connections; return the status and the body of the answer."""
        scheme, host, port = self._origin
        url = httpcore.URL(scheme=scheme, host=host, port=port, target=target.encode())
        timeouts = {**_TIMEOUTS, "read": seconds}
        headers = [*self._common_headers, *_body_headers(content)]
        extensions = {"timeout": timeouts}
        async with pool.stream(
            method, url, headers=headers, content=content or None, extensions=extensions
        ) as answer:
            body = bytearray()
            async for part in answer.aiter_stream():
                body += part
                if len(body) > _MAX_BODY_BYTES:
                    raise ValueError
            return answer.status, bytes(body)


def _require_ok(status: int, body: bytes) -> bytes:
    """Return the body of an answer with status 200.

    Raises:
        NightsafeError: UNAVAILABLE, for any other answer. It repeats nothing of the answer's body.
    """
    if status == _OK:
        return body
    if status in _REFUSED:
        raise _unavailable(
            f"the API refuses the token ({status}): it is unknown, or lacks the permission Nightsafe Delivery on this"
            " account"
        )
    raise _unavailable(f"the API answered {status}")


def _body_headers(content: bytes) -> list[tuple[bytes, bytes]]:
    """Return the headers for a JSON body; none without a body."""
    if not content:
        return []
    return [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]


def _describe_error(error: BaseException) -> str:
    """Return the system's own description of a connection error."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


def _unavailable(detail: str) -> NightsafeError:
    """Return the error that this source raises for every failure."""
    return NightsafeError(Code.UNAVAILABLE, detail)
