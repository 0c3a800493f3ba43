"""Carrying a change out in SQL, inside a transaction that the writer holds."""

import sqlite3
from typing import NamedTuple

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.model import Change, Outcome, ScriptEdit, ScriptRef, Stamp, Upload
from nightsafe.store.plan import Held, Plan, etag, plan_edit
from nightsafe.store.sqlite.identities import drop_token, is_unchanged, put_identity
from nightsafe.store.sqlite.reads import SCRIPT, script_of

_SCRIPT = """
SELECT id, version, upload_version, variables FROM scripts WHERE account_id = ? AND namespace = ? AND name = ?
"""
_HELD_ONE = """
SELECT kind, shown, sealed IS NOT NULL FROM bindings
WHERE account_id = ? AND namespace = ? AND script = ? AND name = ?
"""
_HELD_ALL = """
SELECT name, kind, shown, sealed IS NOT NULL FROM bindings
WHERE account_id = ? AND namespace = ? AND script = ?
"""
_SECRETS = """
SELECT CAST(group_concat(shown, char(30)) AS BLOB) FROM (
  SELECT CAST(shown AS TEXT) AS shown FROM bindings
  WHERE account_id = ? AND namespace = ? AND script = ? AND sealed IS NOT NULL ORDER BY name
)
"""
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
_NEW_SCRIPT = """
INSERT INTO scripts (account_id, namespace, name, id, created_on, modified_on, version, upload_version,
  variables, source, script_settings) VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0, '', x'')
"""
_TOUCH = """
UPDATE scripts SET modified_on = ?, version = ?, upload_version = ?, variables = ?, source = ?
WHERE account_id = ? AND namespace = ? AND name = ?
"""
_SETTINGS = "UPDATE scripts SET script_settings = ? WHERE account_id = ? AND namespace = ? AND name = ?"
_VERSION = """
INSERT INTO versions (account_id, script_id, number, id, deployment_id, created_on, upload_version, source,
  triggered_by, author_id, author_email, annotations) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_UPLOAD = """
INSERT INTO uploads (account_id, script_id, version, main_module, etag, settings) VALUES (?, ?, ?, ?, ?, ?)
"""
_MODULE = """
INSERT INTO modules (account_id, script_id, version, position, name, content_type, digest)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_CONTENT = "INSERT INTO contents (account_id, digest, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_AUDIT = "INSERT INTO audit (account_id, entry, leaf) VALUES (?, ?, ?)"

_REMOVE_CONTENTS = """
DELETE FROM contents WHERE account_id = ?
  AND digest IN (SELECT digest FROM modules WHERE account_id = ? AND script_id = ?)
  AND NOT EXISTS (SELECT 1 FROM modules m
    WHERE m.account_id = contents.account_id AND m.digest = contents.digest AND m.script_id <> ?)
"""
_REMOVE_BY_ID = (
    "DELETE FROM modules WHERE account_id = ? AND script_id = ?",
    "DELETE FROM uploads WHERE account_id = ? AND script_id = ?",
    "DELETE FROM versions WHERE account_id = ? AND script_id = ?",
    "DELETE FROM binding_history WHERE account_id = ? AND script_id = ?",
)
_REMOVE_BY_NAME = (
    "DELETE FROM bindings WHERE account_id = ? AND namespace = ? AND script = ?",
    "DELETE FROM scripts WHERE account_id = ? AND namespace = ? AND name = ?",
)


class _Script(NamedTuple):
    """What an edit has to know of its script; the version is 0 and the id empty when it is absent."""

    id: str = ""
    version: int = 0
    upload_version: int = 0
    variables: int = 0


def apply(db: sqlite3.Cursor, change: Change) -> Outcome:
    """Carry out one change.

    Raises:
        NightsafeError: a precondition does not hold; nothing was written.
        sqlite3.Error: the caller rolls back.
    """
    if not all(is_unchanged(db, token) for token in change.unchanged):
        raise NightsafeError(Code.UNAVAILABLE, "the token was changed meanwhile: send the request again")
    outcome, altered = Outcome(), True
    if change.edit is not None:
        outcome, altered = _edit(db, change.edit, change.at)
    if not altered and not change.put and not change.drop_tokens:
        return outcome
    for identity in change.put:
        put_identity(db, identity)
    for token_id in change.drop_tokens:
        drop_token(db, token_id)
    entry = change.audit
    db.execute(_AUDIT, (entry.account_id, entry.entry, entry.leaf))
    return outcome


