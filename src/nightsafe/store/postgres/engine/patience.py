"""How long work waits for a server that answers, and when it tries again."""

from typing import Final

STALL_SECONDS: Final = 3.0
"""Work that takes longer is given up, because its server may be stopped."""

LEAST_SECONDS: Final = 1.0
"""What work may take at least, however short the patience is."""

_PAUSES: Final = (0.02, 0.05, 0.1, 0.2, 0.4)


def pause_after(failures: int) -> float:
    """Return the seconds to wait after so many failed attempts, from 1 on."""
    return _PAUSES[min(failures, len(_PAUSES)) - 1]
