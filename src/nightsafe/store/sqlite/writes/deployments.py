"""Writes deployments of existing versions: a rollback, a traffic split, or a version that was uploaded earlier."""

import sqlite3
import uuid

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.script_edit import NewDeployment
from nightsafe.store.script_plan import refuse
from nightsafe.store.scripts import Deployment, ScriptRef
from nightsafe.store.sqlite.reads.rows import BINDINGS_AT, VERSION_NUMBER, at_version, key_of, traffic_of
from nightsafe.store.sqlite.writes.audit_log import GroupLog
from nightsafe.store.sqlite.writes.script_head import Head
from nightsafe.store.sqlite.writes.statements import state_deployment, version_at

_SECRETS_AT = f"SELECT name, kind, sealed FROM ({BINDINGS_AT}) WHERE sealed IS NOT NULL"  # noqa: S608  # our own SQL
_DEPLOY = """
INSERT INTO deployments (account_id, script_id, newest_version, place, id, created_on, source, triggered_by,
  author_id, author_email, annotations, traffic, stated_in, position)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def deploy(  # noqa: PLR0913, PLR0917  # what a deployment is about
    db: sqlite3.Cursor, log: GroupLog, ref: ScriptRef, head: Head, new: NewDeployment, at: int
) -> tuple[Head, Deployment]:
    """Write and state a deployment, and return the script's new state, whose row the caller writes.

    Raises:
        NightsafeError: VERSION_NOT_FOUND or SECRETS_CHANGED, as `Store.commit` specifies.
    """
    numbers = _numbers(db, ref.account_id, head.id, new)
    newest = max(numbers[version_id] for version_id, percentage in new.versions if percentage)
    goes_back = newest < head.served_version
    if goes_back and not new.force:
        _refuse_changed(_secrets(db, ref, head.id, newest), _secrets(db, ref, head.id, head.served_version))
    head = head._replace(
        live_version=newest if len(numbers) == 1 else 0,
        served_version=newest,
        deployment_count=head.deployment_count + 1,
    )
    trigger = "rollback" if goes_back else "deployment"
    properties = (new.id, at, new.source, trigger, new.author_id, new.author_email, new.annotations)
    key = (ref.account_id, head.id, head.version, head.deployment_count)
    shares = [
        (numbers[version_id], share, version_at(db, log, key_of(ref), head, numbers[version_id]))
        for version_id, share in new.versions
    ]
    place = state_deployment(log, key_of(ref), head, key[2:], new.id, shares)
    db.execute(_DEPLOY, (*key, *properties, traffic_of(new.versions), *place))
    return head, Deployment(
        id=new.id,
        created_on=at,
        source=new.source,
        triggered_by=trigger,
        author_id=new.author_id,
        author_email=new.author_email,
        annotations=new.annotations,
        versions=new.versions,
    )


def _numbers(db: sqlite3.Cursor, account_id: str, script_id: str, new: NewDeployment) -> dict[bytes, int]:
    """Return the numbers of the versions to deploy, by their UUIDs."""
    rows = {
        version_id: db.execute(VERSION_NUMBER, (account_id, script_id, version_id)).fetchone()
        for version_id, _ in new.versions
    }
    refuse(
        Code.VERSION_NOT_FOUND, (str(uuid.UUID(bytes=version_id)) for version_id in rows if rows[version_id] is None)
    )
    return {version_id: number for version_id, (number,) in rows.items()}


def _secrets(db: sqlite3.Cursor, ref: ScriptRef, script_id: str, number: int) -> dict[str, tuple[str, bytes]]:
    """Return type and sealed record of each secret of a version, by name. Equal records come from the same write."""
    rows = db.execute(_SECRETS_AT, at_version(ref, script_id, number))
    return {name: (kind, sealed) for name, kind, sealed in rows}


def _refuse_changed(before: dict[str, tuple[str, bytes]], now: dict[str, tuple[str, bytes]]) -> None:
    """Refuse if any secret differs between the two versions."""
    changed = [name for name in before.keys() | now.keys() if before.get(name) != now.get(name)]
    if changed:
        raise NightsafeError(Code.SECRETS_CHANGED, ", ".join(sorted(changed, key=str.encode)))
