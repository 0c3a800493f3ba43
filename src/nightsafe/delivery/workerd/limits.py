"""When the supervision of the runtime's processes steps in."""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

CPU_SECONDS: Final = 30.0
"""CPU time of one request unless its script says otherwise in `limits.cpu_ms`: what the platform allows."""

MOST_CELLS: Final = 6
"""Cells that `runtime/runtime.capnp` knows."""


class Limits(Struct, frozen=True, kw_only=True):
    """When to step in.

    Attributes:
        probe_seconds: between two looks at a process.
        busy_cpu_seconds: CPU time after which a process that does not answer a probe counts as busy.
        idle_seconds: how long a process may not answer without using CPU.
        stall_cpu_seconds: CPU time that the main process may go on to use when it is busy: others may wait for it.
        resident_bytes: memory past which the main process lets go of its scripts or, if that does not help, is
            replaced.
        cell_bytes: the same of a cell. One that has half as much again is killed, and what its script did is held
            against it.
        shed_seconds: how long letting go of scripts may take to help.
        drain_seconds: how long a process that is replaced may take to finish its requests.
        pause_seconds: before a process is started anew when it has only just been started.
        cells: processes beside the main one at the start; 0 runs every script in the main process.
        most_cells: how many there may come to be.
        first_hold: seconds for which a script is held apart that took a process down; doubled each time.
        longest_hold: seconds that this may grow to.
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
    most_cells: int = MOST_CELLS
    first_hold: float = 10.0
    longest_hold: float = 300.0

    @property
    def overgrown_bytes(self) -> float:
        """Memory past which a process is not waited for any longer."""
        return self.resident_bytes * 1.5

    def of_cell(self) -> "Limits":
        """The limits of a cell."""
        return replace(self, resident_bytes=min(self.cell_bytes, self.resident_bytes))
