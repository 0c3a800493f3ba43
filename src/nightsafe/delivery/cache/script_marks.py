"""Remembers for each script how far in the log its deployment and its triggers were stated, in a SQLite file.

With it, the delivery process notices that a single script was put back to an older state. Everything in that state
was lawfully stated once, so its proofs alone do not show it.
"""

import asyncio
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from nightsafe.bundle.model import Bundle, BundleDeployment
from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.statements import StatementProof
from nightsafe.sealing import files

_log = structlog.get_logger()
_LARGEST: Final = (1 << 63) - 1
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS scripts (
  account_id TEXT NOT NULL, name TEXT NOT NULL, script_id TEXT NOT NULL,
  newest INTEGER NOT NULL, place INTEGER NOT NULL, size INTEGER NOT NULL, position INTEGER NOT NULL,
  triggers_size INTEGER NOT NULL, triggers_position INTEGER NOT NULL,
  PRIMARY KEY (account_id, name)
) STRICT, WITHOUT ROWID
"""
_READ: Final = """
SELECT account_id, name, script_id, newest, place, size, position, triggers_size, triggers_position FROM scripts
"""
_WRITE: Final = "REPLACE INTO scripts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_FORGET: Final = "DELETE FROM scripts WHERE account_id = ?"


class ScriptMark(NamedTuple):
    """How far a script had come when it was served.

    Attributes:
        script_id: its tag.
        newest, place: the deployment's order among the script's deployments, as in `deployment_digest`.
        size, position: where the deployment was stated: the number of the log's entries after its group commit, and
            the index among the statements of that commit.
        triggers_size, triggers_position: where the triggers were stated.
    """

    script_id: str
    newest: int
    place: int
    size: int
    position: int
    triggers_size: int
    triggers_position: int

    @classmethod
    def of(cls, bundle: Bundle, deployment: BundleDeployment) -> "ScriptMark":
        """Return the mark of a bundle whose statements have been verified."""
        stated, triggers = StatementProof.parse(deployment.proof), StatementProof.parse(bundle.triggers_proof)
        order, places = (deployment.newest, deployment.place), (stated.size, stated.position)
        return cls(bundle.script_id, *order, *places, triggers.size, triggers.position)

    def deleted(self, serial: int) -> "ScriptMark":
        """Return the mark of the script after its deletion.

        No deployment of the same script passes it, and of another script under the same name only a later one.

        Args:
            serial: the account's newest log entry when the script did not exist.
        """
        size, position = max((self.size, self.position), (serial + 1, 0))
        return self._replace(newest=_LARGEST, size=size, position=position)

    def older_part_of(self, later: "ScriptMark") -> str:
        """Return the part of a later mark that is older than here; "" if lawful changes can lead there.

        A deployment that is older than the log was stated later than newer ones, so its order counts too.
        """
        is_same = later.script_id == self.script_id
        if (later.size, later.position) < (self.size, self.position) or (
            is_same and (later.newest, later.place) < (self.newest, self.place)
        ):
            return "deployment"
        is_older = (later.triggers_size, later.triggers_position) < (self.triggers_size, self.triggers_position)
        return "subdomain setting" if is_older else ""


class ScriptMarks:
    """The marks of all scripts that were served.

    Remembering returns at once; the file follows as fast as the disk allows.

    Args:
        path: path of the file; it is made with the first mark.

    Raises:
        NightsafeError: INVALID, when the file exists and cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        self._marks = _read(path) if path.exists() else {}
        self._unwritten: dict[tuple[str, str], ScriptMark] = {}
        self._write_task: asyncio.Task[None] | None = None

    def check(self, bundle: Bundle) -> None:
        """Refuse a bundle of a script that was put back to an older state.

        Args:
            bundle: a bundle whose statements have been verified.

        Raises:
            NightsafeError: CANNOT_OPEN, with the part that is older; INVALID, when a number is out of range.
        """
        if bundle.deployment is None:
            return
        mark = ScriptMark.of(bundle, bundle.deployment)
        if max(mark[1:]) >= _LARGEST:
            raise NightsafeError(Code.INVALID, "the bundle's deployment has a number that is out of range")
        before = self._marks.get((bundle.account_id, bundle.script))
        if before is not None and (part := before.older_part_of(mark)):
            raise _refusal(part, falls_back=bool(bundle.behind or bundle.waiting))

    def remember(self, bundle: Bundle) -> None:
        """Remember how far a script has come, or that it does not exist any more.

        Args:
            bundle: a bundle that `check` has passed.
        """
        key = (bundle.account_id, bundle.script)
        before = self._marks.get(key)
        if bundle.deployment is not None:
            mark = ScriptMark.of(bundle, bundle.deployment)
        elif before is not None and not bundle.script_id and bundle.serial < _LARGEST:
            mark = before.deleted(bundle.serial)
        else:
            return
        if mark != before:
            self._marks[key] = self._unwritten[key] = mark
            if self._write_task is None or self._write_task.done():
                self._write_task = asyncio.create_task(self._write())

    def count(self, account_id: str) -> int:
        """Return the number of scripts of an account that have a mark."""
        return sum(owner == account_id for owner, _ in self._marks)

    def forget(self, account_id: str) -> None:
        """Remove the marks of an account. Return when it is done.

        Raises:
            NightsafeError: INVALID, when the file cannot be written. Then nothing has changed.
        """
        if not self.count(account_id):
            return
        try:
            with closing(_open(self._path)) as db, db:
                db.execute(_FORGET, (account_id,))
        except (sqlite3.Error, OSError) as error:
            raise NightsafeError(Code.INVALID, f"{self._path}: cannot be written: {error}") from None
        self._marks = {key: mark for key, mark in self._marks.items() if key[0] != account_id}

    async def flush(self) -> None:
        """Wait until the file has caught up."""
        while self._write_task is not None and not self._write_task.done():
            await asyncio.wait({self._write_task})

    async def _write(self) -> None:
        """Write the new marks, many in one transaction, until the file holds all of them."""
        while self._unwritten:
            marks, self._unwritten = self._unwritten, {}
            try:
                await asyncio.to_thread(_store, self._path, marks)
            except (sqlite3.Error, OSError, RuntimeError) as error:  # the next write catches up
                self._unwritten = marks | self._unwritten
                _log.error("marks.not_written", reason=f"{self._path}: {error}")
                return


