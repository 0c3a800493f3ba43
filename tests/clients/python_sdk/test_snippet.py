"""The documentation's call, in a process that is configured by environment variables only."""

import subprocess
from pathlib import Path

from cloudflare import Cloudflare
from tests.clients.snippet import SNIPPET, put_documented_secret, run_program
from tests.server import Server, clean_environ


def snippet(cwd: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run the documentation's code to its end."""
    return run_program(SNIPPET, cwd, clean_environ(**environ))


def test_the_snippet_prints_the_secret_without_its_value(server: Server, client: Cloudflare, tmp_path: Path) -> None:
    """The snippet prints the secret's name and type, and never its value."""
    put_documented_secret(client)

    done = snippet(tmp_path, CLOUDFLARE_API_TOKEN=server.safe.api_token, CLOUDFLARE_BASE_URL=server.base_url)

    assert (done.returncode, done.stderr) == (0, "")
    assert "name='mySecret'" in done.stdout
    assert "type='secret_text'" in done.stdout
    assert "never-to-be-printed" not in done.stdout


def test_the_snippet_with_an_unknown_token_fails(server: Server, tmp_path: Path) -> None:
    """The snippet fails with PermissionDeniedError."""
    done = snippet(tmp_path, CLOUDFLARE_API_TOKEN="nst_unknown", CLOUDFLARE_BASE_URL=server.base_url)

    assert done.returncode == 1
    assert "PermissionDeniedError: Error code: 403" in done.stderr
