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
from nightsafe.delivery.reports.redaction import known_kind, known_positions, known_request_id

_log = structlog.get_logger()

_MAX_LOADS: Final = 4096
_MAX_LINE_BYTES: Final = 4096
_RATE: Final = 500.0
_BURST: Final = 2000.0
_LEVELS: Final = {"debug": "debug", "warn": "warning", "error": "error"}


class ThrownError(Struct, frozen=True):
    """An exception that a script has thrown and not caught.

    Attributes:
        kind: the error's name.
        stack: the stack, from the innermost call.
        message: the script's message, if the operator wants messages; it may contain a value.
    """

    kind: str
    stack: tuple[str, ...] = ()
    message: str | None = None


class OutputLine(Struct, frozen=True):
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
    exceptions: tuple[ThrownError, ...] = ()
    lines: tuple[OutputLine, ...] = ()
    refused: str = ""
    reason: str = ""
    unanswered: str = ""
    left_out: int = 0
    truncated: bool = False
    dropped: int = 0


class _LoadFacts(Struct, frozen=True):
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
        self._load_facts: OrderedDict[int, _LoadFacts] = OrderedDict()
        self._tokens = _BURST
        self._refilled_at = clock()
        self._dropped = 0

    def remember_load(self, load: Load) -> None:
        """Remember the version of a load: reports about it may come after a newer load has replaced it."""
        modules = frozenset(module.name.removeprefix("./").lstrip("/") for module in load.version.modules)
        self._load_facts[load.number] = _LoadFacts(load.version.id, modules)
        while len(self._load_facts) > _MAX_LOADS:
            self._load_facts.popitem(last=False)

    def log_report(self, body: bytes) -> None:
        """Log a report. Ignore a malformed one: only a mistake of Nightsafe can cause it."""
        try:
            report = msgspec.json.decode(body, type=Report)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return
        facts = self._load_facts.get(report.load, _LoadFacts())
        request = report.request if self._output else known_request_id(report.request)
        fields = {"script": report.script, "version": facts.version, "request": request}
        self._dropped += report.dropped + report.left_out
        if self._output:
            self._log_lines(report.lines, fields)
        for error in report.exceptions:
            if self._allow_event():
                _log.error("script.threw", **fields, **self._error_fields(error, facts.modules))
        self._log_outbound(report, fields)
        if report.truncated and self._allow_event():
            _log.warning("worker.output_cut", **fields)

    def _log_lines(self, lines: tuple[OutputLine, ...], fields: dict[str, str]) -> None:
        """Log printed lines."""
        for line in lines:
            if self._allow_event():
                at = datetime.fromtimestamp(line.at / 1000, UTC).isoformat().replace("+00:00", "Z")
                log = getattr(_log, _LEVELS.get(line.level, "info"))
                log("worker.output", **fields, at=at, message=line.message)

    def _error_fields(self, error: ThrownError, modules: frozenset[str]) -> dict[str, str]:
        """Return the fields to log about an exception."""
        if not self._output:
            return {"kind": known_kind(error.kind), "stack": "\n".join(known_positions(error.stack, modules))}
        message = {} if error.message is None else {"message": error.message}
        return {"kind": error.kind, "stack": "\n".join(error.stack), **message}

    def _log_outbound(self, report: Report, fields: dict[str, str]) -> None:
        """Log requests that did not go out. The host counts as a text of the script, which may have composed it."""
        if report.refused and self._allow_event():
            event = fields | self._host_field(report.refused) | {"reason": report.reason}
            del event["request"]  # it is not known which request caused this
            _log.warning("script.refused_outbound", **event)
        if report.unanswered and self._allow_event():
            reason = "the script did not answer, or passed the request on to its own host; there is no origin"
            _log.warning("script.unanswered", **fields, **self._host_field(report.unanswered), reason=reason)

    def _host_field(self, host: str) -> dict[str, str]:
        """Return the host as a field to log, if the operator wants texts of scripts."""
        return {"host": host} if self._output else {}

    def log_output(self, line: bytes) -> None:
        """Log a line that the runtime itself printed; it may quote a script."""
        if self._allow_event():
            decoded = line[:_MAX_LINE_BYTES].decode("utf-8", "replace").rstrip()
            _log.info("workerd.output", line=decoded)

    def _allow_event(self) -> bool:
        """Return whether the limit allows one more event; if so, first log how many events were dropped before it."""
        now = self._clock()
        self._tokens = min(_BURST, self._tokens + (now - self._refilled_at) * _RATE)
        self._refilled_at = now
        if self._tokens < 1:
            self._dropped += 1
            return False
        self._tokens -= 1
        if self._dropped:
            _log.warning("worker.output_dropped", count=self._dropped)
            self._dropped = 0
        return True
