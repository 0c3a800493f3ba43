"""Applies an edit of a script."""

import sqlite3
from typing import NamedTuple

from nightsafe.bundle.statements import binding_digest
from nightsafe.errors import Code, NightsafeError
from nightsafe.store.changes import Outcome
from nightsafe.store.collections import Kind
from nightsafe.store.json_merge import apply_settings
from nightsafe.store.log.written import row_digest
from nightsafe.store.script_edit import ScriptEdit, SettingsUpdate
from nightsafe.store.script_plan import CurrentBinding, ScriptPlan, plan_edit
from nightsafe.store.scripts import Deployment
from nightsafe.store.sqlite.reads.references import refuse_changed_references, refuse_missing_scripts
from nightsafe.store.sqlite.reads.rows import SCRIPT, VERSION, key_of, script_of, version_of
from nightsafe.store.sqlite.writes import collections
from nightsafe.store.sqlite.writes.audit_log import GroupLog
from nightsafe.store.sqlite.writes.deployments import deploy
from nightsafe.store.sqlite.writes.older_rows import state_older_rows
from nightsafe.store.sqlite.writes.removal import remove_script
from nightsafe.store.sqlite.writes.script_head import Head, Key
from nightsafe.store.sqlite.writes.script_state import (
    ScriptState,
    StoredState,
    changed,
    check_content,
    checked_state,
    digests_without,
    keep_mac,
    mac_of,
)
from nightsafe.store.sqlite.writes.statements import state_triggers
from nightsafe.store.sqlite.writes.versions import BindingRow, Content, PlannedBindings, write_version

_HEAD = """
SELECT id, version, upload_version, variables, live_version, served_version, deployment_count, source, content,
  mac, triggers, (
    SELECT CAST(group_concat(digest, '') AS BLOB) FROM bindings b
    WHERE b.account_id = s.account_id AND b.namespace = s.namespace AND b.script = s.name
  )
FROM scripts s WHERE account_id = ? AND namespace = ? AND name = ?
"""
_CURRENT_BINDINGS = """
SELECT rowid, key_id, name, kind, shown, sealed IS NOT NULL, digest, since FROM bindings
WHERE account_id = ? AND namespace = ? AND script = ?
"""
_CURRENT_BINDING = f"{_CURRENT_BINDINGS} AND name = ?"
_SECRETS = """
SELECT CAST(group_concat(shown, char(30)) AS BLOB) FROM (
  SELECT CAST(shown AS TEXT) AS shown FROM bindings
  WHERE account_id = ? AND namespace = ? AND script = ? AND sealed IS NOT NULL ORDER BY name
)
"""
_TEXTS = """
SELECT u.settings, s.script_settings, s.triggers FROM scripts s JOIN uploads u
  ON u.account_id = s.account_id AND u.script_id = s.id AND u.version = s.upload_version
WHERE s.account_id = ? AND s.namespace = ? AND s.name = ?
"""
_NEW_SCRIPT = """
INSERT INTO scripts (account_id, namespace, name, id, created_on, modified_on, version, upload_version,
  variables, source, script_settings, triggers_stated_in, triggers_position)
VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0, '', x'7b7d', ?, ?)
"""
_TOUCH = """
UPDATE scripts SET modified_on = ?, version = ?, upload_version = ?, variables = ?, live_version = ?,
  served_version = ?, deployment_count = ?, source = ?, content = ?, mac = ?
WHERE account_id = ? AND namespace = ? AND name = ?
"""
_REMOVE_LEFTOVERS = "DELETE FROM bindings WHERE account_id = ? AND namespace = ? AND script = ?"
"""For a new script: only something else than Nightsafe can delete the row of a script without its bindings."""

_SCRIPT_SETTINGS = "UPDATE scripts SET script_settings = ? WHERE account_id = ? AND namespace = ? AND name = ?"
_TRIGGERS = """
UPDATE scripts SET triggers = ?, triggers_stated_in = ?, triggers_position = ?
WHERE account_id = ? AND namespace = ? AND name = ?
"""

_EMPTY = b"{}"


class _Texts(NamedTuple):
    """A script's JSON texts after an edit, for the fields of `ScriptEdit`; None for an unchanged text."""

    settings: bytes | None = None
    script_settings: bytes | None = None
    triggers: bytes | None = None


