"""On whose behalf a use case runs, and the traces it leaves: audit entry, version, deployment."""

import time
import uuid
from collections.abc import Iterable

from msgspec import Struct

from nightsafe.audit.entry import Deed, entry_for
from nightsafe.identity.service import Principal
from nightsafe.store.model import AuditEntry, Change, ScriptEdit, ScriptRef, Stamp


class Caller(Struct, frozen=True):
    """Who asks, through which kind of client, from which address."""

    principal: Principal
    source: str = "api"
    address: str = ""


def now() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


def stamp(caller: Caller, triggered_by: str, annotations: bytes = b"{}") -> Stamp:
    """A new version and its deployment, made by the caller."""
    return Stamp(
        version_id=uuid.uuid4().bytes,
        deployment_id=uuid.uuid4().bytes,
        source=caller.source,
        triggered_by=triggered_by,
        author_id=caller.principal.user_id,
        author_email=caller.principal.email,
        annotations=annotations,
    )


def change(caller: Caller, action: str, edit: ScriptEdit) -> Change:
    """The edit with its audit entry, ready to be committed."""
    at = now()
    names = tuple(binding.name for binding in edit.set)
    return Change(at=at, audit=_audit(caller, action, edit, at, names), edit=edit)


def _audit(caller: Caller, action: str, edit: ScriptEdit, at: int, names: Iterable[str]) -> AuditEntry:
    ref: ScriptRef = edit.ref
    deed = Deed(
        at=at,
        action=action,
        actor=caller.principal.id,
        actor_kind=caller.principal.kind,
        email=caller.principal.email,
        address=caller.address,
        account_id=ref.account_id,
        namespace=ref.namespace,
        script=ref.name,
        set=tuple(names),
        dropped=edit.drop,
        version_id=str(uuid.UUID(bytes=edit.stamp.version_id)) if edit.stamp else "",
    )
    return entry_for(deed)
