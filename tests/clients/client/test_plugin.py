"""The pytest plugin, used by the tests of another project."""

import subprocess
import sys
from pathlib import Path

from tests.server import clean_environ

TESTS = """
import os, urllib.request

def test_a_client(nightsafe):
    client = nightsafe.client()
    assert [nightsafe.account_id] == [account.id for account in client.accounts.list()]
    assert "active" == client.user.tokens.verify().status
    client.close()

async def test_an_asynchronous_client(nightsafe):
    async with nightsafe.async_client() as client:
        assert nightsafe.email == (await client.user.get()).email

def test_other_accounts(nightsafe):
    other = nightsafe.new_account()
    assert other.account_id != nightsafe.account_id
    with other.client() as client:
        assert [other.account_id] == [account.id for account in client.accounts.list()]

def test_the_environment(nightsafe, monkeypatch):
    for name in ("CLOUDFLARE_API_KEY", "CLOUDFLARE_EMAIL"):
        monkeypatch.delenv(name)
    for name, shown in nightsafe.environ.items():
        monkeypatch.setenv(name, shown)
    from nightsafe.client import Nightsafe
    with Nightsafe() as client:
        assert client.base_url == nightsafe.base_url

def test_it_shows_no_credential(nightsafe):
    assert nightsafe.api_token not in repr(nightsafe)
    assert nightsafe.api_key not in repr(nightsafe)
    assert nightsafe.base_url.startswith("http://127.0.0.1:")
    assert os.path.isdir(nightsafe.data)
    with open("base_url", "w") as file:
        file.write(nightsafe.base_url)
"""
HIDE = """
import importlib.util, sys
_find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "granian" else _find(name, *more)
"""


def run(folder: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run pytest in a folder and capture its output."""
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--asyncio-mode=auto",
            "--rootdir",
            str(folder),
        ],
        cwd=folder,
        env=clean_environ(**environ),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_fixture_provides_a_server(tmp_path: Path) -> None:
    """The fixture's name is enough to get a server for both clients, which stops at the end."""
    (tmp_path / "test_theirs.py").write_text(TESTS)

    environ_of_another = {
        "CLOUDFLARE_API_KEY": "not-ours",
        "CLOUDFLARE_EMAIL": "not@ours",
        "CLOUDFLARE_API_TOKEN": "not-ours",
    }
    done = run(tmp_path, NIGHTSAFE_PORT="1", **environ_of_another)

    assert (0, "5 passed") == (done.returncode, done.stdout.splitlines()[-1].partition(" in ")[0]), done.stdout
    port = (tmp_path / "base_url").read_text().split(":")[2].partition("/")[0]
    listening = Path("/proc/net/tcp").read_text()
    assert f"0100007F:{int(port):04X} 00000000:0000 0A" not in listening


def test_a_missing_server_package_is_named(tmp_path: Path) -> None:
    """A test that uses the fixture fails with the missing package and the command that installs it."""
    (tmp_path / "conftest.py").write_text(HIDE)
    (tmp_path / "test_theirs.py").write_text("def test_it(nightsafe):\n    pass\n")

    done = run(tmp_path)

    assert 1 == done.returncode
    assert "not installed: granian; run: pip install 'nightsafe[server]'" in done.stdout


def test_the_unused_plugin_imports_nothing(tmp_path: Path) -> None:
    """A test that does not use the fixture loads neither the client nor the server."""
    (tmp_path / "test_theirs.py").write_text(
        "import sys\n\ndef test_it():\n    assert {'nightsafe.client', 'granian'}.isdisjoint(sys.modules)\n"
    )

    done = run(tmp_path)

    assert 0 == done.returncode, done.stdout
