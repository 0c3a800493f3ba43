"""Writes a version: its bindings, its settings, its code, and the row that connects them."""

import sqlite3
from typing import NamedTuple

from nightsafe.store.script_edit import Stamp
from nightsafe.store.script_plan import ScriptPlan, etag
from nightsafe.store.scripts import Binding, Upload

_RETIRE = """
INSERT INTO binding_history
  (account_id, script_id, to_version, name, from_version, kind, shown, key_id, sealed)
SELECT account_id, ?, ?, name, since, kind, shown, key_id, sealed FROM bindings
WHERE account_id = ? AND namespace = ? AND script = ? AND name = ?
"""
_REMOVE = "DELETE FROM bindings WHERE account_id = ? AND namespace = ? AND script = ? AND name = ?"
_PUT = """
INSERT INTO bindings (account_id, namespace, script, name, since, kind, shown, key_id, sealed)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (account_id, namespace, script, name) DO UPDATE SET
  since = excluded.since, kind = excluded.kind, shown = excluded.shown,
  key_id = excluded.key_id, sealed = excluded.sealed
"""
_VERSION = """
INSERT INTO versions (account_id, script_id, number, id, deployment_id, created_on, upload_version, source,
  triggered_by, author_id, author_email, annotations) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
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

Key = tuple[str, str, str]
"""Account, dispatch namespace and name of a script."""


class Head(NamedTuple):
    """The state of a script that an edit needs. For an absent script, the version is 0.

    Attributes:
        id: the script's tag.
        version: the number of its newest version.
        upload_version: the number of the version that set its current settings.
        variables: how many secrets, text variables and JSON variables it has.
        live_version: the number of the only served version, or 0.
        served_version: the number of the newest served version, or 0.
        deployment_count: how many deployments it has had.
        source: the source of its newest code.
    """

    id: str = ""
    version: int = 0
    upload_version: int = 0
    variables: int = 0
    live_version: int = 0
    served_version: int = 0
    deployment_count: int = 0
    source: str = ""


class Content(NamedTuple):
    """A version's content besides its bindings: new code, if any, and its settings, or None if they stay."""

    upload: Upload | None
    settings: bytes | None


def write_version(  # noqa: PLR0913, PLR0917  # a version has that many sides
    db: sqlite3.Cursor, key: Key, head: Head, plan: ScriptPlan, content: Content, stamp: Stamp, at: int
) -> Head:
    """Write the version after `head`, and return the script's new state, whose row the caller writes."""
    number = head.version + 1
    _write_bindings(db, key, head.id, number, plan)
    upload_version = head.upload_version
    if content.settings is not None:
        _write_content(db, key[0], head, content.upload, content.settings)
        upload_version = number
    numbers = (key[0], head.id, number, stamp.version_id, stamp.deployment_id, at, upload_version)
    author = (stamp.source, stamp.triggered_by, stamp.author_id, stamp.author_email, stamp.annotations)
    db.execute(_VERSION, (*numbers, *author))
    served = (head.live_version, head.served_version, head.deployment_count)
    if stamp.deployment_id:
        served = (number, number, head.deployment_count + 1)
    source = stamp.source if content.upload is not None else head.source
    return Head(head.id, number, upload_version, plan.variables, *served, source)


def _write_bindings(db: sqlite3.Cursor, key: Key, script_id: str, number: int, plan: ScriptPlan) -> None:
    """Move replaced bindings to the history table, and write the new ones."""
    for name in plan.retire:
        db.execute(_RETIRE, (script_id, number, *key, name))
    for name in plan.remove:
        db.execute(_REMOVE, (*key, name))
    for new in plan.put:
        db.execute(_PUT, (*key, new.name, number, *_columns(new)))


def _columns(new: Binding) -> tuple[object, ...]:
    """Return a binding's columns after its name and version."""
    return new.kind, new.shown, new.key_id, new.sealed


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
