"""Records requests that change nothing: refusals of known credentials, and reads if the operator wants them.

The entries are written in the background, many in one transaction. So a refusal never waits for the disk, and is
never turned into another error. A read waits only while the disk is slower than the reads. While the store cannot be
written to, entries wait in memory, and those beyond a limit are lost; the server's log says how many.
"""

import asyncio
from collections import deque
from typing import Final

import structlog
from msgspec.structs import replace

from nightsafe.audit.entry import REFUSED, VIEWED, AuditEvent, entry_for
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.caller import Caller, caller_fields, now
from nightsafe.store.changes import Change
from nightsafe.store.interface import Store
from nightsafe.store.scripts import ScriptRef

_log = structlog.get_logger()

MAX_PER_MINUTE: Final = 10
"""The refusals of one credential and action in a minute that get an entry each. Further ones are counted."""

MAX_WAITING: Final = 10_000
"""The most entries that wait in memory."""

_MAX_WINDOWS: Final = 10_000
_MAX_NAME: Final = 256
"""The most characters of a name in an entry. A refused request may name anything; real scripts have shorter names."""

_SLOW: Final = 2_000
"""From this number of waiting entries on, reads wait."""

_BATCH: Final = 256
_MINUTE: Final = 60.0
_RETRY_SECONDS: Final = 1.0

_Key = tuple[str, str, str]
"""The ID of a credential, the action, and the account whose log has the entry."""


class _Window:
    """The refusals of one credential and action within a minute.

    Attributes:
        count: their number.
        latest: the event of the latest refusal without an entry of its own, or None.
        timer: ends the minute.
    """

    def __init__(self, timer: asyncio.TimerHandle) -> None:
        self.count = 0
        self.latest: AuditEvent | None = None
        self.timer = timer


