"""`nightsafe` commands as processes that import nothing: each is forked from a process that has imported everything.

Importing modules is most of the work of a short command, and the tests run more than a thousand commands, and
hundreds of servers. Tests of the start itself, or of arguments that others see, run `python -m nightsafe`.
"""

import atexit
import fcntl
import functools
import gc
import importlib
import json
import os
import pkgutil
import select
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final, NoReturn, TextIO

_SERVE: Final = (sys.executable, "-c", "import tests.forked_commands; tests.forked_commands.serve()")
_ROOT: Final = Path(__file__).parents[1]
_PARTS: Final = 5
_ALIKE: Final = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
"""Variables of the interpreter that change nothing in what a command does."""

_TEXT: Final = (
    ("r", "surrogateescape"),
    ("w", "surrogateescape"),
    ("w", "backslashreplace"),
)  # the error handlers of UTF-8 locales


def run(
    *arguments: str, cwd: Path, environ: Mapping[str, str], stdin: bytes, seconds: float
) -> subprocess.CompletedProcess[bytes]:
    """Run one command to its end, as `subprocess.run` does with captured output.

    If the environment configures the interpreter differently than this process's own, a new interpreter is started.

    Args:
        arguments: the arguments after `nightsafe`.
        cwd: the working directory.
        environ: the whole environment of the command.
        stdin: the command's standard input.
        seconds: the time after which the command is killed.

    Raises:
        subprocess.TimeoutExpired: when the command was killed.
    """
    if not can_start(environ):
        command = [sys.executable, "-m", "nightsafe", *arguments]
        return subprocess.run(
            command, cwd=cwd, env=environ, input=stdin, capture_output=True, timeout=seconds, check=False
        )
    with ExitStack() as stack:
        given, output, error = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(3))
        given.write(stdin)
        given.seek(0)
        standard = (given.fileno(), output.fileno(), error.fileno())
        process = start(*arguments, cwd=cwd, environ=environ, standard=standard)
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        for read in (output, error):
            read.seek(0)
        return subprocess.CompletedProcess(arguments, code, output.read(), error.read())


class Started:
    """A running command, with the methods of `subprocess.Popen`."""

    def __init__(self, arguments: tuple[str, ...], ending: TextIO) -> None:
        self._arguments = arguments
        self._ending = ending
        self._code: int | None = None
        self.pid = int(ending.readline())

    def send_signal(self, number: int) -> None:
        """Send the process a signal, unless it has ended."""
        if self._code is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End the process by SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once the process has ended; raise subprocess.TimeoutExpired if it has not by then."""
        if self._code is None:
            if not select.select([self._ending], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self._arguments, timeout or 0)
            with self._ending:
                self._code = int(self._ending.readline())
        return self._code


def start(*arguments: str, cwd: Path, environ: Mapping[str, str], standard: tuple[int, int, int]) -> Started:
    """Start a command.

    Args:
        arguments: the arguments after `nightsafe`.
        cwd: the working directory.
        environ: the whole environment of the command, for which `can_start` is true.
        standard: the descriptors of its standard input, output and errors, which the caller may close; if the input
            is a terminal, the command begins a session in it.
    """
    assert can_start(environ)
    with tempfile.TemporaryFile() as order:
        order.write(json.dumps([arguments, str(cwd), dict(environ)]).encode())
        order.seek(0)
        ending, ended = os.pipe()
        try:
            parts = [order.fileno(), *standard, ended]
            socket.send_fds(_warm(), [b"run"], parts)
        finally:
            os.close(ended)
        return Started(arguments, os.fdopen(ending))


def can_start(environ: Mapping[str, str]) -> bool:
    """Return whether an environment configures the interpreter as this process's own does."""
    return _told(environ) == _told(os.environ)


def _told(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that configure an interpreter."""
    return {name: value for name, value in environ.items() if name.startswith("PYTHON") and name not in _ALIKE}


@functools.cache
def _warm() -> socket.socket:
    """Return the socket that takes orders for commands; the process at the other end ends with this one."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with there:
        process = subprocess.Popen(
            _SERVE, cwd=_ROOT, stdin=there.fileno(), env=os.environ | {"PYTHONPATH": str(_ROOT)}
        )
    atexit.register(process.wait)
    atexit.register(here.close)
    return here


def serve() -> None:
    """Import everything that a command can need, then fork for each order, until nobody can send orders any more."""
    import nightsafe  # noqa: PLC0415 - only this process needs it, not the one that sends the orders

    for module in pkgutil.walk_packages(nightsafe.__path__, "nightsafe."):
        if not module.name.endswith(("__main__", "pytest_plugin")):
            importlib.import_module(module.name)
    sys.path[:] = [
        entry for entry in sys.path if entry not in {"", str(_ROOT)}
    ]  # commands know only what is installed
    gc.freeze()
    with socket.socket(fileno=os.dup(0)) as orders, selectors.DefaultSelector() as selector:
        selector.register(orders, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.data is not None:
                    selector.unregister(key.fd)
                    _report_end(key.fd, *key.data)
                elif not _take_order(orders, selector):
                    return


def _take_order(orders: socket.socket, selector: selectors.BaseSelector) -> bool:
    """Start a command; return False if nobody can send orders any more."""
    _, parts, *_ = socket.recv_fds(orders, 8, _PARTS)
    if not parts:
        return False
    *order, ended = parts
    pid = os.fork()
    if not pid:
        os.close(ended)
        for key in selector.get_map().values():
            os.close(key.fd)
            if key.data is not None:
                os.close(key.data[0])  # another command's end is reported there
        selector.close()
        _end_by(functools.partial(_become, *order))
    for part in order:
        os.close(part)
    os.write(ended, f"{pid}\n".encode())
    selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (ended, pid))
    return True


def _report_end(ending: int, ended: int, pid: int) -> None:
    """Report how a command has ended, unless nobody waits for it any more."""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with suppress(BrokenPipeError):
        os.write(ended, f"{code}\n".encode())
    os.close(ended)
    os.close(ending)


def _end_by(main: Callable[[], None]) -> NoReturn:
    """End this process as an interpreter ends, except for unloading all imported modules, which takes the longest."""
    code: object = None
    try:
        main()
    except SystemExit as leaving:
        code = leaving.code
    if not isinstance(code, int | None):
        sys.stderr.write(f"{code}\n")
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # an interpreter does this first
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


def _become(order: int, *standard: int) -> None:
    """Become the command, as if the process had just begun."""
    with os.fdopen(order) as asked:
        arguments, cwd, environ = json.load(asked)
    for number, descriptor in enumerate(standard):
        os.dup2(descriptor, number)
        os.close(descriptor)
    if os.isatty(0):
        os.setsid()
        take_terminal()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    sys.argv = ["nightsafe", *arguments]
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(number, mode, encoding="utf-8", errors=errors, closefd=False)
        for number, (mode, errors) in enumerate(_TEXT)
    )
    from nightsafe.__main__ import main  # noqa: PLC0415 - no caller of `run` needs it

    main()


def take_terminal() -> None:
    """Make standard input the controlling terminal of this session."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
