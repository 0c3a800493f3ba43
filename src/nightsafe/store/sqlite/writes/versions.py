"""Writes a version: its bindings, its settings, its code, and the row that connects them."""

import sqlite3
from collections.abc import Mapping
from typing import NamedTuple

from nightsafe.bundle.statements import binding_digest
from nightsafe.store.script_edit import Stamp
from nightsafe.store.script_plan import ScriptPlan, etag
from nightsafe.store.scripts import Upload
from nightsafe.store.sqlite.writes import statements
from nightsafe.store.sqlite.writes.audit_log import GroupLog
from nightsafe.store.sqlite.writes.script_head import Head, Key
from nightsafe.store.sqlite.writes.script_state import ScriptState

_RETIRE = """
INSERT INTO binding_history
  (account_id, script_id, to_version, name, from_version, kind, shown, key_id, sealed, digest, stated_in, position)
SELECT account_id, ?, ?, name, since, kind, shown, key_id, sealed, digest, stated_in, position
FROM bindings WHERE rowid = ?
"""
_REMOVE = "DELETE FROM bindings WHERE rowid = ?"
_PUT = """
INSERT INTO bindings
  (account_id, namespace, script, name, since, kind, shown, key_id, sealed, digest, stated_in, position)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_REPLACE = """
UPDATE bindings SET since = ?, shown = ?, sealed = ?, digest = ?, stated_in = ?, position = ? WHERE rowid = ?
"""
_CHANGE_KIND = "UPDATE bindings SET kind = ?, key_id = ? WHERE rowid = ?"
"""Indexes have these columns, and SQLite would write their pages again even when the columns stay the same."""

_VERSION = """
INSERT INTO versions (account_id, script_id, number, id, deployment_id, created_on, upload_version, source,
  triggered_by, author_id, author_email, annotations, digest, stated_in, position)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_UPLOAD = """
INSERT INTO uploads (account_id, script_id, version, code_version, main_module, etag, settings)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_SAME_CODE = """
INSERT INTO uploads (account_id, script_id, version, code_version, main_module, etag, settings)
SELECT account_id, script_id, ?, code_version, main_module, etag, ? FROM uploads
WHERE account_id = ? AND script_id = ? AND version = ?
"""
_MODULE = """
INSERT INTO modules (account_id, script_id, version, position, name, content_type, digest)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_CONTENT = "INSERT INTO contents (account_id, digest, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_ROOM = "INSERT INTO contents (account_id, digest, body) VALUES (?, ?, zeroblob(?)) ON CONFLICT DO NOTHING"
_PART = 256 * 1024


class BindingRow(NamedTuple):
    """The row of a current binding, with the columns that indexes have.

    Attributes:
        number: its rowid.
        kind: the binding's type.
        key_id: the key that its value is sealed to, or None.
    """

    number: int
    kind: str
    key_id: str | None


class PlannedBindings(NamedTuple):
    """The rows to write, and the current rows by name."""

    plan: ScriptPlan
    rows: Mapping[str, BindingRow]


class Content(NamedTuple):
    """A version's content besides its bindings: new code, if any, and its settings, or None if they stay."""

    upload: Upload | None
    settings: bytes | None


def write_version(  # noqa: PLR0913, PLR0917  # a version has that many sides
    db: sqlite3.Cursor,
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
    state = kept._replace(digests=(*kept.digests, *_write_bindings(db, log, key, head.id, number, planned)))
    upload_version, digest = head.upload_version, head.content
    if content.settings is not None:
        _write_content(db, key[0], head, content.upload, content.settings)
        upload_version, digest = number, b""
    digest = digest or statements.content_at(db, key[0], head.id, upload_version)
    after = head._replace(
        version=number, upload_version=upload_version, variables=planned.plan.variables, content=digest
    )
    version, place = statements.state_version(log, key, after, stamp, state.digests, at)
    numbers = (key[0], head.id, number, stamp.version_id, stamp.deployment_id, at, upload_version)
    author = (stamp.source, stamp.triggered_by, stamp.author_id, stamp.author_email, stamp.annotations)
    db.execute(_VERSION, (*numbers, *author, version, *place))
    if stamp.deployment_id:
        after = after._replace(live_version=number, served_version=number, deployment_count=head.deployment_count + 1)
        shares = [(number, 100.0, version)]
        statements.state_deployment(log, key, after, (number, 0), stamp.deployment_id, shares)
    return (after._replace(source=stamp.source) if content.upload is not None else after), state


def _write_bindings(  # noqa: PLR0913, PLR0917  # what the version is about
    db: sqlite3.Cursor, log: GroupLog, key: Key, script_id: str, number: int, planned: PlannedBindings
) -> list[bytes]:
    """Move replaced bindings to the history table, write the new ones, and return the digests of these."""
    (plan, rows), digests = planned, []
    for name in plan.retire:
        db.execute(_RETIRE, (script_id, number, rows[name].number))
    for name in plan.remove:
        db.execute(_REMOVE, (rows[name].number,))
    for new in plan.put:
        place = (None, None) if new.sealed is None else statements.state_record(log, new, number)
        digest = binding_digest(new.name, new.kind, new.shown, number)
        row = rows.get(new.name)
        if row is None:
            db.execute(_PUT, (*key, new.name, number, new.kind, new.shown, new.key_id, new.sealed, digest, *place))
        else:
            db.execute(_REPLACE, (number, new.shown, new.sealed, digest, *place, row.number))
            if row[1:] != (new.kind, new.key_id):
                db.execute(_CHANGE_KIND, (new.kind, new.key_id, row.number))
        digests.append(digest)
    return digests


def _write_content(db: sqlite3.Cursor, account_id: str, head: Head, upload: Upload | None, settings: bytes) -> None:
    """Write the settings of the version after `head`, with new code or the current code."""
    number = head.version + 1
    if upload is None:
        db.execute(_SAME_CODE, (number, settings, account_id, head.id, head.upload_version))
        return
    key_prefix = (account_id, head.id, number)
    db.execute(_UPLOAD, (*key_prefix, number, upload.main_module, etag(upload), settings))
    for position, module in enumerate(upload.modules):
        db.execute(_MODULE, (*key_prefix, position, module.name, module.content_type, module.digest))
        _write_body(db, (account_id, module.digest), module.body)


def _write_body(db: sqlite3.Cursor, key: tuple[str, bytes], body: bytes) -> None:
    """Store contents, once for each digest.

    Large contents are written part by part. As a parameter they would be copied whole, and no other thread could run
    during the copy.
    """
    if len(body) <= _PART:
        db.execute(_CONTENT, (*key, body))
    elif db.execute(_ROOM, (*key, len(body))).rowcount == 1 and db.lastrowid is not None:
        with db.connection.blobopen("contents", "body", db.lastrowid) as blob, memoryview(body) as view:
            for start in range(0, len(view), _PART):
                blob.write(view[start : start + _PART])
