"""What is served of a script, as one read gives it, and where the log then stands.

Times and ids are as in `store/scripts.py`.
"""

from msgspec import Struct

from nightsafe.store.scripts import Binding, Version


class AuditHead(Struct, frozen=True):
    """The latest entry of an account's log: its number and its leaf hash; 0 and b"" when there is none."""

    number: int = 0
    leaf: bytes = b""


class ModuleName(Struct, frozen=True):
    """One file of a script without its body, which is kept under its `digest` (SHA-256)."""

    name: str
    content_type: str
    digest: bytes


class StoredFile(Struct, frozen=True):
    """One file of a script without its body, which is kept under its `digest` (SHA-256) and has `size` bytes."""

    name: str
    content_type: str
    digest: bytes
    size: int


class ServedVersion(Struct, frozen=True, kw_only=True):
    """A version with its share of the requests, in per cent, and all that it is made of."""

    version: Version
    percentage: float
    modules: tuple[ModuleName, ...]
    bindings: tuple[Binding, ...]


class Served(Struct, frozen=True):
    """What is served of a script, and the latest entry of the account's log that this takes account of.

    Attributes:
        head: the entry.
        versions: of the newest deployment; none when the script is not there or was never deployed.
        triggers: of the script, as in `ScriptEdit`.
    """

    head: AuditHead
    versions: tuple[ServedVersion, ...] = ()
    triggers: bytes = b"{}"
