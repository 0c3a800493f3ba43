"""A real server process with a safe of its own, started and stopped from outside."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from msgspec import Struct
from tests import forked_commands

ACCOUNT = "023e105f4ecef8ad9ca31a8372d0c353"
NIGHTSAFE = (sys.executable, "-m", "nightsafe")

_START_SECONDS = 60
_STOP_SECONDS = 60
_COMMAND_SECONDS = 120


class Safe(Struct, frozen=True, kw_only=True):
    """A data directory, and the credentials that were printed when it was created."""

    path: Path
    account_id: str
    api_token: str
    email: str
    api_key: str

    @property
    def database(self) -> Path:
        """Return the database file."""
        return self.path / "nightsafe.db"

    @property
    def private_ring(self) -> Path:
        """Return the file that opens every value."""
        return self.path / "delivery" / "private-ring.json"


def clean_environ(**extra: str) -> dict[str, str]:
    """Return this process's environment without settings of the server or its clients, and with `extra`.

    No process remembers recipient rings, because one server after another has the same address.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NIGHTSAFE_", "CLOUDFLARE_"))}
    return kept | {"NIGHTSAFE_KNOWN_RINGS": ":memory:"} | extra


def run(*arguments: str, cwd: Path, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run one `nightsafe` command to its end."""
    done = forked_commands.run(
        *arguments, cwd=cwd, environ=clean_environ(**(environ or {})), stdin=b"", seconds=_COMMAND_SECONDS
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def make_safe(folder: Path, account_id: str = ACCOUNT, url: str | None = None) -> Safe:
    """Create a safe in a folder by `nightsafe init`, with an SQLite file or in the database of a URL."""
    path = folder / "safe"
    environ = {} if url is None else {"NIGHTSAFE_STORE": url}
    done = run("init", "--data", str(path), "--account-id", account_id, "--json", cwd=folder, environ=environ)
    assert (0, "") == (done.returncode, done.stderr)
    return Safe(path=path, **json.loads(done.stdout))


class Server:
    """`nightsafe serve` on a free loopback port; it runs inside a `with` block, and must end with code 0.

    Args:
        safe: the safe that it serves.
        options: further arguments of `serve`.
        environ: further environment variables.
        python: further arguments of the interpreter.
        command: the command to run instead of `serve`.
        cold: whether to start a new interpreter instead of forking one that has imported everything.
    """

    def __init__(
        self,
        safe: Safe,
        *options: str,
        environ: Mapping[str, str] | None = None,
        python: Sequence[str] = (),
        command: str = "serve",
        cold: bool = False,
    ) -> None:
        self.safe = safe
        self.stdout = safe.path.parent / "stdout.log"
        self.stderr = safe.path.parent / "stderr.log"
        self.port = 0
        self.base_url = ""
        self._command = [sys.executable, *python, *NIGHTSAFE[1:], command, "--data", str(safe.path), *options]
        self._command += ["--port", "0"]
        self._environ = clean_environ(**(environ or {}))
        self._cold = cold or bool(python) or not forked_commands.can_start(self._environ)
        self._process: subprocess.Popen[bytes] | forked_commands.Started | None = None
        self._pump: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server in any state."""
        if self._process is None:
            return
        code = self.stop()
        if kind is None:
            assert code == 0, self.stderr.read_text()

    @property
    def pid(self) -> int:
        """Return the process's id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the process and wait until it says where it listens. Its output is appended to the two files."""
        said = threading.Event()
        reading, writing = os.pipe()
        with (
            self.stderr.open("ab") as stderr,
            os.fdopen(writing, "wb") as stdout,
            Path(os.devnull).open("rb") as stdin,
        ):
            self._process = self._started(stdin, stdout, stderr)
        self._pump = threading.Thread(target=self._copy_stdout, args=(os.fdopen(reading, "rb"), said), daemon=True)
        self._pump.start()
        if not said.wait(_START_SECONDS) or not self.base_url:
            self.kill()
            raise AssertionError(f"the server did not start: {self.stderr.read_text()}")

    def _started(
        self, stdin: IO[bytes], stdout: IO[bytes], stderr: IO[bytes]
    ) -> "subprocess.Popen[bytes] | forked_commands.Started":
        """Start the process with this input, output and errors."""
        cwd = self.safe.path.parent
        if not self._cold:
            standard = (stdin.fileno(), stdout.fileno(), stderr.fileno())
            return forked_commands.start(
                *self._command[len(NIGHTSAFE) :], cwd=cwd, environ=self._environ, standard=standard
            )
        return subprocess.Popen(self._command, cwd=cwd, env=self._environ, stdin=stdin, stdout=stdout, stderr=stderr)

    def start_at(self, port: int) -> None:
        """Start the server on this port."""
        before, self._command = self._command, [*self._command, "--port", str(port)]
        self.start()
        self._command = before

    def close(self) -> None:
        """Stop the server if it runs; the exit code must be 0."""
        self.__exit__(None, None, None)

    def _copy_stdout(self, stdout: IO[bytes], said: threading.Event) -> None:
        """Copy what the process prints to the file, and read from the first lines where it listens."""
        with stdout, self.stdout.open("ab") as kept:
            for line in stdout:
                kept.write(line)
                kept.flush()
                if not said.is_set() and self._is_ready(line.decode()):
                    said.set()
        said.set()

    def _is_ready(self, line: str) -> bool:
        """Note the address in a line; return whether that is all to wait for."""
        self.base_url = line.rsplit(maxsplit=1)[-1]
        self.port = int(self.base_url.rsplit(":", 1)[1].split("/")[0])
        return True

    def terminate(self) -> None:
        """Ask the process to end, without waiting."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """Ask the process to end; return the exit code."""
        self.terminate()
        return self.wait()

    def kill(self) -> None:
        """End the process at once, by SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self.wait()

    def wait(self) -> int:
        """Wait until the process has ended; return the exit code."""
        process, pump = self._process, self._pump
        assert process is not None
        assert pump is not None
        try:
            code = process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        pump.join(_STOP_SECONDS)
        self._process, self.base_url, self.port = None, "", 0
        return code
