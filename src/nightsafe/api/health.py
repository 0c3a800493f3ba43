"""The health probes. `GET /livez`: the process answers. `GET /readyz`: it can also read, sign and write; figures."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from nightsafe.api.http.envelope import Reply, failure, success
from nightsafe.api.http.routing import Scope, answer
from nightsafe.audit.sinks.shipper import Shipper
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.secrets.seal import Safe
from nightsafe.store.interface import Store

LIVE = b"/livez"
READY = b"/readyz"
PATHS = frozenset({LIVE, READY})
_CACHE_SECONDS = 1.0
_TIMEOUT_SECONDS: Final = 5.0
_EXPLAINED: Final = frozenset({Code.DISK_FULL, Code.FILE_GONE, Code.LOG_FULL, Code.NOT_DURABLE})
"""Faults that the answer explains. Only the log explains all others."""


class Health:
    """The two probes. They need no credentials and reveal only figures."""

    def __init__(self, store: Store, safe: Safe, shippers: Sequence[Shipper]) -> None:
        self._store = store
        self._safe = safe
        self._shippers = shippers
        self._checked = float("-inf")
        self._failures = 0
        self._timeout = _TIMEOUT_SECONDS

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer one probe."""
        await answer(scope, receive, send, self._reply)

    async def _reply(self, scope: Scope, _: Any) -> Reply:
        """Return a probe's answer."""
        if scope["method"] not in {"GET", "HEAD"}:
            return failure(NightsafeError(Code.METHOD_NOT_ALLOWED), [(b"allow", b"GET, HEAD")])
        if scope["raw_path"] == READY:
            await self._check()
            lags = [msgspec.structs.asdict(await shipper.lag()) for shipper in self._shippers]
            figures = msgspec.structs.asdict(self._store.figures())
            return success({"status": "ok", "store": figures, "audit_sinks": lags})
        return success({"status": "ok"})

    async def _check(self) -> None:
        """Check that this node may sign and that the store works, at most once a second.

        The check costs a signature and a write, and anybody may ask for it.

        A write that fails later invalidates the result at once.
        """
        failures = self._store.failures()
        if time.monotonic() < self._checked + _CACHE_SECONDS and failures == self._failures:
            return
        self._safe.check_signer()
        try:
            async with asyncio.timeout(self._timeout):
                await self._store.check()
        except TimeoutError:
            raise _unavailable(f"the store has not answered for {self._timeout:g} s") from None
        except NightsafeError as error:
            if error.code in _EXPLAINED:
                raise
            raise _unavailable("the store cannot be read and written") from error
        self._checked, self._failures = time.monotonic(), failures


def _unavailable(reason: str) -> NightsafeError:
    """Return the refusal "not ready", without a reason that does not concern the caller."""
    return NightsafeError(Code.UNAVAILABLE, reason)
