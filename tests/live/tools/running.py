"""API, delivery and workerd as users run them: real processes, started and stopped from outside."""

import atexit
import functools
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from tests.clients.wire.talk import SCRIPTS, Answer, Wire, form
from tests.delivery.runtime import workerd
from tests.server import NIGHTSAFE, Safe, Server, run

HELLO = b"export default { fetch(request, env) { return new Response(env.TOKEN); } };"
DATE = "2026-04-01"
_SECONDS = 60.0
_PAUSE = 0.02


class Workers:
    """A client of delivered scripts, on kept connections."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)

    def get(self, script: str, path: str = "/", headers: Mapping[str, str] | None = None) -> httpx.Response:
        """Send a GET request to a script by its host name."""
        return self.client.get(path, headers={"host": f"{script}.localhost:{self.port}", **(headers or {})})

    def text(self, script: str, path: str = "/") -> str:
        """Return a script's answer, which must be a 200."""
        answer = self.get(script, path)
        assert 200 == answer.status_code, answer.text
        return answer.text


class Delivering(Server):
    """A process that delivers. It has a `Workers` once it has started."""

    workers: Workers

    def wait(self) -> int:
        """Do as `Server.wait`, and close the client's connections."""
        if hasattr(self, "workers"):
            self.workers.client.close()
        return super().wait()

    def _is_ready(self, line: str) -> bool:
        """Note either address; return whether both are known."""
        if not line.startswith("delivering on "):
            super()._is_ready(line)
            return False
        self.base_url = self.base_url or line
        self.workers = Workers(int(line.split()[2].rsplit(":", 1)[1]))
        return True

    def child(self, word: str) -> int:
        """Return the id of the child process with this word in its command line."""
        return min(self.all_children(word))

    def all_children(self, word: str) -> set[int]:
        """Return the ids of the child processes with this word in their command lines."""
        return {pid for pid in children(self.pid) if word.encode() in _command_line(pid)}


class Run(Delivering):
    """`nightsafe run`."""

    def __init__(
        self, safe: Safe, *options: str, environ: Mapping[str, str] | None = None, cold: bool = False
    ) -> None:
        found = surroundings() | dict(environ or {})
        super().__init__(safe, "--listen", "127.0.0.1:0", *options, environ=found, command="run", cold=cold)


class Deliver(Delivering):
    """`nightsafe deliver` in its own folder, with its own token.

    Args:
        safe: the safe with the scripts; only the two files that delivery needs are copied from it.
        api: the API's address.
        folder: a directory to create.
        options: further options of the command.
    """

    def __init__(self, safe: Safe, api: str, folder: Path, *options: str) -> None:
        folder.mkdir(exist_ok=True)
        super().__init__(safe, environ=surroundings(), command="deliver")
        for path in (safe.private_ring, safe.path / "keys" / "verify-keys.json"):
            shutil.copy(path, folder)
        self.folder = folder
        self.stdout, self.stderr = folder / "stdout.log", folder / "stderr.log"
        token_file = folder / "token"
        token_file.touch(0o600)
        token_file.write_text(new_token(safe))
        ring, keys = folder / "private-ring.json", folder / "verify-keys.json"
        own = ("--api", api, "--token-file", token_file, "--private-ring", ring, "--verify-keys", keys)
        self._command = [*self._command[: self._command.index("--data")], *map(str, own)]
        self._command += ["--listen", "127.0.0.1:0", *options]

    @property
    def marks(self) -> int:
        """Return the highest serial that the marks file has."""
        serials: dict[str, int] = json.loads((self.folder / "delivery-marks.json").read_text())["serials"]
        return max(serials.values())

    def accept_restore(self) -> str:
        """Run `nightsafe delivery accept-restore` with this process's files; return what it says."""
        at = self._command.index("--listen")
        own = self._command[len(NIGHTSAFE) + 1 : at]
        none = self.folder / "none"
        done = run("delivery", "accept-restore", *own, "--data", str(none), "--yes", cwd=self.folder)
        return done.stderr

    def problems(self) -> list[str]:
        """Return the reasons of the problems in the log."""
        lines = [json.loads(line) for line in self.stderr.read_text().splitlines() if line.startswith("{")]
        return [line["reason"] for line in lines if line["event"] == "delivery.problem"]


@functools.cache
def surroundings() -> dict[str, str]:
    """Return the variables for the runtime and for a folder for sockets, which is removed after the tests."""
    folder = tempfile.mkdtemp(prefix="ns-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return {"WORKERD_BIN": str(workerd()), "XDG_RUNTIME_DIR": folder}


def new_token(safe: Safe, *options: str) -> str:
    """Return a token that may only deliver."""
    group = ("--permission", "Nightsafe Delivery")
    done = run("token", "create", "--data", str(safe.path), *group, *options, cwd=safe.path.parent)
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip()


def children(pid: int) -> Iterator[int]:
    """Yield the ids of a process's children."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):  # the thread has ended meanwhile
            yield from map(int, (task / "children").read_text().split())


def _command_line(pid: int) -> bytes:
    """Return a process's command line with spaces between its words, or nothing when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    except OSError:
        return b""


def events(server: Server, name: str) -> list[dict[str, Any]]:
    """Return the log events of one kind."""
    lines = [line for line in server.stderr.read_text().splitlines(keepends=True) if line.startswith("{")]
    return [event for line in lines if line.endswith("\n") and (event := json.loads(line))["event"] == name]


def alive(pid: int) -> bool:
    """Return whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(holds: Callable[[], Any], seconds: float = _SECONDS) -> Any:
    """Wait until a condition holds, and return what it returns."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, "the condition did not hold in time"
        time.sleep(_PAUSE)
    return found


def attempt(wire: Wire, script: str, code: bytes = HELLO, *bindings: object, **metadata: object) -> Answer:
    """PUT a script of one module; return the answer, accepted or refused."""
    fields = {"main_module": "worker.js", "bindings": bindings, "compatibility_date": DATE, **metadata}
    content_type, body = form({"metadata": json.dumps(fields).encode()}, code)
    return wire.ask("PUT", f"{SCRIPTS}/{script}", body, [("Content-Type", content_type)])


def upload(wire: Wire, script: str, code: bytes = HELLO, *bindings: object, **metadata: object) -> Answer:
    """PUT a script of one module, which must be accepted."""
    answer = attempt(wire, script, code, *bindings, **metadata)
    assert 200 == answer.status, answer.body
    return answer


def put(wire: Wire, script: str, name: str, value: str) -> None:
    """PUT a secret text."""
    answer = wire.put(script, name, value)
    assert 200 == answer.status, answer.body


def secret(name: str, value: str) -> dict[str, str]:
    """Return a secret text as it is uploaded."""
    return {"type": "secret_text", "name": name, "text": value}


@contextmanager
def wire_of(server: Server) -> Iterator[Wire]:
    """Yield a client with the owner's token on the bare wire."""
    with Wire.to(server) as wire:
        yield wire


def files_in(folder: Path) -> dict[str, bytes]:
    """Return the content of every file of a folder."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def memory_of(pid: int) -> Iterator[bytes]:
    """Yield the writable memory of a process, part by part."""
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in maps:
            span, modes, *_ = line.split()
            if not modes.startswith("rw"):
                continue
            first, last = (int(end, 16) for end in span.split("-"))
            try:
                memory.seek(first)
                yield os.read(memory.fileno(), last - first)
            except (OSError, ValueError, OverflowError):
                continue
