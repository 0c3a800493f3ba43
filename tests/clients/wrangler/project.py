"""A folder with a Worker in it, and wrangler commands that run there."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct
from tests.clients.node.tools import wrangler
from tests.clients.stored_values import opened
from tests.clients.wire.talk import SCRIPTS, Wire
from tests.server import Server

CODE = 'export default { fetch() { return new Response("hello"); } };\n'
BUNDLED = b'return new Response("hello");'
DATE = "2024-01-01"
T = TypeVar("T")

HUSH = "hush"
"""Part of the value of every secret in these tests; no output of wrangler may contain it."""


class Output(Struct, frozen=True):
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    @property
    def everything(self) -> str:
        """Return standard output and standard error together."""
        return self.out + self.err

    @property
    def json(self) -> Any:
        """Return standard output, which must be JSON and nothing else."""
        return json.loads(self.out)


def together(*jobs: Callable[[], T]) -> list[T]:
    """Run independent commands, two at a time, since each is mostly the start of Node."""
    with ThreadPoolExecutor(2) as pool:
        return [running.result() for running in [pool.submit(job) for job in jobs]]


class Project:
    """A Worker's folder, and the state of that Worker on the server.

    Attributes:
        server: the server that wrangler uses.
        folder: wrangler's working directory.
        version: wrangler's version.
        worker: the Worker's name.
    """

    def __init__(self, server: Server, wire: Wire, folder: Path, version: str, worker: str) -> None:
        self.server = server
        self._wire = wire
        self.folder = folder
        self.version = version
        self.worker = worker
        self.configure()
        self.write("index.js", CODE)

    @property
    def wire(self) -> Wire:
        """A client beside wrangler, with a new connection each time: an open one would be idle too long."""
        self._wire.hang_up()
        return self._wire

    @property
    def at(self) -> str:
        """The Worker's path in the API."""
        return f"{SCRIPTS}/{self.worker}"

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file into the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def configure(self, **fields: object) -> None:
        """Replace the configuration: name, entry point, date, and these fields."""
        config = {"name": self.worker, "main": "index.js", "compatibility_date": DATE, **fields}
        self.write("wrangler.json", json.dumps({name: value for name, value in config.items() if value is not None}))

    def run(self, *arguments: str, stdin: str = "", **environ: str) -> Output:
        """Run a command with the owner's token; return its exit code and output."""
        safe = self.server.safe
        credentials = {"CLOUDFLARE_API_TOKEN": safe.api_token, "CLOUDFLARE_ACCOUNT_ID": safe.account_id}
        environ = {name: value for name, value in (credentials | environ).items() if value}
        done = wrangler(self.server, self.folder, *arguments, version=self.version, stdin=stdin, **environ)
        output = Output(done.returncode, done.stdout, done.stderr)
        assert HUSH not in output.everything
        return output

    def ok(self, *arguments: str, stdin: str = "", **environ: str) -> Output:
        """Run a command that must succeed."""
        output = self.run(*arguments, stdin=stdin, **environ)
        assert output.code == 0, output.everything
        return output

    def refused(self, *arguments: str, stdin: str = "", **environ: str) -> Output:
        """Run a command that must fail with exit code 1."""
        output = self.run(*arguments, stdin=stdin, **environ)
        assert output.code == 1, output.everything
        return output

    def upload(self, *bindings: object) -> str:
        """Upload the Worker without wrangler, for tests of something else; return its version's id."""
        assert self.wire.upload(self.worker, *bindings).status == 200
        version_id: str = self.versions()[0]["id"]
        return version_id

    def get(self, path: str) -> Any:
        """Return the result of a GET below the Worker's path."""
        return self.wire.ask("GET", self.at + path).result

    def is_there(self) -> bool:
        """Return True if the server has the Worker."""
        return self.worker in {script["id"] for script in self.wire.ask("GET", SCRIPTS).result}

    def bindings(self) -> dict[str, dict[str, Any]]:
        """Return the newest version's bindings by name."""
        return {binding["name"]: binding for binding in self.get("/settings")["bindings"]}

    def files(self) -> dict[str, bytes]:
        """Return the newest version's files by content type."""
        answer = self.wire.ask("GET", f"{self.at}/content/v2?version={self.versions()[0]['id']}")
        content_type = answer.header("content-type")
        assert content_type is not None
        if not content_type.startswith("multipart/"):
            return {content_type: answer.body}
        form = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + answer.body)
        parts = [part for part in form.walk() if not part.is_multipart()]
        return {part.get_content_type(): bytes(part.get_payload(decode=True)) for part in parts}

    def values(self, number: int | None = None) -> dict[str, str]:
        """Return the secret texts of a version, by default the newest."""
        return opened(self.server.safe, self.worker, version=number)

    def versions(self) -> list[dict[str, Any]]:
        """Return every version, newest first."""
        items: list[dict[str, Any]] = self.get("/versions")["items"]
        return items

    def deployments(self) -> list[dict[str, Any]]:
        """Return every deployment, newest first."""
        items: list[dict[str, Any]] = self.get("/deployments")["deployments"]
        return items

    def served(self) -> dict[str, float]:
        """Return the deployed versions by id, with their percentages."""
        return {version["version_id"]: version["percentage"] for version in self.deployments()[0]["versions"]}
