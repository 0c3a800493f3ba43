"""The main job from nothing: a safe, a server, and the official SDK set up by environment variables alone."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NIGHTSAFE = [sys.executable, "-m", "nightsafe"]
ACCOUNT_ID = "023e105f4ecef8ad9ca31a8372d0c353"
DAY = 24 * 60 * 60


def command(*arguments: str) -> dict[str, str]:
    """Run a nightsafe command and give the JSON it prints."""
    done = subprocess.run([*NIGHTSAFE, *arguments, "--json"], stdout=subprocess.PIPE, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    printed: dict[str, str] = json.loads(done.stdout)
    return printed


def token_for(data: Path) -> str:
    """A token for the account of the documentation's example, in a safe that is made if there is none."""
    if not (data / "nightsafe.db").exists():
        print(f"no safe in {data} yet: making one")
        return command("init", "--data", str(data), "--account-id", ACCOUNT_ID)["api_token"]
    arguments = ("--account-id", ACCOUNT_ID, "--name", "example", "--expires-in", str(DAY))
    return command("token", "create", "--data", str(data), *arguments)["api_token"]


def main() -> None:
    """Serve, run the job, stop, and say how to go on."""
    data = Path(os.environ.get("NIGHTSAFE_DATA", ".nightsafe"))
    token = token_for(data)
    server = subprocess.Popen(
        [*NIGHTSAFE, "serve", "--data", str(data), "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        line = server.stdout.readline() if server.stdout else ""
        if not line:
            sys.exit(server.wait())
        base_url = line.split()[-1]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CLOUDFLARE_")}
        environment |= {"CLOUDFLARE_API_TOKEN": token, "CLOUDFLARE_BASE_URL": base_url}
        for job in ("prepare.py", "snippet.py"):
            subprocess.run([sys.executable, str(HERE / job)], env=environment, check=True)
    finally:
        server.send_signal(signal.SIGTERM)
        code = server.wait()
    if code:
        sys.exit(code)
    nightsafe = Path(sys.executable).parent / "nightsafe"
    shown = nightsafe.relative_to(Path.cwd()) if nightsafe.is_relative_to(Path.cwd()) else nightsafe
    print(f"\nTo go on: {shown} serve --data {data}   (http://127.0.0.1:8787/client/v4)")
    print(f"export CLOUDFLARE_BASE_URL=http://127.0.0.1:8787/client/v4 CLOUDFLARE_API_TOKEN={token}")


if __name__ == "__main__":
    main()
