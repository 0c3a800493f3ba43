"""The log: one line per event on stderr. It never contains a value and never blocks the process."""

import sys

import structlog


def _escape_event(
    _: structlog.typing.WrappedLogger, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Escape control characters and line breaks in an event for text output. JSON output escapes them itself.

    Only a stack keeps its lines, indented under the event's line.
    """
    escaped = {name: _escape(value) if isinstance(value, str) else value for name, value in event.items()}
    if "stack" in event:
        escaped["stack"] = "\n".join(f"    {_escape(line)}" for line in str(event["stack"]).split("\n"))
    return escaped


def _escape(text: str) -> str:
    """Return a text with unprintable characters escaped in Python's notation."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def configure_command() -> None:
    """Send a command's log to stderr, apart from its results, unless the log is configured already."""
    if structlog.is_configured():
        return
    if sys.stderr is None:
        structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    else:
        configure("text")


def configure(log_format: str) -> None:
    """Write the log as JSON or as text to the current `sys.stderr`; call `stdio.set_up_output` before."""
    text = (_escape_event, structlog.dev.ConsoleRenderer(colors=False))
    renderers = (structlog.processors.JSONRenderer(),) if log_format == "json" else text
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderers,
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
