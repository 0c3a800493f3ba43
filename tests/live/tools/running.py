"""API, delivery and workerd as their users run them: real processes, started and stopped from outside."""

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
from tests.delivery.scene import workerd
from tests.server import Safe, Server, run

HELLO = b"export default { fetch(request, env) { return new Response(env.TOKEN); } };"
DATE = "2026-04-01"
_SECONDS = 60.0
_PAUSE = 0.02


class Workers:
    """A client of what is delivered, on connections that it keeps."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)

    def get(self, script: str, path: str = "/", headers: Mapping[str, str] | None = None) -> httpx.Response:
        """Ask a script by its host name."""
        return self.client.get(path, headers={"host": f"{script}.localhost:{self.port}", **(headers or {})})

    def text(self, script: str, path: str = "/") -> str:
        """What a script answers, which must be 200."""
        answer = self.get(script, path)
        assert 200 == answer.status_code, answer.text
        return answer.text


class Delivering(Server):
    """A process that delivers. It has a `Workers` once it has started."""

    workers: Workers

    def wait(self) -> int:
        """As `Server.wait`; the client's connections are closed too."""
        if hasattr(self, "workers"):
            self.workers.client.close()
        return super().wait()

    def _is_ready(self, line: str) -> bool:
        """Take up either address."""
        if not line.startswith("delivering on "):
            super()._is_ready(line)
            return False
        self.base_url = self.base_url or line
        self.workers = Workers(int(line.split()[2].rsplit(":", 1)[1]))
        return True

    def child(self, word: str) -> int:
        """The id of the child process with this word in its command line."""
        return min(self.all_children(word))

    def all_children(self, word: str) -> set[int]:
        """The ids of the child processes with this word in their command lines."""
        return {pid for pid in children(self.pid) if word.encode() in _command_line(pid)}


class Run(Delivering):
    """`nightsafe run`."""

    def __init__(self, safe: Safe, *options: str, environ: Mapping[str, str] | None = None) -> None:
        found = surroundings() | dict(environ or {})
        super().__init__(safe, "--listen", "127.0.0.1:0", *options, environ=found, command="run")


class Deliver(Delivering):
    """`nightsafe deliver` in a folder of its own, with a token of its own.

    Args:
        safe: whose scripts; only the two files that delivery needs are taken from it.
        api: the API's address.
        folder: a directory to make.
        options: further ones.
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
        """The highest audit number it has seen, as its file has it."""
        serials: dict[str, int] = json.loads((self.folder / "delivery-marks.json").read_text())["serials"]
        return max(serials.values())

    def problems(self) -> list[str]:
        """The reasons it has logged."""
        lines = [json.loads(line) for line in self.stderr.read_text().splitlines() if line.startswith("{")]
        return [line["reason"] for line in lines if line["event"] == "delivery.problem"]


@functools.cache
def surroundings() -> dict[str, str]:
    """The variables by which the runtime and a place for sockets are found; the place is gone after the tests."""
    folder = tempfile.mkdtemp(prefix="ns-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return {"WORKERD_BIN": str(workerd()), "XDG_RUNTIME_DIR": folder}


def new_token(safe: Safe, *options: str) -> str:
    """A token that may deliver and nothing else."""
    group = ("--permission", "Nightsafe Delivery")
    done = run("token", "create", "--data", str(safe.path), *group, *options, cwd=safe.path.parent)
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip()


def children(pid: int) -> Iterator[int]:
    """The ids of a process's children."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):  # a thread that has ended meanwhile
            yield from map(int, (task / "children").read_text().split())


def _command_line(pid: int) -> bytes:
    """A process's command line with spaces between; nothing when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    except OSError:
        return b""


def events(server: Server, name: str) -> list[dict[str, Any]]:
    """What a process has logged of one kind."""
    lines = [line for line in server.stderr.read_text().splitlines(keepends=True) if line.startswith("{")]
    return [told for line in lines if line.endswith("\n") and (told := json.loads(line))["event"] == name]


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(holds: Callable[[], Any], seconds: float = _SECONDS) -> Any:
    """Wait until something holds, and give it."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, "it did not come to hold"
        time.sleep(_PAUSE)
    return found


def attempt(wire: Wire, script: str, code: bytes = HELLO, *bindings: object, **metadata: object) -> Answer:
    """PUT a script of one module, whatever comes of it."""
    fields = {"main_module": "worker.js", "bindings": bindings, "compatibility_date": DATE, **metadata}
    content_type, body = form({"metadata": json.dumps(fields).encode()}, code)
    return wire.ask("PUT", f"{SCRIPTS}/{script}", body, [("Content-Type", content_type)])


def upload(wire: Wire, script: str, code: bytes = HELLO, *bindings: object, **metadata: object) -> Answer:
    """PUT a script of one module."""
    answer = attempt(wire, script, code, *bindings, **metadata)
    assert 200 == answer.status, answer.body
    return answer


def put(wire: Wire, script: str, name: str, value: str) -> None:
    """PUT a secret text."""
    answer = wire.put(script, name, value)
    assert 200 == answer.status, answer.body


def secret(name: str, value: str) -> dict[str, str]:
    """A secret text as uploads have it."""
    return {"type": "secret_text", "name": name, "text": value}


@contextmanager
def wire_of(server: Server) -> Iterator[Wire]:
    """The owner, on the bare wire."""
    with Wire.to(server) as wire:
        yield wire


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file of a folder with its content."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def memory_of(pid: int) -> Iterator[bytes]:
    """All that a process has in its writable memory."""
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
