"""Data directories that older versions made: `tools/make_data_directory.py`."""

import base64
import json
import sqlite3
import tarfile
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
from msgspec import Struct
from msgspec.structs import replace
from tests.clients.tokens import in_store
from tests.server import Safe, Server, run

from nightsafe.bundle.signed import open_bundle
from nightsafe.bundle.verification import check_stated
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.delivery.load.environment import Environment
from nightsafe.delivery.load.frame import Frame
from nightsafe.sealing.opener import RecordOpener
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.services.audit.older_rows import every_script
from nightsafe.services.delivery.bundles import Bundles
from nightsafe.services.key_rotation.resealing import location_of_value
from nightsafe.store.interface import Store
from nightsafe.store.sealed_values import StoredValue

ARCHIVES = {path.name[7:9]: path for path in (Path(__file__).parent / "data_directories").glob("schema-*.tar.xz")}


class Past(Struct):
    """A data directory of an older version.

    Attributes:
        safe: the directory, with the credentials that were printed when it was made.
        secrets: the secrets of each script, as that version listed them.
        values: every value that was put, in Base64, by its name.
    """

    safe: Safe
    secrets: dict[str, list[dict[str, Any]]]
    values: dict[str, list[str]]

    @property
    def private_ring(self) -> PrivateRing:
        """Return the private ring; early versions kept it beside the other keys."""
        paths = (self.safe.private_ring, self.safe.path / "keys" / "private-ring.json")
        return PrivateRing.load(next(path for path in paths if path.exists()))

    @property
    def verify_keys(self) -> VerifyKeys:
        """Return the keys that verify signatures."""
        return VerifyKeys.load(DataDirectory(self.safe.path).verify_keys)

    def upgrade(self) -> None:
        """Upgrade the schema, as any command does that opens the safe."""
        self.run("token", "refused-rows")

    def run(self, *arguments: str, code: int = 0) -> Any:
        """Run a command on the data directory; it must end with this code. Return the object that it prints."""
        done = run(*arguments, "--data", str(self.safe.path), "--json", cwd=self.safe.path.parent)
        assert code == done.returncode, done.stdout + done.stderr
        return json.loads(done.stdout)


def unpack(schema: str, folder: Path) -> Past:
    """Unpack the data directory of a schema into a folder."""
    with tarfile.open(ARCHIVES[schema]) as archive:
        archive.extractall(folder, filter="tar")
    expected = json.loads((folder / "expected.json").read_bytes())
    names = ("account_id", "api_token", "email", "api_key")
    safe = Safe(path=folder / "safe", **{name: expected[name] for name in names})
    return Past(safe, expected["secrets"], expected["values"])


def stored_values(past: Past) -> list[StoredValue]:
    """Return every sealed value of the account: of versions, of their history, and of items."""

    async def read(store: Store) -> list[StoredValue]:
        """Read all pages."""
        found: list[StoredValue] = []
        for key_id in await store.keys_in_use(past.safe.account_id):
            mark = ""
            while page := await store.values_under(past.safe.account_id, key_id, after=mark):
                mark = page[-1].mark
                found += page
        return found

    return in_store(past.safe, read)


def opened(past: Past) -> Counter[tuple[str, str]]:
    """Return the name and the opened value, in Base64, of every sealed value."""
    opener = RecordOpener(past.verify_keys, past.private_ring)

    def open_one(value: StoredValue) -> str:
        """Open one value for its place."""
        location = location_of_value(value)
        sealed = replace(location.signed, name=location.sealed_name)
        return base64.b64encode(opener.open_named(location.signed, sealed, value.record).reveal()).decode()

    return Counter((value.name, open_one(value)) for value in stored_values(past))


def put(past: Past) -> Counter[tuple[str, str]]:
    """Return the name and the value, in Base64, of every value that was put."""
    return Counter((name, value) for name, values in past.values.items() for value in values)


def served(past: Past) -> list[tuple[str, str]]:
    """Return the name and the opened value, in Base64, of each secret that the delivery process hands out."""
    directory, opener = DataDirectory(past.safe.path), RecordOpener(past.verify_keys, past.private_ring)

    async def read(store: Store) -> list[bytes]:
        """Return the bundle of each script."""
        bundles = Bundles(store, directory.safe())
        return [await bundles.bundle(ref) async for ref in every_script(store)]

    found = []
    for bundle in [open_bundle(data, past.verify_keys) for data in in_store(past.safe, read)]:
        check_stated(bundle, past.verify_keys)
        for version in bundle.versions:
            frame = Frame()
            Environment(frame, bundle, version, {}, opener).fill()
            for item in (*frame.env, *frame.keys, *frame.stored):
                start, size = item["place"]
                found.append((item["name"], base64.b64encode(frame.body[start : start + size]).decode()))
    return found


def execute(past: Past, sql: str, *values: object) -> list[tuple[object, ...]]:
    """Change or read the database without the API."""
    with closing(sqlite3.connect(past.safe.database)) as db:
        rows: list[tuple[object, ...]] = db.execute(sql, values).fetchall()
        db.commit()
        return rows


def put_newer(past: Past, name: str) -> None:
    """Put a secret of the second script with the present version."""
    headers = {"Authorization": f"Bearer {past.safe.api_token}"}
    url = f"/accounts/{past.safe.account_id}/workers/scripts/second/secrets"
    with Server(past.safe) as server, httpx.Client(base_url=server.base_url, headers=headers) as client:
        body = {"name": name, "type": "secret_text", "text": "newer"}
        assert 200 == client.put(url, json=body).status_code
