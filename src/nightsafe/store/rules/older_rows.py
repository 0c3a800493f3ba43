"""States rows that are older than the log, so that delivery can verify them like all others."""

from typing import Final

from nightsafe.store.rules.group_log import GroupLog
from nightsafe.store.rules.rows import Rows
from nightsafe.store.rules.script_head import Head, Key, key_of
from nightsafe.store.rules.statements import refuse_older_row, state_deployment, state_triggers, version_at
from nightsafe.store.scripts import Deployment, ScriptRef

_PART: Final = 100
"""The number of rows of the history that one change states: some milliseconds."""


def state_older_rows(rows: Rows, log: GroupLog, ref: ScriptRef, head: Head, deployment_id: bytes) -> int:
    """State what is older than the log: a deployment with its versions, the triggers, and a part of the history.

    Args:
        rows: the rows of the transaction.
        log: the transaction's part of the log.
        ref: the script.
        head: its row.
        deployment_id: the deployment to state first; b"" for none.

    Returns:
        The number of statements that were made. When it is 0, everything of the script has been stated.

    Raises:
        NightsafeError: CANNOT_OPEN, when the log is as old as the safe, so that it has no older rows.
    """
    key, before = key_of(ref), len(log.written.statements)
    script = (ref.account_id, head.id)
    first = rows.deployment(*script, deployment_id)
    for deployment, order in [*([] if first is None else [first]), *rows.older_deployments(*script, _PART)]:
        _state_deployment(rows, log, key, head, deployment, order)
    for number in rows.older_versions(*script, _PART):
        version_at(rows, log, key, head, number)
    triggers = rows.older_triggers(key)
    if triggers is not None:
        refuse_older_row(log, "the subdomain setting")
        rows.keep_triggers_statement(key, state_triggers(log, key, head, triggers))
    return len(log.written.statements) - before


def _state_deployment(  # noqa: PLR0913, PLR0917 - what a deployment is about
    rows: Rows, log: GroupLog, key: Key, head: Head, deployment: Deployment, order: tuple[int, int]
) -> None:
    """State a deployment and its versions."""
    script, shares = (key[0], head.id), []
    for version_id, share in deployment.versions:
        number = rows.version_number(*script, version_id) or 0
        shares.append((number, share, version_at(rows, log, key, head, number)))
    if order[1] and rows.is_older_deployment(*script, order):
        refuse_older_row(log, "a deployment")
        rows.keep_deployment_statement(*script, order, state_deployment(log, key, head, order, deployment.id, shares))
