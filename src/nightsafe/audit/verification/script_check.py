"""Compares the scripts of a database, with their versions, bindings and deployments, with the log."""

import sqlite3
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from nightsafe.audit.verification.difference import DifferenceError, well_formed
from nightsafe.audit.verification.log_check import Report
from nightsafe.audit.verification.named_state import NamedState, Stated
from nightsafe.audit.verification.version_bindings import BindingTimeline
from nightsafe.bundle.statements import (
    ScriptIdentity,
    code_digest,
    content_digest,
    deployment_digest,
    triggers_digest,
    version_digest,
)
from nightsafe.store.log.written import deployment_place, row_digest

_SCRIPTS: Final = """
SELECT account_id, namespace, name, id, created_on, version, upload_version, live_version, served_version,
  triggers, triggers_stated_in, triggers_position, script_settings, content
FROM scripts ORDER BY account_id, namespace, name
"""
_VERSIONS: Final = """
SELECT number, id, deployment_id, created_on, upload_version, annotations, digest, stated_in, position
FROM versions WHERE account_id = ? AND script_id = ? ORDER BY number
"""
_UPLOAD: Final = """
SELECT main_module, etag, settings, code_version FROM uploads WHERE account_id = ? AND script_id = ? AND version = ?
"""
_MODULES: Final = """
SELECT name, content_type, digest FROM modules
WHERE account_id = ? AND script_id = ? AND version = ? ORDER BY position
"""
_DEPLOYMENTS: Final = """
SELECT newest_version, place, id, traffic, stated_in, position FROM deployments
WHERE account_id = ? AND script_id = ? ORDER BY newest_version, place
"""
_EMPTY: Final = b"{}"
_TRAFFIC: Final = msgspec.json.Decoder(list[tuple[str, float]])


class _Script(NamedTuple):
    """A row of a script."""

    account_id: str
    namespace: str
    name: str
    id: str
    created_on: int
    version: int
    upload_version: int
    live_version: int
    served_version: int
    triggers: bytes
    triggers_stated_in: int | None
    triggers_position: int | None
    script_settings: bytes
    content: bytes

    @property
    def identity(self) -> ScriptIdentity:
        """The script that statements are about."""
        return ScriptIdentity(self.account_id, self.namespace, self.name, self.id)

    @property
    def words(self) -> str:
        """The script in words."""
        return script_words(self.account_id, self.namespace, self.name)


class _Version(NamedTuple):
    """A row of a version."""

    number: int
    id: bytes
    deployment_id: bytes
    created_on: int
    upload_version: int
    annotations: bytes
    digest: bytes | None
    stated_in: int | None
    position: int | None


def script_words(account_id: str, namespace: str, name: str) -> str:
    """Return a script in words."""
    return f"the script {f'{namespace}/{name}' if namespace else name!r} of the account {account_id}"


def check_scripts(db: sqlite3.Connection, state: NamedState, report: Report) -> int:
    """Compare every script with the log, and return the number of versions.

    Raises:
        DifferenceError: the first difference.
    """
    count = 0
    for row in db.execute(_SCRIPTS):
        script = _Script(*row)
        with well_formed(script.words):
            count += _ScriptCheck(db, state, report, script).check()
    return count


