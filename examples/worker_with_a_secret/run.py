"""Runs a Worker with secrets: makes a safe, starts `nightsafe run`, uploads with the official SDK, sends requests."""

import base64
import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from cloudflare import Cloudflare

HERE = Path(__file__).parent
NIGHTSAFE = [sys.executable, "-m", "nightsafe"]
SCRIPT = "greeter"
KEY = {
    "type": "secret_key",
    "name": "SIGNING_KEY",
    "format": "raw",
    "algorithm": {"name": "HMAC", "hash": "SHA-256"},
    "usages": ["sign"],
    "key_base64": base64.b64encode(bytes(32)).decode(),
}


def main() -> None:
    """Make a temporary safe, run Nightsafe with it, and use it."""
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "safe"
        made = subprocess.run([*NIGHTSAFE, "init", "--data", str(data), "--json"], capture_output=True, check=True)
        ports = ("--port", "0", "--listen", "127.0.0.1:0")
        running = subprocess.Popen(
            [*NIGHTSAFE, "run", "--data", str(data), *ports], stdout=subprocess.PIPE, text=True
        )
        try:
            use(running, json.loads(made.stdout))
        finally:
            running.send_signal(signal.SIGTERM)
            code = running.wait()
    sys.exit(code)


def use(running: "subprocess.Popen[str]", credentials: dict[str, str]) -> None:
    """Upload the Worker, send it a request, change a secret, and send another request.

    Args:
        running: the `nightsafe run` process; its first two lines of output name the URLs of the API and the Workers.
        credentials: the JSON that `nightsafe init` printed.
    """
    lines = [running.stdout.readline() if running.stdout else "" for _ in range(2)]
    if not all(lines):
        sys.exit(running.wait())
    print("".join(lines), end="")
    base_url, workers = lines[0].split()[-1], lines[1].split()[2]
    account = credentials["account_id"]
    with Cloudflare(api_token=credentials["api_token"], base_url=base_url) as client:
        metadata = {
            "main_module": "worker.js",
            "compatibility_date": "2026-04-01",
            "bindings": [{"type": "secret_text", "name": "GREETING", "text": "hello"}, KEY],
        }
        files = [("worker.js", (HERE / "worker.js").read_bytes(), "application/javascript+module")]
        client.workers.scripts.update(SCRIPT, account_id=account, metadata=metadata, files=files)  # type: ignore[arg-type]
        print(ask(workers, "/first"), end="")
        client.workers.scripts.secrets.update(
            SCRIPT, account_id=account, name="GREETING", text="good night", type="secret_text"
        )
        print(ask(workers, "/second"), end="")


def ask(workers: str, path: str) -> str:
    """Return the Worker's answer, like `curl http://greeter.localhost:PORT/path`."""
    port = workers.rsplit(":", 1)[1]
    request = urllib.request.Request(workers + path, headers={"Host": f"{SCRIPT}.localhost:{port}"})  # noqa: S310
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own address
        body: bytes = answer.read()
    return body.decode()


if __name__ == "__main__":
    os.environ.pop("CLOUDFLARE_BASE_URL", None)
    main()
