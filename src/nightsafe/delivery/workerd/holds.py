"""Scripts that are held apart because they took a process down, and those that hold processes up."""

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from msgspec import Struct

_WALL: Final = time.time


class Hold(Struct, frozen=True):
    """One script that is held apart.

    Attributes:
        until: when it is tried again, in seconds since 1970.
        pause: how many seconds it is held this time.
        reason: what it did, in words for whoever asks for it.
        callees: scripts that it calls, and that may have done so in its place.
    """

    until: float
    pause: float
    reason: str
    callees: tuple[str, ...] = ()


class Holds:
    """Who is held apart, and for how long. Each time it happens again the pause is doubled.

    Args:
        first: seconds of the first pause.
        longest: seconds of the longest.
        clock: seconds since 1970.
    """

    def __init__(self, first: float, longest: float, clock: Callable[[], float] = _WALL) -> None:
        self._first: Final = first
        self._longest: Final = longest
        self._clock: Final = clock
        self._held: dict[str, Hold] = {}
        self._heavy: dict[str, str] = {}
        self._alone: set[str] = set()

    def blame(self, script: str, code: str, reason: str, callees: tuple[str, ...] = ()) -> Hold:
        """A script took a process down, or one that it calls: hold it apart, longer than the last time."""
        before = self._held.get(script)
        pause = min(before.pause * 2, self._longest) if before else self._first
        hold = Hold(self._clock() + pause, pause, reason, callees)
        self._held[script] = hold
        self._heavy[script] = code
        return hold

    def suspect(self, scripts: Iterable[str]) -> None:
        """Scripts of which one took a process down: from now on each runs with no other beside it."""
        self._alone.update(scripts)

    def weigh(self, script: str, code: str) -> bool:
        """A script has held a process up: it does not run where that would matter. Gives whether that is news."""
        news = self._heavy.get(script) != code
        self._heavy[script] = code
        return news

    def changed(self, script: str, code: str) -> bool:
        """Another version of a script is served from now on: it is let in, as is who calls it; other code is light.

        Returns:
            Whether the script was known for anything.
        """
        freed = [one for one, hold in self._held.items() if one == script or script in hold.callees]
        known = bool(freed) or script in self._alone
        for one in freed:
            del self._held[one]
        self._alone.discard(script)
        if self._heavy.get(script, code) != code:
            del self._heavy[script]
            known = True
        return known

    def held(self) -> dict[str, Hold]:
        """The scripts that are held apart at this moment."""
        now = self._clock()
        return {script: hold for script, hold in self._held.items() if hold.until > now}

    def told(self) -> dict[str, Any]:
        """What workerd is told."""
        return {
            "holds": [
                {"script": script, "until": int(hold.until * 1000), "reason": hold.reason}
                for script, hold in self.held().items()
            ],
            "heavy": list(self._heavy.items()),
            "alone": sorted(self._alone),
        }
