"""Has code that is being uploaded compiled by the runtime, and tells the API what that says.

It runs beside everything else: while it is away, uploads go through unchecked.
"""

import asyncio
from typing import Final, Protocol

import msgspec
import structlog
from msgspec import Struct

from nightsafe.bundle.code_checks import Check, Verdict
from nightsafe.delivery.source.http import HttpSource
from nightsafe.errors import Code, NightsafeError

_log = structlog.get_logger()

_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.5
_OK: Final = 200


class CheckSource(Protocol):
    """The API, as whoever checks sees it."""

    async def greet(self) -> None:
        """Say that somebody checks: uploads wait for that from now on.

        Raises:
            NightsafeError: UNAVAILABLE, when the API cannot be reached.
        """
        ...

    async def next(self) -> Check | None:
        """Wait for something to check, for a few seconds.

        Raises:
            NightsafeError: UNAVAILABLE, when the API cannot be reached or gives nothing to check.
        """
        ...

    async def tell(self, check: Check, verdict: Verdict) -> None:
        """Say what came of it.

        Raises:
            NightsafeError: UNAVAILABLE, when the API cannot be reached.
        """
        ...


class Judge(Protocol):
    """Whatever compiles."""

    async def problem_of(self, check: Check) -> str:
        """What the runtime says against code, or ""."""
        ...


class _Answer(Struct):
    """The part of an envelope that is read here."""

    result: Check | None = None


class HttpChecks:
    """A `CheckSource` that is an API.

    Args:
        source: how to reach it.
    """

    def __init__(self, source: HttpSource) -> None:
        self._source: Final = source

    async def greet(self) -> None:
        """As `CheckSource.greet`: a verdict on nothing."""
        status, _ = await self._source.ask("POST", "checks/none", msgspec.json.encode(Verdict()))
        if status != _OK:
            raise NightsafeError(Code.UNAVAILABLE, f"the API answered {status}")

    async def next(self) -> Check | None:
        """As `CheckSource.next`."""
        status, body = await self._source.ask("GET", "checks")
        if status != _OK:
            raise NightsafeError(Code.UNAVAILABLE, f"the API answered {status}")
        try:
            return msgspec.json.decode(body, type=_Answer).result
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise NightsafeError(Code.UNAVAILABLE, "the API answers what is no check") from None

    async def tell(self, check: Check, verdict: Verdict) -> None:
        """As `CheckSource.tell`."""
        await self._source.ask("POST", f"checks/{check.id}", msgspec.json.encode(verdict))


class Checker:
    """Checks one upload after the other.

    Args:
        source: where they come from.
        judge: what compiles them.

    Attributes:
        known: set while the API knows that uploads are checked.
    """

    def __init__(self, source: CheckSource, judge: Judge) -> None:
        self._source: Final = source
        self._judge: Final = judge
        self.known: Final = asyncio.Event()

    async def run(self) -> None:
        """Check, for ever. What goes wrong with one upload lets that one through."""
        pause = _FIRST_PAUSE
        while True:
            try:
                if not self.known.is_set():
                    await self._source.greet()
                    self.known.set()
                check = await self._source.next()
                if check is not None:
                    await self._source.tell(check, Verdict(await self._problem_of(check)))
            except NightsafeError:
                self.known.clear()
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                pause = _FIRST_PAUSE

    async def _problem_of(self, check: Check) -> str:
        """What there is against an upload."""
        try:
            return await self._judge.problem_of(check)
        except (OSError, ValueError, NightsafeError) as error:
            _log.warning("check.failed", error=type(error).__name__)
            return ""
