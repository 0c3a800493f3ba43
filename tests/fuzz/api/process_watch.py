"""The server process as the kernel counts it: its memory, and how long it and this client waited for a processor."""

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
    """Samples the server and this process ten times a second.

    A slow answer of a quick server means a busy machine: the server's or the client's process was ready to run and
    had no processor. The kernel counts that time (`schedstat` of each thread), so it can be subtracted.

    Args:
        pid: the id of the server's process.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._times: list[float] = []
        self._waited: list[float] = []
        self.largest = memory(pid)
        """The most memory that the server had, in bytes."""

    async def run(self) -> None:
        """Sample until cancelled."""
        late = 0.0
        while True:
            self._times.append(time.perf_counter())
            self._waited.append(_waited(self._pid) + late)
            self.largest = max(self.largest, memory(self._pid))
            expected = time.perf_counter() + _PAUSE
            await asyncio.sleep(_PAUSE)
            late += max(0.0, time.perf_counter() - expected)

    def lost(self, seconds: float) -> float:
        """Return for how many of the last `seconds` the server had no processor, or the client was late."""
        if not self._times:
            return 0.0
        began = bisect.bisect_right(self._times, time.perf_counter() - seconds - _PAUSE) - 1
        return self._waited[-1] - self._waited[max(0, began)]


def memory(pid: int) -> int:
    """Return how many bytes of memory a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _waited(pid: int) -> float:
    """Return the seconds that a process's longest-waiting thread was ready to run and had no processor."""
    waits = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            waits.append(int((task / "schedstat").read_text().split()[1]) / _NANO)
        except OSError:  # the thread has ended
            continue
    return max(waits, default=0.0)
