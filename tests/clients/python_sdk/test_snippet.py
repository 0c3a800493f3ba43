"""The documentation's call, in a process that is configured by environment variables only."""

import subprocess
import sys
from pathlib import Path

from cloudflare import Cloudflare
from tests.server import ACCOUNT, Server, clean_environ

EXAMPLE = Path(__file__).parents[3] / "examples" / "get_secret_binding"
SCRIPT = "this-is_my_script-01"


def snippet(cwd: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run the documentation's code to its end."""
    return subprocess.run(
        [sys.executable, str(EXAMPLE / "snippet.py")],
        cwd=cwd,
        env=clean_environ(**environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_snippet_prints_the_secret_without_its_value(server: Server, client: Cloudflare, tmp_path: Path) -> None:
    """The snippet prints the secret's name and type, and never its value."""
    client.workers.scripts.update(
        SCRIPT,
        account_id=ACCOUNT,
        metadata={"main_module": "worker.js"},
        files=[("worker.js", b"export default {};", "application/javascript+module")],
    )
    client.workers.scripts.secrets.update(
        SCRIPT, account_id=ACCOUNT, name="mySecret", text="never-to-be-printed", type="secret_text"
    )

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