class Recorder:
    """Writes entries of requests that change nothing.

    Args:
        store: the store.
        reads: whether reads are recorded.

    Attributes:
        reads: the same.
        lost: how many entries could not be written.
    """

    def __init__(self, store: Store, *, reads: bool = False) -> None:
        self.reads: Final = reads
        self.lost = 0
        self._store: Final = store
        self._waiting: Final[deque[AuditEvent]] = deque()
        self._windows: Final[dict[_Key, _Window]] = {}
        self._task: asyncio.Task[None] | None = None
        self._written: Final = asyncio.Event()
        self._failing = False
        self._closing: Final = asyncio.Event()

    async def refused(self, caller: Caller, ref: ScriptRef, status: int, reason: str) -> None:
        """Record a refusal of a caller whose credential is valid.

        The log of the account has the entry if the caller has any permission there. Otherwise nobody can write into
        another account's log by being refused: the caller's own log has the entry.

        Args:
            caller: the caller.
            ref: the account, or "", and the script that the request is about; its name may be "".
            status: the status of the answer.
            reason: the code of the refusal.
        """
        account_id = ref.account_id
        if not account_id or not await self._has_access(caller, account_id):
            account_id = caller.principal.account_id
        event = _event(caller, account_id, ref, status, outcome=REFUSED, reason=reason)
        window = self._window((event.actor, event.action, account_id))
        if window is None:
            self._lose(1)
            return
        window.count += 1
        if window.count <= MAX_PER_MINUTE:
            self._add(event)
        else:
            window.latest = event

    async def viewed(self, caller: Caller, ref: ScriptRef, resource: str = "") -> None:
        """Record a read that was answered with 200.

        Args:
            caller: the caller.
            ref: the account, or "", and the script that the request is about; its name may be "".
            resource: the last name in the path besides the script's, or "".
        """
        while len(self._waiting) >= _SLOW and not self._failing and self._task is not None:
            self._written.clear()
            await self._written.wait()
        account_id = ref.account_id or caller.principal.account_id
        self._add(replace(_event(caller, account_id, ref, 200, outcome=VIEWED), resource=resource))

    async def close(self) -> None:
        """Write everything that waits, including the counts of the current minutes, and record nothing later."""
        self.end_minutes()
        self._closing.set()
        while self._task is not None:
            await asyncio.wait([self._task])

    def end_minutes(self) -> None:
        """End all minutes now."""
        for key in list(self._windows):
            self._end_minute(key)

    async def _has_access(self, caller: Caller, account_id: str) -> bool:
        """Return whether a caller has any permission in an account that exists."""
        if not caller.principal.grants.has_access_to(account_id):
            return False
        try:
            return await self._store.account(account_id) is not None
        except NightsafeError:
            return False

    def _window(self, key: _Key) -> _Window | None:
        """Return the current minute of a credential and action; None if there are too many of them."""
        window = self._windows.get(key)
        if window is None and len(self._windows) < _MAX_WINDOWS:
            timer = asyncio.get_running_loop().call_later(_MINUTE, self._end_minute, key)
            window = self._windows[key] = _Window(timer)
        return window

    def _end_minute(self, key: _Key) -> None:
        """End a minute. If some of its refusals have no entry, write one with their number."""
        window = self._windows.pop(key)
        window.timer.cancel()
        if window.latest is not None:
            self._add(replace(window.latest, repeated=window.count - MAX_PER_MINUTE))

    def _add(self, event: AuditEvent) -> None:
        """Queue an event, and start to write."""
        if len(self._waiting) >= MAX_WAITING or self._closing.is_set():
            self._lose(1)
            return
        self._waiting.append(event)
        if self._task is None:
            self._start()

    def _start(self) -> None:
        """Start to write in a task."""
        self._task = asyncio.get_running_loop().create_task(self._write())
        self._task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """Note the end of the writing task. Start another for events that came after its last look at the queue."""
        self._task = None
        self._written.set()
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("audit.failed", error=type(error).__name__)
        if self._waiting:
            self._start()

    async def _write(self) -> None:
        """Write batch after batch while events wait. After a failure, try again later, and once more when closing."""
        while self._waiting:
            last_try = self._closing.is_set()
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _BATCH))]
            failed = await self._commit(batch)
            self._failing = bool(failed)
            self._written.set()
            if failed and last_try:
                self._lose(len(failed) + len(self._waiting))
                self._waiting.clear()
            elif failed:
                room = max(0, MAX_WAITING - len(self._waiting))
                self._lose(len(failed[room:]))
                self._waiting.extendleft(reversed(failed[:room]))
                await self._pause()

    async def _commit(self, batch: list[AuditEvent]) -> list[AuditEvent]:
        """Write events, and return those that were surely not written."""
        changes = [Change(at=event.at, audit=entry_for(event)) for event in batch]
        answers = await asyncio.gather(*map(self._store.commit, changes), return_exceptions=True)
        pairs = list(zip(batch, answers, strict=True))
        unknown = sum(isinstance(one, NightsafeError) and one.code is Code.OUTCOME_UNKNOWN for one in answers)
        self._lose(unknown)
        return [
            event
            for event, answer in pairs
            if isinstance(answer, BaseException)
            and not (isinstance(answer, NightsafeError) and answer.code is Code.OUTCOME_UNKNOWN)
        ]

    async def _pause(self) -> None:
        """Wait before the next try, or until `close`."""
        try:
            async with asyncio.timeout(_RETRY_SECONDS):
                await self._closing.wait()
        except TimeoutError:
            pass

    def _lose(self, count: int) -> None:
        """Count lost entries, and say so in the server's log at the first and at each thousandth."""
        before, self.lost = self.lost, self.lost + count
        if count and (before == 0 or before // 1000 != self.lost // 1000 or self._closing.is_set()):
            _log.error("audit.lost", entries=self.lost)


def _event(  # noqa: PLR0913 - an entry has many fields
    caller: Caller, account_id: str, ref: ScriptRef, status: int, *, outcome: str, reason: str = ""
) -> AuditEvent:
    """Return the event of a request that changes nothing.

    Its action is the permission that the request needs, or `request` where valid credentials are enough.
    """
    return AuditEvent(
        **caller_fields(caller),
        at=now(),
        action=caller.permission or "request",
        account_id=account_id,
        namespace=ref.namespace[:_MAX_NAME],
        script=ref.name[:_MAX_NAME],
        status=status,
        outcome=outcome,
        reason=reason,
    )