_NO_TEXTS = _Texts()
_NO_PARTS = (None,) * 6


def edit_script(db: sqlite3.Cursor, log: GroupLog, edit: ScriptEdit, at: int) -> tuple[Outcome, bool]:
    """Apply an edit, and state what it wrote; return its outcome, and whether it altered anything.

    Raises:
        NightsafeError: as `Store.commit` specifies.
    """
    key = key_of(edit.ref)
    before, stored = _head(db, key, edit)
    if edit.based_on not in {None, before.version}:
        raise NightsafeError(Code.UNAVAILABLE, "the Worker was changed meanwhile: send the request again")
    refuse_missing_scripts(db, edit.needs)
    log.written.owner = before.id
    if edit.remove:
        refuse_changed_references(db, edit)
        remove_script(db, key, before.id)
        log.written.gone.append(f"owner/{before.id}")
        return Outcome(script_id=before.id), True
    if edit.must_be_live is not None and before.live_version != before.version:
        raise NightsafeError(edit.must_be_live, edit.ref.name)
    before, state = checked_state(db, log, key, before, stored)
    if edit.state is not None:
        keep_mac(db, log, key, before, state)
        stated = state_older_rows(db, log, edit.ref, before, edit.state)
        return Outcome(script_id=before.id, stated=stated), stated > 0
    current, rows = _current_bindings(db, key, edit)
    plan = plan_edit(edit, current, before.variables)
    texts = _texts(db, key, edit)
    if not _alters(edit, plan, texts):
        return _outcome(db, edit, before, 0), False
    if texts != _NO_TEXTS:
        check_content(db, key, before)
    kept = digests_without(state, [current[name].digest for name in plan.retire])
    planned, state = PlannedBindings(plan, rows), ScriptState(state.triggers, kept)
    head, deployment = _write(db, log, edit, before, planned, texts, state, at)
    return _outcome(db, edit, head, head.version if head.version > before.version else 0, deployment), True


def _head(db: sqlite3.Cursor, key: Key, edit: ScriptEdit) -> tuple[Head, StoredState]:
    """Read the script before the edit; refuse if it is absent and the edit may not create it."""
    row = db.execute(_HEAD, key).fetchone()
    if row is not None:
        return Head(*row[:-3]), StoredState(*row[-3:])
    if edit.upload is None or not edit.upload.create or edit.remove:
        raise NightsafeError(Code.SCRIPT_NOT_FOUND, edit.ref.name)
    account_id, namespace, _ = key
    if namespace and not collections.exists(db, account_id, Kind.DISPATCH_NAMESPACE, namespace):
        raise NightsafeError(Code.NAMESPACE_NOT_FOUND, namespace)
    db.execute(_REMOVE_LEFTOVERS, key)
    return Head(edit.upload.script_id), StoredState()


def _current_bindings(
    db: sqlite3.Cursor, key: Key, edit: ScriptEdit
) -> tuple[dict[str, CurrentBinding], dict[str, BindingRow]]:
    """Read the current bindings, and refuse changed ones: those that the edit names, or all of them.

    A new version is also stated with the bindings that it keeps. To read them all would make the put of one secret
    slow, so delivery refuses such a version then; an edit of more than secrets reads them.

    Raises:
        NightsafeError: CANNOT_OPEN, when something else has changed one that was read.
    """
    if edit.bindings_update is not None or edit.upload is not None or edit.settings is not None:
        found = db.execute(_CURRENT_BINDINGS, key).fetchall()
    else:
        names = {*(binding.name for binding in edit.set), *edit.drop}
        found = [row for name in names for row in db.execute(_CURRENT_BINDING, (*key, name)).fetchall()]
    current, rows = {}, {}
    for number, key_id, name, kind, shown, secret, digest, since in found:
        if binding_digest(name, kind, shown, since) != digest:
            raise changed(f"the binding {name!r} and others")
        current[name] = CurrentBinding(kind, shown, secret, digest)
        rows[name] = BindingRow(number, kind, key_id)
    return current, rows