def _open(path: Path) -> sqlite3.Connection:
    """Open the file; make it with mode 0600 if it is absent."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        files.sync(path.parent)
    db = sqlite3.connect(path)
    try:
        db.execute(_TABLE)
    except BaseException:
        db.close()
        raise
    return db


def _store(path: Path, marks: Mapping[tuple[str, str], ScriptMark]) -> None:
    """Write marks in one transaction."""
    with closing(_open(path)) as db, db:
        db.executemany(_WRITE, [(*key, *mark) for key, mark in marks.items()])


def _read(path: Path) -> dict[tuple[str, str], ScriptMark]:
    """Return the marks in the file.

    Raises:
        NightsafeError: INVALID, when it cannot be used.
    """
    files.check_private(path)
    try:
        with closing(_open(path)) as db:
            return {(account_id, name): ScriptMark(*mark) for account_id, name, *mark in db.execute(_READ)}
    except (sqlite3.Error, OSError) as error:
        raise NightsafeError(
            Code.INVALID,
            f"{path}: cannot be used as the file with the marks of scripts: {error}. Delete it to start over;"
            " Nightsafe then cannot notice that a script was put back to an older state before now",
        ) from None


def _refusal(part: str, *, falls_back: bool) -> NightsafeError:
    """Return the refusal of a bundle with a part that is older than the one that was served.

    Args:
        part: the part.
        falls_back: whether the API says that it cannot offer the newest deployment.
    """
    why = (
        "because the newest deployment cannot be served or is not approved. Deploy a version again"
        if falls_back
        else "or a script that was deleted: somebody has put the script back in the database. Restore the database,"
        " or delete the script and upload it again"
    )
    return NightsafeError(
        Code.CANNOT_OPEN, f"the API offers an older {part} of the script than was served before, {why}"
    )
