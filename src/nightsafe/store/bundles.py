"""The served versions of a script with the latest log entry, as one read returns them.

`store/scripts.py` defines the forms of times and ids.
"""

from msgspec import Struct

from nightsafe.store.scripts import Binding, Version


class AuditHead(Struct, frozen=True):
    """The latest entry of an account's log: its number and its leaf hash; 0 and b"" for an empty log."""

    number: int = 0
    leaf: bytes = b""


class ModuleName(Struct, frozen=True):
    """One file of a script without its body, which is stored under its `digest` (SHA-256)."""

    name: str
    content_type: str
    digest: bytes


class StoredFile(Struct, frozen=True):
    """One file of a script without its body, which is stored under its `digest` (SHA-256) and has `size` bytes."""

    name: str
    content_type: str
    digest: bytes
    size: int


class ServedVersion(Struct, frozen=True, kw_only=True):
    """A version with its share of the requests, in per cent, its modules and its bindings."""

    version: Version
    percentage: float
    modules: tuple[ModuleName, ...]
    bindings: tuple[Binding, ...]


class Served(Struct, frozen=True):
    """The served versions of a script, and the latest log entry of the account whose effects they include.

    Attributes:
        head: the log entry.
        versions: the versions of the newest deployment; empty when the script is absent or was never deployed.
        triggers: the script's triggers, as in `ScriptEdit`.
    """

    head: AuditHead
    versions: tuple[ServedVersion, ...] = ()
    triggers: bytes = b"{}"