def _texts(db: sqlite3.Cursor, key: Key, edit: ScriptEdit) -> _Texts:
    """Compute the script's new texts. New code always needs a new row of settings."""
    if edit.upload is None and edit.settings is None and edit.script_settings is None and edit.triggers is None:
        return _NO_TEXTS
    triggers = None if edit.triggers is None else SettingsUpdate(edit.triggers, merge=True)
    updates = (edit.settings, edit.script_settings, triggers)
    old = db.execute(_TEXTS, key).fetchone() or (_EMPTY,) * 3
    new = _Texts(
        *(
            None if settings is None else apply_settings(text, settings)
            for text, settings in zip(old, updates, strict=True)
        )
    )
    return new._replace(settings=old[0]) if edit.upload is not None and new.settings is None else new


def _alters(edit: ScriptEdit, plan: ScriptPlan, texts: _Texts) -> bool:
    """Return True if the edit alters anything."""
    return _makes_version(edit, plan, texts) or edit.deploy is not None or texts != _NO_TEXTS


def _makes_version(edit: ScriptEdit, plan: ScriptPlan, texts: _Texts) -> bool:
    """Return True if the edit alters anything that belongs to a version."""
    return bool(edit.upload or plan.put or plan.retire or edit.always) or texts.settings is not None


def _write(  # noqa: PLR0913, PLR0917  # what the edit came to
    db: sqlite3.Cursor,
    log: GroupLog,
    edit: ScriptEdit,
    head: Head,
    planned: PlannedBindings,
    texts: _Texts,
    state: ScriptState,
    at: int,
) -> tuple[Head, Deployment | None]:
    """Write the alterations of an edit, and return the script's new state and deployment."""
    key, deployment = key_of(edit.ref), None
    if not head.version:
        db.execute(_NEW_SCRIPT, (*key, head.id, at, at, *state_triggers(log, key, head, _EMPTY)))
    if _makes_version(edit, planned.plan, texts):
        if edit.stamp is None:
            raise NightsafeError(Code.INVALID, "an edit that makes a version needs a stamp")
        content = Content(edit.upload, texts.settings)
        head, state = write_version(db, log, key, head, planned, content, state, edit.stamp, at)
    if texts.script_settings is not None:
        db.execute(_SCRIPT_SETTINGS, (texts.script_settings, *key))
        log.written.rows.append(("settings//", row_digest("Settings", texts.script_settings)))
    if texts.triggers is not None:
        place = state_triggers(log, key, head, texts.triggers)
        db.execute(_TRIGGERS, (texts.triggers, *place, *key))
        state = state._replace(triggers=texts.triggers)
    if edit.deploy is not None:
        head, deployment = deploy(db, log, edit.ref, head, edit.deploy, at)
    db.execute(_TOUCH, (at, *head[1:], mac_of(log, key, head, state), *key))
    return head, deployment


def _outcome(
    db: sqlite3.Cursor, edit: ScriptEdit, head: Head, number: int, deployment: Deployment | None = None
) -> Outcome:
    """Build the outcome of an edit; `number` is the number of the version it made, or 0."""
    key = key_of(edit.ref)
    secrets = _secrets(db, key) if edit.list_secrets else ()
    if not _may_alter_script(edit):
        return Outcome(number, head.id, secrets)
    script = script_of(key[0], db.execute(SCRIPT, key).fetchone())
    newest = version_of(db.execute(VERSION, (key[0], head.id, head.version)).fetchone())
    return Outcome(number, head.id, secrets, script, newest, deployment)


def _may_alter_script(edit: ScriptEdit) -> bool:
    """Return True if the edit can alter more than secrets."""
    parts = (edit.upload, edit.bindings_update, edit.settings, edit.script_settings, edit.triggers, edit.deploy)
    return edit.always or parts != _NO_PARTS


def _secrets(db: sqlite3.Cursor, key: Key) -> tuple[bytes, ...]:
    """Read `shown` of every secret in one row, because each fetched row releases and retakes the interpreter lock.

    The separator, U+001E, cannot occur in a JSON text (RFC 8259, sections 2 and 7).
    """
    joined: bytes | None = db.execute(_SECRETS, key).fetchone()[0]
    return () if joined is None else tuple(joined.split(b"\x1e"))
