"""A pytest plugin with the fixture `nightsafe`: a running server with an account and a token.

    def test_it(nightsafe):
        client = nightsafe.client()
        client.accounts.get(account_id=nightsafe.account_id)

The fixture needs the server: `pip install 'nightsafe[server]'`. The first test that requests the fixture starts the
server. All tests of the session share it. It listens on a free port of the loopback interface and stops at the end of
the session.
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
    """The base URL for clients; it ends in `/client/v4`."""
    data: Path
    """Its data directory."""
    account_id: str
    """32 hex digits."""
    api_token: str = field(repr=False)
    """A token with all permissions in the account."""
    email: str
    """The owner's e-mail address."""
    api_key: str = field(repr=False)
    """The owner's Global API key."""

    @property
    def environ(self) -> dict[str, str]:
        """Environment variables that point the official SDKs and wrangler at this account, and the key ring."""
        return {
            "CLOUDFLARE_API_TOKEN": self.api_token,
            "CLOUDFLARE_ACCOUNT_ID": self.account_id,
            "CLOUDFLARE_BASE_URL": self.base_url,
            "CLOUDFLARE_API_BASE_URL": self.base_url,
            "NIGHTSAFE_PUBLIC_RING": str(self._public_ring),
        }

    def client(self, **settings: Any) -> "Nightsafe":
        """Return a client of this account; `settings` are passed to `Nightsafe`."""
        from nightsafe.client import Nightsafe  # noqa: PLC0415 - a plugin is loaded by every run of pytest

        return Nightsafe(**{**self._settings(), **settings})

    def async_client(self, **settings: Any) -> "AsyncNightsafe":
        """Return an asynchronous client of this account; `settings` are passed to `AsyncNightsafe`."""
        from nightsafe.client import AsyncNightsafe  # noqa: PLC0415 - the same

        return AsyncNightsafe(**{**self._settings(), **settings})

    def _settings(self) -> dict[str, Any]:
        """Return the client's settings, which ignore credentials in the environment of the tests."""
        from nightsafe.client.settings import only_token  # noqa: PLC0415 - the same

        return {**only_token(self.api_token), "base_url": self.base_url, "public_ring": self._public_ring}

    @property
    def _public_ring(self) -> Path:
        """The server's own public key ring, so that clients use and remember no other for its port."""
        return self.data / "keys" / "public-ring.json"

    def new_account(self) -> "RunningNightsafe":
        """Create another, empty account on the same server and return it."""
        email = f"owner-{os.urandom(8).hex()}@nightsafe.local"
        made = _command("account", "create", "--data", str(self.data), "--email", email)
        return RunningNightsafe(base_url=self.base_url, data=self.data, **made)


@pytest.fixture(scope="session")
def nightsafe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNightsafe]:
    """Run a server with an account and a token, shared by the session; see `RunningNightsafe`."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.fail(
            f"the fixture 'nightsafe' runs a server, and these packages are not installed: {', '.join(missing)}; "
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
    """Return this process's environment without the variables that configure the server or its clients."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}


def _command(*arguments: str) -> dict[str, str]:
    """Run a `nightsafe` command and return the JSON that it prints."""
    process = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-m", "nightsafe", *arguments, "--json"],
        env=_environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_START_SECONDS,
        check=False,
    )
    if process.returncode:
        pytest.fail(f"nightsafe {arguments[0]} failed: {process.stderr}", pytrace=False)
    printed: dict[str, str] = json.loads(process.stdout)
    return printed


def _serve(data: Path, log: Path) -> "subprocess.Popen[str]":
    """Start a server on a free port."""
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
    """Wait for the single line that the server prints, and return the address in it."""
    printed: list[str] = []
    stdout = process.stdout
    assert stdout is not None  # noqa: S101 - `_serve` sets stdout=PIPE
    waiting = threading.Thread(target=lambda: printed.append(stdout.readline()), daemon=True)
    waiting.start()
    waiting.join(_START_SECONDS)
    if not printed or not printed[0]:
        pytest.fail(f"the server did not start: {log.read_text()}", pytrace=False)
    return printed[0].split()[-1]


def _stop(process: "subprocess.Popen[str]") -> None:
    """End this server process."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
