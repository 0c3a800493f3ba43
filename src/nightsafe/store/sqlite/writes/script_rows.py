"""The rows of scripts, their bindings, their versions and their files, in SQL."""

import sqlite3
from collections.abc import Collection, Sequence
from typing import Final

from nightsafe.store.built_rows import script_of, version_of
from nightsafe.store.rules.rows import LiveBinding, Place, Texts
from nightsafe.store.rules.script_head import Head, Key, StoredState
from nightsafe.store.script_edit import Stamp
from nightsafe.store.scripts import Binding, Module, Script, Version
from nightsafe.store.sqlite.reads.rows import SCRIPT, VERSION
from nightsafe.store.sqlite.writes.removal import remove_script

_HEAD: Final = """
SELECT id, version, upload_version, variables, live_version, served_version, deployment_count, source, content,
  mac, triggers, (
    SELECT CAST(group_concat(digest, '') AS BLOB) FROM bindings b
    WHERE b.account_id = s.account_id AND b.namespace = s.namespace AND b.script = s.name
  )
FROM scripts s WHERE account_id = ? AND namespace = ? AND name = ?
"""
_BINDINGS: Final = """
SELECT rowid, key_id, name, kind, shown, sealed IS NOT NULL, digest, since FROM bindings
WHERE account_id = ? AND namespace = ? AND script = ?
"""
_BINDING: Final = f"{_BINDINGS} AND name = ?"
_SECRETS: Final = """
SELECT CAST(group_concat(shown, char(30)) AS BLOB) FROM (
  SELECT CAST(shown AS TEXT) AS shown FROM bindings
  WHERE account_id = ? AND namespace = ? AND script = ? AND sealed IS NOT NULL ORDER BY name
)
"""
_TEXTS: Final = """
SELECT u.settings, s.script_settings, s.triggers FROM scripts s JOIN uploads u
  ON u.account_id = s.account_id AND u.script_id = s.id AND u.version = s.upload_version
WHERE s.account_id = ? AND s.namespace = ? AND s.name = ?
"""
_CONTENT_OF: Final = "SELECT etag, settings FROM uploads WHERE account_id = ? AND script_id = ? AND version = ?"
_NEW_SCRIPT: Final = """
INSERT INTO scripts (account_id, namespace, name, id, created_on, modified_on, version, upload_version,
  variables, source, script_settings, triggers_stated_in, triggers_position)
VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0, '', x'7b7d', ?, ?)
"""
_UPDATE: Final = """
UPDATE scripts SET modified_on = ?, version = ?, upload_version = ?, variables = ?, live_version = ?,
  served_version = ?, deployment_count = ?, source = ?, content = ?, mac = ?
WHERE account_id = ? AND namespace = ? AND name = ?
"""
_REMOVE_LEFTOVERS: Final = "DELETE FROM bindings WHERE account_id = ? AND namespace = ? AND script = ?"
_SCRIPT_SETTINGS: Final = "UPDATE scripts SET script_settings = ? WHERE account_id = ? AND namespace = ? AND name = ?"
_TRIGGERS: Final = """
UPDATE scripts SET triggers = ?, triggers_stated_in = ?, triggers_position = ?
WHERE account_id = ? AND namespace = ? AND name = ?
"""
_RETIRE: Final = """
INSERT INTO binding_history
  (account_id, script_id, to_version, name, from_version, kind, shown, key_id, sealed, digest, stated_in, position)
SELECT account_id, ?, ?, name, since, kind, shown, key_id, sealed, digest, stated_in, position
FROM bindings WHERE rowid = ?
"""
_REMOVE: Final = "DELETE FROM bindings WHERE rowid = ?"
_PUT: Final = """
INSERT INTO bindings
  (account_id, namespace, script, name, since, kind, shown, key_id, sealed, digest, stated_in, position)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_REPLACE: Final = """
UPDATE bindings SET since = ?, shown = ?, sealed = ?, digest = ?, stated_in = ?, position = ? WHERE rowid = ?
"""
_CHANGE_KIND: Final = "UPDATE bindings SET kind = ?, key_id = ? WHERE rowid = ?"
"""Indexes have these columns, and SQLite would write their pages again even when the columns stay the same."""

_VERSION: Final = """
INSERT INTO versions (account_id, script_id, number, id, deployment_id, created_on, upload_version, source,
  triggered_by, author_id, author_email, annotations, digest, stated_in, position)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_UPLOAD: Final = """
INSERT INTO uploads (account_id, script_id, version, code_version, main_module, etag, settings)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_SAME_CODE: Final = """
INSERT INTO uploads (account_id, script_id, version, code_version, main_module, etag, settings)
SELECT account_id, script_id, ?, code_version, main_module, etag, ? FROM uploads
WHERE account_id = ? AND script_id = ? AND version = ?
"""
_MODULE: Final = """
INSERT INTO modules (account_id, script_id, version, position, name, content_type, digest)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_CONTENT: Final = "INSERT INTO contents (account_id, digest, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_ROOM: Final = "INSERT INTO contents (account_id, digest, body) VALUES (?, ?, zeroblob(?)) ON CONFLICT DO NOTHING"
_PART: Final = 256 * 1024


