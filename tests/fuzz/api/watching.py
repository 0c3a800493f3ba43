"""The server process as the kernel counts it: its memory, and what it and this client waited for a processor."""

import asyncio
import bisect
import os
import time
from pathlib import Path
from typing import Final

_PAUSE: Final = 0.1
_NANO: Final = 1e9
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class Watch:
    """Looks at the server, and at this process, ten times a second.

    A slow answer of a quick server tells of a busy machine: its process, or the client's, was ready to run and had no
    processor. The kernel counts that (`schedstat` of each thread), so it can be taken off.

    Args:
        pid: of the server.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._times: list[float] = []
        self._waited: list[float] = []
        self.largest = memory(pid)
        """Bytes that it took at the most."""

    async def run(self) -> None:
        """Look, until cancelled."""
        late = 0.0
        while True:
            self._times.append(time.perf_counter())
            self._waited.append(_waited(self._pid) + late)
            self.largest = max(self.largest, memory(self._pid))
            expected = time.perf_counter() + _PAUSE
            await asyncio.sleep(_PAUSE)
            late += max(0.0, time.perf_counter() - expected)

    def lost(self, seconds: float) -> float:
        """Of these seconds, which end now, those in which the server had no processor, or the client was late."""
        if not self._times:
            return 0.0
        began = bisect.bisect_right(self._times, time.perf_counter() - seconds - _PAUSE) - 1
        return self._waited[-1] - self._waited[max(0, began)]


def memory(pid: int) -> int:
    """Bytes of memory that a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def cpu_seconds(pid: int) -> float:
    """What a process has taken of the processors."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _waited(pid: int) -> float:
    """Seconds in which the thread of a process that waited most was ready to run and had no processor."""
    waits = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            waits.append(int((task / "schedstat").read_text().split()[1]) / _NANO)
        except OSError:  # the thread has ended
            continue
    return max(waits, default=0.0)
