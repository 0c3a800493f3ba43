"""Limits at which the supervision of the runtime's processes steps in."""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

CPU_SECONDS: Final = 30.0
"""CPU time of one request, as on the platform; a script can change it with `limits.cpu_ms`."""

MAX_CELLS: Final = 6
"""The number of cells in `runtime/runtime.capnp`."""


class Limits(Struct, frozen=True, kw_only=True):
    """The limits of the runtime's processes.

    Attributes:
        probe_seconds: the time between two probes of a process.
        busy_cpu_seconds: CPU time after which a process that does not answer a probe counts as busy.
        idle_seconds: how long a process may leave a probe unanswered without using CPU.
        stall_cpu_seconds: further CPU time that a busy main process may use, because other requests may wait for it.
        resident_bytes: memory above which the main process drops its scripts or, if that does not help, is replaced.
        cell_bytes: the same limit for a cell. A cell that exceeds it by half is killed, and its script is blamed.
        shed_seconds: how long it may take until dropping scripts helps.
        drain_seconds: how long a process that is replaced may take to finish its requests.
        pause_seconds: the pause before a process is restarted that ended just after its start.
        cells: the number of cells at the start; 0 runs every script in the main process.
        max_cells: the most cells that may be started.
        first_hold: seconds for which a script that took a process down is held apart; doubled each time.
        longest_hold: the most seconds for which a script is held apart.
    """

    probe_seconds: float = 0.25
    busy_cpu_seconds: float = 0.5
    idle_seconds: float = 15.0
    stall_cpu_seconds: float = 5.0
    resident_bytes: int = 3 << 30
    cell_bytes: int = 1 << 30
    shed_seconds: float = 10.0
    drain_seconds: float = 35.0
    pause_seconds: float = 0.5
    cells: int = 2
    max_cells: int = MAX_CELLS
    first_hold: float = 10.0
    longest_hold: float = 300.0

    @property
    def overgrown_bytes(self) -> float:
        """Memory above which supervision no longer waits for a process."""
        return self.resident_bytes * 1.5

    def of_cell(self) -> "Limits":
        """Return the limits of a cell."""
        return replace(self, resident_bytes=min(self.cell_bytes, self.resident_bytes))
