"""`GET /livez`: the process answers. `GET /readyz`: it can also read and write."""

import time
from typing import Any

from nightsafe.api.envelope import Reply, failure, success
from nightsafe.api.routing import Scope, answer
from nightsafe.errors import Code, NightsafeError
from nightsafe.store.interfaces import Store

LIVE = b"/livez"
READY = b"/readyz"
PATHS = frozenset({LIVE, READY})
_FRESH_SECONDS = 1.0


class Health:
    """The two probes. They need no credentials and tell nothing else."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._checked = float("-inf")

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer one probe."""
        await answer(scope, receive, send, self._reply)

    async def _reply(self, scope: Scope, _: Any) -> Reply:
        """What a probe is told."""
        if scope["method"] not in {"GET", "HEAD"}:
            return failure(NightsafeError(Code.METHOD_NOT_ALLOWED), [(b"allow", b"GET, HEAD")])
        if scope["raw_path"] == READY:
            await self._check()
        return success({"status": "ok"})

    async def _check(self) -> None:
        """Prove that the store works, at most once a second: the proof costs a write, and anybody may ask."""
        if time.monotonic() < self._checked + _FRESH_SECONDS:
            return
        try:
            await self._store.check()
        except NightsafeError as error:
            raise NightsafeError(Code.UNAVAILABLE, "the store cannot be read and written") from error
        self._checked = time.monotonic()
