"""The example of the documentation does what it says."""

import hashlib
import hmac
import subprocess
import sys
from pathlib import Path

from tests.clients.node.tools import NEWER
from tests.clients.wire.talk import SCRIPTS, Wire
from tests.clients.wrangler.project import Project
from tests.live.tools.running import Run, surroundings
from tests.server import clean_environ

EXAMPLE = Path(__file__).parents[2] / "examples" / "worker_with_a_secret"


def line(greeting: str, path: str) -> str:
    """Return the Worker's answer."""
    return f"{greeting}, {path} is signed {hmac.digest(bytes(32), path.encode(), hashlib.sha256).hex()}"


def test_the_example_prints_the_worker_s_answers(tmp_path: Path) -> None:
    """The SDK uploads and changes the Worker, which has both secrets, and the new value at the next request."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLE / "run.py")],
        cwd=tmp_path,
        env=clean_environ(**surroundings()),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert 0 == done.returncode, done.stderr
    assert [line("hello", "/first"), line("good night", "/second")] == done.stdout.splitlines()[2:]


def test_the_quick_start_works_by_wrangler(live: Run, wire: Wire, tmp_path: Path) -> None:
    """Wrangler deploys the same Worker with the example's own configuration."""
    project = Project(live, wire, tmp_path, NEWER, "greeter")
    for name in ("worker.js", "wrangler.json"):
        project.write(name, (EXAMPLE / name).read_bytes())
    project.ok("deploy")
    project.ok("secret", "put", "GREETING", stdin="hello")
    assert "hello\n" == live.workers.text("greeter")
    algorithm = {"name": "HMAC", "hash": "SHA-256"}
    key = {"name": "SIGNING_KEY", "type": "secret_key", "format": "raw", "algorithm": algorithm, "usages": ["sign"]}
    assert 200 == wire.send("PUT", f"{SCRIPTS}/greeter/secrets", key | {"key_base64": "A" * 43 + "="}).status

    assert line("hello", "/x") + "\n" == live.workers.text("greeter", "/x")
