"""What the client tells beside its results, on stderr: that a ring is remembered, or that values go unsealed."""

import logging

from nightsafe.cli.terminal.output import tell


class _Telling(logging.Handler):
    """Says each notice as this program says its own."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say one."""
        tell(record.getMessage())


def say_notices() -> None:
    """Have the client's notices said from now on."""
    log = logging.getLogger("nightsafe.client")
    if not log.handlers:
        log.addHandler(_Telling())
    log.setLevel(logging.INFO)
    log.propagate = False
