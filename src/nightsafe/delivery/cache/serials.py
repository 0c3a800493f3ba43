"""Keeps the highest serial seen of each account, in the marks file.

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

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing import files

_log = structlog.get_logger()
_LARGEST: Final = (1 << 63) - 1


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """The whole file."""

    format: Literal["nightsafe-marks/1"]
    serials: dict[str, int]


class Serials:
    """The highest serials seen. Raising one returns at once; the file follows as fast as the disk allows.

    Args:
        path: path of the file, made if missing.

    Raises:
        NightsafeError: INVALID, when the file exists and is not a marks file.
    """

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        self._serials: dict[str, int] = _read(path) if path.exists() else {}
        self._written = dict(self._serials)
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
            if self._write_task is None or self._write_task.done():
                self._write_task = asyncio.create_task(self._write())

    async def flush(self) -> None:
        """Wait until the file has caught up."""
        while self._write_task is not None and not self._write_task.done():
            await asyncio.wait({self._write_task})

    async def _write(self) -> None:
        """Write the file until it holds every serial remembered."""
        while self._written != self._serials:
            serials = dict(self._serials)
            data = msgspec.json.encode(_File("nightsafe-marks/1", serials))
            try:
                await asyncio.to_thread(files.write, self._path, data, private=True, replace=True)
            except NightsafeError as error:
                _log.error("marks.not_written", reason=error.problems[0].detail)
                return
            except RuntimeError as error:  # no further thread can start; the next write catches up
                _log.error("marks.not_written", reason=str(error))
                return
            self._written = serials


def _read(path: Path) -> dict[str, int]:
    """Return the serials in the file.

    Raises:
        NightsafeError: INVALID, when it is not a marks file.
    """
    with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return msgspec.json.decode(files.read(path, private=True), type=_File).serials
    raise NightsafeError(
        Code.INVALID,
        f"{path}: not a marks file. Delete it to start over; Nightsafe then cannot notice that the database was put"
        " back to an older state before now",
    )
