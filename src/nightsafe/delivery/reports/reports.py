"""Logs what scripts print and throw, as workerd reports it: one log event each, as data, at a limited rate."""

import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec
import structlog
from msgspec import Struct

from nightsafe.delivery.cache.bundle_cache import Load
from nightsafe.delivery.reports.words import kind_of, places, request_of

_log = structlog.get_logger()

_MOST_LOADS: Final = 4096
_MOST_LINE: Final = 4096
_RATE: Final = 500.0
_BURST: Final = 2000.0
_LEVELS: Final = {"debug": "debug", "warn": "warning", "error": "error"}


class Threw(Struct, frozen=True):
    """An exception that a script has thrown and not caught.

    Attributes:
        kind: the error's name.
        stack: the stack, from the innermost call.
        message: the script's message, if the operator wants messages; it may contain a value.
    """

    kind: str
    stack: tuple[str, ...] = ()
    message: str | None = None


class Line(Struct, frozen=True):
    """A line that a script has printed.

    Attributes:
        level: the method of `console`.
        message: the arguments, as text.
        at: when it was printed, in milliseconds since 1970.
    """

    level: Literal["debug", "error", "info", "log", "warn"]
    message: str
    at: float


class Report(Struct, frozen=True):
    """One report of workerd about a script.

    Attributes:
        script: its name.
        load: the number of the load that it runs from.
        request: the id of the request, which the script sees in `cf-ray`; "" for none.
        exceptions: the exceptions that it threw.
        lines: the lines that it printed.
        refused: a host that the script may not or cannot reach.
        reason: why the script cannot reach that host.
        unanswered: the host of a request that got no answer: the script did not answer it, or handed it on.
        left_out: how many further lines the report leaves out.
        truncated: whether the runtime itself cut off the output.
        dropped: how many earlier reports were not sent.
    """

    script: str
    load: int
    request: str = ""
    exceptions: tuple[Threw, ...] = ()
    lines: tuple[Line, ...] = ()
    refused: str = ""
    reason: str = ""
    unanswered: str = ""
    left_out: int = 0
    truncated: bool = False
    dropped: int = 0


class _Seen(Struct, frozen=True):
    """The facts to remember about a load.

    Attributes:
        version: the version's id.
        modules: the names of its modules, in the runtime's form.
    """

    version: str = ""
    modules: frozenset[str] = frozenset()


class Reports:
    """Logs what scripts do, with a limit on the events per second.

    Args:
        clock: returns seconds, for the limit.
        output: whether the operator wants to see what scripts print; otherwise no text of a script is logged.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, output: bool = False) -> None:
        self._clock = clock
        self._output: Final = output
        self._seen_loads: OrderedDict[int, _Seen] = OrderedDict()
        self._left = _BURST
        self._seen = clock()
        self._dropped = 0

    def loaded(self, load: Load) -> None:
        """Remember the version of a load: reports about it may come after a newer load has replaced it."""
        modules = frozenset(one.name.removeprefix("./").lstrip("/") for one in load.version.modules)
        self._seen_loads[load.number] = _Seen(load.version.id, modules)
        while len(self._seen_loads) > _MOST_LOADS:
            self._seen_loads.popitem(last=False)

    def told(self, body: bytes) -> None:
        """Log a report. Ignore a malformed one: only a mistake of Nightsafe can cause it."""
        try:
            report = msgspec.json.decode(body, type=Report)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return
        seen = self._seen_loads.get(report.load, _Seen())
        request = report.request if self._output else request_of(report.request)
        about = {"script": report.script, "version": seen.version, "request": request}
        self._dropped += report.dropped + report.left_out
        if self._output:
            self._lines(report.lines, about)
        for one in report.exceptions:
            if self._may():
                _log.error("script.threw", **about, **self._thrown(one, seen.modules))
        self._outbound(report, about)
        if report.truncated and self._may():
            _log.warning("worker.output_cut", **about)

    def _lines(self, lines: tuple[Line, ...], about: dict[str, str]) -> None:
        """Log printed lines."""
        for line in lines:
            if self._may():
                at = datetime.fromtimestamp(line.at / 1000, UTC).isoformat().replace("+00:00", "Z")
                log = getattr(_log, _LEVELS.get(line.level, "info"))
                log("worker.output", **about, at=at, message=line.message)

    def _thrown(self, one: Threw, modules: frozenset[str]) -> dict[str, str]:
        """Return the fields to log about an exception."""
        if not self._output:
            return {"kind": kind_of(one.kind), "stack": "\n".join(places(one.stack, modules))}
        message = {} if one.message is None else {"message": one.message}
        return {"kind": one.kind, "stack": "\n".join(one.stack), **message}

    def _outbound(self, report: Report, about: dict[str, str]) -> None:
        """Log requests that did not go out. The host counts as a text of the script, which may have composed it."""
        if report.refused and self._may():
            by = about | self._host(report.refused) | {"reason": report.reason}
            del by["request"]  # it is not known which request caused this
            _log.warning("script.refused_outbound", **by)
        if report.unanswered and self._may():
            reason = "the script did not answer, or passed the request on to its own host; there is no origin"
            _log.warning("script.unanswered", **about, **self._host(report.unanswered), reason=reason)

    def _host(self, host: str) -> dict[str, str]:
        """Return the host as a field to log, if the operator wants texts of scripts."""
        return {"host": host} if self._output else {}

    def printed(self, line: bytes) -> None:
        """Log a line that the runtime itself printed; it may quote a script."""
        if self._may():
            said = line[:_MOST_LINE].decode("utf-8", "replace").rstrip()
            _log.info("workerd.output", line=said)

    def _may(self) -> bool:
        """Return whether the limit allows one more event; if so, first log how many events were dropped before it."""
        now = self._clock()
        self._left = min(_BURST, self._left + (now - self._seen) * _RATE)
        self._seen = now
        if self._left < 1:
            self._dropped += 1
            return False
        self._left -= 1
        if self._dropped:
            _log.warning("worker.output_dropped", count=self._dropped)
            self._dropped = 0
        return True
