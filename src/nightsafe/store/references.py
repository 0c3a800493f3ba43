"""The origin of a script's secrets, the references that lead to a script, and the scripts that a change needs."""

from typing import Final

from msgspec import Struct

from nightsafe.errors import Problem
from nightsafe.store.scripts import ScriptRef


class SecretVersion(Struct, frozen=True):
    """The version that last set a secret of a script.

    Attributes:
        name: the secret's name.
        version_id: the UUID of the version that last set the secret, 16 bytes.
        annotations: that version's annotations, as in `Stamp`.
        created_on: the time of that version's creation, in microseconds since 1970 UTC.
        author_email: the e-mail of that version's author.
        source: that version's source, as in `Stamp`.
    """

    name: str
    version_id: bytes
    annotations: bytes
    created_on: int
    author_email: str
    source: str


MAX_CANDIDATES: Final = 2000
"""The maximum number of bindings, and of settings, that a search for references to a script examines."""


class CandidateBinding(Struct, frozen=True):
    """A binding that may lead to another script.

    Attributes:
        script: the script that has the binding.
        name: the binding's name.
        kind: the binding's type.
        shown: the JSON object that reads return.
        since: the number of the first version that has the binding; 0 for a binding of the newest version.
        until: the number of the first later version without it.
    """

    script: ScriptRef
    name: str
    kind: str
    shown: bytes
    since: int = 0
    until: int = 0


class ReferenceCandidates(Struct, frozen=True):
    """The bindings and settings that may lead to a script, as they were read.

    Attributes:
        bindings: the result of `Store.bindings_mentioning`.
        settings: the result of `Store.settings_mentioning`.
    """

    bindings: tuple[CandidateBinding, ...]
    settings: tuple[tuple[ScriptRef, bytes], ...]


class RequiredScript(Struct, frozen=True):
    """A script that must exist for a change to be applied, and the problem to report if it does not."""

    script: ScriptRef
    problem: Problem