class ScriptRows:
    """The part of `Rows` for scripts."""

    _db: sqlite3.Cursor

    def head(self, key: Key) -> tuple[Head, StoredState] | None:
        """See `Rows.head`."""
        row = self._db.execute(_HEAD, key).fetchone()
        return None if row is None else (Head(*row[:-3]), StoredState(*row[-3:]))

    def remove_leftovers(self, key: Key) -> None:
        """See `Rows.remove_leftovers`."""
        self._db.execute(_REMOVE_LEFTOVERS, key)

    def bindings(self, key: Key, names: Collection[str] | None = None) -> list[LiveBinding]:
        """See `Rows.bindings`."""
        if names is None:
            return [LiveBinding(*row) for row in self._db.execute(_BINDINGS, key).fetchall()]
        rows = (self._db.execute(_BINDING, (*key, name)).fetchone() for name in names)
        return [LiveBinding(*row) for row in rows if row is not None]

    def texts(self, key: Key) -> Texts | None:
        """See `Rows.texts`."""
        row = self._db.execute(_TEXTS, key).fetchone()
        return None if row is None else Texts(*row)

    def content(self, account_id: str, script_id: str, version: int) -> tuple[str, bytes]:
        """See `Rows.content`."""
        etag, settings = self._db.execute(_CONTENT_OF, (account_id, script_id, version)).fetchone()
        return etag, settings

    def script(self, key: Key) -> Script:
        """See `Rows.script`."""
        return script_of(key[0], self._db.execute(SCRIPT, key).fetchone())

    def version(self, account_id: str, script_id: str, number: int) -> Version:
        """See `Rows.version`."""
        return version_of(self._db.execute(VERSION, (account_id, script_id, number)).fetchone())

    def secrets(self, key: Key) -> tuple[bytes, ...]:
        """See `Rows.secrets`. They are one row, because each fetched row releases and retakes the interpreter lock.

        The separator, U+001E, cannot occur in a JSON text (RFC 8259, sections 2 and 7).
        """
        joined: bytes | None = self._db.execute(_SECRETS, key).fetchone()[0]
        return () if joined is None else tuple(joined.split(b"\x1e"))

    def create_script(self, key: Key, script_id: str, at: int, triggers: Place) -> None:
        """See `Rows.create_script`."""
        self._db.execute(_NEW_SCRIPT, (*key, script_id, at, at, *triggers))

    def update_script(self, key: Key, head: Head, mac: bytes, at: int) -> None:
        """See `Rows.update_script`."""
        self._db.execute(_UPDATE, (at, *head[1:], mac, *key))

    def put_script_settings(self, key: Key, settings: bytes) -> None:
        """See `Rows.put_script_settings`."""
        self._db.execute(_SCRIPT_SETTINGS, (settings, *key))

    def put_triggers(self, key: Key, triggers: bytes, place: Place) -> None:
        """See `Rows.put_triggers`."""
        self._db.execute(_TRIGGERS, (triggers, *place, *key))

    def retire_binding(self, script_id: str, number: int, old: LiveBinding) -> None:
        """See `Rows.retire_binding`."""
        self._db.execute(_RETIRE, (script_id, number, old.row))

    def remove_binding(self, old: LiveBinding) -> None:
        """See `Rows.remove_binding`."""
        self._db.execute(_REMOVE, (old.row,))

    def put_binding(  # noqa: PLR0913, PLR0917 - the columns of a row
        self, key: Key, number: int, new: Binding, digest: bytes, place: Place | None, old: LiveBinding | None
    ) -> None:
        """See `Rows.put_binding`."""
        stated = (None, None) if place is None else place
        if old is None:
            values = (new.kind, new.shown, new.key_id, new.sealed, digest)
            self._db.execute(_PUT, (*key, new.name, number, *values, *stated))
            return
        self._db.execute(_REPLACE, (number, new.shown, new.sealed, digest, *stated, old.row))
        if (old.kind, old.key_id) != (new.kind, new.key_id):
            self._db.execute(_CHANGE_KIND, (new.kind, new.key_id, old.row))

    def add_version(  # noqa: PLR0913, PLR0917 - the columns of a row
        self, account_id: str, head: Head, stamp: Stamp, at: int, digest: bytes, place: Place
    ) -> None:
        """See `Rows.add_version`."""
        numbers = (account_id, head.id, head.version, stamp.version_id, stamp.deployment_id, at, head.upload_version)
        author = (stamp.source, stamp.triggered_by, stamp.author_id, stamp.author_email, stamp.annotations)
        self._db.execute(_VERSION, (*numbers, *author, digest, *place))

    def add_upload(self, account_id: str, head: Head, main_module: str, etag: str, settings: bytes) -> None:
        """See `Rows.add_upload`."""
        number = head.version + 1
        self._db.execute(_UPLOAD, (account_id, head.id, number, number, main_module, etag, settings))

    def add_modules(self, account_id: str, head: Head, modules: Sequence[Module]) -> None:
        """See `Rows.add_modules`."""
        for position, module in enumerate(modules):
            names = (module.name, module.content_type, module.digest)
            self._db.execute(_MODULE, (account_id, head.id, head.version + 1, position, *names))
            self._write_body((account_id, module.digest), module.body)

    def copy_upload(self, account_id: str, head: Head, settings: bytes) -> None:
        """See `Rows.copy_upload`."""
        self._db.execute(_SAME_CODE, (head.version + 1, settings, account_id, head.id, head.upload_version))

    def remove_script(self, key: Key, script_id: str) -> None:
        """See `Rows.remove_script`."""
        remove_script(self._db, key, script_id)

    def _write_body(self, key: tuple[str, bytes], body: bytes) -> None:
        """Store contents, once for each digest.

        Large contents are written part by part. As a parameter they would be copied whole, and no other thread could
        run during the copy.
        """
        if len(body) <= _PART:
            self._db.execute(_CONTENT, (*key, body))
        elif self._db.execute(_ROOM, (*key, len(body))).rowcount == 1 and self._db.lastrowid is not None:
            with (
                self._db.connection.blobopen("contents", "body", self._db.lastrowid) as blob,
                memoryview(body) as view,
            ):
                for start in range(0, len(view), _PART):
                    blob.write(view[start : start + _PART])
