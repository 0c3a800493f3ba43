"""Standard output and error of a process that serves: never in its way, and renewed when their files are rotated."""

import atexit
import io
import os
import queue
import signal
import stat
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from nightsafe.cli.process.reopening import CREATED, Reopening
from nightsafe.errors import Code, NightsafeError

_MOST_WAITING: Final = 10_000
_LAST_SECONDS: Final = 1.0
_LAST_SECONDS_OF_FILES: Final = 10.0
_OUTPUT: Final = (1, 2)


class Sink(io.TextIOBase):
    """What is written to a descriptor in the background: what that does not take in time is dropped.

    A full disk, a pipe that nobody reads and a reader that is gone are all the same to who writes.

    Args:
        descriptor: its number.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor: Final = descriptor
        self._waiting: queue.Queue[str] = queue.Queue(_MOST_WAITING)
        threading.Thread(target=self._run, name="nightsafe-output", daemon=True).start()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # what the base class has as a variable
        """As every text is written."""
        return "utf-8"

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def write(self, text: str, /) -> int:
        """Queue a text. Bytes are refused, as by any text stream: click asks by trying."""
        if not isinstance(text, str):
            raise TypeError("a text is needed")
        with suppress(queue.Full):
            self._waiting.put_nowait(text)
        return len(text)

    def finish(self) -> None:
        """Wait until all is written, but not for ever: a busy disk has longer than a pipe that nobody may read."""
        is_file = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        end = time.monotonic() + (_LAST_SECONDS_OF_FILES if is_file else _LAST_SECONDS)
        with self._waiting.all_tasks_done:
            while self._waiting.unfinished_tasks and (left := end - time.monotonic()) > 0:
                self._waiting.all_tasks_done.wait(left)

    def _run(self) -> None:
        """The thread: write what comes."""
        while True:
            with suppress(OSError):
                _write(self._descriptor, self._waiting.get().encode(errors="backslashreplace"))
            self._waiting.task_done()


def _write(descriptor: int, data: bytes) -> None:
    """Write all of it."""
    while data:
        data = data[os.write(descriptor, data) :]


class Files:
    """The files that standard output and error go to, if they are files: taken anew once they were rotated."""

    def __init__(self) -> None:
        self._files: Final = {number: (path, _mode_of(number)) for number in _OUTPUT if (path := _path_of(number))}
        self._other: Reopening | None = None

    def keep_opening(self) -> None:
        """Have them opened by another process from now on, for this one is to be confined."""
        if self._files:
            self._other = Reopening(self._files)

    def renew(self) -> None:
        """Go on in the files that are now where they were; one that cannot be opened stays as it is."""
        for number, (path, mode) in self._files.items():
            with suppress(OSError):
                opened = self._other.open(number) if self._other else os.open(path, CREATED, mode)
                try:
                    os.dup2(opened, number)
                finally:
                    os.close(opened)


def _path_of(number: int) -> Path | None:
    """Where the regular file of a descriptor is; None where there is none."""
    try:
        path, ours = Path(f"/proc/self/fd/{number}").readlink(), os.fstat(number)
        return path if stat.S_ISREG(ours.st_mode) and os.path.samestat(path.stat(), ours) else None
    except OSError:
        return None


def _mode_of(number: int) -> int:
    """What may be done with the file of a descriptor."""
    return stat.S_IMODE(os.fstat(number).st_mode)


def serving(files: Files | None = None) -> Files:
    """Become a process that serves, before anything else: nothing that happens to its output ends or holds it.

    SIGUSR1 and SIGUSR2 do nothing, nor does SIGHUP until somebody listens to it (`signals`). Gives the files of its
    output.

    Args:
        files: of the output, where they are known already.

    Raises:
        NightsafeError: STORE, when the system does not allow the threads that serving takes.
    """
    need_threads()
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, _nothing)
    for name, descriptor in zip(("stdout", "stderr"), _OUTPUT, strict=True):
        sink = Sink(descriptor)
        setattr(sys, name, sink)
        atexit.register(sink.finish)
    return files or Files()


def _nothing(_: int, __: object) -> None:
    """A signal that does nothing. Programs that are started from here do as they please with it."""


_NEEDED: Final = 8
"""Threads of `serve` beside the main one: two for output, three of the store, the rest of the server's library."""


def need_threads() -> None:
    """Start as many threads as serving takes, and let them end.

    Raises:
        NightsafeError: STORE, when the system does not allow so many.
    """
    enough, started = threading.Event(), list[threading.Thread]()
    try:
        for _ in range(_NEEDED):
            thread = threading.Thread(target=enough.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:
        from nightsafe.store.sqlite.store import NO_THREAD  # noqa: PLC0415 - only for the refusal

        raise NightsafeError(Code.STORE, NO_THREAD) from None
    finally:
        enough.set()
        for thread in started:
            with suppress(RuntimeError):
                thread.join()
