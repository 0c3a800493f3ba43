"""A pytest plugin: the fixture `nightsafe` is a running server with an account and a token.

    def test_it(nightsafe):
        client = nightsafe.client()
        client.accounts.get(account_id=nightsafe.account_id)

It needs the server: `pip install 'nightsafe[server]'`. The server is started at the first test that asks for it, is
shared by the session, listens on a free port of the loopback interface, and is gone at the end.
"""

import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from nightsafe.client import AsyncNightsafe, Nightsafe

_NEEDED = ("click", "cryptography", "granian", "starlette", "structlog", "uvloop")
_START_SECONDS = 30
_STOP_SECONDS = 30
_SETTINGS = ("NIGHTSAFE_", "CLOUDFLARE_")


@dataclass(frozen=True)
class RunningNightsafe:
    """A running server, and the credentials of one of its accounts."""

    base_url: str
    """What clients are set up with, with `/client/v4` at its end."""
    data: Path
    """Its data directory."""
    account_id: str
    """32 hex digits."""
    api_token: str = field(repr=False)
    """A token for everything in the account."""
    email: str
    """The owner's e-mail."""
    api_key: str = field(repr=False)
    """The owner's Global API key."""

    @property
    def environ(self) -> dict[str, str]:
        """Variables that set up the official SDKs and wrangler for this account, and which ring to seal to."""
        return {
            "CLOUDFLARE_API_TOKEN": self.api_token,
            "CLOUDFLARE_ACCOUNT_ID": self.account_id,
            "CLOUDFLARE_BASE_URL": self.base_url,
            "CLOUDFLARE_API_BASE_URL": self.base_url,
            "NIGHTSAFE_PUBLIC_RING": str(self._public_ring),
        }

    def client(self, **settings: Any) -> "Nightsafe":
        """A client of this account; `settings` are those of `Nightsafe`."""
        from nightsafe.client import Nightsafe  # noqa: PLC0415 - a plugin is loaded by every run of pytest

        return Nightsafe(**{**self._settings(), **settings})

    def async_client(self, **settings: Any) -> "AsyncNightsafe":
        """An asynchronous client of this account; `settings` are those of `AsyncNightsafe`."""
        from nightsafe.client import AsyncNightsafe  # noqa: PLC0415 - the same

        return AsyncNightsafe(**{**self._settings(), **settings})

    def _settings(self) -> dict[str, Any]:
        """A client's settings, whatever credentials the environment of the tests holds."""
        from nightsafe.client.settings import token_alone  # noqa: PLC0415 - the same

        return {**token_alone(self.api_token), "base_url": self.base_url, "public_ring": self._public_ring}

    @property
    def _public_ring(self) -> Path:
        """The server's own ring: nothing is sealed to another, or remembered of its port."""
        return self.data / "keys" / "public-ring.json"

    def new_account(self) -> "RunningNightsafe":
        """Another account on the same server, with nothing in it."""
        email = f"owner-{os.urandom(8).hex()}@nightsafe.local"
        made = _command("account", "create", "--data", str(self.data), "--email", email)
        return RunningNightsafe(base_url=self.base_url, data=self.data, **made)


@pytest.fixture(scope="session")
def nightsafe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNightsafe]:
    """A running server with an account and a token, shared by the session; see `RunningNightsafe`."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.fail(
            f"the fixture 'nightsafe' runs a server; not installed: {', '.join(missing)}; "
            "run: pip install 'nightsafe[server]'",
            pytrace=False,
        )
    folder = tmp_path_factory.mktemp("nightsafe")
    data = folder / "safe"
    made = _command("init", "--data", str(data))
    log = folder / "server.log"
    process = _serve(data, log)
    try:
        yield RunningNightsafe(base_url=_address(process, log), data=data, **made)
    finally:
        _stop(process)


def _environ() -> dict[str, str]:
    """This process's environment without what would set up the server or its clients."""
    return {name: shown for name, shown in os.environ.items() if not name.startswith(_SETTINGS)}


def _command(*arguments: str) -> dict[str, str]:
    """What a `nightsafe` command prints as JSON."""
    done = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-m", "nightsafe", *arguments, "--json"],
        env=_environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_START_SECONDS,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"nightsafe {arguments[0]} failed: {done.stderr}", pytrace=False)
    printed: dict[str, str] = json.loads(done.stdout)
    return printed


def _serve(data: Path, log: Path) -> "subprocess.Popen[str]":
    """A server that is about to listen on a free port."""
    options = ("--data", str(data), "--port", "0", "--auth-failures", "0")
    with log.open("wb") as stderr:
        return subprocess.Popen(  # noqa: S603 - this interpreter
            [sys.executable, "-m", "nightsafe", "serve", *options],
            cwd=data.parent,
            env=_environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )


def _address(process: "subprocess.Popen[str]", log: Path) -> str:
    """Where a server listens, once it does. It prints one line, ever."""
    said: list[str] = []
    stdout = process.stdout
    assert stdout is not None  # noqa: S101 - it was asked for
    waiting = threading.Thread(target=lambda: said.append(stdout.readline()), daemon=True)
    waiting.start()
    waiting.join(_START_SECONDS)
    if not said or not said[0]:
        pytest.fail(f"the server did not start: {log.read_text()}", pytrace=False)
    return said[0].split()[-1]


def _stop(process: "subprocess.Popen[str]") -> None:
    """End this process, and no other."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