def _edit(db: sqlite3.Cursor, edit: ScriptEdit, at: int) -> tuple[Outcome, bool]:
    """Carry out an edit; also tells whether it altered anything."""
    key = _key(edit.ref)
    row = db.execute(_SCRIPT, key).fetchone()
    if row is None and (edit.upload is None or edit.remove):
        raise NightsafeError(Code.SCRIPT_NOT_FOUND, edit.ref.name)
    script = _Script() if row is None else _Script(*row)
    if edit.remove:
        _remove(db, key, script.id)
        return Outcome(script_id=script.id), True
    plan = plan_edit(edit, _held(db, key, edit), script.variables)
    altered = bool(edit.upload or plan.put or plan.retire)
    if altered:
        script = _write(db, edit, script, plan, at)
    secrets = _secrets(db, key) if edit.list_secrets else ()
    uploaded = script_of(key[0], db.execute(SCRIPT, key).fetchone()) if edit.upload else None
    return Outcome(script.version if altered else 0, script.id, secrets, uploaded), altered


def _key(ref: ScriptRef) -> tuple[str, str, str]:
    """A script's place as the keys have it."""
    return ref.account_id, ref.namespace, ref.name


def _held(db: sqlite3.Cursor, key: tuple[str, str, str], edit: ScriptEdit) -> dict[str, Held]:
    """The bindings there are: all for an upload, otherwise those that the edit names."""
    if edit.upload is not None:
        return {name: Held(*rest) for name, *rest in db.execute(_HELD_ALL, key)}
    held = {}
    for name in {*(binding.name for binding in edit.set), *edit.drop}:
        row = db.execute(_HELD_ONE, (*key, name)).fetchone()
        if row is not None:
            held[name] = Held(*row)
    return held


def _secrets(db: sqlite3.Cursor, key: tuple[str, str, str]) -> tuple[bytes, ...]:
    """`shown` of every secret, in one row: each row fetched hands the interpreter lock over and back.

    The separator, U+001E, occurs in no JSON text (RFC 8259, sections 2 and 7).
    """
    joined: bytes | None = db.execute(_SECRETS, key).fetchone()[0]
    return () if joined is None else tuple(joined.split(b"\x1e"))


def _write(db: sqlite3.Cursor, edit: ScriptEdit, script: _Script, plan: Plan, at: int) -> _Script:
    """Write what an edit alters, and the version that it makes; gives the script as it is then."""
    key, stamp = _key(edit.ref), edit.stamp
    if stamp is None:
        raise NightsafeError(Code.INVALID, "an edit that alters a script needs a stamp")
    if edit.upload is not None and not script.version:
        db.execute(_NEW_SCRIPT, (*key, edit.upload.script_id, at, at))
        script = _Script(edit.upload.script_id)
    number = script.version + 1
    uploaded = script.upload_version if edit.upload is None else number
    script = _Script(script.id, number, uploaded, plan.variables)
    _write_bindings(db, key, script, plan)
    if edit.upload is not None:
        _write_upload(db, key, script, edit.upload)
    db.execute(_TOUCH, (at, number, uploaded, plan.variables, stamp.source, *key))
    _write_version(db, edit.ref.account_id, script, stamp, at)
    return script


def _write_bindings(db: sqlite3.Cursor, key: tuple[str, str, str], script: _Script, plan: Plan) -> None:
    """Move what is superseded to history, and put the new in its place."""
    for name in plan.retire:
        db.execute(_RETIRE, (script.id, script.version, *key, name))
    for name in plan.remove:
        db.execute(_REMOVE, (*key, name))
    for new in plan.put:
        db.execute(_PUT, (*key, new.name, script.version, new.kind, new.shown, new.key_id, new.sealed))


def _write_version(db: sqlite3.Cursor, account_id: str, script: _Script, stamp: Stamp, at: int) -> None:
    """The row of a version and of its deployment."""
    numbers = (account_id, script.id, script.version, stamp.version_id, stamp.deployment_id, at)
    author = (stamp.source, stamp.triggered_by, stamp.author_id, stamp.author_email, stamp.annotations)
    db.execute(_VERSION, (*numbers, script.upload_version, *author))


def _write_upload(db: sqlite3.Cursor, key: tuple[str, str, str], script: _Script, upload: Upload) -> None:
    """The code and settings of a version; bodies that the account has already are not written again."""
    of = (key[0], script.id, script.version)
    db.execute(_SETTINGS, (upload.script_settings, *key))
    db.execute(_UPLOAD, (*of, upload.main_module, etag(upload), upload.settings))
    for position, module in enumerate(upload.modules):
        db.execute(_MODULE, (*of, position, module.name, module.content_type, module.digest))
        db.execute(_CONTENT, (key[0], module.digest, module.body))


def _remove(db: sqlite3.Cursor, key: tuple[str, str, str], script_id: str) -> None:
    """Delete every row of a script, and the contents that no other script has."""
    db.execute(_REMOVE_CONTENTS, (key[0], key[0], script_id, script_id))
    for sql in _REMOVE_BY_ID:
        db.execute(sql, (key[0], script_id))
    for sql in _REMOVE_BY_NAME:
        db.execute(sql, key)
