"""A folder with a Worker in it, and wrangler at work there."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct
from tests.clients.node.tools import wrangler
from tests.clients.opened import opened
from tests.clients.wire.talk import SCRIPTS, Wire
from tests.server import Server

CODE = 'export default { fetch() { return new Response("hello"); } };\n'
BUNDLED = b'return new Response("hello");'
DATE = "2024-01-01"
T = TypeVar("T")

HUSH = "hush"
"""What is in the value of every secret here, and in nothing that wrangler says."""


class Said(Struct, frozen=True):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def everything(self) -> str:
        """Both outputs."""
        return self.out + self.err

    @property
    def json(self) -> Any:
        """What it printed, which is JSON and nothing else."""
        return json.loads(self.out)


def together(*jobs: Callable[[], T]) -> list[T]:
    """Commands that do not depend on one another, two at a time: each is most of all the start of Node."""
    with ThreadPoolExecutor(2) as two:
        return [running.result() for running in [two.submit(job) for job in jobs]]


class Project:
    """A Worker's folder, and what the server has of that Worker.

    Attributes:
        server: whom wrangler asks.
        folder: where it runs.
        version: of wrangler.
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
        """Asks the server past wrangler, on a connection of its own: between commands it would be idle too long."""
        self._wire.hang_up()
        return self._wire

    @property
    def at(self) -> str:
        """The Worker's path."""
        return f"{SCRIPTS}/{self.worker}"

    def write(self, name: str, content: str | bytes) -> None:
        """Put a file into the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def configure(self, **fields: object) -> None:
        """Write the configuration anew: name, entry point, date, and these."""
        config = {"name": self.worker, "main": "index.js", "compatibility_date": DATE, **fields}
        self.write("wrangler.json", json.dumps({name: value for name, value in config.items() if value is not None}))

    def run(self, *arguments: str, stdin: str = "", **environ: str) -> Said:
        """One command with the owner's token, however it ends."""
        safe = self.server.safe
        credentials = {"CLOUDFLARE_API_TOKEN": safe.api_token, "CLOUDFLARE_ACCOUNT_ID": safe.account_id}
        environ = {name: value for name, value in (credentials | environ).items() if value}
        done = wrangler(self.server, self.folder, *arguments, version=self.version, stdin=stdin, **environ)
        said = Said(done.returncode, done.stdout, done.stderr)
        assert HUSH not in said.everything
        return said

    def ok(self, *arguments: str, stdin: str = "", **environ: str) -> Said:
        """One command that must succeed."""
        said = self.run(*arguments, stdin=stdin, **environ)
        assert said.code == 0, said.everything
        return said

    def refused(self, *arguments: str, stdin: str = "", **environ: str) -> Said:
        """One command that must fail, with wrangler's own way to say so."""
        said = self.run(*arguments, stdin=stdin, **environ)
        assert said.code == 1, said.everything
        return said

    def upload(self, *bindings: object) -> str:
        """Put a Worker there past wrangler, for tests of something else; gives its version's id."""
        assert self.wire.upload(self.worker, *bindings).status == 200
        version_id: str = self.versions()[0]["id"]
        return version_id

    def get(self, path: str) -> Any:
        """The result of a GET below the Worker's path."""
        return self.wire.ask("GET", self.at + path).result

    def is_there(self) -> bool:
        """Whether the server has the Worker."""
        return self.worker in {script["id"] for script in self.wire.ask("GET", SCRIPTS).result}

    def bindings(self) -> dict[str, dict[str, Any]]:
        """The newest version's bindings by name."""
        return {binding["name"]: binding for binding in self.get("/settings")["bindings"]}

    def files(self) -> dict[str, bytes]:
        """The newest version's files, by their type."""
        answer = self.wire.ask("GET", f"{self.at}/content/v2?version={self.versions()[0]['id']}")
        content_type = answer.header("content-type")
        assert content_type is not None
        if not content_type.startswith("multipart/"):
            return {content_type: answer.body}
        form = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + answer.body)
        parts = [part for part in form.walk() if not part.is_multipart()]
        return {part.get_content_type(): bytes(part.get_payload(decode=True)) for part in parts}

    def values(self, number: int | None = None) -> dict[str, str]:
        """The values of the secret texts of a version, by its number; of the newest, if none is given."""
        return opened(self.server.safe, self.worker, version=number)

    def versions(self) -> list[dict[str, Any]]:
        """Every version, newest first."""
        items: list[dict[str, Any]] = self.get("/versions")["items"]
        return items

    def deployments(self) -> list[dict[str, Any]]:
        """Every deployment, newest first."""
        every: list[dict[str, Any]] = self.get("/deployments")["deployments"]
        return every

    def served(self) -> dict[str, float]:
        """The versions that are served, by id, with their percentages."""
        return {one["version_id"]: one["percentage"] for one in self.deployments()[0]["versions"]}
