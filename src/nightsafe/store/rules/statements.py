"""States what a change wrote: records, versions, deployments, triggers. `bundle/statements.py` defines the digests.

A version's statement covers each of its bindings. Digests of bindings are stored with them, so a version costs one
read of digests, and not of the bindings themselves.
"""

from collections.abc import Iterable, Sequence

from nightsafe.bundle.statements import (
    ScriptIdentity,
    binding_digest,
    content_digest,
    deployment_digest,
    triggers_digest,
    version_digest,
)
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.proven_record import put_digest
from nightsafe.store.log.written import Subject, deployment_place, value_place
from nightsafe.store.rules.group_log import GroupLog
from nightsafe.store.rules.rows import Place, Rows
from nightsafe.store.rules.script_head import Head, Key
from nightsafe.store.script_edit import Stamp
from nightsafe.store.scripts import Binding, ScriptRef


def state_record(log: GroupLog, new: Binding, number: int) -> Place:
    """State that a version put a sealed binding."""
    return log.state(Subject.RECORD, put_digest(new.digest, number), value_place(number, new.name))


def content_at(rows: Rows, account_id: str, script_id: str, upload_version: int) -> bytes:
    """Return the digest of the code and the settings that a version set."""
    return content_digest(*rows.content(account_id, script_id, upload_version))


def state_version(  # noqa: PLR0913, PLR0917 - what a version is about
    log: GroupLog, key: Key, head: Head, stamp: Stamp, bindings: Iterable[bytes], at: int
) -> tuple[bytes, Place]:
    """State what the newest version consists of.

    Args:
        log: the transaction's part of the log.
        key: the script.
        head: the script's state with the new version.
        stamp: the version's properties.
        bindings: the digest of each of its bindings.
        at: the time of its creation.

    Returns:
        The statement and its place.
    """
    digest = version_digest(
        _identity(key, head),
        head.version,
        stamp.version_id,
        created_on=at,
        annotations=stamp.annotations,
        content=head.content,
        bindings=bindings,
    )
    return digest, log.state(Subject.VERSION, digest, str(head.version))


def version_at(rows: Rows, log: GroupLog, key: Key, head: Head, number: int) -> bytes:
    """Return the statement of an existing version. A version that is older than the log is stated now.

    The statement of the deployment that was made with a version always follows the version's own.

    Raises:
        NightsafeError: CANNOT_OPEN, when the version has no statement although the log is as old as the safe.
    """
    row = rows.version_row(key[0], head.id, number)
    if row.digest is not None:
        return row.digest
    refuse_older_row(log, f"version {number}")
    older = rows.bindings_at(ScriptRef(key[0], key[2], key[1]), head.id, number)
    digest = version_digest(
        _identity(key, head),
        number,
        row.id,
        created_on=row.created_on,
        annotations=row.annotations,
        content=content_at(rows, key[0], head.id, row.upload_version),
        bindings=[binding_digest(*binding) for binding in older],
    )
    place = log.state(Subject.VERSION, digest, str(number))
    rows.keep_version_statement(key[0], head.id, number, digest, place)
    if row.deployment_id:
        state_deployment(log, key, head, (number, 0), row.deployment_id, [(number, 100.0, digest)])
    return digest


def refuse_older_row(log: GroupLog, row: str) -> None:
    """Refuse to state a row as it is, unless the safe has older rows.

    Raises:
        NightsafeError: CANNOT_OPEN.
    """
    if not log.states_older_rows:
        raise NightsafeError(
            Code.CANNOT_OPEN,
            f"{row} of the script was not signed when it was written: somebody has changed the database. If you"
            " know that it is as it should be, run: nightsafe migrate",
        )


def state_deployment(  # noqa: PLR0913, PLR0917 - what a deployment is about
    log: GroupLog,
    key: Key,
    head: Head,
    order: tuple[int, int],
    deployment_id: bytes,
    shares: Sequence[tuple[int, float, bytes]],
) -> Place:
    """State which versions are deployed from now on.

    Args:
        log: the transaction's part of the log.
        key: the script.
        head: the script's state.
        order: as for `deployment_digest`.
        deployment_id: the deployment's UUID.
        shares: number, percentage and statement of each version.
    """
    digest = deployment_digest(_identity(key, head), order, deployment_id, shares)
    return log.state(Subject.DEPLOYMENT, digest, deployment_place(order))


def state_triggers(log: GroupLog, key: Key, head: Head, triggers: bytes) -> Place:
    """State a script's triggers."""
    return log.state(Subject.TRIGGERS, triggers_digest(_identity(key, head), triggers), "")


def _identity(key: Key, head: Head) -> ScriptIdentity:
    """Return the script that a statement is about."""
    return ScriptIdentity(*key, head.id)
