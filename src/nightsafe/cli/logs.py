"""The log of the serving process: one line an event on stderr, never a value in it, and never in the way."""

import queue
import sys
import threading
from contextlib import suppress

import structlog

_MOST_WAITING = 10_000


class _Sink:
    """A file for the log that never blocks and never fails: what stderr does not take in time is dropped."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[str] = queue.Queue(_MOST_WAITING)
        threading.Thread(target=self._run, name="nightsafe-log", daemon=True).start()

    def write(self, text: str) -> None:
        """Queue a text."""
        with suppress(queue.Full):
            self._waiting.put_nowait(text)

    def flush(self) -> None:
        """Nothing to do: the thread writes as it can."""

    def _run(self) -> None:
        """The thread: write what comes."""
        while True:
            text = self._waiting.get()
            with suppress(OSError, ValueError):
                sys.stderr.write(text)
                sys.stderr.flush()


def _printable(
    _: structlog.typing.WrappedLogger, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """The same event without what a terminal would act on, or a reader take for a line of its own; JSON escapes that.

    Of what is shown, only a stack has several lines: they stand under the event's own, further in.
    """
    shown = {name: _shown(value) if isinstance(value, str) else value for name, value in event.items()}
    if "stack" in event:
        shown["stack"] = "\n".join(f"    {_shown(line)}" for line in str(event["stack"]).split("\n"))
    return shown


def _shown(text: str) -> str:
    """A text with everything that is not printable escaped, as Python writes it."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def configure(log_format: str) -> None:
    """Write JSON, or text for people."""
    text = (_printable, structlog.dev.ConsoleRenderer(colors=False))
    renderers = (structlog.processors.JSONRenderer(),) if log_format == "json" else text
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderers,
        ],
        logger_factory=structlog.WriteLoggerFactory(file=_Sink()),  # type: ignore[arg-type]  # it writes, no more
        cache_logger_on_first_use=True,
    )
