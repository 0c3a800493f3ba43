"""Writes deployments of existing versions: a rollback, a traffic split, or a version that was uploaded earlier."""

import uuid

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.rules.group_log import GroupLog
from nightsafe.store.rules.rows import Rows
from nightsafe.store.rules.script_head import Head, key_of
from nightsafe.store.rules.script_plan import refuse
from nightsafe.store.rules.statements import state_deployment, version_at
from nightsafe.store.script_edit import NewDeployment
from nightsafe.store.scripts import Deployment, ScriptRef


def deploy(  # noqa: PLR0913, PLR0917  # what a deployment is about
    rows: Rows, log: GroupLog, ref: ScriptRef, head: Head, new: NewDeployment, at: int
) -> tuple[Head, Deployment]:
    """Write and state a deployment, and return the script's new state, whose row the caller writes.

    Raises:
        NightsafeError: VERSION_NOT_FOUND or SECRETS_CHANGED, as `Store.commit` specifies.
    """
    numbers = _numbers(rows, ref.account_id, head.id, new)
    newest = max(numbers[version_id] for version_id, percentage in new.versions if percentage)
    goes_back = newest < head.served_version
    if goes_back and not new.force:
        before, now = (rows.secrets_at(ref, head.id, number) for number in (newest, head.served_version))
        _refuse_changed(before, now)
    head = head._replace(
        live_version=newest if len(numbers) == 1 else 0,
        served_version=newest,
        deployment_count=head.deployment_count + 1,
    )
    trigger = "rollback" if goes_back else "deployment"
    order = (head.version, head.deployment_count)
    shares = [
        (numbers[version_id], share, version_at(rows, log, key_of(ref), head, numbers[version_id]))
        for version_id, share in new.versions
    ]
    place = state_deployment(log, key_of(ref), head, order, new.id, shares)
    deployment = Deployment(
        id=new.id,
        created_on=at,
        source=new.source,
        triggered_by=trigger,
        author_id=new.author_id,
        author_email=new.author_email,
        annotations=new.annotations,
        versions=new.versions,
    )
    rows.add_deployment(ref.account_id, head.id, order, deployment, place)
    return head, deployment


def _numbers(rows: Rows, account_id: str, script_id: str, new: NewDeployment) -> dict[bytes, int]:
    """Return the numbers of the versions to deploy, by their UUIDs."""
    numbers = {version_id: rows.version_number(account_id, script_id, version_id) for version_id, _ in new.versions}
    refuse(Code.VERSION_NOT_FOUND, (str(uuid.UUID(bytes=one)) for one, number in numbers.items() if not number))
    return {version_id: number for version_id, number in numbers.items() if number}


def _refuse_changed(before: dict[str, tuple[str, bytes]], now: dict[str, tuple[str, bytes]]) -> None:
    """Refuse if any secret differs between the two versions."""
    changed = [name for name in before.keys() | now.keys() if before.get(name) != now.get(name)]
    if changed:
        raise NightsafeError(Code.SECRETS_CHANGED, ", ".join(sorted(changed, key=str.encode)))
