"""A second process on the test's store, to run as a program.

`commit PATH NAME` sets a secret; `write PATH PREFIX` sets secrets without end and prints each acknowledged commit;
`token PATH` replaces a token's row by the one on standard input, as JSON.
"""

import asyncio
import sys
from itertools import count
from pathlib import Path

import msgspec
from tests.engines.tools.changes import REF, secret, setting
from tests.stores import open_store

from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.store.changes import Change
from nightsafe.store.identities import Token
from nightsafe.store.sqlite import SqliteStore
from nightsafe.store.sqlite import store as store_module


async def commit(store: SqliteStore, name: str) -> None:
    """Set one secret."""
    await store.commit(setting(secret(name)))
    await store.close()


async def write(store: SqliteStore, prefix: str) -> None:
    """Set secrets from sixteen tasks; print a line for each acknowledged commit at once."""
    numbers = count()

    async def caller() -> None:
        """Set secrets without end, as one caller."""
        for number in numbers:
            name = f"{prefix}{number % 50}"
            outcome = await store.commit(setting(secret(name), most=10_000))
            print(outcome.version, name, flush=True)  # noqa: T201  # the test reads it
            await store.secret(REF, name)

    await asyncio.gather(*(caller() for _ in range(16)))


async def replace_token(path: str) -> None:
    """Replace a token's row."""
    store = open_store(Path(path))
    token = msgspec.json.decode(sys.stdin.buffer.read(), type=Token)
    event = AuditEvent(at=0, action="tokens.update", actor="", actor_kind="operator", account_id="")
    await store.commit(Change(at=0, audit=entry_for(event), put=(token,)))
    await store.close()


async def main(command: str, path: str, name: str = "") -> None:
    """Run `commit`, `write` or `token`."""
    if command == "token":
        await replace_token(path)
        return
    store_module.LOG_LIMIT = 50
    store = open_store(Path(path))
    await (commit if command == "commit" else write)(store, name)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
