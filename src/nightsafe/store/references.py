"""What some reads of scripts find: where a secret came from, and what leads to another script; and what needs one."""

from typing import Final

from msgspec import Struct

from nightsafe.errors import Problem
from nightsafe.store.scripts import ScriptRef


class SecretVersion(Struct, frozen=True):
    """Where a secret of a script came from.

    Attributes:
        name: the secret's name.
        version_id: UUID of the version that set it to what it is now, 16 bytes.
        annotations: of that version, as in `Stamp`.
        created_on: when it was made, microseconds since 1970 UTC.
        author_email: of who made it.
        source: of that version, as in `Stamp`.
    """

    name: str
    version_id: bytes
    annotations: bytes
    created_on: int
    author_email: str
    source: str


MOST_POINTING: Final = 2000
"""Bindings, and settings, that are looked at for whether they lead to a script: so many at most."""


class Pointer(Struct, frozen=True):
    """A binding that may lead to another script.

    Attributes:
        script: whose it is.
        name: the binding's name.
        kind: the binding's kind.
        shown: the JSON object that reads give back.
        since: number of the first version that has it, 0 for one of the newest version.
        until: number of the first version after those that have it.
    """

    script: ScriptRef
    name: str
    kind: str
    shown: bytes
    since: int = 0
    until: int = 0


class Pointing(Struct, frozen=True):
    """All that may lead to a script, as it was read.

    Attributes:
        bindings: as `Store.pointing` tells them.
        settings: as `Store.settings_naming` tells them.
    """

    bindings: tuple[Pointer, ...]
    settings: tuple[tuple[ScriptRef, bytes], ...]


class Need(Struct, frozen=True):
    """A script that must be there for a change to be made, and the problem to refuse it with when it is not."""

    script: ScriptRef
    problem: Problem
