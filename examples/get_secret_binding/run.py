"""Reads a secret with the official SDK. Environment variables alone point the SDK at a temporary server.

Deletes the safe at the end, so that the first safe that you keep is the one that `nightsafe init` makes.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
NIGHTSAFE = [sys.executable, "-m", "nightsafe"]
ACCOUNT_ID = "023e105f4ecef8ad9ca31a8372d0c353"
PLAIN = {name: value for name, value in os.environ.items() if not name.startswith(("CLOUDFLARE_", "NIGHTSAFE_"))}
"""The environment without variables that would point the server or its clients at another safe."""


def main() -> None:
    """Make a safe, serve it, make the call, stop the server, and print the next step."""
    with tempfile.TemporaryDirectory() as name:
        data = ("--data", str(Path(name) / "safe"))
        made = subprocess.run(
            [*NIGHTSAFE, "init", *data, "--account-id", ACCOUNT_ID, "--json"],
            cwd=name,
            env=PLAIN,
            stdout=subprocess.PIPE,
            check=False,
        )
        if made.returncode:
            sys.exit(made.returncode)
        serve = [*NIGHTSAFE, "serve", *data, "--port", "0"]
        server = subprocess.Popen(serve, cwd=name, env=PLAIN, stdout=subprocess.PIPE, text=True)
        try:
            use(server, json.loads(made.stdout)["api_token"])
        finally:
            server.send_signal(signal.SIGTERM)
            code = server.wait()
    if code:
        sys.exit(code)
    print(f"\nNext, make a safe that you keep: {command()} init")


def use(server: "subprocess.Popen[str]", token: str) -> None:
    """Upload a script with secrets, then get one of them.

    Args:
        server: the `nightsafe serve` process; its first line of output ends with its URL.
        token: an API token of the account.
    """
    line = server.stdout.readline() if server.stdout else ""
    if not line:
        sys.exit(server.wait())
    environment = PLAIN | {"CLOUDFLARE_API_TOKEN": token, "CLOUDFLARE_BASE_URL": line.split()[-1]}
    for job in ("prepare.py", "snippet.py"):
        subprocess.run([sys.executable, str(HERE / job)], env=environment, check=True)


def command() -> str:
    """Return the path of the `nightsafe` command, relative to the working directory where possible."""
    nightsafe = Path(sys.executable).parent / "nightsafe"
    return str(nightsafe.relative_to(Path.cwd()) if nightsafe.is_relative_to(Path.cwd()) else nightsafe)


if __name__ == "__main__":
    main()
