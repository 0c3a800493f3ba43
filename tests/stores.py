"""SQLite stores for tests. A new one is a copy of one that was created once: its tables are most of the work."""

import functools
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.sealing.interfaces import NoteSigner
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.store.sqlite import SqliteStore
from nightsafe.store.sqlite.engine.connection import connect, create_file
from nightsafe.store.sqlite.engine.schema import migrate
from nightsafe.store.sqlite.store import BUSY_TIMEOUT

SIGNING_KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(32)))
"""Signs the logs of the stores that tests open. Second processes have the same key."""
IDENTITY_KEY = IdentityKey(bytes(range(32)))
"""The key of every store of `open_store`, also in other processes."""


def open_store(path: Path, busy_timeout: float = BUSY_TIMEOUT, signer: NoteSigner = SIGNING_KEY) -> SqliteStore:
    """Open a store, and create it if it is absent, as `SqliteStore.open` does for tests of the creation itself.

    Args:
        path: the database file; its folder is created with mode 0700 if it is absent.
        busy_timeout: seconds, as in `SqliteStore.open`.
        signer: signs the log.
    """
    if not path.exists():
        create_file(path)
        path.write_bytes(_empty_database())
    return SqliteStore.open(path, IDENTITY_KEY, busy_timeout=busy_timeout, signer=signer)


@functools.cache
def _empty_database() -> bytes:
    """Return a database file with all tables and no rows."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        create_file(path)
        with closing(connect(path, 0)) as db:
            migrate(db)
        return path.read_bytes()
