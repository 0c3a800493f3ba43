"""Has the runtime compile code that is being uploaded, and tells the API the result.

It runs in the background. While it is not running, the API accepts uploads unchecked.
"""

import asyncio
from typing import Final, Protocol

import msgspec
import structlog
from msgspec import Struct

from nightsafe.bundle.code_checks import CodeCheck, Verdict
from nightsafe.delivery.source.http import HttpSource
from nightsafe.errors import Code, NightsafeError

_log = structlog.get_logger()

_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.5
_OK: Final = 200


class CheckSource(Protocol):
    """The part of the API that code checks use."""

    async def announce(self) -> None:
        """Tell the API that this process checks code: from now on, uploads wait for a verdict.

        Raises:
            NightsafeError: UNAVAILABLE, when the API cannot be reached.
        """
        ...

    async def next(self) -> CodeCheck | None:
        """Wait a few seconds for code to check.

        Raises:
            NightsafeError: UNAVAILABLE, when the API cannot be reached or its answer is not a check.
        """
        ...

    async def send_verdict(self, check: CodeCheck, verdict: Verdict) -> None:
        """Send the verdict on a check.

        Raises:
            NightsafeError: UNAVAILABLE, when the API cannot be reached.
        """
        ...


class CodeCompiler(Protocol):
    """A compiler of uploads."""

    async def find_problem(self, check: CodeCheck) -> str:
        """Return the runtime's problem with the code, or ""."""
        ...


class _Answer(Struct):
    """The part of the API's envelope that this module reads."""

    result: CodeCheck | None = None


class HttpChecks:
    """A `CheckSource` that asks the API over HTTP.

    Args:
        source: the connection to the API.
    """

    def __init__(self, source: HttpSource) -> None:
        self._source: Final = source

    async def announce(self) -> None:
        """Announce this process, as `CheckSource.announce`, by a verdict on no upload."""
        status, _ = await self._source.request("POST", "checks/none", msgspec.json.encode(Verdict()))
        if status != _OK:
            raise NightsafeError(Code.UNAVAILABLE, f"the API answered {status}")

    async def next(self) -> CodeCheck | None:
        """Wait for code to check, as `CheckSource.next`."""
        status, body = await self._source.request("GET", "checks")
        if status != _OK:
            raise NightsafeError(Code.UNAVAILABLE, f"the API answered {status}")
        try:
            return msgspec.json.decode(body, type=_Answer).result
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise NightsafeError(Code.UNAVAILABLE, "the API's answer is not a check") from None

    async def send_verdict(self, check: CodeCheck, verdict: Verdict) -> None:
        """Send the verdict, as `CheckSource.send_verdict`."""
        await self._source.request("POST", f"checks/{check.id}", msgspec.json.encode(verdict))


class Checker:
    """Checks one upload after the other.

    Args:
        source: provides the uploads.
        compiler: compiles them.

    Attributes:
        announced: set while the API knows that this process checks uploads.
    """

    def __init__(self, source: CheckSource, compiler: CodeCompiler) -> None:
        self._source: Final = source
        self._compiler: Final = compiler
        self.announced: Final = asyncio.Event()

    async def run(self) -> None:
        """Check uploads for ever. An upload whose check fails by itself is let through."""
        pause = _FIRST_PAUSE
        while True:
            try:
                if not self.announced.is_set():
                    await self._source.announce()
                    self.announced.set()
                check = await self._source.next()
                if check is not None:
                    await self._source.send_verdict(check, Verdict(await self._find_problem(check)))
            except NightsafeError:
                self.announced.clear()
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                pause = _FIRST_PAUSE

    async def _find_problem(self, check: CodeCheck) -> str:
        """Return the problem with an upload; "" when there is no problem or the check itself failed."""
        try:
            return await self._compiler.find_problem(check)
        except (OSError, ValueError, NightsafeError) as error:
            _log.warning("check.failed", error=type(error).__name__)
            return ""
