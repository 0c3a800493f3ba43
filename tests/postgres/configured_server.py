"""A PostgreSQL server with the settings that a test needs, for the tests of connections."""

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from tests.postgres.server import as_other_user, free_port, installed

_SUPERUSER: Final = "admin"
_START_SECONDS: Final = 30.0


@cache
def _binaries() -> Path:
    """Return the folder of the server's programs, in a copy that the server's user can read."""
    folder = Path(tempfile.mkdtemp(prefix="ns-pg-bin-"))
    atexit.register(shutil.rmtree, folder)
    shutil.copytree(installed(), folder / "programs", symlinks=True)
    folder.chmod(0o755)
    return folder / "programs" / "bin"


class ConfiguredServer:
    """A server on a free port of loopback and on a Unix socket. `start` starts it, and `stop` stops it.

    Args:
        folder: its folder, which its user can enter.
        settings: its settings.

    Attributes:
        folder: see above.
        port: its port.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder: Final = folder
        self.port: Final = free_port()
        self._settings: Final = {"fsync": "off", "listen_addresses": "127.0.0.1", **settings}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """The data of the server."""
        return self.folder / "data"

    def initialize(self) -> None:
        """Make an empty database cluster."""
        self._run(
            "initdb", "-D", str(self.data), "-U", _SUPERUSER, "-A", "trust", "--no-sync", "--no-locale", "-EUTF8"
        )

    def follow(self, primary: "ConfiguredServer") -> None:
        """Become a standby of another server, which has the same user."""
        self._run("pg_basebackup", "-D", str(self.data), "-R", "-c", "fast", "-N", "-d", primary.url(_SUPERUSER))

    def admit(self, *lines: str) -> None:
        """Replace the rules of pg_hba.conf; the superuser is always admitted at the socket."""
        rules = "\n".join([f"local all {_SUPERUSER} trust", "local replication all trust", *lines, ""])
        (self.data / "pg_hba.conf").write_text(rules)

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        arguments = [f"-c{name}={value}" for name, value in self._settings.items()]
        program = [str(_binaries() / "postgres"), "-D", str(self.data), "-p", str(self.port), "-k", str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*program, *arguments], stdin=subprocess.DEVNULL, stderr=log, cwd=self.folder, **as_other_user()
            )
        deadline = time.monotonic() + _START_SECONDS
        while subprocess.run(self._program("pg_isready", "-q", "-h", str(self.folder)), check=False).returncode:
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def signal(self, number: int) -> None:
        """Send a signal to the server's main process."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        """Stop the server at once."""
        if self._process is not None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    def execute(self, sql: str, database: str = "postgres") -> str:
        """Execute statements as the superuser. Return what they print."""
        command = self._program("psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-h", str(self.folder), "-U", _SUPERUSER)
        done = subprocess.run([*command, "-d", database], input=sql, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def url(self, user: str = _SUPERUSER, database: str = "postgres", **parameters: str) -> str:
        """Return the URL of a database at the Unix socket."""
        query = "".join(f"&{name}={value}" for name, value in parameters.items())
        return f"postgresql://{user}@/{database}?host={self.folder}&port={self.port}{query}"

    def _program(self, name: str, *arguments: str) -> list[str]:
        """Return the command line of a program for this server."""
        return [str(_binaries() / name), "-p", str(self.port), *arguments]

    def _run(self, name: str, *arguments: str) -> None:
        """Run a program as the server's user."""
        command = [str(_binaries() / name), *arguments]
        done = subprocess.run(command, capture_output=True, check=False, cwd=self.folder, **as_other_user())
        assert done.returncode == 0, done.stderr.decode()


@contextmanager
def folder_of_server() -> Iterator[Path]:
    """Yield a folder for a server, whose path is short enough for Unix sockets."""
    folder = Path(tempfile.mkdtemp(prefix="ns-pg-"))
    for name, number in as_other_user().items():
        if name == "user":
            os.chown(folder, number, -1)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def running_server(**settings: str) -> Iterator[ConfiguredServer]:
    """Yield a new server that runs."""
    with folder_of_server() as folder:
        server = ConfiguredServer(folder, settings)
        server.initialize()
        server.start()
        try:
            yield server
        finally:
            server.stop()
