"""The state of a script that an edit needs and changes."""

from typing import NamedTuple

from nightsafe.store.scripts import ScriptRef

Key = tuple[str, str, str]
"""Account, dispatch namespace and name of a script."""


def key_of(ref: ScriptRef) -> Key:
    """Return a script's place in the order of the tables' keys."""
    return ref.account_id, ref.namespace, ref.name


class Head(NamedTuple):
    """The state of a script that an edit needs. For an absent script, the version is 0.

    Attributes:
        id: the script's tag.
        version: the number of its newest version.
        upload_version: the number of the version that set its current settings.
        variables: how many secrets, text variables and JSON variables it has.
        live_version: the number of the only served version, or 0.
        served_version: the number of the newest served version, or 0.
        deployment_count: how many deployments it has had.
        source: the source of its newest code.
        content: `content_digest` of its current code and settings; empty if it has not been computed yet.
    """

    id: str = ""
    version: int = 0
    upload_version: int = 0
    variables: int = 0
    live_version: int = 0
    served_version: int = 0
    deployment_count: int = 0
    source: str = ""
    content: bytes = b""


class StoredState(NamedTuple):
    """A script's state as the database has it, which has to be checked.

    Attributes:
        mac: the MAC; b"" for a script that is older than its MAC, or about to be created.
        triggers: the JSON object of its triggers.
        digests: `binding_digest` of each of its bindings, one after the other in any order; None without bindings.
    """

    mac: bytes = b""
    triggers: bytes = b"{}"
    digests: bytes | None = None