class _ScriptCheck:
    """The comparison of one script with the log."""

    def __init__(self, db: sqlite3.Connection, state: NamedState, report: Report, script: _Script) -> None:
        self._db = db
        self._state = state
        self._report = report
        self._script = script
        self._key = (script.account_id, script.id)
        self._bindings = BindingTimeline(db, script.identity, script.words, is_older=state.has_older)
        self._content = (0, b"")
        self._digests: dict[bytes, tuple[int, bytes]] = {}
        self._latest: tuple[tuple[int, int], int, int] = ((0, 0), 0, 0)
        """The order of the newest deployment, the only version that it serves or 0, and the newest that it serves."""

    def check(self) -> int:
        """Compare the versions, the deployments, the triggers and the settings; return the number of versions."""
        count = 0
        for row in self._db.execute(_VERSIONS, self._key):
            version = _Version(*row)
            count += 1
            if version.number != count:
                raise DifferenceError(f"version {count} of {self._script.words} is missing")
            with well_formed(f"version {count} of {self._script.words}, or its files or settings,"):
                self._check_version(version)
            self._report(1)
        for deployment in self._db.execute(_DEPLOYMENTS, self._key):
            with well_formed(f"the deployment {deployment[2].hex()} of {self._script.words}"):
                self._check_deployment(*deployment)
        with well_formed(f"the row of {self._script.words}"):
            self._check_row(count)
        return count

    def _check_version(self, version: _Version) -> None:
        """Compare a version, and the deployment that was made with it."""
        script, words = self._script, f"version {version.number} of {self._script.words}"
        digest = version_digest(
            script.identity,
            version.number,
            version.id,
            created_on=version.created_on,
            annotations=version.annotations,
            content=self._content_at(version.upload_version, words),
            bindings=self._bindings.at(version.number),
        )
        stated = (version.stated_in, version.position)
        is_older = self._older(stated, version.id)
        parts = f"{words} (its settings, its files, its annotations, or the list of its bindings)"
        self._state.match(f"version/{script.id}/{version.number}", digest, parts, stated=stated, is_older=is_older)
        if version.digest != digest and not (version.digest is None and self._state.has_older):
            raise DifferenceError(f"the stored digest of {words} is not the digest of its parts")
        self._digests[version.id] = (version.number, digest)
        if version.deployment_id:
            after = (version.stated_in, None if version.position is None else version.position + 1)
            order, traffic = (version.number, 0), ((version.id, 100.0),)
            self._match_deployment(order, version.deployment_id, traffic, after, is_older)

    def _check_deployment(  # noqa: PLR0913, PLR0917 - the columns of a row
        self,
        newest: int,
        place: int,
        deployment_id: bytes,
        traffic: bytes,
        stated_in: int | None,
        position: int | None,
    ) -> None:
        """Compare a deployment of existing versions."""
        shares = tuple((bytes.fromhex(version_id), share) for version_id, share in _TRAFFIC.decode(traffic))
        stated = (stated_in, position)
        self._match_deployment((newest, place), deployment_id, shares, stated, self._older(stated, deployment_id))

    def _match_deployment(
        self,
        order: tuple[int, int],
        deployment_id: bytes,
        traffic: tuple[tuple[bytes, float], ...],
        stated: Stated,
        is_older: Callable[[], bool],
    ) -> None:
        """Compare a deployment."""
        words = f"the deployment {deployment_id.hex()} of {self._script.words}"
        unknown = [version_id.hex() for version_id, _ in traffic if version_id not in self._digests]
        if unknown:
            raise DifferenceError(f"{words} serves the version {unknown[0]}, which does not exist")
        shares = [
            (self._digests[version_id][0], share, self._digests[version_id][1]) for version_id, share in traffic
        ]
        digest = deployment_digest(self._script.identity, order, deployment_id, shares)
        place = f"deployment/{self._script.id}/{deployment_place(order)}"
        parts = f"{words} (its versions or their percentages)"
        self._state.match(place, digest, parts, stated=stated, is_older=is_older)
        served = max(number for number, share, _ in shares if share)
        self._latest = max(self._latest, (order, served if len(shares) == 1 else 0, served))

    def _check_row(self, count: int) -> None:
        """Compare what the script's own row says."""
        script = self._script
        served = (script.version, script.live_version, script.served_version)
        if served != (count, *self._latest[1:]):
            raise DifferenceError(
                f"the row of {script.words} names another newest or served version than its history"
            )
        if script.content != self._content_at(script.upload_version, script.words) and not (
            script.content == b"" and self._state.has_older
        ):
            raise DifferenceError(
                f"the stored digest of the content of {script.words} is not the digest of its parts"
            )
        self._match_text(
            f"triggers/{script.id}/",
            script.triggers,
            triggers_digest(script.identity, script.triggers),
            f"the triggers (subdomain, schedules) of {script.words}",
            (script.triggers_stated_in, script.triggers_position),
        )
        settings = row_digest("Settings", script.script_settings)
        words = f"the script settings (tags, logs, consumers of logs) of {script.words}"
        self._match_text(f"settings/{script.id}/", script.script_settings, settings, words, None)

    def _match_text(self, place: str, text: bytes, digest: bytes, words: str, stated: Stated | None) -> None:
        """Compare a text that is an empty object until the log names another."""
        if text == _EMPTY and not self._state.unread and not self._state.has(place):
            return
        older = self._script.created_on <= self._state.older_until and (stated is None or stated[0] is None)
        self._state.match(place, digest, words, stated=stated, is_older=lambda: older)

    def _content_at(self, upload_version: int, words: str) -> bytes:
        """Return the digest of the files and settings that a version set, computed from all of them."""
        if self._content[0] == upload_version:
            return self._content[1]
        row = self._db.execute(_UPLOAD, (*self._key, upload_version)).fetchone()
        if row is None:
            raise DifferenceError(f"the settings of {words} are missing")
        main_module, etag, settings, code_version = row
        modules = self._db.execute(_MODULES, (*self._key, code_version)).fetchall()
        if code_digest(main_module, modules) != etag:
            raise DifferenceError(f"the files of {words} (their names, types or contents) are not those of its etag")
        self._content = (upload_version, content_digest(etag, settings))
        return self._content[1]

    def _older(self, stated: Stated, row_id: bytes) -> Callable[[], bool]:
        """Return a function that tells whether a version or deployment is older than the log."""
        return lambda: stated[0] is None and self._state.is_older(row_id.hex())
