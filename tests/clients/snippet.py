"""The code of the API's documentation: the secret that it reads, and its run as a program."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.server import ACCOUNT

SNIPPET = Path(__file__).parents[2] / "examples" / "get_secret_binding" / "snippet.py"
_SCRIPT = "this-is_my_script-01"


def put_documented_secret(client: Any) -> None:
    """Put the script and the secret that the snippet reads; the value is `never-to-be-printed`."""
    client.workers.scripts.update(
        _SCRIPT,
        account_id=ACCOUNT,
        metadata={"main_module": "worker.js"},
        files=[("worker.js", b"export default {};", "application/javascript+module")],
    )
    client.workers.scripts.secrets.update(
        _SCRIPT, account_id=ACCOUNT, name="mySecret", text="never-to-be-printed", type="secret_text"
    )


def run_program(
    program: Path, cwd: Path, environ: dict[str, str], *options: str
) -> "subprocess.CompletedProcess[str]":
    """Run a program with options of the interpreter to its end."""
    return subprocess.run(
        [sys.executable, *options, str(program)],
        cwd=cwd,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
