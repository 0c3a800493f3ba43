"""The served versions of a script with the latest log entry, as one read returns them, and approvals of versions.

`store/scripts.py` defines the forms of times and ids.
"""

from msgspec import Struct

from nightsafe.bundle.approvals.approval import Approval
from nightsafe.store.scripts import Version


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


class ServedBinding(Struct, frozen=True):
    """One binding of a served version.

    Attributes:
        name, kind, shown: as in `Binding`.
        since: the number of the version that put it.
        record: the stored record, with the proof that it was put; None for a binding that is not a secret.
    """

    name: str
    kind: str
    shown: bytes
    since: int
    record: bytes | None = None


class ServedVersion(Struct, frozen=True, kw_only=True):
    """A version with its share of the requests, in per cent, its modules and its bindings.

    Attributes:
        proof: the packed proof of the version's statement; b"" for a version that is older than the log.
    """

    version: Version
    percentage: float
    modules: tuple[ModuleName, ...]
    bindings: tuple[ServedBinding, ...]
    proof: bytes = b""


class ServedDeployment(Struct, frozen=True):
    """The identity of a deployment, as its statement has it.

    Attributes:
        id: its UUID, 16 bytes.
        newest: the number of the script's newest version at that time.
        place: 0 if the deployment was made with that version, else its number among the script's deployments.
        proof: the packed proof of its statement; b"" for a deployment that is older than the log.
    """

    id: bytes
    newest: int
    place: int
    proof: bytes


class Served(Struct, frozen=True):
    """The served versions of a script, and the latest log entry of the account whose effects they include.

    Attributes:
        head: the log entry.
        versions: the versions of the newest deployment; empty when the script is absent or was never deployed.
        triggers: the script's triggers, as in `ScriptEdit`.
        triggers_proof: the packed proof of their statement; b"" if they are older than the log.
        script_id: the script's tag.
        deployment: the deployment; None without versions.
    """

    head: AuditHead
    versions: tuple[ServedVersion, ...] = ()
    triggers: bytes = b"{}"
    triggers_proof: bytes = b""
    script_id: str = ""
    deployment: ServedDeployment | None = None


class StoredApproval(Struct, frozen=True):
    """An approval, and the version that it was made for. The store does not check its signature.

    Attributes:
        script_id: the script's tag.
        version_id: the version's UUID, 16 bytes. Other versions with the same digests are approved, too.
        approval: the approval.
    """

    script_id: str
    version_id: bytes
    approval: Approval
