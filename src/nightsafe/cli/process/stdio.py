"""Standard output and error of a server process: they never block it, and are reopened after a log rotation."""

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

from nightsafe.cli.process.reopening import CREATED, FileReopener
from nightsafe.errors import Code, NightsafeError

_MAX_QUEUED: Final = 10_000
_LAST_SECONDS: Final = 1.0
_LAST_SECONDS_OF_FILES: Final = 10.0
_OUTPUT: Final = (1, 2)


class Sink(io.TextIOBase):
    """A text stream that writes to a descriptor in the background, and drops text if its queue is full.

    A full disk, a pipe that is not read and a closed pipe therefore never disturb the writer.

    Args:
        descriptor: number of the descriptor.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor: Final = descriptor
        self._queue: queue.Queue[str] = queue.Queue(_MAX_QUEUED)
        threading.Thread(target=self._run, name="nightsafe-output", daemon=True).start()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # the base class has a variable
        """The encoding, which is always UTF-8."""
        return "utf-8"

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def write(self, text: str, /) -> int:
        """Queue a text. Refuse bytes like any text stream, because click detects text streams by trying."""
        if not isinstance(text, str):
            raise TypeError("a text is needed")
        with suppress(queue.Full):
            self._queue.put_nowait(text)
        return len(text)

    def finish(self) -> None:
        """Wait until everything is written, for at most 10 s for a file, and 1 s otherwise."""
        is_file = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        end = time.monotonic() + (_LAST_SECONDS_OF_FILES if is_file else _LAST_SECONDS)
        with self._queue.all_tasks_done:
            while self._queue.unfinished_tasks and (left := end - time.monotonic()) > 0:
                self._queue.all_tasks_done.wait(left)

    def _run(self) -> None:
        """In the thread: write the queued texts."""
        while True:
            with suppress(OSError):
                _write(self._descriptor, self._queue.get().encode(errors="backslashreplace"))
            self._queue.task_done()


def _write(descriptor: int, data: bytes) -> None:
    """Write all bytes."""
    while data:
        data = data[os.write(descriptor, data) :]


class OutputFiles:
    """The regular files that standard output and error go to, which can be reopened after a rotation."""

    def __init__(self) -> None:
        self._files: Final = {number: (path, _mode_of(number)) for number in _OUTPUT if (path := _path_of(number))}
        self._reopener: FileReopener | None = None

    def start_reopener(self) -> None:
        """Start a helper process that opens the files, because this process will be confined."""
        if self._files:
            self._reopener = FileReopener(self._files)

    def renew(self) -> None:
        """Reopen the files by path. If a file cannot be opened, keep the old one."""
        for number, (path, mode) in self._files.items():
            with suppress(OSError):
                opened = self._reopener.open(number) if self._reopener else os.open(path, CREATED, mode)
                try:
                    os.dup2(opened, number)
                finally:
                    os.close(opened)


def _path_of(number: int) -> Path | None:
    """Return the path of a descriptor's regular file, or None."""
    try:
        path, status = Path(f"/proc/self/fd/{number}").readlink(), os.fstat(number)
        return path if stat.S_ISREG(status.st_mode) and os.path.samestat(path.stat(), status) else None
    except OSError:
        return None


def _mode_of(number: int) -> int:
    """Return the mode of a descriptor's file."""
    return stat.S_IMODE(os.fstat(number).st_mode)


def set_up_output(files: OutputFiles | None = None) -> OutputFiles:
    """Set up the output of a server process, before anything else. Trouble with the output never stops the process.

    SIGUSR1 and SIGUSR2 then do nothing, and SIGHUP does nothing until `handle_signals` handles it.

    Args:
        files: the files of the output if they are known already, or None.

    Returns:
        The files of the output.

    Raises:
        NightsafeError: STORE, if the system does not permit the threads that serving needs.
    """
    require_threads()
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, _ignore_signal)
    for name, descriptor in zip(("stdout", "stderr"), _OUTPUT, strict=True):
        sink = Sink(descriptor)
        setattr(sys, name, sink)
        atexit.register(sink.finish)
    return files or OutputFiles()


def _ignore_signal(_: int, __: object) -> None:
    """Ignore a signal. Unlike SIG_IGN, a handler is not inherited by child programs."""


_NEEDED_THREADS: Final = 8
"""Threads of `serve` beside the main one: two for output, three for the store, the rest for the server's library."""


def require_threads() -> None:
    """Check that the system permits as many threads as serving needs, by starting and ending them.

    Raises:
        NightsafeError: STORE, if the system does not permit them.
    """
    all_started, started = threading.Event(), list[threading.Thread]()
    try:
        for _ in range(_NEEDED_THREADS):
            thread = threading.Thread(target=all_started.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:
        from nightsafe.store.sqlite.store import NO_THREAD  # only for the refusal

        raise NightsafeError(Code.STORE, NO_THREAD) from None
    finally:
        all_started.set()
        for thread in started:
            with suppress(RuntimeError):
                thread.join()
