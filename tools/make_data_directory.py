"""Makes a data directory with an older version of Nightsafe: `tests/data_directories/schema-NN.tar.xz`.

    .venv/bin/python tools/make_data_directory.py COMMIT

The program takes the source of a commit from git, and runs its commands and its server with this interpreter and its
libraries. A request or command that the version does not know is skipped, and printed.

The archive has the data directory `safe`, with the private ring, and `expected.json`: the credentials, the secrets of
each script by name and kind, and every value in Base64. All of them are made up.
"""

import base64
import io
import json
import os
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
ACCOUNT: Final = "023e105f4ecef8ad9ca31a8372d0c353"
KEY: Final = bytes(range(32))
BOUNDARY: Final = "nightsafe-boundary"


class OlderVersion:
    """An older version of Nightsafe with a data directory.

    Args:
        folder: an empty folder.
        commit: the version.

    Attributes:
        data: the data directory.
        values: every value that was put, in Base64, by its name.
    """

    def __init__(self, folder: Path, commit: str) -> None:
        self.data: Final = folder / "safe"
        self.values: Final[dict[str, list[str]]] = {}
        self._folder: Final = folder
        self._environ: Final = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(folder / "src")}
        self._url = self._token = ""
        git = ["git", "-C", str(ROOT), "archive", commit, "src"]
        source = subprocess.run(git, check=True, capture_output=True)
        with tarfile.open(fileobj=io.BytesIO(source.stdout)) as archive:
            archive.extractall(folder, filter="data")

    def command(self, *arguments: str) -> str:
        """Run a command on the data directory; return its output, or "" if this version refuses it."""
        done = subprocess.run(
            [sys.executable, "-m", "nightsafe", *arguments, "--data", str(self.data)],
            cwd=self._folder,
            env=self._environ,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            print("skipped:", *arguments, done.stderr.strip().splitlines()[-1])
        return "" if done.returncode else done.stdout

    @contextmanager
    def served(self, token: str) -> Iterator[None]:
        """Serve the safe, for calls with this token."""
        line = [sys.executable, "-m", "nightsafe", "serve", "--data", str(self.data), "--port", "0"]
        with subprocess.Popen(line, cwd=self._folder, env=self._environ, stdout=subprocess.PIPE, text=True) as server:
            self._url, self._token = next(iter(server.stdout or ())).split()[-1], token
            yield
            server.terminate()

    def call(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """Send a request for the account; return its result, or None if this version refuses it."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": content_type}
        url = f"{self._url}/accounts/{ACCOUNT}{path}"
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - our own server
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310 - the same
                return json.load(answer)["result"]
        except urllib.error.HTTPError as error:
            print("skipped:", method, path, error.code, json.load(error)["errors"])
            return None

    def upload(self, script: str, secrets: dict[str, str], *bindings: dict[str, str]) -> None:
        """Upload a script with secrets and other bindings; the secrets that it has stay."""
        texts = [{"type": "secret_text", "name": name, "text": text} for name, text in secrets.items()]
        metadata = {
            "main_module": "worker.js",
            "compatibility_date": "2024-09-23",
            "keep_bindings": ["secret_text", "secret_key"],
            "bindings": [*texts, *bindings],
        }
        code = f"export default {{}}; // {len(self.values)}"
        body = "".join(
            f"--{BOUNDARY}\r\nContent-Disposition: form-data; {name}\r\nContent-Type: {kind}\r\n\r\n{text}\r\n"
            for name, kind, text in (
                ('name="metadata"', "application/json", json.dumps(metadata)),
                ('name="worker.js"; filename="worker.js"', "application/javascript+module", code),
            )
        )
        kind = f"multipart/form-data; boundary={BOUNDARY}"
        if self.call("PUT", script, f"{body}--{BOUNDARY}--\r\n".encode(), kind) is not None:
            for name, text in secrets.items():
                self.keep(name, text.encode())

    def put(self, script: str, name: str, text: str) -> None:
        """Put a secret text."""
        body = {"name": name, "type": "secret_text", "text": text}
        if self.call("PUT", f"{script}/secrets", body) is not None:
            self.keep(name, text.encode())

    def keep(self, name: str, value: bytes) -> None:
        """Note a value that was put."""
        self.values.setdefault(name, []).append(base64.b64encode(value).decode())


def fill(older: OlderVersion) -> None:
    """Make scripts with versions, and collections with items."""
    worker = "/workers/scripts/worker"
    older.upload(worker, {"UPLOADED": "with the script"}, {"type": "plain_text", "name": "PLAIN", "text": "shown"})
    older.put(worker, "TEXT", "the first text")
    older.put(worker, "TEXT", "the second text")
    key = {
        "name": "KEY",
        "type": "secret_key",
        "algorithm": {"name": "HMAC", "hash": "SHA-256"},
        "format": "raw",
        "usages": ["sign", "verify"],
        "key_base64": base64.b64encode(KEY).decode(),
    }
    if older.call("PUT", f"{worker}/secrets", key) is not None:
        older.keep("KEY", KEY)
    older.upload("/workers/scripts/second", {"OTHER": "of another script"})
    if older.call("POST", "/workers/dispatch/namespaces", {"name": "team"}) is not None:
        older.upload("/workers/dispatch/namespaces/team/scripts/member", {"MEMBER": "in a namespace"})
    page = {"env_vars": {"PAGE": {"type": "secret_text", "value": "of a page"}}}
    project = {"name": "site", "production_branch": "main", "deployment_configs": {"production": page}}
    if older.call("POST", "/pages/projects", project) is not None:
        older.keep("PAGE", b"of a page")
    store = older.call("POST", "/secrets_store/stores", {"name": "shared"})
    if store is not None:
        stored = {"name": "STORED", "value": "in the store", "scopes": ["workers"]}
        older.call("POST", f"/secrets_store/stores/{store['id']}/secrets", [stored])
        older.keep("STORED", b"in the store")
        bound = {"type": "secrets_store_secret", "name": "BOUND", "store_id": store["id"], "secret_name": "STORED"}
        older.upload(worker, {}, bound)


def split(older: OlderVersion) -> None:
    """Deploy two versions of a script."""
    versions = older.call("GET", "/workers/scripts/worker/versions")
    if versions is not None:
        newest, before, *_ = [version["id"] for version in versions["items"]]
        shares = [{"version_id": newest, "percentage": 75}, {"version_id": before, "percentage": 25}]
        body = {"strategy": "percentage", "versions": shares}
        older.call("POST", "/workers/scripts/worker/deployments?force=true", body)


def rotate(older: OlderVersion) -> None:
    """Make a new primary key, and retire the key before."""
    ring = json.loads((older.data / "keys" / "public-ring.json").read_bytes())
    if older.command("keys", "rotate", "--json"):
        older.command("keys", "retire", ring["keys"][0]["id"], "--in-use", "--json")


def make(folder: Path, commit: str) -> dict[str, Any]:
    """Make the data directory, and return what a test expects in it."""
    older = OlderVersion(folder, commit)
    expected = json.loads(older.command("init", "--account-id", ACCOUNT, "--json"))
    older.command("user", "create", "--email", "second@nightsafe.local", "--account-id", ACCOUNT)
    older.command("account", "create", "--name", "Second", "--email", "second@nightsafe.local")
    with older.served(expected["api_token"]):
        fill(older)
    rotate(older)
    with older.served(expected["api_token"]):
        older.put("/workers/scripts/worker", "TEXT", "the third text")
        split(older)
        scripts = ["/workers/scripts/worker", "/workers/scripts/second"]
        if "MEMBER" in older.values:
            scripts.append("/workers/dispatch/namespaces/team/scripts/member")
        expected["secrets"] = {script: older.call("GET", f"{script}/secrets") for script in scripts}
    with closing(sqlite3.connect(older.data / "nightsafe.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        expected["schema"] = db.execute("PRAGMA user_version").fetchone()[0]
    return {**expected, "commit": commit, "values": older.values}


def main() -> None:
    """Make the archive of a commit's version."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        expected = make(folder, sys.argv[1])
        (folder / "expected.json").write_text(json.dumps(expected, indent=1))
        path = ROOT / "tests" / "data_directories" / f"schema-{expected['schema']:02}.tar.xz"
        with tarfile.open(path, "w:xz", preset=9) as archive:
            for part in ("expected.json", "safe"):
                archive.add(folder / part, part, filter=as_anybody)
    print(path, path.stat().st_size)


def as_anybody(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Return a member of an archive without its owner. Files that only a running server needs are left out."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return None if member.name.endswith(("-wal", "-shm", ".lock")) else member


if __name__ == "__main__":
    main()
