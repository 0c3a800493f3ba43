"""JSON messages between API and delivery processes that check uploaded code on the real runtime.

The runtime compiles and links the code, and never runs it.
"""

from typing import Final

from msgspec import Struct

LONGEST_WAIT: Final = 5
"""The most seconds that a delivery process's request for code to check may wait."""

_SECONDS: Final = 1.5
_SECONDS_A_MEGABYTE: Final = 0.5


class CheckedModule(Struct, frozen=True):
    """One file of an upload.

    Attributes:
        name: its name in the upload.
        content_type: its content type in the upload.
        body: its contents; empty for a file that the runtime does not compile.
    """

    name: str
    content_type: str
    body: bytes


class CodeCheck(Struct, frozen=True, kw_only=True):
    """An upload that waits for a verdict.

    Attributes:
        id: identifies the upload that a verdict belongs to.
        main_module: name of the entry file.
        classic: whether it is a classic script.
        date: its compatibility date, or "".
        flags: its compatibility flags.
        modules: every file that can be imported; for a classic script, the script and its parts.
        parts: the files that a classic script receives as compiled modules.
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
        """The time limit for the runtime, about ten times what this much code takes on an idle machine."""
        return _SECONDS + _SECONDS_A_MEGABYTE * sum(len(module.body) for module in self.modules) / 1e6


class Verdict(Struct, frozen=True):
    """The runtime's answer: the problem, or "" when it can load everything or when the answer is not known."""

    problem: str = ""
