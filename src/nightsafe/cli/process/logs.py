"""The log: one line an event on stderr, never a value in it, and never in the way."""

import sys

import structlog


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


def configure_command() -> None:
    """Keep what a command's parts log away from its results, unless its log is set up already."""
    if structlog.is_configured():
        return
    if sys.stderr is None:
        structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    else:
        configure("text")


def configure(log_format: str) -> None:
    """Write JSON, or text for people, to standard error as it is now (`stdio.serving`)."""
    text = (_printable, structlog.dev.ConsoleRenderer(colors=False))
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
