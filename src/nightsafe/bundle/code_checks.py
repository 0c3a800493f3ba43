"""What passes between the API and the delivery side when code is tried on the real runtime, as JSON.

Code is compiled and linked, and never run.
"""

from typing import Final

from msgspec import Struct

LONGEST_WAIT: Final = 5
"""Seconds that a request for something to check may wait."""

_SECONDS: Final = 1.5
_SECONDS_A_MEGABYTE: Final = 0.5


class CheckedModule(Struct, frozen=True):
    """One file of an upload.

    Attributes:
        name: as the upload called it.
        content_type: as the upload had it.
        body: its contents; nothing of a file that the runtime does not compile.
    """

    name: str
    content_type: str
    body: bytes


class Check(Struct, frozen=True, kw_only=True):
    """An upload that waits for a verdict.

    Attributes:
        id: by which the verdict finds it.
        main_module: name of the file that starts.
        classic: whether it is a classic script.
        date: its compatibility date, or "".
        flags: its compatibility flags.
        modules: every file that can be imported; of a classic script, the script and its parts.
        parts: those files that a classic script has as compiled modules.
    """

    id: str
    main_module: str
    classic: bool = False
    date: str = ""
    flags: tuple[str, ...] = ()
    modules: tuple[CheckedModule, ...] = ()
    parts: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """How long the runtime may take: some ten times what it takes for so much code where nothing else runs."""
        return _SECONDS + _SECONDS_A_MEGABYTE * sum(len(one.body) for one in self.modules) / 1e6


class Verdict(Struct, frozen=True):
    """What the runtime says: "" when it can load everything, or it is not known."""

    problem: str = ""
