"""Writes a version: its bindings, its settings, its code, and the row that connects them."""

from collections.abc import Mapping
from typing import NamedTuple

from nightsafe.bundle.statements import binding_digest
from nightsafe.store.rules import statements
from nightsafe.store.rules.group_log import GroupLog
from nightsafe.store.rules.rows import LiveBinding, Rows
from nightsafe.store.rules.script_head import Head, Key
from nightsafe.store.rules.script_plan import ScriptPlan, etag
from nightsafe.store.rules.script_state import ScriptState
from nightsafe.store.script_edit import Stamp
from nightsafe.store.scripts import Upload


class PlannedBindings(NamedTuple):
    """The rows to write, and the current bindings by name."""

    plan: ScriptPlan
    live: Mapping[str, LiveBinding]


class Content(NamedTuple):
    """A version's content besides its bindings: new code, if any, and its settings, or None if they stay."""

    upload: Upload | None
    settings: bytes | None


def write_version(  # noqa: PLR0913, PLR0917  # a version has that many sides
    rows: Rows,
    log: GroupLog,
    key: Key,
    head: Head,
    planned: PlannedBindings,
    content: Content,
    kept: ScriptState,
    stamp: Stamp,
    at: int,
) -> tuple[Head, ScriptState]:
    """Write the version after `head`; return the script's new head, whose row the caller writes, and its new state.

    `kept` is the state without the bindings that the version replaces or removes.
    """
    number = head.version + 1
    state = kept._replace(digests=(*kept.digests, *_write_bindings(rows, log, key, head.id, number, planned)))
    upload_version, digest = head.upload_version, head.content
    if content.settings is not None:
        _write_content(rows, key[0], head, content.upload, content.settings)
        upload_version, digest = number, b""
    digest = digest or statements.content_at(rows, key[0], head.id, upload_version)
    after = head._replace(
        version=number, upload_version=upload_version, variables=planned.plan.variables, content=digest
    )
    version, place = statements.state_version(log, key, after, stamp, state.digests, at)
    rows.add_version(key[0], after, stamp, at, version, place)
    if stamp.deployment_id:
        after = after._replace(live_version=number, served_version=number, deployment_count=head.deployment_count + 1)
        shares = [(number, 100.0, version)]
        statements.state_deployment(log, key, after, (number, 0), stamp.deployment_id, shares)
    return (after._replace(source=stamp.source) if content.upload is not None else after), state


def _write_bindings(  # noqa: PLR0913, PLR0917  # what the version is about
    rows: Rows, log: GroupLog, key: Key, script_id: str, number: int, planned: PlannedBindings
) -> list[bytes]:
    """Move replaced bindings to the history table, write the new ones, and return the digests of these."""
    (plan, live), digests = planned, []
    for name in plan.retire:
        rows.retire_binding(script_id, number, live[name])
    for name in plan.remove:
        rows.remove_binding(live[name])
    for new in plan.put:
        place = None if new.sealed is None else statements.state_record(log, new, number)
        digest = binding_digest(new.name, new.kind, new.shown, number)
        rows.put_binding(key, number, new, digest, place, live.get(new.name))
        digests.append(digest)
    return digests


def _write_content(rows: Rows, account_id: str, head: Head, upload: Upload | None, settings: bytes) -> None:
    """Write the settings of the version after `head`, with new code or the current code."""
    if upload is None:
        rows.copy_upload(account_id, head, settings)
        return
    rows.add_upload(account_id, head, upload.main_module, etag(upload), settings)
    rows.add_modules(account_id, head, upload.modules)
