"""The checkpoints that a witness has cosigned last, one file for each log."""

import fcntl
import os
from hashlib import sha256
from pathlib import Path
from typing import Final

from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.checkpoint import Checkpoint, read_note
from nightsafe.merkle.cosignature import cosigners_of
from nightsafe.merkle.verifier_key import VerifierKey
from nightsafe.sealing import files

_SUFFIX: Final = ".checkpoint"


class WitnessState:
    """The last cosigned checkpoints, as signed notes with the cosignature.

    Args:
        folder: the directory of the files.
        key: the witness's key, whose cosignature every file has.
    """

    def __init__(self, folder: Path, key: VerifierKey) -> None:
        self._folder: Final = folder
        self._key: Final = key
        self._lock = -1

    def acquire(self) -> None:
        """Lock the files against other witnesses until `release` or the end of this process.

        Raises:
            NightsafeError: UNAVAILABLE, when another process holds the lock; INVALID, when the directory cannot be
                used.
        """
        path = self._folder / "lock"
        try:
            self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise NightsafeError(
                Code.UNAVAILABLE, f"another process of the witness uses {self._folder}; stop it first"
            ) from None
        except OSError as error:
            self.release()
            raise NightsafeError(Code.INVALID, f"{path}: cannot be used: {error.strerror}") from None

    def release(self) -> None:
        """Unlock the files."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def note(self, name: str) -> bytes | None:
        """Return the last cosigned note of a log by the hash of its origin; None if there is none.

        Args:
            name: the result of `origin_hash`.

        Raises:
            NightsafeError: INVALID, when the file is not one that this witness has written.
        """
        path = self._folder / f"{name}{_SUFFIX}"
        if not path.exists():
            return None
        note = files.read(path, private=False)
        try:
            is_own = origin_hash(read_note(note).origin) == name and self._key in cosigners_of(note, [self._key])
        except NightsafeError:
            is_own = False
        if not is_own:
            raise NightsafeError(
                Code.INVALID,
                f"{path} is not a checkpoint that this witness has cosigned: put the file back from a backup that is"
                " not older; without it the witness cannot tell whether the log has only grown",
            )
        return note

    def last(self, origin: str) -> Checkpoint | None:
        """Return the last cosigned checkpoint of a log; None if there is none.

        Raises:
            NightsafeError: INVALID, as for `note`.
        """
        note = self.note(origin_hash(origin))
        return None if note is None else read_note(note)

    def keep(self, origin: str, note: bytes) -> None:
        """Keep a cosigned note in place of the earlier one. It is on the disk when the call returns.

        Raises:
            NightsafeError: INVALID, when the file cannot be written.
        """
        path = self._folder / f"{origin_hash(origin)}{_SUFFIX}"
        files.write(path, note, private=False, replace=True)

    def forget(self, origin: str) -> None:
        """Forget a log, durably. The witness then cosigns whatever the log shows first."""
        (self._folder / f"{origin_hash(origin)}{_SUFFIX}").unlink()
        files.sync(self._folder)


def origin_hash(origin: str) -> str:
    """Return the SHA-256 of a log's origin in hex, which names the log in URLs."""
    return sha256(origin.encode()).hexdigest()
