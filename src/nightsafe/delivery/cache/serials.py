"""Keeps the highest serial, the last checkpoint and the times of approvals of each account, in the marks file.

With it, the delivery process notices after a restart too that the database was put back to an older state.
"""

import asyncio
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

import msgspec
import structlog

from nightsafe.delivery.cache.script_marks import ScriptMarks
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing import files

_log = structlog.get_logger()
_LARGEST: Final = (1 << 63) - 1


class SeenLog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last checkpoint that was accepted.

    Attributes:
        origin: the log's origin.
        size: the number of its entries.
        root: the root of its tree.
    """

    origin: str
    size: int
    root: bytes


class _File(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The whole file. Its first form had no logs.

    Attributes:
        approved: by account and script, when the served versions were approved, in microseconds since 1970 UTC.
    """

    format: Literal["nightsafe-marks/1", "nightsafe-marks/2"]
    serials: dict[str, int]
    logs: dict[str, SeenLog] = {}
    approved: dict[str, dict[str, int]] = {}


class Serials:
    """The highest serials and the last checkpoints seen.

    Raising a serial returns at once; the file follows as fast as the disk allows.

    Args:
        path: path of the file, made if missing.

    Attributes:
        scripts: the marks of each script, in a second file beside it.

    Raises:
        NightsafeError: INVALID, when a file exists and is not a marks file.
    """

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        scripts = path.with_name(f"{path.stem}-scripts.db")
        if not path.exists():
            with suppress(OSError):
                scripts.unlink()  # somebody has deleted the marks to start over
        self.scripts: Final = ScriptMarks(scripts)
        file = _read(path) if path.exists() else _File("nightsafe-marks/2", {})
        self._serials = file.serials
        self._logs = file.logs
        self._approved = file.approved
        self._written = self._state()
        self._write_task: asyncio.Task[None] | None = None
        self._lock = -1

    def acquire(self) -> None:
        """Lock the file against other delivery processes until `release` or the end of this process.

        Raises:
            NightsafeError: UNAVAILABLE, when another process holds the lock; INVALID, when the lock file beside it
                cannot be made.
        """
        lock_path = self._path.with_name(f"{self._path.name}.lock")
        try:
            self._lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise NightsafeError(Code.UNAVAILABLE, f"{self._path}: another delivery process uses it") from None
        except OSError as error:
            self.release()
            raise NightsafeError(Code.INVALID, f"{lock_path}: cannot be used: {error.strerror}") from None

    def release(self) -> None:
        """Unlock the file for other processes."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def get(self, account_id: str) -> int:
        """Return the highest serial seen, 0 for none."""
        return self._serials.get(account_id, 0)

    def raise_to(self, account_id: str, serial: int) -> None:
        """Remember a serial if it is higher than the one remembered."""
        if self.get(account_id) < serial <= _LARGEST:
            self._serials[account_id] = serial
            self._start_writing()

    def log(self, account_id: str) -> SeenLog | None:
        """Return the last checkpoint that was accepted, or None."""
        return self._logs.get(account_id)

    def keep_log(self, account_id: str, log: SeenLog) -> None:
        """Remember a checkpoint in place of the earlier one."""
        if self._logs.get(account_id) != log:
            self._logs[account_id] = log
            self._start_writing()

    def replace(self, account_id: str, serial: int, log: SeenLog, *, forget_approvals: bool = False) -> None:
        """Write a serial and a checkpoint in place of the earlier ones, also lower ones. Return when it is done.

        Forget the marks of the account's scripts first: they may belong to entries that the log does not have.

        Args:
            account_id: the account.
            serial: the new serial.
            log: the new checkpoint.
            forget_approvals: whether to forget when the served versions of the account had been approved.

        Raises:
            NightsafeError: INVALID, when a file cannot be written. Then the serial and the checkpoint stay.
        """
        self.scripts.forget(account_id)
        serials, logs = self._serials | {account_id: serial}, self._logs | {account_id: log}
        approved = self._approved | ({account_id: {}} if forget_approvals else {})
        files.write(self._path, _encode(serials, logs, approved), private=True, replace=True)
        self._serials, self._logs, self._approved = serials, logs, approved
        self._written = self._state()

    def approved_at(self, account_id: str, script: str) -> int:
        """Return when the versions of a script that were served last had been approved; 0 if none was."""
        return self._approved.get(account_id, {}).get(script, 0)

    def count_approved(self, account_id: str) -> int:
        """Return the number of scripts of an account that were served with an approval."""
        return len(self._approved.get(account_id, {}))

    def raise_approved_at(self, account_id: str, script: str, time: int) -> None:
        """Remember the time of an approval if it is later than the one remembered."""
        if self.approved_at(account_id, script) < time <= _LARGEST:
            self._approved.setdefault(account_id, {})[script] = time
            self._start_writing()

    def _state(self) -> tuple[dict[str, int], dict[str, SeenLog], dict[str, dict[str, int]]]:
        """Return a copy of everything that the file holds."""
        approved = {account_id: dict(scripts) for account_id, scripts in self._approved.items()}
        return dict(self._serials), dict(self._logs), approved

    def _start_writing(self) -> None:
        """Start to write the file, unless that is going on."""
        if self._write_task is None or self._write_task.done():
            self._write_task = asyncio.create_task(self._write())

    async def flush(self) -> None:
        """Wait until both files have caught up."""
        await self.scripts.flush()
        while self._write_task is not None and not self._write_task.done():
            await asyncio.wait({self._write_task})

    async def _write(self) -> None:
        """Write the file until it holds every serial remembered."""
        while self._written != (state := self._state()):
            try:
                await asyncio.to_thread(files.write, self._path, _encode(*state), private=True, replace=True)
            except NightsafeError as error:
                _log.error("marks.not_written", reason=error.problems[0].detail)
                return
            except RuntimeError as error:  # no further thread can start; the next write catches up
                _log.error("marks.not_written", reason=str(error))
                return
            self._written = state


def _encode(serials: dict[str, int], logs: dict[str, SeenLog], approved: dict[str, dict[str, int]]) -> bytes:
    """Return the file's bytes."""
    return msgspec.json.encode(_File("nightsafe-marks/2", serials, logs, approved))


def _read(path: Path) -> _File:
    """Return the content of the file.

    Raises:
        NightsafeError: INVALID, when it is not a marks file.
    """
    with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return msgspec.json.decode(files.read(path, private=True), type=_File)
    raise NightsafeError(
        Code.INVALID,
        f"{path}: not a marks file. Delete it to start over; Nightsafe then cannot notice that the database was put"
        " back to an older state before now",
    )
