"""The documentation's code, run with the official SDK and with our client in its place."""

import subprocess
from pathlib import Path

import pytest
from tests.clients.snippet import SNIPPET, put_documented_secret, run_program
from tests.server import Server, clean_environ

from nightsafe.client import Nightsafe

IN_PLACE = "from nightsafe.client import Nightsafe as Cloudflare"


@pytest.fixture
def environ(server: Server) -> dict[str, str]:
    """Return an environment that only configures a client."""
    return clean_environ(CLOUDFLARE_API_TOKEN=server.safe.api_token, CLOUDFLARE_BASE_URL=server.base_url)


def run(folder: Path, source: str, environ: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end; a warning is an error."""
    path = folder / "program.py"
    path.write_text(source)
    return run_program(path, folder, environ, "-W", "error")


def test_the_snippet_prints_the_same_with_our_client(
    client: Nightsafe, environ: dict[str, str], tmp_path: Path
) -> None:
    """With one import changed the snippet prints exactly the same and no warning."""
    put_documented_secret(client)
    official = SNIPPET.read_text()
    ours = official.replace("from cloudflare import Cloudflare", IN_PLACE)
    assert IN_PLACE in ours

    printed = [run(tmp_path, source, environ) for source in (official, ours)]

    assert [(0, "")] * 2 == [(done.returncode, done.stderr) for done in printed]
    assert printed[0].stdout == printed[1].stdout
    assert "WorkersBindingKindSecretText(name='mySecret', type='secret_text')\n" == printed[1].stdout


def test_the_snippet_with_an_unknown_token_fails(environ: dict[str, str], tmp_path: Path) -> None:
    """The snippet ends with our subclass of the official SDK's error, and the same status."""
    ours = SNIPPET.read_text().replace("from cloudflare import Cloudflare", IN_PLACE)

    done = run(tmp_path, ours, {**environ, "CLOUDFLARE_API_TOKEN": "nst_unknown"})

    assert 1 == done.returncode
    assert "NotPermittedError: Error code: 403 - 10000 Authentication error" in done.stderr
    assert "nst_unknown" not in done.stderr
