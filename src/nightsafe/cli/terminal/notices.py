"""Prints the client's notices to stderr, for example that it remembers a ring or sends values unsealed."""

import logging

from nightsafe.cli.terminal.output import notify


class _NoticeHandler(logging.Handler):
    """A log handler that prints notices in this program's form."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one notice."""
        notify(record.getMessage())


def print_notices() -> None:
    """Print the client's notices from now on."""
    log = logging.getLogger("nightsafe.client")
    if not log.handlers:
        log.addHandler(_NoticeHandler())
    log.setLevel(logging.INFO)
    log.propagate = False
