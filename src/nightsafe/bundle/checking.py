"""What passes between the API and the delivery side when code is tried on the real runtime, as JSON.

Code is compiled and never run.
"""

from typing import Final

from msgspec import Struct

LONGEST_WAIT: Final = 5
"""Seconds that a request for something to check may wait."""


class CheckedModule(Struct, frozen=True):
    """One file that the runtime compiles.

    Attributes:
        name: as the upload called it.
        kind: `js`, `cjs`, `json` or `wasm`.
        body: its contents.
    """

    name: str
    kind: str
    body: bytes


class Check(Struct, frozen=True, kw_only=True):
    """An upload that waits for a verdict.

    Attributes:
        id: by which the verdict finds it.
        flags: compatibility flags that change what is JavaScript.
        modules: every file that the runtime compiles.
        classic: the main file of a classic script, in place of modules.
    """

    id: str
    flags: tuple[str, ...] = ()
    modules: tuple[CheckedModule, ...] = ()
    classic: bytes | None = None


class Verdict(Struct, frozen=True):
    """What the runtime says: "" when it can compile everything, or it is not known."""

    problem: str = ""
