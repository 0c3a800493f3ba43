"""Records the scripts that are held apart because they took a process down, and those that hold processes up."""

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from msgspec import Struct

_WALL: Final = time.time


class Hold(Struct, frozen=True):
    """One script that is held apart.

    Attributes:
        until: when the script is tried again, in seconds since 1970.
        pause: how many seconds it is held apart this time.
        reason: what it did, for the answer to its clients.
        callees: scripts that it calls; one of these may be to blame instead.
    """

    until: float
    pause: float
    reason: str
    callees: tuple[str, ...] = ()


class Holds:
    """The scripts that are held apart, and for how long. Each repetition doubles the pause.

    Args:
        first: the first pause, in seconds.
        longest: the longest pause, in seconds.
        clock: returns seconds since 1970.
    """

    def __init__(self, first: float, longest: float, clock: Callable[[], float] = _WALL) -> None:
        self._first: Final = first
        self._longest: Final = longest
        self._clock: Final = clock
        self._held: dict[str, Hold] = {}
        self._heavy: dict[str, str] = {}
        self._alone: set[str] = set()

    def hold_apart(self, script: str, code: str, reason: str, callees: tuple[str, ...] = ()) -> Hold:
        """Hold a script apart, longer than last time, because it or a script that it calls took a process down."""
        before = self._held.get(script)
        pause = min(before.pause * 2, self._longest) if before else self._first
        hold = Hold(self._clock() + pause, pause, reason, callees)
        self._held[script] = hold
        self._heavy[script] = code
        return hold

    def run_alone(self, scripts: Iterable[str]) -> None:
        """Run each of these scripts without others beside it from now on: one of them took a process down."""
        self._alone.update(scripts)

    def mark_heavy(self, script: str, code: str) -> bool:
        """Keep a script that has held a process up out of the main process; return whether that is new."""
        is_new = self._heavy.get(script) != code
        self._heavy[script] = code
        return is_new

    def forget_outdated(self, script: str, code: str) -> bool:
        """Note that another version of a script is served from now on.

        The script and the scripts that call it are no longer held apart. If its code has changed, it no longer counts
        as one that holds processes up.

        Returns:
            Whether anything was recorded about the script.
        """
        freed = [held for held, hold in self._held.items() if held == script or script in hold.callees]
        had_record = bool(freed) or script in self._alone
        for held in freed:
            del self._held[held]
        self._alone.discard(script)
        if self._heavy.get(script, code) != code:
            del self._heavy[script]
            had_record = True
        return had_record

    def current(self) -> dict[str, Hold]:
        """Return the scripts that are held apart at this moment."""
        now = self._clock()
        return {script: hold for script, hold in self._held.items() if hold.until > now}

    def to_dict(self) -> dict[str, Any]:
        """Return the records for workerd."""
        return {
            "holds": [
                {"script": script, "until": int(hold.until * 1000), "reason": hold.reason}
                for script, hold in self.current().items()
            ],
            "heavy": list(self._heavy.items()),
            "alone": sorted(self._alone),
        }
