"""The main job from nothing: a safe, a server, and the official SDK set up by environment variables alone.

The safe is gone afterwards, so that `nightsafe init` makes the first one that stays.
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
"""The environment without what would set up the server or its clients for another safe."""


def main() -> None:
    """Make a safe, serve it, run the job, stop, and say how to go on."""
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
    print(f"\nTo go on, with a safe that stays: {command()} init")


def use(server: "subprocess.Popen[str]", token: str) -> None:
    """What goes before the call, and the call."""
    line = server.stdout.readline() if server.stdout else ""
    if not line:
        sys.exit(server.wait())
    environment = PLAIN | {"CLOUDFLARE_API_TOKEN": token, "CLOUDFLARE_BASE_URL": line.split()[-1]}
    for job in ("prepare.py", "snippet.py"):
        subprocess.run([sys.executable, str(HERE / job)], env=environment, check=True)


def command() -> str:
    """How `nightsafe` is called from here."""
    nightsafe = Path(sys.executable).parent / "nightsafe"
    return str(nightsafe.relative_to(Path.cwd()) if nightsafe.is_relative_to(Path.cwd()) else nightsafe)


if __name__ == "__main__":
    main()
