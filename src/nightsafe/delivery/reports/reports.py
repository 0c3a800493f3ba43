"""What scripts print and throw, as workerd tells it: one event of the log each, as data, and never without end."""

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
    """What a script has thrown and not caught.

    Attributes:
        kind: the error's name.
        stack: where, from the innermost call.
        message: in the script's words, when the operator wants them; it may hold a value.
    """

    kind: str
    stack: tuple[str, ...] = ()
    message: str | None = None


class Line(Struct, frozen=True):
    """What a script has printed.

    Attributes:
        level: the method of `console`.
        message: what it was given.
        at: when, in milliseconds since 1970.
    """

    level: Literal["debug", "error", "info", "log", "warn"]
    message: str
    at: float


class Report(Struct, frozen=True):
    """What is told at once.

    Attributes:
        script: its name.
        load: the load that it runs from.
        request: the id of the request, as the script has it in `cf-ray`; "" for none.
        exceptions: what was thrown.
        lines: what was printed.
        refused: a host that the script may not or cannot reach.
        reason: why not.
        unanswered: the host that was asked in vain: the script has not answered, or has handed the request on.
        left_out: further lines that are not among these.
        truncated: whether the runtime kept no more of it.
        dropped: reports that were not told.
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
    """What is remembered of a load.

    Attributes:
        version: its id.
        modules: their names, as the runtime has them.
    """

    version: str = ""
    modules: frozenset[str] = frozenset()


class Reports:
    """Logs what scripts do, at most so much of it in a second.

    Args:
        clock: seconds, for how many events there may be.
        output: whether the operator wants to see what scripts say; else no word of theirs is logged.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, output: bool = False) -> None:
        self._clock = clock
        self._output: Final = output
        self._seen_loads: OrderedDict[int, _Seen] = OrderedDict()
        self._left = _BURST
        self._seen = clock()
        self._dropped = 0

    def loaded(self, load: Load) -> None:
        """Remember which version a load is of: it may be told of after it was superseded."""
        modules = frozenset(one.name.removeprefix("./").lstrip("/") for one in load.version.modules)
        self._seen_loads[load.number] = _Seen(load.version.id, modules)
        while len(self._seen_loads) > _MOST_LOADS:
            self._seen_loads.popitem(last=False)

    def told(self, body: bytes) -> None:
        """Log a report. What is none is left out: it can only come of a mistake of ours."""
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
        """Log what was printed."""
        for line in lines:
            if self._may():
                at = datetime.fromtimestamp(line.at / 1000, UTC).isoformat().replace("+00:00", "Z")
                log = getattr(_log, _LEVELS.get(line.level, "info"))
                log("worker.output", **about, at=at, message=line.message)

    def _thrown(self, one: Threw, modules: frozenset[str]) -> dict[str, str]:
        """What is told of what was thrown."""
        if not self._output:
            return {"kind": kind_of(one.kind), "stack": "\n".join(places(one.stack, modules))}
        message = {} if one.message is None else {"message": one.message}
        return {"kind": one.kind, "stack": "\n".join(one.stack), **message}

    def _outbound(self, report: Report, about: dict[str, str]) -> None:
        """Log what did not go out. A host that a script has put together is its word."""
        if report.refused and self._may():
            by = about | self._host(report.refused) | {"reason": report.reason}
            del by["request"]  # it is not known which it was for
            _log.warning("script.refused_outbound", **by)
        if report.unanswered and self._may():
            reason = "the script has not answered, or has passed the request on to its own host: there is no origin"
            _log.warning("script.unanswered", **about, **self._host(report.unanswered), reason=reason)

    def _host(self, host: str) -> dict[str, str]:
        """A host, when what scripts say is wanted."""
        return {"host": host} if self._output else {}

    def printed(self, line: bytes) -> None:
        """Log a line of the runtime's own, which may quote a script."""
        if self._may():
            said = line[:_MOST_LINE].decode("utf-8", "replace").rstrip()
            _log.info("workerd.output", line=said)

    def _may(self) -> bool:
        """Whether there may be one more event now; how many there were not is said when there may be again."""
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
