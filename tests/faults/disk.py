"""A disk whose failures a test decides: a VFS of SQLite (https://www.sqlite.org/vfs.html), made with ctypes.

Unlike `broken`, which makes a call fail before or after all of its work, this disk fails within a call: a COMMIT
whose log is written and whose sync is refused, a file that may not grow.
"""

import _sqlite3
import ctypes
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_char_p, c_int, c_int64, c_void_p, memmove, sizeof
from pathlib import Path
from typing import Any, Final, Self

_OK: Final = 0
_FULL: Final = sqlite3.SQLITE_FULL
_NOT_SYNCED: Final = sqlite3.SQLITE_IOERR_FSYNC
_LOG: Final = 0x80000
"""SQLITE_OPEN_WAL."""


class _Methods(Structure):
    """`sqlite3_io_methods`, up to version 3."""

    _fields_ = (
        ("version", c_int),
        *((name, c_void_p) for name in ("close", "read", "write", "truncate", "sync", "size")),
        *((f"other_{number}", c_void_p) for number in range(12)),
    )


class _File(Structure):
    """`sqlite3_file`."""

    _fields_ = (("methods", POINTER(_Methods)),)


class _Vfs(Structure):
    """`sqlite3_vfs`, up to version 3."""

    _fields_ = (
        ("version", c_int),
        ("file_size", c_int),
        ("longest_path", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", c_void_p),
        *((f"other_{number}", c_void_p) for number in range(14)),
    )


_Open = CFUNCTYPE(c_int, c_void_p, c_void_p, POINTER(_File), c_int, c_void_p)
_Write = CFUNCTYPE(c_int, POINTER(_File), c_void_p, c_int, c_int64)
_Sync = CFUNCTYPE(c_int, POINTER(_File), c_int)
_Size = CFUNCTYPE(c_int, POINTER(_File), POINTER(c_int64))


class Disk:
    """The disk under every database that this process opens inside its `with` block.

    Attributes:
        unsynced: how many of the next syncs of a log fail.
        full: whether no file may grow.
    """

    def __init__(self) -> None:
        self.unsynced = 0.0
        self.full = False
        self._kept: list[Any] = []
        self._methods: dict[tuple[int, bool], _Methods] = {}
        self._library: Any = ctypes.CDLL(
            _sqlite3.__file__
        )  # finds the SQLite library that this module is linked with
        self._library.sqlite3_vfs_find.restype = POINTER(_Vfs)
        self._own = _Vfs()

    def __enter__(self) -> Self:
        """Become the disk of every file that is opened from now on."""
        original = self._library.sqlite3_vfs_find(None)
        self._open = _Open(original.contents.open)
        memmove(byref(self._own), original, sizeof(_Vfs))
        self._own.name = b"nightsafe-test"
        self._own.open = self._as_pointer(_Open(self._opened(original)))
        assert self._library.sqlite3_vfs_register(byref(self._own), 1) == _OK
        return self

    def __exit__(self, *_: object) -> None:
        """Stop being that disk."""
        self._library.sqlite3_vfs_unregister(byref(self._own))

    def heal(self) -> None:
        """Let everything succeed."""
        self.unsynced, self.full = 0.0, False

    def is_full(self) -> bool:
        """Return whether there is no room left."""
        return self.full

    def may_sync(self) -> bool:
        """Return whether this sync succeeds."""
        refused = self.unsynced > 0
        self.unsynced -= refused
        return not refused

    def _opened(self, original: Any) -> Callable[..., int]:
        """Return a function that opens a file as usual, and then replaces some of its methods."""

        def opened(_: Any, name: Any, file: Any, flags: int, given: Any) -> int:
            """Open one file."""
            code = int(self._open(ctypes.cast(original, c_void_p), name, file, flags, given))
            if code == _OK:
                file.contents.methods = ctypes.pointer(self._replaced(file.contents.methods, bool(flags & _LOG)))
            return code

        return opened

    def _replaced(self, methods: Any, log: bool) -> _Methods:  # noqa: FBT001 - part of a key
        """Return the methods of a kind of file, some of them replaced."""
        key = (ctypes.addressof(methods.contents), log)
        if key not in self._methods:
            replaced = _Methods()
            memmove(byref(replaced), methods, sizeof(_Methods))
            write, sync, size = _Write(replaced.write), _Sync(replaced.sync), _Size(replaced.size)
            replaced.write = self._as_pointer(_Write(self._written(write, size)))
            if log:
                replaced.sync = self._as_pointer(_Sync(self._synced(sync)))
            self._methods[key] = replaced
        return self._methods[key]

    def _written(self, write: Any, size: Any) -> Callable[..., int]:
        """Return a function that writes to a file, but not past its end while the disk is full."""

        def written(file: Any, data: Any, count: int, offset: int) -> int:
            """Write once."""
            there = c_int64()
            if self.is_full() and size(file, byref(there)) == _OK and offset + count > there.value:
                return _FULL
            return int(write(file, data, count, offset))

        return written

    def _synced(self, sync: Any) -> Callable[..., int]:
        """Return a function that syncs a log, unless the disk refuses to."""

        def synced(file: Any, flags: int) -> int:
            """Sync once."""
            return int(sync(file, flags)) if self.may_sync() else _NOT_SYNCED

        return synced

    def _as_pointer(self, function: Any) -> Any:
        """Return a pointer to a C function, and keep the function from being collected."""
        self._kept.append(function)
        return ctypes.cast(function, c_void_p).value


class DiskByFiles(Disk):
    """A disk whose failures another process decides, by files in a folder.

    Args:
        folder: the disk is full while the folder has a file `full`, and refuses syncs while it has one `unsynced`.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def is_full(self) -> bool:
        """Return whether there is a file `full`."""
        return (self._folder / "full").exists()

    def may_sync(self) -> bool:
        """Return whether there is no file `unsynced`."""
        return not (self._folder / "unsynced").exists()


def crash_image(path: Path, folder: Path) -> Path:
    """Copy the files that a kill would leave at this moment, without the log's index; return the database's path.

    Another process copies them, because closing a descriptor here would drop SQLite's locks.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    parts = [part for part in (path, Path(f"{path}-wal")) if os.path.lexists(part)]
    subprocess.run(["cp", *map(str, parts), str(folder)], check=True)  # noqa: S607 - the system's own
    return folder / path.name
