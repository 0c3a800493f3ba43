"""`nightsafe` commands as processes of their own that import nothing: each is forked from one that has imported all.

Most of what a short command takes is the import of its modules, and the tests run more than a thousand. Whatever is
about the start itself, terminals, signals, servers, or arguments that others see runs `python -m nightsafe` instead.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NoReturn

_SERVE: Final = (sys.executable, "-c", "import tests.warm; tests.warm.serve()")
_ROOT: Final = Path(__file__).parents[1]
_PARTS: Final = 5
_TEXT: Final = (("r", "surrogateescape"), ("w", "surrogateescape"), ("w", "backslashreplace"))  # as in UTF-8 locales


def run(
    *arguments: str, cwd: Path, environ: Mapping[str, str], stdin: bytes, seconds: float
) -> subprocess.CompletedProcess[bytes]:
    """One command to its end, as `subprocess.run` does it with its output captured.

    Where the environment tells the interpreter something else than it tells this one, a new one is started.

    Args:
        arguments: after `nightsafe`.
        cwd: where it runs.
        environ: its whole environment.
        stdin: what it reads.
        seconds: after which it is killed.

    Raises:
        subprocess.TimeoutExpired: when it was.
    """
    if _told(environ) != _told(os.environ):
        command = [sys.executable, "-m", "nightsafe", *arguments]
        return subprocess.run(
            command, cwd=cwd, env=environ, input=stdin, capture_output=True, timeout=seconds, check=False
        )
    with ExitStack() as stack:
        order, given, output, error = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(4))
        order.write(json.dumps([arguments, str(cwd), dict(environ)]).encode())
        given.write(stdin)
        for written in (order, given):
            written.seek(0)
        ending, ended = (stack.enter_context(os.fdopen(end, mode)) for end, mode in zip(os.pipe(), "rw", strict=True))
        socket.send_fds(_warm(), [b"run"], [one.fileno() for one in (order, given, output, error, ended)])
        ended.close()
        pid = int(ending.readline())
        if not select.select([ending], [], [], seconds)[0]:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(arguments, seconds)
        code = int(ending.readline())
        for read in (output, error):
            read.seek(0)
        return subprocess.CompletedProcess(arguments, code, output.read(), error.read())


def _told(environ: Mapping[str, str]) -> dict[str, str]:
    """What an environment tells an interpreter."""
    return {name: value for name, value in environ.items() if name.startswith("PYTHON")}


@functools.cache
def _warm() -> socket.socket:
    """The end at which commands are ordered; the process at the other ends when this one has."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with there:
        process = subprocess.Popen(
            _SERVE, cwd=_ROOT, stdin=there.fileno(), env=os.environ | {"PYTHONPATH": str(_ROOT)}
        )
    atexit.register(process.wait)
    atexit.register(here.close)
    return here


def serve() -> None:
    """Import all that a command can need, then fork for each that is ordered, until nobody can order any more."""
    import nightsafe  # noqa: PLC0415 - this is the process that runs it, the one that orders need not

    for module in pkgutil.walk_packages(nightsafe.__path__, "nightsafe."):
        if not module.name.endswith(("__main__", "pytest_plugin")):
            importlib.import_module(module.name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=os.dup(0)) as orders:
        while True:
            _, parts, *_ = socket.recv_fds(orders, 8, _PARTS)
            if not parts:
                return
            if not os.fork():
                break
            for part in parts:
                os.close(part)
    _wait_for(*parts)


def _wait_for(order: int, given: int, output: int, error: int, ended: int) -> None:
    """Tell the id of a process that becomes the command, and how it ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if not pid:
        os.close(ended)
        _end_by(functools.partial(_become, order, given, output, error))
    os.write(ended, f"{pid}\n".encode())
    os.write(ended, f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n".encode())
    os._exit(0)


def _end_by(main: Callable[[], None]) -> NoReturn:
    """End this process as an interpreter ends, but for taking down all that was imported: that takes the longest."""
    try:
        main()
    except SystemExit as leaving:
        if not isinstance(leaving.code, int):
            raise
        threading._shutdown()  # type: ignore[attr-defined]  # what an interpreter does first
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(leaving.code)
    sys.exit()


def _become(order: int, *standard: int) -> None:
    """Be the command, as it would be had it just begun."""
    with os.fdopen(order) as asked:
        arguments, cwd, environ = json.load(asked)
    for number, descriptor in enumerate(standard):
        os.dup2(descriptor, number)
        os.close(descriptor)
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
